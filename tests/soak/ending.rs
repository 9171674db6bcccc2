//! A soft stop while everybody is being served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::held::sections;
use crate::load::Load;
use crate::origin::{Origin, Reply, Then, page};
use crate::program::Program;
use crate::{Bench, Seen};

/// Each client has a request under way when the signal comes: just sent, waiting for its server, or
/// in the middle of a long answer.
pub(crate) fn soft_stop(bench: &Bench) -> Seen {
    const CLIENTS: usize = 100;
    let mut seen = Seen::default();
    let rounds = bench.pick(20, 2);
    let (short, long) = (page(100), page(1_000_000));
    let origin = Origin::scripted(move |asked| Reply {
        bytes: Arc::clone(if asked.id % 8 == 7 { &long } else { &short }),
        after: Duration::from_millis([0, 20, 100, 300][asked.id as usize % 4]),
        then: Then::Keep,
    });
    let (mut answered, mut longest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        let config = sections("", &origin);
        let mut program = Program::start(bench.side, " maxconn 1000\n", &config, None);
        let mut load = Load::new(program.addr, CLIENTS);
        let mut stopped = Instant::now();
        let tally = load.run_with(Duration::from_millis(400), || {
            stopped = Instant::now();
            program.soft_stop();
        });
        load.leave();
        let status = program.wait();
        longest = longest.max(stopped.elapsed());
        answered += tally.took_us.len();
        seen.no_error("in flight", tally.complaint());
        seen.must(status.code() == Some(0), || format!("{status}"));
    }
    seen.say(format!(
        "{rounds} stops with {CLIENTS} requests in flight, {answered} answered in all; over after \
         {:.2} s at most",
        longest.as_secs_f64()
    ));
    seen
}
