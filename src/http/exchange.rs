//! The joint state of one request and its answer, after the idea of h11's state table.
//!
//! Theory. Each side walks its own line of states; what may happen to the two connections is a
//! function of both states and of what the heads said about persistence. All of it is here: the
//! engine reports what happened (`on_…`) and asks what follows (`ending`, `persistence`), and
//! never keeps a flag of its own about keep-alive.
//!
//! ```text
//! request:   Idle -> Head -> Body -> Done          any of the first three -> Error
//! answer:    Idle -(1xx)-> Idle -> Body -> Done    Idle -> Tunnel (101, 2xx to CONNECT)
//!                                  Body -> Error   Idle -> Body/Done (our own answer)
//! ```
//!
//! | request | answer | client connection | server connection |
//! |---|---|---|---|
//! | Done | Done | kept if it may and the answer's end was marked | kept if it may |
//! | Body | Done | closed: the rest of the body cannot be told from a request | closed |
//! | any | Error | closed: its answer was cut short | closed |
//! | Error | any | closed | closed |
//! | Done | Tunnel | joined | joined |
//!
//! It must never know sockets, time or bytes. An event that the state does not allow is a
//! mistake of the engine: it fails in debug builds and changes nothing in release.

use super::framing::{Asked, Body, Framing};
use super::head::{Head, Method};

/// Where the request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestState {
    /// Nothing of a request has come.
    #[default]
    Idle,
    /// Part of a head has come.
    Head,
    /// The body is on its way.
    Body,
    /// The whole request has come.
    Done,
    /// The request was refused, cut short, or timed out.
    Error,
}

/// Where the answer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseState {
    /// No final head has been seen; interim (1xx) ones may have been.
    #[default]
    Idle,
    /// The final head has come and the body is on its way.
    Body,
    /// The whole answer has come.
    Done,
    /// The answer was cut short after its head had come.
    Error,
    /// Bytes only, both ways.
    Tunnel,
}

/// What becomes of the two connections when an exchange is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both can carry another exchange. Also when there was no server.
    KeepBoth,
    /// The client's must be closed; the server's can be reused.
    CloseClient,
    /// The server's must be closed; the client's can be reused.
    CloseServer,
    /// Neither can go on.
    CloseBoth,
    /// They are joined until both have closed.
    Tunnel,
}

/// What an outgoing head says about its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persistence {
    /// Nothing: the version's default holds.
    #[default]
    Unsaid,
    /// `connection: close`
    Close,
    /// `connection: keep-alive`
    KeepAlive,
}

impl Persistence {
    /// The last lines of a head: the `connection` field, if any, and the blank line.
    #[must_use]
    pub fn tail(self) -> &'static [u8] {
        match self {
            Self::Unsaid => b"\r\n",
            Self::Close => b"connection: close\r\n\r\n",
            Self::KeepAlive => b"connection: keep-alive\r\n\r\n",
        }
    }
}

/// One request and its answer; embedded in each client record. Start each with `new`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    request: RequestState,
    response: ResponseState,
    asked: Asked,
    client_leaves: bool,
    client_may_stay: bool,
    server_may_stay: bool,
    own_answer: bool,
    awaits_continue: bool,
}

const _: () = assert!(std::mem::size_of::<Exchange>() <= 12);

impl Exchange {
    /// A client connection that waits for its next request.
    #[must_use]
    pub fn new() -> Self {
        Self {
            client_may_stay: true,
            server_may_stay: true,
            ..Self::default()
        }
    }

    /// The request's state.
    #[must_use]
    pub fn request(&self) -> RequestState {
        self.request
    }

    /// The answer's state.
    #[must_use]
    pub fn response(&self) -> ResponseState {
        self.response
    }

    /// What the answer's framing depends on.
    #[must_use]
    pub fn asked(&self) -> Asked {
        self.asked
    }

    /// First bytes of a request have come.
    pub fn on_request_bytes(&mut self) {
        if self.request == RequestState::Idle {
            self.request = RequestState::Head;
        }
    }

    /// A request head was parsed and framed.
    pub fn on_request_head(&mut self, head: &Head, framing: &Framing) {
        if !self.allows(matches!(
            self.request,
            RequestState::Idle | RequestState::Head
        )) {
            return;
        }
        self.asked = Asked::new(head, framing);
        self.client_leaves = !framing.persistent;
        self.client_may_stay &= framing.persistent;
        self.awaits_continue = framing.expect_continue;
        self.request = match framing.body {
            Body::None => RequestState::Done,
            _ => RequestState::Body,
        };
    }

    /// Rules gave the request another method, on which the answer's framing depends.
    pub fn set_method(&mut self, method: Method) {
        self.asked.method = method;
    }

    /// The request body has come to its end.
    pub fn on_request_end(&mut self) {
        if self.allows(self.request == RequestState::Body) {
            self.request = RequestState::Done;
        }
    }

    /// The request is unreadable, cut short or too late.
    pub fn on_request_error(&mut self) {
        self.request = RequestState::Error;
        self.client_may_stay = false;
        self.server_may_stay = false;
    }

    /// An answer's head came from the server; 1xx heads too.
    pub fn on_response_head(&mut self, framing: &Framing) {
        if !self.allows(self.response == ResponseState::Idle) {
            return;
        }
        self.awaits_continue = false;
        if framing.interim {
            return;
        }
        self.server_may_stay &= framing.persistent;
        self.response = match framing.body {
            Body::None => ResponseState::Done,
            Body::Tunnel => ResponseState::Tunnel,
            _ => ResponseState::Body,
        };
        self.client_may_stay &= self.delivers(framing.body) != Body::UntilClose;
    }

    /// The server's answer has come to its end.
    pub fn on_response_end(&mut self) {
        if self.allows(self.response == ResponseState::Body) {
            self.response = ResponseState::Done;
        }
    }

    /// The server closed, was reset, timed out or wrote nonsense. Without an answer's head the
    /// request may go to another server, or an own answer follows.
    pub fn on_server_lost(&mut self) {
        if self.response == ResponseState::Body {
            self.response = ResponseState::Error;
        }
        self.server_may_stay = false;
    }

    /// Another server is tried: the next one starts with a clean slate.
    pub fn on_retry(&mut self) {
        if self.allows(self.response == ResponseState::Idle) {
            self.server_may_stay = true;
        }
    }

    /// oneloop answers itself (error, redirect, return). `closes` says that the answer ends with
    /// the connection: it has no length, or is a 400 or 408. If the request has not wholly come,
    /// the connection cannot go on, as in HAProxy.
    pub fn on_own_answer(&mut self, closes: bool) {
        if !self.allows(matches!(self.response, ResponseState::Idle)) {
            return;
        }
        self.own_answer = true;
        self.response = ResponseState::Body;
        self.client_may_stay &= !closes && self.request == RequestState::Done;
        self.server_may_stay = false;
    }

    /// The client's connection must not be reused, for a reason outside HTTP (option httpclose,
    /// soft stop, a limit).
    pub fn close_client(&mut self) {
        self.client_may_stay = false;
    }

    /// Whether the client's connection will not be reused, as far as is known by now.
    #[must_use]
    pub fn closes_client(&self) -> bool {
        !self.client_may_stay
    }

    /// Whether the client itself has said, or its version means, that this request is its last: it
    /// sends nothing more (RFC 9112 §9.6). Who is closed for another reason may be about to.
    #[must_use]
    pub fn client_leaves(&self) -> bool {
        self.client_leaves
    }

    /// Likewise the server's (option http-server-close, bytes after the answer).
    pub fn close_server(&mut self) {
        self.server_may_stay = false;
    }

    /// Whether both sides are done, or nothing more can come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.response {
            ResponseState::Done => self.request != RequestState::Body,
            ResponseState::Error => true,
            ResponseState::Idle | ResponseState::Body | ResponseState::Tunnel => false,
        }
    }

    /// Whether the client holds its body back until it is told to go on: the engine sends 100
    /// itself only when it wants the body before asking a server.
    #[must_use]
    pub fn awaits_continue(&self) -> bool {
        self.awaits_continue
    }

    /// Whether a 1xx answer may be passed on: not to HTTP/1.0 (RFC 9110 §15.2).
    #[must_use]
    pub fn takes_interim(&self) -> bool {
        self.asked.minor >= 1
    }

    /// The client has been told to go on.
    pub fn on_continue(&mut self) {
        self.awaits_continue = false;
    }

    /// How the server's body reaches the client. An HTTP/1.0 client cannot read chunks
    /// (RFC 9112 §7.1), so its answer ends with the connection.
    #[must_use]
    pub fn delivers(&self, from_server: Body) -> Body {
        match from_server {
            Body::Chunked if self.asked.minor == 0 => Body::UntilClose,
            body => body,
        }
    }

    /// What the answer's head tells the client about the connection; to be asked after
    /// `on_response_head` or `on_own_answer`. `minor` is the version the answer is sent with.
    /// HAProxy's way: nothing that the answer's version says anyway, except that an HTTP/1.0
    /// client is answered in so many words.
    #[must_use]
    pub fn persistence(&self, minor: u8) -> Persistence {
        if self.response == ResponseState::Tunnel {
            return Persistence::Unsaid;
        }
        match (self.client_may_stay, minor, self.asked.minor) {
            (true, 1.., 1..) => Persistence::Unsaid,
            (true, _, _) => Persistence::KeepAlive,
            (false, 1.., _) => Persistence::Close,
            (false, 0, _) => Persistence::Unsaid,
        }
    }

    /// Whether request and answer have both come to their end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.request == RequestState::Done && self.response == ResponseState::Done
    }

    /// What happens to the connections now that the answer is over.
    #[must_use]
    pub fn ending(&self) -> Ending {
        if self.response == ResponseState::Tunnel {
            return Ending::Tunnel;
        }
        let whole = self.is_whole();
        let client = whole && self.client_may_stay;
        let server = whole && self.server_may_stay;
        match (client, server) {
            (true, true) => Ending::KeepBoth,
            (true, false) => Ending::CloseServer,
            (false, true) => Ending::CloseClient,
            (false, false) => Ending::CloseBoth,
        }
    }

    /// Whether the answer is oneloop's own.
    #[must_use]
    pub fn is_own_answer(&self) -> bool {
        self.own_answer
    }

    fn allows(&self, allowed: bool) -> bool {
        debug_assert!(allowed, "event not allowed in {self:?}");
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(minor: u8, request: Framing) -> Exchange {
        let mut exchange = Exchange::new();
        exchange.on_request_bytes();
        let mut head = Head::new(1);
        head.minor = minor;
        head.method = Method::Get;
        exchange.on_request_head(&head, &request);
        exchange
    }

    const KEPT: Framing = Framing {
        body: Body::None,
        announce: super::super::framing::Announce::Nothing,
        persistent: true,
        drop_length: false,
        upgrade: false,
        websocket: false,
        drop_upgrade: false,
        drop_named: false,
        expect_continue: false,
        interim: false,
    };
    const CLOSED: Framing = Framing {
        persistent: false,
        ..KEPT
    };
    const WITH_BODY: Framing = Framing {
        body: Body::Length(5),
        ..KEPT
    };
    const CHUNKED: Framing = Framing {
        body: Body::Chunked,
        ..KEPT
    };
    const UNTIL_CLOSE: Framing = Framing {
        body: Body::UntilClose,
        persistent: false,
        ..KEPT
    };
    const INTERIM: Framing = Framing {
        interim: true,
        ..KEPT
    };

    /// Request (version and framing) and answer (version and framing), both whole: what the
    /// client is told, and what becomes of the connections.
    fn whole(
        (minor, request, answer_minor, answer): (u8, Framing, u8, Framing),
    ) -> (Persistence, Ending) {
        let mut exchange = begun(minor, request);
        if request.body != Body::None {
            exchange.on_request_end();
        }
        exchange.on_response_head(&answer);
        let said = exchange.persistence(answer_minor);
        if exchange.response() == ResponseState::Body {
            exchange.on_response_end();
        }
        assert!(exchange.is_over());
        (said, exchange.ending())
    }

    use Ending::{CloseBoth, CloseClient, CloseServer, KeepBoth};
    use Persistence::{Close, KeepAlive, Unsaid};

    table! { whole:
        both_stay: (1, KEPT, 1, KEPT) => (Unsaid, KeepBoth);
        bodies_both_ways: (1, WITH_BODY, 1, CHUNKED) => (Unsaid, KeepBoth);
        client_closes: (1, CLOSED, 1, WITH_BODY) => (Close, CloseClient);
        server_closes: (1, KEPT, 1, CLOSED) => (Unsaid, CloseServer);
        until_close: (1, KEPT, 1, UNTIL_CLOSE) => (Close, CloseBoth);
        until_close_from_old: (1, KEPT, 0, UNTIL_CLOSE) => (Unsaid, CloseBoth);
        old_server_to_new_client: (1, KEPT, 0, KEPT) => (KeepAlive, KeepBoth);
        old_server_to_closing_client: (1, CLOSED, 0, KEPT) => (Unsaid, CloseClient);
        old_client_asks_to_stay: (0, KEPT, 1, WITH_BODY) => (KeepAlive, KeepBoth);
        old_client: (0, CLOSED, 1, WITH_BODY) => (Close, CloseClient);
        old_client_gets_no_chunks: (0, KEPT, 1, CHUNKED) => (Close, CloseClient);
        old_client_of_old_server: (0, KEPT, 0, KEPT) => (KeepAlive, KeepBoth);
    }

    #[test]
    fn interim_answers_come_before_the_final_one() {
        let mut exchange = begun(
            1,
            Framing {
                expect_continue: true,
                ..WITH_BODY
            },
        );
        assert!(exchange.awaits_continue() && exchange.takes_interim());
        exchange.on_response_head(&INTERIM);
        exchange.on_response_head(&INTERIM);
        assert!(!exchange.awaits_continue());
        assert_eq!(exchange.response(), ResponseState::Idle);
        exchange.on_request_end();
        exchange.on_response_head(&KEPT);
        assert_eq!(exchange.ending(), KeepBoth);
    }

    #[test]
    fn an_early_answer_ends_with_the_request() {
        let mut exchange = begun(1, WITH_BODY);
        exchange.on_response_head(&KEPT);
        assert!(!exchange.is_over());
        assert_eq!(exchange.ending(), CloseBoth);
        exchange.on_request_end();
        assert_eq!((exchange.is_over(), exchange.ending()), (true, KeepBoth));
    }

    #[test]
    fn an_answer_cut_short_closes_both() {
        let mut exchange = begun(1, KEPT);
        exchange.on_response_head(&WITH_BODY);
        exchange.on_server_lost();
        assert_eq!(exchange.response(), ResponseState::Error);
        assert_eq!((exchange.is_over(), exchange.ending()), (true, CloseBoth));
    }

    #[test]
    fn a_retry_starts_with_a_clean_server() {
        let mut exchange = begun(1, KEPT);
        exchange.on_server_lost();
        exchange.on_retry();
        exchange.on_response_head(&KEPT);
        assert_eq!(exchange.ending(), KeepBoth);
    }

    /// An own answer to a request with this framing, of which the body came or not.
    fn own((minor, request, ended, closes): (u8, Framing, bool, bool)) -> (Persistence, Ending) {
        let mut exchange = begun(minor, request);
        if ended && request.body != Body::None {
            exchange.on_request_end();
        }
        exchange.on_own_answer(closes);
        let said = exchange.persistence(1);
        exchange.on_response_end();
        (said, exchange.ending())
    }

    table! { own:
        own_kept: (1, KEPT, true, false) => (Unsaid, CloseServer);
        own_closing: (1, KEPT, true, true) => (Close, CloseBoth);
        own_after_body: (1, WITH_BODY, true, false) => (Unsaid, CloseServer);
        own_before_body: (1, WITH_BODY, false, false) => (Close, CloseBoth);
        own_to_old: (0, CLOSED, true, false) => (Close, CloseBoth);
        own_to_old_kept: (0, KEPT, true, false) => (KeepAlive, CloseServer);
    }

    #[test]
    fn an_unreadable_request_closes() {
        let mut exchange = Exchange::new();
        exchange.on_request_bytes();
        exchange.on_request_error();
        exchange.on_own_answer(true);
        exchange.on_response_end();
        assert_eq!((exchange.is_over(), exchange.ending()), (true, CloseBoth));
    }

    #[test]
    fn a_tunnel_joins_the_connections() {
        let mut exchange = begun(
            1,
            Framing {
                upgrade: true,
                ..KEPT
            },
        );
        exchange.on_response_head(&Framing {
            body: Body::Tunnel,
            ..CLOSED
        });
        assert_eq!(exchange.ending(), Ending::Tunnel);
        assert_eq!(exchange.persistence(1), Unsaid);
        assert!(!exchange.is_over());
    }

    #[test]
    fn the_engine_may_close_either_side() {
        let mut exchange = begun(1, KEPT);
        exchange.close_client();
        exchange.on_response_head(&KEPT);
        assert_eq!(
            (exchange.persistence(1), exchange.ending()),
            (Close, CloseClient)
        );
        let mut exchange = begun(1, KEPT);
        exchange.on_response_head(&KEPT);
        exchange.close_server();
        assert_eq!(exchange.ending(), CloseServer);
    }

    #[test]
    fn who_is_closed_without_having_said_so_may_send_more() {
        let mut exchange = begun(1, KEPT);
        exchange.close_client();
        assert!(exchange.closes_client() && !exchange.client_leaves());
        assert!(begun(1, CLOSED).client_leaves());
    }
}
