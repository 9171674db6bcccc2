//! Raw HTTP/1 over a `TcpStream`: sent is what the test wrote, what came is kept to the byte.
//!
//! Only as much of HTTP is understood here as is needed to know where an answer ends. It is
//! written apart from `oneloop::http` on purpose: a test that used the parser under test would
//! repeat its mistakes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;

/// One answer, whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    /// Status line and headers, with the blank line.
    pub(crate) head: String,
    /// The body with its transfer coding undone.
    pub(crate) body: Vec<u8>,
    /// The body as it was on the wire.
    pub(crate) wire_body: Vec<u8>,
}

impl Answer {
    /// The status code.
    pub(crate) fn status(&self) -> i32 {
        self.head
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .expect("a status line")
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The values of a header, in order; names compare without case.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        headers(&self.head, name)
    }

    /// The head with header names in lower case: what HAProxy sends of any spelling.
    pub(crate) fn lowered_head(&self) -> String {
        lowered_head(&self.head)
    }
}

/// The values of a header in a raw head, in order.
pub(crate) fn headers(head: &str, name: &str) -> Vec<String> {
    let fields = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'));
    fields
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_string())
        .collect()
}

/// A raw head with the header names in lower case.
pub(crate) fn lowered_head(head: &str) -> String {
    let mut lines = head.split("\r\n");
    let mut lowered = lines.next().unwrap().to_string();
    for line in lines {
        lowered.push_str("\r\n");
        match line.split_once(':') {
            Some((name, value)) => {
                lowered.push_str(&format!("{}:{value}", name.to_ascii_lowercase()))
            }
            None => lowered.push_str(line),
        }
    }
    lowered
}

/// A client connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// The stream, for what only some tests do with it.
    pub(crate) stream: TcpStream,
    pending: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap_or_else(|e| panic!("connect {addr}: {e}"));
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            pending: Vec::new(),
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer()
    }

    /// Reads the answer to a request that is not HEAD.
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.head();
        self.body(head)
    }

    /// Reads up to the blank line that ends a head.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(at) = find(&self.pending, b"\r\n\r\n") {
                let head = self.pending.drain(..at + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            let came = self.more();
            assert!(
                came,
                "closed inside a head: {:?}",
                String::from_utf8_lossy(&self.pending)
            );
        }
    }

    /// Reads the body that follows `head`.
    fn body(&mut self, head: String) -> Answer {
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        let chunked = headers(&head, "transfer-encoding")
            .iter()
            .any(|v| v.ends_with("chunked"));
        let length = headers(&head, "content-length").pop();
        let (body, wire_body) = match length {
            _ if status < 200 || status == 204 || status == 304 => (Vec::new(), Vec::new()),
            _ if chunked => self.chunks(),
            Some(length) => {
                let body = self.exactly(length.parse().unwrap());
                (body.clone(), body)
            }
            None => {
                let body = self.rest();
                (body.clone(), body)
            }
        };
        Answer {
            head,
            body,
            wire_body,
        }
    }

    /// Reads a chunked body with its trailers.
    fn chunks(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (mut body, mut wire) = (Vec::new(), Vec::new());
        loop {
            let line = self.line();
            let digits = std::str::from_utf8(&line).unwrap().trim_end();
            let digits = digits.split(';').next().unwrap();
            let size = usize::from_str_radix(digits, 16)
                .unwrap_or_else(|_| panic!("not a chunk size: {digits:?}"));
            wire.extend_from_slice(&line);
            if size == 0 {
                break;
            }
            let chunk = self.exactly(size + 2);
            assert!(chunk.ends_with(b"\r\n"), "a chunk ends with CRLF");
            body.extend_from_slice(&chunk[..size]);
            wire.extend_from_slice(&chunk);
        }
        loop {
            let line = self.line();
            wire.extend_from_slice(&line);
            if line == b"\r\n" {
                return (body, wire);
            }
        }
    }

    /// Reads one line with its end.
    fn line(&mut self) -> Vec<u8> {
        loop {
            if let Some(at) = find(&self.pending, b"\n") {
                return self.pending.drain(..=at).collect();
            }
            assert!(self.more(), "closed inside a line");
        }
    }

    /// Reads `len` bytes.
    pub(crate) fn exactly(&mut self, len: usize) -> Vec<u8> {
        while self.pending.len() < len {
            assert!(
                self.more(),
                "closed after {} of {len} bytes",
                self.pending.len()
            );
        }
        self.pending.drain(..len).collect()
    }

    /// Reads until the other side closes (or resets) and gives what came.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.pending)
    }

    /// Half-closes and waits for the other side's close: after it, the proxy has forgotten us.
    pub(crate) fn finish(mut self) {
        // Not connected any more: the other side closed first, which is as good.
        let _ = self.stream.shutdown(Shutdown::Write);
        let rest = self.rest();
        assert!(
            rest.is_empty(),
            "nobody asked for {:?}",
            String::from_utf8_lossy(&rest)
        );
    }

    /// Reads once; `false` at the end of the stream.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(len) => {
                self.pending.extend_from_slice(&buffer[..len]);
                true
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => false,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let have = String::from_utf8_lossy(&self.pending);
                panic!("nothing more came; so far: {have:?}")
            }
            Err(e) => panic!("read: {e}"),
        }
    }
}

/// Where `needle` begins in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}
