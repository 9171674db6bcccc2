//! A load of our own, where `wrk` does not do: an exact number of requests, a fixed rate, idle
//! clients.
//!
//! At a fixed rate a request has a moment at which it is due, whatever became of those before it,
//! and its time is counted from that moment. A generator that waits for answers first and counts
//! from when it sends would leave out exactly the waiting that it was to find.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::system::{Ticker, Watch};

/// For any answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The number that the ticker has among those of the clients.
const TICK: usize = usize::MAX;

/// Clients that keep their connections.
pub(crate) struct Clients {
    watch: Watch,
    clients: Vec<Client>,
    request: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// Of the answer that is on its way.
    got: Vec<u8>,
    due: Instant,
}

impl Client {
    /// Reads what is there; true when the answer is whole.
    fn receive(&mut self, scratch: &mut [u8]) -> Result<bool, String> {
        match self.stream.read(scratch) {
            Ok(0) => return Err("a connection was closed".into()),
            Ok(count) => self.got.extend_from_slice(&scratch[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
        let Some(length) = answer_length(&self.got)? else {
            return Ok(false);
        };
        let whole = self.got.len() >= length;
        if whole {
            self.got.clear();
        }
        Ok(whole)
    }
}

/// The length of an answer with its body, when its head is there; only 200 is an answer here.
pub(crate) fn answer_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = bytes.windows(END.len()).position(|part| part == END) else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(format!("answered with {status}"));
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or("an answer without a length")?;
    Ok(Some(end + END.len() + length))
}

impl Clients {
    /// Connects so many; none has asked anything yet.
    pub(crate) fn connect(port: u16, count: usize, path: &str) -> Result<Self, String> {
        let text = |error: io::Error| error.to_string();
        let watch = Watch::new().map_err(text)?;
        let mut clients = Vec::with_capacity(count);
        for number in 0..count {
            let stream = TcpStream::connect(("127.0.0.1", port)).map_err(text)?;
            stream.set_nodelay(true).map_err(text)?;
            stream.set_nonblocking(true).map_err(text)?;
            watch.add(&stream, number).map_err(text)?;
            clients.push(Client {
                stream,
                got: Vec::new(),
                due: Instant::now(),
            });
        }
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        Ok(Self {
            watch,
            clients,
            request: request.into_bytes(),
        })
    }

    fn send(&mut self, number: usize, due: Instant) -> Result<(), String> {
        let client = &mut self.clients[number];
        client.due = due;
        // A request of some fifty bytes on a connection where nothing is under way.
        client
            .stream
            .write_all(&self.request)
            .map_err(|error| error.to_string())
    }

    /// Asks so often in all; every client asks again as soon as it has its answer.
    pub(crate) fn ask(&mut self, total: usize) -> Result<(), String> {
        let first = total.min(self.clients.len());
        for number in 0..first {
            self.send(number, Instant::now())?;
        }
        let (mut asked, mut answered) = (first, 0);
        let mut ready = Vec::new();
        let mut scratch = vec![0; 64 * 1024];
        while answered < total {
            self.watch.ready(PATIENCE, &mut ready);
            if ready.is_empty() {
                return Err(format!("{answered} of {total} requests were answered"));
            }
            for number in &ready {
                if self.clients[*number].receive(&mut scratch)? {
                    answered += 1;
                    if asked < total {
                        self.send(*number, Instant::now())?;
                        asked += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every client asks once, one after the other, and then keeps silent.
    pub(crate) fn ask_in_turn(&mut self) -> Result<(), String> {
        let mut ready = Vec::new();
        let mut scratch = vec![0; 4096];
        for number in 0..self.clients.len() {
            self.send(number, Instant::now())?;
            loop {
                self.watch.ready(PATIENCE, &mut ready);
                if ready.is_empty() {
                    return Err("a request was not answered".into());
                }
                if self.clients[number].receive(&mut scratch)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// So many requests a second for a while; how long each took from when it was due, in ms.
    pub(crate) fn at_rate(&mut self, rate: f64, span: Duration) -> Result<Vec<f64>, String> {
        let text = |error: io::Error| error.to_string();
        let interval = Duration::from_secs_f64(1.0 / rate);
        let total = (rate * span.as_secs_f64()) as usize;
        let ticker = Ticker::every(interval).map_err(text)?;
        self.watch.add(&ticker, TICK).map_err(text)?;
        let mut free: VecDeque<usize> = (0..self.clients.len()).collect();
        let mut times = Vec::with_capacity(total);
        let mut ready = Vec::new();
        let mut scratch = vec![0; 4096];
        let begin = Instant::now();
        let mut asked = 0;
        while times.len() < total {
            self.watch.ready(PATIENCE, &mut ready);
            for number in &ready {
                if *number == TICK {
                    ticker.take();
                } else if self.clients[*number].receive(&mut scratch)? {
                    let took = self.clients[*number].due.elapsed();
                    times.push(took.as_secs_f64() * 1e3);
                    free.push_back(*number);
                }
            }
            let due = (begin.elapsed().as_secs_f64() * rate) as usize;
            while asked < due.min(total)
                && let Some(number) = free.pop_front()
            {
                let moment = begin + Duration::from_secs_f64((asked + 1) as f64 / rate);
                self.send(number, moment)?;
                asked += 1;
            }
            if begin.elapsed() > span + PATIENCE {
                return Err(format!("{} of {total} requests were answered", times.len()));
            }
        }
        Ok(times)
    }
}

/// A value that so large a part of the values does not pass; they get sorted.
pub(crate) fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * part).ceil() as usize;
    let last = values.len().saturating_sub(1);
    values
        .get(at.saturating_sub(1).min(last))
        .copied()
        .unwrap_or(0.0)
}

/// Checks of this file, for the smoke test; `port` is that of a relay before an origin.
pub(crate) fn check(port: u16) {
    let mut values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
    let parts = [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)];
    for (part, value) in parts {
        assert_eq!(percentile(&mut values, part), value, "{part}");
    }
    assert_eq!(percentile(&mut [], 0.5), 0.0);
    let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
    assert_eq!(answer_length(whole), Ok(Some(whole.len())));
    assert_eq!(answer_length(&whole[..30]), Ok(None));
    assert!(answer_length(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").is_err());
    let mut clients = Clients::connect(port, 5, "/s").expect("a relay");
    clients.ask_in_turn().expect("an answer each");
    clients.ask(100).expect("a hundred answers");
    let span = Duration::from_millis(200);
    let times = clients.at_rate(500.0, span).expect("answers in time");
    assert_eq!(times.len(), 100);
}
