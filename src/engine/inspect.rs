//! Sessions whose first bytes are looked at before a server is chosen: `tcp-request content`
//! (configuration.txt 4.2).
//!
//! A frontend's rules are asked as soon as the connection is there, and again whenever bytes have
//! come, until they have decided, `inspect-delay` is over, the input is full or the client has
//! ended its side; then what they cannot say yet is no. After the choice of a backend its rules are
//! asked in the same way, with a delay of their own. What was looked at lies in the input and is
//! the first that the server gets.
//!
//! In HTTP mode the frontend's rules come before anything else is made of a request, and the
//! backend's before its `http-request` rules. A request is waited for as far as its head; only
//! rules that wait for everything wait for its body, as it is gathered for
//! `option http-buffer-request`.

use super::Engine;
use super::accept::Client;
use super::context::{Looking, Sight, facts};
use super::gather::may_gather;
use super::relay::{End, Source, receive};
use super::service::Service;
use super::session::{Flow, Phase, open};
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::Proxy;
use crate::http::framing::Framing;
use crate::log::record::NO_MARK;
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};
use crate::rules::Inspected;
use crate::rules::content::{self, Inspection};

/// What will still come of a session that is inspected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    /// More, perhaps.
    #[default]
    Open,
    /// The client has ended its side.
    Ended,
    /// The connection broke.
    Broken,
    /// The client has said nothing for too long.
    Late,
}

/// How far the inspection of a session has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The backend's rules are asked, and not the frontend's.
    pub(crate) of_backend: bool,
    rest: Rest,
}

impl<'c, N: Net, S: Service> Engine<'c, N, S> {
    /// A TCP session goes on once rules have looked at what it begins with.
    pub(crate) fn begin_inspection(&mut self, key: Key<Client>, of_backend: bool) {
        let now = self.now.ms;
        open!(self, key => client, session);
        client.phase = Phase::Inspect;
        session.inspection.of_backend = of_backend;
        session.waiting_since_ms = now;
    }

    /// Asks the rules whose turn it is about what has come of a TCP session.
    pub(crate) fn inspect(&mut self, key: Key<Client>) -> Flow {
        if !self.hear_more(key) {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        }
        let config = self.config;
        let now = self.now.ms;
        let most = self.bench.limits.bytes_max as usize;
        open!(self, key => client, session, else Flow::Gone);
        let frontend = config.proxy(client.frontend);
        let backend = session.backend.filter(|_| session.inspection.of_backend);
        let proxy = backend.map_or(frontend, |backend| config.proxy(backend));
        let input = session.request.input.take();
        let bytes = input.as_ref().map_or(&[][..], Buffer::readable);
        let delay_ms = u64::from(proxy.content.delay_ms.unwrap_or_default());
        let is_final = session.inspection.rest != Rest::Open
            || bytes.len() >= most
            || now >= session.waiting_since_ms.saturating_add(delay_ms);
        let lenient = frontend.accept_invalid.request;
        let may_be_http = self
            .bench
            .look_for_request(bytes, lenient, proxy.content.reads_request);
        let seen = Inspected {
            bytes: Some(bytes),
            most: config.global.buffer_size as usize,
            is_final,
            may_be_http,
        };
        let verdict = self.ask_content(key, proxy, Sight::Bytes(bytes), seen);
        let flow = match verdict {
            Inspection::NotYet => Flow::Wait,
            Inspection::Rejected => Flow::Close(Termination::PROXY_IN_REQUEST),
            Inspection::Passed if backend.is_none() => self.route_tcp(key, frontend, bytes),
            Inspection::Passed => self.bind_tcp(key, proxy, bytes),
        };
        open!(self, key => client, session, else {
            debug_assert!(input.is_none(), "a session under inspection is gone");
            flow
        });
        session.request.input = input;
        match flow {
            // The others are not asked again: what they were asked for is in their edges.
            Flow::Wait if client.ready.has(Readiness::READABLE) => Flow::Again,
            Flow::Close(why) => {
                if verdict == Inspection::Rejected {
                    self.count_rejected(key);
                }
                self.forfeit(key);
                Flow::Close(why)
            }
            flow => flow,
        }
    }

    /// Receives what there is, as far as it is waited for; false where there is no buffer for it.
    fn hear_more(&mut self, key: Key<Client>) -> bool {
        let most = self.bench.limits.bytes_max as usize;
        open!(self, key => client, session, else false);
        let came = session.request.input.as_ref().map_or(0, Buffer::len);
        let open = session.inspection.rest == Rest::Open;
        if !open || came >= most || !client.ready.has(Readiness::READABLE) {
            return true;
        }
        let Some(mut buffer) = session.request.input.take().or_else(|| self.pool.lend()) else {
            return false;
        };
        let mut from = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        match receive(&mut self.net, &mut from, &mut buffer) {
            Ok(_) => {
                client.active_ms = self.now.ms;
                session.heard_ms.0 = self.now.ms;
            }
            Err(Stop::Blocked) => {}
            Err(Stop::Closed) => session.inspection.rest = Rest::Ended,
            Err(Stop::Failed(_) | Stop::NoSource(_)) => session.inspection.rest = Rest::Broken,
        }
        match buffer.is_empty() {
            true => self.pool.give_back(buffer),
            false => session.request.input = Some(buffer),
        }
        true
    }

    /// Asks the rules of a frontend or a backend about a request whose head is on the bench.
    pub(crate) fn inspect_request(
        &mut self,
        key: Key<Client>,
        proxy: &'c Proxy,
        buffer: Buffer,
        framing: &Framing,
    ) -> Flow {
        if may_gather(framing)
            && let Err(refusal) = self.measure_body(key, &buffer, framing)
        {
            return self.refuse_body(key, refusal, buffer);
        }
        let now = self.now.ms;
        let most = self.bench.limits.bytes_max as usize;
        let config = self.config;
        open!(self, key => client, session, else { self.pool.give_back(buffer); Flow::Gone });
        let frontend = config.proxy(client.frontend);
        let is_whole = !may_gather(framing) || session.request.source == Source::Done;
        let delay_ms = u64::from(proxy.content.delay_ms.unwrap_or_default());
        let is_final = is_whole
            || session.gathered.is_cut()
            || buffer.len() >= most
            || now >= session.waiting_since_ms.saturating_add(delay_ms);
        let seen = Inspected {
            bytes: None,
            most,
            is_final,
            may_be_http: false,
        };
        let verdict = self.ask_content(key, proxy, Sight::Request(&buffer), seen);
        open!(self, key => _client, session, else { self.pool.give_back(buffer); Flow::Gone });
        match verdict {
            Inspection::NotYet => return self.await_body(key, buffer, true),
            Inspection::Rejected => return self.reject_request(key, buffer),
            Inspection::Passed => {}
        }
        session.request.source = Source::Done;
        session.request.moved = 0;
        match session.backend {
            None => self.admit_request(key, frontend, buffer, framing),
            Some(_) => self.enter_with_body(key, (frontend, proxy), buffer, framing),
        }
    }

    /// A rule has turned a request away: nobody answers it.
    fn reject_request(&mut self, key: Key<Client>, buffer: Buffer) -> Flow {
        self.pool.give_back(buffer);
        self.count_rejected(key);
        open!(self, key => client, session, else Flow::Gone);
        session.exchange.on_request_error();
        session.txn.bytes_uploaded += session.request.moved;
        session.request.moved = 0;
        session.txn.marks.request_ended = NO_MARK;
        // It counts as answered with no status.
        self.proxy_stats[client.frontend.0 as usize].front.answer(0);
        match session.backend {
            Some(backend) => self.proxy_stats[backend.0 as usize].back.answered(0),
            // What it asked for is not known yet, in HAProxy.
            None => {
                session.txn.request_line.clear();
                self.proxy_stats[client.frontend.0 as usize].front.rejected += 1;
            }
        }
        Flow::Close(Termination::PROXY_IN_REQUEST)
    }

    /// Asks one proxy's rules, and keeps what they say of the session.
    pub(crate) fn ask_content(
        &mut self,
        key: Key<Client>,
        proxy: &Proxy,
        sight: Sight<'_>,
        seen: Inspected<'_>,
    ) -> Inspection {
        open!(self, key => client, session, else Inspection::Rejected);
        let mut facts = facts!(self, session, client.requests);
        facts.inspected = Some(seen);
        let bench = &mut self.bench;
        let looking = Looking {
            facts: &facts,
            request: sight.request(&bench.head, &bench.edits, &bench.seen),
            response: None,
        };
        let scratch = &mut bench.scratch;
        scratch.start_message();
        let acls = &self.config.acls;
        let verdict = content::evaluate(&proxy.content.rules, acls, &looking, scratch);
        let said = scratch.said;
        scratch.start_message();
        let priority = &mut session.txn.priority;
        priority.class = said.class.unwrap_or(priority.class);
        priority.offset_ms = said.offset.unwrap_or(priority.offset_ms);
        verdict
    }

    /// Chooses the backend of a TCP session, of which these bytes have come.
    pub(crate) fn route_tcp(&mut self, key: Key<Client>, proxy: &'c Proxy, bytes: &[u8]) -> Flow {
        let Some(backend) = self.choose_backend(key, proxy, Sight::Bytes(bytes)) else {
            return Flow::Close(Termination::SERVER_IN_CONNECT);
        };
        self.enter_backend(key, backend);
        if backend.id != proxy.id && !backend.content.is_empty() {
            self.begin_inspection(key, true);
            return Flow::Again;
        }
        self.bind_tcp(key, backend, bytes)
    }

    /// Binds a TCP session to a server where something says to which, and goes there.
    fn bind_tcp(&mut self, key: Key<Client>, backend: &Proxy, bytes: &[u8]) -> Flow {
        open!(self, key => client, session, else Flow::Gone);
        client.phase = Phase::Connect;
        let why = match session.inspection.rest {
            Rest::Open | Rest::Ended => None,
            Rest::Broken => Some(Termination::CLIENT_IN_REQUEST),
            Rest::Late => Some(Termination::CLIENT_TIMEOUT_IN_REQUEST),
        };
        if let Some(why) = why {
            let front = &mut self.proxy_stats[client.frontend.0 as usize].front;
            front.ereq += 1;
            front.cli_abrt += 1;
            self.listener_stats
                .count(client.listener, |own| own.ereq += 1);
            self.proxy_stats[backend.id.0 as usize].back.cli_abrt += 1;
            return Flow::Close(why);
        }
        let sight = Sight::Bytes(bytes);
        if !backend.persistence.is_empty() {
            self.begin_persistence(key, backend, sight);
        }
        self.choose_server(key, backend, sight);
        if let Some(hashing) = &backend.hashing {
            self.find_hash(key, hashing, sight);
        }
        Flow::Again
    }

    /// A rule has turned a session away.
    pub(crate) fn count_rejected(&mut self, key: Key<Client>) {
        open!(self, key => client, _session);
        self.proxy_stats[client.frontend.0 as usize].front.dreq += 1;
        self.listener_stats
            .count(client.listener, |own| own.dreq += 1);
    }

    /// What was looked at goes to nobody; it is counted as received.
    fn forfeit(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        if let Some(buffer) = session.request.input.take() {
            session.txn.bytes_uploaded += buffer.len() as u64;
            self.pool.give_back(buffer);
        }
    }

    /// The client has said nothing for too long: its rules decide by what there is.
    pub(crate) fn inspected_too_long(&mut self, key: Key<Client>) -> Flow {
        open!(self, key => _client, session, else Flow::Gone);
        session.inspection.rest = Rest::Late;
        Flow::Again
    }
}
