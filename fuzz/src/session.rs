//! Target `session`: a sequence of operations over the simulation of the whole engine.
//!
//! The first two bytes are a seed of `tests/sim`: its configuration, its clients and servers and its
//! small unkindnesses. The third says how many operations of three bytes follow (`world::ops`: a
//! client comes, ends or breaks, a server leaves, falls silent or babbles, the clock jumps, a signal,
//! a command, a refusal of the system). What is left decides in place of the seed for as long as it
//! lasts. The judge is that of the simulation, and so are the invariants after every turn.

// The other half of it is the sweep's.
#[allow(dead_code)]
#[path = "../../tests/sim/world/mod.rs"]
mod world;

use world::ops::{OPS_MAX, Ops};
use world::rng::Rng;
use world::scenario::{Plan, Scenario};
use world::state::Mutation;

/// Target `session`.
pub fn session(data: &[u8]) {
    let Some(([low, high, ops], rest)) = data.split_first_chunk() else {
        return;
    };
    let seed = u64::from(u16::from_le_bytes([*low, *high]));
    let len = (3 * (usize::from(*ops) % OPS_MAX)).min(rest.len());
    let (ops, rest) = rest.split_at(len);
    let mut ops = Ops::new(ops);
    let mut scenario = Scenario::new(Rng::of_bytes(rest, seed));
    scenario.plans.iter_mut().for_each(Plan::shorten);
    let trace = std::env::var_os("SIM_TRACE").is_some();
    let ran = world::run(
        scenario,
        seed,
        Mutation::None,
        trace,
        &mut |engine, excuses| ops.step(engine, excuses),
    );
    if let Err(what) = ran {
        panic!("{what}");
    }
}
