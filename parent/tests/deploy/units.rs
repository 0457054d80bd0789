//! The systemd units: judged by systemd where it is, and read for what they promise everywhere.

use super::{PROGRAM, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const UNITS: [&str; 2] = ["nitro-signer.service", "nitro-signer-enclave.service"];

/// `Section.Key` and every value of it.
fn read(unit: &str) -> BTreeMap<String, Vec<String>> {
    let joined = text(&format!("parent/deploy/{unit}")).replace("\\\n", " ");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in joined.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_once('=') {
            _ if line.starts_with('[') => section = line.trim_matches(['[', ']']).to_owned(),
            Some((key, value)) => {
                found.entry(format!("{section}.{key}")).or_default().push(value.to_owned());
            }
            None => panic!("{line}"),
        }
    }
    found
}

fn value(unit: &str, key: &str) -> String {
    read(unit).get(key).map(|values| values.join(" ")).unwrap_or_default()
}

#[test]
fn both_units_are_confined_and_start_again() {
    for unit in UNITS {
        for (key, expected) in [
            ("Service.Restart", "always"),
            ("Service.User", "nitro-signer"),
            ("Service.NoNewPrivileges", "yes"),
            ("Service.ProtectSystem", "strict"),
            ("Service.ProtectHome", "yes"),
            ("Service.PrivateTmp", "yes"),
            ("Service.MemoryDenyWriteExecute", "yes"),
            ("Service.CapabilityBoundingSet", ""),
            ("Service.LimitCORE", "0"),
            ("Service.SystemCallArchitectures", "native"),
            ("Service.UMask", "0077"),
            ("Unit.StartLimitIntervalSec", "0"),
        ] {
            assert_eq!(value(unit, key), expected, "{unit} {key}");
        }
        assert!(value(unit, "Service.SystemCallFilter").starts_with("@system-service"), "{unit}");
        assert!(value(unit, "Unit.After").contains("nitro-enclaves-allocator.service"), "{unit}");
        assert_eq!(value(unit, "Service.Environment"), "", "{unit}: nothing is hidden there");
    }
    let parent = "nitro-signer.service";
    assert_eq!(value(parent, "Service.PrivateDevices"), "yes");
    let families = "AF_UNIX AF_INET AF_INET6 AF_VSOCK";
    assert_eq!(value(parent, "Service.RestrictAddressFamilies"), families);
    let enclave = "nitro-signer-enclave.service";
    assert_eq!(value(enclave, "Service.DeviceAllow"), "/dev/nitro_enclaves rw");
    assert_eq!(value(enclave, "Service.DevicePolicy"), "closed");
    // The command ends the enclave; systemd ends what is left when it has.
    assert_eq!(value(enclave, "Service.KillMode"), "mixed");
    assert!(
        value(enclave, "Service.ExecStopPost")
            .ends_with("enclave stop --enclave-name nitro-signer")
    );
    assert!(value(enclave, "Service.ExecStart").contains(" --watch "));
}

/// The commands are ones that the program has; only their files are missing here.
#[test]
fn the_units_commands_are_understood() {
    for (unit, key) in [
        ("nitro-signer.service", "Service.ExecStart"),
        ("nitro-signer-enclave.service", "Service.ExecStart"),
        ("nitro-signer-enclave.service", "Service.ExecStopPost"),
    ] {
        let command = value(unit, key);
        let words: Vec<&str> = command.trim_start_matches('-').split_whitespace().collect();
        assert_eq!(words[0], "/usr/local/bin/nitro-signer");
        let folder = tempfile::tempdir().unwrap();
        let mut run = Command::new(PROGRAM);
        run.args(&words[1..]).current_dir(folder.path()).env("PATH", folder.path());
        let output = run.env_remove("NITRO_SIGNER_STACK").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // Understood, and stopped by what is not here: a file, or nitro-cli.
        let missing = ["No such file", "os error 2", "cannot be run"];
        assert!(missing.iter().any(|part| said.contains(part)), "{unit} {key}: {said}");
        assert!(!said.contains("Usage:"), "{unit} {key}: {said}");
    }
}

/// As systemd itself reads them, with the program's path and nitro-cli's own unit put in.
#[test]
fn systemd_finds_nothing_wrong_and_little_exposed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("systemd-analyze is not here; the units were only read");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("nitro-enclaves-allocator.service", "[Service]\nExecStart=/bin/true\n");
    for unit in UNITS {
        let text = text(&format!("parent/deploy/{unit}"));
        write(unit, &text.replace("/usr/local/bin/nitro-signer", PROGRAM));
    }
    for unit in UNITS {
        let (ok, said) = analyze(folder.path(), &["verify", "--man=no"], unit);
        // Other units of the machine may have faults of their own.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("nitro")).collect();
        assert!(ok && ours.is_empty(), "{unit}: {said}");
        // In tenths: below 2.5 of 10 is what systemd calls OK; a plain unit has 9.6.
        let (ok, said) = analyze(
            folder.path(),
            &["security", "--offline=true", "--threshold=25", "--no-pager"],
            unit,
        );
        assert!(ok, "{unit}: {said}");
    }
}

fn analyze(folder: &Path, arguments: &[&str], unit: &str) -> (bool, String) {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg(format!("./{unit}")).current_dir(folder);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
