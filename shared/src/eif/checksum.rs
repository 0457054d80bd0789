//! CRC-32 as Ethernet, gzip and EIF compute it (ISO/IEC 8802-3: polynomial 0x04c11db7, reflected,
//! all ones before and after).
//!
//! It finds a file that was damaged, and never one that somebody changed on purpose.

/// What each value of a byte does to the register.
const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// A checksum in progress.
pub(super) struct Crc32(u32);

impl Crc32 {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.0.to_le_bytes();
            self.0 = TABLE[usize::from(low ^ byte)] ^ (self.0 >> 8);
        }
    }

    pub(super) const fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&[u8]], expected: u32) {
        let mut checksum = Crc32::new();
        pieces.iter().for_each(|piece| checksum.update(piece));
        assert_eq!(checksum.value(), expected);
    }

    /// The check value of CRC-32/ISO-HDLC, and others that zlib gives.
    #[test]
    fn known_answers() {
        check(&[], 0);
        check(&[b"123456789"], 0xcbf4_3926);
        check(&[b"1234", b"", b"56789"], 0xcbf4_3926);
        check(&[&[0; 32]], 0x190a_55ad);
        check(&[&[0xff; 32]], 0xff6c_ab0b);
    }
}
