//! A reload in the simulation: one engine hands over in the middle of its run and drains, another
//! goes on from what it knew.
//!
//! The first must cut nobody whom it had let in and end at nothing (the judge sees to both). The
//! second must have what the first had counted, from the first request to the last, and lives a run
//! of its own with the states that it was given, its invariants looked at as ever.

use super::world::judge::Excuses;
use super::world::reached::Reached;
use super::world::rng::Rng;
use super::world::scenario::Scenario;
use super::world::state::Mutation;
use super::world::{Simulated, run_between};
use super::{SEED_THREAD, quiet_seeds};

use oneloop::engine::checks::Wish;
use oneloop::engine::service::{Command, Mode};
use oneloop::engine::stats::Counters;

/// Runs that hand over.
const SEEDS: u64 = 150;

/// Every counter that must add up, with what it is of.
type Counts = Vec<(String, u64)>;

fn counts(engine: &Simulated<'_>) -> Counts {
    let view = engine.view();
    let process = view.process;
    let mut counts = vec![
        ("connections".to_owned(), process.connections_total),
        ("requests".to_owned(), process.requests_total),
        ("bytes".to_owned(), process.bytes_out),
    ];
    let mut add = |of: String, counters: &Counters| {
        let Counters {
            stot, bin, bout, ..
        } = *counters;
        let errors = counters.dreq + counters.ereq + counters.econ + counters.eresp;
        let aborts = counters.cli_abrt + counters.srv_abrt;
        let again = counters.wretr + counters.wredis + counters.reuse + counters.connect;
        let answers = counters.hrsp.iter().sum();
        let each = [
            stot,
            bin,
            bout,
            counters.req_tot,
            errors,
            aborts,
            again,
            answers,
        ];
        counts.extend(each.into_iter().map(|count| (of.clone(), count)));
    };
    for (proxy, stats) in view.config.proxies.iter().zip(view.proxy_stats) {
        add(format!("front {}", proxy.name), &stats.front);
        add(format!("back {}", proxy.name), &stats.back);
    }
    for (server, counters) in view.config.servers.iter().zip(view.server_stats) {
        add(format!("server {}", server.name), counters);
    }
    counts
}

fn sum(left: &Counts, right: &Counts) -> Counts {
    let both = left.iter().zip(right);
    both.map(|((of, a), (_, b))| (of.clone(), a + b)).collect()
}

fn same(what: &str, left: &Counts, right: &Counts) -> Result<(), String> {
    match left.iter().zip(right).find(|(left, right)| left != right) {
        Some(both) => Err(format!("{what}: {both:?}")),
        None => Ok(()),
    }
}

/// What servers are, as a command shows it.
fn states(engine: &Simulated<'_>) -> Vec<String> {
    let view = engine.view();
    let each = view.servers.iter().zip(view.probes);
    each.map(|(server, probe)| {
        let check = probe.as_ref().map(|probe| (&probe.state, &probe.report));
        let admin = (server.admin, server.op, server.health, server.weight);
        format!("{admin:?} {} {check:?}", server.downs)
    })
    .collect()
}

/// What one process had for the next.
#[derive(Default)]
struct Left {
    whole: Vec<u8>,
    rest: Vec<u8>,
    counts: Counts,
    states: Vec<String>,
}

/// The first half: a run that hands over after so many turns. `None` if it was over before.
fn old(seed: u64, trace: bool) -> Result<Option<Left>, String> {
    let mut rng = Rng::new(!seed);
    let (mut turns, at) = (0, rng.between(1, 120));
    let mut left = Left::default();
    let told = &mut left;
    let mut meddle = |engine: &mut Simulated<'_>, excuses: &mut Excuses| {
        turns += 1;
        if turns != at || engine.view().stopping {
            return turns < at;
        }
        excuses.drained = true;
        excuses.clean = false;
        // What a hand-over finds is not always as the file has it.
        if rng.permille(500) {
            excuses.wishes = true;
            let servers = engine.view().servers.len() as u64;
            let server = oneloop::config::model::ServerId(rng.below(servers) as u32);
            let wish = rng.pick(&[
                Wish::Mode(Mode::Maint),
                Wish::Mode(Mode::Drain),
                Wish::Weight(7),
            ]);
            engine.apply(Command::Server(server, wish));
        }
        engine.hand_over(&mut told.whole);
        told.states = states(engine);
        engine.drain();
        engine.net_mut().forget_nudge();
        false
    };
    let scenario = Scenario::new(Rng::new(seed));
    // From the drain on it runs.
    let hard_stop = scenario.hard_stop_after.is_some();
    let mut after = (Vec::new(), Counts::new());
    run_between(
        scenario,
        (seed, Mutation::None, trace),
        &mut |_, excuses| {
            excuses.stopped |= hard_stop;
            Ok(())
        },
        &mut meddle,
        &mut |engine, _| {
            engine.hand_over_rest(&mut after.0);
            after.1 = counts(engine);
            Ok(())
        },
    )?;
    (left.rest, left.counts) = after;
    Ok((!left.whole.is_empty()).then_some(left))
}

/// The second half: a run that begins with what the first one left.
fn new(seed: u64, left: &Left, trace: bool) -> Result<Reached, String> {
    let nothing = std::cell::RefCell::new(Counts::new());
    run_between(
        Scenario::new(Rng::new(seed)),
        (seed + 1, Mutation::None, trace),
        &mut |engine, excuses| {
            // Servers may be down and frontends at rest from the beginning.
            (excuses.clean, excuses.wishes, excuses.rests) = (false, true, true);
            let mut cut = left.whole.clone();
            cut.truncate(cut.len() - 1);
            let fresh = (counts(engine), states(engine));
            if engine.take_over(&cut).is_ok() || fresh != (counts(engine), states(engine)) {
                return Err("a document that is cut off was taken".to_owned());
            }
            engine.take_over(&left.whole)?;
            engine.check_invariants()?;
            if states(engine) != left.states {
                return Err(format!("{:#?}\n{:#?}", left.states, states(engine)));
            }
            *nothing.borrow_mut() = counts(engine);
            Ok(())
        },
        &mut |_, _| false,
        &mut |engine, _| {
            // What it counted itself, the part of the first one that came early, and its rest.
            let before = counts(engine);
            engine.take_over(&left.rest)?;
            let early = nothing.borrow();
            same(
                "in sum",
                &sum(&counts(engine), &early),
                &sum(&before, &left.counts),
            )
        },
    )
}

#[test]
fn nothing_is_forgotten_and_nobody_cut() {
    quiet_seeds();
    let only = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    let mut handed = 0;
    for seed in seeds {
        let pair = move || -> Result<bool, String> {
            let Some(left) = old(seed, only.is_some())? else {
                return Ok(false);
            };
            new(seed, &left, only.is_some())?;
            Ok(true)
        };
        let thread = std::thread::Builder::new().name(SEED_THREAD.to_owned());
        match thread.spawn(pair).unwrap().join() {
            Ok(Ok(done)) => handed += u64::from(done),
            Ok(Err(what)) => panic!("seed {seed}: {what}"),
            Err(_) => panic!("seed {seed} panics"),
        }
    }
    assert!(
        only.is_some() || handed > SEEDS / 2,
        "{handed} of {SEEDS} runs handed over"
    );
}
