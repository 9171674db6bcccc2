//! The source ports of servers that have a range of them (`source ADDRESS:LOW-HIGH`).
//!
//! Each server's are a queue: the one that was given back last is used last, so that what the
//! other side remembers of a closed connection has gone by then. A port belongs to a connection
//! from its connect to its close, idle times included.

use std::collections::VecDeque;

use super::Engine;
use super::service::Service;
use super::upstream::Upstream;
use crate::base::addr::Endpoint;
use crate::base::outgoing::Outgoing;
use crate::config::model::{Server, ServerId};
use crate::net::{ConnectOptions, Net, Socket, Stop};

/// Ports that are tried for one connect: others may use them on this machine.
const ATTEMPTS_MAX: usize = 10;

/// What the system says of a port that is in use.
const EADDRINUSE: i32 = 98;
const EADDRNOTAVAIL: i32 = 99;

/// Whether a connect failed because no port is free.
pub(super) fn is_out_of_ports(errno: i32) -> bool {
    matches!(errno, EADDRINUSE | EADDRNOTAVAIL)
}

/// The free ports of every server that has a range.
#[derive(Debug, Default)]
pub(crate) struct SourcePorts {
    /// By position of the server; empty where no server has a range.
    free: Vec<VecDeque<u16>>,
}

impl SourcePorts {
    /// Those of the servers of a configuration.
    pub(crate) fn new(servers: &[Server]) -> Self {
        let mut this = Self::default();
        for server in servers {
            this.add(server);
        }
        this
    }

    /// Those of a server that has come.
    pub(crate) fn add(&mut self, server: &Server) {
        let index = server.id.0 as usize;
        let outgoing = server.outgoing.as_deref();
        if let Some((low, high)) = outgoing.and_then(Outgoing::ports) {
            if self.free.len() <= index {
                self.free.resize_with(index + 1, VecDeque::new);
            }
            self.free[index] = (low..=high).collect();
        } else if let Some(before) = self.free.get_mut(index) {
            before.clear();
        }
    }

    fn take(&mut self, server: ServerId) -> Option<u16> {
        self.free.get_mut(server.0 as usize)?.pop_front()
    }

    /// Takes a port back; 0 is none.
    fn give_back(&mut self, server: ServerId, port: u16) {
        if port > 0
            && let Some(free) = self.free.get_mut(server.0 as usize)
        {
            free.push_back(port);
        }
    }

    /// Closes a server connection whose record has been removed.
    pub(crate) fn close(&mut self, net: &mut impl Net, record: Upstream) {
        self.give_back(record.server, record.source_port);
        net.close(record.socket);
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Begins to connect to a server; the port is the one of its range that the connection has.
    pub(crate) fn connect_from(
        &mut self,
        server: &Server,
        to: &Endpoint,
    ) -> Result<(Socket, u16), Stop> {
        let outgoing = server.outgoing.as_deref();
        let has_range = outgoing.is_some_and(|outgoing| outgoing.last_port.is_some());
        let ranged = has_range && matches!(to, Endpoint::Inet(_));
        let mut attempts_left = if ranged { ATTEMPTS_MAX } else { 1 };
        loop {
            let source_port = match ranged {
                true => self.source_ports.take(server.id).ok_or(Stop::NoSource(0))?,
                false => 0,
            };
            let how = ConnectOptions {
                outgoing,
                source_port,
                ..ConnectOptions::default()
            };
            let result = self.net.connect(to, how);
            attempts_left -= 1;
            let stop = match result {
                Ok(socket) => return Ok((socket, source_port)),
                Err(stop) => stop,
            };
            self.source_ports.give_back(server.id, source_port);
            let taken = match stop {
                Stop::Failed(errno) => is_out_of_ports(errno),
                stop => matches!(stop, Stop::NoSource(_)),
            };
            if !taken || attempts_left == 0 {
                return Err(stop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_go_round() {
        let mut ports = SourcePorts {
            free: vec![VecDeque::new(), (7..=8).collect()],
        };
        let (none, ranged, unknown) = (ServerId(0), ServerId(1), ServerId(2));
        assert_eq!(ports.take(none), None);
        assert_eq!(ports.take(unknown), None);
        assert_eq!((ports.take(ranged), ports.take(ranged)), (Some(7), Some(8)));
        assert_eq!(ports.take(ranged), None);
        ports.give_back(ranged, 8);
        ports.give_back(ranged, 0);
        ports.give_back(ranged, 7);
        assert_eq!((ports.take(ranged), ports.take(ranged)), (Some(8), Some(7)));
        assert_eq!(ports.take(ranged), None);
    }
}
