//! A health check as a conversation: what happened in, what to do next out.
//!
//! The engine connects, sends, receives and measures, and tells each of it as an [`Event`]; the
//! conversation answers with one [`Action`]. Bytes pass through the [`Desk`], which the engine
//! lends for the length of one check. So every kind of check is driven by the same code, and can be
//! tested as a table of events and actions.
//!
//! The order of events is fixed: `Start` first; `Connected` or `Failed` after `Connect`; `Sent`
//! after `Send`, once all of the desk's output has left; `Received` after `Receive`, each time that
//! more has come, with everything that was not consumed in the desk's input. `Failed` and
//! `TimedOut` may come after any action, and the answer to them must be `Done`.

use std::net::IpAddr;

use super::external::{self, Program};
use super::probe::Status;
use super::protocol::{self, Protocol};
use super::sequence::{self, Sequence, Surroundings, Tools};

/// What the engine tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The check begins.
    Start,
    /// The connection that was asked for is there.
    Connected,
    /// All that was to be sent has left.
    Sent,
    /// What has come is in the desk's input. `ended` says that no more will be there: the server
    /// has closed, or the input is full.
    Received {
        /// Nothing follows.
        ended: bool,
    },
    /// The connection could not be made, or broke; with the system's words, which may be none.
    Failed(&'a str),
    /// It took too long. `connected` is false while a connection was awaited.
    TimedOut {
        /// It was made.
        connected: bool,
    },
}

/// What the engine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Close the connection if there is one, and make another.
    Connect(Connect),
    /// Send the desk's output.
    Send,
    /// Wait until more has come.
    Receive,
    /// It is over.
    Done(Ending),
}

/// How to connect. The default is where the server's line has the check go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    /// Another port.
    pub port: Option<u16>,
    /// Another address.
    pub address: Option<IpAddr>,
    /// What the server's line says of its connections holds.
    pub as_server: bool,
    /// A header of the PROXY protocol goes first, whatever that line says.
    pub send_proxy: bool,
    /// Close in good order at the end instead of by a reset.
    pub linger: bool,
    /// The server may be the first to speak.
    pub server_speaks: bool,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The result.
    pub status: Status,
    /// The code of the answer, 0 for none.
    pub code: u32,
    /// What the log and the statistics have of it.
    pub info: Vec<u8>,
}

impl Ending {
    /// A result without a code.
    pub fn new(status: Status, info: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            code: 0,
            info: info.into(),
        }
    }
}

/// The bytes of one check. The storage is used again by another.
#[derive(Debug, Default)]
pub struct Desk {
    /// What came and was not consumed.
    pub input: Vec<u8>,
    /// What is to be sent.
    pub output: Vec<u8>,
}

impl Desk {
    /// Nothing came, and nothing is to be sent.
    pub fn clear(&mut self) {
        self.input.clear();
        self.output.clear();
    }
}

/// What a check says and expects, as configured; the same for all servers of a backend.
#[derive(Debug, Default)]
pub enum Script {
    /// A connection is all: layer 4.
    #[default]
    Connection,
    /// The steps of `tcp-check` or `http-check` rules.
    Sequence(Box<Sequence>),
    /// One of the protocols that HAProxy has an option for.
    Protocol(Protocol),
    /// A program (`option external-check`): the engine runs it, and asks here only when it cannot
    /// or when that takes too long.
    Program(Box<Program>),
}

/// How far one run of a [`Script`] is.
#[derive(Debug, Default)]
pub struct Conversation {
    sequence: sequence::State,
    protocol: protocol::State,
}

impl Conversation {
    /// What to do after an event.
    pub fn on<C: Surroundings>(
        &mut self,
        event: Event<'_>,
        script: &Script,
        desk: &mut Desk,
        tools: &mut Tools<'_, C>,
    ) -> Action {
        match script {
            Script::Connection => plain(event),
            Script::Program(_) => Action::Done(external::given_up(event)),
            Script::Sequence(sequence) => sequence.on(event, &mut self.sequence, desk, tools),
            Script::Protocol(protocol) => match protocol.on(event, &mut self.protocol, desk) {
                Action::Connect(how) => Action::Connect(Connect {
                    as_server: true,
                    server_speaks: true,
                    ..how
                }),
                action => action,
            },
        }
    }
}

/// A connection as the server's line has it.
const AS_SERVER: Connect = Connect {
    port: None,
    address: None,
    as_server: true,
    send_proxy: false,
    linger: false,
    server_speaks: false,
};

/// A check that connects and no more.
fn plain(event: Event<'_>) -> Action {
    Action::Done(match event {
        Event::Start => return Action::Connect(AS_SERVER),
        Event::Connected | Event::Sent | Event::Received { .. } => Ending::new(Status::L4Ok, ""),
        Event::Failed(words) => Ending::new(Status::L4Failed, words),
        Event::TimedOut { .. } => Ending::new(Status::L4Timeout, ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_all() {
        let done = |status, info: &str| Action::Done(Ending::new(status, info));
        for (event, action) in [
            (Event::Start, Action::Connect(AS_SERVER)),
            (Event::Connected, done(Status::L4Ok, "")),
            (
                Event::Failed("Connection refused"),
                done(Status::L4Failed, "Connection refused"),
            ),
            (
                Event::TimedOut { connected: false },
                done(Status::L4Timeout, ""),
            ),
        ] {
            assert_eq!(plain(event), action);
        }
    }
}
