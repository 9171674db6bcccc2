//! What a server asks for when it wants to know who its client is (RFC 9110 §11.6, §11.7).
//!
//! Some schemes identify the connection and not the request. Whoever passes such a challenge on
//! must bring the client back over the same connection, and must bring nobody else over it.

use super::rewrite::Message;

/// The schemes that identify a connection, by what their names begin with: HAProxy asks no more.
const BY_CONNECTION: [&[u8]; 2] = [b"negotiate", b"ntlm"];

/// Whether an answer asks for what identifies its connection: a 401 in `WWW-Authenticate`, a 407 in
/// `Proxy-Authenticate`. Each element of the list counts.
#[must_use]
pub fn is_by_connection(message: &Message) -> bool {
    let name: &[u8] = match message.status() {
        401 => b"www-authenticate",
        407 => b"proxy-authenticate",
        _ => return false,
    };
    let begins = |value: &[u8], scheme: &[u8]| {
        let start = value.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    message
        .values(name)
        .any(|value| BY_CONNECTION.iter().any(|scheme| begins(value, scheme)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head::{self, Head, Limits, Parsed, Progress};
    use crate::http::rewrite::Edits;

    fn asks(text: &str) -> bool {
        let mut bytes = format!("HTTP/1.1 {text}\r\n\r\n").into_bytes();
        let mut head = Head::new(16);
        let limits = Limits::default();
        let parsed = head::response(&mut bytes, &mut Progress::default(), &mut head, &limits);
        assert!(matches!(parsed, Parsed::Complete), "{text}");
        is_by_connection(&Message::new(&bytes, &head, &Edits::default()))
    }

    #[test]
    fn challenges() {
        let cases = [
            ("401 No\r\nWWW-Authenticate: NTLM", true),
            ("401 No\r\nWWW-Authenticate: ntlm TlRMTVNTUAAC", true),
            ("401 No\r\nWWW-Authenticate: Negotiate", true),
            ("401 No\r\nWWW-Authenticate: NTLMX", true),
            ("401 No\r\nWWW-Authenticate: Basic realm=\"x\", NTLM", true),
            ("401 No\r\nWWW-Authenticate: Basic realm=\"x, NTLM\"", false),
            (
                "401 No\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: Negotiate",
                true,
            ),
            ("401 No\r\nWWW-Authenticate: Basic realm=\"x\"", false),
            ("401 No\r\nWWW-Authenticate: Kerberos", false),
            ("401 No\r\nWWW-Authenticate:", false),
            ("401 No\r\nProxy-Authenticate: NTLM", false),
            ("407 No\r\nProxy-Authenticate: NTLM", true),
            ("407 No\r\nWWW-Authenticate: NTLM", false),
            ("200 Yes\r\nWWW-Authenticate: NTLM", false),
            ("403 No\r\nWWW-Authenticate: Negotiate", false),
        ];
        for (text, expected) in cases {
            assert_eq!(asks(text), expected, "{text}");
        }
    }
}
