//! Target `handover`: any bytes as the document in which a process tells what it knows.
//!
//! A document that is refused must have changed nothing; after one that is taken the engine's
//! records agree, and what it then has to tell is understood by another engine.

use oneloop::admin::command::Commands;
use oneloop::config::model::Config;
use oneloop::engine::Engine;

use super::forward::{configuration, limits};
use super::wire::{START, Wire};

const TEXT: &str = "global
  maxconn 8
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend f
  bind 127.0.0.1:8080
  acl denied path_beg /a /b
  http-request deny if denied or { src 10.0.0.1 }
  default_backend b
backend b
  server s1 127.0.0.1:9001 check
  server s2 127.0.0.1:9002 weight 7 backup
";

fn config() -> &'static Config {
    thread_local! { static READ: &'static Config = Box::leak(Box::new(configuration(TEXT))); }
    READ.with(|read| *read)
}

fn engine() -> Engine<'static, Wire, Commands> {
    Engine::new(config(), Wire::new(), Commands::new(), limits(), START)
}

/// All that an engine has to tell.
fn told(engine: &mut Engine<'static, Wire, Commands>) -> Vec<u8> {
    let mut document = Vec::new();
    engine.hand_over(&mut document);
    document
}

/// Target `handover`.
pub fn handover(data: &[u8]) {
    let mut first = engine();
    let before = told(&mut first);
    let taken = first.take_over(data);
    first.check_invariants().expect("invariants");
    let after = told(&mut first);
    if let Err(why) = taken {
        assert!(!why.is_empty(), "refused without a word");
        assert_eq!(before, after, "refused, and half of it taken");
        return;
    }
    let mut second = engine();
    second
        .take_over(&after)
        .expect("what was told is understood");
    second.check_invariants().expect("invariants of the second");
}
