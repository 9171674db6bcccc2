//! The server behind the proxy: one thread, many connections, a record of every request.
//!
//! A request names itself: the first part of its path is its id. When the server is killed it first
//! takes in all that its system holds for it, so that its record shows everything that it received;
//! the caller keeps the proxy still for that moment, and nothing is under way then.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::line::{Line, turn};
use crate::place::{end, own_address, until};

/// A request as the server sees it.
pub(crate) struct Asked {
    /// Its id.
    pub(crate) id: u64,
}

/// What follows an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    Keep,
    /// A reset.
    Reset,
}

/// What the server does with a request.
pub(crate) struct Reply {
    /// What it sends.
    pub(crate) bytes: Arc<[u8]>,
    /// After how long.
    pub(crate) after: Duration,
    /// And then.
    pub(crate) then: Then,
}

/// An answer with so many bytes of body.
pub(crate) fn page(body: usize) -> Arc<[u8]> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + body, b'x');
    bytes.into()
}

enum Order {
    Hold,
    Kill,
    Revive,
    Stop,
}

type Script = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The handle of a server.
pub(crate) struct Origin {
    /// Where it listens, also while it is dead.
    pub(crate) addr: SocketAddr,
    received: Arc<Mutex<HashSet<u64>>>,
    orders: Sender<Order>,
    done: Receiver<usize>,
    waker: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Origin {
    /// A server that answers each request at once with so many bytes of body.
    pub(crate) fn quick(body: usize) -> Self {
        let bytes = page(body);
        Self::scripted(move |_| Reply {
            bytes: Arc::clone(&bytes),
            after: Duration::ZERO,
            then: Then::Keep,
        })
    }

    /// A server that does what `script` says.
    pub(crate) fn scripted(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((own_address(), 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (orders, taken) = channel();
        let (tell, done) = channel();
        let (waker, woken) = UnixStream::pair().unwrap();
        let received = Arc::new(Mutex::new(HashSet::new()));
        let mut server = Server {
            addr,
            listener: None,
            lines: Vec::new(),
            talks: Vec::new(),
            received: Arc::clone(&received),
            holds: false,
            script: Box::new(script),
        };
        server.listen(listener);
        let thread = std::thread::spawn(move || server.run(&taken, &tell, woken));
        Self {
            addr,
            received,
            orders,
            done,
            waker,
            thread: Some(thread),
        }
    }

    /// Answers nobody from now on, until it is killed.
    pub(crate) fn hold(&self) {
        self.order(Order::Hold);
    }

    /// Resets every connection and stops listening. Gives the number of requests in its hands.
    pub(crate) fn kill(&self) -> usize {
        self.order(Order::Kill)
    }

    /// Listens again.
    pub(crate) fn revive(&self) {
        self.order(Order::Revive);
    }

    /// Whether it has received a request.
    pub(crate) fn has_received(&self, id: u64) -> bool {
        self.received.lock().unwrap().contains(&id)
    }

    fn order(&self, order: Order) -> usize {
        self.orders.send(order).unwrap();
        (&self.waker).write_all(b"!").unwrap();
        self.done.recv().unwrap()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.order(Order::Stop);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What a connection waits for.
#[derive(Default)]
struct Talk {
    /// Bytes of a request's body that are still to come.
    body: usize,
    /// The answer that is due.
    due: Option<(Instant, Reply)>,
    /// Reset when all is sent.
    resets: bool,
}

struct Server {
    addr: SocketAddr,
    listener: Option<TcpListener>,
    lines: Vec<Line>,
    talks: Vec<Talk>,
    received: Arc<Mutex<HashSet<u64>>>,
    holds: bool,
    script: Box<Script>,
}

impl Server {
    fn listen(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        self.listener = Some(listener);
    }

    fn run(&mut self, orders: &Receiver<Order>, tell: &Sender<usize>, mut woken: UnixStream) {
        loop {
            let mut beside = vec![woken.as_raw_fd()];
            beside.extend(self.listener.as_ref().map(AsRawFd::as_raw_fd));
            let now = Instant::now();
            let due = self.talks.iter().filter_map(|talk| self.due(talk));
            let wait = due.map(|at| at.saturating_duration_since(now)).min();
            let wait = wait.unwrap_or(Duration::from_secs(60));
            let (mut touched, beside) = turn(&mut self.lines, &beside, wait);
            if beside.contains(&woken.as_raw_fd()) {
                woken.read_exact(&mut [0]).unwrap();
                let order = orders.recv().unwrap();
                let hands = match order {
                    Order::Hold => {
                        self.holds = true;
                        0
                    }
                    Order::Kill => self.die(),
                    Order::Revive => {
                        let again = || TcpListener::bind(self.addr).ok();
                        let listener = until("the server's port is free", again);
                        self.listen(listener);
                        0
                    }
                    Order::Stop => 0,
                };
                tell.send(hands).unwrap();
                if matches!(order, Order::Stop) {
                    return;
                }
                continue;
            }
            if !beside.is_empty() {
                self.accept();
            }
            let now = Instant::now();
            for (at, talk) in self.talks.iter().enumerate() {
                if self.due(talk).is_some_and(|due| due <= now) {
                    touched.push(at);
                }
            }
            // From the last on, so that a removal moves nobody who is still to come.
            touched.sort_unstable();
            touched.dedup();
            for at in touched.into_iter().rev() {
                self.serve(at, now);
            }
        }
    }

    /// When an answer is due, once its request has come whole.
    fn due(&self, talk: &Talk) -> Option<Instant> {
        let due = talk.due.as_ref();
        let due = due.filter(|_| talk.body == 0 && !self.holds);
        due.map(|(at, _)| *at)
    }

    fn accept(&mut self) {
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            self.lines.push(Line::of(stream));
            self.talks.push(Talk::default());
        }
    }

    /// Takes in what the system holds, then resets everybody.
    fn die(&mut self) -> usize {
        self.accept();
        let now = Instant::now();
        for at in 0..self.lines.len() {
            self.lines[at].read_all();
            self.take(at, now);
        }
        let hands = self.talks.iter().filter(|talk| talk.due.is_some()).count();
        if let Some(listener) = self.listener.take() {
            end(&listener);
        }
        self.holds = false;
        self.lines.drain(..).for_each(Line::reset);
        self.talks.clear();
        hands
    }

    fn serve(&mut self, at: usize, now: Instant) {
        self.take(at, now);
        let is_due = self.due(&self.talks[at]).is_some_and(|due| due <= now);
        let (line, talk) = (&mut self.lines[at], &mut self.talks[at]);
        if is_due {
            let (_, reply) = talk.due.take().unwrap();
            talk.resets = reply.then == Then::Reset;
            line.send(reply.bytes);
        }
        if talk.resets && line.is_flushed() {
            self.lines.swap_remove(at).reset();
            self.talks.swap_remove(at);
        } else if line.end.is_some() {
            self.lines.swap_remove(at);
            self.talks.swap_remove(at);
        } else if !line.into.is_empty() && talk.due.is_none() {
            // A request that came while the answer before it was due.
            self.take(at, now);
        }
    }

    /// Reads the request of a connection that waits for one.
    fn take(&mut self, at: usize, now: Instant) {
        let (line, talk) = (&mut self.lines[at], &mut self.talks[at]);
        let gone = talk.body.min(line.into.len());
        line.into.drain(..gone);
        talk.body -= gone;
        if talk.due.is_some() || talk.body > 0 {
            return;
        }
        let Some(end) = line.into.windows(4).position(|four| four == b"\r\n\r\n") else {
            return;
        };
        let head = String::from_utf8(line.into.drain(..end + 4).collect()).unwrap();
        let id = head.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        self.received.lock().unwrap().insert(id);
        let asked = Asked { id };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length:"));
        talk.body = length.map_or(0, |digits| digits.trim().parse().unwrap());
        let gone = talk.body.min(line.into.len());
        line.into.drain(..gone);
        talk.body -= gone;
        let reply = (self.script)(&asked);
        talk.due = Some((now + reply.after, reply));
    }
}
