//! Hash functions of keys (configuration.txt, `hash-type`), bit for bit as HAProxy has them.
//!
//! What each computes was found by giving HAProxy's converters of the same names some thousand
//! texts. Nothing here is meant to withstand an attacker.

/// `hash-type ... FUNCTION`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Function {
    /// `sdbm`.
    #[default]
    Sdbm,
    /// `djb2`.
    Djb2,
    /// `wt6`.
    Wt6,
    /// `crc32`.
    Crc32,
}

impl Function {
    /// The hash of a text.
    #[must_use]
    pub fn of(self, text: &[u8]) -> u32 {
        match self {
            Self::Sdbm => sdbm(text),
            Self::Djb2 => djb2(text),
            Self::Wt6 => wt6(text),
            Self::Crc32 => crc32(text),
        }
    }
}

/// The hash of the sdbm library.
#[must_use]
pub fn sdbm(text: &[u8]) -> u32 {
    text.iter().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(65_599).wrapping_add(u32::from(*byte))
    })
}

/// Bernstein's.
#[must_use]
pub fn djb2(text: &[u8]) -> u32 {
    text.iter().fold(5381, |hash: u32, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(*byte))
    })
}

/// The one that was made for HAProxy: two words that take each byte in, and change places turned
/// by what is in them.
#[must_use]
pub fn wt6(text: &[u8]) -> u32 {
    let (mut one, mut two) = (0xA53C_965A_u32, 0x5CA6_953A_u32);
    let (mut turn_one, mut turn_two) = (6, 18);
    for byte in text {
        let byte = u32::from(*byte);
        let turned = (!(one ^ byte)).rotate_left(turn_two);
        one = (!two.wrapping_add(byte)).rotate_left(turn_one);
        two = turned;
        let mixed = ((one >> 16) ^ two) & 0xFFFF;
        (turn_one, turn_two) = (mixed & 31, mixed >> 11);
    }
    one ^ two
}

/// The CRC of Ethernet and gzip.
#[must_use]
pub fn crc32(text: &[u8]) -> u32 {
    !text.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// `avalanche`: Bob Jenkins' mixing of an integer, each bit of which may change any bit of the
/// result, and one step more.
#[must_use]
pub const fn avalanche(number: u32) -> u32 {
    let a = number.wrapping_add(0x7ED5_5D16).wrapping_add(number << 12);
    let a = (a ^ 0xC761_C23C) ^ (a >> 19);
    let a = a.wrapping_add(0x1656_67B1).wrapping_add(a << 5);
    let a = a.wrapping_add(0xD3A2_646C) ^ (a << 9);
    let a = a.wrapping_add(0xFD70_46C5).wrapping_add(a << 3);
    let a = (a ^ 0xB55A_4F09) ^ (a >> 16);
    a.wrapping_sub(a << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What HAProxy 2.6.12 said by its converters.
    #[test]
    fn hashes_are_haproxys() {
        let rows: [(&[u8], [u32; 5]); 6] = [
            (b"", [0, 5381, 4187620192, 0, 2874071335]),
            (b"a", [97, 177670, 1900802597, 3904355907, 1830748055]),
            (
                b"hello",
                [684824882, 261238937, 3538347703, 907060870, 2061535398],
            ),
            (
                b"/some/path?x=1",
                [3460998110, 798463369, 1256932964, 2542351266, 2006900136],
            ),
            (
                b"\xff\x80z",
                [2115080569, 193659038, 1416146120, 3398102422, 3600443775],
            ),
            (
                b"0123456789abcdef",
                [3183779144, 3574071943, 3993543035, 1757737011, 955458673],
            ),
        ];
        for (text, expected) in rows {
            let found = [
                Function::Sdbm.of(text),
                Function::Djb2.of(text),
                Function::Wt6.of(text),
                Function::Crc32.of(text),
                avalanche(Function::Sdbm.of(text)),
            ];
            assert_eq!(found, expected, "{}", text.escape_ascii());
        }
    }
}
