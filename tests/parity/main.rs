//! Parity: the same configurations and the same raw requests go to oneloop and to Debian's haproxy,
//! and what both did is compared after masking: answers, what the origins received, log lines, and
//! the verdicts of `-c` and `-cc`.
//!
//! The cases are data (`tests/cfg/parity`); this program must never know a special case. A
//! difference on purpose is declared in the case with its reason, and a declared difference that
//! does not show is a failure, so that the list of differences stays true.
//!
//! Environment: `PARITY_ONLY=name[,name]` picks suites, cases, folders or files and prints what
//! haproxy did; `ONELOOP_TEST_BIN` and `HAPROXY_BIN` name other binaries; `PARITY_SELF=1` switches
//! the translation between the two off, to run haproxy against itself (see README.md beside this).

mod configs;
mod mask;
mod protocols;
mod proxy;
mod report;
mod requests;
mod script;
mod states;
mod wire;
mod world;

#[path = "../support/place.rs"]
#[allow(dead_code, reason = "the rest is for other programs")]
mod place;

use proxy::Binaries;
use report::Report;
use std::path::PathBuf;
use std::sync::Mutex;

/// The test functions below take turns: a run uses two threads, whatever the test runner does.
static TURN: Mutex<()> = Mutex::new(());

/// Where the cases are.
fn cfg_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cfg/parity")
}

/// The choice of `PARITY_ONLY`.
struct Only(Option<Vec<String>>);

impl Only {
    fn from_env() -> Self {
        let names = std::env::var("PARITY_ONLY")
            .ok()
            .filter(|names| !names.is_empty());
        Self(names.map(|names| names.split(',').map(str::to_owned).collect()))
    }

    fn is_set(&self) -> bool {
        self.0.is_some()
    }

    fn lets(&self, name: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|names| names.iter().any(|only| only == name))
    }
}

/// Runs one comparison if haproxy is there, and says so if it is not.
fn with_haproxy(title: &'static str, run: impl FnOnce(&Binaries, &Report, &Only)) {
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(binaries) = Binaries::find() else {
        return report::say(&format!(
            "parity: {title}: left out, haproxy is not installed\n"
        ));
    };
    let only = Only::from_env();
    let report = Report::new(title);
    run(&binaries, &report, &only);
    report.close(only.is_set());
}

#[test]
fn requests() {
    let suites = script::load_all(&cfg_folder().join("requests"));
    with_haproxy("requests", |binaries, report, only| {
        requests::run_all(&suites, binaries, report, only);
    });
}

#[test]
fn configurations() {
    with_haproxy("configurations (-c)", configs::run_files);
}

#[test]
fn conditions() {
    with_haproxy("conditions (-cc)", configs::run_conditions);
}

#[test]
fn server_states() {
    with_haproxy("server state files", |binaries, report, only| {
        states::run_all(binaries, report, only);
    });
}

#[test]
fn protocol_checks() {
    let cases = protocols::load_all(&cfg_folder().join("protocols"));
    with_haproxy("protocol checks", |binaries, report, only| {
        protocols::run_all(cases, binaries, report, only);
    });
}

/// Each reason names a heading of `docs/differences.md`, and the heading is there.
#[test]
fn declared_differences_are_documented() {
    if Binaries::find().is_some_and(|binaries| binaries.same) {
        return;
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let anchor = |heading: &str| -> String {
        let kept = heading
            .trim()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let headings: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    let mut reasons = configs::declared();
    for suite in script::load_all(&cfg_folder().join("requests")) {
        for case in suite.cases {
            let name = format!("{}/{}", suite.name, case.name);
            reasons.extend(
                case.differs
                    .into_iter()
                    .map(|differ| (name.clone(), differ.reason)),
            );
        }
    }
    for case in protocols::load_all(&cfg_folder().join("protocols")) {
        reasons.extend(case.differs.map(|reason| (case.name, reason)));
    }
    let mut missing = std::collections::BTreeMap::new();
    for (name, reason) in reasons {
        let (_, named) = reason.split_once("docs/differences.md#").unwrap();
        if !headings.iter().any(|heading| heading == named.trim()) {
            missing.entry(named.trim().to_owned()).or_insert(name);
        }
    }
    assert!(
        missing.is_empty(),
        "no such heading in docs/differences.md: {missing:#?}"
    );
}
