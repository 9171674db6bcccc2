//! The engine under a seeded fake network: `cargo test --test sim`.
//!
//! `SIM_SEEDS=2000` runs that many seeds (from `SIM_FIRST` on, 0 by default); `SIM_SEED=17` replays
//! one and prints every operation with `-- --nocapture`; `SIM_STOP=1` ends at the first that fails. That
//! the sweep reaches every path that it is for is a test, and so is that it would notice a fault: of
//! the fake's here, of the engine's in `mutants`.

mod handover;
#[allow(dead_code)] // The fuzz target `session` uses all of it.
mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once};

use oneloop::config::model::{ProxyId, ServerId};
use oneloop::engine::checks::Wish;
use oneloop::engine::service::{Command, Mode, Op, RateLimit};
use world::judge::Excuses;
use world::ops::Ops;
use world::reached::Reached;
use world::rng::Rng;
use world::scenario::Scenario;
use world::state::Mutation;
use world::{Simulated, apply};

const SEEDS_DEFAULT: u64 = 300;

/// Within so many seeds every path is taken.
const SEEDS_TO_REACH_ALL: u64 = 3_000;
const SEED_THREAD: &str = "seed";

/// Seeds that once failed, with what they found.
const REGRESSIONS: &str = include_str!("regressions");

/// Runs one seed.
fn run(seed: u64, mutation: Mutation, trace: bool) -> Result<Reached, String> {
    play(Scenario::new(Rng::new(seed)), seed, mutation, trace)
}

/// Runs what a seed stands for, or what a test has made of that.
fn play(scenario: Scenario, seed: u64, mutation: Mutation, trace: bool) -> Result<Reached, String> {
    let mut rng = Rng::new(!seed);
    // In every eighth run somebody meddles.
    let ops = match seed % 8 {
        7 => (0..rng.between(3, 60))
            .map(|_| rng.below(256) as u8)
            .collect(),
        _ => Vec::new(),
    };
    let mut ops = Ops::new(&ops);
    // Of their own, so that what the seeds meant before is what they mean now.
    let mut changes = (seed % 3 == 1).then(|| Rng::new(seed ^ 0x0C0F_FEE0));
    world::run(scenario, seed, mutation, trace, &mut |engine, excuses| {
        wish(engine, excuses, &mut rng);
        if let Some(rng) = &mut changes {
            change(engine, excuses, rng);
        }
        ops.step(engine, excuses)
    })
}

/// Now and then servers come, go and move, and limits change.
fn change(engine: &mut Simulated<'_>, excuses: &mut Excuses, rng: &mut Rng) {
    if !excuses.wishes || !rng.permille(20) {
        return;
    }
    let kind = rng.below(10);
    let view = engine.view();
    let declared = view.config.servers.len() as u64;
    let id = ServerId(rng.below(view.roster.ids() as u64) as u32);
    let few = rng.pick(&[1, 3]);
    let is_added = u64::from(id.0) >= declared && view.roster.is_live(id);
    let command = match kind {
        0 | 1 if (view.roster.ids() as u64) < declared + 4 || view.roster.next_id().0 >= 8 => {
            let like = view.config.server(ServerId(rng.below(declared) as u32));
            let mut server = like.clone();
            server.id = view.roster.next_id();
            server.number = 100 + server.id.0;
            server.name = format!("n{}", server.id.0);
            Command::AddServer(Box::new(server), rng.permille(300))
        }
        2 if is_added => Command::Server(id, Wish::Disable),
        3 | 4 if is_added && view.rests(id) && view.is_free(id) => Command::DeleteServer(id),
        5 if is_added => {
            let mut server = view.roster.server(id).as_ref().clone();
            // Of its own backend, or another's requests would come to it.
            let kin = view.config.servers.iter();
            // Who is told of clients there expects it of all that come.
            let kin = kin.filter(|other| other.proxy_header == server.proxy_header);
            let kin: Vec<_> = kin.filter(|other| other.proxy == server.proxy).collect();
            if !kin.is_empty() {
                server.endpoint = kin[rng.below(kin.len() as u64) as usize].endpoint.clone();
            }
            Command::Redescribe(Box::new(server))
        }
        6 => Command::Server(id, Wish::Checks(rng.permille(500))),
        7 if view.roster.is_live(id) => Command::Server(id, Wish::Maxconn(rng.pick(&[0, 1, 3]))),
        8 => Command::GlobalMaxconn(rng.pick(&[few, view.limits.hard_maxconn])),
        9 => Command::RateLimit(
            rng.pick(&[RateLimit::Connections, RateLimit::Sessions]),
            rng.pick(&[0, 2, 50]),
        ),
        _ => Command::FrontendMaxconn(ProxyId(rng.below(3) as u32), rng.pick(&[few, 100])),
    };
    apply(engine, excuses, command);
}

/// Now and then somebody changes something between two turns.
fn wish(engine: &mut Simulated<'_>, excuses: &mut Excuses, rng: &mut Rng) {
    if !excuses.wishes || !rng.permille(20) {
        return;
    }
    let server = ServerId(rng.below(8) as u32);
    let frontend = ProxyId(rng.below(3) as u32);
    let wish = |wish| Command::Server(server, wish);
    let commands = [
        wish(Wish::Disable),
        wish(Wish::Enable),
        wish(Wish::Enable),
        wish(Wish::Mode(Mode::Drain)),
        wish(Wish::Mode(Mode::Ready)),
        wish(Wish::Health(Op::Stopped)),
        wish(Wish::Health(Op::Running)),
        wish(Wish::Weight(0)),
        wish(Wish::Weight(2)),
        Command::PauseFrontend(frontend),
        Command::ResumeFrontend(frontend),
        Command::ResumeFrontend(frontend),
        Command::ClearCounters { all: true },
    ];
    let command = commands[rng.below(commands.len() as u64) as usize].clone();
    apply(engine, excuses, command);
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

/// The header that introduces a client is of its connection: when nothing of a request could be sent
/// behind it, the next connection has one of its own and not that one besides.
#[test]
fn each_connection_is_introduced_once() {
    let mut introduced = 0;
    for seed in 0..60 {
        let mut scenario = Scenario::new(Rng::new(seed));
        scenario.clean = false;
        scenario.faults.no_memory = 200;
        for plan in &mut scenario.plans {
            if plan.ruled().is_none() && !plan.served() {
                plan.prefix = "/app2";
            }
        }
        match play(scenario, seed, Mutation::None, false) {
            Ok(reached) => introduced += reached.count("introduction: at a server"),
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    assert!(introduced > 20, "{introduced} headers came to a server");
}

/// Runs one seed in a thread of its own and makes an error of a panic too.
fn guarded(seed: u64, mutation: Mutation) -> Result<Reached, String> {
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

/// Runs seeds on every core until `see` has seen enough.
fn sweep(
    first: u64,
    seeds: u64,
    mutation: Mutation,
    see: impl Fn(u64, Result<Reached, String>) -> bool + Sync,
) {
    let next = AtomicU64::new(first);
    let enough = AtomicBool::new(false);
    let worker = || {
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return;
            }
            if see(seed, guarded(seed, mutation)) {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker))));
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
    let stops = number("SIM_STOP").is_some();
    let failed = Mutex::new(Vec::new());
    sweep(first, seeds, Mutation::None, |seed, ran| {
        let Err(what) = ran else { return false };
        let again = format!("SIM_SEED={seed} cargo test --test sim -- --nocapture");
        println!("seed {seed}: {what}\n  {again}");
        failed.lock().unwrap().push(seed);
        stops
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds failed: {failed:?}",
        failed.len()
    );
}

/// A sweep that never takes a path says nothing about it.
#[test]
fn the_sweep_reaches_everything() {
    let all = Mutex::new((Reached::default(), 0_u64));
    sweep(0, SEEDS_TO_REACH_ALL, Mutation::None, |seed, ran| {
        let mut all = all.lock().unwrap();
        all.0.join(&ran.unwrap_or_default());
        all.1 = all.1.max(seed + 1);
        all.0.missing().is_empty()
    });
    let (reached, seeds) = all.into_inner().unwrap();
    for (what, count) in &reached.0 {
        println!("{count:>8}  {what}");
    }
    let missing = reached.missing();
    assert!(missing.is_empty(), "not in {seeds} seeds: {missing:?}");
    let unknown = reached.unknown();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
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
    for (mutation, least) in [
        (Mutation::DropEdge, 20),
        (Mutation::CorruptByte, 20),
        (Mutation::RepeatByte, 20),
        // One line in thirty is lost, and many seeds have fewer.
        (Mutation::LoseLog, 12),
    ] {
        let noticed = (0..80)
            .filter(|seed| guarded(*seed, mutation).is_err())
            .count();
        assert!(
            noticed >= least,
            "{mutation:?} noticed in {noticed} of 80 seeds only"
        );
    }
}

/// The engine's planted faults (`mutants/check`) are there, and would still be planted.
#[test]
fn planted_faults_still_apply() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches = Vec::new();
    for entry in std::fs::read_dir(root.join("tests/sim/mutants")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "patch") {
            patches.push(path);
        }
    }
    assert!(patches.len() >= 5, "{patches:?}");
    for patch in patches {
        let applied = std::process::Command::new("git")
            .args(["apply", "--check"])
            .arg(&patch)
            .current_dir(root)
            .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&applied.stderr);
        assert!(applied.status.success(), "{}: {said}", patch.display());
    }
}
