//! What `cargo test --bench compare` runs: everything that needs no other proxy and no long time.
//!
//! The floor's programs are started as in a sitting and asked over real sockets; figures,
//! reports and the picture are made of rows with known rounds.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::configs::{PLAIN, long_file};
use crate::extra::{Figure, Line};
use crate::measure::{Load, Round};
use crate::peers::{Kind, Stage};
use crate::report::{self, Sitting};
use crate::scenarios::{Entry, Row, SCENARIOS, find};
use crate::{Wanted, arguments, chart, counts, load, measure};

pub(crate) fn run() {
    command_line();
    measure::check();
    counts::check();
    targets();
    reports();
    let lines = long_file(50_000, 1).lines().count();
    assert!((49_900..=50_000).contains(&lines), "{lines}");
    yardsticks();
    println!("compare: floor, figures and reports are as they should be");
}

fn command_line() {
    let read = |words: &str| {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        arguments(&words)
    };
    assert_eq!(read("--bench"), Ok(Wanted::default()));
    let some = "--only ka64,rate --rounds 3 --secs 1 --peers floor,oneloop --counts --json a.json";
    let wanted = Wanted {
        only: vec!["ka64".into(), "rate".into()],
        rounds: 3,
        seconds: 1,
        peers: vec![Kind::Oneloop, Kind::Floor],
        counts: true,
        json: Some("a.json".into()),
        ..Wanted::default()
    };
    assert_eq!(read(some), Ok(wanted));
    for wrong in [
        "--only ka65",
        "--only",
        "--peers apache",
        "--rounds 0",
        "--secs many",
        "--fast",
        "ka64",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

fn round(user_us: f64, system_us: f64, p99_ms: f64) -> Option<Round> {
    Some(Round {
        user_us,
        system_us,
        load: Load {
            requests: 100_000.0,
            seconds: 2.0,
            p50_ms: 1.0,
            p99_ms,
            p999_ms: 9.0,
            errors: 0.0,
        },
    })
}

/// A row in which oneloop costs `cost` times the floor.
fn row(name: &str, cost: f64, p99_ms: f64) -> Row {
    let entry = |kind, user_us, p99_ms| Entry {
        kind,
        rounds: vec![round(user_us, 10.0, p99_ms); 3],
        resident: 4_000.0,
    };
    Row {
        scenario: find(name).expect(name),
        entries: vec![
            entry(Kind::Oneloop, 20.0 * cost - 10.0, p99_ms),
            entry(Kind::Haproxy, 90.0, 5.0),
            entry(Kind::Floor, 10.0, 4.0),
        ],
    }
}

/// The bars of a row by whether they were met.
fn targets() {
    let missed = |row: &Row| -> Vec<&'static str> {
        let missed = row.judge().into_iter().filter(|bar| !bar.met);
        missed.map(|bar| bar.what).collect()
    };
    assert_eq!(missed(&row("ka64", 1.10, 5.0)), [""; 0]);
    assert_eq!(missed(&row("ka64", 1.11, 5.0)), ["cost"]);
    assert_eq!(missed(&row("ka64", 1.10, 5.1)), ["p99"]);
    let mut busy = row("ka4000", 1.15, 5.0);
    assert_eq!(missed(&busy), [""; 0]);
    busy.entries[0].resident = 11_000.0;
    busy.entries[0].rounds[1] = None;
    assert_eq!(missed(&busy), ["memory", "errors"]);
    busy.entries.remove(0);
    assert!(busy.judge().is_empty());
    // Every scenario has a name of its own.
    for (number, scenario) in SCENARIOS.iter().enumerate() {
        assert!(
            SCENARIOS[..number]
                .iter()
                .all(|other| other.name != scenario.name)
        );
    }
}

fn reports() {
    let figure = Figure::counted("instructions", 1234.5);
    let sitting = Sitting {
        about: vec![("processor", "a \"fast\" one".into())],
        rows: vec![
            row("ka1", 1.0, 5.0),
            row("ka64", 1.5, 5.0),
            row("acl500", 1.0, 5.0),
        ],
        lines: vec![
            Line::new("ka64 a request", Kind::Oneloop, vec![figure]),
            Line::without("5 map entries", Kind::Oneloop, "none"),
        ],
    };
    let table: String = sitting.rows.iter().map(report::row).collect();
    let first: Vec<&str> = table
        .lines()
        .next()
        .expect("a line")
        .split_whitespace()
        .collect();
    assert_eq!(first[..5], ["ka1", "oneloop", "20.00", "(10.00,", "10.00)"]);
    assert!(table.contains("1.50 [1.50-1.50]") && table.contains("5.00 [5.00-5.00]"));
    assert!(
        table.lines().any(|line| line.ends_with("no: cost")),
        "{table}"
    );
    let lines = report::lines(&sitting.lines);
    assert!(lines.contains("instructions 1234") && lines.contains("  oneloop  none"));
    let summary = report::summary(&sitting);
    assert!(
        summary.starts_with("bars met: 8 of 9\n  missed: ka64 cost\n"),
        "{summary}"
    );
    let json = report::json(&sitting);
    assert!(json.contains("a \\\"fast\\\" one") && json.contains("\"x_floor\": [1.5, 1.5, 1.5]"));
    for (open, close) in [('{', '}'), ('[', ']')] {
        assert_eq!(json.matches(open).count(), json.matches(close).count());
    }
    for rows in [&sitting.rows[..], &sitting.rows[2..], &[]] {
        chart::check(&chart::svg(rows));
    }
    assert!(chart::svg(&sitting.rows).contains(">1.50 (30.0 µs)<"));
}

/// One whole answer over a connection of its own; its body.
fn get(port: u16, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    // In two pieces, of which the first is no whole head.
    stream.set_nodelay(true).expect("a socket");
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("a socket");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: t\r\n").expect("sent");
    stream
        .write_all(b"Connection: close\r\n\r\n")
        .expect("sent");
    let mut answer = Vec::new();
    let mut bytes = vec![0; 65_536];
    loop {
        let count = stream.read(&mut bytes).expect("more of an answer");
        assert!(count > 0, "{path}: cut short after {} bytes", answer.len());
        answer.extend_from_slice(&bytes[..count]);
        let length = load::answer_length(&answer).expect("an answer with a length");
        if let Some(length) = length.filter(|length| *length <= answer.len()) {
            assert_eq!(answer.len(), length, "{path}");
            let end = answer.windows(4).position(|part| part == b"\r\n\r\n");
            return answer.split_off(end.expect("a whole head") + 4);
        }
    }
}

fn yardsticks() {
    let stage = match Stage::set(Wanted::default().binary) {
        Ok(stage) => stage,
        Err(why) => panic!("{why}"),
    };
    for kind in [Kind::Floor, Kind::Splice] {
        let program = stage
            .start(kind, &PLAIN)
            .unwrap_or_else(|why| panic!("{why}"));
        for (path, length) in [("/s", 48), ("/k/65536", 65_536), ("/k/5000000", 5_000_000)] {
            let body = get(program.port, path);
            assert_eq!(body.len(), length, "{} {path}", kind.name());
            assert!(body.iter().all(|byte| *byte == b'o'));
        }
        load::check(program.port);
        assert!(measure::resident(&program.family) > 0.0);
    }
}
