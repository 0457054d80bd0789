//! What decides an image's measurements, and what does not?

use nitro_signer_image::ramdisk::RamdiskFile;
use nitro_signer_image::signing::Signer;
use nitro_signer_image::{CMDLINE, ImageParts};
use nitro_signer_shared::attestation::pcr::{self, Pcr};

const PARTS: ImageParts<'_> = ImageParts {
    kernel: b"kernel",
    kernel_version: "6.12",
    cmdline: CMDLINE,
    program: b"program",
    manifest: None,
    files: &[],
    version: "0.1.0",
};

fn pcr0(parts: &ImageParts<'_>) -> Pcr {
    parts.assemble(None).expect("is an image").image.measurements().pcrs()[&0]
}

#[test]
fn every_part_that_runs_moves_pcr0_and_the_metadata_does_not() {
    let check = |parts: ImageParts<'_>, moves: bool| {
        assert_eq!(pcr0(&parts) != pcr0(&PARTS), moves, "{parts:?}");
    };
    check(PARTS, false);
    check(ImageParts { version: "0.2.0", kernel_version: "6.13", ..PARTS }, false);
    check(ImageParts { kernel: b"kernel.", ..PARTS }, true);
    check(ImageParts { cmdline: "quiet", ..PARTS }, true);
    check(ImageParts { program: b"program.", ..PARTS }, true);
    check(ImageParts { manifest: Some(b"manifest"), ..PARTS }, true);
    check(ImageParts { files: &[RamdiskFile::file("more", 0o444, b"")], ..PARTS }, true);
    let [one, other] = [b"manifest".as_slice(), b"manifesT"]
        .map(|manifest| pcr0(&ImageParts { manifest: Some(manifest), ..PARTS }));
    assert_ne!(one, other, "one byte of a manifest that is built in");
}

#[test]
fn the_same_parts_make_the_same_file() {
    let file = || PARTS.assemble(None).expect("is an image").eif;
    assert_eq!(file(), file());
}

#[test]
fn a_signed_image_has_the_certificates_register_and_the_same_others() {
    for curve in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
        let key = rcgen::KeyPair::generate_for(curve).expect("a key");
        let certificate = rcgen::CertificateParams::new([]).expect("no names").self_signed(&key);
        let certificate = certificate.expect("a certificate");
        let pem = certificate.pem();
        let signer = Signer::from_pem(key.serialize_pem().as_bytes(), pem.as_bytes());
        let signed = PARTS.assemble(Some(&signer.expect("signs"))).expect("is an image").image;
        assert_eq!(signed.measurements().pcrs()[&0], pcr0(&PARTS));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, certificate.der());
        let expected = pcr::extend(&pcr::ZERO, digest.as_ref());
        assert_eq!(signed.measurements().pcrs()[&8], expected);

        let other = rcgen::KeyPair::generate_for(curve).expect("a key");
        let other = Signer::from_pem(other.serialize_pem().as_bytes(), pem.as_bytes());
        assert!(PARTS.assemble(Some(&other.expect("signs"))).is_err(), "another key's certificate");
    }
    assert!(Signer::from_pem(b"no key", b"no certificate").is_err());
}
