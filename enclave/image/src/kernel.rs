//! The kernel: Debian's sources of one version, pinned by hash, with our own small configuration.
//!
//! It is built once and kept in the cache under the hash of everything that decides its bytes:
//! source, configuration, this recipe, compiler and linker.

use crate::command::{CommandError, command, output, run};
use crate::toolchain;
use aws_lc_rs::digest::{Context, SHA256, digest};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

/// The kernel's version.
pub const VERSION: &str = "6.12.117";
/// Debian's package of its sources, whose version holds Debian's and the vendor's patches.
const PACKAGE: &str = "linux-source-6.12";
const PACKAGE_VERSION: &str = "6.12.117-1~deb12u1";
const PACKAGE_SHA256: &str = "e849faf31ca3555757f3a8877cb01af92122f744f75d1f3102734651c4e14703";
/// The archive in it.
const ARCHIVE: &str = "usr/src/linux-source-6.12.tar.xz";
const FOLDER: &str = "linux-source-6.12";
const CONFIG: &str = include_str!("../kernel/config");
/// Raised when what `make` is given changes without a change of any other input.
const RECIPE: &str = "1";
/// What the kernel says of its own build, in place of a clock, a user and a host.
const BUILD: [(&str, &str); 4] = [
    ("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 1970"),
    ("KBUILD_BUILD_USER", "nitro-signer"),
    ("KBUILD_BUILD_HOST", "nitro-signer"),
    ("KBUILD_BUILD_VERSION", "1"),
];

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum KernelError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    #[error(
        "the package of the kernel's sources cannot be had from apt ({why}). Put it, from Debian's \
         snapshot archive, where it is looked for, and try again: {}",
        at.display()
    )]
    Source { why: CommandError, at: PathBuf },
    #[error("{}: not the pinned sources: its SHA-256 is {}", .0.display(), .1)]
    Hash(PathBuf, String),
    #[error("the kernel does not take {0}; an option it needs is missing")]
    Option(String),
    #[error("{0}: the text to be edited does not stand there once")]
    Edit(&'static str),
}

/// A kernel that was built.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The bzImage.
    pub image: PathBuf,
    /// Its whole configuration.
    pub config: PathBuf,
}

/// A kernel's configuration: every option that is not named is off.
#[derive(Clone, Debug)]
pub struct Config {
    options: String,
    edit: Option<Edit>,
}

/// A text in one file of the sources, and what stands there instead. No image that ships has one.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// The file, from the top of the sources.
    pub file: &'static str,
    /// What stands there, once.
    pub from: &'static str,
    /// What is to stand there.
    pub to: &'static str,
}

impl Config {
    /// The enclave's.
    #[must_use]
    pub fn enclave() -> Self {
        Self { options: CONFIG.to_owned(), edit: None }
    }

    /// The enclave's, and these options; for tests.
    #[must_use]
    pub fn enclave_and(options: &str) -> Self {
        Self { options: format!("{CONFIG}{options}"), edit: None }
    }

    /// The same, of sources with this edit; for tests.
    #[must_use]
    pub fn edited(self, edit: Edit) -> Self {
        Self { edit: Some(edit), ..self }
    }
}

/// Where this machine keeps the kernel of these sources, configuration and tools.
///
/// # Errors
/// [`CommandError`] if a tool is missing.
pub fn folder(cache: &Path, config: &Config) -> Result<PathBuf, CommandError> {
    let mut inputs = Context::new(&SHA256);
    let tools = toolchain::versions()?;
    let edit = config.edit.iter().flat_map(|edit| [edit.file, edit.from, edit.to]);
    let known = [RECIPE, PACKAGE_SHA256, &config.options, &tools["compiler"], &tools["linker"]];
    for input in known.into_iter().chain(edit) {
        inputs.update(&(input.len() as u64).to_be_bytes());
        inputs.update(input.as_bytes());
    }
    Ok(cache.join(format!("kernel-{}", hex::encode(&inputs.finish().as_ref()[..8]))))
}

/// The kernel: from the cache, or built into it, which takes some twenty minutes of one processor.
///
/// # Errors
/// [`KernelError`].
pub fn kernel(cache: &Path, config: &Config) -> Result<Kernel, KernelError> {
    let folder = folder(cache, config)?;
    let kernel = |at: &Path| Kernel { image: at.join("bzImage"), config: at.join("config") };
    if kernel(&folder).image.exists() {
        return Ok(kernel(&folder));
    }
    let in_file = |error| KernelError::File(folder.clone(), error);
    fs::create_dir_all(cache).map_err(in_file)?;
    let work = tempfile::Builder::new().prefix("kernel-build-").tempdir_in(cache);
    let work = work.map_err(in_file)?;
    let built = build(work.path(), &source(cache)?, config)?;

    // Whole or not at all: two builders end with the same bytes, and the first one wins.
    let whole = work.path().join("whole");
    fs::create_dir(&whole).map_err(in_file)?;
    fs::rename(&built.image, kernel(&whole).image).map_err(in_file)?;
    fs::rename(&built.config, kernel(&whole).config).map_err(in_file)?;
    match fs::rename(&whole, &folder) {
        Err(error) if !kernel(&folder).image.exists() => Err(in_file(error)),
        _ => Ok(kernel(&folder)),
    }
}

/// Builds the kernel in this folder from this package, whatever the cache holds.
///
/// # Errors
/// [`KernelError`].
pub fn build(work: &Path, package: &Path, config: &Config) -> Result<Kernel, KernelError> {
    let in_file = |path: &Path| {
        let path = path.to_owned();
        move |error| KernelError::File(path, error)
    };
    let (package_in, out) = (work.join("package"), work.join("out"));
    fs::create_dir_all(&out).map_err(in_file(&out))?;
    output(command("dpkg-deb").arg("-x").arg(package).arg(&package_in))?;
    output(command("tar").arg("-xJf").arg(package_in.join(ARCHIVE)).arg("-C").arg(work))?;
    fs::remove_dir_all(&package_in).map_err(in_file(&package_in))?;

    let (sources, options) = (work.join(FOLDER), work.join("options"));
    if let Some(edit) = &config.edit {
        apply(edit, &sources)?;
    }
    fs::write(&options, &config.options).map_err(in_file(&options))?;
    let mut all = OsString::from("KCONFIG_ALLCONFIG=");
    all.push(&options);
    output(make(&sources, &out).arg(all).arg("allnoconfig"))?;
    let whole = out.join(".config");
    require_options(config, &fs::read_to_string(&whole).map_err(in_file(&whole))?)?;
    let jobs = available_parallelism().map_or(1, usize::from);
    run(make(&sources, &out).arg(format!("-j{jobs}")).args(["--silent", "bzImage"]), work)?;
    Ok(Kernel { image: out.join("arch/x86/boot/bzImage"), config: whole })
}

/// The package of the sources, its hash checked whether or not it lay in the cache.
///
/// # Errors
/// [`KernelError::Source`] or [`KernelError::Hash`].
pub fn source(cache: &Path) -> Result<PathBuf, KernelError> {
    let path = cache.join(format!("{PACKAGE}_{PACKAGE_VERSION}_all.deb"));
    if !path.exists() {
        let version = format!("{PACKAGE}={PACKAGE_VERSION}");
        output(command("apt-get").args(["download", &version]).current_dir(cache))
            .map_err(|why| KernelError::Source { why, at: path.clone() })?;
    }
    let found = sha256(&path).map_err(|error| KernelError::File(path.clone(), error))?;
    if found == PACKAGE_SHA256 { Ok(path) } else { Err(KernelError::Hash(path, found)) }
}

/// The kernel's bytes as lower-case hex of their SHA-256.
///
/// # Errors
/// The file system's.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(hex::encode(digest(&SHA256, &bytes)))
}

fn make(sources: &Path, out: &Path) -> Command {
    let mut make = command("make");
    make.arg("-C").arg(sources).arg(format!("O={}", out.display())).envs(BUILD);
    make
}

fn apply(edit: &Edit, sources: &Path) -> Result<(), KernelError> {
    let path = sources.join(edit.file);
    let in_file = |error| KernelError::File(path.clone(), error);
    let text = fs::read_to_string(&path).map_err(in_file)?;
    if text.matches(edit.from).count() != 1 {
        return Err(KernelError::Edit(edit.file));
    }
    fs::write(&path, text.replace(edit.from, edit.to)).map_err(in_file)
}

/// Kconfig drops an option without a word if one that it needs is off.
fn require_options(config: &Config, whole: &str) -> Result<(), KernelError> {
    let asked = config.options.lines().filter(|line| line.starts_with("CONFIG_"));
    let mut lost = asked.filter(|option| !whole.lines().any(|line| line == *option));
    lost.next().map_or(Ok(()), |option| Err(KernelError::Option(option.to_owned())))
}
