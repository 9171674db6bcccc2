//! Gives configurations to `-c` of both proxies, and conditions to `-cc`, and compares verdicts.
//!
//! Files live in `tests/cfg/parity/{good,warn,bad,refused}`; the folder says what HAProxy thinks of
//! them, and that is checked as well, so that a file does not change its meaning unnoticed. Special
//! wishes stand in the file, as comments beginning with `# parity:`.

use crate::mask;
use crate::proxy::{Binaries, Side};
use crate::report::{Outcome, Report, Section, compare, say};
use crate::script::{Differs, Part};
use std::path::Path;
use std::process::{Command, Stdio};

/// What oneloop has to say about a keyword of HAProxy's that it lacks.
const LACKING: &str = "not implemented by oneloop";

/// One configuration with its wishes.
struct Config {
    name: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    differs: Vec<Differs>,
    refused: bool,
}

/// The exit code and the lines that a run printed.
struct Verdict {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// What HAProxy thinks of the files in each: valid, valid with a remark, refused, and valid but
/// beyond oneloop.
const FOLDERS: [&str; 4] = ["good", "warn", "bad", "refused"];

/// Compares the verdicts on all files that `only` lets through.
pub(crate) fn run_files(binaries: &Binaries, report: &Report, only: &crate::Only) {
    for folder in FOLDERS {
        for (config, stem) in configs_in(folder) {
            if only.lets(folder) || only.lets(&config.name) || only.lets(&stem) {
                let outcome = config.run(folder, binaries, only);
                report.file(config.name, outcome);
            }
        }
    }
}

/// The configurations of a folder with their stems, in name order.
fn configs_in(folder: &str) -> Vec<(Config, String)> {
    let path = crate::cfg_folder().join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "cfg"))
        .collect();
    files.sort();
    let stem = |file: &Path| file.file_stem().unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .map(|file| (Config::read(folder, file), stem(file)))
        .collect()
}

impl Config {
    fn read(folder: &str, file: &Path) -> Self {
        let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
        let mut config = Self {
            args: Vec::new(),
            env: Vec::new(),
            differs: Vec::new(),
            refused: folder == "refused",
            name,
        };
        let text = std::fs::read(file).unwrap();
        for line in crate::wire::latin(&text).lines() {
            let Some(wish) = line.strip_prefix("# parity: ") else {
                continue;
            };
            match wish.split_once(' ') {
                Some(("args", rest)) => {
                    config
                        .args
                        .extend(rest.split_whitespace().map(str::to_owned));
                }
                Some(("env", rest)) => {
                    let (key, value) = rest.split_once('=').expect("env NAME=VALUE");
                    config.env.push((key.to_owned(), value.to_owned()));
                }
                Some(("differs", reason)) => {
                    let reason = reason.to_owned();
                    assert!(
                        reason.contains("docs/differences.md#"),
                        "{}: where?",
                        config.name
                    );
                    config.differs.push(Differs {
                        part: Part::Answer,
                        reason,
                    });
                }
                _ => panic!("{}: unknown wish `{wish}`", config.name),
            }
        }
        assert!(
            !config.refused || config.differs.len() == 1,
            "{}: no reason",
            config.name
        );
        config
    }

    fn run(&self, folder: &str, binaries: &Binaries, only: &crate::Only) -> Outcome {
        let verdict = |side: Side| {
            let mut command = Command::new(binaries.path(side));
            command.arg("-c").args(["-f", &self.name]).args(&self.args);
            command.envs(self.env.iter().cloned());
            run(command)
        };
        let haproxy = verdict(Side::Haproxy);
        if only.is_set() {
            say(&format!(
                "==== {}: haproxy exits with {:?}\n{}{}",
                self.name, haproxy.code, haproxy.stdout, haproxy.stderr
            ));
        }
        let quiet = haproxy.stderr.is_empty();
        let as_filed = match folder {
            "good" | "refused" => haproxy.code == Some(0) && quiet,
            "warn" => matches!(haproxy.code, Some(0 | 2)) && (!quiet || haproxy.code == Some(2)),
            _ => haproxy.code == Some(1) && !quiet,
        };
        if !as_filed {
            return Outcome::Failed(format!(
                "is filed under {folder}/, but haproxy exits with {:?} and says\n{}{}",
                haproxy.code, haproxy.stdout, haproxy.stderr
            ));
        }
        let oneloop = verdict(Side::Oneloop);
        if self.refused && !binaries.same {
            return refusal(&oneloop);
        }
        let differs = if binaries.same {
            &[][..]
        } else {
            &self.differs
        };
        weigh(&haproxy, &oneloop, differs)
    }
}

/// The verdict on a keyword that HAProxy has and oneloop lacks.
fn refusal(oneloop: &Verdict) -> Outcome {
    if oneloop.code == Some(1) && oneloop.stderr.contains(LACKING) {
        return Outcome::Declared;
    }
    Outcome::Failed(format!(
        "expected exit 1 and `{LACKING}`, got {:?} and\n{}{}",
        oneloop.code, oneloop.stdout, oneloop.stderr
    ))
}

fn weigh(haproxy: &Verdict, oneloop: &Verdict, differs: &[Differs]) -> Outcome {
    let model = mask::notes(&haproxy.stderr);
    let mut tested = mask::notes(&oneloop.stderr);
    mask::drop_extras(&model, &mut tested);
    let sections = |verdict: &Verdict, notes: &[mask::Note]| {
        let code = format!("exit {:?}", verdict.code);
        let mut lines = vec![code];
        lines.extend(verdict.stdout.lines().map(|line| format!("stdout: {line}")));
        lines.extend(mask::note_lines(notes));
        vec![Section {
            part: Part::Answer,
            title: "verdict".to_owned(),
            lines,
        }]
    };
    compare(
        &sections(haproxy, &model),
        &sections(oneloop, &tested),
        differs,
    )
}

fn run(mut command: Command) -> Verdict {
    let output = command
        .current_dir(crate::cfg_folder())
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Verdict {
        code: output.status.code(),
        stdout: crate::wire::latin(&output.stdout),
        stderr: crate::wire::latin(&output.stderr),
    }
}

/// Every reason that a configuration declares a difference with, and the configuration's name.
pub(crate) fn declared() -> Vec<(String, String)> {
    FOLDERS
        .iter()
        .flat_map(|folder| configs_in(folder))
        .flat_map(|(config, _)| {
            let name = config.name;
            config
                .differs
                .into_iter()
                .map(move |differ| (name.clone(), differ.reason))
        })
        .collect()
}

/// Compares `-cc` on each line of `conditions.txt`: `EXIT CONDITION`, `#` begins a comment. The
/// exit code is what HAProxy gives, and is checked.
pub(crate) fn run_conditions(binaries: &Binaries, report: &Report, only: &crate::Only) {
    let text = std::fs::read_to_string(crate::cfg_folder().join("conditions.txt")).unwrap();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (expected, condition) = line.split_once(' ').expect("EXIT CONDITION");
        if !only.lets("conditions") && !only.lets(condition) {
            continue;
        }
        let verdict = |side: Side| {
            let mut command = Command::new(binaries.path(side));
            command
                .args(["-cc", condition])
                .env("PARITY_SET", "set")
                .env("PARITY_EMPTY", "");
            run(command)
        };
        let haproxy = verdict(Side::Haproxy);
        let code = haproxy
            .code
            .map_or_else(|| "signal".to_owned(), |code| code.to_string());
        let outcome = if code == expected {
            weigh(&haproxy, &verdict(Side::Oneloop), &[])
        } else {
            let printed = format!("{}{}", haproxy.stdout, haproxy.stderr);
            Outcome::Failed(format!("haproxy exits with {code} and says\n{printed}"))
        };
        report.file(format!("-cc {condition}"), outcome);
    }
}
