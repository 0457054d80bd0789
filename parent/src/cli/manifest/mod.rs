//! `manifest build | check | explain | diff | hash`: from a folder that people edit to the one file
//! that is measured, and back to words.
//!
//! The folder has `manifest.toml`, `policy.cedar` and, if calldata is to be decoded, `abis/*.json`.
//! A manifest is judged here by the code that the enclave runs, so nothing is written, or called
//! good, that an enclave refuses after it was measured.

mod diff;
mod explain;
mod folder;

use super::output::{Failure, Report};
use crate::serve::load_manifest;
use folder::Folder;
use nitro_signer_enclave::client::Callers;
use nitro_signer_enclave::policy::Policy;
use nitro_signer_shared::manifest::{Manifest as Packed, ManifestHash, Name};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The manifest: build it from a folder, check, explain and compare it, hash one.
#[derive(clap::Subcommand)]
pub(super) enum Manifest {
    Build(Build),
    Check(Check),
    Explain(explain::Explain),
    Diff(diff::Diff),
    Hash(Hash),
}

/// Build a manifest from a folder with manifest.toml, policy.cedar and abis/*.json. Nothing is
/// written unless an enclave would load it.
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
  pcr16 = \"…\"
  [custody]                        # who beside these images may have a hand on the KMS key
  administrators = [\"arn:aws:iam::111122223333:role/kms-administrator\"]
  # accepted only if named: account_root, grants, imported_material, multi_region; and
  # open_regardless, which opens a stored vault whatever is found, and makes no key meanwhile")]
pub(super) struct Build {
    /// The folder.
    folder: PathBuf,
    /// Where to write the manifest.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Check a manifest as the enclave does when it loads it: every field, the ABIs, every rule.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer manifest check manifest.cbor
  nitro-signer manifest check deployment/")]
pub(super) struct Check {
    /// The manifest, or its folder.
    path: PathBuf,
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
            Self::Explain(explain) => explain.run(),
            Self::Diff(diff) => diff.run(),
            Self::Hash(hash) => hash.run(),
        }
    }
}

impl Build {
    fn run(self) -> Result<Report, Failure> {
        let Loaded { bytes, .. } = Loaded::pack(&self.folder)?;
        std::fs::write(&self.output, &bytes)
            .map_err(|e| Failure::usage(format!("{}: {e}", self.output.display())))?;
        let hash = ManifestHash::of(&bytes);
        Ok(hashes(&hash, json!({ "bytes": bytes.len() })).field("bytes", bytes.len()))
    }
}

impl Check {
    fn run(self) -> Result<Report, Failure> {
        let Loaded { bytes, manifest, .. } = Loaded::open(&self.path)?;
        let rules = Policy::rule_texts(&manifest).map_err(|e| invalid(e.to_string()))?;
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
            "typed_data": manifest.typed_data.len(),
            "switches": manifest.switches,
            "siblings": manifest.siblings.len(),
            "rules": rules.len(),
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
            .field("rules", rules.len())
            .line("An enclave loads this manifest. Whether its rules say what you mean, ask")
            .line("`manifest explain` and `policy test`."))
    }
}

impl Hash {
    fn run(self) -> Result<Report, Failure> {
        // The hash of anything else would close the KMS key to every enclave.
        let (bytes, _) = load(&self.file)?;
        Ok(hashes(&ManifestHash::of(&bytes), json!({})))
    }
}

/// A manifest that an enclave would load.
pub(super) struct Loaded {
    /// The exact bytes that are measured.
    pub(super) bytes: Vec<u8>,
    /// What they say.
    pub(super) manifest: Packed,
    /// Its rules, ready to be asked.
    pub(super) policy: Policy,
}

impl Loaded {
    /// Opens a built manifest, or packs a folder.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Self::pack(path);
        }
        let (bytes, manifest) = load(path)?;
        let refuse = |what: String| invalid(format!("{}: {what}", path.display()));
        Callers::new(&manifest).map_err(|e| refuse(e.detail))?;
        let policy = Policy::load(&manifest).map_err(|e| refuse(e.to_string()))?;
        Ok(Self { bytes, manifest, policy })
    }

    fn pack(path: &Path) -> Result<Self, Failure> {
        let folder = Folder::pack(path)?;
        // Read by the reader the enclave has, so that nothing is written that it refuses.
        let manifest = parse(path, &folder.bytes)?;
        let policy = Policy::load(&manifest).map_err(|e| invalid(folder.explain(&e)))?;
        Ok(Self { bytes: folder.bytes, manifest, policy })
    }
}

/// A manifest's bytes and fields, from a file or a folder. Its rules need not load.
fn read(path: &Path) -> Result<(Vec<u8>, Packed), Failure> {
    if path.is_dir() {
        let bytes = Folder::pack(path)?.bytes;
        let manifest = parse(path, &bytes)?;
        return Ok((bytes, manifest));
    }
    load(path)
}

fn load(path: &Path) -> Result<(Vec<u8>, Packed), Failure> {
    load_manifest(path).map_err(|e| invalid(e.to_string()))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Packed, Failure> {
    Packed::parse(bytes).map_err(|e| invalid(format!("{}: {e}", path.display())))
}

fn invalid(what: String) -> Failure {
    Failure::refused("manifest_invalid", what)
}

fn hashes(hash: &ManifestHash, mut json: Value) -> Report {
    let pcr16 = hex::encode(hash.pcr16());
    json["manifest_hash"] = json!(hash.to_string());
    json["pcr16"] = json!(pcr16);
    Report::new(json).field("manifest hash", hash).field("PCR16", pcr16)
}

fn names<'a>(names: impl IntoIterator<Item = &'a Name>) -> String {
    names.into_iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(in crate::cli) mod tests;
