//! What noise cannot move: system calls and user-space instructions a request.
//!
//! System calls are those that `strace -c -f` counts while exactly so many requests are answered on
//! connections that were open before. Instructions are callgrind's, of whole runs of the real
//! binary that differ in nothing but the number of requests, so that the difference is the
//! requests' own. Both slow a proxy down many times, which changes how much it does in one turn
//! but little of what it does for a request; so they are taken apart from the times.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::configs::Shape;
use crate::extra::{Figure, Line};
use crate::load::Clients;
use crate::peers::{Kind, Program, Stage, find, free_port};
use crate::scenarios::{self, Scenario};
use crate::system;

const SCENARIOS: [&str; 4] = ["ka64", "rewrite64", "log64", "acl500"];
const WARM_UP: usize = 640;
/// About a second under `strace`.
const TRACED: usize = 6_400;
/// The shorter and the longer run under callgrind.
const COUNTED: [usize; 2] = [640, 2_560];
/// Valgrind prepares for as many descriptors as there may be.
const MAXCONN: u32 = 200;
/// To write down what was counted.
const GRACE: Duration = Duration::from_secs(30);

/// The lines of all scenarios that have counts.
pub(crate) fn all(stage: &Stage, kinds: &[Kind], wanted: &[&str]) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for name in SCENARIOS {
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let scenario = scenarios::find(name).ok_or_else(|| format!("{name} is no scenario"))?;
        for kind in [Kind::Oneloop, Kind::Haproxy, Kind::Floor] {
            if kinds.contains(&kind) {
                lines.push(line(stage, kind, scenario)?);
            }
        }
    }
    Ok(lines)
}

fn line(stage: &Stage, kind: Kind, scenario: &Scenario) -> Result<Line, String> {
    let what = format!("{} a request", scenario.name);
    let mut notes = Vec::new();
    let mut figures = Vec::new();
    let shape = Shape {
        maxconn: MAXCONN,
        ..scenario.shape
    };
    for tool in ["strace", "valgrind"] {
        if find(tool).is_none() {
            notes.push(format!("{tool} is missing"));
        } else if tool == "strace" {
            match calls(stage, kind, scenario, &shape)? {
                Ok(found) => figures.extend(found),
                Err(why) => notes.push(why),
            }
        } else {
            let count = instructions(stage, kind, scenario, &shape)?;
            figures.push(Figure::counted("instructions", count));
        }
    }
    let mut line = Line::new(&what, kind, figures);
    line.note = (!notes.is_empty()).then(|| notes.join("; "));
    Ok(line)
}

fn clients(program: &Program, scenario: &Scenario) -> Result<Clients, String> {
    let mut clients = Clients::connect(program.port, scenario.clients as usize, scenario.path)?;
    clients.ask(WARM_UP)?;
    Ok(clients)
}

/// System calls a request, in all and by what they do; the inner error says why there are none.
fn calls(
    stage: &Stage,
    kind: Kind,
    scenario: &Scenario,
    shape: &Shape,
) -> Result<Result<Vec<Figure>, String>, String> {
    let text = |error: std::io::Error| format!("strace: {error}");
    let program = stage.start(kind, shape)?;
    let mut clients = clients(&program, scenario)?;
    let table = stage.folder().join("strace.table");
    let mut strace = Command::new("strace");
    strace.args(["-c", "-f", "-o"]).arg(&table);
    strace.args(["-p", &program.child.id().to_string()]);
    strace.stdout(Stdio::null()).stderr(Stdio::piped());
    system::prepare(&mut strace, stage.load_processor);
    let mut strace = strace.spawn().map_err(text)?;
    let mut said = String::new();
    let complaints = strace.stderr.take().ok_or("strace has no output")?;
    // The first line says that it has attached, or why not.
    BufReader::new(complaints)
        .read_line(&mut said)
        .map_err(text)?;
    if !said.contains("attached") {
        strace.wait().map_err(text)?;
        return Ok(Err(said.trim_end().to_owned()));
    }
    let answered = clients.ask(TRACED);
    system::signal(&strace, libc::SIGINT);
    strace.wait().map_err(text)?;
    answered?;
    let table = fs::read_to_string(&table).map_err(text)?;
    Ok(Ok(by_purpose(&table, TRACED as f64)))
}

/// The rows of strace's table, grouped, over the requests.
fn by_purpose(table: &str, requests: f64) -> Vec<Figure> {
    let groups: [(&str, &[&str]); 4] = [
        ("receives", &["recvfrom", "recvmsg", "read", "readv"]),
        (
            "sends",
            &["sendto", "sendmsg", "sendmmsg", "write", "writev"],
        ),
        ("waits", &["epoll_wait", "epoll_pwait", "epoll_pwait2"]),
        ("others", &[]),
    ];
    let mut sums = [0.0; 4];
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Per cent, seconds, us a call, calls, perhaps errors, the name.
        let [_, _, _, calls, .., name] = words[..] else {
            continue;
        };
        let Ok(calls) = calls.parse::<f64>() else {
            continue;
        };
        if name == "total" {
            continue;
        }
        let group = groups.iter().position(|(_, names)| names.contains(&name));
        sums[group.unwrap_or(groups.len() - 1)] += calls;
    }
    let total = sums.iter().sum::<f64>() / requests;
    let groups = groups.iter().zip(sums);
    let parts = groups.map(|((name, _), sum)| Figure::counted(name, sum / requests));
    std::iter::once(Figure::counted("system calls", total))
        .chain(parts)
        .collect()
}

/// User-space instructions a request.
fn instructions(
    stage: &Stage,
    kind: Kind,
    scenario: &Scenario,
    shape: &Shape,
) -> Result<f64, String> {
    let mut totals = [0.0; 2];
    for (requests, total) in COUNTED.into_iter().zip(&mut totals) {
        let port = free_port().map_err(|error| error.to_string())?;
        let command = stage.command(kind, shape, port)?;
        let file = stage.folder().join(format!("callgrind-{port}"));
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["-q", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(command.get_program())
            .args(command.get_args());
        let mut program = stage
            .run("callgrind", valgrind, port, stage.proxy_processor)?
            .settled();
        clients(&program, scenario)?.ask(requests)?;
        program.end(GRACE);
        *total = written_total(&file)?;
    }
    let requests = (COUNTED[1] - COUNTED[0]) as f64;
    Ok((totals[1] - totals[0]) / requests)
}

fn written_total(file: &Path) -> Result<f64, String> {
    let counts = fs::read_to_string(file).map_err(|error| format!("callgrind: {error}"))?;
    counts
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .ok_or_else(|| "callgrind wrote no total".into())
}

/// Checks of this file, for the smoke test.
pub(crate) fn check() {
    let table = "% time     seconds  usecs/call     calls    errors syscall\n\
        ------ ----------- ----------- --------- --------- ----------------\n \
        60.00    0.600000           3      2000           sendto\n \
        30.00    0.300000           1      2100       100 recvfrom\n \
        10.00    0.100000           1       300           epoll_wait\n  \
        0.00    0.000000           0        10           futex\n\
        ------ ----------- ----------- --------- --------- ----------------\n\
        100.00    1.000000           2      4410       100 total\n";
    let figures = by_purpose(table, 1000.0);
    let values: Vec<f64> = figures.iter().map(|figure| figure.value.median).collect();
    assert_eq!(values, [4.41, 2.1, 2.0, 0.3, 0.01]);
}
