//! Log messages: rendered where things happen, sent in one go at the end of the turn.
//!
//! Each `log` line of a proxy is a `Line`; lines with the same address share a target, which the
//! door opened in the order of [`addresses`]. Messages wait in the target's batch until the end of
//! the turn. A target that is full or gone costs the message, counts it, and is said once on
//! stderr, as HAProxy does; service never waits for a log.

use super::Engine;
use super::accept::Client;
use super::context::{Looking, facts};
use super::introduction::destination;
use super::service::{Limits, Service};
use super::session::{Session, open};
use super::stats::ProcessStats;
use crate::base::arena::Key;
use crate::base::clock::Now;
use crate::config::model::{Config, LogAddress, LogTarget, Proxy, ServerId};
use crate::log::record::{self, Txn};
use crate::log::syslog::{Framing, HeaderOf, Level, Sender};
use crate::net::{LogBatch, Net, Readiness, Stop};

/// The distinct addresses of all `log` lines, in the order in which the door must open them.
#[must_use]
pub fn addresses(config: &Config) -> Vec<LogAddress> {
    let mut all: Vec<LogAddress> = Vec::new();
    let lines = config
        .global
        .logs
        .iter()
        .chain(config.proxies.iter().flat_map(|p| &p.logs));
    for line in lines {
        if !all.contains(&line.to) {
            all.push(line.to.clone());
        }
    }
    all
}

/// One `log` line of a proxy.
#[derive(Debug)]
struct Line {
    target: usize,
    framing: Framing,
    /// What stands before the text, and what it is of: the same for all messages of a second.
    header: Vec<u8>,
    header_of: Option<HeaderOf>,
}

/// Where a target's messages wait.
#[derive(Debug)]
struct Target {
    batch: LogBatch,
    complained: bool,
}

/// The batches of all targets.
#[derive(Debug)]
pub struct Journal {
    targets: Vec<Target>,
    /// By proxy id.
    lines: Vec<Vec<Line>>,
    pub(super) text: Vec<u8>,
    host: String,
    pid: u32,
}

impl Journal {
    /// An empty journal for a configuration.
    pub fn new(config: &Config, limits: &Limits) -> Self {
        let known = addresses(config);
        let line = |log: &LogTarget| Line {
            target: known
                .iter()
                .position(|address| *address == log.to)
                .unwrap_or_default(),
            framing: log.framing,
            header: Vec::with_capacity(128),
            header_of: None,
        };
        Self {
            targets: known
                .iter()
                .map(|_| Target {
                    batch: LogBatch::default(),
                    complained: false,
                })
                .collect(),
            lines: config
                .proxies
                .iter()
                .map(|p| p.logs.iter().map(line).collect())
                .collect(),
            text: Vec::with_capacity(1024),
            host: config.global.log_hostname.clone().unwrap_or_default(),
            pid: limits.pid,
        }
    }

    /// Whether anything of this proxy is logged at all.
    pub(super) fn listens(&self, proxy: &Proxy, level: Level) -> bool {
        self.lines
            .get(proxy.id.0 as usize)
            .is_some_and(|lines| lines.iter().any(|line| line.framing.takes(level)))
    }

    /// Queues a message of a proxy for all its targets.
    pub fn message(&mut self, config: &Config, proxy: &Proxy, level: Level, text: &str, now: Now) {
        self.text.clear();
        self.text.extend_from_slice(text.as_bytes());
        self.queue(config, proxy, level, now);
    }

    /// Queues what lies in `text`.
    pub(super) fn queue(&mut self, config: &Config, proxy: &Proxy, level: Level, now: Now) {
        let tag = proxy.log_tag.as_ref().unwrap_or(&config.global.log_tag);
        let sender = Sender {
            tag: tag.as_bytes(),
            pid: self.pid,
            host: self.host.as_bytes(),
            structured: b"",
        };
        let Some(lines) = self.lines.get_mut(proxy.id.0 as usize) else {
            return;
        };
        for line in lines.iter_mut().filter(|line| line.framing.takes(level)) {
            let Some(target) = self.targets.get_mut(line.target) else {
                continue;
            };
            let of = line.framing.header_of(&now, level);
            if line.header_of != Some(of) {
                line.header.clear();
                line.framing
                    .write_header(&mut line.header, &now, &sender, level);
                line.header_of = Some(of);
            }
            let batch = &mut target.batch;
            line.framing
                .write(&mut batch.bytes, &line.header, &self.text);
            batch.ends.push(batch.bytes.len() as u32);
        }
    }

    /// Sends all batches. What does not leave is lost and counted.
    pub fn flush<N: Net>(&mut self, net: &mut N, process: &mut ProcessStats) {
        for (index, target) in self.targets.iter_mut().enumerate() {
            let total = target.batch.ends.len();
            let mut from = 0;
            while from < total {
                match net.send_log(index as u32, &target.batch, from) {
                    Ok(0) => break,
                    Ok(sent) => from += sent,
                    Err(Stop::Blocked) => break,
                    Err(stop) => {
                        let errno = if let Stop::Failed(errno) = stop {
                            errno
                        } else {
                            0
                        };
                        if !std::mem::replace(&mut target.complained, true) {
                            complain(index, errno);
                        }
                        break;
                    }
                }
            }
            process.dropped_logs += (total - from.min(total)) as u64;
            target.batch.bytes.clear();
            target.batch.ends.clear();
        }
    }
}

/// HAProxy's words for a target that cannot be reached.
fn complain(index: usize, errno: i32) {
    let system = std::io::Error::from_raw_os_error(errno).to_string();
    let words = system.split(" (os error").next().unwrap_or_default();
    let number = index + 1;
    ::log::error!("sendmsg()/writev() failed in logger #{number}: {words} (errno={errno})");
}

/// The letters of the termination state: four in HTTP mode, where the last two are the cookie's.
pub(crate) fn letters(txn: &Txn) -> ([u8; 4], usize) {
    let [cause, stage] = txn.termination.letters();
    let all = [
        cause,
        stage,
        txn.request_cookie as u8,
        txn.response_cookie as u8,
    ];
    (all, if txn.http { 4 } else { 2 })
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Takes the connection counts that the line shows. Of a session that has `ended`, the own
    /// place on the backend and on the server has been left by then, as in HAProxy.
    fn settle_counters(&mut self, key: Key<Client>, ended: bool) {
        open!(self, key => client, session);
        let own = u32::from(session.backend.is_some() && ended);
        let stats = &self.proxy_stats;
        let counters = &mut session.txn.counters;
        counters.actconn = self.process.connections;
        counters.feconn = stats[client.frontend.0 as usize].front.scur;
        counters.beconn = session
            .backend
            .map_or(0, |id| stats[id.0 as usize].back.scur.saturating_sub(own));
        // Who waits for a server, or may not even wait, is of that server as well.
        let named = match session.txn.target {
            record::Target::Server(id) => Some(ServerId(id)),
            _ => None,
        };
        let server = session
            .server
            .or(named)
            .filter(|id| !self.roster.server(*id).dispatch);
        counters.srv_conn = server.map_or(0, |id| {
            let held = u32::from(session.holds_slot && ended);
            self.server_stats[id.0 as usize].scur.saturating_sub(held)
        });
    }

    /// Writes the line of a finished session.
    pub(crate) fn log_session(&mut self, key: Key<Client>) {
        open!(self, key => client, session);
        let proxy = self.config.proxy(client.frontend);
        let options = proxy.log_options;
        if std::mem::replace(&mut session.logged, true)
            || (options.dont_log_normal && !session.txn.is_unusual())
            || (options.dont_log_null && carried_nothing(client, session))
        {
            return;
        }
        self.write_line(key, true);
    }

    /// `option logasap`: the line is written when the answer's head goes out.
    pub(crate) fn log_early(&mut self, key: Key<Client>) {
        open!(self, key => client, session);
        session.txn.marks.finished = self.now.ms as i64;
        let proxy = self.config.proxy(client.frontend);
        if session.logged || (proxy.log_options.dont_log_normal && !session.txn.is_unusual()) {
            return;
        }
        session.logged = true;
        session.txn.early = true;
        self.write_line(key, false);
        open!(self, key => _client, session);
        session.txn.early = false;
    }

    /// Writes the line of a session that has `ended`, or that is told of before.
    fn write_line(&mut self, key: Key<Client>, ended: bool) {
        let config = self.config;
        open!(self, key => client, session);
        let proxy = config.proxy(client.frontend);
        let Some(format) = &proxy.log_format else {
            return;
        };
        let unusual = session.txn.is_unusual();
        let level = if proxy.log_options.separate_errors && unusual {
            Level::Err
        } else {
            Level::Info
        };
        if !self.journal.listens(proxy, level) {
            return;
        }
        self.settle_counters(key, ended);
        open!(self, key => client, session);
        let record = &mut self.proxies[proxy.id.0 as usize];
        session.txn.log_count = record.log_count;
        record.log_count += 1;
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

    /// A proxy with targets but no format tells of each connection.
    pub(crate) fn log_connect(&mut self, key: Key<Client>) {
        let config = self.config;
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let proxy = config.proxy(client.frontend);
        if !self.journal.listens(proxy, Level::Info) {
            return;
        }
        let destination = destination(&mut self.net, &self.introductions, client);
        let text = &mut self.journal.text;
        text.clear();
        text.extend_from_slice(b"Connect from ");
        client.source.write_ip(text);
        text.push(b':');
        crate::base::addr::write_decimal(text, u64::from(client.source.port()));
        text.extend_from_slice(b" to ");
        destination.write_ip(text);
        text.push(b':');
        crate::base::addr::write_decimal(text, u64::from(destination.port()));
        text.extend_from_slice(b" (");
        text.extend_from_slice(proxy.name.as_bytes());
        text.extend_from_slice(match proxy.mode {
            crate::config::model::Mode::Http => b"/HTTP)",
            crate::config::model::Mode::Tcp => b"/TCP)",
        });
        self.journal.queue(config, proxy, Level::Info, self.now);
    }
}

/// A TCP session without a byte either way: none moved, and none lies unread.
fn carried_nothing(client: &Client, session: &Session) -> bool {
    let unread = client.ready.has(Readiness::READABLE) && !client.ready.has(Readiness::READ_CLOSED);
    !session.txn.http && session.txn.bytes_uploaded == 0 && session.txn.bytes_read == 0 && !unread
}
