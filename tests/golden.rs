//! Golden diagnostics: each `tests/cfg/diag/NAME.cfg` is read by a machine made of maps, and what
//! there is to say about it must be `NAME.expected`, to the byte.
//! `UPDATE_EXPECT=1 cargo test --test golden` rewrites the expectations; the difference is then for
//! a person to read.
//!
//! The same files go through HAProxy in the parity tests, which compare verdicts.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use oneloop::config::diag::Severity;
use oneloop::config::host::Fake;
use oneloop::config::{LoadOptions, Source, load};

#[allow(unreachable_pub)] // It is public for the fuzz targets.
#[path = "../fuzz/src/config.rs"]
mod config;

/// What `-c` would print for a file, without dates and pids.
fn said(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let source = Source {
        name,
        bytes: fs::read(path).unwrap(),
    };
    let loaded = load(&[source], &Fake::new(), &LoadOptions::default());
    let mut out = String::new();
    for one in loaded.diagnostics.list() {
        let severity = match one.severity {
            Severity::Alert => "ALERT",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Diag => "DIAG",
        };
        let _ = writeln!(out, "[{severity}] {}", loaded.diagnostics.render(one));
    }
    let verdict = if loaded.config.is_some() {
        "valid"
    } else {
        "refused"
    };
    let _ = writeln!(out, "-- {verdict}");
    out
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cfg/diag");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "cfg"))
        .collect();
    files.sort();
    files
}

#[test]
fn diagnostics_are_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 35, "the cases are not there");
    for path in &cases {
        let expectation = path.with_extension("expected");
        let said = said(path);
        if update {
            fs::write(&expectation, &said).unwrap();
        }
        let expected = fs::read_to_string(&expectation).unwrap_or_default();
        if said != expected {
            wrong.push(format!(
                "== {}\n{said}== expected\n{expected}",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Changes the files here and there: no input makes the reader panic or keep silent about a refusal.
#[test]
fn changed_files_are_read_without_a_panic() {
    let mut seed = 7u64;
    let mut next = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    let spice: [&[u8]; 12] = [
        b"\"",
        b"'",
        b"\\",
        b"#",
        b"\n",
        b"${HOME}",
        b"\x00",
        b" if ",
        b"{ ",
        b"99999999999",
        b"(",
        b"%[",
    ];
    for path in cases() {
        let original = fs::read(&path).unwrap();
        config::config(&original);
        for _ in 0..60 {
            let mut bytes = original.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(4) {
                    0 => bytes.truncate(at),
                    1 => drop(bytes.drain(at..(at + next(9)).min(bytes.len()))),
                    2 => bytes[at] = next(256) as u8,
                    _ => drop(bytes.splice(at..at, spice[next(spice.len())].iter().copied())),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            config::config(&bytes);
        }
    }
}
