//! The engine under a seeded fake network: `cargo test --test sim`.
//!
//! `SIM_SEEDS=2000` runs that many seeds (from `SIM_FIRST` on, 0 by default); `SIM_SEED=17` replays
//! one and prints every operation with `-- --nocapture`. After every turn the engine's invariants are
//! checked; at the end, that every request came to what it may come to, that every request has its
//! log line, and that nothing is left. That the sweep would notice is itself tested, with faults
//! planted in the fake.

mod judge;
mod model;
mod net;
mod rng;
mod scenario;
mod state;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};

use judge::Excuses;
use model::Model;
use net::Fake;
use oneloop::config::host;
use oneloop::config::model::{Config, ServerId};
use oneloop::config::{LoadOptions, Source, load};
use oneloop::engine::checks::Wish;
use oneloop::engine::service::{Caller, Command, Limits, Outcome, Service, View};
use oneloop::engine::{Engine, Exit};
use rng::Rng;
use scenario::Scenario;
use state::{Event, Far, Mutation};

/// A run of any seed is over long before.
const TURNS_MAX: u32 = 2_000_000;
const SEEDS_DEFAULT: u64 = 300;
const SEED_THREAD: &str = "seed";

/// Seeds that once failed, with what they found.
const REGRESSIONS: &str = include_str!("regressions");

/// The runtime socket's only command: `say ID N` answers with N bytes of a pattern.
struct Says;

impl Service for Says {
    fn run(&mut self, command: &[u8], _: &mut Caller, _: &View<'_>, out: &mut Vec<u8>) -> Outcome {
        let text = String::from_utf8_lossy(command);
        let mut words = text.split(' ').skip(1).map(str::parse);
        if let (Some(Ok(id)), Some(Ok(length))) = (words.next(), words.next()) {
            out.extend(wire::body(id, false, length));
        }
        Outcome::Done
    }
}

type Simulated<'c> = Engine<'c, Fake, Says>;

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

/// Runs one seed.
fn run(seed: u64, mutation: Mutation, trace: bool) -> Result<(), String> {
    let scenario = Scenario::new(seed);
    let config = configuration(&scenario.text);
    let excuses = Excuses {
        clean: scenario.clean,
        tcp: scenario.tcp,
        idle_close: scenario.idle_close,
        abort_on_close: scenario.abort_on_close,
        stopped: scenario.stop_at.is_some(),
        servers_flip: scenario.servers_flip,
        wishes: scenario.wishes,
        faults: scenario.faults,
    };
    if trace {
        println!("{}\n{excuses:?}", scenario.text);
    }
    let endpoints = config.servers.iter().map(|s| s.endpoint.clone()).collect();
    let model = Model::new(scenario);
    let doors = config.listeners.len() + config.global.stats_sockets.len();
    let mut fake = Fake::new(seed, model, endpoints, doors);
    fake.core.mutation = mutation;
    fake.core.trace = trace;
    let now = fake.now();
    let limits = Limits {
        pid: 1,
        started: (now.ms, now.wall_ms),
        maxconn: config.global.maxconn.unwrap_or(100),
        ..Limits::default()
    };
    let mut engine = Engine::new(&config, fake, Says, limits, now);
    let result = live(&mut engine, seed, &excuses);
    if result.is_err() {
        if trace {
            println!("{}", engine.describe());
        }
        // What a failed run leaves open would fail a second time when it is dropped.
        std::mem::forget(engine);
    }
    result
}

/// Turns until everything is over, and judges what came of it.
fn live(engine: &mut Simulated<'_>, seed: u64, excuses: &Excuses) -> Result<(), String> {
    let mut rng = Rng::new(!seed);
    let mut over_at = None;
    let mut stopping = false;
    for _ in 0..TURNS_MAX {
        let exit = engine.turn();
        engine.check_invariants()?;
        if excuses.wishes && over_at.is_none() && rng.permille(20) {
            let server = ServerId(rng.below(6) as u32);
            let wish = rng.pick(&[Wish::Disable, Wish::Enable, Wish::Enable, Wish::Weight(2)]);
            engine.apply(Command::Server(server, wish));
            engine.check_invariants()?;
            engine.net_mut().forget_nudge();
        }
        let connections = engine.view().process.connections;
        let fake = engine.net_mut();
        if let Some(problem) = fake.core.problems.first() {
            return Err(problem.clone());
        }
        if exit == Some(Exit::Done) {
            return end(engine, excuses);
        }
        let idle = fake.core.open_sockets(|far| matches!(far, Far::Server(_)));
        if !fake.model.all_over() || connections > 0 {
            if fake.stuck {
                return Err(format!("stuck with {connections} connections"));
            }
            continue;
        }
        let since = *over_at.get_or_insert(fake.core.now);
        let late = fake.core.now > since + 120_000;
        if (fake.stuck || late) && idle > 0 {
            return Err(format!("{idle} idle server connections are never closed"));
        }
        if idle == 0 && !stopping {
            stopping = true;
            let signal = oneloop::net::Signal::SoftStop;
            fake.core.at(0, Event::Signal(signal));
            engine.check_drained()?;
        }
    }
    Err(format!("not over after {TURNS_MAX} turns"))
}

fn end(engine: &mut Simulated<'_>, excuses: &Excuses) -> Result<(), String> {
    engine.check_drained()?;
    let requests = engine.view().process.requests_total;
    let fake = engine.net_mut();
    fake.settle();
    let wasted = fake.core.wasted;
    fake.core.say(|| format!("{wasted} receives found nothing"));
    let open = fake.core.open_sockets(|_| true);
    if open > 0 {
        return Err(format!("{open} sockets open at the end"));
    }
    judge::outcomes(&fake.model, excuses)?;
    if excuses.tcp {
        return Ok(());
    }
    judge::logs(&fake.model, &fake.core.logs, requests)
}

/// Keeps quiet about panics of seeds, which are told as errors; others speak as usual.
fn quiet_seeds() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(SEED_THREAD) {
                usual(panic);
            }
        }));
    });
}

/// Runs one seed in a thread of its own and makes an error of a panic too.
fn guarded(seed: u64, mutation: Mutation) -> Result<(), String> {
    quiet_seeds();
    let thread = std::thread::Builder::new().name(SEED_THREAD.to_owned());
    let running = thread.spawn(move || run(seed, mutation, false));
    let ran = running.map_err(|error| error.to_string())?.join();
    ran.unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_sweep_is_green() {
    if let Some(seed) = number("SIM_SEED") {
        if let Err(what) = run(seed, Mutation::None, true) {
            panic!("seed {seed}: {what}");
        }
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS_DEFAULT);
    let first = number("SIM_FIRST").unwrap_or(0);
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            if let Err(what) = guarded(seed, Mutation::None) {
                let again = format!("SIM_SEED={seed} cargo test --test sim -- --nocapture");
                println!("seed {seed}: {what}\n  {again}");
                failed.lock().unwrap().push(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker))));
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed: {failed:?}",
        failed.len()
    );
}

#[test]
fn seeds_that_once_failed_stay_green() {
    for line in REGRESSIONS.lines().filter(|line| !line.starts_with('#')) {
        let seed = line
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        let Some(seed) = seed else { continue };
        if let Err(what) = guarded(seed, Mutation::None) {
            panic!("seed {seed} fails again: {what} (was: {line})");
        }
    }
}

/// A sweep that cannot fail proves nothing.
#[test]
fn the_sweep_notices_planted_faults() {
    for mutation in [
        Mutation::DropEdge,
        Mutation::CorruptByte,
        Mutation::RepeatByte,
        Mutation::LoseLog,
    ] {
        let noticed = (0..40)
            .filter(|seed| guarded(*seed, mutation).is_err())
            .count();
        assert!(
            noticed >= 10,
            "{mutation:?} noticed in {noticed} of 40 seeds only"
        );
    }
}
