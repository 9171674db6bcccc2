//! End to end: the program as a process, real sockets on both sides, one small test for each thing.
//!
//! What the article shows is in `tests/article.rs`; here stands the breadth around it: messages
//! of every shape, refusals, failures and their log lines, rules, TCP mode, the runtime socket,
//! signals and the command line. Every expectation was seen on HAProxy 2.6 first and can be seen
//! again with `ONELOOP_TEST_BIN=/usr/sbin/haproxy cargo test --test e2e`; where oneloop differs on
//! purpose the test says so with `Flavour`.

use std::net::SocketAddr;
use std::sync::Arc;

use support::client::{Answer, Client};
use support::log::{HttpLine, LogSocket};
use support::origin::Origin;
use support::proxy::{Proxy, Setup};
use support::{Journal, until};

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod changes;
mod checks;
mod command_line;
mod commands;
mod edges;
mod errors;
mod failure;
mod forwarding;
mod limits;
mod logs;
mod memory;
mod messages;
mod metrics;
mod pool;
mod programs;
mod proxy_protocol;
mod refusals;
mod reload;
mod reload_load;
mod rules;
mod runtime;
mod security;
mod signals;
mod sockets;
mod splice;
mod states;
mod stats;
mod streams;
mod tcp;

/// Stops the process where it is, until it gets `CONT`: what comes meanwhile comes in one turn.
fn freeze(proxy: &Proxy) {
    proxy.signal("STOP");
    let path = format!("/proc/{}/stat", proxy.pid());
    until("the process stands still", || {
        let stat = std::fs::read_to_string(&path).unwrap();
        stat.contains(") T ").then_some(())
    });
}

/// Sections that most tests share; what a test is about it adds itself.
const COMMON: &str = "\
global
    log @log@ local0
    stats socket @dir@/admin.sock mode 600 level admin
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 30s
";

/// One frontend `f`, one backend `b`, one server `s` which is a real origin, and the log.
struct Rig {
    proxy: Proxy,
    log: LogSocket,
    origin: Origin,
}

impl Rig {
    /// Starts it with further lines for the two sections.
    fn new(origin: Origin, frontend: &str, backend: &str) -> Self {
        let config = format!(
            "{COMMON}\
             frontend f\n bind @fe@\n default_backend b\n{frontend}\n\
             backend b\n server s @s@\n{backend}\n"
        );
        Self::of(origin, &config)
    }

    /// Starts it with a configuration of the test's own, where the origin is `@s@`.
    fn of(origin: Origin, config: &str) -> Self {
        let mut setup = Setup::new(config).with("s", origin.addr);
        let log = setup.log();
        Self {
            proxy: setup.start(),
            log,
            origin,
        }
    }

    /// Where the frontend `@fe@` listens.
    fn addr(&self) -> SocketAddr {
        self.proxy.addr("fe")
    }

    /// A connection to the frontend.
    fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// One request on a connection of its own; `{request}` is its head without the blank line.
    fn ask(&self, request: &str) -> Answer {
        let mut client = self.client();
        let answer = client.ask(&format!("{request}\r\n\r\n"));
        client.finish();
        answer
    }

    /// A GET of `path` on a connection of its own, and its log line.
    fn get(&self, path: &str) -> (Answer, HttpLine) {
        let answer = self.ask(&format!("GET {path} HTTP/1.1\r\nHost: h"));
        (answer, self.log.request(&format!("GET {path} HTTP/1.1")))
    }
}

/// A configuration of one's own below the shared sections.
fn common(sections: &str) -> String {
    format!("{COMMON}{sections}")
}

/// An origin that answers each request with these bytes and keeps the connection.
fn answering(answer: &'static str) -> Origin {
    Origin::scripted(move |wire| {
        while wire.request().is_some() {
            wire.send(answer);
        }
    })
}

/// An origin that answers each request with these bytes and closes.
fn closing(answer: &'static str) -> Origin {
    Origin::scripted(move |wire| {
        if wire.request().is_some() {
            wire.send(answer);
        }
    })
}

/// An origin whose first connection takes a second request and goes away without a word.
fn losing_the_second() -> Origin {
    Origin::scripted(|wire| {
        while wire.request().is_some() {
            wire.send(OK);
            if wire.connection == 0 {
                wire.request();
                return;
            }
        }
    })
}

/// A door that origins wait at until the test opens it.
#[derive(Clone)]
struct Gate(Arc<Journal<()>>);

impl Gate {
    fn new() -> Self {
        Self(Arc::new(Journal::new()))
    }

    /// Lets everybody through, now and later.
    fn open(&self) {
        self.0.push(());
    }

    /// Waits until the gate is open.
    fn pass(&self) {
        self.0
            .wait("the gate", |opened| (!opened.is_empty()).then_some(()));
    }
}

/// An origin that answers [`OK`], each time once the gate is open.
fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::scripted(move |wire| {
        while wire.request().is_some() {
            gate.pass();
            wire.send(OK);
        }
    })
}

/// An origin that takes requests and never says a word.
fn silent() -> Origin {
    Origin::scripted(|wire| while wire.request().is_some() {})
}

/// An answer of two bytes.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
