//! Numbers around the order of P-384's group, 48 bytes in big-endian.

/// The order n (SP 800-186, section 3.2.1.4).
pub(super) const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// A number below 256.
pub(super) fn small(value: u8) -> [u8; 48] {
    let mut scalar = [0; 48];
    scalar[47] = value;
    scalar
}

/// The next number; zero after the greatest.
pub(super) fn plus_one(scalar: &[u8; 48]) -> [u8; 48] {
    let mut next = *scalar;
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    next
}

/// n - scalar, for a scalar from 1 to n - 1.
pub(super) fn negate(scalar: &[u8; 48]) -> [u8; 48] {
    let (mut difference, mut borrow) = ([0; 48], false);
    for index in (0..48).rev() {
        let (byte, first) = ORDER[index].overflowing_sub(scalar[index]);
        let (byte, second) = byte.overflowing_sub(u8::from(borrow));
        difference[index] = byte;
        borrow = first || second;
    }
    assert!(!borrow, "the scalar is below the order");
    difference
}

#[test]
fn a_number_and_its_negative_add_up_to_the_order() {
    let mut counted = negate(&small(3));
    for _ in 0..3 {
        counted = plus_one(&counted);
    }
    assert_eq!(counted, ORDER);
    assert_eq!(negate(&negate(&[0x5a; 48])), [0x5a; 48]);
    assert_eq!(plus_one(&small(255))[46..], [1, 0]);
}
