//! Clients that never give up: what they ask, what fails, and how long nothing succeeds.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::lan::Lan;

/// Clients that open a connection for each request, and as many that keep theirs.
const EACH: usize = 8;

/// From the start of one request of a client to the start of its next.
const PACE: Duration = Duration::from_millis(10);

/// How long a client waits for a connection or an answer.
const PATIENCE: Duration = Duration::from_secs(1);

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: service\r\n\r\n";

/// The clients of a round.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<Request>>>,
}

/// A request that ended.
#[derive(Clone, Copy)]
struct Request {
    at: Instant,
    answered: bool,
}

/// What all clients saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Requests made.
    pub(crate) asked: usize,
    /// Requests without an answer.
    pub(crate) failed: usize,
    /// The longest time in which nobody got an answer.
    pub(crate) gap: Duration,
}

impl Clients {
    /// Starts them on a host.
    pub(crate) fn start(lan: &Arc<Lan>, host: &'static str, service: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicU64::new(0));
        let threads = (0..2 * EACH).map(|index| {
            let (stop, answered, lan) = (Arc::clone(&stop), Arc::clone(&answered), Arc::clone(lan));
            std::thread::spawn(move || {
                lan.visit(host);
                ask(service, index < EACH, &stop, &answered)
            })
        });
        Self {
            threads: threads.collect(),
            stop,
            answered,
        }
    }

    /// How many answers there were so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends them.
    pub(crate) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let requests = self.threads.into_iter().flat_map(|t| t.join().unwrap());
        let requests: Vec<Request> = requests.collect();
        let mut answers: Vec<Instant> = requests
            .iter()
            .filter(|request| request.answered)
            .map(|request| request.at)
            .collect();
        answers.sort();
        let gaps = answers.windows(2).map(|pair| pair[1] - pair[0]);
        Seen {
            asked: requests.len(),
            failed: requests.len() - answers.len(),
            gap: gaps.max().unwrap_or_default(),
        }
    }
}

/// The life of one client.
fn ask(service: SocketAddr, keeps: bool, stop: &AtomicBool, answered: &AtomicU64) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let stream = kept.take().map_or_else(|| connect(service), Ok);
        let result = stream.and_then(exchange);
        requests.push(Request {
            at: Instant::now(),
            answered: result.is_ok(),
        });
        if let Ok(stream) = result {
            answered.fetch_add(1, Ordering::Relaxed);
            kept = keeps.then_some(stream);
        }
        // The pace is the load: the requests in a gap tell how long it was.
        std::thread::sleep(PACE.saturating_sub(started.elapsed()));
    }
    requests
}

fn connect(service: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&service, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request and its answer, whose length is known to be short.
fn exchange(mut stream: TcpStream) -> io::Result<TcpStream> {
    stream.write_all(REQUEST.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"served\n") {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => answer.extend_from_slice(&buffer[..len]),
        }
    }
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(stream)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
