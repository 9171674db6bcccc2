//! The scenarios, their targets, and the rounds that all peers take in turns.
//!
//! A scenario is a row of [`SCENARIOS`]. The targets are for oneloop, in multiples of what the
//! floor relay costs in the same round. For `close64` and long bodies the floor is no
//! lower bound: server connections can be shared there, and bodies spliced.

use crate::configs::{PLAIN, Rules, Shape};
use crate::measure::{Asking, Round, Spread, ratios, resident};
use crate::peers::{Kind, Stage};

/// One way of loading a proxy.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Of the request; what a backend would take away is left out where nothing is rewritten.
    pub(crate) path: &'static str,
    pub(crate) clients: u32,
    pub(crate) header: Option<&'static str>,
    pub(crate) shape: Shape,
    /// Who is left out because its file cannot say the same, or because it would show nothing.
    pub(crate) without: &'static [Kind],
    /// CPU a request, in multiples of the floor's.
    pub(crate) floor_bar: Option<f64>,
    /// Resident memory in KiB after the rounds.
    pub(crate) resident_bar: Option<f64>,
}

const SHORT: &[Kind] = &[Kind::Splice];
const LONG: &[Kind] = &[];

const KEEP_ALIVE: Scenario = Scenario {
    name: "ka64",
    path: "/s",
    clients: 64,
    header: None,
    shape: PLAIN,
    without: SHORT,
    floor_bar: Some(1.10),
    resident_bar: None,
};

/// All of them, in the order in which they are run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "ka1",
        clients: 1,
        floor_bar: Some(1.08),
        ..KEEP_ALIVE
    },
    KEEP_ALIVE,
    Scenario {
        name: "rewrite64",
        path: "/app1/s",
        floor_bar: Some(1.12),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "ka1000",
        clients: 1_000,
        floor_bar: Some(1.12),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "ka4000",
        clients: 4_000,
        floor_bar: Some(1.15),
        resident_bar: Some(10.0 * 1024.0),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "log64",
        shape: Shape { log: true, ..PLAIN },
        floor_bar: Some(1.25),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "acl500",
        shape: Shape {
            rules: Rules::Paths(500),
            ..PLAIN
        },
        floor_bar: Some(1.12),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "close64",
        header: Some("Connection: close"),
        // nginx shares its server connections: that is the next row.
        without: &[Kind::Nginx, Kind::Splice],
        floor_bar: Some(0.95),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "close64-reuse",
        header: Some("Connection: close"),
        shape: Shape {
            reuse_always: true,
            ..PLAIN
        },
        floor_bar: Some(0.48),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "tcp64",
        shape: Shape { tcp: true, ..PLAIN },
        floor_bar: None,
        ..KEEP_ALIVE
    },
    Scenario {
        name: "k64",
        path: "/k/65536",
        clients: 32,
        without: LONG,
        floor_bar: Some(0.75),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "m1",
        path: "/k/1048576",
        clients: 32,
        without: LONG,
        floor_bar: Some(0.60),
        ..KEEP_ALIVE
    },
    Scenario {
        name: "m1-splice",
        path: "/k/1048576",
        clients: 32,
        shape: Shape {
            splice: true,
            maxconn: 4_000,
            ..PLAIN
        },
        without: LONG,
        floor_bar: Some(0.60),
        ..KEEP_ALIVE
    },
];

pub(crate) fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

/// What one peer did in all rounds.
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// `None` for a round without an answer.
    pub(crate) rounds: Vec<Option<Round>>,
    /// KiB after the rounds.
    pub(crate) resident: f64,
}

impl Entry {
    /// `None` when there was no answer at all.
    pub(crate) fn spread(&self, figure: impl Fn(&Round) -> f64) -> Option<Spread> {
        Spread::of(self.rounds.iter().flatten().map(figure))
    }

    pub(crate) fn median(&self, figure: impl Fn(&Round) -> f64) -> f64 {
        self.spread(figure).map_or(0.0, |spread| spread.median)
    }

    pub(crate) fn errors(&self) -> f64 {
        let rounds = self.rounds.iter();
        let errors = rounds.map(|round| round.map_or(1.0, |round| round.load.errors));
        errors.sum()
    }
}

/// A row of the table with all its peers.
pub(crate) struct Row {
    pub(crate) scenario: &'static Scenario,
    pub(crate) entries: Vec<Entry>,
}

/// One bar of a row, and whether it was met.
pub(crate) struct Judgement {
    pub(crate) what: &'static str,
    pub(crate) bar: String,
    pub(crate) met: bool,
}

impl Row {
    pub(crate) fn entry(&self, kind: Kind) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }

    /// A figure of one peer in multiples of another's, round by round.
    pub(crate) fn ratio(
        &self,
        of: &Entry,
        to: Kind,
        figure: impl Fn(&Round) -> f64,
    ) -> Option<Spread> {
        ratios(&of.rounds, &self.entry(to)?.rounds, figure)
    }

    /// What oneloop was to reach here; what needs a peer that is missing is left out.
    pub(crate) fn judge(&self) -> Vec<Judgement> {
        let Some(own) = self.entry(Kind::Oneloop) else {
            return Vec::new();
        };
        let mut judgements = Vec::new();
        let cost = self.ratio(own, Kind::Floor, Round::cpu_us);
        if let (Some(bar), Some(cost)) = (self.scenario.floor_bar, cost) {
            judgements.push(Judgement {
                what: "cost",
                bar: format!("{bar:.2}"),
                met: cost.meets(bar),
            });
        }
        if let Some(p99) = self.ratio(own, Kind::Haproxy, |round| round.load.p99_ms) {
            judgements.push(Judgement {
                what: "p99",
                bar: "p99".into(),
                met: p99.meets(1.0),
            });
        }
        if let Some(bar) = self.scenario.resident_bar {
            judgements.push(Judgement {
                what: "memory",
                bar: format!("{:.0} MB", bar / 1024.0),
                met: own.resident <= bar,
            });
        }
        judgements.push(Judgement {
            what: "errors",
            bar: String::new(),
            met: own.errors() == 0.0,
        });
        judgements
    }
}

/// How many rounds, and how long each.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rounds: u32,
    pub(crate) seconds: u32,
}

/// Starts all peers, lets them take turns, and ends them.
pub(crate) fn rounds(
    stage: &Stage,
    kinds: &[Kind],
    scenario: &Scenario,
    pace: Pace,
) -> Result<Vec<Entry>, String> {
    let mut programs = Vec::new();
    for kind in kinds {
        programs.push(stage.start(*kind, &scenario.shape)?);
    }
    let mut entries: Vec<Entry> = kinds
        .iter()
        .map(|kind| Entry {
            kind: *kind,
            rounds: Vec::new(),
            resident: 0.0,
        })
        .collect();
    for _ in 0..pace.rounds {
        for (entry, program) in entries.iter_mut().zip(&programs) {
            let path = match scenario.path.strip_prefix("/app1") {
                Some(rest) if entry.kind.is_yardstick() => rest,
                _ => scenario.path,
            };
            let asking = Asking {
                path,
                clients: scenario.clients,
                header: scenario.header,
                seconds: pace.seconds,
            };
            entry.rounds.push(Round::take(stage, &[program], asking)?);
        }
    }
    for (entry, program) in entries.iter_mut().zip(&programs) {
        entry.resident = resident(&program.family);
    }
    Ok(entries)
}

/// Runs one scenario with those of the peers that can take part.
pub(crate) fn run(
    stage: &Stage,
    kinds: &[Kind],
    scenario: &'static Scenario,
    pace: Pace,
) -> Result<Row, String> {
    let fits = |kind: &Kind| {
        !scenario.without.contains(kind) && (*kind != Kind::Nginx || scenario.shape.for_nginx())
    };
    let kinds: Vec<Kind> = kinds.iter().copied().filter(fits).collect();
    let entries = rounds(stage, &kinds, scenario, pace)?;
    Ok(Row { scenario, entries })
}
