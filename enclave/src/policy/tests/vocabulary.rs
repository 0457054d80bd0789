//! Which ABIs and declared types load, and what a rehearsal says.

use super::*;

fn refused(change: impl FnOnce(&mut Manifest), sentence: &str) {
    let mut manifest = manifest("");
    change(&mut manifest);
    let error = Policy::load(&manifest).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains(sentence), "{sentence:?} is not in {error:?}");
}

fn declare(name: &str, encode_type: &str) -> impl FnOnce(&mut Manifest) {
    let (name, encode_type) = (name.parse().unwrap(), encode_type.to_owned());
    move |manifest| manifest.typed_data.push(TypedDataEntry { name, encode_type })
}

#[test]
fn a_declared_type_is_canonical_and_has_one_name() {
    let post = "Post(string text)";
    let mut good = manifest("");
    declare("post", post)(&mut good);
    assert!(Policy::load(&good).is_ok());
    refused(declare("post", "Post(string text )"), "typed_data: post:");
    refused(declare("post", MAIL), "this type is known as mail");
    refused(declare("permit", post), "a standard type has this name");
    let permit =
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)";
    refused(declare("mine", permit), "this type is known as permit");
}

const MAIL: &str = kinds::MAIL_TYPE;

#[test]
fn an_abi_that_cannot_be_used_is_refused_at_load() {
    refused(|m| m.abis[0].json = "{}".to_owned(), "abis/router.json");
    refused(|m| m.addresses[4].abi = Some("nothing".parse().unwrap()), "addresses");
    refused(|m| m.addresses[3].decimals = None, "decimals");
}

#[test]
fn an_abi_that_no_address_uses_is_not_in_the_schema() {
    let mut unused = manifest("");
    unused.addresses[4].abi = None;
    let policy = Policy::load(&unused).unwrap();
    assert!(!policy.schema_text().contains("router"));
    assert!(load("").schema_text().contains("router"));
}

#[test]
fn a_rehearsal_says_what_a_decision_would() {
    let rules = format!(
        "@id(\"may\") {SIGN_ANY} @id(\"large\") forbid(principal, action == \
         Action::\"SignTransaction\", resource) when {{ context.value.ether > 1 }};"
    );
    let policy = load(&rules);
    let (client, asserted) =
        (Who::Client("operator".parse().unwrap()), Who::Asserted("app".parse().unwrap()));
    let rehearse = |who: &Who, of: &Description<'_>| {
        policy.rehearse(who, Some(&key()), of, is_held, NOW_S).unwrap()
    };
    let from = key().address;
    let (small, large) =
        (parse(&transfer()), parse(&TxEip1559 { value: U256::MAX >> 1, ..transfer() }));
    let said = rehearse(&client, &small.describe(from));
    assert_eq!((said.action, said.outcome), ("SignTransaction", Ok(())));
    assert_eq!(said.verdict.permitting, ["rule \"may\""]);
    let said = rehearse(&asserted, &large.describe(from));
    assert_eq!(said.verdict.forbidding, ["rule \"large\""]);
    assert_eq!(said.outcome.unwrap_err().code, RefusalCode::PolicyDenied);
    let digest = Digest::new(B256::ZERO);
    let said = rehearse(&asserted, &digest.describe(from));
    assert_eq!(said.outcome.unwrap_err().code, RefusalCode::ProofRequired);
    let said = rehearse(&client, &digest.describe(from));
    assert_eq!(said.outcome.unwrap_err().code, RefusalCode::PolicyDenied);
    let many = parse(&TxEip1559 { nonce: 1 << 63, ..transfer() });
    let said = rehearse(&client, &many.describe(from));
    assert_eq!(said.outcome.unwrap_err().code, RefusalCode::InvalidTransaction);
    let stranger = Who::Client("app".parse().unwrap());
    let of = small.describe(from);
    let said = policy.rehearse(&stranger, Some(&key()), &of, is_held, NOW_S);
    assert_eq!(said.unwrap_err().code, RefusalCode::NotAuthenticated);
    let mut off = manifest(&rules);
    off.switches = Switches::default();
    let off = Policy::load(&off).unwrap();
    let said = off.rehearse(&client, Some(&key()), &digest.describe(from), is_held, NOW_S).unwrap();
    assert!(said.outcome.unwrap_err().detail.contains("raw_digests"));
    let vault = policy.rehearse(&client, None, &Description::NewVault, is_held, NOW_S).unwrap();
    assert_eq!(vault.action, "CreateVault");
}

#[test]
fn rules_are_listed_by_the_actions_they_can_be_about() {
    let rules =
        "permit(principal in ClientGroup::\"admins\", action in Action::\"Delegate\", resource);
        forbid(principal is AssertedClient, action, resource);
        permit(principal, action == Action::\"SignMessage\", resource);";
    let listed = load(rules).rules_by_action();
    let of = |name: &str| listed.iter().find(|a| a.action == name).unwrap().rules.clone();
    let rule =
        |n: u8, forbids, kinds: &[&'static str]| (format!("rule {n}"), forbids, kinds.to_vec());
    assert_eq!(
        of("SignDelegation"),
        [rule(1, false, &["Client"]), rule(2, true, &["AssertedClient"])]
    );
    assert_eq!(
        of("SignMessage"),
        [rule(2, true, &["AssertedClient"]), rule(3, false, &["Client", "AssertedClient"])]
    );
    assert_eq!(of("CreateKey"), [rule(2, true, &["AssertedClient"])]);
}

#[test]
fn a_verdict_names_rules_in_the_manifests_order() {
    let policy = load(&SIGN_ANY.repeat(12));
    let who = Who::Client("operator".parse().unwrap());
    let tx = parse(&transfer());
    let of = tx.describe(key().address);
    let said = policy.rehearse(&who, Some(&key()), &of, is_held, NOW_S).unwrap();
    let names: Vec<_> = (1..=12).map(|n| format!("rule {n}")).collect();
    assert_eq!(said.verdict.permitting, names);
}
