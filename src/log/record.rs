//! The finished request (or TCP session) as the log sees it.
//!
//! A `Txn` is the cold half of a session: marks of time, counters and the few pieces of text that
//! must outlive the buffers they came in. The engine fills it while the request lives; the format
//! renderer reads it once at the end. It is reused for the next request of the same client, so
//! its vectors keep their storage: after warm-up a request allocates nothing here.
//!
//! It holds marks, never durations: a stage that was not reached has no mark, and its timer reads
//! -1 as the log prints it. It holds ids, never names: the configuration has those. It must not
//! decide whether a line is logged; it only says whether anything unusual happened.
//!
//! Rejected: rendering the line piece by piece as things happen (half of the fields are known
//! only at the end) and spans into the session's buffers (given back long before the log line).

use crate::base::addr::Address;
use crate::log::termination::{Cause, RequestCookie, ResponseCookie, Termination};

/// An id that is not set.
pub const NO_ID: u32 = u32::MAX;
/// A mark that was not reached.
pub const NO_MARK: i64 = -1;

/// What stands where a server's name does when it was not one of the backend's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// No server was chosen: `<NOSRV>`.
    #[default]
    None,
    /// A server of the backend, by its id.
    Server(u32),
    /// The address of a `dispatch` line, by its server's id: `<NOSRV>`.
    Dispatch(u32),
    /// The statistics page: `<STATS>`.
    Stats,
    /// The metrics service: `<PROMEX>`.
    Prometheus,
}

/// Header values captured for the log, by slot; storage is reused.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    bytes: Vec<u8>,
    /// Start and length of each slot's value in `bytes`; `NO_ID` as start for an empty slot.
    slots: Vec<(u32, u32)>,
}

impl Captures {
    const EMPTY: Self = Self {
        bytes: Vec::new(),
        slots: Vec::new(),
    };

    /// Forgets all values and makes `slots` empty slots.
    pub fn reset(&mut self, slots: usize) {
        self.bytes.clear();
        self.slots.clear();
        self.slots.resize(slots, (NO_ID, 0));
    }

    /// Stores a value, cut to `length_max` bytes (`capture request header ... len`). A slot that
    /// does not exist is left alone; a value set before is replaced.
    pub fn set(&mut self, slot: usize, value: &[u8], length_max: usize) {
        let Some(place) = self.slots.get_mut(slot) else {
            return;
        };
        let value = value.get(..length_max).unwrap_or(value);
        *place = (self.bytes.len() as u32, value.len() as u32);
        self.bytes.extend_from_slice(value);
    }

    /// The value of a slot, `None` when nothing was captured there.
    pub fn get(&self, slot: usize) -> Option<&[u8]> {
        let &(start, length) = self.slots.get(slot)?;
        if start == NO_ID {
            return None;
        }
        self.bytes.get(start as usize..)?.get(..length as usize)
    }

    /// All slots in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        (0..self.slots.len()).map(|slot| self.get(slot))
    }

    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True without any slot: the log then prints no braces at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// The marks of a request's life in monotonic milliseconds, `NO_MARK` where not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The connection was accepted; for a later request of it, the answer before was complete.
    pub accepted: i64,
    /// Handshakes (PROXY protocol, TLS) were done.
    pub handshaken: i64,
    /// The first byte of the request came.
    pub request_started: i64,
    /// The request's head was whole and valid.
    pub request_ended: i64,
    /// The session left the queue (or never entered it) with a server to connect to.
    pub dequeued: i64,
    /// The server was connected, or an idle connection taken.
    pub connected: i64,
    /// The head of the answer was whole.
    pub answered: i64,
    /// All was over.
    pub finished: i64,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            accepted: NO_MARK,
            handshaken: NO_MARK,
            request_started: NO_MARK,
            request_ended: NO_MARK,
            dequeued: NO_MARK,
            connected: NO_MARK,
            answered: NO_MARK,
            finished: NO_MARK,
        }
    }
}

/// How many connections there were when the request ended, this one included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// In the whole process: `%ac`.
    pub actconn: u32,
    /// On the frontend: `%fc`.
    pub feconn: u32,
    /// On the backend: `%bc`.
    pub beconn: u32,
    /// On the server: `%sc`.
    pub srv_conn: u32,
    /// Requests served before this one out of the server's queue: `%sq`.
    pub srv_queue: u32,
    /// Requests served before this one out of the backend's queue: `%bq`.
    pub backend_queue: u32,
}

/// A finished request, or a finished TCP session.
#[derive(Clone, Debug, Default)]
pub struct Txn {
    /// When the connection was accepted, wall clock in ms: `%t`.
    pub accept_date_ms: u64,
    /// When the first byte of the request came, wall clock in ms: `%tr`.
    pub request_date_ms: u64,
    /// The marks that all timers are made of.
    pub marks: Marks,
    /// Bytes from the server to the client, as the log counts them: `%B`.
    pub bytes_read: u64,
    /// Bytes from the client to the server: `%U`.
    pub bytes_uploaded: u64,
    /// Requests (or TCP sessions) of the process up to this one: `%rt`.
    pub request_count: u64,
    /// The number of this line among those of its frontend: `%lc`.
    pub log_count: u64,
    /// The client as accepted (or as the PROXY protocol said).
    pub source: Address,
    /// The frontend.
    pub frontend: u32,
    /// The `bind` line of it that accepted.
    pub listener: u32,
    /// The header of the PROXY protocol that the connection began with, `NO_ID` without one.
    pub introduction: u32,
    /// Why the connection was refused before it became a session, 0 when it was not.
    pub connection_error: u8,
    /// The backend, `NO_ID` when none was chosen (the log then prints the frontend's name).
    pub backend: u32,
    /// The server, or what stood in for one.
    pub target: Target,
    /// Connection and queue counters.
    pub counters: Counters,
    /// Attempts beyond the first: `%rc`.
    pub retries: u16,
    /// Where it waits among those who wait for a server.
    pub priority: Priority,
    /// The session went to another server than the one first chosen: `%rc` has a `+`.
    pub redispatched: bool,
    /// The frontend is encrypted: `%ft` has a `~`.
    pub encrypted: bool,
    /// An HTTP session, which has a request line and cookies.
    pub http: bool,
    /// Logged before the end (`option logasap`): bytes and total time have a `+`.
    pub early: bool,
    /// The minor version of the server's answer.
    pub response_minor: Option<u8>,
    /// The status of the answer, 0 when there was none (prints as -1).
    pub status: u16,
    /// How it ended: `%ts`.
    pub termination: Termination,
    /// The third letter of `%tsc`.
    pub request_cookie: RequestCookie,
    /// The fourth letter of `%tsc`.
    pub response_cookie: ResponseCookie,
    /// The request line as received, without its end, cut to `tune.http.logurilen` less one; empty
    /// for a request that could not be read (`<BADREQ>`).
    pub request_line: Vec<u8>,
    /// What few configurations ask for; apart, so that a request of the others need not touch it.
    rare: Option<Box<Rare>>,
}

/// Where a request waits among others (`http-request set-priority-class`, `set-priority-offset`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    /// The lowest class is served first.
    pub class: i16,
    /// Within a class those who came first; so much later is this one taken to have come, ms.
    pub offset_ms: i32,
}

/// The part of a record that only some configurations fill.
#[derive(Clone, Debug)]
pub struct Rare {
    /// The address the client connected to.
    pub destination: Address,
    /// The proxy's own address towards the server: `%bi`, `%bp`.
    pub backend_source: Address,
    /// `capture request header`, in order of declaration.
    pub request_captures: Captures,
    /// `capture response header`, in order of declaration.
    pub response_captures: Captures,
    /// `capture cookie` in the request, as `name=value`: `%CC`.
    pub request_cookie_text: Vec<u8>,
    /// `capture cookie` in the answer: `%CS`.
    pub response_cookie_text: Vec<u8>,
    /// The unique id: `%ID`.
    pub unique_id: Vec<u8>,
}

impl Rare {
    const EMPTY: Self = Self {
        destination: Address::None,
        backend_source: Address::None,
        request_captures: Captures::EMPTY,
        response_captures: Captures::EMPTY,
        request_cookie_text: Vec::new(),
        response_cookie_text: Vec::new(),
        unique_id: Vec::new(),
    };

    /// Forgets all; storage stays.
    fn reset(&mut self) {
        self.destination = Address::None;
        self.backend_source = Address::None;
        self.request_captures.reset(0);
        self.response_captures.reset(0);
        self.request_cookie_text.clear();
        self.response_cookie_text.clear();
        self.unique_id.clear();
    }
}

/// What a record shows that has nothing rare.
static NOTHING_RARE: Rare = Rare::EMPTY;

impl Txn {
    /// A fresh record: nothing reached, nothing chosen.
    pub fn new() -> Self {
        Self {
            frontend: NO_ID,
            listener: NO_ID,
            introduction: NO_ID,
            backend: NO_ID,
            ..Self::default()
        }
    }

    /// Makes the record fresh for a new connection; storage stays.
    pub fn reset(&mut self) {
        let mut request_line = std::mem::take(&mut self.request_line);
        request_line.clear();
        let mut rare = self.rare.take();
        if let Some(rare) = &mut rare {
            rare.reset();
        }
        *self = Self {
            request_line,
            rare,
            ..Self::new()
        };
    }

    /// What few configurations ask for, as far as it was filled.
    pub fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    /// The same, to be filled.
    pub fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| Box::new(Rare::EMPTY))
    }

    /// Makes the record fresh for the next request of the same connection, which begins to wait
    /// at `now_ms` (monotonic): what belongs to the connection stays.
    pub fn next_request(&mut self, now_ms: u64, wall_ms: u64) {
        let (source, destination) = (self.source, self.rare().destination);
        let (frontend, listener) = (self.frontend, self.listener);
        let introduction = self.introduction;
        let (encrypted, http) = (self.encrypted, self.http);
        self.reset();
        self.accept_date_ms = wall_ms;
        self.marks.accepted = now_ms as i64;
        self.marks.handshaken = now_ms as i64;
        self.source = source;
        if !destination.is_none() {
            self.rare_mut().destination = destination;
        }
        (self.frontend, self.listener) = (frontend, listener);
        self.introduction = introduction;
        (self.encrypted, self.http) = (encrypted, http);
    }

    /// Keeps the request line (without CR and LF), cut to what the log shows.
    pub fn set_request_line(&mut self, line: &[u8], max: usize) {
        self.request_line.clear();
        self.request_line
            .extend_from_slice(line.get(..max).unwrap_or(line));
    }

    /// `Th`: handshakes, in ms.
    pub fn timer_handshake(&self) -> i64 {
        since(self.marks.accepted, self.marks.handshaken)
    }

    /// `Ti`: idle before the first byte of the request.
    pub fn timer_idle(&self) -> i64 {
        since(self.marks.handshaken, self.marks.request_started)
    }

    /// `TR`: from the first byte of the request to the end of its head.
    pub fn timer_request(&self) -> i64 {
        since(self.marks.request_started, self.marks.request_ended)
    }

    /// `Tq`: `Th + Ti + TR`, from the accept to the end of the request's head.
    pub fn timer_total_request(&self) -> i64 {
        since(self.marks.accepted, self.marks.request_ended)
    }

    /// `Tw`: in queues.
    pub fn timer_queue(&self) -> i64 {
        since(self.ready(), self.marks.dequeued)
    }

    /// `Tc`: connecting, retries included.
    pub fn timer_connect(&self) -> i64 {
        since(self.marks.dequeued, self.marks.connected)
    }

    /// `Tr`: from the connection to the head of the answer.
    pub fn timer_response(&self) -> i64 {
        since(self.marks.connected, self.marks.answered)
    }

    /// `Td`: passing the answer's data on.
    pub fn timer_data(&self) -> i64 {
        since(self.marks.answered, self.marks.finished)
    }

    /// `Ta`: from the first byte of the request to the end.
    pub fn timer_active(&self) -> i64 {
        match self.marks.request_started {
            NO_MARK => since(self.marks.handshaken, self.marks.finished),
            started => since(started, self.marks.finished),
        }
    }

    /// `Tt`: from the accept to the end.
    pub fn timer_total(&self) -> i64 {
        since(self.marks.accepted, self.marks.finished)
    }

    /// `Tu`: what the user waited, handshakes left out.
    pub fn timer_user(&self) -> i64 {
        since(self.marks.handshaken, self.marks.finished)
    }

    /// True when anything went wrong: what `option dontlog-normal` still logs and what
    /// `option log-separate-errors` raises to `err`.
    pub fn is_unusual(&self) -> bool {
        let as_planned = matches!(self.termination.cause, Cause::None | Cause::Local);
        !as_planned || self.retries > 0 || self.redispatched || self.status >= 500
    }

    /// Where waiting for a server began: the end of the request's head, in TCP mode the accept.
    fn ready(&self) -> i64 {
        if self.http {
            self.marks.request_ended
        } else {
            self.marks.handshaken
        }
    }
}

/// The milliseconds between two marks, -1 when one of them was not reached.
fn since(from: i64, to: i64) -> i64 {
    if from < 0 || to < 0 {
        -1
    } else {
        to.saturating_sub(from).max(0)
    }
}

const _: () = assert!(size_of::<Txn>() <= 512);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::termination::Stage;

    /// Marks in the order of `Marks`, then TR, Tw, Tc, Tr, Ta and Th, Ti, Tq, Td, Tt, Tu.
    #[test]
    fn timers() {
        let rows: [([i64; 8], [i64; 5], [i64; 6]); 6] = [
            // Served, after 7 ms of idling.
            (
                [100, 100, 107, 108, 110, 113, 117, 122],
                [1, 2, 3, 4, 15],
                [0, 7, 8, 5, 22, 22],
            ),
            // A refused server, three retries.
            (
                [0, 0, 0, 0, 0, -1, -1, 3003],
                [0, 0, -1, -1, 3003],
                [0, 0, 0, -1, 3003, 3003],
            ),
            // No server at all.
            (
                [0, 0, 0, 0, -1, -1, -1, 0],
                [0, -1, -1, -1, 0],
                [0, 0, 0, -1, 0, 0],
            ),
            // Half a head, then nothing.
            (
                [0, 0, 0, -1, -1, -1, -1, 1501],
                [-1, -1, -1, -1, 1501],
                [0, 0, -1, -1, 1501, 1501],
            ),
            // Not one byte.
            (
                [0, 2, -1, -1, -1, -1, -1, 52],
                [-1, -1, -1, -1, 50],
                [2, -1, -1, -1, 52, 50],
            ),
            // No answer from the server.
            (
                [0, 0, 0, 0, 0, 0, -1, 2001],
                [0, 0, 0, -1, 2001],
                [0, 0, 0, -1, 2001, 2001],
            ),
        ];
        for (marks, stages, others) in rows {
            let [accepted, handshaken, request_started, request_ended, ..] = marks;
            let [.., dequeued, connected, answered, finished] = marks;
            let marks = Marks {
                accepted,
                handshaken,
                request_started,
                request_ended,
                dequeued,
                connected,
                answered,
                finished,
            };
            let txn = Txn {
                marks,
                http: true,
                ..Txn::new()
            };
            let found = [
                txn.timer_request(),
                txn.timer_queue(),
                txn.timer_connect(),
                txn.timer_response(),
                txn.timer_active(),
            ];
            assert_eq!(found, stages);
            let found = [
                txn.timer_handshake(),
                txn.timer_idle(),
                txn.timer_total_request(),
                txn.timer_data(),
                txn.timer_total(),
                txn.timer_user(),
            ];
            assert_eq!(found, others);
        }
        // TCP: the queue is entered when the connection is accepted.
        let mut txn = Txn::new();
        (txn.marks.accepted, txn.marks.handshaken) = (5, 5);
        (txn.marks.dequeued, txn.marks.finished) = (6, 3011);
        assert_eq!(
            (txn.timer_queue(), txn.timer_connect(), txn.timer_total()),
            (1, -1, 3006)
        );
    }

    #[test]
    fn reset_keeps_storage_and_next_request_the_connection() {
        let mut txn = Txn::new();
        (txn.frontend, txn.backend, txn.status, txn.http) = (3, 4, 200, true);
        txn.set_request_line(&[b'a'; 3000], 1023);
        assert_eq!(txn.request_line.len(), 1023);
        let captures = &mut txn.rare_mut().request_captures;
        captures.reset(2);
        captures.set(1, b"0123456789", 4);
        captures.set(7, b"no such slot", 4);
        assert_eq!(captures.get(1), Some(&b"0123"[..]));
        assert!(captures.iter().eq([None, Some(&b"0123"[..])]));
        txn.rare_mut().destination = Address::Unix;
        let storage = |txn: &Txn| {
            let captures = &txn.rare().request_captures;
            (txn.request_line.capacity(), captures.bytes.capacity())
        };
        let before = storage(&txn);
        txn.next_request(77, 1000);
        assert_eq!(
            (txn.frontend, txn.backend, txn.status, txn.http),
            (3, NO_ID, 0, true)
        );
        assert_eq!((txn.marks.accepted, txn.accept_date_ms), (77, 1000));
        assert!(txn.request_line.is_empty() && txn.rare().request_captures.is_empty());
        assert_eq!(txn.rare().destination, Address::Unix);
        assert_eq!(storage(&txn), before);
        txn.reset();
        assert_eq!(
            (txn.frontend, txn.rare().destination),
            (NO_ID, Address::None)
        );
    }

    /// Which of these HAProxy 2.6.12 still logged under `option dontlog-normal`.
    #[test]
    fn unusual_ends() {
        let state = Termination::new;
        for (termination, status, retries, unusual) in [
            (Termination::NORMAL, 200, 0, false),
            (Termination::NORMAL, 200, 1, true),
            (Termination::LOCAL, 302, 0, false),
            (Termination::LOCAL, 404, 0, false),
            (Termination::LOCAL, 503, 0, true),
            (Termination::PROXY_IN_REQUEST, 403, 0, true),
            (state(Cause::None, Stage::Data), 200, 0, false),
        ] {
            let txn = Txn {
                termination,
                status,
                retries,
                ..Txn::new()
            };
            assert_eq!(txn.is_unusual(), unusual, "{termination:?} {status}");
        }
    }
}
