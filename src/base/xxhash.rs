//! XXH64, the hash of xxhash.com with 64 bits and seed 0: what dynamic cookies are made of.
//!
//! It is here because its values are part of a protocol: every balancer that shares a key must give
//! a server the same cookie. It is no defence against collisions made on purpose.

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// The hash of some bytes.
#[must_use]
pub fn xxh64(bytes: &[u8]) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let mut hash = p5;
    let (stripes, rest) = bytes.as_chunks::<32>();
    if !stripes.is_empty() {
        let mut lanes = [p1.wrapping_add(p2), p2, 0, 0_u64.wrapping_sub(p1)];
        for stripe in stripes {
            let (words, _) = stripe.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = round(*lane, u64::from_le_bytes(*word));
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]);
        let turned = turned.map(|(lane, by)| lane.rotate_left(by));
        hash = turned.fold(0, u64::wrapping_add);
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(p1).wrapping_add(p4);
        }
    }
    hash = hash.wrapping_add(bytes.len() as u64);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        let mixed = (hash ^ round(0, u64::from_le_bytes(*word))).rotate_left(27);
        hash = mixed.wrapping_mul(p1).wrapping_add(p4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        let half = u64::from(u32::from_le_bytes(*half)).wrapping_mul(p1);
        let mixed = (hash ^ half).rotate_left(23);
        hash = mixed.wrapping_mul(p2).wrapping_add(p3);
    }
    for byte in rest {
        let mixed = (hash ^ u64::from(*byte).wrapping_mul(p5)).rotate_left(11);
        hash = mixed.wrapping_mul(p1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(p2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(p3);
    hash ^ (hash >> 32)
}

fn round(lane: u64, word: u64) -> u64 {
    let [p1, p2, ..] = PRIMES;
    let lane = lane.wrapping_add(word.wrapping_mul(p2));
    lane.rotate_left(31).wrapping_mul(p1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the `xxhash` module of Python has them: one for each way through the end of a text, and
    /// texts of less than a stripe, of one, and of more.
    #[test]
    fn known_values() {
        let long = "0123456789abcdef".repeat(4) + "0123456789abc";
        for (text, hash) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0x44bc_2cf5_ad77_0999),
            ("abcd", 0xde03_27b0_d25d_92cc),
            ("abcdefgh", 0x3ad3_5177_5b46_34b7),
            ("0123456789abcdef0123456789abcdef", 0x642a_9495_8e71_e6c5),
            (
                "Nobody inspects the spammish repetition",
                0xfbce_a83c_8a37_8bf1,
            ),
            (&long, 0xd0a6_b2fd_482e_7746),
        ] {
            assert_eq!(xxh64(text.as_bytes()), hash, "{text}");
        }
    }
}
