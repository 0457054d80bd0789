//! Enclave image files. The checksum is put right before each image is read, unless the input asks
//! for it as it is, so that mutations reach what is behind it. What is accepted
//! - reads the same whole and in pieces;
//! - measures to what the sections measure to when they are walked over here, by the specification
//!   alone, and hashes to the whole file's hash;
//! - is neither shorter nor longer than it should be, and none of its bits can be changed without
//!   its checksum.
//!
//! The input: a byte of switches, the image.
#![no_main]

use aws_lc_rs::digest::{Context, SHA384};
use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::input::Input;
use nitro_signer_shared::eif::{EifError, measure};
use std::io::Read;

const AS_IT_IS: u8 = 1;

/// The header's length, and where its last field stands: the checksum.
const HEADER: usize = 548;
const CHECKSUM: usize = HEADER - 4;
const SECTION_HEADER: usize = 12;
const KERNEL: u16 = 1;
const COMMAND_LINE: u16 = 2;
const RAMDISK: u16 = 3;

/// A source that gives at most 7 bytes at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(7);
        self.0.read(&mut buffer[..most])
    }
}

/// CRC-32 of these parts, bit by bit.
fn checksum(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().copied().flatten();
    !bytes.fold(u32::MAX, |register, byte| {
        (0..8).fold(register ^ u32::from(*byte), |register, _| {
            register >> 1 ^ if register & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

fn pcr(parts: &[&[u8]]) -> [u8; 48] {
    let hash = |parts: &[&[u8]]| {
        let mut context = Context::new(&SHA384);
        parts.iter().for_each(|part| context.update(part));
        <[u8; 48]>::try_from(context.finish().as_ref()).expect("SHA-384 has 48 bytes")
    };
    hash(&[&[0; 48], &hash(parts)])
}

/// PCR0, PCR1 and PCR2 of an image whose sections stand one behind the other to its end.
fn measurements(image: &[u8]) -> [[u8; 48]; 3] {
    let (mut boot, mut ramdisks, mut rest) = (Vec::new(), Vec::new(), &image[HEADER..]);
    while !rest.is_empty() {
        let (head, after) = rest.split_at(SECTION_HEADER);
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let size = u64::from_be_bytes(head[4..].try_into().expect("has 8 bytes"));
        let (content, after) = after.split_at(size.try_into().expect("is in memory"));
        match kind {
            KERNEL | COMMAND_LINE => boot.push(content),
            RAMDISK => ramdisks.push(content),
            _ => {}
        }
        rest = after;
    }
    let (first, others) = ramdisks.split_first().expect("was accepted");
    [pcr(&[&boot[..], &ramdisks].concat()), pcr(&[&boot[..], &[first]].concat()), pcr(others)]
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let switches = input.byte();
    let mut image = input.rest().to_vec();
    if switches & AS_IT_IS == 0 && image.len() > HEADER {
        let right = checksum(&[&image[..CHECKSUM], &image[HEADER..]]);
        image[CHECKSUM..HEADER].copy_from_slice(&right.to_be_bytes());
    }
    let (whole, pieces) = (measure(image.as_slice()), measure(Pieces(&image)));
    let Ok(read) = whole else {
        let same = format!("{:?}", pieces.err()) == format!("{:?}", whole.err());
        return assert!(same, "refused for another reason in pieces");
    };
    assert_eq!(pieces.expect("is the same image"), read);

    let [pcr0, pcr1, pcr2] = measurements(&image);
    let pcrs = read.measurements().pcrs();
    assert_eq!([pcrs.get(&0), pcrs.get(&1), pcrs.get(&2)], [Some(&pcr0), Some(&pcr1), Some(&pcr2)]);
    let certificate = read.signing_certificate().map(|certificate| pcr(&[certificate.der()]));
    assert_eq!(pcrs.get(&8), certificate.as_ref());
    let mut file = Context::new(&SHA384);
    file.update(&image);
    assert_eq!(read.eif_sha384(), file.finish().as_ref());

    assert!(matches!(measure(&image[..image.len() - 1]), Err(EifError::Truncated)));
    assert!(matches!(measure([&image[..], &[0]].concat().as_slice()), Err(EifError::Trailing)));
    let bit = usize::from(pcr0[0]) << 8 | usize::from(pcr0[1]);
    let at = bit / 8 % image.len();
    image[at] ^= 1 << (bit % 8);
    assert!(measure(image.as_slice()).is_err(), "a bit of byte {at} can be changed");
});
