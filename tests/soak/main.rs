//! Load and abuse on real sockets, for oneloop and for haproxy where it is installed, with the same
//! text as configuration and in the same run.
//!
//! It prints a table, and fails when oneloop misses a bar. haproxy's column is there to be read and,
//! where a bar says so, to be compared with; what haproxy misses is said and is no failure.
//!
//! `SOAK=full cargo test --release --test soak` is the run that counts: the numbers of the table,
//! about ten minutes. Without `SOAK=full` the numbers are smaller and the times shorter, which is
//! what `cargo test` does; what was made smaller stands in the row. A word on the command line picks
//! the rows whose name has it. The proxy, the server behind it and the clients are one thread each
//! and are not pinned: on two cores they share them as the system sees fit, for both programs
//! alike. Whatever cannot be run (no root, too few descriptors) is told in its row.

mod ending;
mod faults;
mod held;
mod limits;
mod line;
mod load;
mod logs;
mod origin;
mod program;

#[path = "../support/place.rs"]
mod place;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use program::Side;

/// What a run is like.
#[derive(Clone, Copy)]
struct Bench {
    side: Side,
    /// All of it, or the short form.
    full: bool,
    /// Descriptors that this process, and with it the proxy, may have.
    descriptors: u64,
}

impl Bench {
    /// The number of the table, or a smaller one in the short form.
    fn pick<T>(&self, full: T, short: T) -> T {
        if self.full { full } else { short }
    }

    /// The same in seconds.
    fn seconds(&self, full: f64, short: f64) -> Duration {
        Duration::from_secs_f64(self.pick(full, short))
    }

    /// So many connections, or as many as the limit of descriptors has room for, `each` of them on
    /// either side; and what is to be said of it.
    fn room_for(&self, wanted: usize, each: u64) -> (usize, String) {
        // What processes have open beside: listeners, files, the other clients of the row.
        let room = (self.descriptors.saturating_sub(1000) / each) as usize;
        if wanted <= room {
            return (wanted, String::new());
        }
        let limit = self.descriptors;
        (room, format!(" (not {wanted}: {limit} descriptors)"))
    }
}

/// What a row saw of one program.
#[derive(Default)]
struct Seen {
    /// The figures.
    said: Vec<String>,
    /// What missed the bar.
    missed: Vec<String>,
    /// Why it was not run.
    not_run: Option<&'static str>,
    /// Events among chances, where the bar compares the two programs.
    share: Option<(u64, u64)>,
}

impl Seen {
    /// Adds a figure.
    fn say(&mut self, what: impl Into<String>) {
        self.said.push(what.into());
    }

    /// Notes a miss unless `held`.
    fn must(&mut self, held: bool, else_say: impl FnOnce() -> String) {
        if !held {
            self.missed.push(else_say());
        }
    }

    /// Notes what went wrong, if anything did.
    fn no_error(&mut self, whose: &str, complaint: Option<String>) {
        if let Some(complaint) = complaint {
            self.missed.push(format!("{whose}: {complaint}"));
        }
    }

    fn cell(&self) -> String {
        match self.not_run {
            Some(why) => format!("not run: {why}"),
            None => self.said.join("; "),
        }
    }
}

/// One row.
struct Abuse {
    /// One word for it, as names of tests are.
    id: &'static str,
    name: &'static str,
    bar: &'static str,
    run: fn(&Bench) -> Seen,
}

const ABUSES: [Abuse; 10] = [
    Abuse {
        id: "idle",
        name: "8,000 idle clients held while 64 busy ones work",
        bar: "no error; p99 within 1.2 x of that without them",
        run: held::idle,
    },
    Abuse {
        id: "dripping",
        name: "2,000 clients sending one byte a second",
        bar: "no error for the others; each slow one gets 408 in time",
        run: held::dripping,
    },
    Abuse {
        id: "readers",
        name: "500 readers taking a 5 MB body slowly",
        bar: "memory grows by no more than the buffers configured",
        run: held::readers,
    },
    Abuse {
        id: "dying_server",
        name: "a server killed and restarted every second",
        bar: "errors only for requests that the dying server received; no more than haproxy",
        run: faults::dying_server,
    },
    Abuse {
        id: "descriptors",
        name: "descriptor limit 256, 1,000 clients",
        bar: "below 20 % CPU while saturated; all served; normal afterwards",
        run: limits::descriptors,
    },
    Abuse {
        id: "random_bytes",
        name: "50,000 connections of random bytes",
        bar: "alive; each answered 400 or closed; memory flat",
        run: limits::random_bytes,
    },
    Abuse {
        id: "soft_stop",
        name: "soft stop under load",
        bar: "each request in flight answered; exit 0",
        run: ending::soft_stop,
    },
    Abuse {
        id: "resets",
        name: "resets in mid-body and in mid-answer, 10,000 times",
        bar: "no descriptor, buffer or slot left behind",
        run: faults::resets,
    },
    Abuse {
        id: "log",
        name: "log socket full, gone, and back",
        bar: "service unaffected; drops counted; logging resumes",
        run: logs::plain,
    },
    Abuse {
        id: "log_in_chroot",
        name: "log socket full, gone, and back, in a chroot",
        bar: "the same",
        run: logs::in_chroot,
    },
];

/// What is said when oneloop's share is above haproxy's by more than chance explains: three
/// standard deviations of the difference of two shares of one common rate.
fn above(ours: (u64, u64), theirs: (u64, u64)) -> Option<String> {
    let share = |(events, chances): (u64, u64)| events as f64 / chances.max(1) as f64;
    let common = share((ours.0 + theirs.0, ours.1 + theirs.1));
    let spread = 1.0 / ours.1.max(1) as f64 + 1.0 / theirs.1.max(1) as f64;
    let margin = 3.0 * (common * (1.0 - common).max(0.0) * spread).sqrt();
    let (ours, theirs) = (share(ours), share(theirs));
    (ours > theirs + margin).then(|| {
        format!("a share of {ours:.5} where haproxy has {theirs:.5}, chance allows {margin:.5}")
    })
}

fn main() -> ExitCode {
    // What libtest would take is taken as far as it has a meaning here: words are filters.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = words.iter().filter(|w| !w.starts_with('-')).collect();
    let full = std::env::var("SOAK").is_ok_and(|value| value == "full");
    let exact = words.iter().any(|word| word == "--exact");
    let rows = ABUSES.iter().filter(|abuse| {
        let asked = |word: &&String| match exact {
            true => abuse.id == **word,
            false => abuse.name.contains(word.as_str()),
        };
        filters.is_empty() || filters.iter().any(asked)
    });
    let descriptors = line::raise_descriptors();
    let bench = |side| Bench {
        side,
        full,
        descriptors,
    };
    let haproxy = Side::Haproxy.binary().is_some();
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        haproxy || !in_ci,
        "haproxy is not installed, and in CI the comparison is not optional"
    );
    let form = if full { "full" } else { "short" };
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    println!("\nsoak, {form} form, {build} build, limit of descriptors {descriptors}\n");
    println!("| abuse | bar | oneloop | haproxy | held |\n|---|---|---|---|---|");
    let (mut complaints, mut results) = (Vec::new(), Vec::new());
    for abuse in rows {
        let began = Instant::now();
        let mut ours = (abuse.run)(&bench(Side::Oneloop));
        let theirs = match haproxy {
            true => (abuse.run)(&bench(Side::Haproxy)),
            false => Seen {
                not_run: Some("not installed"),
                ..Seen::default()
            },
        };
        if let (Some(ours_share), Some(theirs)) = (ours.share, theirs.share) {
            ours.missed.extend(above(ours_share, theirs));
        }
        let held = match (ours.not_run, ours.missed.is_empty()) {
            (Some(_), _) => "not run",
            (None, true) => "held",
            (None, false) => "MISSED",
        };
        let misses = match theirs.missed.is_empty() {
            true => String::new(),
            false => format!(" (misses it: {})", theirs.missed.join("; ")),
        };
        let (name, bar) = (abuse.name, abuse.bar);
        let (ours_cell, theirs_cell) = (ours.cell(), theirs.cell());
        println!("| {name} | {bar} | {ours_cell} | {theirs_cell}{misses} | {held} |");
        let complaint = |missed: &String| format!("{name}: {missed}");
        complaints.extend(ours.missed.iter().map(complaint));
        let result = match ours.missed.is_empty() {
            true => "ok",
            false => "FAILED",
        };
        results.push(format!("test {} ... {result}", abuse.id));
        eprintln!("soak: {name}: {:.1} s", began.elapsed().as_secs_f64());
    }
    for complaint in &complaints {
        println!("\nMISSED: {complaint}");
    }
    println!("\n{}", results.join("\n"));
    match complaints.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
