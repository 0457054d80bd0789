//! What a command says at its end: a report, or a failure with its exit code.

use nitro_signer_shared::attestation::{Finding, Rejection};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// The form of a command's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people, in colour on a terminal.
    Text,
    /// For programs, by stable keys.
    Json,
    /// For CI systems, of commands that judge.
    Junit,
}

impl Format {
    /// The form with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            "junit" => Some(Self::Junit),
            _ => None,
        }
    }
}

/// What a line says of its matter, shown as its colour.
#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
}

impl Tone {
    /// The terminal's codes around a line (ECMA-48, select graphic rendition).
    const fn codes(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("", ""),
            Self::Good => ("\x1b[32m", "\x1b[0m"),
            Self::Warn => ("\x1b[33m", "\x1b[0m"),
            Self::Bad => ("\x1b[31m", "\x1b[0m"),
        }
    }
}

/// What a command found, for people and for programs.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<(Tone, String)>,
    json: Value,
    junit: Option<String>,
    format: Option<Format>,
    exit: u8,
}

impl Report {
    pub(super) const fn new(json: Value) -> Self {
        Self { lines: Vec::new(), json, junit: None, format: None, exit: 0 }
    }

    /// One line of the text.
    pub(super) fn line(self, line: impl std::fmt::Display) -> Self {
        self.toned(Tone::Plain, line)
    }

    /// A line that says that something is as it should be.
    pub(super) fn good(self, line: impl std::fmt::Display) -> Self {
        self.toned(Tone::Good, line)
    }

    /// A line that says what is not known.
    pub(super) fn warn(self, line: impl std::fmt::Display) -> Self {
        self.toned(Tone::Warn, line)
    }

    /// A line that says that something is not as it should be.
    pub(super) fn bad(self, line: impl std::fmt::Display) -> Self {
        self.toned(Tone::Bad, line)
    }

    fn toned(mut self, tone: Tone, line: impl std::fmt::Display) -> Self {
        self.lines.push((tone, line.to_string()));
        self
    }

    /// One named value of the text.
    pub(super) fn field(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.line(format_args!("{name:<18}{value}"))
    }

    /// The report of something that is not as it should be.
    pub(super) const fn exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// As JUnit has it.
    pub(super) fn junit(mut self, xml: String) -> Self {
        self.junit = Some(xml);
        self
    }

    /// In this form, whatever the global option says.
    pub(super) fn format(mut self, format: Option<Format>) -> Self {
        self.format = format.or(self.format);
        self
    }

    /// The text and the JSON.
    #[cfg(test)]
    pub(super) fn into_parts(self) -> (String, Value) {
        (self.text(false), self.json)
    }

    /// What the process ends with.
    #[cfg(test)]
    pub(super) const fn exit_code(&self) -> u8 {
        self.exit
    }

    pub(super) fn print(self, json: bool) -> ExitCode {
        let format = self.format.unwrap_or(if json { Format::Json } else { Format::Text });
        let text = match (format, &self.junit) {
            (Format::Junit, Some(xml)) => xml.clone(),
            (Format::Json | Format::Junit, _) => format!("{:#}\n", self.json),
            (Format::Text, _) => self.text(in_colour()),
        };
        match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(self.exit),
            // Whoever was to read it is gone: that is no success.
            Err(_) => ExitCode::from(1),
        }
    }

    fn text(&self, coloured: bool) -> String {
        let mut text = String::new();
        for (tone, line) in &self.lines {
            let (before, after) = if coloured { tone.codes() } else { ("", "") };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{before}{}{after}", shown(line));
        }
        text
    }
}

/// Text for a terminal, in which whoever wrote it can neither move the cursor nor turn the order of
/// the letters: control characters, and those that change direction, are replaced.
fn shown(text: &str) -> String {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let unseen = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || turns(c);
    text.chars().map(|c| if unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether standard output is a terminal whose user has not asked for plain text (no-color.org).
fn in_colour() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !plain
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    exit: u8,
    code: String,
    message: String,
}

impl Failure {
    fn new(exit: u8, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into() }
    }

    /// Refused by the appliance, with its stable code.
    pub(super) fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::new(1, code, message)
    }

    /// What came back is not what was asked for.
    pub(super) fn mismatch(message: impl Into<String>) -> Self {
        Self::new(1, "mismatch", message)
    }

    /// The command was given something it cannot use.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, "usage", message)
    }

    /// The attestation document, or what comes with it, cannot be read.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(3, "malformed", message)
    }

    /// The appliance cannot be reached.
    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(7, "unreachable", message)
    }

    /// nitro-cli failed, or gave no answer.
    pub(super) fn of_nitro_cli(code: &str, message: impl Into<String>) -> Self {
        Self::new(7, code, message)
    }

    /// The enclave is not what was meant: 6 in debug mode, else 1.
    pub(super) fn of_enclave(exit: u8, code: &str, message: impl Into<String>) -> Self {
        Self::new(exit, code, message)
    }

    /// What the process ends with.
    pub(super) const fn exit_code(&self) -> u8 {
        self.exit
    }

    /// The stable code.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    pub(super) fn print(self, json: bool) -> ExitCode {
        if json {
            let error = json!({ "error": { "code": self.code, "message": self.message } });
            println!("{error:#}");
        }
        eprintln!("nitro-signer: {} ({})", shown(&self.message), shown(&self.code));
        ExitCode::from(self.exit)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let code = rejection.finding().code();
        let message = format!("{} Found: {}", rejection.finding().rule(), rejection.detail());
        Self::new(exit_code(rejection.finding()), code, message)
    }
}

/// The exit code of a finding: 3 malformed, 4 chain or signature, 5 time, 6 debug, 1 expectations.
pub(super) const fn exit_code(finding: Finding) -> u8 {
    use Finding::{
        A1, A7, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, E1, E2, E3, E4, E5, E6, E7, E8, P1, P2,
        P3, P4, P5, P6, P7, P8, P9, P10, P11, S1, S2, T1, T2, T3,
    };
    match finding {
        E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8 => 3,
        P1 | P2 | P3 | P4 | P5 | P6 | P7 | P8 | P9 | P10 | P11 => 3,
        C1 | C2 | C3 | C4 | C5 | C6 | C8 | C9 | C10 | S1 | S2 | A7 => 4,
        C7 | T1 | T2 | T3 => 5,
        A1 => 6,
        Finding::A2 | Finding::A3 | Finding::A4 | Finding::A5 | Finding::A6 | Finding::A8 => 1,
    }
}

/// Reads a file, or standard input for `-`, of at most `limit` bytes.
pub(super) fn read_input(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let failed = |e: std::io::Error| Failure::usage(format!("{}: {e}", path.display()));
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Failure::usage(format!("{}: longer than {limit} bytes", path.display())));
    }
    Ok(bytes)
}

/// `N` random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Failure::usage("the system gives no random numbers"))?;
    Ok(bytes)
}

/// Milliseconds of Unix time by this machine's clock.
pub(super) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}1m\u{202e}b\r\nc\td";
        let (text, _) = Report::default().bad(hostile).into_parts();
        assert_eq!(text, "a\u{fffd}[2J\u{fffd}1m\u{fffd}b\u{fffd}\nc\td\n");
        let coloured = Report::default().good(hostile).text(true);
        assert_eq!(coloured, format!("\u{1b}[32m{}\u{1b}[0m\n", text.trim_end()));
    }
}
