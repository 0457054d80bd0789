//! Two machines with vsock between them: the release's enclave, and a parent instance whose CID is
//! 3, as an enclave sees it. So the parent's own vsock is used, and the enclave's check of the CID.
//!
//! The parent instance is a machine with TCP/IP whose first process plays nitro-cli and runs the
//! parent that ships, as a library.

use super::eif::Eif;
use super::machine::{Guest, Machine, Network};
use super::tools::Tools;
use crate::nsm::MockNsm;
use nitro_signer_image::command::{command, output};
use nitro_signer_image::ramdisk::{RamdiskFile, cpio};
use nix::mount::{MsFlags, mount};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::{Arc, mpsc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What a parent instance is to its enclaves.
const PARENT_CID: u32 = 3;
/// The enclave's.
pub const ENCLAVE_CID: u32 = 16;
/// How the parent instance reaches this process's loopback.
pub const HOST: &str = "10.0.2.2";
/// The parent's ports inside its instance.
pub const HTTPS_PORT: u16 = 8443;
/// The plain one.
pub const OPS_PORT: u16 = 9464;
const PARENT_MEMORY_MIB: u32 = 512;
/// A word that the kernel does not know is an argument of the first process; QEMU appends the devices.
const PARENT_CMDLINE: &str = "console=ttyS0 quiet reboot=k panic=-1 \
     ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off guest";
const HEARTBEAT_PORT: u32 = 9000;
/// What the parent instance prints once it plays nitro-cli.
const WAITING: &str = "waiting for an enclave";

/// What runs on the parent instance.
pub struct ParentInstance<'a> {
    /// This package's `dev`.
    pub program: &'a Path,
    /// A kernel with TCP/IP.
    pub kernel: &'a [u8],
    /// Files at the top of its file system, `parent.toml` among them.
    pub files: &'a [(&'a str, Vec<u8>)],
    /// Ports of this machine's loopback that lead to the parent's.
    pub https: u16,
    /// The plain one.
    pub ops: u16,
}

/// Both machines. Dropping it is a power cut.
pub struct Pair {
    /// The enclave's.
    pub enclave: Machine,
    /// The parent instance's.
    pub parent: Machine,
    _network: Network,
}

impl Pair {
    /// Boots the parent instance and then the enclave, in `dir`.
    ///
    /// # Errors
    /// If one of them does not start.
    pub fn boot(
        tools: &Tools,
        dir: &Path,
        parent: &ParentInstance<'_>,
        image: &Eif,
        memory_mib: u32,
        module: Arc<MockNsm>,
    ) -> Outcome<Self> {
        let network = Network::start(tools, dir, &[PARENT_CID, ENCLAVE_CID])?;
        let ramdisk = parent.ramdisk(dir)?;
        let guest = Guest {
            name: "parent",
            cid: PARENT_CID,
            memory_mib: PARENT_MEMORY_MIB,
            kernel: parent.kernel,
            cmdline: PARENT_CMDLINE,
            ramdisk: &ramdisk,
            arguments: parent.network_card(),
        };
        let instance = Machine::power_on(tools, &network, &guest, None)?;
        instance.wait_for(WAITING)?;
        let guest = Guest {
            name: "enclave",
            cid: ENCLAVE_CID,
            memory_mib,
            kernel: &image.kernel,
            cmdline: &image.cmdline,
            ramdisk: &image.ramdisk,
            arguments: vec![],
        };
        let enclave = Machine::power_on(tools, &network, &guest, Some(module))?;
        Ok(Self { enclave, parent: instance, _network: network })
    }
}

impl ParentInstance<'_> {
    fn network_card(&self) -> Vec<String> {
        let forward = |host: u16, guest: u16| format!("hostfwd=tcp:127.0.0.1:{host}-:{guest}");
        let ports = [forward(self.https, HTTPS_PORT), forward(self.ops, OPS_PORT)].join(",");
        let card = format!("user,id=card,{ports}");
        ["-netdev", &card, "-device", "virtio-net-device,netdev=card"].map(str::to_owned).to_vec()
    }

    /// The program, the libraries that it loads, and the files.
    fn ramdisk(&self, dir: &Path) -> Outcome<Vec<u8>> {
        let stripped = dir.join("parent.program");
        output(command("strip").arg("-o").arg(&stripped).arg(self.program))?;
        let program = fs::read(stripped)?;
        let printed = output(command("ldd").arg(self.program))?;
        let mut libraries = Vec::new();
        for path in printed.split_whitespace().filter(|word| word.starts_with('/')) {
            libraries.push((path.trim_start_matches('/').to_owned(), fs::read(path)?));
        }
        let mut folders: Vec<&str> = libraries
            .iter()
            .flat_map(|(path, _)| path.match_indices('/').map(|(at, _)| &path[..at]))
            .chain(["proc", "store"])
            .collect();
        folders.sort_unstable();
        folders.dedup();
        let mut files: Vec<_> = folders.into_iter().map(RamdiskFile::folder).collect();
        files.push(RamdiskFile::file("init", 0o555, &program));
        files.extend(libraries.iter().map(|(path, bytes)| RamdiskFile::file(path, 0o555, bytes)));
        files.extend(self.files.iter().map(|(name, bytes)| RamdiskFile::file(name, 0o400, bytes)));
        Ok(cpio(&files)?)
    }
}

/// The parent instance's first process: mounts, plays nitro-cli, and serves.
///
/// # Errors
/// If the instance cannot be prepared; serving ends with the instance.
pub fn run_parent_instance() -> Outcome<()> {
    for (kind, at) in [("devtmpfs", "/dev"), ("proc", "/proc")] {
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime
        .block_on(async { VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, HEARTBEAT_PORT)) })?;
    let (started, start) = mpsc::channel();
    std::thread::spawn(move || runtime.block_on(play_nitro_cli(listener, &started)));
    println!("{WAITING}");
    // Not before: what is sent to a machine that is off stops its vsock for good.
    start.recv()?;
    let arguments = ["nitro-signer", "serve", "--config", "/parent.toml"];
    let ended = nitro_signer_parent::run(arguments.map(Into::into));
    Err(format!("the parent ended: {ended:?}").into())
}

async fn play_nitro_cli(listener: VsockListener, started: &mpsc::Sender<()>) {
    loop {
        let Ok((mut stream, address)) = listener.accept().await else { return };
        if let Ok(byte) = stream.read_u8().await
            && stream.write_u8(byte).await.is_ok()
        {
            println!("an enclave with CID {} has started", address.cid());
            let _ = started.send(());
        }
    }
}
