//! Which server a cookie's value names, and the values that are made for servers.
//!
//! A directory is sorted, so that a request is answered by halving and not by asking each server.
//! Several servers may share a value: they come in the order of their backend. Whether one of them
//! may be used is the caller's question.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::base::xxhash::xxh64;

/// The servers of a backend by the values of their cookies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// Sorted by value, then as declared.
    entries: Vec<(Box<[u8]>, u32)>,
}

impl Directory {
    /// A directory of values and whose they are, in the order of the backend.
    pub fn new<'a>(servers: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut entries: Vec<(Box<[u8]>, u32)> = servers
            .map(|(value, id)| (value.as_bytes().into(), id))
            .collect();
        // The sort is stable: those that share a value keep their order.
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        Self { entries }
    }

    /// The servers that a value names, in order.
    pub fn named<'a>(&'a self, value: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        let start = self.entries.partition_point(|(own, _)| **own < *value);
        let behind = self.entries.get(start..).unwrap_or_default().iter();
        behind
            .take_while(move |(own, _)| **own == *value)
            .map(|(_, id)| *id)
    }

    /// Whether two servers share a value.
    #[must_use]
    pub fn has_twins(&self) -> bool {
        let followers = self.entries.iter().skip(1);
        self.entries
            .iter()
            .zip(followers)
            .any(|(one, next)| one.0 == next.0)
    }
}

/// The value that every balancer with this key gives to a server at this address and port.
#[must_use]
pub fn dynamic_cookie(key: &[u8], address: IpAddr, port: i32) -> String {
    let mut hashed = key.to_vec();
    match address {
        IpAddr::V4(address) => hashed.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => hashed.extend_from_slice(&address.octets()),
    }
    hashed.extend_from_slice(&port.to_be_bytes());
    let mut value = String::new();
    // Writing to a string does not fail.
    let _ = write!(value, "{:016x}", xxh64(&hashed));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_find_their_servers() {
        let all = [("b", 0), ("a", 1), ("b", 2), ("", 3), ("ab", 4), ("a", 5)];
        let directory = Directory::new(all.into_iter());
        let named = |value: &str| directory.named(value.as_bytes()).collect::<Vec<_>>();
        assert_eq!(named("a"), [1, 5]);
        assert_eq!(named("b"), [0, 2]);
        assert_eq!(named(""), [3]);
        assert_eq!(named("ab"), [4]);
        assert!(named("abc").is_empty() && named("A").is_empty());
        assert!(directory.has_twins());
        assert!(!Directory::new([("a", 0), ("b", 1)].into_iter()).has_twins());
        assert!(!Directory::default().has_twins());
    }

    /// Read off HAProxy 2.6.12.
    #[test]
    fn values_are_those_of_haproxy() {
        for (key, address, port, value) in [
            ("secretkey", "127.0.0.1", 40427, "2787d5feb3699b56"),
            ("secretkey", "::1", 1234, "4675051b3131587e"),
            ("k2", "::1", 1234, "5a25d05b34f56d79"),
            ("k", "127.0.0.1", 0, "ef5da77f9a4fd79d"),
            ("k", "127.0.0.1", 5, "a57ea85a295e009c"),
            ("k", "0.0.0.0", 80, "f7e973a161e5ed69"),
        ] {
            let found = dynamic_cookie(key.as_bytes(), address.parse().unwrap(), port);
            assert_eq!(found, value, "{key} {address} {port}");
        }
    }
}
