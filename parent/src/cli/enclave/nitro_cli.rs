//! nitro-cli, run as a program: exact arguments and no shell, bounded output, bounded time.
//!
//! What it prints is the host's word. It is read so that people find mistakes early; nothing that
//! is learnt here may be called verified.
//!
//! Its forms: `EnclaveDescribeInfo`, `EnclaveRunInfo` and `EnclaveTerminateInfo` of
//! aws-nitro-enclaves-cli, `src/common/json_output.rs`. Its errors are text on standard error, with
//! a code such as `[ E26 ]`.

use super::Resources;
use super::image::ListedImage;
use crate::cli::attestation::duration_ms;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// The most that a call may print on either side. An enclave's description takes a kilobyte, and an
/// instance runs four at most.
const MAX_OUTPUT: usize = 65_536;
/// The most enclaves that a description may list.
const MAX_ENCLAVES: usize = 64;
/// How much of an error is shown.
const MAX_SHOWN: usize = 400;
/// How long a call that starts nothing may take, if the caller does not allow less.
const LIST_DEADLINE: Duration = Duration::from_secs(20);
/// How long its output may stay open when it has ended: what it started may hold on to it.
const LINGER: Duration = Duration::from_secs(2);

/// Where nitro-cli is, and how long it is waited for.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "nitro-cli")]
pub(in crate::cli) struct NitroCli {
    /// nitro-cli: its path, or its name on PATH.
    #[arg(long = "nitro-cli", value_name = "PROGRAM", default_value = "nitro-cli")]
    program: PathBuf,
    /// How long nitro-cli may take to start an enclave, for example 90s. It waits two minutes
    /// itself for the enclave to boot.
    #[arg(long = "nitro-cli-deadline", value_name = "DURATION", default_value = "3m",
        value_parser = duration)]
    deadline: Duration,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match duration_ms(text)? {
        0 => Err("longer than nothing".to_owned()),
        ms => Ok(Duration::from_millis(ms)),
    }
}

/// Why nitro-cli gave no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum NitroCliError {
    #[error(
        "{program} cannot be run: {source}. Install aws-nitro-enclaves-cli, or name it by --nitro-cli"
    )]
    Missing { program: String, source: std::io::Error },
    #[error("nitro-cli {verb} did not end within {} s and was ended", after.as_secs_f32())]
    Hung { verb: &'static str, after: Duration },
    #[error("nitro-cli {verb} printed more than {MAX_OUTPUT} bytes and was ended")]
    TooLong { verb: &'static str },
    #[error("nitro-cli {verb} failed{}: {said}", code.as_ref().map_or(String::new(), |code| format!(" with {code}")))]
    Failed { verb: &'static str, code: Option<String>, said: String },
    #[error("nitro-cli {verb} printed what is not its JSON: {what}")]
    Form { verb: &'static str, what: String },
    #[error("nitro-cli says that it ended enclave {0}, and still lists it")]
    StillThere(String),
}

impl NitroCliError {
    /// The stable code.
    pub(in crate::cli) const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "nitro_cli_missing",
            Self::Hung { .. } => "nitro_cli_hung",
            Self::TooLong { .. } => "nitro_cli_too_long",
            Self::Failed { .. } => "nitro_cli_failed",
            Self::Form { .. } => "nitro_cli_form",
            Self::StillThere(_) => "nitro_cli_still_there",
        }
    }

    /// What to do about it.
    pub(in crate::cli) fn remedy(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "Install aws-nitro-enclaves-cli, or name it by --nitro-cli.".to_owned()
            }
            Self::Failed { code: Some(code), .. } => {
                format!("AWS's list of nitro-cli's errors says what {code} asks for.")
            }
            Self::Failed { .. } | Self::Hung { .. } => {
                "Run it by hand as this user; check that the user is in the group `ne`, and \
                 /var/log/nitro_enclaves."
                    .to_owned()
            }
            Self::TooLong { .. } | Self::Form { .. } => {
                "Check that --nitro-cli names AWS's nitro-cli, 1.2 or later.".to_owned()
            }
            Self::StillThere(id) => {
                format!("End it by `nitro-cli terminate-enclave --enclave-id {id}`.")
            }
        }
    }
}

/// An enclave's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, so that it can be no option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct EnclaveName(String);

impl FromStr for EnclaveName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
        let good = text.len() <= 64
            && text.bytes().all(plain)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err("use [A-Za-z0-9][A-Za-z0-9._-]{0,63}".to_owned())
        }
    }
}

impl fmt::Display for EnclaveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An enclave as `describe-enclaves` shows it: the host's word. Further members are not looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::cli) struct Described {
    #[serde(default)]
    pub(super) enclave_name: Option<String>,
    #[serde(rename = "EnclaveID")]
    pub(super) enclave_id: String,
    #[serde(rename = "EnclaveCID")]
    pub(in crate::cli) enclave_cid: u64,
    #[serde(rename = "NumberOfCPUs")]
    pub(in crate::cli) number_of_cpus: u64,
    #[serde(rename = "MemoryMiB")]
    pub(in crate::cli) memory_mib: u64,
    pub(super) state: String,
    pub(super) flags: String,
    #[serde(default)]
    pub(super) measurements: Option<serde_json::Value>,
}

impl Described {
    pub(in crate::cli) fn is_named(&self, name: &EnclaveName) -> bool {
        self.enclave_name.as_deref() == Some(name.0.as_str())
    }
}

#[derive(Deserialize)]
struct Run {
    #[serde(rename = "EnclaveName")]
    name: String,
    #[serde(rename = "EnclaveID")]
    id: String,
}

#[derive(Deserialize)]
struct Terminated {
    #[serde(rename = "Terminated")]
    terminated: bool,
}

impl NitroCli {
    /// What `--version` prints.
    pub(in crate::cli) async fn version(&self) -> Result<String, NitroCliError> {
        let printed = self.call("--version", &[], self.list_deadline()).await?;
        Ok(shortened(&String::from_utf8_lossy(&printed)))
    }

    /// The enclaves that run on this host.
    pub(in crate::cli) async fn describe(&self) -> Result<Vec<Described>, NitroCliError> {
        let verb = "describe-enclaves";
        let printed = self.call(verb, &[], self.list_deadline()).await?;
        let listed: Vec<Described> = read(verb, &printed)?;
        let form = |what: String| Err(NitroCliError::Form { verb, what });
        if listed.len() > MAX_ENCLAVES {
            return form(format!("{} enclaves", listed.len()));
        }
        match listed.iter().find(|enclave| !is_id(&enclave.enclave_id)) {
            Some(enclave) => form(format!("the id {:?}", shortened(&enclave.enclave_id))),
            None => Ok(listed),
        }
    }

    /// Starts an enclave of this image. Never in debug mode: there is no way to ask for it. If it
    /// fails, what may have started is ended.
    pub(in crate::cli) async fn start(
        &self,
        name: &EnclaveName,
        image: &ListedImage,
        resources: Resources,
    ) -> Result<Started<'_>, NitroCliError> {
        let number = |n: u32| OsString::from(n.to_string());
        let mut arguments = vec![
            OsString::from("--eif-path"),
            image.path().into(),
            "--memory".into(),
            number(resources.memory),
            "--cpu-count".into(),
            number(resources.cpus),
            "--enclave-name".into(),
            name.0.clone().into(),
        ];
        if let Some(cid) = resources.cid {
            arguments.extend(["--enclave-cid".into(), number(cid)]);
        }
        let mut started = Started { cli: self, name: name.clone(), id: None, over: false };
        let verb = "run-enclave";
        let ran = self.call(verb, &arguments, self.deadline).await;
        let ran =
            ran.and_then(|printed| read::<Run>(verb, &printed)).and_then(|Run { name, id }| {
                let what = format!("the enclave {name:?} with the id {id:?}");
                started.id = is_id(&id).then_some(id);
                // A name that is taken gets a number behind it: then it would not be found again.
                let good = name == started.name.0 && started.id.is_some();
                good.then_some(()).ok_or(NitroCliError::Form { verb, what })
            });
        match ran {
            Ok(()) => Ok(started),
            // Why it did not start is the better answer, unless something is left running.
            Err(error) => match started.end().await {
                Err(left @ NitroCliError::StillThere(_)) => Err(left),
                _ => Err(error),
            },
        }
    }

    /// Ends every enclave of this name; says how many there were.
    pub(super) async fn end(&self, name: &EnclaveName) -> Result<usize, NitroCliError> {
        let running: Vec<_> =
            self.describe().await?.into_iter().filter(|e| e.is_named(name)).collect();
        for enclave in &running {
            self.terminate(&enclave.enclave_id).await?;
        }
        Ok(running.len())
    }

    /// Ends this enclave, if it is still there.
    async fn end_one(&self, id: &str) -> Result<(), NitroCliError> {
        let listed = self.describe().await?.iter().any(|enclave| enclave.enclave_id == id);
        if listed { self.terminate(id).await } else { Ok(()) }
    }

    async fn terminate(&self, id: &str) -> Result<(), NitroCliError> {
        let verb = "terminate-enclave";
        let arguments = ["--enclave-id".into(), OsString::from(id)];
        let printed = self.call(verb, &arguments, self.list_deadline()).await?;
        let told = read::<Terminated>(verb, &printed)?.terminated;
        let listed = self.describe().await?.iter().any(|enclave| enclave.enclave_id == id);
        if told && !listed { Ok(()) } else { Err(NitroCliError::StillThere(id.to_owned())) }
    }

    fn list_deadline(&self) -> Duration {
        self.deadline.min(LIST_DEADLINE)
    }

    /// What one call prints on standard output, if it succeeds.
    async fn call(
        &self,
        verb: &'static str,
        arguments: &[OsString],
        deadline: Duration,
    ) -> Result<Vec<u8>, NitroCliError> {
        let mut command = Command::new(&self.program);
        command.arg(verb).args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-c is for us: nitro-cli is not to stop half-way through.
        command.process_group(0);
        let missing = |source| {
            let program = self.program.display().to_string();
            NitroCliError::Missing { program, source }
        };
        let mut child = command.spawn().map_err(missing)?;
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let mut out = child.stdout.take().expect("is piped");
        let mut err = child.stderr.take().expect("is piped");
        let working = async {
            let mut reading = Box::pin(async {
                tokio::try_join!(gather(&mut out, &mut said), gather(&mut err, &mut complained))
            });
            tokio::select! {
                read = &mut reading => {
                    read.map_err(|TooLong| NitroCliError::TooLong { verb })?;
                    child.wait().await.map_err(missing)
                }
                status = child.wait() => {
                    if let Ok(read) = tokio::time::timeout(LINGER, &mut reading).await {
                        read.map_err(|TooLong| NitroCliError::TooLong { verb })?;
                    }
                    status.map_err(missing)
                }
            }
        };
        // Dropping the child ends it.
        let status = tokio::time::timeout(deadline, working)
            .await
            .map_err(|_| NitroCliError::Hung { verb, after: deadline })??;
        if status.success() { Ok(said) } else { Err(failed(verb, &complained)) }
    }

    /// Ends an enclave without a runtime, as well as that can be done.
    fn end_blocking(&self, option: &str, value: &str) {
        let mut command = std::process::Command::new(&self.program);
        command.args(["terminate-enclave", option, value]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return };
        let until = Instant::now() + self.list_deadline();
        while Instant::now() < until && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// An enclave that this process started, or may have started: it is ended when this is dropped,
/// unless it was given up by [`Started::keep`].
pub(in crate::cli) struct Started<'a> {
    cli: &'a NitroCli,
    /// No other enclave had it before the start.
    name: EnclaveName,
    /// As nitro-cli said it, if it came so far.
    id: Option<String>,
    over: bool,
}

impl Started<'_> {
    /// Leaves the enclave running.
    pub(super) fn keep(mut self) {
        self.over = true;
    }

    /// Ends the enclave, and sees that it is gone.
    pub(in crate::cli) async fn end(mut self) -> Result<(), NitroCliError> {
        match &self.id {
            Some(id) => self.cli.end_one(id).await?,
            None => drop(self.cli.end(&self.name).await?),
        }
        self.over = true;
        Ok(())
    }
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        match &self.id {
            _ if self.over => {}
            Some(id) => self.cli.end_blocking("--enclave-id", id),
            None => self.cli.end_blocking("--enclave-name", &self.name.0),
        }
    }
}

struct TooLong;

/// Everything until the end, and no more than is allowed. What cannot be read is as good as ended.
async fn gather(from: &mut (impl AsyncRead + Unpin), into: &mut Vec<u8>) -> Result<(), TooLong> {
    while matches!(from.read_buf(into).await, Ok(1..)) {
        if into.len() > MAX_OUTPUT {
            return Err(TooLong);
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(verb: &'static str, printed: &[u8]) -> Result<T, NitroCliError> {
    let what = |e: serde_json::Error| NitroCliError::Form { verb, what: e.to_string() };
    serde_json::from_slice(printed).map_err(what)
}

/// Whether this can stand as an argument and be no option: nitro-cli's ids are
/// `i-<hex>-enc<hex>`.
fn is_id(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}

fn failed(verb: &'static str, complained: &[u8]) -> NitroCliError {
    let text = String::from_utf8_lossy(complained);
    let coded = text.lines().find_map(|line| {
        let (code, said) = line.trim_start().strip_prefix("[ ")?.split_once(" ]")?;
        let digits = code.strip_prefix('E')?;
        let is_code = matches!(digits.len(), 1..=3) && digits.bytes().all(|c| c.is_ascii_digit());
        is_code.then(|| (code.to_owned(), shortened(said)))
    });
    match coded {
        Some((code, said)) => NitroCliError::Failed { verb, code: Some(code), said },
        None => {
            let last = text.lines().rev().find(|line| !line.trim().is_empty());
            let said = last.map_or_else(|| "it says nothing".to_owned(), shortened);
            NitroCliError::Failed { verb, code: None, said }
        }
    }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(MAX_SHOWN).collect()
}

/// So that a path is never taken for an option.
pub(super) fn argument(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_its_code() {
        let check = |text: &str, code: Option<&str>, said: &str| {
            let NitroCliError::Failed { code: found, said: shown, .. } =
                failed("run-enclave", text.as_bytes())
            else {
                unreachable!("fails")
            };
            assert_eq!((found.as_deref(), shown.as_str()), (code, said), "{text}");
        };
        check(
            "Start allocating memory...\n[ E26 ] Insufficient memory requested.\n\nFor more details",
            Some("E26"),
            "Insufficient memory requested.",
        );
        check("[ E39 ] first\n[ E11 ] second\n", Some("E39"), "first");
        check("error: a wrong argument\n\n", None, "error: a wrong argument");
        check("[ EX ] no code", None, "[ EX ] no code");
        check("", None, "it says nothing");
    }

    #[test]
    fn names_and_ids_are_never_options() {
        for good in ["a", "nitro-signer", "A.b_c-1", &"a".repeat(64)] {
            assert!(good.parse::<EnclaveName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "--all", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(bad.parse::<EnclaveName>().is_err(), "{bad}");
        }
        assert!(is_id("i-016e846cc7c56af05-enc196a64a382f7715"));
        for bad in ["", "--all", "i-1 x", &"a".repeat(129)] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
