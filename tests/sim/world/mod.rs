//! A whole run of the engine in a simulated world, decided by a seed or by a fuzz target's input.
//!
//! [`run`] builds the world that a [`Scenario`] describes, turns the engine in it until everything is
//! over, and judges what came of it. After every turn the engine's invariants are checked; at the
//! end, that every request came to what it may come to, that every request has its log line, and that
//! nothing is left. The fuzz target `session` includes this folder too.

pub(crate) mod held;
pub(crate) mod inspection;
pub(crate) mod introduction;
pub(crate) mod judge;
pub(crate) mod model;
pub(crate) mod net;
pub(crate) mod ops;
pub(crate) mod probes;
pub(crate) mod programs;
pub(crate) mod reached;
pub(crate) mod rng;
pub(crate) mod scenario;
pub(crate) mod state;
pub(crate) mod sticks;
pub(crate) mod tubes;
pub(crate) mod wire;

use oneloop::admin::command::Commands;
use oneloop::config::host;
use oneloop::config::model::{Config, Reuse, Server};
use oneloop::config::{LoadOptions, Source, load};
use oneloop::engine::service::{
    Caller, Command, Inquiry, Limits, Opened, Outcome, Posted, Service, View,
};
use oneloop::engine::{Engine, Exit};
use oneloop::net::Signal;

use held::Held;
use judge::Excuses;
use model::Model;
use net::Fake;
use reached::Reached;
use scenario::{RUNTIME_DOOR, Scenario};
use state::{Event, Far, Mutation};

/// A run of any seed is over long before.
const TURNS_MAX: u32 = 2_000_000;

/// The runtime socket's commands, and one more: `say ID N` answers with N bytes of a pattern.
/// Requests are answered with the body that their target names, in pieces of odd sizes.
pub(crate) struct Talks(Commands);

/// The body of an answer to a request: whose, from where on, up to where.
#[derive(Debug)]
pub(crate) struct Told {
    id: u64,
    at: u64,
    end: u64,
}

impl Service for Talks {
    type Page = Told;

    fn run(
        &mut self,
        command: &[u8],
        caller: &mut Caller,
        view: &View<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let text = String::from_utf8_lossy(command);
        let mut words = text.split(' ');
        if words.next() != Some("say") {
            return self.0.run(command, caller, view, out);
        }
        let mut numbers = words.map(str::parse);
        if let (Some(Ok(id)), Some(Ok(length))) = (numbers.next(), numbers.next()) {
            out.extend(wire::body(id, false, length));
        }
        Outcome::Done
    }

    fn open(&mut self, asked: &Inquiry<'_>, _: &View<'_>) -> Opened<Told> {
        let target = String::from_utf8_lossy(asked.target).into_owned();
        let mut numbers = target.split('/').skip(3).map(|word| word.parse().ok());
        let (Some(Some(id)), Some(Some(end))) = (numbers.next(), numbers.next()) else {
            panic!("no request of ours: {target}");
        };
        if let Posted::Whole(body) = asked.body {
            let right = wire::body(id, true, body.len() as u64);
            assert_eq!(body, right, "the body of request {id}");
        }
        Opened {
            status: 200,
            fields: vec![("x-id", id.to_string().into())],
            page: Some(Told { id, at: 0, end }),
            commands: Vec::new(),
        }
    }

    fn fill(&mut self, told: &mut Told, _: &View<'_>, out: &mut Vec<u8>) -> bool {
        let piece = (told.id * 997 + told.at * 31) % 20_000;
        let end = told.end.min(told.at + piece.max(1));
        out.extend((told.at..end).map(|at| wire::pattern(told.id, false, at)));
        told.at = end;
        told.at < told.end
    }
}

pub(crate) type Simulated<'c> = Engine<'c, Fake, Talks>;

fn configuration(text: &str) -> Config {
    let source = Source {
        name: "sim.cfg".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = load(&[source], &host::Fake::new(), &LoadOptions::default());
    match loaded.config {
        Some(config) => config,
        None => panic!("{text}\n{:?}", loaded.diagnostics),
    }
}

/// What happens to the engine between two turns, beside what the world does to it; it says whether
/// more is to come.
pub(crate) type Meddle<'a> = &'a mut dyn FnMut(&mut Simulated<'_>, &mut Excuses) -> bool;

/// What is done once with an engine, before its first turn or behind its last.
pub(crate) type Once<'a> =
    &'a mut dyn FnMut(&mut Simulated<'_>, &mut Excuses) -> Result<(), String>;

/// Runs a scenario; `seed` decides its small unkindnesses.
pub(crate) fn run(
    scenario: Scenario,
    seed: u64,
    mutation: Mutation,
    trace: bool,
    meddle: Meddle<'_>,
) -> Result<Reached, String> {
    let nothing = |_: &mut Simulated<'_>, _: &mut Excuses| Ok(());
    let (before, after) = (&mut { nothing }, &mut { nothing });
    run_between(scenario, (seed, mutation, trace), before, meddle, after)
}

/// The same, with something done before and something after.
pub(crate) fn run_between(
    scenario: Scenario,
    (seed, mutation, trace): (u64, Mutation, bool),
    before: Once<'_>,
    meddle: Meddle<'_>,
    after: Once<'_>,
) -> Result<Reached, String> {
    let config = configuration(&scenario.text);
    let mut excuses = Excuses::of(&scenario);
    if trace {
        println!("{}\n{excuses:?}", scenario.text);
    }
    let hard_stop = scenario.hard_stop_after.is_some();
    let endpoints = config.servers.iter().map(|s| s.endpoint.clone()).collect();
    let doors = config.listeners.len() + config.global.stats_sockets.len();
    assert_eq!(doors, RUNTIME_DOOR + 1);
    let mut fake = Fake::new(seed, Model::new(scenario), endpoints, doors);
    let owns = |server: &Server| config.proxy(server.proxy).reuse == Reuse::Never;
    fake.model.own_connections = config.servers.iter().map(owns).collect();
    fake.core.mutation = mutation;
    fake.core.trace = trace;
    fake.core.held = Held::of(&config);
    let now = fake.now();
    let limits = Limits {
        pid: 1,
        started: (now.ms, now.wall_ms),
        maxconn: config.global.maxconn.unwrap_or(100),
        hard_maxconn: config.global.maxconn.unwrap_or(100),
        ..Limits::default()
    };
    let mut engine = Engine::new(&config, fake, Talks(Commands::new()), limits, now);
    let result = before(&mut engine, &mut excuses)
        .and_then(|()| live(&mut engine, hard_stop, &mut excuses, meddle))
        .and_then(|reached| after(&mut engine, &mut excuses).map(|()| reached));
    if result.is_err() && trace {
        println!("{}", engine.describe());
    }
    if result.is_err() {
        // What a run leaves open would fail a second time when it is dropped.
        std::mem::forget(engine);
    }
    result
}

/// An engine of a configuration that nobody comes to.
pub(crate) fn standing(text: &str, act: &mut dyn FnMut(&mut Simulated<'_>)) {
    let config = configuration(text);
    let nobody = Scenario {
        scripts: Vec::new(),
        plans: Vec::new(),
        ..Scenario::new(rng::Rng::new(0))
    };
    let doors = config.listeners.len() + config.global.stats_sockets.len();
    let fake = Fake::new(0, Model::new(nobody), Vec::new(), doors);
    let now = fake.now();
    let limits = Limits {
        maxconn: 100,
        ..Limits::default()
    };
    act(&mut Engine::new(
        &config,
        fake,
        Talks(Commands::new()),
        limits,
        now,
    ));
}

/// Turns until everything is over, and judges what came of it.
fn live(
    engine: &mut Simulated<'_>,
    hard_stop: bool,
    excuses: &mut Excuses,
    meddle: Meddle<'_>,
) -> Result<Reached, String> {
    let mut over_at = None;
    let mut stopping = false;
    // What another process has counted is no request of this one.
    let taken = engine.view().process.requests_total;
    for _ in 0..TURNS_MAX {
        if excuses.wishes {
            // Who is told to serve does not wait for a check.
            engine.net_mut().core.held.forget();
        }
        let before = engine.view().process.connections;
        let accepted = engine.view().process.connections_total;
        let exit = engine.turn();
        engine.check_invariants()?;
        note_gathering(engine);
        let view = engine.view();
        let accepted = view.process.connections_total - accepted;
        // A soft stop takes all that wait.
        let batches = match view.stopping {
            true => u64::MAX,
            false => view.config.listeners.len() as u64,
        };
        let most = batches.saturating_mul(view.config.global.max_accept.into());
        if accepted > most {
            return Err(format!("{accepted} connections in a turn, {most} at most"));
        }
        if let Some(problem) = engine.net_mut().core.problems.first() {
            return Err(problem.clone());
        }
        match (exit, engine.net_mut().killed) {
            // The process is gone, and everything with it.
            (Some(Exit::Signal(told)), Some(number)) if told == number => {
                engine.end_at_once();
                engine.check_drained()?;
                return Ok(std::mem::take(&mut engine.net_mut().core.reached));
            }
            (Some(Exit::Done), None) => {
                if hard_stop && before > 0 && engine.net_mut().model.is_busy() {
                    let core = &mut engine.net_mut().core;
                    core.reach("signal: hard-stop-after in the middle");
                }
                return end(engine, excuses, taken);
            }
            (None, None) => {}
            other => return Err(format!("exit and signal: {other:?}")),
        }
        let more = over_at.is_none() && meddle(engine, excuses);
        let connections = engine.view().process.connections;
        let fake = engine.net_mut();
        let idle = fake.core.open_sockets(|far| matches!(far, Far::Server(_)));
        if more || !fake.model.all_over() || connections > 0 {
            if fake.stuck && !more {
                let waiting = fake.model.waiting();
                return Err(format!(
                    "stuck with {connections} connections, clients {waiting:?} wait"
                ));
            }
            continue;
        }
        let awake = fake.core.now - fake.core.slept;
        let late = awake > *over_at.get_or_insert(awake) + 120_000;
        if (fake.stuck || late) && idle > 0 {
            return Err(format!("{idle} idle server connections are never closed"));
        }
        if idle == 0 && !stopping {
            stopping = true;
            fake.core.at(0, Event::Signal(Signal::SoftStop));
            engine.check_drained()?;
        }
    }
    Err(format!("not over after {TURNS_MAX} turns"))
}

/// Counts requests that wait for their body.
fn note_gathering(engine: &mut Simulated<'_>) {
    let (at_frontends, at_backends) = engine.gathering();
    let reached = &mut engine.net_mut().core.reached;
    if at_frontends > 0 {
        reached.add("gather: before a frontend's rules");
    }
    if at_backends > 0 {
        reached.add("gather: before a backend's rules");
    }
}

fn end(engine: &mut Simulated<'_>, excuses: &Excuses, taken: u64) -> Result<Reached, String> {
    engine.check_drained()?;
    let requests = engine.view().process.requests_total - taken;
    let fake = engine.net_mut();
    fake.settle();
    if let Some(problem) = fake.core.problems.first() {
        return Err(problem.clone());
    }
    let wasted = fake.core.wasted;
    fake.core.say(|| format!("{wasted} receives found nothing"));
    let open = fake.core.open_sockets(|_| true);
    if open > 0 {
        return Err(format!("{open} sockets open at the end"));
    }
    judge::outcomes(&fake.model, excuses)?;
    let mut reached = std::mem::take(&mut fake.core.reached);
    let (logs, sessions) = (&fake.core.logs, fake.core.sessions);
    judge::logs(&fake.model, logs, requests, sessions, &mut reached)?;
    Ok(reached)
}

/// Changes something through the engine itself, as a command would between two turns.
pub(crate) fn apply(engine: &mut Simulated<'_>, excuses: &mut Excuses, command: Command) {
    use oneloop::engine::checks::Wish;
    excuses.rests |= matches!(command, Command::PauseFrontend(_));
    let core = &mut engine.net_mut().core;
    core.say(|| format!("{command:?}"));
    core.reach(match command {
        Command::Server(_, Wish::Mode(_) | Wish::Disable | Wish::Enable) => "command: server state",
        Command::Server(_, Wish::Health(_)) => "command: server health",
        Command::Server(_, Wish::Weight(_)) => "command: weight",
        Command::Server(_, Wish::Checks(_) | Wish::Agent(_)) => "command: health checks",
        Command::Server(_, Wish::AgentWord(_)) => "command: agent",
        Command::Server(_, Wish::Maxconn(_))
        | Command::FrontendMaxconn(..)
        | Command::GlobalMaxconn(_) => "command: maxconn",
        Command::Redescribe(_) => "command: server moved",
        Command::AddServer(..) => "command: server added",
        Command::DeleteServer(_) => "command: server deleted",
        Command::RateLimit(..) => "command: rate limit",
        Command::List(..) => "command: patterns",
        Command::DynamicCookies(..) => "command: cookies",
        Command::ShutFrontend(_) | Command::ShutSession(_) | Command::ShutSessions(_) => {
            "command: shutdown"
        }
        Command::PauseFrontend(_) => "command: frontend off",
        Command::ResumeFrontend(_) => "command: frontend on",
        Command::ClearCounters { .. } => "command: clear counters",
    });
    engine.apply(command);
    let held = engine.check_invariants();
    let fake = engine.net_mut();
    if let Err(what) = held {
        fake.core.problem(what);
    }
    fake.forget_nudge();
}
