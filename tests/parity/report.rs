//! What a run says: the failing cases with their differences, and a table at the end.
//!
//! It writes to stderr directly and not with `println!`: the test runner swallows that of tests
//! that pass, and a run that compared nothing must not look like one that compared everything.

use crate::script::{Differs, Part};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;

/// Lines of one part of what a side showed, under a title.
pub(crate) struct Section {
    /// Which part this belongs to.
    pub(crate) part: Part,
    /// For people.
    pub(crate) title: String,
    /// What is compared.
    pub(crate) lines: Vec<String>,
}

/// How a case came out.
pub(crate) enum Outcome {
    /// Both sides showed the same.
    Equal,
    /// They differ, as declared.
    Declared,
    /// The text says how.
    Failed(String),
}

/// Collects the outcomes of one test function.
pub(crate) struct Report {
    title: &'static str,
    outcomes: Mutex<Vec<(String, Outcome)>>,
}

impl Report {
    /// An empty report.
    pub(crate) fn new(title: &'static str) -> Self {
        Self {
            title,
            outcomes: Mutex::default(),
        }
    }

    /// Files one case.
    pub(crate) fn file(&self, name: String, outcome: Outcome) {
        self.outcomes.lock().unwrap().push((name, outcome));
    }

    /// Prints failures and the table; panics if there were failures, or no case at all (unless
    /// the run was narrowed down: the names chosen may belong to another test function).
    pub(crate) fn close(self, narrowed: bool) {
        let mut outcomes = self.outcomes.into_inner().unwrap();
        if outcomes.is_empty() && narrowed {
            return;
        }
        outcomes.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut equal, mut declared, mut failed) = (0, 0, Vec::new());
        let mut text = String::new();
        for (name, outcome) in &outcomes {
            match outcome {
                Outcome::Equal => equal += 1,
                Outcome::Declared => declared += 1,
                Outcome::Failed(why) => {
                    failed.push(name.as_str());
                    let _ = writeln!(text, "---- {name}\n{}\n", why.trim_end());
                }
            }
        }
        let _ = writeln!(text, "\nparity: {}", self.title);
        let rows = [
            ("cases run", outcomes.len()),
            ("equal", equal),
            ("declared differences", declared),
        ];
        for (label, count) in rows.into_iter().chain([("failed", failed.len())]) {
            let _ = writeln!(text, "  {label:<22}{count:>5}");
        }
        for name in &failed {
            let _ = writeln!(text, "  FAILED {name}");
        }
        say(&text);
        assert!(!outcomes.is_empty(), "{}: no cases", self.title);
        assert!(failed.is_empty(), "{} parity cases differ", failed.len());
    }
}

/// Prints past the test runner's capture.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Compares two sides section by section under the declared differences.
pub(crate) fn compare(haproxy: &[Section], oneloop: &[Section], differs: &[Differs]) -> Outcome {
    let mut why = String::new();
    let mut seen = Vec::new();
    for index in 0..haproxy.len().max(oneloop.len()) {
        let empty = || (Part::Answer, "", &[][..]);
        let read = |side: &'_ [Section]| side.get(index).map(|s| (s.part, s.title.clone()));
        let (part, title) = read(haproxy).or_else(|| read(oneloop)).unwrap();
        let lines = |side: &'_ [Section]| {
            side.get(index)
                .map_or_else(|| empty().2.to_vec(), |s| s.lines.clone())
        };
        let (model, tested) = (lines(haproxy), lines(oneloop));
        if model == tested {
            continue;
        }
        if differs.iter().any(|differ| differ.part == part) {
            seen.push(part);
            continue;
        }
        let _ = writeln!(why, "{title}: (- haproxy, + oneloop)");
        why.push_str(&diff(&model, &tested));
    }
    for differ in differs {
        if !seen.contains(&differ.part) {
            let _ = writeln!(
                why,
                "declared to differ in {:?}, but does not: {}",
                differ.part, differ.reason
            );
        }
    }
    match (why.is_empty(), differs.is_empty()) {
        (true, true) => Outcome::Equal,
        (true, false) => Outcome::Declared,
        (false, _) => Outcome::Failed(why),
    }
}

/// A line diff by longest common subsequence.
pub(crate) fn diff(old: &[String], new: &[String]) -> String {
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            let _ = writeln!(text, "    {}", old[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            let _ = writeln!(text, "  - {}", old[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "  + {}", new[j]);
            j += 1;
        }
    }
    text
}

#[test]
fn a_declared_difference_that_is_not_there_fails() {
    let section = |line: &str| {
        vec![Section {
            part: Part::Log,
            title: String::new(),
            lines: vec![line.to_owned()],
        }]
    };
    let declared = [Differs {
        part: Part::Log,
        reason: "why".to_owned(),
    }];
    assert!(matches!(
        compare(&section("a"), &section("a"), &[]),
        Outcome::Equal
    ));
    assert!(matches!(
        compare(&section("a"), &section("b"), &[]),
        Outcome::Failed(_)
    ));
    assert!(matches!(
        compare(&section("a"), &section("b"), &declared),
        Outcome::Declared
    ));
    assert!(matches!(
        compare(&section("a"), &section("a"), &declared),
        Outcome::Failed(_)
    ));
}
