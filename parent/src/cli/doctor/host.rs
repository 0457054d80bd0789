//! What can be seen of a deployment before an enclave is started: its files, and what the host can
//! reach.

use super::boot::target;
use crate::cli::check::Fault;
use crate::cli::enclave::{Described, EnclaveName, NitroCli};
use crate::cli::output::read_input;
use crate::config::{Config, Tls};
use crate::credentials::Provider;
use crate::http;
use crate::serve::load_manifest;
use crate::store::{Store, StoreAddress};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a port on this machine may take to answer.
const LOCAL: Duration = Duration::from_secs(2);
/// How long KMS may take to take a connection; the relay waits as long.
const DIAL: Duration = Duration::from_secs(10);
/// The instance metadata service and S3 have deadlines of their own below this.
const FETCH: Duration = Duration::from_secs(30);
/// AWS's own has some hundred bytes.
const MAX_ALLOCATOR: u64 = 65_536;

type Found<T> = Result<(T, String), Fault>;

pub(super) fn config(path: &Path) -> Found<Config> {
    let config = Config::load(path).map_err(|e| {
        Fault::new(e.to_string(), "Correct it; parent/deploy/parent.toml is an example.")
    })?;
    Ok((config, path.display().to_string()))
}

/// Two parents of one enclave would answer for each other.
pub(super) async fn not_serving(config: &Config) -> Found<()> {
    for address in [config.listen, config.ops_listen] {
        let reached = SocketAddr::new(reachable(address.ip()), address.port());
        if address.port() != 0
            && matches!(timeout(LOCAL, TcpStream::connect(reached)).await, Ok(Ok(_)))
        {
            return Err(Fault::new(
                format!("something answers on {address}: a parent runs"),
                "Stop it (systemctl stop nitro-signer nitro-signer-enclave): the doctor is the \
                 parent while it runs.",
            ));
        }
    }
    Ok(((), format!("nothing answers on {} and {}", config.listen, config.ops_listen)))
}

fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

pub(super) fn manifest(path: &Path) -> Found<(Vec<u8>, Manifest, ManifestHash)> {
    let (bytes, manifest) = load_manifest(path).map_err(|e| {
        Fault::new(e.to_string(), "Build it again by `nitro-signer manifest build`.")
    })?;
    let hash = ManifestHash::of(&bytes);
    let text = format!("version {}, PCR16 {}", manifest.version, hex::encode(hash.pcr16()));
    Ok(((bytes, manifest, hash), text))
}

/// nitro-cli answers, and nothing that runs is in the way.
pub(super) async fn nitro_cli(
    cli: &NitroCli,
    name: &EnclaveName,
    cid: Option<u32>,
) -> Found<Vec<Described>> {
    let failed = |e: crate::cli::enclave::NitroCliError| Fault::new(e.to_string(), e.remedy());
    let version = cli.version().await.map_err(failed)?;
    let listed = cli.describe().await.map_err(failed)?;
    let in_the_way = |enclave: &&Described| {
        enclave.is_named(name) || cid.is_some_and(|cid| u64::from(cid) == enclave.enclave_cid)
    };
    if let Some(enclave) = listed.iter().find(in_the_way) {
        return Err(Fault::new(
            format!("an enclave with CID {} runs already", enclave.enclave_cid),
            "Stop it (systemctl stop nitro-signer-enclave, or nitro-signer enclave stop).",
        ));
    }
    let text = format!("{version}; {} other enclaves run", listed.len());
    Ok((listed, text))
}

/// The allocator reserves enough beside what runs.
pub(super) fn allocator(path: &Path, memory: u32, cpus: u32, running: &[Described]) -> Found<()> {
    let set = |how: String| {
        Fault::new(
            how,
            format!(
                "Let {} reserve it (parent/deploy/allocator.yaml is an example), then `systemctl \
                 restart nitro-enclaves-allocator`.",
                path.display()
            ),
        )
    };
    let text = read_input(path, MAX_ALLOCATOR).map_err(|e| set(e.to_string()))?;
    let text = String::from_utf8_lossy(&text);
    let reserved = Reserved::read(&text)
        .ok_or_else(|| set(format!("{}: not an allocator's configuration", path.display())))?;
    let used = |of: fn(&Described) -> u64| running.iter().map(of).fold(0, u64::saturating_add);
    let free_memory = reserved.memory_mib.saturating_sub(used(|enclave| enclave.memory_mib));
    let free_cpus = reserved.cpus.saturating_sub(used(|enclave| enclave.number_of_cpus));
    if free_memory < u64::from(memory) || free_cpus < u64::from(cpus) {
        let how = format!(
            "{free_memory} MiB and {free_cpus} CPUs are reserved and free; {memory} MiB and {cpus} \
             CPUs are asked for"
        );
        return Err(set(how));
    }
    Ok(((), format!("{free_memory} MiB and {free_cpus} CPUs are reserved and free")))
}

/// What an `allocator.yaml` reserves: one entry, or a list of them.
#[derive(Debug, PartialEq, Eq)]
struct Reserved {
    memory_mib: u64,
    cpus: u64,
}

impl Reserved {
    fn read(text: &str) -> Option<Self> {
        let mut reserved = Self { memory_mib: 0, cpus: 0 };
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let line = line.strip_prefix("- ").unwrap_or(line).trim();
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "memory_mib" => {
                    reserved.memory_mib = reserved.memory_mib.checked_add(value.parse().ok()?)?;
                }
                "cpu_count" => reserved.cpus = reserved.cpus.checked_add(value.parse().ok()?)?,
                "cpu_pool" => reserved.cpus = reserved.cpus.checked_add(count(value)?)?,
                _ => {}
            }
        }
        (reserved.memory_mib > 0 && reserved.cpus > 0).then_some(reserved)
    }
}

/// How many CPUs a pool such as `2,3,6-9` names.
fn count(pool: &str) -> Option<u64> {
    pool.split(',').try_fold(0u64, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

pub(super) fn tls(tls: &Tls) -> Found<()> {
    http::server_config(tls).map_err(|e| {
        Fault::new(e.to_string(), "Correct the files that [tls] names; this user must read them.")
    })?;
    Ok(((), "certificate, key and clients' authority load".to_owned()))
}

/// The store opens and reads; with the vault that is in it. Of a folder it is also seen that this user can write to it; the
/// enclave's objects are left alone.
pub(super) async fn store(
    config: &Config,
    manifest: &Manifest,
    credentials: Arc<Provider>,
) -> Found<(Store, Option<Vec<u8>>)> {
    let unusable = |how: String| {
        Fault::new(how, "Correct `store`, or the rights of this user or of the instance's role.")
    };
    let key = manifest.wrapping_key();
    let region = config.store_region.as_deref().unwrap_or_else(|| key.region());
    let endpoint = config.store_endpoint.as_deref();
    let store = Store::open(&config.store, region, endpoint, credentials).map_err(unusable)?;
    let vault = timeout(FETCH, store.vault()).await;
    let vault = vault.map_err(|_| unusable("the store does not answer".to_owned()))?;
    let vault = vault.map_err(|refusal| unusable(refusal.to_string()))?;
    let written = match &config.store {
        StoreAddress::Folder(path) => {
            writable(path).map_err(|e| unusable(format!("{}: {e}", path.display())))?;
            "can be written to"
        }
        StoreAddress::S3 { .. } => "can be read; whether it can be written to shows with the vault",
    };
    let holds = if vault.is_some() { "holds a vault" } else { "holds no vault yet" };
    Ok(((store, vault), format!("{written}, and {holds}")))
}

fn writable(folder: &Path) -> std::io::Result<()> {
    // No name that the store uses, and gone at once.
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(&probe)
}

pub(super) async fn credentials(provider: &Provider) -> Found<()> {
    let remedy = "Give the instance a role, or correct [credentials].";
    match timeout(FETCH, provider.fetch()).await {
        Ok(Ok(_)) => Ok(((), "AWS credentials were had".to_owned())),
        Ok(Err(error)) => Err(Fault::new(error.to_string(), remedy)),
        Err(_) => Err(Fault::new("the source does not answer", remedy)),
    }
}

/// A connection, and no more: TLS to KMS ends in the enclave.
pub(super) async fn kms_route(config: &Config, manifest: &Manifest) -> Found<()> {
    let to = target(config, manifest).connect;
    let remedy = "Open the way there: a route or a VPC endpoint, security group, DNS, or \
                  [relay] connect.";
    match timeout(DIAL, TcpStream::connect(&to)).await {
        Ok(Ok(_)) => Ok(((), format!("{to} takes connections"))),
        Ok(Err(error)) => Err(Fault::new(format!("{to}: {error}"), remedy)),
        Err(_) => Err(Fault::new(format!("{to}: no answer in {} s", DIAL.as_secs()), remedy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_allocator_reserves_is_counted() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            let read = Reserved::read(text).map(|r| (r.memory_mib, r.cpus));
            assert_eq!(read, expected, "{text}");
        };
        check("---\n# more: 1\nmemory_mib: 256\ncpu_count: 2\n", Some((256, 2)));
        check("---\nmemory_mib: \"512\" # MiB\ncpu_pool: 2,3,6-9\n", Some((512, 6)));
        check(
            "---\n- memory_mib: 256\n  cpu_count: 2\n- memory_mib: 512\n  cpu_pool: 4\n",
            Some((768, 3)),
        );
        for bad in [
            "",
            "memory_mib: 256",
            "cpu_count: 2",
            "memory_mib: much\ncpu_count: 2",
            "memory_mib: 256\ncpu_pool: 9-6",
            "memory_mib: 18446744073709551615\nmemory_mib: 1\ncpu_count: 2",
        ] {
            check(bad, None);
        }
    }
}
