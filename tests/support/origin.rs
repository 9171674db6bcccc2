//! A server behind the proxy: a listener and a thread for each connection.
//!
//! By default it answers as the article's nginx does (Debian's nginx/1.18.0 with a page of eleven
//! bytes), so that the log's BYTES is the article's 214. A test that wants anything else gives a
//! function that gets the stream itself, so that no behaviour has to be foreseen here.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::client::headers;
use super::{Journal, end, own_address, until};

/// A request as the origin got it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    /// Request line and headers, with the blank line.
    pub(crate) head: String,
    /// The body with its chunked coding undone.
    pub(crate) body: Vec<u8>,
    /// Which connection it came on, counted from 0 over those that carried bytes.
    pub(crate) connection: usize,
}

impl Request {
    /// The request line.
    pub(crate) fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }

    /// The target of the request line.
    pub(crate) fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }

    /// The values of a header, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        headers(&self.head, name)
    }
}

/// What an origin does on a connection, from its first byte to its end.
type Script = dyn Fn(&mut Wire) + Send + Sync;

/// A connection in the hands of a script.
pub(crate) struct Wire {
    /// The stream; a script may do with it what it likes.
    pub(crate) stream: TcpStream,
    pending: Vec<u8>,
    /// Counted from 0 over the connections that carried bytes.
    pub(crate) connection: usize,
    requests: Arc<Journal<Request>>,
}

impl Wire {
    /// Reads a head; `None` at the end of the stream.
    pub(crate) fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.pending.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.pending.drain(..at + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// Reads the body that `head` announces; what there is of it when the stream ends early.
    pub(crate) fn body(&mut self, head: &str) -> Vec<u8> {
        if headers(head, "transfer-encoding").is_empty() {
            let length = headers(head, "content-length").pop();
            return self.exactly(length.map_or(0, |l| l.parse().unwrap()));
        }
        let mut body = Vec::new();
        loop {
            let line = self.line();
            let size = line.trim_end().split(';').next().unwrap();
            let Ok(size @ 1..) = usize::from_str_radix(size, 16) else {
                break;
            };
            body.extend(self.exactly(size));
            self.line();
        }
        // Trailers end with an empty line (or with the stream).
        while self.line().trim_end() != "" {}
        body
    }

    /// Reads a request with its body and files it; `None` at the end of the stream.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let head = self.head()?;
        let body = self.body(&head);
        let request = Request {
            head,
            body,
            connection: self.connection,
        };
        self.file(&request);
        Some(request)
    }

    /// Puts a request into the origin's journal.
    pub(crate) fn file(&self, request: &Request) {
        self.requests.push(request.clone());
    }

    /// Sends bytes; whether the other side still wants any is not this origin's concern.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Reads `len` bytes, or what there is before the end of the stream.
    pub(crate) fn exactly(&mut self, len: usize) -> Vec<u8> {
        while self.pending.len() < len && self.more() {}
        let len = len.min(self.pending.len());
        self.pending.drain(..len).collect()
    }

    /// Reads one line with its end, or what there is before the end of the stream.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.pending.iter().position(|b| *b == b'\n') {
                return String::from_utf8(self.pending.drain(..=at).collect()).unwrap();
            }
            if !self.more() {
                return String::from_utf8(std::mem::take(&mut self.pending)).unwrap();
            }
        }
    }

    /// Reads once; `false` at the end of the stream, however it came.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        let len = loop {
            match self.stream.read(&mut buffer) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                result => break result.unwrap_or(0),
            }
        };
        self.pending.extend_from_slice(&buffer[..len]);
        len > 0
    }
}

struct Shared {
    script: Box<Script>,
    requests: Arc<Journal<Request>>,
    alive: AtomicBool,
    accepted: AtomicUsize,
    talking: AtomicUsize,
    streams: Mutex<HashMap<usize, TcpStream>>,
}

/// A server behind the proxy.
pub(crate) struct Origin {
    /// Where it listens, also while it is dead.
    pub(crate) addr: SocketAddr,
    /// What it was asked and nobody has taken.
    pub(crate) requests: Arc<Journal<Request>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// An origin that answers every request like the article's nginx, with `page` as its page.
    pub(crate) fn nginx(page: &str) -> Self {
        let answer = nginx_answer(page);
        Self::scripted(move |wire| {
            while let Some(request) = wire.request() {
                let body = if request.head.starts_with("HEAD ") {
                    0
                } else {
                    answer.body
                };
                let end = answer.head + body;
                wire.send(&answer.bytes[..end]);
            }
        })
    }

    /// An origin that does what `script` does on each connection that carries bytes.
    pub(crate) fn scripted(script: impl Fn(&mut Wire) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((own_address(), 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Journal::new());
        let shared = Arc::new(Shared {
            script: Box::new(script),
            requests: Arc::clone(&requests),
            alive: AtomicBool::new(true),
            accepted: AtomicUsize::new(0),
            talking: AtomicUsize::new(0),
            streams: Mutex::new(HashMap::new()),
        });
        let mut origin = Self {
            addr,
            requests,
            shared,
            thread: None,
        };
        origin.listen(listener);
        origin
    }

    fn listen(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.thread = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if !shared.alive.load(Ordering::SeqCst) {
                    end(&listener);
                    return;
                }
                let Ok(stream) = stream else { continue };
                let id = shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared
                    .streams
                    .lock()
                    .unwrap()
                    .insert(id, stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&shared, stream, id));
            }
        }));
    }

    /// Stops listening and cuts every connection: from now on the port refuses.
    pub(crate) fn kill(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.shared.alive.store(false, Ordering::SeqCst);
        // Wakes the thread out of accept; refused means that it is gone already.
        drop(TcpStream::connect(self.addr));
        thread.join().unwrap();
        for (_, stream) in self.shared.streams.lock().unwrap().drain() {
            // An error means that the other side was faster.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again on the same address.
    pub(crate) fn revive(&mut self) {
        assert!(self.thread.is_none(), "only the dead are revived");
        let listener = until("the origin's port is free", || {
            TcpListener::bind(self.addr).ok()
        });
        self.shared.alive.store(true, Ordering::SeqCst);
        self.listen(listener);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the script on a connection, unless it ends without a byte as a health check's does.
fn serve(shared: &Shared, stream: TcpStream, id: usize) {
    let mut first = [0];
    if matches!(stream.peek(&mut first), Ok(1)) {
        let connection = shared.talking.fetch_add(1, Ordering::SeqCst);
        let requests = Arc::clone(&shared.requests);
        let mut wire = Wire {
            stream,
            pending: Vec::new(),
            connection,
            requests,
        };
        (shared.script)(&mut wire);
    }
    // The clone in the table would keep the connection open after the script let it go.
    shared.streams.lock().unwrap().remove(&id);
}

/// An answer and where its head and body end.
struct Canned {
    bytes: Vec<u8>,
    head: usize,
    body: usize,
}

/// What nginx/1.18.0 of Debian 11 sends for a small static page.
fn nginx_answer(page: &str) -> Canned {
    let head = format!(
        "HTTP/1.1 200 OK\r\n\
         Server: nginx/1.18.0\r\n\
         Date: Sat, 18 Feb 2023 19:02:26 GMT\r\n\
         Content-Type: text/html\r\n\
         Content-Length: {}\r\n\
         Last-Modified: Sat, 18 Feb 2023 18:30:11 GMT\r\n\
         Connection: keep-alive\r\n\
         ETag: \"63f119f3-{:x}\"\r\n\
         Accept-Ranges: bytes\r\n\r\n",
        page.len(),
        page.len(),
    );
    let bytes = [head.as_bytes(), page.as_bytes()].concat();
    Canned {
        bytes,
        head: head.len(),
        body: page.len(),
    }
}
