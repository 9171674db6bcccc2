//! `show sess`, `shutdown session` and `shutdown sessions server`: what is under way now.
//!
//! A session is named by the key of its client's record, as a number like HAProxy's pointers: the
//! key of one that has ended finds nothing, so that a command that comes late ends nobody else's.
//! The list has HAProxy's `key=value` words as far as there is something to tell; what only its
//! developers could read (flags, analysers, task counters) is left out. Runtime connections are
//! listed behind the others.

use std::io::Write as _;

use super::change;
use super::command::Call;
use crate::base::addr::Address;
use crate::base::arena::{Handle, Key};
use crate::base::clock::write_log_date;
use crate::config::model::Mode;
use crate::engine::Subject;
use crate::engine::accept::Client;
use crate::engine::cli::Cli;
use crate::engine::deadline;
use crate::engine::relay::Pipe;
use crate::engine::service::{Command, Outcome, View};
use crate::engine::session::Session;

/// `show sess [<id>|all]`.
pub(super) fn show(call: &mut Call<'_, '_>) -> Outcome {
    let word = call.word(2);
    let view = call.view;
    if let Some(number) = number_of(word) {
        return match find(view, number) {
            Some(one) => {
                write_whole(call.out, view, one);
                Outcome::Done
            }
            None => call.refuse("Session not found."),
        };
    }
    for (key, client) in view.clients.iter() {
        let Some(session) = client.session.and_then(|id| view.sessions.get(id)) else {
            continue;
        };
        match word {
            "all" => write_whole(call.out, view, (key, client, session)),
            _ => write_line(call.out, view, (key, client, session)),
        }
    }
    for (key, cli) in view.clis.iter() {
        write_cli(call.out, view, key, cli);
    }
    Outcome::Done
}

/// `shutdown session <id>`.
pub(super) fn shutdown(call: &mut Call<'_, '_>) -> Outcome {
    let Some(number) = number_of(call.word(2)) else {
        return call.refuse("Session pointer expected (use 'show sess').");
    };
    match find(call.view, number) {
        Some((key, ..)) => Outcome::Apply(Command::ShutSession(key)),
        None => call.refuse("No such session (use 'show sess')."),
    }
}

/// `shutdown sessions server <b>/<s>`.
pub(super) fn shutdown_server(call: &mut Call<'_, '_>) -> Outcome {
    match change::server(call, 3) {
        Some(server) => Outcome::Apply(Command::ShutSessions(server.id)),
        None => Outcome::Done,
    }
}

/// The number that a word begins with, in HAProxy's reading of pointers; none for 0.
fn number_of(word: &str) -> Option<u64> {
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    let len = digits
        .bytes()
        .take_while(|byte| char::from(*byte).is_digit(radix))
        .count();
    let number = u64::from_str_radix(digits.get(..len)?, radix);
    match number {
        Ok(number) => Some(number).filter(|number| *number > 0),
        // More than a number can be is no session's.
        Err(_) => (len > 0).then_some(u64::MAX),
    }
}

/// A session with its client and the key of both.
type One<'a> = (Key<Client>, &'a Client, &'a Session);

/// The session of a client that an id names.
fn find<'a>(view: &View<'a>, number: u64) -> Option<One<'a>> {
    let Some(Subject::Client(key)) = Subject::of(Handle(number)) else {
        return None;
    };
    let client = view.clients.get(key)?;
    let session = view.sessions.get(client.session?)?;
    Some((key, client, session))
}

/// How long something lasts, in the two units that matter.
fn span(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m{}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{}m", s / 3_600, s % 3_600 / 60),
        _ => format!("{}d{}h", s / 86_400, s % 86_400 / 3_600),
    }
}

fn protocol(source: Address) -> &'static str {
    match source {
        Address::V4(..) => "tcpv4",
        Address::V6(..) => "tcpv6",
        Address::Unix | Address::None => "unix_stream",
    }
}

/// A client's address; of a unix socket's clients the listener's number is all there is.
fn source(address: Address, listener: u32) -> String {
    match address {
        Address::V4(..) | Address::V6(..) => address.to_string(),
        Address::Unix | Address::None => format!("unix:{listener}"),
    }
}

/// What a session is, in words.
struct Facts<'a> {
    frontend: &'a str,
    backend: &'a str,
    server: &'a str,
    phase: String,
    age: String,
    /// When it will have waited long enough.
    expires: String,
    client_socket: i32,
    server_socket: i32,
}

fn facts<'a>(view: &View<'a>, client: &Client, session: &Session) -> Facts<'a> {
    let now = view.now.ms;
    let began = match u64::try_from(session.txn.marks.request_started) {
        Ok(began) if session.txn.http => began,
        _ => client.since_ms,
    };
    let earliest = deadline::earliest(view.config, client, Some(session));
    let upstream = session.upstream.and_then(|key| view.upstreams.get(key));
    let backend = session.backend.map(|id| view.config.proxy(id));
    Facts {
        frontend: &view.config.proxy(client.frontend).name,
        backend: backend.map_or("<NONE>", |backend| &backend.name),
        server: session
            .server
            .map_or("<none>", |id| &view.roster.server(id).name),
        phase: format!("{:?}", client.phase).to_lowercase(),
        age: span(now.saturating_sub(began)),
        expires: earliest.map_or_else(String::new, |(at, _)| span(at.saturating_sub(now))),
        client_socket: client.socket.raw(),
        server_socket: upstream.map_or(-1, |record| record.socket.raw()),
    }
}

/// Bytes of a direction that are here: received and not sent.
fn held(pipe: &Pipe) -> usize {
    let buffers = pipe.output.iter().flatten().chain(&pipe.input);
    let bytes: usize = buffers.map(|buffer| buffer.len()).sum();
    bytes
        .saturating_add(pipe.head.len())
        .saturating_add(pipe.in_tube())
}

fn id_of(key: Key<Client>) -> u64 {
    Subject::Client(key).handle().0
}

fn listener_number(view: &View<'_>, client: &Client) -> u32 {
    let listener = view.config.listeners.get(client.listener as usize);
    listener.map_or(0, |listener| listener.number)
}

fn write_line(out: &mut Vec<u8>, view: &View<'_>, (key, client, session): One<'_>) {
    let facts = facts(view, client, session);
    drop(writeln!(
        out,
        "{:#x}: proto={} src={} fe={} be={} srv={} phase={} age={} rq[i={}] rp[i={}] scf=[fd={}] \
         scb=[fd={}] exp={} rc={}",
        id_of(key),
        protocol(client.source),
        source(client.source, listener_number(view, client)),
        facts.frontend,
        facts.backend,
        facts.server,
        facts.phase,
        facts.age,
        held(&session.request),
        held(&session.response),
        facts.client_socket,
        facts.server_socket,
        facts.expires,
        session.txn.retries,
    ));
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Http => "http",
        Mode::Tcp => "tcp",
    }
}

/// HAProxy's word for a time that never comes.
fn or_none(word: &str) -> &str {
    if word.is_empty() { "<NEVER>" } else { word }
}

fn write_whole(out: &mut Vec<u8>, view: &View<'_>, (key, client, session): One<'_>) {
    let facts = facts(view, client, session);
    drop(write!(out, "{:#x}: [", id_of(key)));
    write_log_date(out, client.since_wall_ms, view.now.utc_offset_s);
    drop(writeln!(
        out,
        "] id={} proto={} source={}",
        session.txn.request_count,
        protocol(client.source),
        source(client.source, listener_number(view, client)),
    ));
    drop(writeln!(
        out,
        "  phase={} age={} exp={} conn_retries={} waiting={} requests={}",
        facts.phase,
        facts.age,
        or_none(&facts.expires),
        session.txn.retries,
        u8::from(session.ticket.is_some()),
        client.requests,
    ));
    let frontend = view.config.proxy(client.frontend);
    drop(write!(
        out,
        "  frontend={} (id={} mode={})",
        frontend.name,
        frontend.number,
        mode(frontend.mode)
    ));
    if let Some(listener) = view.config.listeners.get(client.listener as usize) {
        let name = listener.name.as_deref().unwrap_or("?");
        let (number, address) = (listener.number, &listener.endpoint);
        drop(write!(
            out,
            ", listener={name} (id={number}) addr={address}"
        ));
    }
    match session.backend.map(|id| view.config.proxy(id)) {
        Some(backend) => drop(writeln!(
            out,
            "\n  backend={} (id={} mode={})",
            backend.name,
            backend.number,
            mode(backend.mode)
        )),
        None => out.extend_from_slice(b"\n  backend=<NONE> (id=-1 mode=-)\n"),
    }
    match session.server.map(|id| view.roster.server(id)) {
        Some(server) => drop(writeln!(
            out,
            "  server={} (id={}) addr={}",
            server.name, server.number, server.endpoint
        )),
        None => out.extend_from_slice(b"  server=<NONE> (id=-1)\n"),
    }
    if session.txn.http {
        drop(writeln!(
            out,
            "  txn req.st={:?} rsp.st={:?} status={}",
            session.exchange.request(),
            session.exchange.response(),
            match session.txn.status {
                0 => -1,
                status => i32::from(status),
            },
        ));
    }
    drop(writeln!(
        out,
        "  scf fd={} scb fd={} reused={}",
        facts.client_socket,
        facts.server_socket,
        u8::from(session.on_reused)
    ));
    for (name, pipe) in [("req", &session.request), ("res", &session.response)] {
        drop(writeln!(
            out,
            "  {name} i={} pipe={} moved={} total={}",
            held(pipe),
            pipe.in_tube(),
            pipe.moved,
            pipe.sent
        ));
    }
}

/// A runtime connection.
fn write_cli(out: &mut Vec<u8>, view: &View<'_>, key: Key<Cli>, cli: &Cli) {
    let now = view.now.ms;
    // One that came by way of the master is of no socket of ours.
    let number = u32::try_from(cli.caller().socket);
    let number = number.map_or(0, |number| number.saturating_add(1));
    drop(writeln!(
        out,
        "{:#x}: proto={} src={} fe=GLOBAL be=<NONE> srv=<none> age={} scf=[fd={}] scb=[fd=-1] \
         exp={} rc=0",
        Subject::Cli(key).handle().0,
        protocol(cli.source()),
        source(cli.source(), number),
        span(now.saturating_sub(cli.since_ms())),
        cli.descriptor(),
        span(cli.promise().1.saturating_sub(now)),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            (0, "0s"),
            (59_999, "59s"),
            (61_000, "1m1s"),
            (3_600_000, "1h0m"),
            (90_000_000, "1d1h"),
        ];
        for (ms, expected) in cases {
            assert_eq!(span(ms), expected);
        }
    }

    #[test]
    fn numbers() {
        let cases = [
            ("", None),
            ("all", None),
            ("0x", None),
            ("0", None),
            ("0x1", Some(1)),
            ("0x1fg", Some(0x1f)),
            ("12a", Some(12)),
            ("0xffffffffffffffffff", Some(u64::MAX)),
        ];
        for (word, expected) in cases {
            assert_eq!(number_of(word), expected, "{word}");
        }
    }
}
