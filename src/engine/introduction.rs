//! Clients that are introduced by a proxy before us, and how we introduce ours to servers.
//!
//! A listener with `accept-proxy`, or a rule that says `expect-proxy`, makes a connection begin
//! with a header of the PROXY protocol. It is read before anything else, may come in pieces, and
//! has `timeout client` to come in. Until it is whole the connection is no session: it has no log
//! line of its own and is counted as a connection only. A header that cannot be believed ends the
//! connection with a line that says why (configuration.txt 8.2.5).
//!
//! What a header said lasts as long as its connection, in a record beside the client's, so that
//! clients that nobody introduces cost nothing. Records are used again with their storage.
//!
//! A server with `send-proxy` gets a header in front of the first bytes of each connection, in one
//! piece with them. Such a connection speaks for one client and is kept for that client alone.

use super::Engine;
use super::accept::Client;
use super::context::{Looking, facts};
use super::relay::{End, receive};
use super::service::Service;
use super::session::{Flow, Phase, begin_record, open};
use crate::base::addr::{Address, write_decimal};
use crate::base::arena::Key;
use crate::base::buffer::{Buffer, Pool};
use crate::base::proxy_header::{self, Form, Guest, Parsed, Refusal};
use crate::config::model::{ErrorLine, UniqueId};
use crate::http::rewrite::Message;
use crate::log::record::Txn;
use crate::log::syslog::Level;
use crate::log::termination::Termination;
use crate::net::{Net, Readiness, Stop};
use crate::rules::connection::{Admission, evaluate};

/// Index of an [`Introduction`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntroductionId(u32);

/// What a header said of a client, and the header until it is whole.
#[derive(Debug, Default)]
pub struct Introduction {
    /// It is whole.
    is_whole: bool,
    /// The connection's own ends; the near one only where somebody asks for it.
    source: Address,
    local: Address,
    /// What the client connected to; none where the connection's own end holds.
    destination: Address,
    /// When the connection was accepted, monotonic and wall, ms.
    accepted_ms: u64,
    accepted_wall_ms: u64,
    authority: Vec<u8>,
    unique_id: Vec<u8>,
    /// What came so far.
    input: Option<Buffer>,
}

/// The records of all clients that were introduced or are about to be.
#[derive(Debug, Default)]
pub struct Introductions {
    slots: Vec<Introduction>,
    free: Vec<u32>,
}

impl Introductions {
    fn take(&mut self) -> IntroductionId {
        if let Some(index) = self.free.pop() {
            return IntroductionId(index);
        }
        self.slots.push(Introduction::default());
        self.free.reserve(self.slots.len());
        IntroductionId((self.slots.len() - 1) as u32)
    }

    /// Gives a record back, and the buffer that it holds.
    pub(crate) fn release(&mut self, id: IntroductionId, pool: &mut Pool) {
        let Some(record) = self.slots.get_mut(id.0 as usize) else {
            return;
        };
        if let Some(buffer) = record.input.take() {
            pool.give_back(buffer);
        }
        let mut authority = std::mem::take(&mut record.authority);
        let mut unique_id = std::mem::take(&mut record.unique_id);
        authority.clear();
        unique_id.clear();
        *record = Introduction {
            authority,
            unique_id,
            ..Introduction::default()
        };
        self.free.push(id.0);
    }

    /// The record of a client.
    pub(crate) fn of(&self, client: &Client) -> Option<&Introduction> {
        self.slots.get(client.introduction?.0 as usize)
    }

    /// The record of a session: what a whole header said.
    pub(crate) fn of_session(&self, txn: &Txn) -> Option<&Introduction> {
        self.slots.get(txn.introduction as usize)
    }

    fn of_mut(&mut self, client: &Client) -> Option<&mut Introduction> {
        self.slots.get_mut(client.introduction?.0 as usize)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Introduction {
    /// The header has come.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The connection's far end.
    pub(crate) fn source(&self) -> Address {
        self.source
    }

    /// The connection's near end, where somebody asks for it.
    pub(crate) fn local(&self) -> Address {
        self.local
    }

    /// The name that the client asked for.
    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The id that the proxy before us gave the connection.
    pub(crate) fn unique_id(&self) -> &[u8] {
        &self.unique_id
    }

    /// A buffer lies here.
    pub(crate) fn holds_buffer(&self) -> bool {
        self.input.is_some()
    }

    /// What a log record says of its connection: the first request's time goes on from the
    /// accept, and the header is the handshake in it.
    pub(crate) fn begin_record(&self, txn: &mut Txn, client: &Client) {
        txn.introduction = client.introduction.map_or(txn.introduction, |id| id.0);
        if client.requests == 0 {
            txn.accept_date_ms = self.accepted_wall_ms;
            txn.marks.accepted = self.accepted_ms as i64;
        }
    }
}

/// What a client connected to, as far as is known: as its introduction says, or the connection's
/// near end.
pub(crate) fn destination<N: Net>(net: &mut N, known: &Introductions, client: &Client) -> Address {
    match known.of(client) {
        Some(record) if !record.destination.is_none() => record.destination,
        _ => net.local_address(&client.socket),
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Asks the `tcp-request connection` rules of a frontend, which see the connection's own
    /// addresses.
    pub(crate) fn admit(&mut self, key: Key<Client>) -> Admission {
        let config = self.config;
        let refused = Admission::Rejected;
        let id = self.sessions.take();
        let Some(client) = self.clients.get(key) else {
            self.sessions.release(id);
            return refused;
        };
        let Some(session) = self.sessions.get_mut(id) else {
            return refused;
        };
        let proxy = config.proxy(client.frontend);
        session.renew();
        session.txn.reset();
        begin_record(&mut session.txn, client, &self.introductions);
        let asked = proxy.connection_rules.iter();
        if asked
            .clone()
            .any(|rule| rule.needs_destination(&config.acls))
        {
            session.txn.rare_mut().destination = self.net.local_address(&client.socket);
        }
        self.bench.scratch.start_message();
        let facts = facts!(self, session, client.requests);
        let looking = Looking {
            facts: &facts,
            request: None,
            response: None,
        };
        let scratch = &mut self.bench.scratch;
        let admission = evaluate(&proxy.connection_rules, &config.acls, &looking, scratch);
        self.sessions.release(id);
        admission
    }

    /// A `tcp-request connection` rule turned the client away: no session, and no log line.
    pub(crate) fn reject(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.broken = true;
        self.proxy_stats[client.frontend.0 as usize].front.dcon += 1;
        self.remove_client(key);
    }

    /// The connection begins with a header.
    pub(crate) fn expect_introduction(&mut self, key: Key<Client>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.phase = Phase::Introduction;
        client.introduction = Some(self.introductions.take());
        if let Some(record) = self.introductions.of_mut(client) {
            record.source = client.source;
            record.accepted_ms = client.since_ms;
            record.accepted_wall_ms = client.since_wall_ms;
        }
    }

    /// Reads until a header is whole.
    pub(crate) fn read_introduction(&mut self, key: Key<Client>) -> Flow {
        let most = self.config.global.buffer_size as usize;
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        let Some(record) = self.introductions.of_mut(client) else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        if !client.ready.has(Readiness::READABLE) {
            return Flow::Wait;
        }
        let Some(mut buffer) = record.input.take().or_else(|| self.pool.lend()) else {
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        };
        let mut from = End {
            socket: &client.socket,
            ready: &mut client.ready,
        };
        let received = receive(&mut self.net, &mut from, &mut buffer);
        let why = match received {
            Ok(_) => match proxy_header::parse(buffer.readable(), most) {
                Parsed::Partial => {
                    record.input = Some(buffer);
                    return Flow::Again;
                }
                Parsed::Complete(header) => {
                    record.is_whole = true;
                    record.authority.extend_from_slice(header.authority);
                    record.unique_id.extend_from_slice(header.unique_id);
                    if let Some((source, destination)) = header.addresses {
                        client.source = source;
                        record.destination = destination;
                    }
                    let length = header.length;
                    buffer.consume(length);
                    return self.introduced(key, buffer);
                }
                Parsed::Refused(why) => why,
            },
            Err(Stop::Blocked) => {
                match buffer.is_empty() {
                    true => self.pool.give_back(buffer),
                    false => record.input = Some(buffer),
                }
                return Flow::Wait;
            }
            Err(Stop::Closed) if buffer.is_empty() => Refusal::Closed,
            Err(Stop::Closed) => Refusal::Truncated,
            Err(Stop::Failed(_) | Stop::NoSource(_)) => Refusal::Failed,
        };
        record.input = Some(buffer);
        self.refuse_introduction(key, why)
    }

    /// The header is whole: the client is served as if it had just come. `rest` is what lies behind
    /// the header.
    fn introduced(&mut self, key: Key<Client>, rest: Buffer) -> Flow {
        let now = self.now;
        let config = self.config;
        let Some(client) = self.clients.get_mut(key) else {
            self.pool.give_back(rest);
            return Flow::Gone;
        };
        client.phase = Phase::Request;
        client.since_ms = now.ms;
        client.since_wall_ms = now.wall_ms;
        client.active_ms = now.ms;
        if config.proxy(client.frontend).needs_destination {
            let local = self.net.local_address(&client.socket);
            if let Some(record) = self.introductions.of_mut(client) {
                record.local = local;
            }
        }
        if !self.begin_client(key) {
            self.pool.give_back(rest);
            return Flow::Close(Termination::RESOURCE_IN_CONNECT);
        }
        if rest.is_empty() {
            self.pool.give_back(rest);
            return Flow::Again;
        }
        let Some(client) = self.clients.get(key) else {
            self.pool.give_back(rest);
            return Flow::Gone;
        };
        // A TCP session is there already, and an HTTP one begins with this byte.
        if client.session.is_none() && self.begin_http(key).is_none() {
            self.pool.give_back(rest);
            return Flow::Gone;
        }
        open!(self, key => _client, session, else Flow::Gone);
        session.unparsed_request = session.txn.http;
        session.request.input = Some(rest);
        Flow::Again
    }

    /// Ends a connection whose header cannot be believed, or did not come.
    pub(crate) fn refuse_introduction(&mut self, key: Key<Client>, why: Refusal) -> Flow {
        let Some(client) = self.clients.get_mut(key) else {
            return Flow::Gone;
        };
        let record = self.introductions.of(client);
        let came = record.and_then(|record| record.input.as_ref());
        let came = came.is_some_and(|buffer| !buffer.is_empty());
        let why = match why {
            // HAProxy's words for a header of which the rest does not come.
            Refusal::Late if came => Refusal::Truncated,
            why => why,
        };
        // Where somebody has sent what nobody reads, HAProxy's close is a reset.
        client.broken = came;
        let proxy = self.config.proxy(client.frontend);
        if came || !proxy.log_options.dont_log_null {
            self.log_refusal(key, why);
        }
        self.remove_client(key);
        Flow::Gone
    }

    fn log_refusal(&mut self, key: Key<Client>, why: Refusal) {
        let config = self.config;
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let proxy = config.proxy(client.frontend);
        let level = match proxy.log_options.separate_errors {
            true => Level::Err,
            false => Level::Info,
        };
        if !self.journal.listens(proxy, level) {
            return;
        }
        match &proxy.error_line {
            ErrorLine::None => {}
            ErrorLine::Plain => {
                let listener = config.listeners.get(client.listener as usize);
                let (number, name) = listener.map_or((0, None), |listener| {
                    (listener.number, listener.name.as_deref())
                });
                let port = match client.source {
                    Address::Unix => number,
                    address => u32::from(address.port()),
                };
                let text = &mut self.journal.text;
                text.clear();
                client.source.write_ip(text);
                text.push(b':');
                write_decimal(text, u64::from(port));
                text.extend_from_slice(b" [");
                crate::base::clock::write_log_date(
                    text,
                    client.since_wall_ms,
                    self.now.utc_offset_s,
                );
                text.extend_from_slice(b"] ");
                text.extend_from_slice(proxy.name.as_bytes());
                text.push(b'/');
                match name {
                    Some(name) => text.extend_from_slice(name.as_bytes()),
                    None => write_decimal(text, u64::from(number)),
                }
                text.extend_from_slice(b": ");
                text.extend_from_slice(why.text().as_bytes());
                self.journal.queue(config, proxy, level, self.now);
            }
            ErrorLine::Format(format) => {
                let id = self.sessions.take();
                if let Some(session) = self.sessions.get_mut(id) {
                    session.renew();
                    session.txn.reset();
                    session.txn.http = proxy.mode == crate::config::model::Mode::Http;
                    begin_record(&mut session.txn, client, &self.introductions);
                    session.txn.request_date_ms = client.since_wall_ms;
                    session.txn.termination = Termination::PROXY_IN_REQUEST;
                    session.txn.connection_error = why.number();
                    session.txn.counters.actconn = self.process.connections;
                    let scur = self.proxy_stats[client.frontend.0 as usize].front.scur;
                    session.txn.counters.feconn = scur;
                    if proxy.needs_destination {
                        session.txn.rare_mut().destination = self.net.local_address(&client.socket);
                    }
                    let facts = facts!(self, session, client.requests);
                    let looking = Looking {
                        facts: &facts,
                        request: None,
                        response: None,
                    };
                    self.journal.text.clear();
                    format.render(
                        &looking,
                        &mut self.bench.scratch.buffers,
                        &mut self.journal.text,
                    );
                    self.journal.queue(config, proxy, level, self.now);
                }
                self.sessions.release(id);
            }
        }
    }

    /// Names a request, or a TCP session, as `unique-id-format` says.
    #[cold]
    pub(crate) fn name_session(
        &mut self,
        key: Key<Client>,
        unique_id: &UniqueId,
        buffer: Option<&Buffer>,
    ) {
        open!(self, key => client, session);
        let facts = facts!(self, session, client.requests);
        let bench = &mut self.bench;
        let request =
            buffer.map(|buffer| Message::new(buffer.readable(), &bench.head, &bench.edits));
        let looking = Looking {
            facts: &facts,
            request,
            response: None,
        };
        bench.text.clear();
        let buffers = &mut bench.scratch.buffers;
        unique_id.format.render(&looking, buffers, &mut bench.text);
        let name = &mut session.txn.rare_mut().unique_id;
        name.clear();
        name.extend_from_slice(&bench.text);
    }

    /// Puts the header that introduces a session's client before all that is to be sent to its
    /// server.
    #[cold]
    pub(crate) fn introduce(&mut self, key: Key<Client>, form: Form) {
        open!(self, key => client, session);
        let to = destination(&mut self.net, &self.introductions, client);
        let introduction = self.introductions.of(client);
        let guest = Guest {
            addresses: Some((client.source, to)),
            authority: introduction.map_or(&[], |known| known.authority()),
            unique_id: Some(&session.txn.rare().unique_id),
        };
        self.bench.text.clear();
        proxy_header::write(&mut self.bench.text, form, &guest);
        session.request.precede(&self.bench.text);
    }
}
