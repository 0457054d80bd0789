//! Virtual machines from power-on to power-off, and the network between them.

use super::secure_module;
use super::tools::Tools;
use crate::nsm::MockNsm;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where nitro-cli waits for the enclave's first byte, which goes back to it.
const HEARTBEAT_PORT: u32 = 9000;
/// How long a boot may take on a busy machine.
const BOOT_DEADLINE: Duration = Duration::from_secs(120);
/// How long a socket of a part may take to appear.
const PART_DEADLINE: Duration = Duration::from_secs(20);
/// What vhost-device-vsock holds of a guest's bytes, for each connection, and so the longest packet that
/// a guest sends. With its default, 64 KiB, answers of 60,000 bytes never came and of 20,000 did.
const BUFFER: usize = 16_384;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why a machine does not run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum MachineError {
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("{0} ended instead of starting:\n{1}")]
    Ended(&'static str, String),
    #[error("{0} did not start in time:\n{1}")]
    Late(&'static str, String),
}

fn io(what: &'static str) -> impl Fn(io::Error) -> MachineError {
    move |source| MachineError::Io { what, source }
}

/// The vsock between the guests of one folder and this process, for one boot of each.
pub struct Network {
    dir: PathBuf,
    _process: Keeper,
}

impl Network {
    /// Starts it for guests of these CIDs; its sockets stand in `dir`.
    ///
    /// # Errors
    /// [`MachineError`] if it does not start.
    pub fn start(tools: &Tools, dir: &Path, cids: &[u32]) -> Result<Self, MachineError> {
        let mut command = tools.vsock();
        for cid in cids {
            let [device, host] = [device_socket(dir, *cid), host_socket(dir, *cid)]
                .map(|path| path.display().to_string());
            command.arg("--vm").arg(format!(
                "guest-cid={cid},socket={device},uds-path={host},tx-buffer-size={BUFFER},groups=appliance"
            ));
        }
        let log = dir.join("vsock.log");
        let process = Keeper::start(command, &log).map_err(io("vhost-device-vsock"))?;
        let network = Self { dir: dir.to_owned(), _process: process };
        let ready = || cids.iter().all(|cid| device_socket(dir, *cid).exists());
        wait_for(ready, &network._process, "vhost-device-vsock", &log)?;
        Ok(network)
    }

    /// The socket by which this process reaches the guest: after `CONNECT port` and `OK port`, a
    /// connection of the guest's.
    #[must_use]
    pub fn socket(&self, cid: u32) -> PathBuf {
        host_socket(&self.dir, cid)
    }

    /// Accepts the guest's connections to the host on this port.
    ///
    /// # Errors
    /// If it is taken.
    pub fn listen(&self, cid: u32, port: u32) -> io::Result<UnixListener> {
        let mut path = host_socket(&self.dir, cid).into_os_string();
        path.push(format!("_{port}"));
        UnixListener::bind(path)
    }
}

fn device_socket(dir: &Path, cid: u32) -> PathBuf {
    dir.join(format!("{cid}.device"))
}

fn host_socket(dir: &Path, cid: u32) -> PathBuf {
    dir.join(format!("{cid}.vsock"))
}

/// What a machine boots.
#[derive(Clone, Debug)]
pub struct Guest<'a> {
    /// Its name in error texts and file names.
    pub name: &'static str,
    /// Its CID, one of the network's.
    pub cid: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The kernel.
    pub kernel: &'a [u8],
    /// The command line.
    pub cmdline: &'a str,
    /// The ramdisk.
    pub ramdisk: &'a [u8],
    /// Further arguments of QEMU's.
    pub arguments: Vec<String>,
}

/// A running machine; dropping it is a power cut.
pub struct Machine {
    process: Keeper,
    console: PathBuf,
    name: &'static str,
    powered_on: Instant,
}

impl Machine {
    /// Powers an enclave on and returns once it has reported its start, as nitro-cli waits for it.
    ///
    /// # Errors
    /// [`MachineError`] with the end of its console.
    pub fn boot_enclave(
        tools: &Tools,
        network: &Network,
        guest: &Guest<'_>,
        module: Arc<MockNsm>,
    ) -> Result<(Self, Duration), MachineError> {
        let heartbeat = network.listen(guest.cid, HEARTBEAT_PORT).map_err(io("the heartbeat"))?;
        let started = answer_heartbeat(heartbeat);
        let machine = Self::power_on(tools, network, guest, Some(module))?;
        let took = machine.wait_for_start(&started)?;
        Ok((machine, took))
    }

    /// Powers a machine on, with a secure module or without one.
    ///
    /// # Errors
    /// [`MachineError`] if QEMU does not start.
    pub fn power_on(
        tools: &Tools,
        network: &Network,
        guest: &Guest<'_>,
        module: Option<Arc<MockNsm>>,
    ) -> Result<Self, MachineError> {
        let file = |suffix: &str| network.dir.join(format!("{}.{suffix}", guest.name));
        let (kernel, ramdisk) = (file("kernel"), file("ramdisk"));
        fs::write(&kernel, guest.kernel).map_err(io("the kernel"))?;
        fs::write(&ramdisk, guest.ramdisk).map_err(io("the ramdisk"))?;
        let mut command = tools.qemu();
        command
            .args(["-M", "microvm,acpi=off,pcie=off,rtc=on,accel=tcg,memory-backend=memory"])
            .args(["-cpu", "max", "-smp", "2", "-nodefaults", "-nographic", "-serial", "stdio"])
            .args(["-no-reboot", "-m", &format!("{}M", guest.memory_mib), "-object"])
            .arg(format!("memory-backend-memfd,id=memory,size={}M,share=on", guest.memory_mib))
            .arg("-kernel")
            .arg(&kernel)
            .arg("-initrd")
            .arg(&ramdisk)
            .args(["-append", guest.cmdline, "-chardev"])
            .arg(socket("vsock", &device_socket(&network.dir, guest.cid)))
            .args(["-device", "vhost-user-vsock-device,chardev=vsock"])
            .args(&guest.arguments);
        if let Some(module) = module {
            let path = file("nsm");
            secure_module::serve(module, &path).map_err(io("the secure module"))?;
            command.arg("-chardev").arg(socket("nsm", &path)).args([
                "-device",
                "vhost-user-test-device,chardev=nsm,virtio-id=33,num_vqs=1,vq_size=64",
            ]);
        }
        let console = file("console");
        let powered_on = Instant::now();
        let process = Keeper::start(command, &console).map_err(io("QEMU"))?;
        Ok(Self { process, console, name: guest.name, powered_on })
    }

    /// QEMU's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id
    }

    /// What it printed so far.
    #[must_use]
    pub fn console(&self) -> String {
        let bytes = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether its process runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        !self.process.has_ended()
    }

    /// Waits until the console shows this text.
    ///
    /// # Errors
    /// [`MachineError`] if the machine ends, or if it takes longer than a boot may.
    pub fn wait_for(&self, text: &str) -> Result<(), MachineError> {
        while self.powered_on.elapsed() < BOOT_DEADLINE {
            if self.console().contains(text) {
                return Ok(());
            }
            if !self.runs() || self.panicked() {
                return Err(MachineError::Ended(self.name, end_of(&self.console)));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(MachineError::Late(self.name, end_of(&self.console)))
    }

    /// Waits for the guest's first byte.
    fn wait_for_start(&self, started: &Receiver<Instant>) -> Result<Duration, MachineError> {
        while self.powered_on.elapsed() < BOOT_DEADLINE {
            match started.recv_timeout(Duration::from_millis(50)) {
                Ok(at) => return Ok(at.duration_since(self.powered_on)),
                Err(RecvTimeoutError::Timeout) if self.runs() && !self.panicked() => {}
                Err(_) => return Err(MachineError::Ended(self.name, end_of(&self.console))),
            }
        }
        Err(MachineError::Late(self.name, end_of(&self.console)))
    }

    /// A machine whose first process ended starts again, since microvm does not heed `-no-reboot`;
    /// that must not pass for a slow one.
    fn panicked(&self) -> bool {
        self.console().contains("Kernel panic")
    }
}

fn socket(id: &str, path: &Path) -> String {
    format!("socket,id={id},path={}", path.display())
}

/// Plays nitro-cli: sends each guest's byte back, and tells when the first one came.
fn answer_heartbeat(listener: UnixListener) -> Receiver<Instant> {
    let (sender, started) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream): io::Result<UnixStream> = stream else { return };
            let mut byte = [0];
            let beaten = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte));
            if beaten.is_ok() && sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    started
}

/// A process of its own thread, which it does not outlive: the thread waits for it, and the kernel
/// ends it when the thread is gone, even if this whole process was killed.
struct Keeper {
    id: u32,
    end: Sender<()>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    fn start(mut command: Command, log: &Path) -> io::Result<Self> {
        let out = File::create(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let (started, start) = mpsc::channel();
        let (end, asked_to_end) = mpsc::channel::<()>();
        let over = Arc::new(AtomicBool::new(false));
        let over_there = Arc::clone(&over);
        let thread = thread::spawn(move || {
            match command.spawn() {
                Ok(child) => {
                    let _ = started.send(Ok(child.id()));
                    keep(child, &asked_to_end);
                }
                Err(error) => drop(started.send(Err(error))),
            }
            over_there.store(true, Ordering::Relaxed);
        });
        let id = start.recv().map_err(io::Error::other)??;
        Ok(Self { id, end, over, thread: Some(thread) })
    }

    fn has_ended(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Until it ends by itself or is asked to.
fn keep(mut child: Child, asked_to_end: &Receiver<()>) {
    loop {
        match asked_to_end.recv_timeout(Duration::from_millis(20)) {
            Err(RecvTimeoutError::Timeout) if matches!(child.try_wait(), Ok(None)) => {}
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.end.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn wait_for(
    done: impl Fn() -> bool,
    process: &Keeper,
    what: &'static str,
    log: &Path,
) -> Result<(), MachineError> {
    let from = Instant::now();
    while !done() {
        if process.has_ended() {
            return Err(MachineError::Ended(what, end_of(log)));
        }
        if from.elapsed() > PART_DEADLINE {
            return Err(MachineError::Late(what, end_of(log)));
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
