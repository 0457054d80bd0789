//! `manifest build | check | hash`: from a folder that people edit to the one file that is
//! measured.
//!
//! The folder has `manifest.toml`, `policy.cedar` and, if calldata is to be decoded, `abis/*.json`.
//! Building is deterministic: the same folder gives the same bytes and so the same PCR16.

use super::output::{Failure, Report, read_input};
use crate::ethereum::fields::address_text;
use crate::serve::load_manifest;
use alloy_primitives::FixedBytes;
use nitro_signer_shared::manifest::{
    AbiEntry, AddressEntry, AssertedEntry, ClientEntry, FORMAT, KeyArn, MAX_MANIFEST,
    Manifest as Packed, ManifestHash, Name, Sibling, Switches, TypedDataEntry,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The manifest: build it from a folder, check a built one, hash one.
#[derive(clap::Subcommand)]
pub(super) enum Manifest {
    Build(Build),
    Check(Check),
    Hash(Hash),
}

/// Build a manifest from a folder with manifest.toml, policy.cedar and abis/*.json.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer manifest build deployment/ -o manifest.cbor

manifest.toml:
  version = 1                      # count it up with every change
  deployment = \"treasury\"
  vault = \"main\"
  wrapping_keys = [\"arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"]
  [[clients]]                      # prove themselves by a secp256k1 key of their own
  name = \"ops\"
  public_key = \"02…\"               # compressed, 33 bytes in hex
  groups = [\"operators\"]
  [[asserted]]                     # named by their TLS certificate, on the parent's word
  name = \"bot.example\"
  [[addresses]]                    # every address that policy.cedar names
  address = \"0x…\"
  name = \"usdc\"
  groups = [\"tokens\"]
  abi = \"erc20\"                    # or erc721, erc1155, or abis/NAME.json by its NAME
  decimals = 6                     # an erc20 needs them
  [typed_data]                     # types whose values rules may see, by EIP-712's encodeType
  mail = \"Mail(address to,string contents)\"
  [switches]                       # off unless named
  delegation = true
  [[siblings]]                     # other images that may open the vault during an upgrade
  pcr0 = \"…\"
  pcr1 = \"…\"
  pcr2 = \"…\"
  pcr16 = \"…\"")]
pub(super) struct Build {
    /// The folder.
    folder: PathBuf,
    /// Where to write the manifest.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Check a manifest's every field. The policy's meaning is checked by the enclave, which refuses
/// the whole manifest if a rule does not fit its schema.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer manifest check manifest.cbor")]
pub(super) struct Check {
    /// The manifest.
    file: PathBuf,
}

/// Print a manifest's hash and the PCR16 that an enclave running it has: what the KMS key's policy
/// lists.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer manifest hash manifest.cbor --json | jq -r .pcr16")]
pub(super) struct Hash {
    /// The manifest.
    file: PathBuf,
}

impl Manifest {
    pub(super) fn run(self) -> Result<Report, Failure> {
        match self {
            Self::Build(build) => build.run(),
            Self::Check(check) => check.run(),
            Self::Hash(hash) => hash.run(),
        }
    }
}

impl Build {
    fn run(self) -> Result<Report, Failure> {
        let bytes = pack(&self.folder)?;
        // Read back by the reader the enclave has, so that nothing is written that it refuses.
        Packed::parse(&bytes).map_err(|e| Failure::usage(e.to_string()))?;
        std::fs::write(&self.output, &bytes)
            .map_err(|e| Failure::usage(format!("{}: {e}", self.output.display())))?;
        let hash = ManifestHash::of(&bytes);
        Ok(hashes(&hash, json!({ "bytes": bytes.len() })).field("bytes", bytes.len()))
    }
}

impl Check {
    fn run(self) -> Result<Report, Failure> {
        let (bytes, manifest) = load(&self.file)?;
        let json = json!({
            "version": manifest.version,
            "deployment": manifest.deployment,
            "vault": manifest.vault,
            "wrapping_keys": manifest.wrapping_keys,
            "kms_host": manifest.wrapping_key().kms_host(),
            "clients": manifest.clients.len(),
            "asserted": manifest.asserted.len(),
            "addresses": manifest.addresses.len(),
            "abis": manifest.abis.len(),
            "switches": manifest.switches,
            "siblings": manifest.siblings.len(),
            "policy": "not checked here",
        });
        Ok(hashes(&ManifestHash::of(&bytes), json)
            .field("version", manifest.version)
            .field("deployment", &manifest.deployment)
            .field("vault", &manifest.vault)
            .field("wrapping key", manifest.wrapping_key())
            .field("KMS host", manifest.wrapping_key().kms_host())
            .field("clients", names(manifest.clients.iter().map(|c| &c.name)))
            .field("asserted", names(manifest.asserted.iter().map(|a| &a.name)))
            .field("addresses", manifest.addresses.len())
            .field("abis", manifest.abis.len())
            .line(
                "Every field is of the allowed form. The policy is checked by the enclave when it",
            )
            .line("loads this manifest; a rule that does not fit the schema refuses the whole."))
    }
}

impl Hash {
    fn run(self) -> Result<Report, Failure> {
        // The hash of anything else would close the KMS key to every enclave.
        let (bytes, _) = load(&self.file)?;
        Ok(hashes(&ManifestHash::of(&bytes), json!({})))
    }
}

fn load(path: &Path) -> Result<(Vec<u8>, Packed), Failure> {
    load_manifest(path).map_err(|e| Failure::refused("manifest_invalid", e.to_string()))
}

fn hashes(hash: &ManifestHash, mut json: Value) -> Report {
    let pcr16 = hex::encode(hash.pcr16());
    json["manifest_hash"] = json!(hash.to_string());
    json["pcr16"] = json!(pcr16);
    Report::new(json).field("manifest hash", hash).field("PCR16", pcr16)
}

fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(" ")
}

/// `manifest.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    version: u64,
    deployment: Name,
    vault: Name,
    wrapping_keys: Vec<KeyArn>,
    #[serde(default)]
    clients: Vec<Client>,
    #[serde(default)]
    asserted: Vec<Asserted>,
    #[serde(default)]
    addresses: Vec<Address>,
    #[serde(default)]
    typed_data: BTreeMap<Name, String>,
    #[serde(default)]
    switches: Switches,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    name: Name,
    public_key: FixedBytes<33>,
    #[serde(default)]
    groups: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asserted {
    name: Name,
    #[serde(default)]
    groups: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    address: String,
    name: Name,
    #[serde(default)]
    groups: Vec<Name>,
    decimals: Option<u8>,
    abi: Option<Name>,
}

/// A folder's manifest, as bytes.
fn pack(folder: &Path) -> Result<Vec<u8>, Failure> {
    let path = folder.join("manifest.toml");
    let place = |e: &dyn std::fmt::Display| Failure::usage(format!("{}: {e}", path.display()));
    let given: Folder = toml::from_str(&text(&path)?).map_err(|e| place(&e))?;
    let addresses = given.addresses.into_iter().map(address).collect::<Result<_, _>>();
    let manifest = Packed {
        format: FORMAT,
        version: given.version,
        deployment: given.deployment,
        vault: given.vault,
        wrapping_keys: given.wrapping_keys,
        clients: given.clients.into_iter().map(client).collect::<Result<_, _>>()?,
        asserted: given
            .asserted
            .into_iter()
            .map(|a| AssertedEntry { name: a.name, groups: a.groups })
            .collect(),
        addresses: addresses?,
        policy: text(&folder.join("policy.cedar"))?,
        abis: abis(&folder.join("abis"))?,
        typed_data: given.typed_data.into_iter().map(typed_data).collect(),
        switches: given.switches,
        siblings: given.siblings,
    };
    manifest.to_bytes().map_err(|e| place(&e))
}

fn client(client: Client) -> Result<ClientEntry, Failure> {
    // Compressed SEC1 begins with 02 or 03; the library would take 05 too.
    let compressed = matches!(client.public_key[0], 2 | 3);
    if !compressed || k256::PublicKey::from_sec1_bytes(client.public_key.as_slice()).is_err() {
        let what = "public_key is no compressed point of secp256k1";
        return Err(Failure::usage(format!("clients: {}: {what}", client.name)));
    }
    Ok(ClientEntry { name: client.name, public_key: client.public_key, groups: client.groups })
}

fn address(entry: Address) -> Result<AddressEntry, Failure> {
    let address = address_text("addresses: address", &entry.address)
        .map_err(|e| Failure::usage(format!("{e}: {}", entry.name)))?;
    let Address { name, groups, decimals, abi, .. } = entry;
    Ok(AddressEntry { address, name, groups, decimals, abi })
}

fn typed_data((name, encode_type): (Name, String)) -> TypedDataEntry {
    TypedDataEntry { name, encode_type }
}

/// The ABIs of a folder, each named by its file, in order of the names.
fn abis(folder: &Path) -> Result<Vec<AbiEntry>, Failure> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let failed = |e: std::io::Error| Failure::usage(format!("{}: {e}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    let abi = |path: PathBuf| {
        let text = text(&path)?;
        nitro_signer_shared::json::read(text.as_bytes())
            .map_err(|e| Failure::usage(format!("{}: {}", path.display(), e.detail)))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name = name
            .parse()
            .map_err(|e| Failure::usage(format!("{}: the file's {e}", path.display())))?;
        Ok(AbiEntry { name, json: text })
    };
    paths.into_iter().map(abi).collect()
}

fn text(path: &Path) -> Result<String, Failure> {
    let bytes = read_input(path, MAX_MANIFEST as u64)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{}: not UTF-8", path.display())))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
