//! Addresses as the log and the rules see them, and places that can be connected to.
//!
//! `Address` is what a session remembers of its peers: small, `Copy`, printable without a format
//! string. `Endpoint` is what a configuration names: it may hold a path and is not copied on the
//! request path.
//!
//! Neither resolves a name; that is the configuration's business.

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One side of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Address {
    /// Not known (yet).
    #[default]
    None,
    /// A unix socket; peers of such have no name worth printing.
    Unix,
    /// IPv4 and a port.
    V4(Ipv4Addr, u16),
    /// IPv6 and a port.
    V6(Ipv6Addr, u16),
}

impl Address {
    /// The address of `ip` and `port`.
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip, port),
            IpAddr::V6(ip) => Self::V6(ip, port),
        }
    }

    /// The port, 0 where there is none.
    pub const fn port(self) -> u16 {
        match self {
            Self::V4(_, port) | Self::V6(_, port) => port,
            Self::None | Self::Unix => 0,
        }
    }

    /// The IP address, if it is one.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::V4(ip, _) => Some(IpAddr::V4(ip)),
            Self::V6(ip, _) => Some(IpAddr::V6(ip)),
            Self::None | Self::Unix => None,
        }
    }

    /// The socket address, if it is one.
    pub const fn socket_addr(self) -> Option<SocketAddr> {
        match self.ip() {
            Some(ip) => Some(SocketAddr::new(ip, self.port())),
            None => None,
        }
    }

    /// True when nothing is known.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// Appends the IP address as the log's `%ci` has it: no brackets, `unix` for a unix socket,
    /// `-` when not known.
    pub fn write_ip(self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(b'-'),
            Self::Unix => out.extend_from_slice(b"unix"),
            Self::V4(ip, _) => write_v4(out, ip),
            // Writing to a vector does not fail.
            Self::V6(ip, _) => drop(write!(out, "{ip}")),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::new(addr.ip(), addr.port())
    }
}

/// `1.2.3.4:80`, `2001:db8::1:80` (HAProxy puts no brackets), `unix`, `-`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            Self::Unix => f.write_str("unix"),
            Self::V4(ip, port) => write!(f, "{ip}:{port}"),
            Self::V6(ip, port) => write!(f, "{ip}:{port}"),
        }
    }
}

/// A place to connect or listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// IP address and port.
    Inet(SocketAddr),
    /// A unix socket's path, any bytes.
    Unix(Box<[u8]>),
    /// A name in Linux' abstract namespace (`abns@`), without its leading zero byte.
    Abstract(Box<[u8]>),
}

impl Endpoint {
    /// The same address with another port; paths and names have none and stay.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Inet(address) => Self::Inet(SocketAddr::new(address.ip(), port)),
            other => other.clone(),
        }
    }

    /// Whether it is on this machine for certain: a loopback address or a unix socket.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Inet(address) => address.ip().is_loopback(),
            Self::Unix(_) | Self::Abstract(_) => true,
        }
    }

    /// What the log prints of it: `Unix` for both kinds of unix sockets.
    pub const fn address(&self) -> Address {
        match self {
            Self::Inet(addr) => Address::new(addr.ip(), addr.port()),
            Self::Unix(_) | Self::Abstract(_) => Address::Unix,
        }
    }
}

/// `1.2.3.4:80`, `[2001:db8::1]:80`, `/path`, `abns@name`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(addr) => addr.fmt(f),
            Self::Unix(path) => f.write_str(&String::from_utf8_lossy(path)),
            Self::Abstract(name) => write!(f, "abns@{}", String::from_utf8_lossy(name)),
        }
    }
}

/// The decimal digits of each octet, and how many they are.
#[expect(
    clippy::indexing_slicing,
    reason = "the loop ends with the table, while compiling"
)]
static OCTETS: [[u8; 4]; 256] = {
    let mut table = [[0; 4]; 256];
    let mut n = 0;
    while n < 256 {
        let digits = [n / 100, n / 10 % 10, n % 10];
        let from = if n > 99 {
            0
        } else if n > 9 {
            1
        } else {
            2
        };
        let mut at = from;
        while at < 3 {
            table[n][at - from] = b'0' + digits[at] as u8;
            at += 1;
        }
        table[n][3] = (3 - from) as u8;
        n += 1;
    }
    table
};

/// Appends an address with its dots: an address goes out with most requests.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "an octet is below 256, and four of them have at most twelve digits and four dots"
)]
fn write_v4(out: &mut Vec<u8>, ip: Ipv4Addr) {
    let mut text = [0; 16];
    let mut at = 0;
    for octet in ip.octets() {
        let entry = OCTETS[usize::from(octet)];
        text[at..at + 4].copy_from_slice(&entry);
        at += usize::from(entry[3] & 3);
        text[at] = b'.';
        at += 1;
    }
    out.extend_from_slice(&text[..at - 1]);
}

/// Appends `n` in decimal, without `format!`'s machinery: log lines are mostly numbers.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a u64 has at most 20 digits"
)]
pub fn write_decimal(out: &mut Vec<u8>, mut n: u64) {
    // Most numbers of a log line have one digit.
    if n < 10 {
        return out.push(b'0' + n as u8);
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    while n > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `n` in decimal with a minus sign where one is due.
pub fn write_signed(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    write_decimal(out, n.unsigned_abs());
}

const _: () = assert!(size_of::<Address>() <= 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_the_log_has_them() {
        let v6: SocketAddr = "[2001:db8::7]:443".parse().unwrap();
        for (address, ip, text) in [
            (Address::None, "-", "-"),
            (Address::Unix, "unix", "unix"),
            (
                Address::V4(Ipv4Addr::new(10, 2, 0, 1), 54786),
                "10.2.0.1",
                "10.2.0.1:54786",
            ),
            (
                Address::V4(Ipv4Addr::new(255, 255, 255, 255), 0),
                "255.255.255.255",
                { "255.255.255.255:0" },
            ),
            (v6.into(), "2001:db8::7", "2001:db8::7:443"),
        ] {
            let mut out = Vec::new();
            address.write_ip(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), ip);
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(Address::from(v6).port(), 443);
        assert_eq!(Address::from(v6).socket_addr(), Some(v6));
        assert_eq!(Endpoint::Inet(v6).to_string(), "[2001:db8::7]:443");
        assert_eq!(Endpoint::Abstract(b"x"[..].into()).to_string(), "abns@x");
    }

    #[test]
    fn decimals() {
        for n in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_decimal(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
        for n in [0, -1, i64::MIN, i64::MAX] {
            let mut out = Vec::new();
            write_signed(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }
}
