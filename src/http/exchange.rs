//! The joint state of one request and its answer, after the idea of h11's state table.

use super::framing::{Body, Framing};
use super::head::Method;

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
    /// The answer was cut short, or was refused.
    Error,
    /// Bytes only, both ways.
    Tunnel,
}

/// What becomes of the two connections when an exchange is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both can carry another exchange.
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

/// One request and its answer; embedded in each client record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    request: RequestState,
    response: ResponseState,
    method: Method,
    minor: u8,
    flags: u8,
}

impl Exchange {
    /// A client connection that waits for its next request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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
    /// First bytes of a request have come.
    pub fn on_request_bytes(&mut self) {}
    /// A request head was parsed.
    pub fn on_request_head(&mut self, method: Method, minor: u8, framing: &Framing) {
        let _ = (method, minor, framing);
    }
    /// The request body has come to its end.
    pub fn on_request_end(&mut self) {}
    /// The request is unreadable, cut short or too late.
    pub fn on_request_error(&mut self) {}
    /// An answer's head came from the server; 1xx heads too.
    pub fn on_response_head(&mut self, status: u16, framing: &Framing) {
        let _ = (status, framing);
    }
    /// The server's answer has come to its end.
    pub fn on_response_end(&mut self) {}
    /// The server closed, was reset, timed out or wrote nonsense.
    pub fn on_server_lost(&mut self) {}
    /// oneloop answers itself (error, redirect, return): the server is out of the exchange.
    pub fn on_own_answer(&mut self, close: bool) {
        let _ = close;
    }
    /// A side's connection must not be reused for a reason outside HTTP (option httpclose, stop).
    pub fn close_client(&mut self) {}
    /// Likewise for the server's.
    pub fn close_server(&mut self) {}
    /// Whether both sides are done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        false
    }
    /// Whether the client is told that its connection stays, to be asked when the answer's head
    /// is rendered.
    #[must_use]
    pub fn keeps_client(&self) -> bool {
        false
    }
    /// What happens now that the answer is over.
    #[must_use]
    pub fn ending(&self) -> Ending {
        Ending::CloseBoth
    }
    /// How the answer's body reaches the client (an HTTP/1.0 client gets no chunks).
    #[must_use]
    pub fn answer_body(&self, from_server: Body) -> Body {
        from_server
    }
}
