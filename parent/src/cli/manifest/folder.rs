//! The folder that people edit, and the one file that is packed from it.
//!
//! Packing is deterministic: the same folder gives the same bytes and so the same PCR16. What is
//! wrong is said with the file and the line that people have to correct, never with the packed
//! file's.

use crate::cli::output::{Failure, read_input};
use crate::ethereum::fields::address_text;
use alloy_primitives::FixedBytes;
use nitro_signer_enclave::policy::PolicyLoadError;
use nitro_signer_shared::manifest::{
    AbiEntry, AddressEntry, AssertedEntry, ClientEntry, Custody, FORMAT, KeyArn, MAX_MANIFEST,
    Manifest, Name, Sibling, Switches, TypedDataEntry,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A folder, packed.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The manifest.
    pub(super) bytes: Vec<u8>,
    lines: Lines,
}

/// On which line of manifest.toml the entries stand, by their list and name.
type Lines = BTreeMap<(&'static str, String), usize>;

impl Folder {
    /// Packs manifest.toml, policy.cedar and abis/*.json. Only the policy's meaning and that of the
    /// ABIs are not checked.
    pub(super) fn pack(path: &Path) -> Result<Self, Failure> {
        let file = path.join("manifest.toml");
        let place = |e: &dyn std::fmt::Display| Failure::usage(format!("{}: {e}", file.display()));
        let source = text(&file)?;
        let given =
            toml::from_str::<Given>(&source).map_err(|e| place(&e.to_string().trim_end()))?;
        let lines = given.lines(&source);
        let manifest = given.into_manifest(path).map_err(|wrong| match wrong {
            Wrong::Entry(list, name, what) => {
                let line = line(&lines, list, &name);
                place(&format!("{line}{list}: {name}: {what}"))
            }
            Wrong::File(failure) => failure,
        })?;
        let bytes = manifest.to_bytes().map_err(|e| place(&e))?;
        Ok(Self { path: path.to_owned(), bytes, lines })
    }

    /// Why the policy does not load, with the place in the folder.
    pub(super) fn explain(&self, error: &PolicyLoadError) -> String {
        let said = error.to_string();
        for list in ["addresses", "typed_data"] {
            if let Some((name, _)) =
                said.strip_prefix(list).and_then(|s| s.strip_prefix(": ")?.split_once(": "))
            {
                let line = line(&self.lines, list, name);
                return format!("{}: {line}{said}", self.path.join("manifest.toml").display());
            }
        }
        self.path.join(said).display().to_string()
    }
}

fn line(lines: &Lines, list: &'static str, name: &str) -> String {
    let line = lines.get(&(list, name.to_owned()));
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

/// What is wrong with a folder.
enum Wrong {
    /// An entry of a list in manifest.toml: the list, the entry's name, and what is wrong.
    Entry(&'static str, String, String),
    /// Another file.
    File(Failure),
}

/// `manifest.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
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
    typed_data: BTreeMap<Name, Spanned<String>>,
    #[serde(default)]
    switches: Switches,
    #[serde(default)]
    siblings: Vec<Sibling>,
    #[serde(default)]
    custody: Custody,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    name: Spanned<Name>,
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
    name: Spanned<Name>,
    #[serde(default)]
    groups: Vec<Name>,
    decimals: Option<u8>,
    abi: Option<Name>,
}

impl Given {
    fn lines(&self, source: &str) -> Lines {
        let line = |start: usize| 1 + source.bytes().take(start).filter(|b| *b == b'\n').count();
        let name = |list, name: &Spanned<Name>| {
            ((list, name.get_ref().to_string()), line(name.span().start))
        };
        let clients = self.clients.iter().map(|c| name("clients", &c.name));
        let addresses = self.addresses.iter().map(|a| name("addresses", &a.name));
        let types = self.typed_data.iter();
        let types = types.map(|(n, of)| (("typed_data", n.to_string()), line(of.span().start)));
        clients.chain(addresses).chain(types).collect()
    }

    fn into_manifest(self, folder: &Path) -> Result<Manifest, Wrong> {
        let asserted = |a: Asserted| AssertedEntry { name: a.name, groups: a.groups };
        let typed_data = |(name, of): (Name, Spanned<String>)| TypedDataEntry {
            name,
            encode_type: of.into_inner(),
        };
        Ok(Manifest {
            format: FORMAT,
            version: self.version,
            deployment: self.deployment,
            vault: self.vault,
            wrapping_keys: self.wrapping_keys,
            clients: self.clients.into_iter().map(client).collect::<Result<_, _>>()?,
            asserted: self.asserted.into_iter().map(asserted).collect(),
            addresses: self.addresses.into_iter().map(address).collect::<Result<_, _>>()?,
            policy: text(&folder.join("policy.cedar")).map_err(Wrong::File)?,
            abis: abis(&folder.join("abis")).map_err(Wrong::File)?,
            typed_data: self.typed_data.into_iter().map(typed_data).collect(),
            switches: self.switches,
            siblings: self.siblings,
            custody: self.custody,
        })
    }
}

fn client(client: Client) -> Result<ClientEntry, Wrong> {
    let Client { name, public_key, groups } = client;
    let name = name.into_inner();
    // Compressed SEC1 begins with 02 or 03; the library would take 05 too.
    let compressed = matches!(public_key[0], 2 | 3);
    if !compressed || k256::PublicKey::from_sec1_bytes(public_key.as_slice()).is_err() {
        let what = "write public_key as a compressed point of secp256k1, 33 bytes in hex";
        return Err(Wrong::Entry("clients", name.to_string(), what.to_owned()));
    }
    Ok(ClientEntry { name, public_key, groups })
}

fn address(entry: Address) -> Result<AddressEntry, Wrong> {
    let Address { address, name, groups, decimals, abi } = entry;
    let name = name.into_inner();
    let address = address_text("address", &address)
        .map_err(|e| Wrong::Entry("addresses", name.to_string(), e.0))?;
    Ok(AddressEntry { address, name, groups, decimals, abi })
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
