//! What fetches need, and where it is to be had (the columns of `haproxy -dKsmp`).

use crate::rules::fetch::Scope;

/// What must be there for a fetch to yield anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Needs {
    /// Nothing: it works everywhere.
    Nothing,
    /// The request's head.
    Request,
    /// The answer's head.
    Response,
    /// The head of the message at hand.
    Message,
    /// The status, which the log has as well.
    Status,
    /// A server was chosen.
    Server,
    /// The bytes that the client has sent, as they came.
    Bytes,
    /// Those of either side.
    EitherBytes,
}

impl Needs {
    /// What HAProxy says is not available, or nothing if the place has it.
    pub(in crate::rules) fn lacking(self, scope: Scope) -> Option<&'static str> {
        if scope == Scope::Connection {
            let below = self.lacking(Scope::Log);
            return below.or_else(|| self.lacking(Scope::Switch));
        }
        let scope = if scope == Scope::Content {
            Scope::Request
        } else {
            scope
        };
        match (self, scope) {
            (Self::Bytes, Scope::Response | Scope::Log) => Some("request buffer"),
            (Self::EitherBytes, Scope::Response | Scope::Log) => {
                Some("request buffer,response buffer")
            }
            (Self::Request, Scope::Response | Scope::Log) => Some("HTTP request headers"),
            (Self::Response, Scope::Request | Scope::Switch | Scope::Server | Scope::Log) => {
                Some("HTTP response headers")
            }
            (Self::Message, Scope::Log) => Some("HTTP request headers,HTTP response headers"),
            (Self::Status, Scope::Request | Scope::Switch | Scope::Server) => Some("HTTP response"),
            (Self::Server, Scope::Request | Scope::Switch | Scope::Server) => Some("server"),
            _ => None,
        }
    }
}
