//! `enclave run | status | stop | watch` before nitro-cli.

use super::{Host, image, image_with};
use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementsFile};
use nitro_signer_shared::eif;
use serde_json::json;
use std::process::Command;

const RUN: [&str; 10] = [
    "enclave",
    "run",
    "--eif",
    "enclave.eif",
    "--measurements",
    "measurements.json",
    "--memory",
    "256",
    "--cpus",
    "2",
];
const WATCH: [&str; 6] =
    ["enclave", "watch", "--measurements", "measurements.json", "--interval", "100ms"];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_is_started_looked_at_and_ended() {
    let host = Host::new().await;
    let ran = host.cli(&RUN).await;
    assert_eq!((ran.exit, &ran.json["as_meant"]), (0, &json!(true)), "{}", ran.text);
    assert_eq!(ran.json["enclave"]["cid"], 16);
    assert_eq!(ran.json["basis"], "the host's word");
    let calls = host.calls();
    let run = calls.iter().find(|call| call[0] == "run-enclave").unwrap();
    let eif = host.path("enclave.eif").canonicalize().unwrap();
    let expected = [
        "run-enclave",
        "--eif-path",
        eif.to_str().unwrap(),
        "--memory",
        "256",
        "--cpu-count",
        "2",
        "--enclave-name",
        "nitro-signer",
        "--enclave-cid",
        "16",
    ];
    assert_eq!(run, &expected);

    let second = host.cli(&RUN).await;
    assert_eq!((second.exit, second.code()), (1, "enclave_runs"), "{}", second.text);
    assert_eq!(host.called("run-enclave"), 1);
    let status = ["enclave", "status", "--measurements", "measurements.json", "--cid", "16"];
    let shown = host.cli(&status).await;
    assert_eq!(shown.exit, 0, "{}", shown.text);
    let looked = host.called("describe-enclaves");
    let watched =
        host.interrupt(&WATCH, "-TERM", |host| host.called("describe-enclaves") > looked + 2).await;
    assert_eq!(watched.exit, 0, "{}", watched.text);
    assert_eq!(host.running().len(), 1, "a watch ends nothing");

    assert_eq!(host.cli(&["enclave", "stop"]).await.json["ended"], 1);
    assert!(host.running().is_empty());
    let again = host.cli(&["enclave", "stop"]).await;
    assert_eq!((again.exit, &again.json["ended"]), (0, &json!(0)), "{}", again.text);
    let shown = host.cli(&status).await;
    assert_eq!((shown.exit, shown.outcome("running")), (1, "failed"), "{}", shown.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_meant_is_ended() {
    for (fault, exit, failed) in [
        ("debug", 6, "flags"),
        ("pcrs", 1, "measurements"),
        ("old", 1, "measurements"),
        ("cid", 1, "cid"),
    ] {
        let host = Host::new().await;
        host.fault(fault);
        let ran = host.cli(&RUN).await;
        assert_eq!((ran.exit, ran.those("failed")), (exit, vec![failed]), "{fault}: {}", ran.text);
        assert!(host.running().is_empty(), "{fault}");
        assert_eq!(ran.json["as_meant"], false, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nitro_clis_failures_are_named_and_leave_nothing_running() {
    for (fault, code, said) in [
        ("memory", "nitro_cli_failed", "E26"),
        ("fail describe-enclaves", "nitro_cli_failed", "E39"),
        ("hang describe-enclaves", "nitro_cli_hung", "describe-enclaves"),
        ("hang run-enclave", "nitro_cli_hung", "run-enclave"),
        ("slow", "nitro_cli_hung", "run-enclave"),
        ("long describe-enclaves", "nitro_cli_too_long", "65536"),
        ("long run-enclave", "nitro_cli_too_long", "65536"),
        ("garbage describe-enclaves", "nitro_cli_form", "not its JSON"),
        ("garbage run-enclave", "nitro_cli_form", "not its JSON"),
        ("renamed", "nitro_cli_form", "nitro-signer_1"),
    ] {
        let host = Host::new().await;
        host.fault(fault);
        let ran = host.cli(&with(&RUN, &["--nitro-cli-deadline", "1500ms"])).await;
        assert_eq!((ran.exit, ran.code()), (7, code), "{fault}: {}", ran.text);
        assert!(ran.text.contains(said), "{fault}: {}", ran.text);
        assert!(host.running().is_empty(), "{fault}");
    }
    let host = Host::new().await;
    let missing = host.command_by("/nowhere/nitro-cli", &["enclave", "stop"]).output().unwrap();
    let missing = super::Ended::of(&missing);
    assert_eq!((missing.exit, missing.code()), (7, "nitro_cli_missing"), "{}", missing.text);
}

/// nitro-cli leaves a process beside the enclave, which may hold on to what nitro-cli wrote to.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_enclaves_process_holds_open_is_not_waited_for() {
    let host = Host::new().await;
    host.fault("holds");
    let ran = host.cli(&with(&RUN, &["--nitro-cli-deadline", "15s"])).await;
    assert_eq!(ran.exit, 0, "{}", ran.text);
    assert_eq!(host.running().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_listed_or_not_current_is_not_started() {
    let host = Host::new().await;
    let measured = eif::measure(image(b"application").as_slice()).unwrap();
    let listed = || ImageMeasurements {
        version: Some("0.1.0".to_owned()),
        eif_sha384: Some(*measured.eif_sha384()),
        ..measured.measurements().clone().into()
    };
    let check = async |image: &[u8], listed: ImageMeasurements, exit: i32, said: &str| {
        host.write("enclave.eif", image);
        let file = MeasurementsFile::new(vec![listed]).unwrap();
        host.write("measurements.json", file.to_json().as_bytes());
        let ran = host.cli(&RUN).await;
        assert_eq!(ran.exit, exit, "{said}: {}", ran.text);
        assert!(ran.text.contains(said), "{said}: {}", ran.text);
    };
    let good = image(b"application");
    check(&image(b"another"), listed(), 1, "is not listed").await;
    let revoked = ImageMeasurements { revoked: Some("a bug".to_owned()), ..listed() };
    check(&good, revoked, 1, "revoked: a bug").await;
    let over = ImageMeasurements { not_after_ms: Some(1_000), ..listed() };
    check(&good, over, 1, "1970-01-01").await;
    // Same registers, other metadata: nothing measures it, so the file's hash is compared.
    check(&image_with(b"application", "other"), listed(), 1, "SHA-384").await;
    check(b"no image", listed(), 3, "enclave.eif").await;
    assert_eq!(host.called("run-enclave"), 0);
    check(&good, listed(), 0, "0.1.0").await;
    host.write("measurements.json", b"{}");
    assert_eq!(host.cli(&RUN).await.exit, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_mode_cannot_be_asked_for() {
    let host = Host::new().await;
    for option in ["--debug-mode", "--debug", "--attach-console"] {
        assert_eq!(host.cli(&with(&RUN, &[option])).await.exit, 2, "{option}");
    }
    let named = with(&RUN, &["--enclave-name", "--all"]);
    assert_eq!(host.cli(&named).await.exit, 2);
    assert!(host.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_the_enclave_is_not_as_meant_any_more() {
    for (fault, exit) in
        [("dies", 1), ("debug later", 6), ("pcrs", 1), ("fail describe-enclaves", 7)]
    {
        let host = Host::new().await;
        assert_eq!(host.cli(&RUN).await.exit, 0);
        let looked = host.called("describe-enclaves");
        let mut watch = host.command(&WATCH);
        let watching = tokio::task::spawn_blocking(move || watch.output().unwrap());
        host.wait(|host| host.called("describe-enclaves") > looked + 1).await;
        assert!(!watching.is_finished());
        match fault {
            "dies" => host.kill_enclaves(),
            fault => host.fault(fault),
        }
        let watched = super::Ended::of(&watching.await.unwrap());
        assert_eq!(watched.exit, exit, "{fault}: {}", watched.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_is_not_given_up_because_nitro_cli_failed_once() {
    let host = Host::new().await;
    let staying = with(&RUN, &["--watch", "--interval", "100ms"]);
    let mut command = host.command(&staying).spawn().unwrap();
    host.wait(|host| host.called("describe-enclaves") > 4).await;
    host.fault("fail once describe-enclaves");
    let looked = host.called("describe-enclaves");
    host.wait(|host| host.called("describe-enclaves") > looked + 4).await;
    let ended = command.try_wait().unwrap();
    assert!(ended.is_none() && host.running().len() == 1, "{ended:?}");
    Command::new("kill").arg(command.id().to_string()).status().unwrap();
    let output = tokio::task::spawn_blocking(move || command.wait_with_output().unwrap());
    let ended = super::Ended::of(&output.await.unwrap());
    assert!(ended.exit == 0 && ended.text.contains("1 of 3"), "{}", ended.text);
    assert!(host.running().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_is_said_to_be_ended_and_is_listed_is_no_success() {
    let host = Host::new().await;
    assert_eq!(host.cli(&RUN).await.exit, 0);
    host.fault("stuck");
    let stopped = host.cli(&["enclave", "stop"]).await;
    assert_eq!((stopped.exit, stopped.code()), (7, "nitro_cli_still_there"), "{}", stopped.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_with_a_watch_ends_with_its_enclave_and_ends_it() {
    let staying = with(&RUN, &["--watch", "--interval", "100ms"]);
    let host = Host::new().await;
    let looks = |host: &Host| host.called("describe-enclaves") > 4;
    let told = host.interrupt(&staying, "-TERM", looks).await;
    assert_eq!((told.exit, &told.json["ended"]), (0, &json!(true)), "{}", told.text);
    assert!(host.running().is_empty());

    let host = Host::new().await;
    let mut command = host.command(&staying);
    let stays = tokio::task::spawn_blocking(move || command.output().unwrap());
    host.wait(looks).await;
    host.fault("pcrs");
    let ended = super::Ended::of(&stays.await.unwrap());
    assert_eq!((ended.exit, ended.code()), (1, "not_as_meant"), "{}", ended.text);
    assert!(host.running().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_told_to_end_while_it_starts_leaves_nothing_running() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let host = Host::new().await;
        host.fault("slow");
        let ended = host.interrupt(&RUN, signal, |host| !host.running().is_empty()).await;
        assert_eq!((ended.exit, ended.code()), (1, "interrupted"), "{signal}: {}", ended.text);
        assert!(host.running().is_empty(), "{signal}");
    }
}
