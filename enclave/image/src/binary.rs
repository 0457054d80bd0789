//! The static binary: built alone, with its own profile, so that no folder's name, no clock and no
//! flag of the caller's is in it.
//!
//! Paths are mapped to fixed names. Cargo takes RUSTFLAGS into account when it decides what to
//! compile again, and the folder must not be part of that; so the mapping reaches rustc through this
//! program, which cargo calls in rustc's place ([`wrap_rustc`]).

use crate::command::{CommandError, command, output, run};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// The one processor that our own builder makes images for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The cargo profile of what ships.
pub const PROFILE: &str = "enclave";
/// What the wrapper passes on: `--remap-path-prefix` values, one a line.
const REMAP: &str = "NITRO_SIGNER_IMAGE_REMAP";

/// Where the sources are and where cargo builds.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The workspace.
    pub workspace: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
}

/// A binary as it ships, and the same with its symbols.
#[derive(Clone, Debug)]
pub struct Built {
    /// Stripped: what goes into the ramdisk.
    pub shipped: PathBuf,
    /// With its symbols, to look through and to read addresses by.
    pub with_symbols: PathBuf,
}

/// Why there is no binary.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BinaryError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    #[error("the binary holds the local path {0}; two folders would give two images")]
    LocalPath(String),
}

/// Builds `package`'s binary of the same name. `wrapper` is a program whose `main` begins with
/// [`wrap_rustc`].
///
/// # Errors
/// [`BinaryError`].
pub fn build(folders: &Folders, package: &str, wrapper: &Path) -> Result<Built, BinaryError> {
    let mappings = Mappings::new(folders)?;
    let c_flags = mappings.c_flags();
    run(
        command("cargo")
            .args(["build", "--locked", "--package", package])
            .args(["--profile", PROFILE, "--target", TARGET])
            .arg("--target-dir")
            .arg(&folders.target)
            .env("CARGO_INCREMENTAL", "0")
            // Stripped below, so that the symbols of the very same build can be looked through.
            .env("CARGO_PROFILE_ENCLAVE_STRIP", "none")
            .env(
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
                "-Ctarget-feature=+crt-static -Clink-arg=-Wl,--build-id=none",
            )
            .env("RUSTC_WRAPPER", wrapper)
            .env(REMAP, mappings.lines())
            .env("CFLAGS_x86_64_unknown_linux_gnu", &c_flags)
            .env("CXXFLAGS_x86_64_unknown_linux_gnu", &c_flags)
            .env("SOURCE_DATE_EPOCH", "0"),
        &folders.workspace,
    )?;
    let with_symbols = folders.target.join(TARGET).join(PROFILE).join(package);
    let shipped = with_symbols.with_extension("stripped");
    output(command("strip").arg("--strip-all").arg("-o").arg(&shipped).arg(&with_symbols))?;
    mappings.require_absent_from(&shipped)?;
    Ok(Built { shipped, with_symbols })
}

/// Folders of this machine and what they are called in the binary.
struct Mappings(Vec<(String, &'static str)>);

impl Mappings {
    fn new(folders: &Folders) -> Result<Self, BinaryError> {
        let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
        let cargo_home = env::var_os("CARGO_HOME").map_or_else(
            || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo"),
            PathBuf::from,
        );
        let canonical = |path: &Path| {
            let found = fs::canonicalize(path);
            found
                .map(|path| path.to_string_lossy().into_owned())
                .map_err(|error| BinaryError::File(path.to_owned(), error))
        };
        fs::create_dir_all(&folders.target)
            .map_err(|error| BinaryError::File(folders.target.clone(), error))?;
        // rustc takes the last one that fits: the narrower folder comes last.
        let mut mappings = vec![
            (canonical(&cargo_home)?, "/cargo"),
            (canonical(Path::new(sysroot.trim()))?, "/rust"),
            (canonical(&folders.workspace)?, "/nitro-signer"),
            (canonical(&folders.target)?, "/target"),
        ];
        mappings.sort_by_key(|(folder, _)| folder.len());
        Ok(Self(mappings))
    }

    fn lines(&self) -> String {
        self.0.iter().map(|(from, to)| format!("{from}={to}\n")).collect()
    }

    fn c_flags(&self) -> String {
        let flags = self.0.iter().map(|(from, to)| format!("-ffile-prefix-map={from}={to}"));
        flags.collect::<Vec<_>>().join(" ")
    }

    fn require_absent_from(&self, binary: &Path) -> Result<(), BinaryError> {
        let bytes =
            fs::read(binary).map_err(|error| BinaryError::File(binary.to_owned(), error))?;
        let home = env::var("HOME").ok().filter(|home| home.len() > 1);
        let names = self.0.iter().map(|(from, _)| from).chain(&home);
        for name in names {
            if bytes.windows(name.len()).any(|window| window == name.as_bytes()) {
                return Err(BinaryError::LocalPath(name.clone()));
            }
        }
        Ok(())
    }
}

/// If cargo called this program in rustc's place: becomes rustc with the mappings added, and does
/// not return. Otherwise it does nothing.
pub fn wrap_rustc() {
    let Ok(remap) = env::var(REMAP) else { return };
    let mut arguments = env::args_os().skip(1);
    // cargo's wrapper protocol: the compiler's path, then its arguments.
    let Some(rustc) = arguments.next() else { return };
    let mappings = remap.lines().map(|line| OsString::from(format!("--remap-path-prefix={line}")));
    let error = Command::new(&rustc).args(arguments).args(mappings).env_remove(REMAP).exec();
    eprintln!("{}: {error}", rustc.to_string_lossy());
    std::process::exit(127);
}
