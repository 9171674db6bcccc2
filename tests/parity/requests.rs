//! Runs the request suites over both proxies and compares what was seen.
//!
//! Each proxy is started once for a suite and gets all its cases in order; between two cases the
//! surroundings are brought back to rest (`World::run`), so that a case means the same alone and
//! among others. Two suites run at a time.

use crate::mask::{self, LogMask};
use crate::proxy::{Binaries, Proxy, Side};
use crate::report::{Outcome, Report, Section, compare, say};
use crate::script::{Case, Part, Suite};
use crate::wire::{self, Masks};
use crate::world::{Seen, SeenClient, World};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Suites that run at the same time.
const THREADS: usize = 2;

/// Runs all suites that `only` lets through.
pub(crate) fn run_all(suites: &[Suite], binaries: &Binaries, report: &Report, only: &crate::Only) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(suite) = suites.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run_suite(suite, binaries, report, only);
                }
            });
        }
    });
}

fn run_suite(suite: &Suite, binaries: &Binaries, report: &Report, only: &crate::Only) {
    let wanted = |case: &&Case| {
        only.lets(&suite.name)
            || only.lets(&case.name)
            || only.lets(&format!("{}/{}", suite.name, case.name))
    };
    let cases: Vec<&Case> = suite.cases.iter().filter(wanted).collect();
    if cases.is_empty() {
        return;
    }
    let haproxy = match run_side(suite, &cases, binaries, Side::Haproxy) {
        Ok(sections) => sections,
        Err(why) => return report.file(suite.name.clone(), Outcome::Failed(why)),
    };
    let oneloop = match run_side(suite, &cases, binaries, Side::Oneloop) {
        Ok(sections) => sections,
        // Each case counts, so that a configuration that oneloop refuses is not one failure.
        Err(why) => {
            for (index, case) in cases.iter().enumerate() {
                let name = format!("{}/{}", suite.name, case.name);
                let why = if index == 0 {
                    why.clone()
                } else {
                    "as above".to_owned()
                };
                report.file(name, Outcome::Failed(why));
            }
            return;
        }
    };
    for (index, case) in cases.iter().enumerate() {
        let differs = if binaries.same {
            &[][..]
        } else {
            &case.differs
        };
        let (model, tested) = (&haproxy[index], &oneloop[index]);
        let mut outcome = compare(&model.sections, &tested.sections, differs);
        if !model.timeouts.is_empty() {
            let why = format!("the case does not work with haproxy: {:?}", model.timeouts);
            outcome = Outcome::Failed(format!("{why}\n{}", print(&model.sections)));
        }
        let name = format!("{}/{}", suite.name, case.name);
        if only.is_set() {
            let ms = model.took.as_millis();
            say(&format!(
                "==== {name}: what haproxy did in {ms} ms\n{}",
                print(&model.sections)
            ));
        }
        report.file(name, outcome);
    }
    let end = cases.len();
    let outcome = compare(&haproxy[end].sections, &oneloop[end].sections, &[]);
    report.file(
        format!("{}/(what the process printed)", suite.name),
        outcome,
    );
}

/// What one case showed on one side, masked.
struct Shown {
    sections: Vec<Section>,
    timeouts: Vec<String>,
    took: Duration,
}

fn print(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.lines.is_empty()) {
        text.push_str(&format!("  {}\n", section.title));
        for line in &section.lines {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// Runs the cases; one entry each, and one more for what the process printed.
fn run_side(
    suite: &Suite,
    cases: &[&Case],
    binaries: &Binaries,
    side: Side,
) -> Result<Vec<Shown>, String> {
    let folder = tempfile::Builder::new().prefix("parity").tempdir().unwrap();
    for name in ["errors", "programs"] {
        let (from, to) = (crate::cfg_folder().join(name), folder.path().join(name));
        std::os::unix::fs::symlink(from, to).unwrap();
    }
    let mut world = World::new(&['a', 'b', 'c'], folder.path());
    let start = |world: &mut World| {
        Proxy::start(binaries.path(side), &suite.config, folder.path(), world)
            .map_err(|why| format!("{} {why}", side.name()))
    };
    let mut proxy = start(&mut world)?;
    let mut shown = Vec::new();
    world.mark()?;
    let mut printed = (String::new(), String::new());
    for case in cases {
        let begin = Instant::now();
        let mut seen = world.run(case);
        let took = begin.elapsed();
        if !proxy.is_alive() {
            let (stdout, stderr) = proxy.stop();
            seen.timeouts
                .push(format!("the process ended: {stdout}{stderr}"));
            shown.push(Shown {
                took,
                ..show(case, seen, &proxy, binaries.same, side)
            });
            proxy = start(&mut world)?;
            world.mark()?;
            continue;
        }
        shown.push(Shown {
            took,
            ..show(case, seen, &proxy, binaries.same, side)
        });
    }
    let ports = known_ports(&proxy);
    let (stdout, stderr) = proxy.stop();
    printed.0.push_str(&stdout);
    printed.1.push_str(&stderr);
    let mask = LogMask {
        ports: &ports,
        bytes_less: 0,
        bytes_any: false,
    };
    let mut notes = mask::notes(&printed.1);
    if side == Side::Oneloop {
        // The line under a message, and a caret: its own.
        mask::drop_extras(&[], &mut notes);
    }
    let lines = mask::note_lines(&notes);
    let lines = lines.iter().map(|line| mask.name_ports(line)).collect();
    let mut sections = vec![Section {
        part: Part::Log,
        title: "stderr".to_owned(),
        lines,
    }];
    if suite.compare_stdout {
        let less = if binaries.same || side == Side::Haproxy {
            0
        } else {
            BYTES_MORE
        };
        let mask = LogMask {
            ports: &ports,
            bytes_less: less,
            bytes_any: false,
        };
        let lines = printed
            .0
            .lines()
            .map(|line| hide_client(&mask.apply(&hide_folder(line, &proxy))))
            .collect();
        sections.push(Section {
            part: Part::Log,
            title: "stdout".to_owned(),
            lines,
        });
    }
    shown.push(Shown {
        sections,
        timeouts: Vec::new(),
        took: Duration::ZERO,
    });
    Ok(shown)
}

/// The folder of a proxy, where its configuration has a use for one, as `DIR`.
fn hide_folder(text: &str, proxy: &Proxy) -> String {
    match proxy.places.get("dir") {
        Some(folder) => text.replace(folder, "DIR"),
        None => text.to_owned(),
    }
}

/// HTTP answers count this many bytes more in oneloop's log: the 2.2 formula, which the article
/// shows, against that of 2.6.
const BYTES_MORE: u64 = 5;

/// Lines on stdout come from all cases: their client ports are no longer known.
fn hide_client(line: &str) -> String {
    static CLIENT: std::sync::LazyLock<regex::Regex> =
        std::sync::LazyLock::new(|| mask::regex(r"127\.0\.0\.1:\d+ \[TIME\]"));
    CLIENT
        .replace(line, "127.0.0.1:@CLIENT@ [TIME]")
        .into_owned()
}

fn known_ports(proxy: &Proxy) -> BTreeMap<u16, String> {
    let port = |(name, value): (&String, &String)| Some((value.parse().ok()?, name.clone()));
    proxy.places.iter().filter_map(port).collect()
}

fn show(case: &Case, seen: Seen, proxy: &Proxy, same: bool, side: Side) -> Shown {
    let masks = Masks {
        names: !same,
        chunks_exact: case.chunks_exact,
    };
    let mut ports = known_ports(proxy);
    ports.extend(seen.ports.iter().cloned());
    let bytes_less = if same || side == Side::Haproxy {
        0
    } else {
        BYTES_MORE
    };
    let mask = LogMask {
        ports: &ports,
        bytes_less,
        bytes_any: case.bytes_any,
    };
    // Empty on haproxy's side, or the case is refused: so this is a difference like any other.
    let title = "steps that could not be done".to_owned();
    let lines = seen.timeouts.clone();
    let mut sections = vec![Section {
        part: Part::Answer,
        title,
        lines,
    }];
    for SeenClient {
        conn,
        received,
        methods,
        end,
    } in &seen.clients
    {
        let mut lines = wire::show_answers(received, methods, &masks);
        if let Some(end) = end {
            lines.push(format!("({end:?})"));
        }
        let lines = lines.iter().map(|line| mask.name_ports(line)).collect();
        let title = format!("connection {conn} received");
        sections.push(Section {
            part: Part::Answer,
            title,
            lines,
        });
    }
    for (name, conns) in &seen.origins {
        let mut conns = conns.clone();
        if case.repeats.contains(name) {
            conns.dedup();
        }
        let mut lines = Vec::new();
        for (index, bytes) in conns.iter().enumerate() {
            lines.push(format!("(connection {})", index + 1));
            lines.extend(wire::show_requests(bytes, &masks));
        }
        let lines = lines.iter().map(|line| mask.name_ports(line)).collect();
        let title = format!("origin {name} received");
        sections.push(Section {
            part: Part::Origin,
            title,
            lines,
        });
    }
    for (told, answer) in &seen.commands {
        let answer = hide_folder(answer, proxy);
        let lines = mask::answer_lines(&mask.name_ports(&answer));
        sections.push(Section {
            part: Part::Command,
            title: told.clone(),
            lines,
        });
    }
    let lines = seen
        .logs
        .iter()
        .map(|line| mask.apply(&wire::escape(line)))
        .collect();
    sections.push(Section {
        part: Part::Log,
        title: "log".to_owned(),
        lines,
    });
    Shown {
        sections,
        timeouts: seen.timeouts,
        took: Duration::ZERO,
    }
}
