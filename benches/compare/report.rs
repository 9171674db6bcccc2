//! The sitting as text and as JSON.
//!
//! The text is printed row by row as the rounds end, so that a long sitting can be watched and a
//! broken one is not lost. The JSON has every round, for whoever wants other statistics.

use std::fmt::Write as _;

use crate::extra::{Figure, Line};
use crate::measure::{Round, Spread};
use crate::peers::Kind;
use crate::scenarios::{Entry, Judgement, Row};

/// Everything that was measured, and where.
#[derive(Default)]
pub(crate) struct Sitting {
    /// Name and value: machine, versions, pace.
    pub(crate) about: Vec<(&'static str, String)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) lines: Vec<Line>,
}

/// The head of the table.
pub(crate) fn heading() -> String {
    format!(
        "{:<14}{:<9}{:>26}  {:>17}  {:>17}{:>9}  {:>22}{:>8}{:>10}  {:<18}met\n",
        "scenario",
        "peer",
        "CPU us/request (user, sys)",
        "x floor",
        "x haproxy",
        "req/s",
        "p50/p99/p99.9 ms",
        "errors",
        "RSS KiB",
        "target",
    )
}

fn spread(value: Option<Spread>) -> String {
    value.map_or_else(
        || "-".into(),
        |value| format!("{:.2} [{:.2}-{:.2}]", value.median, value.low, value.high),
    )
}

/// The peers of a scenario, a line each.
pub(crate) fn row(row: &Row) -> String {
    let mut text = String::new();
    for entry in &row.entries {
        let _ = write!(text, "{:<14}{:<9}", row.scenario.name, entry.kind.name());
        if entry.rounds.iter().flatten().next().is_none() {
            text += "no answer\n";
            continue;
        }
        let cpu = format!(
            "{:.2} ({:.2}, {:.2})",
            entry.median(Round::cpu_us),
            entry.median(|round| round.user_us),
            entry.median(|round| round.system_us)
        );
        let beside = |other| {
            let ratio = row.ratio(entry, other, Round::cpu_us);
            spread(ratio.filter(|_| other != entry.kind))
        };
        let latency = format!(
            "{:.2}/{:.2}/{:.2}",
            entry.median(|round| round.load.p50_ms),
            entry.median(|round| round.load.p99_ms),
            entry.median(|round| round.load.p999_ms)
        );
        let (target, met) = match entry.kind {
            Kind::Oneloop => verdict(&row.judge()),
            _ => (String::new(), String::new()),
        };
        let line = format!(
            "{cpu:>26}  {:>17}  {:>17}{:>9.0}  {latency:>22}{:>8}{:>10}  {target:<18}{met}",
            beside(Kind::Floor),
            beside(Kind::Haproxy),
            entry.median(rate),
            entry.errors(),
            entry.resident,
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn rate(round: &Round) -> f64 {
    round.load.requests / round.load.seconds
}

/// What was to be reached, and what of it was not.
fn verdict(judgements: &[Judgement]) -> (String, String) {
    let bars = judgements.iter().map(|judgement| judgement.bar.as_str());
    let bars: Vec<&str> = bars.filter(|bar| !bar.is_empty()).collect();
    let missed = judgements.iter().filter(|judgement| !judgement.met);
    let missed: Vec<&str> = missed.map(|judgement| judgement.what).collect();
    let met = if missed.is_empty() {
        "yes".into()
    } else {
        format!("no: {}", missed.join(", "))
    };
    (bars.join(", "), met)
}

/// Lines about one thing stand under its name.
pub(crate) fn lines(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut last = "";
    for line in lines {
        if line.what != last {
            let _ = writeln!(text, "{}", line.what);
            last = &line.what;
        }
        let mut parts: Vec<String> = line.figures.iter().map(figure).collect();
        parts.extend(line.note.clone());
        let _ = writeln!(text, "  {:<9}{}", line.peer, parts.join("   "));
    }
    text
}

fn figure(figure: &Figure) -> String {
    let value = figure.value;
    let number = |number: f64| {
        if number.abs() >= 100.0 {
            format!("{number:.0}")
        } else {
            format!("{number:.2}")
        }
    };
    let mut text = format!("{} {}", figure.name, number(value.median));
    if !figure.unit.is_empty() {
        let _ = write!(text, " {}", figure.unit);
    }
    if value.low < value.high {
        let _ = write!(text, " [{}-{}]", number(value.low), number(value.high));
    }
    if let Some(bar) = figure.bar {
        let met = if value.meets(bar) { "met" } else { "missed" };
        let _ = write!(text, " (at most {}: {met})", number(bar));
    }
    text
}

/// How many bars were met, and which were not.
pub(crate) fn summary(sitting: &Sitting) -> String {
    let mut met = 0;
    let mut missed = Vec::new();
    for row in &sitting.rows {
        for judgement in row.judge() {
            if judgement.met {
                met += 1;
            } else {
                missed.push(format!("{} {}", row.scenario.name, judgement.what));
            }
        }
    }
    for line in &sitting.lines {
        for figure in &line.figures {
            match figure.bar {
                Some(bar) if figure.value.meets(bar) => met += 1,
                Some(_) => missed.push(format!("{}: {}", line.what, figure.name)),
                None => {}
            }
        }
    }
    let mut text = format!("bars met: {met} of {}\n", met + missed.len());
    for bar in missed {
        let _ = writeln!(text, "  missed: {bar}");
    }
    text
}

/// A value of JSON.
enum Json {
    Null,
    Number(f64),
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Json {
    fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    fn map<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Map(fields.map(|(name, value)| (name.to_owned(), value)).into())
    }

    fn spread(value: Option<Spread>) -> Self {
        value.map_or(Self::Null, |value| {
            Self::List(
                [value.low, value.median, value.high]
                    .map(Self::Number)
                    .into(),
            )
        })
    }

    fn write(&self, depth: usize, into: &mut String) {
        let (open, close, count) = match self {
            Self::Null => return into.push_str("null"),
            // Written so that they can be read back; there are no others here than finite ones.
            Self::Number(number) if number.is_finite() => {
                let _ = write!(into, "{number}");
                return;
            }
            Self::Number(_) => return into.push_str("null"),
            Self::Text(text) => return quote(text, into),
            Self::List(values) => ('[', ']', values.len()),
            Self::Map(fields) => ('{', '}', fields.len()),
        };
        let deep = depth < 3;
        let indent = |depth: usize, into: &mut String| {
            if deep && count > 0 {
                into.push('\n');
                into.push_str(&" ".repeat(depth));
            }
        };
        into.push(open);
        for number in 0..count {
            if number > 0 {
                into.push_str(if deep { "," } else { ", " });
            }
            indent(depth + 1, into);
            match self {
                Self::List(values) => values[number].write(depth + 1, into),
                Self::Map(fields) => {
                    quote(&fields[number].0, into);
                    into.push_str(": ");
                    fields[number].1.write(depth + 1, into);
                }
                _ => {}
            }
        }
        indent(depth, into);
        into.push(close);
    }
}

fn quote(text: &str, into: &mut String) {
    into.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => into.extend(['\\', letter]),
            '\n' => into.push_str("\\n"),
            letter if letter < ' ' => {
                let _ = write!(into, "\\u{:04x}", letter as u32);
            }
            letter => into.push(letter),
        }
    }
    into.push('"');
}

fn entry(row: &Row, entry: &Entry) -> Json {
    let rounds = entry.rounds.iter().map(|round| match round {
        None => Json::Null,
        Some(round) => Json::map([
            ("user_us", Json::Number(round.user_us)),
            ("system_us", Json::Number(round.system_us)),
            ("requests", Json::Number(round.load.requests)),
            ("seconds", Json::Number(round.load.seconds)),
            ("p50_ms", Json::Number(round.load.p50_ms)),
            ("p99_ms", Json::Number(round.load.p99_ms)),
            ("p99.9_ms", Json::Number(round.load.p999_ms)),
            ("errors", Json::Number(round.load.errors)),
        ]),
    });
    let judgements = match entry.kind {
        Kind::Oneloop => row.judge(),
        _ => Vec::new(),
    };
    let missed = judgements.iter().filter(|judgement| !judgement.met);
    Json::map([
        ("cpu_us", Json::spread(entry.spread(Round::cpu_us))),
        (
            "x_floor",
            Json::spread(row.ratio(entry, Kind::Floor, Round::cpu_us)),
        ),
        (
            "x_haproxy",
            Json::spread(row.ratio(entry, Kind::Haproxy, Round::cpu_us)),
        ),
        ("per_second", Json::spread(entry.spread(rate))),
        ("rss_kib", Json::Number(entry.resident)),
        (
            "missed",
            Json::List(missed.map(|bar| Json::text(bar.what)).collect()),
        ),
        ("rounds", Json::List(rounds.collect())),
    ])
}

/// The whole sitting as JSON; spreads are lower quartile, median, upper quartile.
pub(crate) fn json(sitting: &Sitting) -> String {
    let about = sitting.about.iter();
    let about = about.map(|(name, value)| ((*name).to_owned(), Json::text(value)));
    let rows = sitting.rows.iter().map(|row| {
        let peers = row.entries.iter();
        let peers = peers.map(|one| (one.kind.name().to_owned(), entry(row, one)));
        (row.scenario.name.to_owned(), Json::Map(peers.collect()))
    });
    let lines = sitting.lines.iter().map(|line| {
        let figures = line.figures.iter().map(|figure| {
            Json::map([
                ("name", Json::text(figure.name)),
                ("unit", Json::text(figure.unit)),
                ("value", Json::spread(Some(figure.value))),
                ("bar", figure.bar.map_or(Json::Null, Json::Number)),
            ])
        });
        Json::map([
            ("what", Json::text(&line.what)),
            ("peer", Json::text(line.peer)),
            ("figures", Json::List(figures.collect())),
            ("note", line.note.as_deref().map_or(Json::Null, Json::text)),
        ])
    });
    let whole = Json::map([
        ("about", Json::Map(about.collect())),
        ("scenarios", Json::Map(rows.collect())),
        ("others", Json::List(lines.collect())),
    ]);
    let mut text = String::new();
    whole.write(0, &mut text);
    text.push('\n');
    text
}
