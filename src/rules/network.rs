//! Networks: what addresses are compared with (configuration.txt 7.1.6).
//!
//! `address`, `address/bits` or, of IPv4, `address/mask`. Where many are compared with, those of
//! one mask are in one set, so that an address costs a lookup for each mask.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::args::{mask4, mask6};
use super::compile::{SplitOnce as _, parse_ip};

/// A network: the bits that its mask keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    V4 { bits: u32, mask: u32 },
    V6 { bits: u128, mask: u128 },
}

impl Network {
    /// The length of its prefix, if its mask is one.
    pub(super) fn prefix(self) -> Option<usize> {
        let (leading, all) = match self {
            Self::V4 { mask, .. } => (mask.leading_ones(), mask.count_ones()),
            Self::V6 { mask, .. } => (mask.leading_ones(), mask.count_ones()),
        };
        (leading == all).then_some(all as usize)
    }

    /// Reads `address`, `address/bits` or, of IPv4, `address/mask`; `ip` reads the address.
    pub(super) fn read(value: &[u8], ip: fn(&[u8]) -> Option<IpAddr>) -> Option<Self> {
        let (address, suffix) = match value.split_once_byte(b'/') {
            Some((address, suffix)) => (address, Some(suffix)),
            None => (value, None),
        };
        let bits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u32>().ok();
        match ip(address)? {
            IpAddr::V4(address) => {
                let mask = match suffix {
                    None => u32::MAX,
                    Some(suffix) => match bits(suffix) {
                        Some(bits @ 0..=32) => mask4(bits),
                        Some(_) => return None,
                        None => std::str::from_utf8(suffix)
                            .ok()?
                            .parse::<Ipv4Addr>()
                            .ok()?
                            .to_bits(),
                    },
                };
                let bits = address.to_bits() & mask;
                Some(Self::V4 { bits, mask })
            }
            IpAddr::V6(address) => {
                let mask = match suffix {
                    None => u128::MAX,
                    Some(suffix) => match bits(suffix) {
                        Some(bits @ 0..=128) => mask6(bits),
                        _ => return None,
                    },
                };
                let bits = address.to_bits() & mask;
                Some(Self::V6 { bits, mask })
            }
        }
    }
}

/// Networks by mask, so that an address costs one lookup a mask length.
#[derive(Debug, Default)]
pub(super) struct Networks {
    v4: Vec<(u32, HashSet<u32>)>,
    v6: Vec<(u128, HashSet<u128>)>,
}

impl Networks {
    /// Adds a network; false if it is none.
    pub(super) fn add(&mut self, value: &[u8]) -> bool {
        match Network::read(value, parse_ip) {
            Some(Network::V4 { bits, mask }) => insert(&mut self.v4, mask, bits),
            Some(Network::V6 { bits, mask }) => insert(&mut self.v6, mask, bits),
            None => return false,
        }
        true
    }

    /// Whether any network has the address; IPv4 and IPv6 meet as configuration.txt 7.1.6 says.
    pub(super) fn contain(&self, ip: IpAddr) -> bool {
        let has4 = |bits: u32| {
            self.v4
                .iter()
                .any(|(mask, set)| set.contains(&(bits & mask)))
        };
        let has6 = |bits: u128| {
            self.v6
                .iter()
                .any(|(mask, set)| set.contains(&(bits & mask)))
        };
        match ip {
            IpAddr::V4(ip) => has4(ip.to_bits()) || has6(ip.to_ipv6_mapped().to_bits()),
            IpAddr::V6(ip) => has6(ip.to_bits()) || embedded(ip).is_some_and(has4),
        }
    }
}

/// The IPv4 address in `2002:IPV4::`, `::IPV4` or `::ffff:IPV4`.
pub(super) fn embedded(ip: Ipv6Addr) -> Option<u32> {
    let bits = ip.to_bits();
    if bits >> 112 == 0x2002 {
        Some((bits >> 80) as u32)
    } else if matches!(bits >> 32, 0 | 0xffff) {
        Some(bits as u32)
    } else {
        None
    }
}

fn insert<T: Copy + PartialEq + Eq + std::hash::Hash>(
    groups: &mut Vec<(T, HashSet<T>)>,
    mask: T,
    network: T,
) {
    match groups.iter_mut().find(|(known, _)| *known == mask) {
        Some((_, set)) => drop(set.insert(network)),
        None => groups.push((mask, HashSet::from([network]))),
    }
}
