//! What the pure parts cost, one operation at a time: `cargo bench`.
//!
//! Each workload checks once that it does what it says, then runs in rounds of equal length; the
//! median of the rounds is printed. `--callgrind NAME [N]` runs one workload N times and leaves, for
//! `benches/instructions`, which counts the instructions of [`measured`] and of nothing else.
//!
//! No socket is opened and nothing but the timing reads a clock: end-to-end figures are another
//! tool's business (see README.md).
//! Rejected: criterion, because what is compared between commits is instructions, which need a
//! mode of our own anyway, and for looking at a table a median in forty lines of std is enough.

mod parts;
mod session;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one round takes, about.
const ROUND: Duration = Duration::from_millis(4);
const ROUNDS: usize = 15;

/// Does so many operations.
pub(crate) type Body = Box<dyn FnMut(u64)>;

/// Something to measure.
pub(crate) struct Workload {
    /// `part/what`.
    pub(crate) name: &'static str,
    /// How often it is run to count instructions.
    pub(crate) times: u64,
    /// Sets it up and checks that it does what it says.
    pub(crate) make: fn() -> Body,
}

/// A body that repeats one operation.
pub(crate) fn each(mut operation: impl FnMut() + 'static) -> Body {
    Box::new(move |times| {
        for _ in 0..times {
            operation();
        }
    })
}

/// The only function that callgrind collects for: set-up and warm-up do not come by here.
#[inline(never)]
fn measured(body: &mut Body, times: u64) {
    body(black_box(times));
}

/// The median, the lower and the upper quartile, in ns an operation.
fn time(body: &mut Body) -> [f64; 3] {
    let mut times = 1;
    loop {
        let begin = Instant::now();
        body(black_box(times));
        let took = begin.elapsed();
        if took >= ROUND {
            break;
        }
        let missing = ROUND.as_secs_f64() / took.as_secs_f64().max(1e-9);
        times = (times as f64 * missing.clamp(1.2, 10.0)).ceil() as u64;
    }
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            measured(body, times);
            begin.elapsed().as_secs_f64() * 1e9 / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    [ROUNDS / 2, ROUNDS / 4, ROUNDS * 3 / 4].map(|at| rounds[at])
}

fn main() {
    let workloads = || parts::WORKLOADS.iter().chain(session::WORKLOADS);
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--list", ..] => {
            for workload in workloads() {
                println!("{} {}", workload.name, workload.times);
            }
        }
        ["--callgrind", name, rest @ ..] => {
            let Some(workload) = workloads().find(|workload| workload.name == *name) else {
                eprintln!("no workload {name}: see --list");
                std::process::exit(2);
            };
            let times = rest.first().and_then(|n| n.parse().ok());
            let mut body = (workload.make)();
            body(2);
            measured(&mut body, times.unwrap_or(workload.times));
        }
        _ => {
            // Without `--bench` this is `cargo test --bench pure`: the checks are all that is wanted.
            let timed = words.contains(&"--bench");
            let wanted: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
            if timed {
                println!("{:<24}{:>12}{:>24}", "", "ns", "quartiles");
            }
            for workload in workloads() {
                if !wanted.is_empty() && !wanted.iter().any(|part| workload.name.contains(**part)) {
                    continue;
                }
                let mut body = (workload.make)();
                if timed {
                    let [median, low, high] = time(&mut body);
                    let quartiles = format!("{low:.1} - {high:.1}");
                    println!("{:<24}{median:>12.1}{quartiles:>24}", workload.name);
                } else {
                    body(2);
                }
            }
        }
    }
}
