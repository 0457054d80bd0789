//! `image`: builds the enclave image that ships, and holds it to the committed measurements.

use clap::{Parser, Subcommand};
use nitro_signer_image::binary::{self, Folders};
use nitro_signer_image::kernel::Config;
use nitro_signer_image::release::{self, Choices, Comparison, Release};
use nitro_signer_image::signing::Signer;
use nitro_signer_image::{kernel, toolchain};
use nitro_signer_shared::manifest::{MAX_MANIFEST, Manifest};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Builds the enclave image, its kernel and its measurements, reproducibly. Needs Debian's gcc,
/// binutils, make, flex, bison, bc, libelf-dev and xz-utils; no Docker and no nitro-cli.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
    /// Where kernels and downloads are kept [default: ~/.cache/nitro-signer].
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Where cargo builds [default: CARGO_TARGET_DIR, or target in the workspace].
    #[arg(long, global = true, value_name = "DIR")]
    target_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Task {
    /// Build enclave.eif and measurements.json.
    #[command(after_help = "\
Examples:
  image build --out target/image
  image build --out target/image --manifest manifest.cbor
  image build --out target/image --sign-key key.pem --sign-cert certificate.pem
  image build --out target/image --commit

Exit codes: 0 built, and with --check as committed; 1 not as committed, 2 usage or failure,
3 other tools than those of the committed measurements, so that nothing was compared.")]
    Build(Build),
    /// Build the kernel alone, or find it in the cache, and print where it is.
    Kernel {
        /// Build it again in this folder, whatever the cache holds.
        #[arg(long, value_name = "DIR")]
        again_in: Option<PathBuf>,
        /// Add the options of this file; such a kernel is for tests.
        #[arg(long, value_name = "FILE")]
        and: Option<PathBuf>,
    },
    /// Print the versions of the tools that decide the image's bytes.
    Toolchain,
}

#[derive(clap::Args)]
struct Build {
    /// The folder for enclave.eif and measurements.json.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Build this manifest in: PCR0 then covers it, and the enclave refuses any other.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Sign the image with this key (PEM, on P-256, P-384 or P-521), which gives it a PCR8.
    #[arg(long, value_name = "PEM", requires = "sign_cert")]
    sign_key: Option<PathBuf>,
    /// The certificate of that key.
    #[arg(long, value_name = "PEM", requires = "sign_key")]
    sign_cert: Option<PathBuf>,
    /// Fail unless the measurements are those committed in enclave/measurements.json.
    #[arg(long, conflicts_with_all = ["manifest", "sign_key", "commit"])]
    check: bool,
    /// Write enclave/measurements.json anew, to be committed.
    #[arg(long, conflicts_with_all = ["manifest", "sign_key"])]
    commit: bool,
}

fn main() -> ExitCode {
    binary::wrap_rustc();
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("image: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Outcome<ExitCode> {
    let cache = match arguments.cache {
        Some(cache) => cache,
        None => default_cache().ok_or("HOME is not set; say --cache DIR")?,
    };
    match arguments.task {
        Task::Build(build) => {
            let workspace = workspace()?;
            let target = arguments
                .target_dir
                .or_else(|| env::var_os("CARGO_TARGET_DIR").map(PathBuf::from))
                .unwrap_or_else(|| workspace.join("target"));
            let target = std::path::absolute(target)?;
            build.run(&cache, &Folders { workspace, target })
        }
        Task::Kernel { again_in, and } => {
            let config = match and {
                Some(path) => Config::enclave_and(&fs::read_to_string(path)?),
                None => Config::enclave(),
            };
            let kernel = match again_in {
                Some(dir) => {
                    fs::create_dir_all(&dir)?;
                    kernel::build(&std::path::absolute(dir)?, &kernel::source(&cache)?, &config)?
                }
                None => kernel::kernel(&cache, &config)?,
            };
            println!("{} {}", kernel::sha256(&kernel.image)?, kernel.image.display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Toolchain => {
            for (tool, version) in toolchain::versions()? {
                println!("{tool}: {version}");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Build {
    fn run(&self, cache: &Path, folders: &Folders) -> Outcome<ExitCode> {
        let choices = Choices { manifest: self.manifest()?, signer: self.signer()? };
        let release = release::build(folders, cache, &env::current_exe()?, &choices)?;
        fs::create_dir_all(&self.out)?;
        let json = format!("{}\n", release.file().to_json());
        fs::write(self.out.join("enclave.eif"), &release.assembled.eif)?;
        fs::write(self.out.join("measurements.json"), &json)?;
        show(&release, &self.out);
        if self.commit {
            fs::write(folders.workspace.join(release::COMMITTED), &json)?;
            println!("wrote {}", release::COMMITTED);
        }
        if !self.check {
            return Ok(ExitCode::SUCCESS);
        }
        Ok(match release::compare(&release, &folders.workspace)? {
            Comparison::Same => {
                println!("measurements: as committed in {}", release::COMMITTED);
                ExitCode::SUCCESS
            }
            Comparison::Moved => {
                println!(
                    "measurements: NOT those of {}. If the change of the enclave is meant, run \
                     `image build --out DIR --commit` and commit the file",
                    release::COMMITTED
                );
                ExitCode::FAILURE
            }
            Comparison::OtherTools(tools) => {
                println!(
                    "measurements: NOT COMPARED with {}, which other tools made: {}",
                    release::COMMITTED,
                    tools.join("; ")
                );
                ExitCode::from(3)
            }
        })
    }

    /// The manifest's exact bytes, refused here if the enclave would refuse them.
    fn manifest(&self) -> Outcome<Option<Vec<u8>>> {
        let Some(path) = &self.manifest else { return Ok(None) };
        let named = |error: String| format!("{}: {error}", path.display());
        if fs::metadata(path).map_err(|e| named(e.to_string()))?.len() > MAX_MANIFEST as u64 {
            return Err(named("longer than a manifest may be".to_owned()).into());
        }
        let bytes = fs::read(path).map_err(|e| named(e.to_string()))?;
        Manifest::parse(&bytes).map_err(|e| named(e.to_string()))?;
        Ok(Some(bytes))
    }

    fn signer(&self) -> Outcome<Option<Signer>> {
        let (Some(key), Some(certificate)) = (&self.sign_key, &self.sign_cert) else {
            return Ok(None);
        };
        Ok(Some(Signer::from_pem(&fs::read(key)?, &fs::read(certificate)?)?))
    }
}

fn show(release: &Release, out: &Path) {
    println!("{} bytes in {}", release.assembled.eif.len(), out.join("enclave.eif").display());
    for (name, value) in release.assembled.image.measurements().registers() {
        println!("{name}: {value}");
    }
}

/// The workspace that this program was run in: the nearest folder with a Cargo.lock.
fn workspace() -> Outcome<PathBuf> {
    let here = env::current_dir()?;
    let found = here.ancestors().find(|dir| dir.join("Cargo.lock").exists());
    Ok(found.ok_or("run it in the repository: there is no Cargo.lock here or above")?.to_owned())
}

fn default_cache() -> Option<PathBuf> {
    let named = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = named.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("nitro-signer"))
}
