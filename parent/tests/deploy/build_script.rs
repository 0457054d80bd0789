//! parent/deploy/build-enclave-image before stand-ins for docker and nitro-cli.

use super::{PROGRAM, path};
use nitro_signer_shared::attestation::MeasurementsFile;
use nitro_signer_shared::eif::{self, Architecture, Metadata, Parts};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const RUST_IMAGE: &str =
    "rust@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A folder with the programs that the script calls, and what they were called with.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        fs::create_dir(bench.path().join("out")).unwrap();
        fs::write(bench.path().join("made.eif"), image(b"application")).unwrap();
        let measured = eif::measure(image(b"application").as_slice()).unwrap();
        bench.measures(&measured.measurements().to_json());
        bench.program("docker", "printf '%s\\n' \"$@\" > \"$BENCH/docker.called\"");
        bench.program(
            "nitro-cli",
            r#"[ "$1" = --version ] && { echo "Nitro CLI 1.4.2"; exit 0; }
printf '%s\n' "$@" > "$BENCH/nitro-cli.called"
while [ $# -gt 0 ]; do
    [ "$1" != --output-file ] || cp "$BENCH/made.eif" "$2"
    shift
done
echo "Start building the Enclave Image..." >&2
cat "$BENCH/measured.json""#,
        );
        bench
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn measures(&self, json: &str) {
        fs::write(self.path().join("measured.json"), json).unwrap();
    }

    fn program(&self, name: &str, body: &str) {
        let program = self.path().join(name);
        fs::write(&program, format!("#!/usr/bin/env bash\nset -eu\n{body}\n")).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(path("parent/deploy/build-enclave-image"));
        let out = self.path().join("out");
        command.args([
            "--source".as_ref(),
            path("").as_os_str(),
            "--output".as_ref(),
            out.as_ref(),
        ]);
        command.args(arguments).env("BENCH", self.path()).env("NITRO_SIGNER", PROGRAM);
        for (variable, name) in [("DOCKER", "docker"), ("NITRO_CLI", "nitro-cli")] {
            command.env(variable, self.path().join(name));
        }
        command.output().unwrap()
    }

    fn called(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path().join(format!("{name}.called")));
        text.unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("out")).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn image(application: &[u8]) -> Vec<u8> {
    let parts = Parts {
        architecture: Architecture::X86_64,
        kernel: b"kernel",
        cmdline: "reboot=k",
        ramdisks: &[b"init", application],
        metadata: &Metadata::default(),
        signature: None,
    };
    let mut file = Vec::new();
    eif::write(&parts, &mut file).unwrap();
    file
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_image_is_built_measured_twice_and_named() {
    let bench = Bench::new();
    let output = bench.run(&["--rust-image", RUST_IMAGE, "--version", "0.1.0"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bench.left(), ["enclave.eif", "measurements.json"]);
    let file = fs::read(bench.path().join("out/measurements.json")).unwrap();
    let file = MeasurementsFile::from_json(&file).unwrap();
    let [listed] = file.images() else { panic!("one image") };
    let measured = eif::measure(image(b"application").as_slice()).unwrap();
    assert_eq!(&listed.set, measured.measurements());
    assert_eq!(listed.eif_sha384.as_ref(), Some(measured.eif_sha384()));
    assert_eq!(listed.builder.as_deref(), Some("nitro-cli build-enclave"));
    assert_eq!(listed.version.as_deref(), Some("0.1.0"));
    assert_eq!(listed.toolchain["nitro-cli"], "Nitro CLI 1.4.2");
    assert_eq!(listed.toolchain["rust-image"], RUST_IMAGE);

    let docker = bench.called("docker");
    assert_eq!(docker[0], "build");
    assert!(docker.contains(&format!("RUST_IMAGE={RUST_IMAGE}")), "{docker:?}");
    let nitro_cli = bench.called("nitro-cli");
    assert_eq!(nitro_cli[..3], ["build-enclave", "--docker-uri", "nitro-signer-enclave:build"]);
    assert!(!nitro_cli.iter().any(|word| word.contains("sign") && word.starts_with("--")));
}

#[test]
fn a_signed_image_is_asked_for_by_name() {
    let bench = Bench::new();
    let sign = ["--signing-certificate", "c.pem", "--private-key", "k.pem"];
    let output = bench.run(&[&["--rust-image", RUST_IMAGE][..], &sign].concat());
    assert!(output.status.success(), "{}", said(&output));
    let called = bench.called("nitro-cli");
    assert_eq!(called[called.len() - 4..], sign);
    assert!(!bench.called("docker").iter().any(|word| word.contains("k.pem")));
}

#[test]
fn what_two_programs_measure_differently_is_not_left_there() {
    let bench = Bench::new();
    let other = eif::measure(image(b"another").as_slice()).unwrap();
    bench.measures(&other.measurements().to_json());
    let output = bench.run(&["--rust-image", RUST_IMAGE]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("measures another image"), "{}", said(&output));
    assert!(bench.left().is_empty());
}

#[test]
fn a_step_that_fails_leaves_nothing() {
    for name in ["docker", "nitro-cli"] {
        let bench = Bench::new();
        bench.program(name, "echo broken >&2; exit 3");
        let output = bench.run(&["--rust-image", RUST_IMAGE]);
        assert!(!output.status.success() && said(&output).contains("broken"), "{}", said(&output));
        assert!(bench.left().is_empty());
    }
}

#[test]
fn what_it_is_not_given_right_it_says() {
    let bench = Bench::new();
    let good = ["--rust-image", RUST_IMAGE];
    for (arguments, sentence) in [
        (vec![], "by its digest"),
        (vec!["--rust-image", "rust:1.95"], "by its digest"),
        (vec!["--rust-image", "rust@sha256:00"], "by its digest"),
        (vec!["--rust-image", "--x@sha256:00"], "by its digest"),
        (vec!["--rust-image"], "needs a value"),
        ([&good[..], &["--debug-mode", "1"]].concat(), "is no option"),
        ([&good[..], &["--private-key", "k.pem"]].concat(), "--signing-certificate"),
        ([&good[..], &["--signing-certificate", "c.pem"]].concat(), "--private-key"),
        ([&good[..], &["--source", "/"]].concat(), "enclave.Dockerfile"),
        ([&good[..], &["--output", "/nowhere"]].concat(), "no folder"),
    ] {
        let output = bench.run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(sentence), "{arguments:?}: {}", said(&output));
    }
    assert!(bench.called("docker").is_empty() && bench.left().is_empty());
}
