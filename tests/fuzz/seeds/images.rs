//! Enclave image files, signed and not.

use crate::Seeds;
use nitro_signer_shared::eif::{
    Algorithm, Architecture, Metadata, Parts, measure, signature_section, to_be_signed, write,
};
use nitro_signer_tests::nsm::DevelopmentRoot;
use std::io;

/// Switches of the target.
const AS_IT_IS: u8 = 1;

pub(crate) fn write_all(seeds: &Seeds) -> io::Result<()> {
    let metadata = Metadata::default();
    for (name, architecture, ramdisks) in [
        ("one-ramdisk", Architecture::X86_64, &[&b"init"[..]][..]),
        ("two-ramdisks", Architecture::Aarch64, &[b"init", b"application"]),
        ("four-ramdisks", Architecture::X86_64, &[b"a", b"bb", b"ccc", b"dddd"]),
    ] {
        let parts = Parts {
            architecture,
            kernel: b"a kernel",
            cmdline: "reboot=k panic=30 pci=off",
            ramdisks,
            metadata: &metadata,
            signature: None,
        };
        let plain = image(&parts)?;
        let signature = sign(&plain)?;
        let signed = image(&Parts { signature: Some(&signature), ..parts })?;
        for (form, image) in [("plain", plain), ("signed", signed)] {
            seeds.add("eif", &format!("{name}-{form}"), [&[0], image.as_slice()].concat())?;
            let as_it_is = [&[AS_IT_IS], image.as_slice()].concat();
            seeds.add("eif", &format!("{name}-{form}-as-it-is"), as_it_is)?;
        }
    }
    Ok(())
}

fn image(parts: &Parts<'_>) -> io::Result<Vec<u8>> {
    let mut image = Vec::new();
    write(parts, &mut image).map_err(io::Error::other)?;
    Ok(image)
}

fn sign(image: &[u8]) -> io::Result<Vec<u8>> {
    let measured = measure(image).map_err(io::Error::other)?;
    let pcr0 = measured.measurements().pcrs()[&0];
    let root = DevelopmentRoot::generate();
    let signature = root.key().sign_document(&to_be_signed(Algorithm::Es384, &pcr0));
    Ok(signature_section(root.pem().as_bytes(), Algorithm::Es384, &pcr0, &signature))
}
