//! `option external-check`: what the program of a check is told, and what its end means.
//!
//! The program gets four arguments and the variables below, and nothing of the proxy's own
//! environment (configuration.txt 4.2, `external-check command`). How it ends is the result: 0 is
//! a success, everything else is not, and whoever is killed has the code -1.
//!
//! Starting it, waiting for it and ending it is the engine's.

use std::net::SocketAddr;

use super::conversation::{Ending, Event};
use super::probe::Status;
use crate::base::addr::Endpoint;

/// What stands for an address or a port that is none.
const NOT_USED: &[u8] = b"NOT_USED";
/// The code of a program that could not be run.
pub const NOT_RUN: u32 = 255;
/// The code of one that a signal has ended: -1, without its sign.
pub const KILLED: u32 = u32::MAX;

/// What is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// `external-check command`: a path, or a name to be looked for in `path`.
    pub command: Box<[u8]>,
    /// `external-check path`: its `PATH`; nothing by default.
    pub path: Box<[u8]>,
}

/// Whom a program is to check.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name and number of the backend.
    pub backend: (&'a str, u32),
    /// Where the backend listens first, if it is a `listen`.
    pub listener: Option<&'a Endpoint>,
    /// Name and number of the server.
    pub server: (&'a str, u32),
    /// Where it is.
    pub endpoint: &'a Endpoint,
    /// Its `maxconn`, 0 for none.
    pub maxconn: u32,
    /// Its sessions just now.
    pub sessions: u32,
    /// It is spoken to in HTTP.
    pub is_http: bool,
}

/// An address and its port in words; nothing where it has none.
fn in_words(endpoint: Option<&Endpoint>) -> (Vec<u8>, Vec<u8>) {
    match endpoint {
        Some(Endpoint::Inet(address)) => {
            let (ip, port) = match address {
                SocketAddr::V4(address) => (address.ip().to_string(), address.port()),
                SocketAddr::V6(address) => (address.ip().to_string(), address.port()),
            };
            (ip.into_bytes(), port.to_string().into_bytes())
        }
        Some(Endpoint::Unix(path)) => (path.to_vec(), Vec::new()),
        // A name without a path, as HAProxy sees it.
        Some(Endpoint::Abstract(_)) | None => (Vec::new(), Vec::new()),
    }
}

impl Subject<'_> {
    /// `proxy_address proxy_port server_address server_port`.
    #[must_use]
    pub fn arguments(&self) -> [Vec<u8>; 4] {
        let or_not = |text: Vec<u8>| match text.is_empty() {
            true => NOT_USED.to_vec(),
            false => text,
        };
        let (proxy, proxy_port) = in_words(self.listener);
        let proxy = match self.listener {
            None => NOT_USED.to_vec(),
            Some(_) => proxy,
        };
        let (server, server_port) = in_words(Some(self.endpoint));
        [proxy, or_not(proxy_port), server, or_not(server_port)]
    }

    /// The variables, in HAProxy's order.
    #[must_use]
    pub fn environment(&self, path: &[u8]) -> [(&'static str, Vec<u8>); 13] {
        let number = |value: u32| value.to_string().into_bytes();
        let (proxy, proxy_port) = in_words(self.listener);
        let (server, server_port) = in_words(Some(self.endpoint));
        let protocol = if self.is_http { "h1" } else { "tcp" };
        [
            ("PATH", path.to_vec()),
            ("HAPROXY_PROXY_NAME", self.backend.0.into()),
            ("HAPROXY_PROXY_ID", number(self.backend.1)),
            ("HAPROXY_PROXY_ADDR", proxy),
            ("HAPROXY_PROXY_PORT", proxy_port),
            ("HAPROXY_SERVER_NAME", self.server.0.into()),
            ("HAPROXY_SERVER_ID", number(self.server.1)),
            ("HAPROXY_SERVER_ADDR", server),
            ("HAPROXY_SERVER_PORT", server_port),
            ("HAPROXY_SERVER_MAXCONN", number(self.maxconn)),
            ("HAPROXY_SERVER_CURCONN", number(self.sessions)),
            ("HAPROXY_SERVER_SSL", b"0".to_vec()),
            ("HAPROXY_SERVER_PROTO", protocol.into()),
        ]
    }
}

/// What the code of a program means.
#[must_use]
pub fn ending(code: u32) -> Ending {
    let status = match code {
        0 => Status::ProcessOk,
        _ => Status::ProcessError,
    };
    Ending {
        code,
        ..Ending::new(status, "")
    }
}

/// The result of a program that did not come to its end, or not to its beginning.
pub(super) fn given_up(event: Event<'_>) -> Ending {
    match event {
        Event::TimedOut { .. } => Ending::new(Status::ProcessTimeout, ""),
        Event::Failed(words) => Ending::new(Status::SocketError, words),
        // A program has no connection of ours.
        Event::Start | Event::Connected | Event::Sent | Event::Received { .. } => {
            Ending::new(Status::SocketError, "")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'a>(listener: Option<&'a Endpoint>, endpoint: &'a Endpoint) -> Subject<'a> {
        Subject {
            backend: ("b", 3),
            listener,
            server: ("s", 77),
            endpoint,
            maxconn: 7,
            sessions: 2,
            is_http: true,
        }
    }

    /// Each row: where the proxy listens, where the server is, and what HAProxy 2.6.12 gave.
    #[test]
    fn arguments_are_haproxys() {
        let inet = |text: &str| Endpoint::Inet(text.parse().unwrap());
        let unix = |text: &str| Endpoint::Unix(text.as_bytes().into());
        for (listener, server, expected) in [
            (
                None,
                inet("127.0.0.1:80"),
                ["NOT_USED", "NOT_USED", "127.0.0.1", "80"],
            ),
            (
                None,
                inet("[::1]:80"),
                ["NOT_USED", "NOT_USED", "::1", "80"],
            ),
            (None, unix("/s"), ["NOT_USED", "NOT_USED", "/s", "NOT_USED"]),
            (
                None,
                Endpoint::Abstract(b"foo".as_slice().into()),
                ["NOT_USED", "NOT_USED", "", "NOT_USED"],
            ),
            (
                Some(unix("/l")),
                inet("127.0.0.1:0"),
                ["/l", "NOT_USED", "127.0.0.1", "0"],
            ),
            (
                Some(inet("[::]:81")),
                inet("127.0.0.1:1"),
                ["::", "81", "127.0.0.1", "1"],
            ),
        ] {
            let told = subject(listener.as_ref(), &server).arguments();
            assert_eq!(told.map(|text| String::from_utf8(text).unwrap()), expected);
        }
    }

    #[test]
    fn the_environment_is_haproxys() {
        let (listener, server) = (
            Endpoint::Inet("127.0.0.1:81".parse().unwrap()),
            Endpoint::Unix(b"/s".as_slice().into()),
        );
        let all = |subject: &Subject<'_>, path: &str| {
            let told = subject.environment(path.as_bytes());
            let told = told.map(|(name, value)| {
                let value = String::from_utf8(value).unwrap();
                format!("{name}={value}")
            });
            told.join("\n").replace("HAPROXY_", "")
        };
        let told = subject(Some(&listener), &server);
        assert_eq!(
            all(&told, "/bin"),
            "PATH=/bin\nPROXY_NAME=b\nPROXY_ID=3\nPROXY_ADDR=127.0.0.1\nPROXY_PORT=81\n\
             SERVER_NAME=s\nSERVER_ID=77\nSERVER_ADDR=/s\nSERVER_PORT=\nSERVER_MAXCONN=7\n\
             SERVER_CURCONN=2\nSERVER_SSL=0\nSERVER_PROTO=h1"
        );
        let told = Subject {
            is_http: false,
            ..subject(None, &listener)
        };
        assert_eq!(
            all(&told, ""),
            "PATH=\nPROXY_NAME=b\nPROXY_ID=3\nPROXY_ADDR=\nPROXY_PORT=\n\
             SERVER_NAME=s\nSERVER_ID=77\nSERVER_ADDR=127.0.0.1\nSERVER_PORT=81\n\
             SERVER_MAXCONN=7\nSERVER_CURCONN=2\nSERVER_SSL=0\nSERVER_PROTO=tcp"
        );
    }

    #[test]
    fn the_end_of_the_program_is_the_result() {
        for (code, status, name) in [
            (0, Status::ProcessOk, "PROCOK"),
            (3, Status::ProcessError, "PROCERR"),
            (NOT_RUN, Status::ProcessError, "PROCERR"),
            (KILLED, Status::ProcessError, "PROCERR"),
        ] {
            let found = ending(code);
            assert_eq!((found.code, found.status), (code, status));
            assert_eq!(found.status.name(), name);
        }
        let late = given_up(Event::TimedOut { connected: false });
        assert_eq!(late, Ending::new(Status::ProcessTimeout, ""));
        let words = "Resource temporarily unavailable";
        let failed = given_up(Event::Failed(words));
        assert_eq!(failed, Ending::new(Status::SocketError, words));
    }
}
