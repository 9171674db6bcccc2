//! Target `runtime_command`: any bytes on the runtime socket.
//!
//! The first byte chooses the socket's level, the second a step at which the rest is cut. The
//! commands run as in the process, on a connection of their own, over an engine with a small
//! configuration; afterwards a second connection at the level `admin` tells what has changed.

use oneloop::admin::command::Commands;
use oneloop::config::model::Config;
use oneloop::engine::{Engine, Exit};

use super::forward::{configuration, limits};
use super::wire::{End, START, Script, State, Wire};

const TEXT: &str = "global
  stats socket /user.sock level user
  stats socket /operator.sock level operator
  stats socket /admin.sock level admin
  stats maxconn 4
  maxconn 8
  setenv SECRET hidden
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend f
  bind 127.0.0.1:8080
  default_backend b
backend b
  server s1 127.0.0.1:9001
  server s2 127.0.0.1:9002 weight 7 backup
";

/// What tells the state of everything that commands may change.
const LOOK: &[u8] = b"show servers state;show stat json;get weight b/s1;get weight b/s2\n";

/// One command's answer at most, bytes: `show stat json` is the longest.
const ANSWER_MAX: usize = 200_000;

fn config() -> &'static Config {
    thread_local! { static READ: &'static Config = Box::leak(Box::new(configuration(TEXT))); }
    READ.with(|read| *read)
}

/// What each connection was answered.
fn answers(clients: &[(u32, Vec<Vec<u8>>)]) -> Vec<Vec<u8>> {
    let mut wire = Wire::new();
    for (door, pieces) in clients {
        wire.clients.push_back(Script {
            pieces: pieces.clone().into(),
            end: End::Fin,
            door: *door,
            ..Script::default()
        });
    }
    let mut engine = Engine::new(config(), wire, Commands::new(), limits(), START);
    let mut stopping = false;
    for turn in 0.. {
        assert!(turn < 20_000, "not over");
        let exit = engine.turn();
        engine.check_invariants().expect("invariants");
        if exit == Some(Exit::Done) {
            break;
        }
        let wire = engine.net_mut();
        if wire.is_over() && !stopping {
            stopping = true;
            wire.stop();
        }
    }
    engine.check_drained().expect("nothing is left");
    let wire = std::mem::take(engine.net_mut());
    assert!(wire.socks.iter().all(|sock| sock.state != State::Open));
    wire.socks.into_iter().map(|sock| sock.got).collect()
}

/// Target `runtime_command`.
pub fn runtime_command(data: &[u8]) {
    let Some(([level, step], text)) = data.split_first_chunk() else {
        return;
    };
    let level = u32::from(level % 3);
    // Behind the door of the only listener.
    let door = 1 + level;
    let pieces: Vec<Vec<u8>> = match usize::from(*step) {
        0 => vec![text.to_vec()],
        step => text.chunks(step).map(<[u8]>::to_vec).collect(),
    };
    let look = (3, vec![LOOK.to_vec()]);
    let both = answers(&[(door, pieces.clone()), look.clone()]);
    let commands = 1 + text
        .iter()
        .filter(|byte| matches!(byte, b'\n' | b';'))
        .count();
    assert!(
        both[0].len() <= commands * (ANSWER_MAX + 4 * text.len()),
        "{}",
        both[0].len()
    );
    if level < 2 {
        let alone = answers(&[look]);
        assert_eq!(settled(&both[1]), settled(&alone[0]), "changed below admin");
    }
    if level == 0 {
        let secret = both[0].windows(13).any(|bytes| bytes == b"SECRET=hidden");
        assert!(!secret, "the environment is told to a user");
    }
}

/// An answer without what the time of day changes and `clear counters` may: numbers of the
/// statistics' JSON other than those of states and weights.
fn settled(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('['));
    let mut kept = String::new();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        // `srv_time_since_last_change` is the eleventh column.
        let timeless = words
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != 9 || words.len() < 20);
        kept.extend(timeless.flat_map(|(_, word)| [*word, " "]));
        kept.push('\n');
    }
    let states = text.split("\"name\":\"status\"").skip(1);
    for state in states {
        kept.push_str(state.split('}').nth(1).unwrap_or_default());
    }
    kept
}
