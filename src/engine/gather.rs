//! Requests that wait for their body before they go on: `option http-buffer-request`, `http-request
//! wait-for-body`, and rules of `tcp-request content` that want to see it (configuration.txt 4.2).
//!
//! A frontend with the option waits before its rules, a backend with it before its own, and either
//! where a rule says so, until the body has come whole (or as much of it as the rule asks for), the
//! input is as full as a head may make it (`tune.bufsize` less `tune.maxrewrite`), or the client
//! ends its side. Head and body lie in the input as they came meanwhile; what follows reads the
//! head again and sees as much of the body as if it had come at once. A client that waits to be
//! told so is told to go on, and its `Expect` is passed on to nobody: HAProxy's way.
//!
//! Must never: change what lies in the input. Chunks are only counted, in a copy.

use super::Engine;
use super::accept::Client;
use super::applet::CONTINUE;
use super::relay::{End, Sent, Source, receive};
use super::service::Service;
use super::session::{Flow, Phase, flush_answer, note_line, open, source_of};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::http::exchange::ResponseState;
use crate::http::framing::{self, Body, Framing};
use crate::http::head::{self, Limits, Parsed, Progress, Refusal};
use crate::http::rewrite::Editor;
use crate::log::record::NO_MARK;
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};
use crate::rules::wait::WaitForBody;

/// What the log counts for the 100 that a client is told to go on by, as HAProxy does.
const LOGGED_CONTINUE: u64 = 40;

/// What became of a body that was waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// The client has ended its side before the body was whole.
    cut: bool,
    /// The client was told to go on.
    told: bool,
    /// The rule that the rules of the proxy go on from; 0 when none of them has stopped there.
    resume: u32,
    /// So many bytes are enough for that; 0 for none but all.
    at_least: u64,
    /// When a rule has waited long enough, monotonic ms. The first of a proxy that waits decides.
    until_ms: Option<u64>,
    /// That was a rule of the backend.
    of_backend: bool,
    /// Rules about contents wait for it (`tcp-request content`).
    inspects: bool,
    /// The client has said nothing for too long while they did.
    late: bool,
}

impl Gathered {
    /// Whether the rest of the body will never come.
    pub(crate) fn is_cut(self) -> bool {
        self.cut || self.late
    }

    /// Whether rules about contents wait for it.
    pub(crate) fn inspects(self) -> bool {
        self.inspects
    }

    /// The rule to go on from, if the rules have stopped.
    pub(crate) fn resume(self) -> u32 {
        self.resume
    }

    /// The rules go on.
    pub(crate) fn take_resume(&mut self) -> u32 {
        std::mem::take(&mut self.resume)
    }

    /// When it is over, monotonic ms: where a rule waits, by that; else `usual`.
    pub(crate) fn until_ms(self, usual: Option<u64>) -> Option<u64> {
        match self.resume {
            0 => usual,
            _ => self.until_ms,
        }
    }

    /// A rule waits, in front of that of number `resume`.
    fn stop_at(&mut self, wait: WaitForBody, resume: u32, in_backend: bool) {
        if in_backend && !self.of_backend {
            (self.of_backend, self.until_ms) = (true, None);
        }
        (self.resume, self.at_least) = (resume, wait.at_least);
    }

    /// Whether so much of the body, of which `source` is still to come, is enough.
    fn has_enough(self, moved: u64, source: &Source) -> bool {
        let some = self.resume > 0 && self.at_least > 0 && moved >= self.at_least;
        some || self.is_cut() || *source == Source::Done
    }

    /// Bytes that the log counts for what the client was told meanwhile.
    pub(crate) fn logged(self) -> u64 {
        match self.told {
            true => LOGGED_CONTINUE,
            false => 0,
        }
    }
}

/// Whether a request has a body that can be waited for.
pub(crate) fn may_gather(framing: &Framing) -> bool {
    matches!(framing.body, Body::Length(_) | Body::Chunked)
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// A request, whose head is on the bench, waits for its body before it goes on.
    pub(crate) fn gather(&mut self, key: Key<Client>, buffer: Buffer, framing: &Framing) -> Flow {
        let now = self.now.ms;
        open!(self, key => _client, session, else { self.pool.give_back(buffer); Flow::Gone });
        session.waiting_since_ms = now;
        let bench = &mut self.bench;
        if session.exchange.awaits_continue() {
            if !session.response.queue(CONTINUE, &mut self.pool) {
                self.pool.give_back(buffer);
                return Flow::Close(Termination::RESOURCE_IN_CONNECT);
            }
            session.exchange.on_continue();
            session.gathered.told = true;
            let mut editor = Editor {
                bytes: buffer.readable(),
                head: &bench.head,
                edits: &mut bench.edits,
            };
            editor.del_header(|name| name.eq_ignore_ascii_case(b"expect"));
        }
        if let Err(refusal) = self.measure_body(key, &buffer, framing) {
            return self.refuse_body(key, refusal, buffer);
        }
        self.await_body(key, buffer, false)
    }

    /// Follows as much of a request's body as has come.
    pub(crate) fn measure_body(
        &mut self,
        key: Key<Client>,
        buffer: &Buffer,
        framing: &Framing,
    ) -> Result<(), Refusal> {
        open!(self, key => _client, session, else Ok(()));
        session.request.source = source_of(framing.body);
        session.request.moved = 0;
        let came = buffer.len().saturating_sub(self.bench.head.len as usize);
        self.look_at_body(key, buffer, came)
    }

    /// As when nobody waits: one whose body begins wrong is no request.
    pub(crate) fn refuse_body(
        &mut self,
        key: Key<Client>,
        refusal: Refusal,
        buffer: Buffer,
    ) -> Flow {
        self.leave_backend(key);
        self.refuse(key, refusal, buffer)
    }

    /// A request, whose head is on the bench and whose body was measured, waits for more of it.
    pub(crate) fn await_body(&mut self, key: Key<Client>, buffer: Buffer, inspects: bool) -> Flow {
        open!(self, key => client, session, else { self.pool.give_back(buffer); Flow::Gone });
        client.phase = Phase::Gather;
        session.gathered.inspects = inspects;
        session.txn.marks.request_ended = NO_MARK;
        if inspects && session.backend.is_none() {
            // One that its frontend's rules have not let in is no request yet.
            session.txn.request_line.clear();
        }
        let edits = &self.bench.edits;
        match &mut session.edits {
            None if edits.is_empty() => {}
            held => held.get_or_insert_default().take_over(edits),
        }
        session.request.input = Some(buffer);
        Flow::Again
    }

    /// The same where a rule says so, unless it has come already; the rules go on from `resume`.
    pub(crate) fn gather_for_rule(
        &mut self,
        key: Key<Client>,
        (wait, resume): (WaitForBody, u32),
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        let now = self.now.ms;
        let flow = self.gather(key, buffer, framing);
        open!(self, key => client, session, else flow);
        if client.phase != Phase::Gather {
            return flow;
        }
        let (pipe, gathered) = (&session.request, &mut session.gathered);
        gathered.stop_at(wait, resume, session.backend.is_some());
        let waits = wait.time_ms > 0 && !gathered.has_enough(pipe.moved, &pipe.source);
        if waits && gathered.until_ms.is_none() {
            gathered.until_ms = Some(now.saturating_add(wait.time_ms.into()));
        }
        flow
    }

    /// Follows the body through the last `came` bytes of the input.
    fn look_at_body(
        &mut self,
        key: Key<Client>,
        buffer: &Buffer,
        came: usize,
    ) -> Result<(), Refusal> {
        open!(self, key => _client, session, else Ok(()));
        let bytes = buffer.readable();
        let bytes = bytes.get(bytes.len().saturating_sub(came)..);
        let bytes = bytes.unwrap_or_default();
        let (moved, done) = match &mut session.request.source {
            Source::Length(left) => {
                let taken = (*left).min(bytes.len() as u64);
                *left -= taken;
                (taken, *left == 0)
            }
            Source::Chunked(decoder) => {
                let copy = &mut self.bench.prefix;
                copy.clear();
                copy.extend_from_slice(bytes);
                let decoded = decoder.decode(copy)?;
                (decoded.data.len() as u64, decoded.done)
            }
            Source::Done | Source::UntilClose => (0, true),
        };
        session.request.moved += moved;
        if done {
            session.request.source = Source::Done;
        }
        Ok(())
    }

    /// Waits on for the body of a request.
    pub(crate) fn gather_more(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        match flush_answer(&mut self.net, &mut self.pool, self.now, client, session) {
            Sent::All => {}
            Sent::Part => return Flow::Wait,
            Sent::Failed(_) => {
                session.gathered.cut = true;
                return self.end_gathering(key);
            }
            Sent::NoBuffer => return Flow::Close(Termination::RESOURCE_IN_CONNECT),
        }
        let most = self.bench.limits.bytes_max as usize;
        let came = session.request.input.as_ref().map_or(0, Buffer::len);
        let pipe = &session.request;
        if came >= most || session.gathered.has_enough(pipe.moved, &pipe.source) {
            return self.end_gathering(key);
        }
        if !client.ready.has(Readiness::READABLE) {
            return Flow::Wait;
        }
        let Some(mut buffer) = session.request.input.take() else {
            return Flow::Gone;
        };
        // What was in front of it has been used: a pipelined request may lie far behind.
        buffer.compact();
        let mut from = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        match receive(&mut self.net, &mut from, &mut buffer) {
            Ok(came) => {
                client.active_ms = self.now.ms;
                session.heard_ms.0 = self.now.ms;
                let inspects = session.gathered.inspects;
                match self.look_at_body(key, &buffer, came) {
                    Ok(()) if inspects => {
                        self.keep_gathered(key, buffer, Flow::Again);
                        self.end_gathering(key)
                    }
                    Ok(()) => self.keep_gathered(key, buffer, Flow::Again),
                    Err(refusal) => self.gathered_nonsense(key, refusal, buffer),
                }
            }
            Err(Stop::Blocked) => self.keep_gathered(key, buffer, Flow::Wait),
            Err(_) => {
                session.gathered.cut = true;
                session.request.input = Some(buffer);
                self.end_gathering(key)
            }
        }
    }

    fn keep_gathered(&mut self, key: Key<Client>, buffer: Buffer, flow: Flow) -> Flow {
        open!(self, key => _client, session, else { self.pool.give_back(buffer); Flow::Gone });
        session.request.input = Some(buffer);
        flow
    }

    /// There is no more to wait for: the request goes on where it stopped.
    pub(crate) fn end_gathering(&mut self, key: Key<Client>) -> Flow {
        let config = self.config;
        open!(self, key => client, session, else Flow::Gone);
        let Some(mut buffer) = session.request.input.take() else {
            return Flow::Gone;
        };
        client.phase = Phase::Request;
        session.txn.marks.request_ended = self.now.ms as i64;
        session.request.moved = 0;
        session.request.source = Source::Done;
        let proxy = config.proxy(client.frontend);
        let backend = session.backend.map(|id| config.proxy(id));
        let bench = &mut self.bench;
        bench.scratch.start_message();
        match &session.edits {
            Some(edits) => bench.edits.take_over(edits),
            None => bench.edits.clear(),
        }
        let limits = Limits {
            lenient: proxy.accept_invalid.request,
            ..bench.limits
        };
        let bytes = buffer.readable_mut();
        let parsed = head::request(bytes, &mut Progress::default(), &mut bench.head, &limits);
        debug_assert!(matches!(parsed, Parsed::Complete), "it was read before");
        let framing = match framing::request(&bench.head, buffer.readable()) {
            Ok(framing) => framing,
            Err(refusal) => return self.refuse(key, refusal, buffer),
        };
        open!(self, key => _client, session, else { self.pool.give_back(buffer); Flow::Gone });
        if std::mem::take(&mut session.gathered.inspects) {
            let head = &self.bench.head;
            note_line(&mut session.txn, &config.global, head, buffer.readable());
            return self.inspect_request(key, backend.unwrap_or(proxy), buffer, &framing);
        }
        match backend {
            Some(backend) => self.pass_backend(key, (proxy, backend), buffer, &framing),
            None => self.pass_frontend(key, proxy, buffer, &framing),
        }
    }

    /// The client has said nothing for too long: the rules decide by what there is.
    pub(crate) fn inspected_body_too_long(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        session.gathered.late = true;
        self.end_gathering(key)
    }

    /// What came of the body is none.
    fn gathered_nonsense(&mut self, key: Key<Client>, refusal: Refusal, buffer: Buffer) -> Flow {
        ::log::debug!("body refused: {}", refusal.reason);
        self.keep_gathered(key, buffer, Flow::Wait);
        open!(self, key => _client, session, else Flow::Gone);
        if session.gathered.inspects && session.backend.is_none() {
            self.count_request(key);
        }
        self.gathering_failed(key, 400, Termination::PROXY_IN_REQUEST)
    }

    /// The body has not come in its time.
    pub(crate) fn gathered_too_long(&mut self, key: Key<Client>) -> Flow {
        self.gathering_failed(key, 408, Termination::CLIENT_TIMEOUT_IN_REQUEST)
    }

    fn gathering_failed(&mut self, key: Key<Client>, status: u16, why: Termination) -> Flow {
        self.count_failure(key);
        open!(self, key => _client, session, else Flow::Gone);
        session.exchange.on_request_error();
        if let Some(buffer) = session.request.input.take() {
            self.pool.give_back(buffer);
        }
        let unanswered = session.exchange.response() == ResponseState::Idle;
        debug_assert!(unanswered, "it was asked of nobody yet");
        if !session.response.is_flushed() {
            // The client did not even take what it was told.
            return Flow::Close(why);
        }
        self.answer_status(key, status, why)
    }

    /// The client ended its side in the middle of the body, and no rule has answered it.
    pub(crate) fn gatherer_lost(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        // What came of the body is counted by now.
        session.request.moved = 0;
        self.count_failure(key);
        open!(self, key => client, session, else Flow::Gone);
        let late = session.gathered.late;
        session.exchange.on_request_error();
        // It counts as answered with no status.
        let front = &mut self.proxy_stats[client.frontend.0 as usize].front;
        front.cli_abrt += 1;
        front.answer(0);
        if let Some(backend) = session.backend {
            let back = &mut self.proxy_stats[backend.0 as usize].back;
            back.cli_abrt += 1;
            back.answered(0);
        }
        Flow::Close(match late {
            true => Termination::CLIENT_TIMEOUT_IN_REQUEST,
            false => Termination::CLIENT_IN_REQUEST,
        })
    }

    fn count_failure(&mut self, key: Key<Client>) {
        open!(self, key => client, session);
        session.txn.bytes_uploaded += session.request.moved;
        session.request.moved = 0;
        self.proxy_stats[client.frontend.0 as usize].front.ereq += 1;
        self.listener_stats
            .count(client.listener, |own| own.ereq += 1);
    }
}
