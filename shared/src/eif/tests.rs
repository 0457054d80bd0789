//! The four images in `vectors/` were made by AWS's own crate aws-nitro-enclaves-image-format
//! 0.3.0, and the registers here are what it printed. Every other image is put together by hand,
//! so that neither the writer nor the header's code is its own judge.

use super::*;
use aws_lc_rs::digest::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
};

const KERNEL: u16 = 1;
const CMDLINE: u16 = 2;
const RAMDISK: u16 = 3;
const SIGNATURE: u16 = 4;
const METADATA: u16 = 5;

const SOME_METADATA: &[u8] = br#"{"ImageName":"a","ImageVersion":"1","BuildMetadata":{"BuildTime":
    "t","BuildTool":"b","BuildToolVersion":"2","OperatingSystem":"Linux","KernelVersion":"6"},
    "DockerInfo":{"Id":"x"}}"#;

/// Measured, or the error's text.
fn check(file: &[u8], expected: &str) {
    let found = measure(file).map_or_else(|error| error.to_string(), |_| "measured".to_owned());
    assert!(found.contains(expected), "{found:?} instead of {expected:?}");
}

/// A file of this version and these sections, by the specification's table of fields.
fn image(version: u16, sections: &[(u16, &[u8])]) -> Vec<u8> {
    let mut file = b".eif".to_vec();
    file.extend(version.to_be_bytes());
    file.extend([0; 2 + 8 + 8 + 2]);
    file.extend((sections.len() as u16).to_be_bytes());
    let mut offsets = [0; 32];
    let mut sizes = [0; 32];
    let mut next = 548;
    for (index, (_, bytes)) in sections.iter().enumerate().take(32) {
        (offsets[index], sizes[index]) = (next, bytes.len() as u64);
        next += 12 + bytes.len() as u64;
    }
    file.extend(offsets.iter().chain(&sizes).flat_map(|n: &u64| n.to_be_bytes()));
    file.extend([0; 8]);
    for (kind, bytes) in sections {
        file.extend(kind.to_be_bytes());
        file.extend([0; 2]);
        file.extend((bytes.len() as u64).to_be_bytes());
        file.extend(*bytes);
    }
    sealed(file)
}

/// The file with the checksum that its bytes have.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let mut checksum = Crc32::new();
    checksum.update(&file[..544]);
    checksum.update(&file[548..]);
    file[544..548].copy_from_slice(&checksum.value().to_be_bytes());
    file
}

/// A good image with one thing done to it, and its checksum right.
fn spoiled(spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = good();
    spoil(&mut file);
    sealed(file)
}

/// Kernel at 548, command line at 561, metadata at 576, ramdisks after it.
fn good() -> Vec<u8> {
    image(4, &[(KERNEL, b"k"), (CMDLINE, b"cmd"), (METADATA, SOME_METADATA), (RAMDISK, b"init")])
}

fn vector(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace('\n', "")).expect("is hex")
}

/// SHA-384(0^48 || SHA-384(bytes)), computed at once.
fn register(parts: &[&[u8]]) -> [u8; 48] {
    let inner = digest(&SHA384, &parts.concat());
    let outer = digest(&SHA384, &[&[0; 48], inner.as_ref()].concat());
    outer.as_ref().try_into().expect("48 bytes")
}

#[test]
fn images_of_awss_own_crate_measure_to_what_it_printed() {
    let check = |hex: &str, algorithm: Option<&str>, registers: &[(u8, &str)]| {
        let file = vector(hex);
        let image = measure(file.as_slice()).expect("is an image");
        let found: Vec<(u8, String)> =
            image.measurements().pcrs().iter().map(|(i, pcr)| (*i, hex::encode(pcr))).collect();
        let expected: Vec<(u8, String)> =
            registers.iter().map(|(i, pcr)| (*i, (*pcr).to_owned())).collect();
        assert_eq!(found, expected);
        assert_eq!(image.version(), 4);
        assert_eq!(image.eif_sha384(), digest(&SHA384, &file).as_ref());
        let metadata = image.metadata().expect("version 4 has it");
        assert_eq!(
            (metadata.image_name.as_str(), metadata.image_version.as_str()),
            ("sample", "1.0")
        );
        assert_eq!(metadata.build_metadata.build_tool, "eif_build");
        let certificate = image.signing_certificate();
        assert_eq!(certificate.map(|c| c.algorithm().as_str()), algorithm);
        assert!(certificate.is_none_or(|c| c.subject() == "CN=image signer"));
        assert!(certificate.is_none_or(|c| c.not_before_s() < c.not_after_s()));
    };
    let signed = |pcr8: &'static str| {
        [
            (
                0,
                "bb0ffaa8b9ebd6497960842cd52be5344cbcc8d891882ff5dce2036ed8f093060bfa965c927075454d73a15031721b4e",
            ),
            (
                1,
                "e1564ba65efd1adbaadb97b40ac5b636f8f9cae607163b4151124d5157b5d81434a08bf6cb9701b27a1ace98dbcd98b0",
            ),
            (
                2,
                "8a45599e5e77b24c4b6472869c24e10490c4d5df715fbd0811fc4b33d370276cf00bb24871d3a1987587d6b9283d4f42",
            ),
            (8, pcr8),
        ]
    };
    check(
        include_str!("vectors/p256.hex"),
        Some("ES256"),
        &signed(
            "f31b23cda9a05fa713990e36061e72827dc7aec4c96e64ec8534491c7c8cf5e008109864de16f89ea6660bf89431a67a",
        ),
    );
    check(
        include_str!("vectors/p384.hex"),
        Some("ES384"),
        &signed(
            "b1e5bb214477d333d15723744453ffe7b1300c13d57fafd3bb218b17522df9b9b021d067d5355d519fea13d105c9e867",
        ),
    );
    check(
        include_str!("vectors/p521.hex"),
        Some("ES512"),
        &signed(
            "fada7d6834aad1f0f28933d25bcde8f67c853618e5131c3e94ea8a67f22d81b5815d7a80f0baee0b5fe13f660f5d8ee1",
        ),
    );
    // One ramdisk: PCR0 is PCR1, and PCR2 is over nothing, as in many a published measurement.
    check(
        include_str!("vectors/unsigned.hex"),
        None,
        &[
            (
                0,
                "e1564ba65efd1adbaadb97b40ac5b636f8f9cae607163b4151124d5157b5d81434a08bf6cb9701b27a1ace98dbcd98b0",
            ),
            (
                1,
                "e1564ba65efd1adbaadb97b40ac5b636f8f9cae607163b4151124d5157b5d81434a08bf6cb9701b27a1ace98dbcd98b0",
            ),
            (
                2,
                "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b964fc500a",
            ),
        ],
    );
}

#[test]
fn measurements_are_over_the_sections_bytes_however_they_are_read() {
    /// Gives one byte, or an interruption, at a time.
    struct Slow<'a>(&'a [u8], bool);
    impl Read for Slow<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let most = bytes.len().min(1);
            self.0.read(&mut bytes[..most])
        }
    }
    let kernel: Vec<u8> = (0..3 * BUFFER + 7).map(|n| (n % 251) as u8).collect();
    let (first, second, third) = (&kernel[5..BUFFER + 5], &kernel[..100], &kernel[1..2]);
    let check = |cmdline: &[u8], others: &[&[u8]]| {
        let mut sections = vec![(KERNEL, kernel.as_slice()), (CMDLINE, cmdline), (RAMDISK, first)];
        sections.extend(others.iter().map(|ramdisk| (RAMDISK, *ramdisk)));
        let file = image(3, &sections);
        let found = measure(file.as_slice()).expect("is an image");
        assert_eq!(measure(Slow(&file, false)).expect("is the same"), found);
        let boot = [kernel.as_slice(), cmdline, first];
        let pcrs = found.measurements().pcrs();
        assert_eq!(pcrs[&0], register(&[boot.as_slice(), others].concat()));
        assert_eq!(pcrs[&1], register(&boot));
        assert_eq!(pcrs[&2], register(others));
    };
    check(b"reboot=k", &[]);
    check(b"", &[second]);
    check(b"reboot=k", &[second, third]);
}

#[test]
fn every_version_has_its_own_sections() {
    let parts: [(u16, &[u8]); 3] = [(KERNEL, b"k"), (CMDLINE, b"c"), (RAMDISK, b"r")];
    let with = |more: (u16, &'static [u8])| [parts.as_slice(), &[more]].concat();
    check(&image(2, &parts), "measured");
    check(&image(3, &parts), "measured");
    check(&image(4, &parts), "no metadata");
    check(&image(4, &with((METADATA, SOME_METADATA))), "measured");
    check(&image(3, &with((METADATA, SOME_METADATA))), "section 3: metadata, which version 3");
    check(&image(2, &with((SIGNATURE, b"x"))), "signature section, which version 2 does not have");
    check(&image(1, &parts), "version 1");
    check(&image(5, &with((METADATA, SOME_METADATA))), "version 5");
}

#[test]
fn a_header_that_is_not_an_images_is_refused() {
    check(&good(), "measured");
    check(&spoiled(|file| file[0] = b'x'), "it does not begin with .eif");
    check(&spoiled(|file| file[7] = 1), "measured");
    check(&spoiled(|file| file[7] = 2), "flags 0x0002");
    check(&spoiled(|file| file[6] = 1), "flags 0x0100");
    check(&spoiled(|file| file[25] = 1), "a reserved field is not zero");
    check(&spoiled(|file| file[543] = 1), "a reserved field is not zero");
    check(&spoiled(|file| file[27] = 2), "2 sections; it has 3 to 32");
    check(&spoiled(|file| file[27] = 33), "33 sections; it has 3 to 32");
    check(&spoiled(|file| file[26] = 255), "sections; it has 3 to 32");
    check(&spoiled(|file| file[28 + 4 * 8] = 1), "an unused entry is not zero");
    check(&spoiled(|file| file[284 + 4 * 8] = 1), "an unused entry is not zero");
    check(&spoiled(|file| file[28 + 7] += 1), "section 0 is said to begin at 549");
    check(
        &spoiled(|file| file[28 + 15] -= 1),
        "section 1 is said to begin at 560; it begins at 561",
    );
    check(&spoiled(|file| file[284] = 255), "more than 4294967296 bytes");
    check(&spoiled(|file| file[284..284 + 32].fill(255)), "more than 4294967296 bytes");
}

#[test]
fn headers_are_written_as_by_awss_own_crate() {
    let check = |hex: &str, architecture: Architecture| {
        let file = vector(hex);
        let bytes = file.first_chunk().expect("is longer than a header");
        let read = Header::parse(bytes).expect("is an image's");
        let written = Header::new(architecture, read.sizes().to_vec()).expect("is not too large");
        assert_eq!(&written.with_checksum(read.checksum()).to_bytes(), bytes);
    };
    check(include_str!("vectors/p256.hex"), Architecture::X86_64);
    check(include_str!("vectors/unsigned.hex"), Architecture::Aarch64);
}

#[test]
fn an_image_has_at_most_4_gib() {
    let check = |size: u64, fits: bool| {
        // Beside the headers of the file and of three sections, and two bytes.
        let header = Header::new(Architecture::X86_64, vec![1, size, 1]);
        assert_eq!(header.is_ok(), fits, "{size}");
    };
    let most = MAX_IMAGE - (548 + 3 * 12 + 2);
    check(most, true);
    check(most + 1, false);
    check(u64::MAX, false);
}

#[test]
fn the_checksum_is_over_everything_but_itself() {
    for at in 0..good().len() {
        let mut file = good();
        file[at] ^= 1;
        assert!(measure(file.as_slice()).is_err(), "byte {at}");
    }
    let mut file = good();
    file[544] ^= 1;
    check(&file, "the checksum is ");
    // The header's memory and processors, which mean nothing, are under it too.
    let mut file = good();
    file[15] ^= 1;
    check(&file, "the checksum is ");
    check(&sealed(file), "measured");
}

#[test]
fn a_file_is_whole_and_nothing_follows() {
    let file = good();
    for end in 0..file.len() {
        check(&file[..end], "ends early");
    }
    check(&spoiled(|file| file.push(0)), "bytes follow");
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(ErrorKind::PermissionDenied.into())
        }
    }
    assert!(matches!(measure(Broken), Err(EifError::Read(_))));
}

#[test]
fn a_section_says_the_same_as_the_files_header() {
    check(&spoiled(|file| file[549] = 0), "section 0: type 0");
    check(&spoiled(|file| file[549] = 6), "section 0: type 6");
    check(&spoiled(|file| file[548] = 1), "section 0: type 257");
    check(&spoiled(|file| file[551] = 1), "section 0: its flags are not zero");
    check(&spoiled(|file| file[559] = 2), "section 0: 2 bytes, and the file's header says 1");
    check(&spoiled(|file| file[552] = 255), "and the file's header says 1");
}

#[test]
fn each_part_is_there_once_and_in_the_order_that_is_measured() {
    let (k, c) = ((KERNEL, b"k".as_slice()), (CMDLINE, b"c".as_slice()));
    let r = (RAMDISK, b"r".as_slice());
    let m = (METADATA, SOME_METADATA);
    check(&image(3, &[k, c, r, r]), "measured");
    check(&image(4, &[m, k, c, r]), "measured");
    check(&image(4, &[k, c, r, m, r]), "measured");
    check(&image(3, &[c, k, r]), "section 0: a command line before the kernel");
    check(&image(3, &[k, r, c]), "section 1: a ramdisk before kernel and command line");
    check(&image(3, &[r, k, c]), "section 0: a ramdisk before kernel and command line");
    check(&image(3, &[k, k, c, r]), "section 1: a second kernel");
    check(&image(3, &[k, c, r, c]), "section 3: a second command line");
    check(&image(4, &[k, c, m, m, r]), "section 3: a second metadata section");
    check(&image(4, &[k, c, m]), "no ramdisk");
    let signature = (SIGNATURE, b"x".as_slice());
    check(&image(4, &[k, m, signature]), "no command line");
    check(&image(3, &[k, c, r, signature, signature]), "section 4: a second signature section");
}

#[test]
fn what_is_kept_has_a_maximum_of_its_own() {
    let check = |kind: u16, length: u64, expected: &str| {
        let bytes = vec![b' '; length as usize];
        let mut parts: Vec<(u16, &[u8])> =
            vec![(KERNEL, b"k"), (CMDLINE, b"c"), (RAMDISK, b"r"), (METADATA, SOME_METADATA)];
        match parts.iter_mut().find(|(known, _)| *known == kind) {
            Some(part) => part.1 = &bytes,
            None => parts.push((kind, &bytes)),
        }
        check(&image(4, &parts), expected);
    };
    check(KERNEL, 0, "section 0: 0 bytes; a kernel has 1 to 4294967296");
    check(RAMDISK, 0, "section 2: 0 bytes; a ramdisk has 1 to");
    check(CMDLINE, 0, "measured");
    check(CMDLINE, MAX_CMDLINE, "measured");
    check(CMDLINE, MAX_CMDLINE + 1, "section 1: 4097 bytes; a command line has 0 to 4096");
    check(METADATA, 0, "section 3: 0 bytes");
    check(METADATA, MAX_METADATA, "the metadata is not");
    check(METADATA, MAX_METADATA + 1, "section 3: 262145 bytes");
    check(SIGNATURE, 0, "section 4: 0 bytes");
    check(SIGNATURE, MAX_SIGNATURE, "would not start");
    check(SIGNATURE, MAX_SIGNATURE + 1, "section 4: 32769 bytes");
}

#[test]
fn metadata_is_the_specifications() {
    let check = |json: &str, expected: &str| {
        let sections: [(u16, &[u8]); 4] =
            [(KERNEL, b"k"), (CMDLINE, b"c"), (METADATA, json.as_bytes()), (RAMDISK, b"r")];
        check(&image(4, &sections), expected);
    };
    let good = String::from_utf8(SOME_METADATA.to_vec()).expect("is text");
    check(&good, "measured");
    check(&good.replace(r#"{"Id":"x"}"#, "null"), "measured");
    check(&good.replace("ImageName", "Name"), "missing field `ImageName`");
    check(&good.replace(r#""1""#, "1"), "the metadata is not");
    check(&good.replace("ImageVersion", "ImageName"), "duplicate field");
    check(&good.replace(r#"{"Id":"x"}"#, &"[".repeat(1_000)), "the metadata is not");
    check(&format!("{good} x"), "trailing characters");
    check("{}", "the metadata is not");
}

/// The image of a signature section around other bytes, or on another image.
fn signed(kernel: &[u8], section: &[u8]) -> Vec<u8> {
    let cmdline = b"reboot=k panic=30".as_slice();
    let sections = [
        (KERNEL, kernel),
        (CMDLINE, cmdline),
        (SIGNATURE, section),
        (RAMDISK, b"init"),
        (RAMDISK, b"application"),
    ];
    image(3, &sections)
}

/// The signature section of an image of AWS's crate, which stands last.
fn section(hex: &str) -> Vec<u8> {
    let file = vector(hex);
    let (offset, size) = ([28, 284].map(|at| at + 8 * 5)).map(|at| at + 6).into();
    let number = |at: usize| usize::from(u16::from_be_bytes([file[at], file[at + 1]]));
    let (offset, size) = (number(offset) + 12, number(size));
    file[offset..offset + size].to_vec()
}

#[test]
fn a_signature_that_would_not_start_is_no_pcr8() {
    let (p256, p384) =
        (section(include_str!("vectors/p256.hex")), section(include_str!("vectors/p384.hex")));
    let check = |section: &[u8], expected: &str| check(&signed(b"kernel", section), expected);
    check(&p384, "measured");
    tests::check(&signed(b"another kernel", &p384), "over another image's PCR0");
    for spoil in [0, p384.len() - 1] {
        let mut section = p384.clone();
        section[spoil] ^= 1;
        assert!(measure(signed(b"kernel", &section).as_slice()).is_err(), "byte {spoil}");
    }

    let parse = |section: &[u8]| -> Entry {
        let [entry]: [Entry; 1] = serde_cbor::from_slice(section).expect("is a section");
        entry
    };
    let encode = |entries: &[Entry]| serde_cbor::to_vec(&entries).expect("encodes");
    let (mine, others) = (parse(&p384), parse(&p256));
    let by = |pem: &[u8]| encode(&[Entry { signing_certificate: pem.to_vec(), ..mine.clone() }]);
    let with = |cose: &[u8]| encode(&[Entry { signature: cose.to_vec(), ..mine.clone() }]);
    check(&with(&mine.signature), "measured");
    check(&by(&others.signing_certificate), "its headers are not ES256 alone");
    check(&with(&others.signature), "its headers are not ES384 alone");
    let mut spoiled = mine.signature.clone();
    *spoiled.last_mut().expect("has bytes") ^= 1;
    check(&with(&spoiled), "does not verify");
    check(&with(&spoiled[..spoiled.len() - 1]), "COSE_Sign1 is no such CBOR");
    check(&with(&[&[0xd2], mine.signature.as_slice()].concat()), "not encoded as nitro-cli does");
    check(&with(&[mine.signature.as_slice(), &[0]].concat()), "COSE_Sign1 is no such CBOR");
    // The unprotected header stands after the protected one's five bytes.
    assert_eq!(mine.signature[6], 0xa0);
    let headers = [&mine.signature[..6], &[0xa1, 0x04, 0x01], &mine.signature[7..]].concat();
    check(&with(&headers), "its headers are not ES384 alone");
    let pem = mine.signing_certificate.as_slice();
    check(&by(&[pem, pem].concat()), "exactly one in PEM");
    check(&by(b""), "exactly one in PEM");
    check(&by(&pem[..300]), "exactly one in PEM");
    // The key's algorithm on the same curve: 1.2.840.10045.2.1, and 2.2 in its place.
    let pem = std::str::from_utf8(pem).expect("is text");
    let other = pem.replace("hkjOPQIB\n", "hkjOPQIC\n");
    assert_ne!(other, pem);
    check(&by(other.as_bytes()), "not on P-256, P-384 or P-521");

    check(&encode(&[mine.clone(), mine.clone()]), "2 signatures");
    check(&encode(&[]), "0 signatures");
    check(&serde_cbor::to_vec(&mine).expect("encodes"), "the section is no such CBOR");
    check(&[p384.as_slice(), &[0]].concat(), "the section is no such CBOR");
    check(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255], "the section is no such CBOR");
    check(&[&[0x98, 1], &p384[1..]].concat(), "not encoded as nitro-cli does");
    check(&[0x9f; 1_000], "the section is no such CBOR");
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Entry {
    signing_certificate: Vec<u8>,
    signature: Vec<u8>,
}

#[test]
fn what_is_written_measures_and_what_is_signed_verifies() {
    let check = |curve: &'static rcgen::SignatureAlgorithm,
                 signing: &'static EcdsaSigningAlgorithm,
                 algorithm: Algorithm| {
        let key = rcgen::KeyPair::generate_for(curve).expect("a key");
        let params = rcgen::CertificateParams::new([]).expect("no names");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let key = EcdsaKeyPair::from_pkcs8(signing, key.serialized_der()).expect("the key");

        let metadata = Metadata::default();
        let unsigned = Parts {
            architecture: Architecture::Aarch64,
            kernel: b"kernel",
            cmdline: "reboot=k",
            ramdisks: &[b"init", b"application"],
            metadata: &metadata,
            signature: None,
        };
        let written = |parts: &Parts<'_>| {
            let mut file = Vec::new();
            write(parts, &mut file).expect("is an image");
            (measure(file.as_slice()).expect("measures"), file)
        };
        let (before, file) = written(&unsigned);
        assert_eq!(written(&unsigned).1, file, "the same parts make the same bytes");
        let pcr0 = before.measurements().pcrs()[&0];
        let signature = key.sign(&SystemRandom::new(), &to_be_signed(algorithm, &pcr0));
        let signature = signature.expect("signs");
        let section = signature_section(pem.as_bytes(), algorithm, &pcr0, signature.as_ref());
        let (after, _) = written(&Parts { signature: Some(&section), ..unsigned });
        assert_eq!(after.architecture(), Architecture::Aarch64);
        assert_eq!(after.metadata(), Some(&metadata));
        let certificate = after.signing_certificate().expect("is signed");
        assert_eq!(certificate.algorithm(), algorithm);
        assert_eq!(after.measurements().pcrs()[&8], register(&[certificate.der()]));
    };
    use Algorithm::{Es256, Es384, Es512};
    check(&rcgen::PKCS_ECDSA_P256_SHA256, &ECDSA_P256_SHA256_FIXED_SIGNING, Es256);
    check(&rcgen::PKCS_ECDSA_P384_SHA384, &ECDSA_P384_SHA384_FIXED_SIGNING, Es384);
    check(&rcgen::PKCS_ECDSA_P521_SHA512, &ECDSA_P521_SHA512_FIXED_SIGNING, Es512);
}

#[test]
fn a_certificate_on_no_curve_of_ours_signs_nothing() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new([]).expect("no names");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let section = signature_section(pem.as_bytes(), Algorithm::Es256, &[1; 48], &[1; 64]);
    check(&signed(b"kernel", &section), "not on P-256, P-384 or P-521");
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let metadata = Metadata::default();
    let good = Parts {
        architecture: Architecture::X86_64,
        kernel: b"k",
        cmdline: "c",
        ramdisks: &[b"r"],
        metadata: &metadata,
        signature: None,
    };
    let check = |parts: Parts<'_>, expected: &str| {
        let found = write(&parts, Vec::new()).map_or_else(|e| e.to_string(), |()| "ok".to_owned());
        assert!(found.contains(expected), "{found:?} instead of {expected:?}");
    };
    check(good, "ok");
    check(Parts { kernel: b"", ..good }, "section 0: 0 bytes");
    check(Parts { ramdisks: &[], ..good }, "no ramdisk");
    check(Parts { ramdisks: &[b"r".as_slice(); 29], ..good }, "ok");
    check(Parts { ramdisks: &[b"r".as_slice(); 30], ..good }, "33 sections");
    check(Parts { cmdline: &" ".repeat(4_097), ..good }, "section 1: 4097 bytes");
    check(Parts { signature: Some(&[0; 32_769]), ..good }, "section 4: 32769 bytes");
}

/// Whatever one byte becomes, with the checksum made right: an answer, and no panic.
#[test]
fn no_byte_makes_the_reader_panic() {
    let file = vector(include_str!("vectors/p256.hex"));
    for at in 0..file.len() {
        for byte in [0, 0xff] {
            let mut file = file.clone();
            file[at] = byte;
            let _ = measure(sealed(file).as_slice());
        }
    }
}
