//! enclave.Dockerfile, read: no docker engine is needed to see that it pins, compiles without a
//! network, and ships one file.

use super::text;

/// One instruction: its name, and what stands behind it in one line.
type Instruction = (String, String);

fn instructions() -> Vec<Instruction> {
    let joined = text("enclave.Dockerfile").replace("\\\n", " ");
    let lines =
        joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.map(|line| line.split_once(' ').unwrap());
    split.map(|(name, rest)| (name.to_uppercase(), rest.trim().to_owned())).collect()
}

/// The stages, each from its FROM on; what stands before the first is apart.
fn stages() -> (Vec<Instruction>, Vec<Vec<Instruction>>) {
    let mut before = Vec::new();
    let mut stages: Vec<Vec<Instruction>> = Vec::new();
    for instruction in instructions() {
        match (instruction.0.as_str(), stages.last_mut()) {
            ("FROM", _) => stages.push(vec![instruction]),
            (_, Some(stage)) => stage.push(instruction),
            (_, None) => before.push(instruction),
        }
    }
    (before, stages)
}

#[test]
fn no_directive_fetches_another_frontend() {
    assert!(!text("enclave.Dockerfile").lines().any(|line| line.starts_with("# syntax")));
}

#[test]
fn every_base_is_an_argument_without_default_a_stage_or_nothing() {
    let (before, stages) = stages();
    // Without default: nothing is built in an image that nobody chose.
    assert_eq!(before, [("ARG".to_owned(), "RUST_IMAGE".to_owned())]);
    let mut named: Vec<String> = Vec::new();
    for stage in &stages {
        let words: Vec<&str> = stage[0].1.split_whitespace().collect();
        let known = named.iter().any(|name| name == words[0]);
        assert!(known || matches!(words[0], "scratch" | "${RUST_IMAGE}"), "{words:?}");
        match words[1..] {
            [] => {}
            ["AS", name] => named.push(name.to_owned()),
            _ => panic!("{words:?}"),
        }
    }
    let arguments = instructions().into_iter().filter(|(name, _)| name == "ARG");
    assert!(arguments.into_iter().all(|(_, rest)| rest == "RUST_IMAGE"));
    // The first command says in a sentence what is missing.
    let first = &stages[0].iter().find(|(name, _)| name == "RUN").unwrap().1;
    assert!(
        first.contains("*@sha256:") && first.contains("pass --build-arg RUST_IMAGE="),
        "{first}"
    );
}

#[test]
fn what_is_fetched_is_locked_and_what_is_compiled_has_no_network() {
    let runs: Vec<String> = instructions()
        .into_iter()
        .filter(|(name, _)| name == "RUN")
        .map(|(_, rest)| rest)
        .collect();
    let fetch = runs.iter().position(|run| run.contains("cargo fetch")).unwrap();
    assert!(runs[fetch].starts_with("cargo fetch --locked"), "{}", runs[fetch]);
    assert!(!runs[..fetch].iter().any(|run| run.contains("cargo ")), "{runs:?}");
    let after = &runs[fetch + 1..];
    assert!(after.iter().all(|run| run.starts_with("--network=none ")), "{after:?}");
    let build = after.iter().find(|run| run.contains("cargo build")).unwrap();
    for needed in [
        "--locked",
        "--offline",
        "-p nitro-signer-enclave",
        "--profile enclave",
        "--target x86_64-unknown-linux-gnu",
    ] {
        assert!(build.contains(needed), "{needed}: {build}");
    }
    let flags = instructions().into_iter().find(|(_, rest)| rest.contains("RUSTFLAGS")).unwrap().1;
    assert!(flags.contains("target-feature=+crt-static"), "{flags}");
}

#[test]
fn what_ships_is_one_file_and_no_shell() {
    let (_, stages) = stages();
    let last = stages.last().unwrap();
    let names: Vec<&str> = last.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["FROM", "COPY", "CMD"]);
    assert_eq!(last[0].1, "scratch");
    assert_eq!(last[1].1, "--from=build /out/nitro-signer-enclave /nitro-signer-enclave");
    assert_eq!(last[2].1, r#"["/nitro-signer-enclave"]"#, "no shell is there to start it");
}

#[test]
fn nothing_is_added_from_elsewhere_and_no_secret_gets_in() {
    for (name, rest) in instructions() {
        assert_ne!(name, "ADD", "{rest}");
        for word in
            ["http://", "https://", "--secret", "--ssh", "--mount", "PASSWORD", "TOKEN", "AWS_"]
        {
            assert!(!rest.contains(word), "{word}: {name} {rest}");
        }
    }
    // Everything is left out but what is named.
    let ignored = text(".dockerignore");
    let lines: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*");
    let named: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix('!')).collect();
    let sources =
        ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "enclave", "parent", "shared", "tests"];
    assert_eq!(named, sources);
}
