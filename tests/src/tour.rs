//! The walk through the local stack: what an operator and a client would do, by the command line
//! that ships, each step printed with what came of it.

use crate::deployment::REFUSED_RECIPIENT;
use crate::stack::Stack;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, U256, hex};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use std::error::Error;
use std::process::{Command, Stdio};

type Outcome<T> = Result<T, Box<dyn Error>>;

const CHAIN: u64 = 31337;
/// The stack's file while it is not complete.
const TOUR_FILE: &str = "tour.json";

/// Walks through the stack: from the making of its vault, or from the one that it kept.
///
/// # Errors
/// The first step that did not do what it should.
pub async fn walk(stack: &Stack) -> Outcome<()> {
    // The command line runs as a program of its own; KMS lives in this one and must go on.
    tokio::task::block_in_place(|| Tour { stack, step: 0 }.walk())
}

struct Tour<'a> {
    stack: &'a Stack,
    step: u32,
}

impl Tour<'_> {
    fn walk(mut self) -> Outcome<()> {
        self.stack.save(&self.stack.file, TOUR_FILE)?;
        self.say(
            "The enclave and the parent run; KMS knows the image (PCR0) and the manifest (PCR16):",
        );
        println!("     manifest {}", self.stack.manifest_hash);

        if self.stack.dir.join("store/vault").exists() {
            let held = self.cli(&["key", "list"], None)?;
            let held = held["keys"].as_array().map_or(0, Vec::len);
            self.say(&format!("The vault of before was opened, with its keys: {held}"));
        } else {
            let vault = self.cli(&["vault", "create"], None)?;
            self.say(&format!(
                "The enclave verified the proof of the operator, who had the vault made: {}",
                text(&vault, "vault")
            ));
        }
        println!(
            "     KMS released its secret to this image and manifest only: {}",
            self.stack.file.kms_key_arn
        );

        let key = self.cli(&["key", "create", "--label", "purpose=demonstration"], None)?;
        let address = text(&key, "address").to_owned();
        self.say(&format!("A key was made inside the enclave; its attestation was verified before this was printed: {address}"));

        self.sign_every_type(&address)?;
        self.sign_everything_else(&address)?;
        self.show_a_refusal(&address)?;
        self.verify_attestation(&address)?;
        self.finish(address)
    }

    fn sign_every_type(&mut self, address: &str) -> Outcome<()> {
        self.say("The client's certificate had a transaction of every type signed, and compared each with what it asked:");
        for (name, transaction) in transactions(address)? {
            let signed =
                self.cli(&["sign", "transaction", "--without-proof", "-"], Some(&transaction))?;
            println!("     {name:<18} {}", text(&signed, "transaction_hash"));
        }
        Ok(())
    }

    fn sign_everything_else(&mut self, address: &str) -> Outcome<()> {
        self.say("And everything else that is signed; the last two with the operator's proof:");
        let from = ["--from", address];
        let message = ["sign", "message", "--without-proof", "--text", "hello"];
        let mail = ["sign", "typed-data", "--without-proof", "-"];
        let delegate = "0x3333333333333333333333333333333333333333";
        let digest = format!("{:#066x}", 7);
        let authorization =
            ["sign", "authorization", "--chain-id", "31337", "--address", delegate, "--nonce", "0"];
        let digest = ["sign", "digest", &digest];
        let asked: [(&str, &[&str], Option<Value>); 4] = [
            ("message (EIP-191)", &message, None),
            ("typed data (EIP-712)", &mail, Some(typed_data())),
            ("authorization", &authorization, None),
            ("bare digest", &digest, None),
        ];
        for (name, arguments, input) in asked {
            let signed = self.cli(&[arguments, &from].concat(), input.as_ref())?;
            // An authorization is printed as a transaction takes it: with the signature's parts.
            let shown = [text(&signed, "signature"), text(&signed, "r")];
            println!("     {name:<21} {}", shown.iter().find(|s| !s.is_empty()).unwrap_or(&""));
        }
        Ok(())
    }

    fn show_a_refusal(&mut self, address: &str) -> Outcome<()> {
        let mut transaction = legacy(address);
        transaction["to"] = json!(REFUSED_RECIPIENT);
        let refusal =
            match self.run(&["sign", "transaction", "--without-proof", "-"], Some(&transaction))? {
                (true, _, _) => return Err("the policy let a forbidden recipient through".into()),
                (false, output, errors) => format!("{output}{errors}"),
            };
        if !refusal.contains("policy_denied") {
            return Err(format!("refused for another reason than policy: {refusal}").into());
        }
        self.say(&format!(
            "The policy refused a transaction to {REFUSED_RECIPIENT}: policy_denied"
        ));
        Ok(())
    }

    fn verify_attestation(&mut self, address: &str) -> Outcome<()> {
        let shown = self.cli(&["attestation", "fetch"], None)?;
        let document = self.stack.dir.join("attestation.json");
        std::fs::write(&document, shown.to_string())?;
        let file = &self.stack.file;
        let path = |p: &std::path::Path| p.to_string_lossy().into_owned();
        let nonce = text(&shown, "nonce");
        let arguments = [
            "attestation",
            "verify",
            &path(&document),
            "--expect",
            &path(&file.measurements),
            "--manifest",
            &path(&file.manifest),
            "--root",
            &path(&file.nsm_root),
            "--nonce",
            nonce,
            "--address",
            address,
        ];
        let verified = self.cli(&arguments, None)?;
        if verified["verified"] != json!(true) || verified["policy"] != json!("verified") {
            return Err(format!("the attestation document did not verify: {verified}").into());
        }
        self.say("An attestation document over a fresh nonce verified: development root, this image, this manifest; and that it holds this address.");
        Ok(())
    }

    fn finish(&mut self, address: String) -> Outcome<()> {
        let mut file = self.stack.file.clone();
        file.addresses = vec![address.clone()];
        let stack_json = self.stack.save(&file, "stack.json")?;
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": [legacy(&address)] });
        self.say("Try next:");
        println!(
            "     curl --cacert {} --cert {} --key {} \\\n       -H 'content-type: application/json' -d '{request}' {}/",
            file.ca.display(),
            file.client_cert.display(),
            file.client_key.display(),
            file.url
        );
        println!(
            "     {} cli --stack {} key list",
            self.stack.program.display(),
            stack_json.display()
        );
        Ok(())
    }

    fn say(&mut self, what: &str) {
        self.step += 1;
        println!("{:>2}.  {what}", self.step);
    }

    /// Runs the command line and gives its JSON; a refusal ends the walk.
    fn cli(&self, arguments: &[&str], input: Option<&Value>) -> Outcome<Value> {
        match self.run(arguments, input)? {
            (true, output, _) => Ok(serde_json::from_str(&output)?),
            (false, output, errors) => {
                Err(format!("`nitro-signer {}` failed: {output}{errors}", arguments.join(" "))
                    .into())
            }
        }
    }

    fn run(&self, arguments: &[&str], input: Option<&Value>) -> Outcome<(bool, String, String)> {
        use std::io::Write;
        let mut child = Command::new(&self.stack.program)
            .args(["cli", "--json", "--stack"])
            .arg(self.stack.dir.join(TOUR_FILE))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let (Some(input), Some(pipe)) = (input, child.stdin.as_mut()) {
            pipe.write_all(input.to_string().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let read = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status.success(), read(output.stdout), read(output.stderr)))
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn legacy(from: &str) -> Value {
    json!({
        "from": from,
        "to": "0x1111111111111111111111111111111111111111",
        "type": "0x0",
        "chainId": format!("{CHAIN:#x}"),
        "nonce": "0x0",
        "gas": "0x5208",
        "gasPrice": "0x3b9aca00",
        "value": "0xde0b6b3a7640000",
        "data": "0x",
    })
}

fn typed_data() -> Value {
    json!({
        "types": { "Mail": [
            { "name": "to", "type": "address" },
            { "name": "contents", "type": "string" },
        ] },
        "primaryType": "Mail",
        "domain": { "name": "Post", "version": "1", "chainId": CHAIN },
        "message": { "to": "0x1111111111111111111111111111111111111111", "contents": "hello" },
    })
}

/// One transaction of every type, by the name people call it.
fn transactions(from: &str) -> Outcome<Vec<(&'static str, Value)>> {
    let change = |fields: Value| {
        let mut transaction = legacy(from);
        for (name, value) in fields.as_object().into_iter().flatten() {
            transaction[name] = value.clone();
        }
        if fields.get("maxFeePerGas").is_some() {
            transaction.as_object_mut().map(|t| t.remove("gasPrice"));
        }
        transaction
    };
    let access_list = json!([{
        "address": "0x2222222222222222222222222222222222222222",
        "storageKeys": [format!("{:#066x}", 1)],
    }]);
    let fees = |kind: &str| json!({ "type": kind, "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x3b9aca00" });
    let with = |mut fields: Value, name: &str, value: Value| {
        fields[name] = value;
        fields
    };
    let blobs =
        with(fees("0x3"), "blobVersionedHashes", json!([format!("0x01{}", "ab".repeat(31))]));
    Ok(vec![
        ("legacy (EIP-155)", legacy(from)),
        ("access list (2930)", change(json!({ "type": "0x1", "accessList": access_list }))),
        ("fee market (1559)", change(fees("0x2"))),
        ("blobs (4844)", change(with(blobs, "maxFeePerBlobGas", json!("0x1")))),
        (
            "set code (7702)",
            change(with(fees("0x4"), "authorizationList", json!([authorization()?]))),
        ),
    ])
}

/// An authorization by an account that has nothing to do with the stack.
fn authorization() -> Outcome<Value> {
    let key = SigningKey::from_slice(&[0x42; 32])?;
    let delegate: Address = "0x3333333333333333333333333333333333333333".parse()?;
    let authorization = Authorization { chain_id: U256::from(CHAIN), address: delegate, nonce: 0 };
    let hash = authorization.signature_hash();
    let (signature, parity) = key.sign_prehash_recoverable(hash.as_slice());
    let (r, s) = signature.split_bytes();
    Ok(json!({
        "chainId": format!("{CHAIN:#x}"),
        "address": delegate.to_string(),
        "nonce": "0x0",
        "yParity": format!("{:#x}", parity.to_byte() & 1),
        "r": hex::encode_prefixed(r),
        "s": hex::encode_prefixed(s),
    }))
}
