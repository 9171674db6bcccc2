//! How a session ended, as the two letters of the log (configuration.txt 8.5).
//!
//! The first letter says whose doing it was, the second how far the session had come. Two more
//! letters, in HTTP mode, say what became of the persistence cookie. All are types here, so that
//! each exit of the engine must name one and none can be misspelt.
//!
//! The combinations that the manual describes have names below; others can be built, because a
//! table of the likely ones is not a list of the possible ones.

/// The first event that made the session end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Nothing unusual: both sides closed with nothing left to send.
    #[default]
    None = b'-',
    /// The client closed or reset its connection early.
    Client = b'C',
    /// The server closed, reset or refused its connection.
    Server = b'S',
    /// The proxy refused: a deny rule, a limit, a message it will not pass on.
    Proxy = b'P',
    /// The proxy answered by itself: redirect, return, statistics.
    Local = b'L',
    /// The proxy ran out of something: descriptors, ports, memory.
    Resource = b'R',
    /// The proxy found itself in an impossible state.
    Internal = b'I',
    /// Killed because its server went down (`on-marked-down shutdown-sessions`).
    Down = b'D',
    /// Killed on a backup server because an active one came up
    /// (`on-marked-up shutdown-backup-sessions`).
    Up = b'U',
    /// Killed by an administrator.
    Killed = b'K',
    /// A time limit on the client's side passed.
    ClientTimeout = b'c',
    /// A time limit on the server's side passed.
    ServerTimeout = b's',
}

/// How far the session had come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Stage {
    /// To the end.
    #[default]
    None = b'-',
    /// Waiting for a whole request.
    Request = b'R',
    /// Waiting in a queue for a server.
    Queue = b'Q',
    /// Connecting to a server.
    Connect = b'C',
    /// Waiting for the head of the answer.
    Headers = b'H',
    /// Passing data on.
    Data = b'D',
    /// Sending the last data to the client, the server being done.
    Last = b'L',
    /// Held in a tarpit.
    Tarpit = b'T',
}

/// What the client's persistence cookie was worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RequestCookie {
    /// No persistence cookie is configured.
    #[default]
    Unused = b'-',
    /// None was sent.
    None = b'N',
    /// It names no server.
    Invalid = b'I',
    /// It names a server that is down.
    Down = b'D',
    /// It chose the server.
    Valid = b'V',
    /// Its last date is too old (`maxidle`).
    Expired = b'E',
    /// Its first date is too old (`maxlife`).
    Old = b'O',
    /// It was there, but something else chose the server.
    Ignored = b'U',
}

/// What was done with the persistence cookie of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResponseCookie {
    /// No persistence cookie is configured.
    #[default]
    Unused = b'-',
    /// The server sent none and none was added.
    None = b'N',
    /// The proxy added one.
    Inserted = b'I',
    /// The proxy renewed the date in it.
    Updated = b'U',
    /// The server's own was passed on.
    Passed = b'P',
    /// The server's own was rewritten.
    Rewritten = b'R',
    /// The server's own was deleted.
    Deleted = b'D',
}

/// The session state at disconnection: the log's `%ts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Termination {
    /// The first letter.
    pub cause: Cause,
    /// The second letter.
    pub stage: Stage,
}

/// One name for each combination of the manual's table.
macro_rules! combinations {
    ($($(#[$doc:meta])* $name:ident = $cause:ident, $stage:ident;)*) => {
        impl Termination {
            $($(#[$doc])* pub const $name: Self = Self::new(Cause::$cause, Stage::$stage);)*

            /// Every named combination, in the order of the manual's table.
            pub const NAMED: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

combinations! {
    /// `--`: normal end.
    NORMAL = None, None;
    /// `CC`: the client left while the server was being connected to.
    CLIENT_IN_CONNECT = Client, Connect;
    /// `CD`: the client left while data was passed on.
    CLIENT_IN_DATA = Client, Data;
    /// `cD`: the client neither sent nor took data for `timeout client`.
    CLIENT_TIMEOUT_IN_DATA = ClientTimeout, Data;
    /// `CH`: the client left while waiting for the answer.
    CLIENT_IN_HEADERS = Client, Headers;
    /// `cH`: the client's request body did not come within `timeout client`.
    CLIENT_TIMEOUT_IN_HEADERS = ClientTimeout, Headers;
    /// `CQ`: the client left while queued.
    CLIENT_IN_QUEUE = Client, Queue;
    /// `CR`: the client left before its request was whole.
    CLIENT_IN_REQUEST = Client, Request;
    /// `cR`: the request was not whole within `timeout http-request`.
    CLIENT_TIMEOUT_IN_REQUEST = ClientTimeout, Request;
    /// `CT`: the client left the tarpit.
    CLIENT_IN_TARPIT = Client, Tarpit;
    /// `LR`: answered by the proxy itself.
    LOCAL = Local, Request;
    /// `SC`: the server refused the connection, or none is left.
    SERVER_IN_CONNECT = Server, Connect;
    /// `sC`: no connection within `timeout connect`.
    SERVER_TIMEOUT_IN_CONNECT = ServerTimeout, Connect;
    /// `SD`: the server broke off while data was passed on.
    SERVER_IN_DATA = Server, Data;
    /// `sD`: the server neither sent nor took data for `timeout server`.
    SERVER_TIMEOUT_IN_DATA = ServerTimeout, Data;
    /// `SH`: the server broke off before the head of its answer was whole.
    SERVER_IN_HEADERS = Server, Headers;
    /// `sH`: no answer within `timeout server`.
    SERVER_TIMEOUT_IN_HEADERS = ServerTimeout, Headers;
    /// `sQ`: no server came free within `timeout queue`.
    SERVER_TIMEOUT_IN_QUEUE = ServerTimeout, Queue;
    /// `SQ`: no more may wait for the server that it must have.
    SERVER_IN_QUEUE = Server, Queue;
    /// `PC`: the proxy may not open another connection.
    PROXY_IN_CONNECT = Proxy, Connect;
    /// `PD`: a body that the proxy will not pass on.
    PROXY_IN_DATA = Proxy, Data;
    /// `PH`: an answer that the proxy will not pass on.
    PROXY_IN_HEADERS = Proxy, Headers;
    /// `PR`: a request that the proxy will not pass on.
    PROXY_IN_REQUEST = Proxy, Request;
    /// `PT`: answered out of the tarpit.
    PROXY_IN_TARPIT = Proxy, Tarpit;
    /// `RC`: no port, descriptor or memory for a connection to the server.
    RESOURCE_IN_CONNECT = Resource, Connect;
}

impl Termination {
    /// The state of the two letters.
    pub const fn new(cause: Cause, stage: Stage) -> Self {
        Self { cause, stage }
    }

    /// The two letters.
    pub const fn letters(self) -> [u8; 2] {
        [self.cause as u8, self.stage as u8]
    }

    /// True for `--`.
    pub const fn is_normal(self) -> bool {
        matches!(self, Self::NORMAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_combinations_are_the_manuals() {
        let letters: Vec<u8> = Termination::NAMED
            .iter()
            .flat_map(|state| state.letters())
            .collect();
        let expected = "-- CC CD cD CH cH CQ CR cR CT LR SC sC SD sD SH sH sQ SQ PC PD PH PR PT RC";
        assert_eq!(
            String::from_utf8(letters).unwrap(),
            expected.replace(' ', "")
        );
    }

    #[test]
    fn letters_of_the_others() {
        for (cause, stage, letters) in [
            (Cause::Internal, Stage::Request, b"IR"),
            (Cause::Killed, Stage::Data, b"KD"),
            (Cause::Down, Stage::Last, b"DL"),
            (Cause::Up, Stage::None, b"U-"),
        ] {
            assert_eq!(&Termination::new(cause, stage).letters(), letters);
        }
        assert!(Termination::default().is_normal());
        assert_eq!(RequestCookie::Valid as u8, b'V');
        assert_eq!(ResponseCookie::default() as u8, b'-');
    }
}
