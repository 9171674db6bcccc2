//! Clients that behave: each asks, takes its answer whole, and asks again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::line::{End, Line, Wanted, answer, turn};
use crate::place::PATIENCE;

/// What the clients saw.
#[derive(Default)]
pub(crate) struct Tally {
    /// How long each answered request took, µs.
    pub(crate) took_us: Vec<u32>,
    /// The ids of requests without a good answer, and what came instead.
    pub(crate) errors: Vec<(u64, String)>,
    /// How long it went on.
    pub(crate) lasted: Duration,
}

impl Tally {
    /// Answered requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.took_us.len() as f64 / self.lasted.as_secs_f64()
    }

    /// The time that so many of a hundred requests did not pass, µs.
    pub(crate) fn percentile(&self, percent: usize) -> u32 {
        let mut sorted = self.took_us.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent / 100).copied().unwrap_or(0)
    }

    /// What is to be told of the errors: how many, and the first.
    pub(crate) fn complaint(&self) -> Option<String> {
        let (id, first) = self.errors.first()?;
        Some(format!(
            "{} errors, the first at request {id}: {first}",
            self.errors.len()
        ))
    }
}

/// A plain request.
pub(crate) fn get(id: u64) -> Vec<u8> {
    format!("GET /{id} HTTP/1.1\r\nHost: soak\r\n\r\n").into_bytes()
}

/// Connections that ask without a pause.
pub(crate) struct Load {
    to: SocketAddr,
    lines: Vec<Line>,
    /// What each waits for: an id, and since when.
    asked: Vec<Option<(u64, Instant)>>,
    next: u64,
    /// Makes the request of an id.
    request: fn(u64) -> Vec<u8>,
}

impl Load {
    /// So many connections, each by a plain GET.
    pub(crate) fn new(to: SocketAddr, clients: usize) -> Self {
        Self::of(to, clients, get)
    }

    /// So many connections, with requests of the caller's kind.
    pub(crate) fn of(to: SocketAddr, clients: usize, request: fn(u64) -> Vec<u8>) -> Self {
        let line = || Line::connect(to, Wanted::default()).unwrap();
        Self {
            to,
            lines: (0..clients).map(|_| line()).collect(),
            asked: vec![None; clients],
            next: 0,
            request,
        }
    }

    /// Asks for so long, and then waits for the answers that are still to come.
    pub(crate) fn run(&mut self, how_long: Duration) -> Tally {
        self.run_with(how_long, || {})
    }

    /// The same; when the time is over and nobody asks any more, `then` is done before the rest of
    /// the answers is taken.
    pub(crate) fn run_with(&mut self, how_long: Duration, then: impl FnOnce()) -> Tally {
        let began = Instant::now();
        let mut tally = Tally::default();
        for at in 0..self.lines.len() {
            self.ask(at);
        }
        while began.elapsed() < how_long {
            self.step(&mut tally, how_long - began.elapsed(), true);
        }
        tally.lasted = began.elapsed();
        then();
        while self.asked.iter().any(Option::is_some) {
            self.step(&mut tally, PATIENCE, false);
            if began.elapsed() > how_long + PATIENCE {
                for (id, _) in self.asked.iter_mut().filter_map(Option::take) {
                    tally.errors.push((id, "no answer".to_owned()));
                }
            }
        }
        tally
    }

    /// Resets all connections.
    pub(crate) fn leave(self) {
        self.lines.into_iter().for_each(Line::reset);
    }

    fn ask(&mut self, at: usize) {
        let id = self.next;
        self.next += 1;
        self.asked[at] = Some((id, Instant::now()));
        self.lines[at].send((self.request)(id));
    }

    fn step(&mut self, tally: &mut Tally, most: Duration, again: bool) {
        let (touched, _) = turn(&mut self.lines, &[], most);
        for at in touched {
            let line = &mut self.lines[at];
            let Some((id, since)) = self.asked[at] else {
                continue;
            };
            if let Some(got) = answer(&line.into) {
                line.into.drain(..got.length);
                if got.status == 200 {
                    let took = u32::try_from(since.elapsed().as_micros());
                    tally.took_us.push(took.unwrap_or(u32::MAX));
                } else {
                    tally.errors.push((id, got.status.to_string()));
                }
                if got.closes {
                    line.end = line.end.or(Some(End::Closed));
                }
            } else if let Some(end) = line.end {
                let said = format!("{end:?} after {} bytes", line.into.len());
                tally.errors.push((id, said));
            } else {
                continue;
            }
            self.asked[at] = None;
            if again {
                if self.lines[at].end.is_some() {
                    self.lines[at] = Line::connect(self.to, Wanted::default()).unwrap();
                }
                self.ask(at);
            }
        }
    }
}
