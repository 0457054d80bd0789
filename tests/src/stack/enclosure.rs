//! Where the local stack's enclave runs: in a process, or as an image in a virtual machine. The
//! parent, KMS and every client are the same.

use super::Outcome;
use crate::nsm::{DevelopmentRoot, MockNsm, Options};
use crate::vm::{Doors, Eif, Guest, Machine, Network, Position, Tools};
use nitro_signer_image::binary::{self, Folders};
use nitro_signer_image::ramdisk::RamdiskFile;
use nitro_signer_image::{CMDLINE, ImageParts, kernel};
use nitro_signer_shared::message::{RELAY_PORT, REQUEST_PORT};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

/// The package of the development image's program.
const PACKAGE: &str = "nitro-signer-development-enclave";
/// The CID of the enclave's machine.
const CID: u32 = 16;
/// What `nitro-cli run-enclave --memory` is told for the release.
pub const MEMORY_MIB: u32 = 256;

/// Where the enclave runs.
pub enum Enclosure {
    /// In a process of the stack's own program.
    Process,
    /// As the development image in a virtual machine.
    Machine(Workshop),
}

/// What development images are made of.
#[derive(Clone)]
pub struct Workshop {
    folders: Folders,
    tools: Tools,
    kernel: Arc<[u8]>,
    program: Arc<[u8]>,
    change: Change,
}

/// What somebody changed of the image that the key policy names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is the image that the policy names.
    #[default]
    Nothing,
    /// One byte of the program, where it makes no difference to what it does.
    Program,
    /// One word more on the kernel's command line.
    Cmdline,
}

impl Workshop {
    /// Builds the program and takes kernel and virtual machine from the cache, which
    /// `tests/run setup` fills. `dev` is this package's program of that name.
    ///
    /// # Errors
    /// If something is missing or does not build.
    pub fn open(dev: &Path) -> Outcome<Self> {
        let cache = cache()?;
        let tools = Tools::find(&cache)?;
        let kernel = kernel::kernel(&cache, &kernel::Config::enclave())?;
        let workspace = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
        // TARGET/release/dev
        let target = dev.ancestors().nth(2).ok_or("the program is in no target directory")?;
        let folders = Folders { workspace, target: target.to_owned() };
        let built = binary::build(&folders, PACKAGE, dev)?;
        Ok(Self {
            folders,
            tools,
            kernel: fs::read(kernel.image)?.into(),
            program: fs::read(built.shipped)?.into(),
            change: Change::Nothing,
        })
    }

    /// The same with a change.
    #[must_use]
    pub fn changed(&self, change: Change) -> Self {
        Self { change, ..self.clone() }
    }

    /// Where it builds.
    #[must_use]
    pub const fn folders(&self) -> &Folders {
        &self.folders
    }

    /// QEMU and its companions.
    #[must_use]
    pub const fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The development image whose KMS is certified by this authority, with this manifest built in
    /// if there is one.
    ///
    /// # Errors
    /// If it cannot be put together.
    pub fn image(&self, kms_ca: &str, change: Change, manifest: Option<&[u8]>) -> Outcome<Eif> {
        let mut program = self.program.to_vec();
        let mut cmdline = CMDLINE.to_owned();
        match change {
            Change::Nothing => {}
            // Behind the last section: no byte of the program is at another place.
            Change::Program => program.push(0),
            Change::Cmdline => cmdline.push_str(" nitro_signer=changed"),
        }
        let parts = ImageParts {
            kernel: &self.kernel,
            kernel_version: kernel::VERSION,
            cmdline: &cmdline,
            program: &program,
            manifest,
            files: &[RamdiskFile::file("kms-ca.pem", 0o444, kms_ca.as_bytes())],
            version: env!("CARGO_PKG_VERSION"),
        };
        Ok(Eif::read(&parts.assemble(None)?.eif)?)
    }
}

/// The enclave's machine, on or off.
pub struct EnclaveMachine {
    tools: Tools,
    image: Eif,
    root: DevelopmentRoot,
    dir: PathBuf,
    position: Position,
    _doors: Doors,
    memory_mib: u32,
    boots: u32,
    running: Option<(Machine, Network)>,
}

impl EnclaveMachine {
    /// A machine that is off, with its doors in `dir`, and the image that the key policy is to
    /// name; the machine's own image may be another one.
    ///
    /// # Errors
    /// If the image cannot be made or a door not be opened.
    pub fn new(
        workshop: &Workshop,
        root: &DevelopmentRoot,
        dir: &Path,
        kms_ca: &str,
        manifest: Option<&[u8]>,
    ) -> Outcome<(Self, Eif)> {
        let named = workshop.image(kms_ca, Change::Nothing, manifest)?;
        let image = workshop.image(kms_ca, workshop.change, manifest)?;
        let (doors, position) = Doors::open(dir, &[REQUEST_PORT, RELAY_PORT])?;
        let machine = Self {
            tools: workshop.tools.clone(),
            image,
            root: root.clone(),
            dir: dir.to_owned(),
            position,
            _doors: doors,
            memory_mib: MEMORY_MIB,
            boots: 0,
            running: None,
        };
        Ok((machine, named))
    }

    /// Gives it so much memory from the next boot on.
    pub const fn set_memory(&mut self, memory_mib: u32) {
        self.memory_mib = memory_mib;
    }

    /// Powers it on, with a secure module that starts with it; the time until it reported its start.
    ///
    /// # Errors
    /// If it does not boot.
    pub fn power_on(&mut self) -> Outcome<Duration> {
        self.power_off();
        self.boots += 1;
        // A folder that was kept has those of an earlier stack.
        while self.dir.join(format!("boot-{}", self.boots)).exists() {
            self.boots += 1;
        }
        let dir = self.dir.join(format!("boot-{}", self.boots));
        fs::create_dir(&dir)?;
        let module = Arc::new(MockNsm::new(&self.root, self.image.pcrs(), Options::default()));
        let network = Network::start(&self.tools, &dir, &[CID])?;
        let guest = Guest {
            name: "enclave",
            cid: CID,
            memory_mib: self.memory_mib,
            kernel: &self.image.kernel,
            cmdline: &self.image.cmdline,
            ramdisk: &self.image.ramdisk,
            arguments: vec![],
        };
        let (machine, took) = Machine::boot_enclave(&self.tools, &network, &guest, module)?;
        self.position.send_replace(Some(network.socket(CID)));
        self.running = Some((machine, network));
        Ok(took)
    }

    /// A power cut.
    pub fn power_off(&mut self) {
        self.position.send_replace(None);
        self.running = None;
    }

    /// The machine, if it is on.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        self.running.as_ref().map(|(machine, _)| machine)
    }
}

/// Where kernels and virtual machines are kept.
///
/// # Errors
/// If neither XDG_CACHE_HOME nor HOME is set.
pub fn cache() -> Outcome<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = named.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    Ok(cache.ok_or("HOME is not set")?.join("nitro-signer"))
}
