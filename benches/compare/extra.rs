//! What the scenarios do not show: a fixed rate, idle clients, the start, rules by the thousand,
//! two processes.
//!
//! Each is a function that gives the lines of its part of the report. Peers take turns here too,
//! and where there is a bar it is oneloop's.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::configs::{PLAIN, Rules, Shape, long_file};
use crate::load::{Clients, percentile};
use crate::measure::{Asking, Cpu, Round, Spread, ask, ratios, resident};
use crate::peers::{Kind, Program, Stage, find, free_port};
use crate::scenarios::{self, Pace, Scenario};
use crate::system::wait_for;

/// One figure of a line.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) value: Spread,
    pub(crate) bar: Option<f64>,
}

impl Figure {
    fn new(name: &'static str, unit: &'static str, value: Spread) -> Self {
        Self {
            name,
            unit,
            value,
            bar: None,
        }
    }

    fn single(name: &'static str, unit: &'static str, value: f64) -> Self {
        let value = Spread {
            low: value,
            median: value,
            high: value,
        };
        Self::new(name, unit, value)
    }

    fn with_bar(mut self, bar: Option<f64>) -> Self {
        self.bar = bar;
        self
    }

    /// For figures that are the same whenever they are taken.
    pub(crate) fn counted(name: &'static str, value: f64) -> Self {
        Self::single(name, "", value)
    }
}

/// A line of the report: what one peer did in one part.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) peer: &'static str,
    pub(crate) figures: Vec<Figure>,
    /// Why there are no figures.
    pub(crate) note: Option<String>,
}

impl Line {
    pub(crate) fn new(what: &str, kind: Kind, figures: Vec<Figure>) -> Self {
        Self {
            what: what.into(),
            peer: kind.name(),
            figures,
            note: None,
        }
    }

    pub(crate) fn without(what: &str, kind: Kind, why: &str) -> Self {
        let mut line = Self::new(what, kind, Vec::new());
        line.note = Some(why.into());
        line
    }
}

/// Rules of one kind, so many of them.
type OfMany = fn(usize) -> Rules;

type Part = fn(&Stage, &[Kind], Pace) -> Result<Vec<Line>, String>;

/// The names that `--only` knows besides those of the scenarios.
pub(crate) const PARTS: &[(&str, Part)] = &[
    ("rate", fixed_rate),
    ("idle", idle_clients),
    ("start", start_up),
    ("check-file", check_file),
    ("rules", many_rules),
    ("two", two_processes),
];

const CLIENTS: usize = 64;
const IDLE: usize = 4_000;
const IDLE_BAR: f64 = 256.0;
const START_BAR: f64 = 4.0 * 1024.0;
const BACKENDS: usize = 5_000;
const LINES: usize = 50_000;
const COUNTS: [usize; 4] = [5, 50, 500, 5_000];
/// Enough that the proxies and not the load are what is short.
const EXPRESSIONS: usize = 1_000;

fn proxies(kinds: &[Kind]) -> impl Iterator<Item = Kind> {
    kinds.iter().copied().filter(|kind| !kind.is_yardstick())
}

fn own(kind: Kind, bar: f64) -> Option<f64> {
    (kind == Kind::Oneloop).then_some(bar)
}

fn start_all(stage: &Stage, kinds: &[Kind], shape: &Shape) -> Result<Vec<Program>, String> {
    kinds.iter().map(|kind| stage.start(*kind, shape)).collect()
}

fn keep_alive(clients: u32, seconds: u32) -> Asking<'static> {
    Asking {
        path: "/s",
        clients,
        header: None,
        seconds,
    }
}

/// Half of what HAProxy can do at most (oneloop's most where there is no HAProxy).
fn fixed_rate(stage: &Stage, kinds: &[Kind], pace: Pace) -> Result<Vec<Line>, String> {
    let kinds: Vec<Kind> = kinds
        .iter()
        .copied()
        .filter(|kind| *kind != Kind::Splice)
        .collect();
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let programs = start_all(stage, &kinds, &PLAIN)?;
    let leader = kinds.iter().position(|kind| *kind == Kind::Haproxy);
    let leader = leader.unwrap_or(0);
    let mut most = Vec::new();
    for _ in 0..3 {
        let load = ask(
            stage,
            programs[leader].port,
            keep_alive(CLIENTS as u32, pace.seconds),
        )?;
        most.push(load.requests / load.seconds);
    }
    let most = Spread::of(most).map_or(0.0, |spread| spread.median);
    let rate = (most / 2.0).max(1.0).round();
    let what = format!("at {rate}/s, half of the most of {}", kinds[leader].name());
    let span = Duration::from_secs(pace.seconds.into());
    // Of each peer: p50, p99, p99.9 and CPU of each round.
    let mut rounds = vec![[const { Vec::new() }; 4]; kinds.len()];
    for _ in 0..pace.rounds {
        for ((kind, program), figures) in kinds.iter().zip(&programs).zip(&mut rounds) {
            let mut clients = Clients::connect(program.port, CLIENTS, "/s")?;
            clients.ask_in_turn()?;
            let before = Cpu::of(&program.family);
            let times = clients.at_rate(rate, span);
            let mut times = times.map_err(|error| format!("{}: {error}", kind.name()))?;
            let cpu = Cpu::of(&program.family).since(before);
            for (figure, part) in figures.iter_mut().zip([0.5, 0.99, 0.999]) {
                figure.push(percentile(&mut times, part));
            }
            figures[3].push(cpu.total() / times.len() as f64);
        }
    }
    let mut lines = Vec::new();
    for (kind, figures) in kinds.iter().zip(&rounds) {
        let spread = |number: usize| Spread::of(figures[number].iter().copied());
        let beside = |number: usize, other: Kind| {
            let other = kinds.iter().position(|kind| *kind == other)?;
            let pairs = figures[number].iter().zip(&rounds[other][number]);
            Spread::of(pairs.map(|(of, to)| of / to))
        };
        let names = [
            ("p50", "ms"),
            ("p99", "ms"),
            ("p99.9", "ms"),
            ("CPU", "us/request"),
        ];
        let mut line = Line::new(&what, *kind, Vec::new());
        for (number, (name, unit)) in names.into_iter().enumerate() {
            let figure = spread(number).map(|value| Figure::new(name, unit, value));
            line.figures.extend(figure);
        }
        for (name, number, unit, other, bar) in [
            ("p99", 1, "x haproxy", Kind::Haproxy, own(*kind, 1.0)),
            ("CPU", 3, "x haproxy", Kind::Haproxy, own(*kind, 1.0)),
            ("CPU", 3, "x floor", Kind::Floor, None),
        ] {
            let value = beside(number, other).filter(|_| other != *kind);
            let figure = value.map(|value| Figure::new(name, unit, value).with_bar(bar));
            line.figures.extend(figure);
        }
        lines.push(line);
    }
    Ok(lines)
}

/// What a client costs that has asked once and keeps its connection.
fn idle_clients(stage: &Stage, kinds: &[Kind], _pace: Pace) -> Result<Vec<Line>, String> {
    let what = format!("{IDLE} idle keep-alive clients");
    let mut lines = Vec::new();
    for kind in proxies(kinds) {
        let program = stage.start(kind, &PLAIN)?;
        // What the first requests take once is not the clients'.
        Clients::connect(program.port, CLIENTS, "/s")?.ask(1_000)?;
        let before = resident(&program.family);
        let mut clients = Clients::connect(program.port, IDLE, "/s")?;
        clients.ask_in_turn()?;
        let after = resident(&program.family);
        let each = (after - before) * 1024.0 / IDLE as f64;
        let figures = vec![
            Figure::single("each", "bytes", each).with_bar(own(kind, IDLE_BAR)),
            Figure::single("in all", "KiB", after),
        ];
        lines.push(Line::new(&what, kind, figures));
    }
    Ok(lines)
}

/// From the start to the first connection, and the memory then.
fn start_up(stage: &Stage, kinds: &[Kind], pace: Pace) -> Result<Vec<Line>, String> {
    let hosts = Shape {
        rules: Rules::Hosts(BACKENDS),
        ..PLAIN
    };
    let cases = [
        ("start, two backends".to_owned(), PLAIN, Some(START_BAR)),
        (format!("start, {BACKENDS} backends"), hosts, None),
    ];
    let mut lines = Vec::new();
    for (what, shape, bar) in cases {
        let kinds: Vec<Kind> = proxies(kinds).collect();
        let mut figures = vec![[Vec::new(), Vec::new()]; kinds.len()];
        for _ in 0..pace.rounds {
            for (kind, [times, sizes]) in kinds.iter().zip(&mut figures) {
                let port = free_port().map_err(|error| error.to_string())?;
                let command = stage.command(*kind, &shape, port)?;
                let begin = Instant::now();
                let program = stage.run(kind.name(), command, port, stage.proxy_processor)?;
                times.push(begin.elapsed().as_secs_f64() * 1e3);
                let settled = program.settled();
                sizes.push(resident(&settled.family));
            }
        }
        for (kind, [times, sizes]) in kinds.into_iter().zip(figures) {
            let time = Spread::of(times).map(|value| Figure::new("ready", "ms", value));
            let size = Spread::of(sizes).map(|value| {
                let bar = bar.and_then(|bar| own(kind, bar));
                Figure::new("memory", "KiB", value).with_bar(bar)
            });
            lines.push(Line::new(
                &what,
                kind,
                time.into_iter().chain(size).collect(),
            ));
        }
    }
    Ok(lines)
}

/// The CPU time of `-c` on a long file.
fn check_file(stage: &Stage, kinds: &[Kind], pace: Pace) -> Result<Vec<Line>, String> {
    let text = |error: std::io::Error| error.to_string();
    let port = free_port().map_err(text)?;
    let file = stage.folder().join("long.cfg");
    let content = long_file(LINES, port);
    let what = format!("-c on {} lines", content.lines().count());
    fs::write(&file, content).map_err(text)?;
    let mut lines = Vec::new();
    for kind in [Kind::Oneloop, Kind::Haproxy] {
        if !kinds.contains(&kind) {
            continue;
        }
        let program = match kind {
            Kind::Oneloop => stage.binary.clone(),
            _ => find(kind.name()).ok_or("haproxy is missing")?,
        };
        let (mut took, mut used) = (Vec::new(), Vec::new());
        for _ in 0..pace.rounds {
            let mut command = Command::new(&program);
            command.arg("-c").arg("-f").arg(&file);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            crate::system::prepare(&mut command, stage.proxy_processor);
            let begin = Instant::now();
            let child = command.spawn().map_err(text)?;
            let result = wait_for(&child).map_err(text)?;
            if !result.succeeded {
                return Err(format!("{}: {what} failed", kind.name()));
            }
            took.push(begin.elapsed().as_secs_f64() * 1e3);
            used.push(result.cpu.as_secs_f64() * 1e3);
        }
        let names = [("CPU", used), ("took", took)];
        let figures = names
            .into_iter()
            .filter_map(|(name, values)| Some(Figure::new(name, "ms", Spread::of(values)?)));
        lines.push(Line::new(&what, kind, figures.collect()));
    }
    Ok(lines)
}

/// What rules that do not match cost, by their number and kind.
fn many_rules(stage: &Stage, kinds: &[Kind], pace: Pace) -> Result<Vec<Line>, String> {
    let pace = Pace {
        rounds: pace.rounds.div_ceil(3),
        ..pace
    };
    let families: [(&str, OfMany); 3] = [
        ("path rules", Rules::Paths),
        ("header rules", Rules::Headers),
        ("map entries", Rules::Map),
    ];
    let mut lines = Vec::new();
    for (name, rules) in families {
        for count in COUNTS {
            let what = format!("{count} {name}");
            let shape = Shape {
                rules: rules(count),
                ..PLAIN
            };
            let mut able = Vec::new();
            for kind in [Kind::Floor, Kind::Oneloop, Kind::Haproxy] {
                if !kinds.contains(&kind) {
                    continue;
                }
                if takes(stage, kind, &shape)? {
                    able.push(kind);
                } else {
                    lines.push(Line::without(&what, kind, "its configuration has none"));
                }
            }
            let scenario = Scenario {
                shape,
                ..*scenarios::find("ka64").ok_or("ka64 is a scenario")?
            };
            let entries = scenarios::rounds(stage, &able, &scenario, pace)?;
            let floor = entries.iter().find(|entry| entry.kind == Kind::Floor);
            for entry in entries.iter().filter(|entry| entry.kind != Kind::Floor) {
                let cost = entry.spread(Round::cpu_us);
                let beside = floor
                    .and_then(|floor| ratios(&entry.rounds, &floor.rounds, Round::cpu_us))
                    .map(|value| Figure::new("CPU", "x floor", value));
                let cost = cost.map(|value| Figure::new("CPU", "us/request", value));
                let figures = cost.into_iter().chain(beside).collect();
                lines.push(Line::new(&what, entry.kind, figures));
            }
        }
    }
    Ok(lines)
}

/// True when a program takes a configuration of this shape.
fn takes(stage: &Stage, kind: Kind, shape: &Shape) -> Result<bool, String> {
    if kind.is_yardstick() {
        return Ok(true);
    }
    let text = |error: std::io::Error| error.to_string();
    let port = free_port().map_err(text)?;
    let mut command = stage.command(kind, shape, port)?;
    command
        .arg("-c")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command.status().map_err(text)?.success())
}

/// Two processes on one port, each on a processor of its own, beside one.
fn two_processes(stage: &Stage, kinds: &[Kind], pace: Pace) -> Result<Vec<Line>, String> {
    let shape = Shape {
        rules: Rules::Expressions(EXPRESSIONS),
        ..PLAIN
    };
    let what = format!("{EXPRESSIONS} regular expressions, on one and on two processors");
    let asking = keep_alive(CLIENTS as u32, pace.seconds);
    let mut lines = Vec::new();
    for kind in [Kind::Oneloop, Kind::Haproxy] {
        if !kinds.contains(&kind) {
            continue;
        }
        let single = stage.start(kind, &shape)?;
        let first = stage.start(kind, &shape)?;
        let command = stage.command(kind, &shape, first.port)?;
        // The port is open already: a moment is given before both are counted on.
        let second = stage
            .run(kind.name(), command, first.port, stage.load_processor)?
            .settled();
        let (mut alone, mut both) = (Vec::new(), Vec::new());
        let mut share = Vec::new();
        for _ in 0..pace.rounds {
            alone.push(Round::take(stage, &[&single], asking)?);
            let before = [&first, &second].map(|one| Cpu::of(&one.family));
            both.push(Round::take(stage, &[&first, &second], asking)?);
            let after = [&first, &second].map(|one| Cpu::of(&one.family));
            let used = [0, 1].map(|n| after[n].since(before[n]).total());
            share.push(used[1] / (used[0] + used[1]).max(1.0));
        }
        let rate = |round: &Round| round.load.requests / round.load.seconds;
        let spread = |rounds: &[Option<Round>]| Spread::of(rounds.iter().flatten().map(rate));
        let figures = [
            ("one", "req/s", spread(&alone)),
            ("two", "req/s", spread(&both)),
            ("gain", "x", ratios(&both, &alone, rate)),
            ("cost", "x", ratios(&both, &alone, Round::cpu_us)),
            ("of the second", "of the CPU", Spread::of(share)),
        ];
        let figures = figures
            .into_iter()
            .filter_map(|(name, unit, value)| Some(Figure::new(name, unit, value?)));
        lines.push(Line::new(&what, kind, figures.collect()));
    }
    Ok(lines)
}
