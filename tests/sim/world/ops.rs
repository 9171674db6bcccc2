//! Somebody who meddles: operations between two turns, each of three bytes.
//!
//! The first byte says how many turns to wait before, the second what is done, the third to whom or
//! how much. The fuzz target `session` is a list of them over a scenario. An operation that makes
//! an outcome possible which the scenario did not says so in the excuses, and no more than that.

use oneloop::config::model::{DynamicCookies, ProxyId, ServerId};
use oneloop::engine::checks::Wish;
use oneloop::engine::service::{Command, ListChange, Mode, NewEntry, Op};
use oneloop::net::Signal;

use super::judge::Excuses;
use super::net::Fake;
use super::rng::Rng;
use super::scenario;
use super::state::{Event, Far, Owner};
use super::{Simulated, apply};

/// So many operations at most.
pub(crate) const OPS_MAX: usize = 64;

/// Fewer turns than this pass between two.
const WAIT_MAX: u8 = 32;

/// The highest share of a fault, per mille: with more, nothing would ever come to its end.
const SHARE_MAX: u64 = 600;

/// What is sent by ends that speak no HTTP.
const GARBAGE: [&[u8]; 4] = [
    b"\r\n\r\n\r\n",
    b"\x00",
    b"lorem ipsum dolor\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
];

/// A list of operations.
pub(crate) struct Ops {
    left: std::vec::IntoIter<[u8; 3]>,
    next: Option<[u8; 3]>,
}

impl Ops {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let (ops, _) = bytes.as_chunks();
        let ops = ops
            .iter()
            .map(|[wait, what, arg]| [wait % WAIT_MAX, *what, *arg]);
        let mut left = ops.collect::<Vec<_>>().into_iter();
        let next = left.next();
        Self { left, next }
    }

    /// Does what is due; false when there was nothing left to do.
    pub(crate) fn step(&mut self, engine: &mut Simulated<'_>, excuses: &mut Excuses) -> bool {
        let more = self.next.is_some();
        while let Some([wait, what, arg]) = &mut self.next {
            if *wait > 0 {
                *wait -= 1;
                return true;
            }
            let (what, arg) = (*what, *arg);
            excuses.clean = false;
            self.next = self.left.next();
            engine
                .net_mut()
                .core
                .say(|| format!("meddling: {what} {arg}"));
            meddle(engine, excuses, what, arg);
            engine.net_mut().forget_nudge();
        }
        more
    }
}

fn meddle(engine: &mut Simulated<'_>, excuses: &mut Excuses, what: u8, arg: u8) {
    let fake = engine.net_mut();
    let delay = 20 * u64::from(arg);
    match what % 17 {
        0 => {
            let (core, model) = (&mut fake.core, &mut fake.model);
            model.join(core, scenario::newcomer(&mut Rng::new(u64::from(arg))));
        }
        1 => {
            excuses.wishes = true;
            let line = scenario::commands(&mut Rng::new(u64::from(arg)), true);
            excuses.rests |= line.contains("disable frontend");
            fake.model.join(&mut fake.core, scenario::operator(line));
        }
        2 => {
            if let Some((sock, _)) = a_client(fake, arg) {
                excuses.clients_odd = true;
                fake.core.far_reset(sock, 0);
            }
        }
        3 => {
            if let Some((sock, client)) = a_client(fake, arg) {
                excuses.clients_odd = true;
                fake.model.says_no_more(client);
                fake.core.far_fin(sock, 0, false);
                // Who has introduced himself and asks for nothing is told so, and does not mind.
                if fake.model.has_asked_nothing(client) {
                    fake.model.leaves(client);
                }
            }
        }
        4 => {
            if let Some((sock, client)) = a_client(fake, arg)
                && fake.model.is_between_requests(client)
            {
                excuses.clients_odd = true;
                fake.core
                    .transmit(sock, GARBAGE[usize::from(arg) % GARBAGE.len()]);
                fake.model.leaves(client);
            }
        }
        5 | 6 => {
            let found = match what % 17 {
                5 => a_client(fake, arg).map(|(sock, _)| sock),
                _ => a_server(fake, arg),
            };
            if let Some(sock) = found {
                excuses.late = true;
                fake.core.socks[sock].stalled = true;
                fake.core.at(delay, Event::Unstall(sock));
            }
        }
        7 => {
            if let Some(sock) = a_server(fake, arg) {
                odd_server(fake, excuses);
                fake.core.far_reset(sock, 0);
            }
        }
        8 => {
            if let Some(sock) = a_server(fake, arg) {
                odd_server(fake, excuses);
                // Half an answer that only an end would end cannot be seen to be cut by one.
                if fake.model.server_is_whole(sock) {
                    fake.model.server_leaves(sock);
                    fake.core.far_fin(sock, 0, true);
                } else {
                    fake.core.far_reset(sock, 0);
                }
            }
        }
        9 => {
            if let Some(sock) = a_server(fake, arg)
                && fake.model.server_is_idle(sock)
                && fake.core.socks[sock].data_at <= fake.core.now
            {
                odd_server(fake, excuses);
                let bytes = GARBAGE[usize::from(arg) % GARBAGE.len()].to_vec();
                // Now, and not behind what it means to do later: nobody could tell from an answer
                // what had left before the request came.
                fake.core.at(0, Event::Arrive(sock, bytes));
            }
        }
        10 => {
            excuses.late = true;
            let longer = 1 << (arg % 28);
            fake.core.at(0, Event::Jump(longer));
        }
        11 => {
            let signals = [
                Signal::SoftStop,
                Signal::Pause,
                Signal::Resume,
                Signal::DumpStates,
                Signal::DumpPools,
                Signal::Resume,
                Signal::Stop(15),
            ];
            let signal = signals[usize::from(arg) % signals.len()];
            excuses.stopped |= matches!(signal, Signal::SoftStop | Signal::Stop(_));
            excuses.rests |= signal == Signal::Pause;
            fake.core.at(0, Event::Signal(signal));
        }
        12 => {
            excuses.wishes = true;
            apply(engine, excuses, command(arg));
        }
        13 => {
            excuses.servers_flip = true;
            let server = usize::from(arg / 2) % fake.core.server_up.len();
            fake.core
                .at(0, Event::ServerUp(server, arg.is_multiple_of(2)));
        }
        14 => fault(fake, excuses, arg),
        // An edge that tells nothing new.
        15 => {
            if let Some(sock) = a_client(fake, arg).map(|(sock, _)| sock) {
                fake.core.socks[sock].changed |= 15;
            }
        }
        _ if arg.is_multiple_of(2) => change_patterns(engine, excuses),
        _ => {
            if let Some(sock) = a_server(fake, arg) {
                fake.core.socks[sock].changed |= 15;
            }
        }
    }
}

/// The connection of some client that is still there, and its number.
fn a_client(fake: &Fake, arg: u8) -> Option<(usize, usize)> {
    let clients = fake.model.clients.iter().enumerate();
    let there = clients.filter(|(_, client)| !client.over);
    let open: Vec<_> = there
        .filter_map(|(index, client)| Some((client.sock?, index)))
        .collect();
    open.get(usize::from(arg) % open.len().max(1)).copied()
}

/// Some connection that the engine has to a server and that stands.
fn a_server(fake: &Fake, arg: u8) -> Option<usize> {
    let socks = fake.core.socks.iter().enumerate();
    let open: Vec<usize> = socks
        .filter(|(_, s)| matches!(s.far, Far::Server(_)) && s.owner == Owner::Engine)
        .filter(|(_, s)| s.connected && s.connect_error == 0 && !s.far_closed && !s.fin)
        .map(|(sock, _)| sock)
        .collect();
    open.get(usize::from(arg) % open.len().max(1)).copied()
}

fn odd_server(fake: &mut Fake, excuses: &mut Excuses) {
    excuses.servers_odd = true;
    fake.model.may_repeat = true;
    fake.model.may_break = true;
}

/// Puts the patterns of every ACL in use anew, and one that nobody has: nothing may change by it.
fn change_patterns(engine: &mut Simulated<'_>, excuses: &mut Excuses) {
    let lists = engine.view().lists.all();
    let mut changes = Vec::new();
    for (list, place) in lists.iter().zip(0..) {
        let present = list.entries(list.current);
        let present = present.map(|entry| (entry.key.to_vec(), entry.value.to_vec()));
        let mut present: Vec<NewEntry> = present.collect();
        if list.check(b"/nobody", b"").is_ok() {
            present.push((b"/nobody".to_vec(), Vec::new()));
        }
        let version = list.next + 1;
        changes.push((place, ListChange::Prepare));
        changes.push((place, ListChange::Add(version, present)));
        changes.push((place, ListChange::Commit(version)));
    }
    for (place, change) in changes {
        apply(engine, excuses, Command::List(place, change));
    }
}

fn command(arg: u8) -> Command {
    let server = ServerId(u32::from(arg) % 8);
    let frontend = ProxyId(u32::from(arg) % 3);
    match arg / 8 % 12 {
        0 => Command::Server(server, Wish::Disable),
        1 => Command::Server(server, Wish::Enable),
        2 => Command::Server(server, Wish::Mode(Mode::Maint)),
        3 => Command::Server(server, Wish::Mode(Mode::Drain)),
        4 => Command::Server(server, Wish::Mode(Mode::Ready)),
        5 => Command::Server(server, Wish::Health(Op::Stopped)),
        6 => Command::Server(server, Wish::Health(Op::Stopping)),
        7 => Command::Server(server, Wish::Health(Op::Running)),
        8 => Command::Server(server, Wish::Weight(u16::from(arg % 3))),
        9 => Command::PauseFrontend(frontend),
        10 => Command::ResumeFrontend(frontend),
        _ if arg & 4 > 0 => {
            let dynamic = DynamicCookies {
                on: arg & 2 > 0,
                key: Some("secret".to_owned()),
            };
            Command::DynamicCookies(ProxyId(3), dynamic)
        }
        _ => Command::ClearCounters {
            all: arg.is_multiple_of(2),
        },
    }
}

/// From now on the system knows an unkindness more, or less.
fn fault(fake: &mut Fake, excuses: &mut Excuses, arg: u8) {
    let share = u64::from(arg / 16) * 50;
    let share = share.min(SHARE_MAX);
    let (now, ever) = (&mut fake.core.faults, &mut excuses.faults);
    // Those that excuse nothing, and those that do.
    let (now, ever) = match arg % 13 {
        0 => return now.emfile = share,
        1 => return now.short_recv = share,
        2 => return now.short_send = share,
        3 => return now.false_ready = share,
        4 => return now.stale = share,
        5 => return now.no_tube = share,
        6 => return now.log_full = share,
        7 => (&mut now.abandoned, &mut ever.abandoned),
        8 => (&mut now.watch_fails, &mut ever.watch_fails),
        9 => (&mut now.refuse_at_once, &mut ever.refuse_at_once),
        10 => (&mut now.refuse_late, &mut ever.refuse_late),
        11 => (&mut now.connect_silent, &mut ever.connect_silent),
        _ => (&mut now.no_memory, &mut ever.no_memory),
    };
    *now = share;
    *ever = share.max(*ever);
    if excuses.faults.no_memory > 0 {
        fake.model.may_repeat = true;
        fake.model.may_break = true;
    }
}
