//! oneloop beside other proxies and beside the least that a proxy can cost:
//! `cargo bench --bench compare`.
//!
//! The harness takes two processors: the proxies run on the first, `wrk`, the origin and
//! the harness on the second. All peers of a scenario are started together and take turns in short
//! rounds. What is printed is described in `benches/README.md`.
//!
//! Without `--bench` this is `cargo test --bench compare`: a check of some seconds that the floor
//! serves, that figures are reckoned as they should be, and that the reports can be written.
//!
//! Rejected: measuring time instead of CPU time, which on a shared machine is the neighbours'; a load
//! generator of our own for the scenarios, because `wrk` is what others can repeat.

mod chart;
mod configs;
mod counts;
mod extra;
mod floor;
mod load;
mod measure;
mod peers;
mod report;
mod scenarios;
mod smoke;
mod system;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use peers::{Kind, Stage, find};
use report::Sitting;
use scenarios::{Pace, SCENARIOS};

/// Each client of `ka4000` is two descriptors of the proxy, and some are kept in reserve.
const DESCRIPTORS: u64 = 10_000;

/// What the command line asks for.
#[derive(PartialEq, Debug)]
struct Wanted {
    json: Option<PathBuf>,
    chart: Option<PathBuf>,
    /// Scenarios and parts by name; all when empty.
    only: Vec<String>,
    peers: Vec<Kind>,
    rounds: u32,
    seconds: u32,
    binary: PathBuf,
    counts: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            json: None,
            chart: None,
            only: Vec::new(),
            peers: Kind::ALL.into(),
            rounds: 9,
            seconds: 2,
            binary: env!("CARGO_BIN_EXE_oneloop").into(),
            counts: false,
        }
    }
}

fn usage() -> String {
    let mut text = "\
usage: cargo bench --bench compare -- [OPTION]...
  --only NAME,...   these scenarios and parts instead of all
  --peers NAME,...  these of oneloop,haproxy,nginx,floor,splice instead of all
  --rounds N        rounds of each peer (9)
  --secs S          seconds of a round (2)
  --counts          also system calls and instructions a request (slow)
  --json FILE       every round as JSON
  --chart FILE      the picture as SVG
  --bin PATH        another binary in place of the one that was just built
scenarios: "
        .to_owned();
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    let parts: Vec<&str> = extra::PARTS.iter().map(|(name, _)| *name).collect();
    let _ = write!(text, "{}\nparts: {}", names.join(" "), parts.join(" "));
    text
}

/// Reads the command line without the program's name.
fn arguments(words: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            // Said by cargo.
            "--bench" => {}
            "--counts" => wanted.counts = true,
            "--json" => wanted.json = Some(value()?.into()),
            "--chart" => wanted.chart = Some(value()?.into()),
            "--bin" => wanted.binary = value()?.into(),
            "--rounds" => wanted.rounds = number(word, value()?)?,
            "--secs" => wanted.seconds = number(word, value()?)?,
            "--only" => {
                for name in value()?.split(',') {
                    let known = scenarios::find(name).is_some()
                        || extra::PARTS.iter().any(|(part, _)| *part == name);
                    if !known {
                        return Err(format!("no scenario or part '{name}'"));
                    }
                    wanted.only.push(name.into());
                }
            }
            "--peers" => {
                wanted.peers.clear();
                for name in value()?.split(',') {
                    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
                    wanted
                        .peers
                        .push(kind.ok_or_else(|| format!("no peer '{name}'"))?);
                }
                wanted.peers.sort_unstable();
                wanted.peers.dedup();
            }
            _ => return Err(format!("unknown option '{word}'")),
        }
    }
    Ok(wanted)
}

fn number(option: &str, word: &str) -> Result<u32, String> {
    let number = word
        .parse()
        .ok()
        .filter(|number| (1..=1000).contains(number));
    number.ok_or_else(|| format!("{option} is a number from 1 to 1000, not '{word}'"))
}

/// The first line of what a program says of its version.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("-v").output();
    let said = output.map(|output| [output.stdout, output.stderr].concat());
    let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
    let first = said.lines().next().unwrap_or("unknown");
    first.split(" - ").next().unwrap_or(first).trim().to_owned()
}

/// Where the sitting takes place and with whom; peers that are missing are named and left out.
fn about(wanted: &mut Wanted, stage: &Stage) -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo")
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| Some(line.split_once(": ")?.1.to_owned()));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let mut about = vec![
        ("processor", processor.unwrap_or_else(|| "unknown".into())),
        ("kernel", kernel),
        (
            "pace",
            format!("{} rounds of {} s", wanted.rounds, wanted.seconds),
        ),
        (
            "pinned",
            format!(
                "proxies to processor {}, load and origin to {}",
                stage.proxy_processor, stage.load_processor
            ),
        ),
        ("oneloop", wanted.binary.display().to_string()),
    ];
    for kind in [Kind::Haproxy, Kind::Nginx] {
        if !wanted.peers.contains(&kind) {
            continue;
        }
        let found = find(kind.name());
        if found.is_none() {
            wanted.peers.retain(|peer| *peer != kind);
        }
        let told = found.map_or_else(|| "not installed, left out".into(), |path| version(&path));
        about.push((kind.name(), told));
    }
    about
}

fn sit(mut wanted: Wanted) -> Result<(), String> {
    let descriptors = system::raise_descriptors();
    if descriptors < DESCRIPTORS {
        return Err(format!(
            "{descriptors} descriptors are too few: raise the hard limit to {DESCRIPTORS}"
        ));
    }
    let stage = Stage::set(wanted.binary.clone())?;
    let mut sitting = Sitting {
        about: about(&mut wanted, &stage),
        ..Sitting::default()
    };
    for (name, value) in &sitting.about {
        println!("{name}: {value}");
    }
    let pace = Pace {
        rounds: wanted.rounds,
        seconds: wanted.seconds,
    };
    let asked = |name: &str| wanted.only.is_empty() || wanted.only.iter().any(|one| one == name);
    let chosen = || SCENARIOS.iter().filter(|scenario| asked(scenario.name));
    if chosen().next().is_some() {
        print!("\n{}", report::heading());
    }
    for scenario in chosen() {
        let row = scenarios::run(&stage, &wanted.peers, scenario, pace)?;
        print!("{}", report::row(&row));
        sitting.rows.push(row);
    }
    for (name, part) in extra::PARTS {
        if asked(name) {
            let lines = part(&stage, &wanted.peers, pace)?;
            print!("\n{}", report::lines(&lines));
            sitting.lines.extend(lines);
        }
    }
    if wanted.counts {
        let only: Vec<&str> = wanted.only.iter().map(String::as_str).collect();
        let lines = counts::all(&stage, &wanted.peers, &only)?;
        print!("\n{}", report::lines(&lines));
        sitting.lines.extend(lines);
    }
    print!("\n{}", report::summary(&sitting));
    let write = |path: &Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &wanted.json {
        write(path, report::json(&sitting))?;
    }
    if let Some(path) = &wanted.chart {
        write(path, chart::svg(&sitting.rows))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = words
        .first()
        .filter(|word| floor::ROLES.contains(&word.as_str()))
    {
        eprintln!("{}", floor::play(role, &words[1..]));
        return ExitCode::FAILURE;
    }
    if !words.iter().any(|word| word == "--bench") {
        smoke::run();
        return ExitCode::SUCCESS;
    }
    let wanted = match arguments(&words) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("{why}\n{}", usage());
            return ExitCode::from(2);
        }
    };
    if find("wrk").is_none() {
        eprintln!("wrk is missing, and without it nothing is measured: apt-get install wrk");
        return ExitCode::from(2);
    }
    match sit(wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
