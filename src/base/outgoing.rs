//! How a connection is made and kept, beside where it goes: what `source`, `tcp-ut`, `option tcpka`
//! and their like ask of a socket.
//!
//! Plain values between the configuration, which says them, and the door, which sets them. What
//! clients' connections have is set on their listener once, for accepted sockets inherit it; what
//! server connections have costs a call each, and only where the configuration asks.

use std::net::SocketAddr;

/// `SO_KEEPALIVE` and its times; `None` leaves one to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// `clitcpka-idle`, `srvtcpka-idle`: silence before the first probe, seconds.
    pub idle_s: Option<u32>,
    /// `clitcpka-intvl`, `srvtcpka-intvl`: between two probes, seconds.
    pub interval_s: Option<u32>,
    /// `clitcpka-cnt`, `srvtcpka-cnt`: probes without an answer before the connection is dropped.
    pub count: Option<u32>,
}

/// What the connections that a listener accepts have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// `mss`: the segment size to announce, or, below 0, by how much less than the usual one.
    pub max_segment: Option<i32>,
    /// `tfo`: data may come with the first packet.
    pub fast_open: bool,
    /// `tcp-ut`: how long sent bytes may lack an acknowledgement, ms; 0 leaves it to the system.
    pub user_timeout_ms: u32,
    /// `option clitcpka`.
    pub keepalive: Option<Keepalive>,
    /// `option nolinger`: a close is a reset.
    pub no_linger: bool,
    /// The acknowledgement of the first bytes waits for the answer that carries it
    /// (`option tcp-smart-accept`).
    pub delayed_ack: bool,
}

/// What the connections to a server have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// `source`: the address on this side; its port is 0 for the system's choice.
    pub source: Option<SocketAddr>,
    /// `source ADDRESS:LOW-HIGH`: the last port; `source` has the first one.
    pub last_port: Option<u16>,
    /// `source ... interface NAME`.
    pub interface: Option<String>,
    /// `tcp-ut`, ms; 0 leaves it to the system.
    pub user_timeout_ms: u32,
    /// `option srvtcpka`.
    pub keepalive: Option<Keepalive>,
    /// `option nolinger`: a close is a reset.
    pub no_linger: bool,
    /// `option tcp-smart-connect`: the acknowledgement of the connection waits for the request.
    pub delayed_ack: bool,
    /// `tfo`: the request may leave with the first packet.
    pub fast_open: bool,
}

impl Outgoing {
    /// The ports of a range.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        Some((self.source?.port(), self.last_port?))
    }

    /// What a backend says for all its servers, and one of them for itself: `None` when that is
    /// nothing.
    #[must_use]
    pub fn over(self, backend: &Self) -> Option<Box<Self>> {
        let from = if self.source.is_some() {
            &self
        } else {
            backend
        };
        // `*` and 0.0.0.0 ask for nothing, whatever their port, but that the backend's is not used.
        let source = from.source.filter(|source| !source.ip().is_unspecified());
        let all = Self {
            source,
            last_port: from.last_port.filter(|_| source.is_some()),
            interface: from.interface.clone(),
            user_timeout_ms: self.user_timeout_ms,
            keepalive: backend.keepalive,
            no_linger: backend.no_linger,
            delayed_ack: backend.delayed_ack,
            fast_open: self.fast_open,
        };
        (all != Self::default()).then(|| Box::new(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_stands_over_its_backend() {
        let backend = Outgoing {
            source: Some("10.0.0.1:0".parse().unwrap()),
            interface: Some("lo".to_owned()),
            no_linger: true,
            ..Outgoing::default()
        };
        let own = Outgoing {
            source: Some("10.0.0.2:70".parse().unwrap()),
            last_port: Some(80),
            user_timeout_ms: 5,
            ..Outgoing::default()
        };
        let both = own.clone().over(&backend).unwrap();
        assert_eq!((both.source, both.interface.as_deref()), (own.source, None));
        assert_eq!((both.ports(), both.no_linger), (Some((70, 80)), true));
        assert_eq!(both.user_timeout_ms, 5);
        let inherited = Outgoing::default().over(&backend).unwrap();
        assert_eq!(
            (inherited.source, inherited.ports()),
            (backend.source, None)
        );
        assert_eq!(Outgoing::default().over(&Outgoing::default()), None);
        let any = Outgoing {
            source: Some("0.0.0.0:7".parse().unwrap()),
            last_port: Some(9),
            ..Outgoing::default()
        };
        let freed = any.clone().over(&backend).unwrap();
        assert_eq!((freed.source, freed.ports()), (None, None));
        assert_eq!(any.over(&Outgoing::default()), None);
    }
}
