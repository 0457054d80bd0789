//! Is an image that the sources moved told from one that other tools built?

use nitro_signer_image::binary::Built;
use nitro_signer_image::parts::Assembled;
use nitro_signer_image::release::{COMMITTED, Comparison, Release, compare};
use nitro_signer_image::{CMDLINE, ImageParts};
use nitro_signer_shared::attestation::ImageMeasurements;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A release of this program by these tools.
fn release(program: &[u8], tools: &[(&str, &str)]) -> Release {
    let parts = ImageParts {
        kernel: b"kernel",
        kernel_version: "6.12",
        cmdline: CMDLINE,
        program,
        manifest: None,
        files: &[],
        version: "0.1.0",
    };
    let assembled: Assembled = parts.assemble(None).expect("is an image");
    let toolchain: BTreeMap<_, _> =
        tools.iter().map(|(tool, version)| ((*tool).to_owned(), (*version).to_owned())).collect();
    let measurements = ImageMeasurements {
        eif_sha384: Some(*assembled.image.eif_sha384()),
        toolchain,
        ..assembled.image.measurements().clone().into()
    };
    let binary = Built { shipped: PathBuf::new(), with_symbols: PathBuf::new() };
    Release { assembled, measurements, binary }
}

#[test]
fn moved_sources_are_told_from_other_tools() {
    const TOOLS: [(&str, &str); 2] = [("rustc", "1.95"), ("linker", "2.40")];
    let workspace = tempfile::tempdir().expect("a folder");
    let committed = workspace.path().join(COMMITTED);
    std::fs::create_dir_all(committed.parent().expect("is in a folder")).expect("a folder");
    let built = release(b"program", &TOOLS);
    assert!(compare(&built, workspace.path()).is_err(), "nothing is committed");
    std::fs::write(&committed, built.file().to_json()).expect("is written");
    let check = |release: Release, expected: Comparison| {
        assert_eq!(compare(&release, workspace.path()).expect("is read"), expected);
    };
    check(built, Comparison::Same);
    check(release(b"programme", &TOOLS), Comparison::Moved);
    let other = [("rustc", "1.96"), ("linker", "2.40")];
    let said = "rustc: 1.96 here, 1.95 there".to_owned();
    check(release(b"programme", &other), Comparison::OtherTools(vec![said.clone()]));
    check(release(b"program", &other), Comparison::OtherTools(vec![said]));
    let more = [("rustc", "1.95"), ("linker", "2.40"), ("libc", "2.36")];
    let said = "libc: 2.36 here, none there".to_owned();
    check(release(b"programme", &more), Comparison::OtherTools(vec![said]));
}
