//! A deployment as an operator would write it: the manifest, the KMS key policy that fits it, and
//! the client that may make keys. The local stack and the suites start from here.

use alloy_primitives::{B256, FixedBytes};
use aws_lc_rs::digest::{SHA384, digest};
use k256::ecdsa::SigningKey;
use nitro_signer_shared::key_policy::form::{AdmittedSet, EntityArn, Terms, VaultName};
use nitro_signer_shared::manifest::{
    AddressEntry, AssertedEntry, ClientEntry, Custody, FORMAT, KeyArn, Manifest, ManifestHash,
    Switches,
};
use nitro_signer_shared::proof::{ClientProof, Intent};

/// The development account and region; nothing of them exists at AWS.
pub const ACCOUNT: &str = "000000000000";
/// The region whose KMS host name the enclave asks for.
pub const REGION: &str = "us-east-1";
/// The role that the appliance has.
pub const APPLIANCE_ROLE: &str = "arn:aws:iam::000000000000:role/nitro-signer-appliance";
/// The role that administers the key and can open nothing with it.
pub const ADMINISTRATOR_ROLE: &str = "arn:aws:iam::000000000000:role/nitro-signer-administrator";
/// The name in the development client's certificate.
pub const CERTIFICATE_NAME: &str = "dev-client";
/// The client that may make the vault and keys.
pub const OPERATOR: &str = "dev-operator";
/// The recipient that the development manifest refuses.
pub const REFUSED_RECIPIENT: &str = "0x000000000000000000000000000000000000dead";

const DEPLOYMENT: &str = "development";
const VAULT: &str = "main";
const POLICY: &str = include_str!("deployment.cedar");

/// A measurement of development code: SHA384(0^48 || SHA384(what)), as PCR0 is computed.
#[must_use]
pub fn measurement(what: &[&[u8]]) -> [u8; 48] {
    let inner = digest(&SHA384, &what.concat());
    let mut pcr = [0; 48];
    pcr.copy_from_slice(digest(&SHA384, &[&[0; 48], inner.as_ref()].concat()).as_ref());
    pcr
}

/// A client's key, for proofs.
pub struct ClientKey(SigningKey);

impl ClientKey {
    /// A fresh key.
    ///
    /// # Panics
    /// If the machine has no randomness.
    #[must_use]
    pub fn generate() -> Self {
        loop {
            let mut bytes = [0; 32];
            aws_lc_rs::rand::fill(&mut bytes).expect("the machine has randomness");
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                return Self(key);
            }
        }
    }

    /// The compressed public key, as the manifest lists it.
    #[must_use]
    pub fn public_key(&self) -> FixedBytes<33> {
        FixedBytes::from_slice(self.0.verifying_key().to_sec1_point(true).as_bytes())
    }

    /// 0x-hex, as the command line's `--client-key` file has it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        format!("0x{}", hex::encode(self.0.to_bytes()))
    }

    /// The key that [`Self::to_hex`] wrote; `None` if the text is no key.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = hex::decode(text.strip_prefix("0x")?).ok()?;
        SigningKey::from_slice(&bytes).ok().map(Self)
    }

    /// A proof for this intent.
    #[must_use]
    pub fn prove(
        &self,
        intent: &Intent,
        manifest: &ManifestHash,
        request_id: B256,
        expiry: u64,
    ) -> ClientProof {
        let hash = intent.signing_hash(manifest, request_id, expiry);
        let (signature, parity) = self.0.sign_prehash_recoverable(hash.as_slice());
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + parity.to_byte();
        ClientProof { request_id, expiry, signature: FixedBytes(bytes) }
    }
}

/// The development manifest for this KMS key and operator.
///
/// # Panics
/// If the constants above were not names; the tests would show it.
#[must_use]
pub fn manifest(key: &KeyArn, operator: &ClientKey) -> Manifest {
    let name = |text: &str| text.parse().expect("is a name");
    Manifest {
        format: FORMAT,
        version: 1,
        deployment: name(DEPLOYMENT),
        vault: name(VAULT),
        wrapping_keys: vec![key.clone()],
        clients: vec![ClientEntry {
            name: name(OPERATOR),
            public_key: operator.public_key(),
            groups: vec![],
        }],
        asserted: vec![AssertedEntry { name: name(CERTIFICATE_NAME), groups: vec![] }],
        addresses: vec![AddressEntry {
            address: REFUSED_RECIPIENT.parse().expect("is an address"),
            name: name("burned"),
            groups: vec![],
            decimals: None,
            abi: None,
        }],
        policy: POLICY.to_owned(),
        abis: vec![],
        typed_data: vec![],
        switches: Switches {
            delegation: true,
            raw_digests: true,
            unprotected_legacy: true,
            ..Switches::default()
        },
        siblings: vec![],
        custody: Custody { administrators: vec![entity(ADMINISTRATOR_ROLE)], ..Custody::default() },
    }
}

/// The policy of a key that nobody can use yet: it exists before the manifest that names it.
///
/// # Panics
/// If the terms were none; the tests would show it.
#[must_use]
pub fn closed_key_policy() -> String {
    let name = |text: &str| text.parse().expect("is a name");
    let vault = VaultName { deployment: name(DEPLOYMENT), vault: name(VAULT) };
    key_policy_terms(vault, vec![]).write().expect("are terms")
}

/// The key policy that releases the vault of this manifest to this image, and to nothing else.
///
/// # Panics
/// If the image has registers of zeros.
#[must_use]
pub fn key_policy(pcr0: &[u8; 48], manifest: &Manifest, hash: &ManifestHash) -> String {
    let set = AdmittedSet::new(*pcr0, hash.pcr16());
    key_policy_terms(manifest.vault_name(), vec![set]).write().expect("are terms")
}

/// What the development key's policy says.
#[must_use]
pub fn key_policy_terms(vault: VaultName, sets: Vec<AdmittedSet>) -> Terms {
    Terms {
        administrators: [entity(ADMINISTRATOR_ROLE)].into(),
        break_glass: [].into(),
        auditors: [].into(),
        appliance_roles: [entity(APPLIANCE_ROLE)].into(),
        sets,
        vault,
        vault_creation: true,
        multi_region: false,
        imported_material: false,
    }
}

fn entity(arn: &str) -> EntityArn {
    arn.parse().expect("is a role")
}
