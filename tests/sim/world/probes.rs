//! What servers say to checks, and agents of servers: what they should, and everything else.
//!
//! Each conversation has a mood of its own, drawn when its time has come. After a while everybody is
//! well, so that whoever waits for a server gets one in the end.

use std::collections::BTreeMap;

use super::held::Pass;
use super::rng::Rng;
use super::state::{Core, Far, START_MS};

/// From so long after the start on everybody is well, ms.
const WELL_AFTER_MS: u64 = 1_000;

/// The port of the first server's agent; the others follow.
pub(crate) const AGENT_PORT: u16 = 7_000;

/// What a check of the HTTP backend asks.
const ASKED: &[u8] = b"GET /health HTTP/1.0\r\n\r\n";
/// What one of `option tcp-check` says.
const SAID: &[u8] = b"PING\r\n";

/// Lines of agents that mean something; the last one ends whatever the others began.
const WORDS: [&str; 10] = [
    "up",
    "down # for a while",
    "stopped",
    "drain",
    "maint",
    "50%",
    "0%",
    "maxconn:1",
    "fail,ready,40%,maxconn:2",
    "ready up 100% maxconn:0",
];

/// And such as mean nothing.
const NONSENSE: [&str; 5] = [
    "",
    "\x01\x02",
    "999999999999999999999999%",
    "maxconn:-1",
    "lorem,ipsum # dolor",
];

/// How one conversation goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Well,
    /// What is said says that the server is not well.
    Ill,
    /// It says something that nobody understands.
    Odd,
    /// It never says a word.
    Mute,
    /// It begins, and says no more.
    Stalls,
    /// It ends without a word.
    Ends,
    /// It breaks off.
    Breaks,
    /// It says more than anybody would keep.
    Floods,
}

fn mood(core: &mut Core) -> Mood {
    if core.now - core.slept > START_MS + WELL_AFTER_MS {
        return Mood::Well;
    }
    core.rng.pick(&[
        Mood::Well,
        Mood::Well,
        Mood::Well,
        Mood::Ill,
        Mood::Ill,
        Mood::Odd,
        Mood::Mute,
        Mood::Stalls,
        Mood::Ends,
        Mood::Breaks,
        Mood::Floods,
    ])
}

/// What a configuration has of conversations.
#[derive(Clone, Copy)]
pub(crate) struct Lines {
    on: bool,
    on_error: &'static str,
}

impl Lines {
    pub(crate) fn new(rng: &mut Rng, on: bool) -> Self {
        let on_error = rng.pick(&["fastinter", "fail-check", "sudden-death", "mark-down"]);
        Self { on, on_error }
    }

    pub(crate) fn are_on(&self) -> bool {
        self.on
    }

    /// Lines of a backend.
    pub(crate) fn of_backend(&self, backend: usize) -> &'static str {
        match (self.on, backend) {
            (true, 0) => "  option httpchk GET /health\n  http-check expect status 200\n",
            (true, 2) => {
                "  option tcp-check\n  tcp-check connect\n  tcp-check send PING\\r\\n\n  tcp-check \
                 expect string PONG\n"
            }
            (true, 3) => "  option log-health-checks\n",
            _ => "",
        }
    }

    /// What a server's line ends with.
    pub(crate) fn of_server(&self, backend: usize, number: usize, index: usize) -> String {
        let on_error = self.on_error;
        match (self.on, backend, number) {
            (true, 0, _) => format!(
                " check inter 40 fastinter 15 observe layer7 error-limit 2 on-error {on_error} \
                 on-marked-down shutdown-sessions"
            ),
            (true, 1, _) => " track b0/s0".to_owned(),
            (true, 2, 0) => " check inter 40 on-marked-up shutdown-backup-sessions".to_owned(),
            (true, 2, 2) => " check inter 40 backup".to_owned(),
            (true, 3, _) => {
                let port = usize::from(AGENT_PORT) + index;
                format!(
                    " check inter 40 observe layer4 agent-check agent-port {port} agent-inter 30"
                )
            }
            _ => " check inter 40".to_owned(),
        }
    }
}

/// The conversations under way, by their socket: what has been heard on each.
#[derive(Default)]
pub(crate) struct Probes {
    heard: BTreeMap<usize, Vec<u8>>,
}

impl Probes {
    /// A connection stands. An agent speaks first.
    pub(crate) fn on_connected(&mut self, core: &mut Core, sock: usize) {
        self.heard.insert(sock, Vec::new());
        let server = match core.socks[sock].far {
            Far::Agent(server) => server,
            Far::Probe(server) => return core.held.passes(server, Pass::Connection),
            _ => return,
        };
        let mood = mood(core);
        let line = match mood {
            Mood::Well => "ready up 100% maxconn:0\n".to_owned(),
            Mood::Odd => format!("{}\r\n", core.rng.pick(&NONSENSE)),
            _ => format!("{}\n", core.rng.pick(&WORDS)),
        };
        if line.contains("maint") {
            // After maintenance it comes as others do.
            core.held.release(server);
        }
        core.reach(match mood {
            Mood::Well | Mood::Ill => "agent: a word",
            Mood::Odd => "agent: nonsense",
            _ => "agent: no whole word",
        });
        say(core, sock, mood, line.as_bytes());
    }

    /// Something of a check has come.
    pub(crate) fn on_bytes(
        &mut self,
        core: &mut Core,
        sock: usize,
        server: usize,
        bytes: &[u8],
    ) -> Result<(), String> {
        let Some(heard) = self.heard.get_mut(&sock) else {
            return Err("bytes before the connection".to_owned());
        };
        heard.extend_from_slice(bytes);
        let (asked, answer, ill) = match server {
            0..=1 => (
                ASKED,
                &b"HTTP/1.0 200 OK\r\nX-Load: 1\r\n\r\nwell"[..],
                &b"HTTP/1.0 503 No\r\n\r\n"[..],
            ),
            3..=5 => (SAID, &b"+PONG\r\n"[..], &b"-LOADING\r\n"[..]),
            _ => return Err(format!("a check of server {server} said something")),
        };
        if heard.len() > asked.len() || !asked.starts_with(heard) {
            return Err(format!("a check says {}", heard.escape_ascii()));
        }
        if heard.len() < asked.len() {
            return Ok(());
        }
        let mood = mood(core);
        core.say(|| format!("#{sock} the check of server {server} meets {mood:?}"));
        core.reach(match mood {
            Mood::Well => "check: answered well",
            Mood::Ill | Mood::Odd => "check: answered otherwise",
            Mood::Mute | Mood::Stalls => "check: not answered",
            Mood::Ends | Mood::Breaks => "check: broken off",
            Mood::Floods => "check: flooded",
        });
        if mood == Mood::Well {
            core.held.passes(server, Pass::Answer);
        }
        say(
            core,
            sock,
            mood,
            if mood == Mood::Ill { ill } else { answer },
        );
        Ok(())
    }

    pub(crate) fn on_gone(&mut self, sock: usize) {
        self.heard.remove(&sock);
    }
}

/// Says a text as the mood has it.
fn say(core: &mut Core, sock: usize, mood: Mood, text: &[u8]) {
    match mood {
        Mood::Well | Mood::Ill => {
            core.transmit(sock, text);
            core.far_fin(sock, 1, true);
        }
        Mood::Odd if matches!(core.socks[sock].far, Far::Agent(_)) => core.transmit(sock, text),
        Mood::Odd => core.transmit(sock, b"lorem ipsum\r\n\r\n"),
        Mood::Mute => {}
        Mood::Stalls => core.transmit(sock, &text[..text.len() / 2]),
        Mood::Ends => core.far_fin(sock, 1, true),
        Mood::Breaks => {
            core.transmit(sock, &text[..text.len() / 2]);
            core.far_reset(sock, 1);
        }
        Mood::Floods => core.transmit(sock, &[b'x'; 40_000]),
    }
}
