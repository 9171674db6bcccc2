//! What the process says on stderr, in the line form of HAProxy 2.2:
//! `[WARNING] 049/040303 (4418) : TEXT`, with the day of the year from 0, local time and the pid.
//!
//! This is the back end of the `log` crate: everyone says `log::error!` (ALERT), `log::warn!`
//! (WARNING), or `notice`, and this file decides how it looks and whether it shows. Its level is
//! set by the program: `RUST_LOG` adds debug and trace lines, and can hide nothing (only `-q` can).
//!
//! The first ALERT of a process, at start or later, is preceded by two NOTICE lines with the
//! version and the path of the executable, as in HAProxy 2.2.
//!
//! It never reads the clock once the loop runs: the loop stores the time of its turn with
//! `set_now`. Rejected: env_logger's own time stamps (another form, another clock, another
//! dependency).

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use crate::base::clock::{Civil, Now};
use crate::base::version::VERSION_AS_HAPROXY;
use crate::config::diag::{Diagnostics, Severity};
use crate::net::channel::{self, Kind};

/// The target of NOTICE lines, which are at level info.
pub const NOTICE: &str = "oneloop::notice";

/// The target of DIAG lines (`-dD`), which are at level info.
pub const DIAG: &str = "oneloop::diag";

static WALL_S: AtomicU64 = AtomicU64::new(0);
static UTC_OFFSET_S: AtomicI32 = AtomicI32::new(0);
static QUIET: AtomicBool = AtomicBool::new(false);
static DEBUG: AtomicBool = AtomicBool::new(false);
/// The pid that lines carry; 0 for the process's own.
static SPEAKER: AtomicU32 = AtomicU32::new(0);
/// Where lines are sent besides; negative for nowhere.
static COPY: AtomicI32 = AtomicI32::new(-1);
static VERSION_SAID: AtomicBool = AtomicBool::new(false);
/// What was said before the loop ran.
static STARTUP: Mutex<String> = Mutex::new(String::new());

/// So much of it is kept, bytes.
const STARTUP_MAX: usize = 64 << 10;

/// Makes this file the process' logger. A second call changes nothing.
pub fn install() {
    let extra = std::env::var("RUST_LOG").unwrap_or_default();
    if ::log::set_boxed_logger(Box::new(Messages::new(&extra, env_logger::Target::Stderr))).is_ok()
    {
        let wanted = if extra.is_empty() {
            LevelFilter::Info
        } else {
            LevelFilter::Trace
        };
        ::log::set_max_level(wanted);
    }
}

/// Says a NOTICE.
pub fn notice(text: &str) {
    ::log::info!(target: NOTICE, "{text}");
}

/// `-q` and `quiet` (true) or `-V` (false): whether anything shows at all.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// `-d`: debug lines show as with `RUST_LOG=oneloop=debug`.
pub fn show_debug() {
    DEBUG.store(true, Ordering::Relaxed);
    ::log::set_max_level(::log::max_level().max(LevelFilter::Debug));
}

/// Lines carry this pid: what a worker finds while it loads is said in its master's name. 0 is the
/// process's own.
pub fn speak_as(pid: u32) {
    SPEAKER.store(pid, Ordering::Relaxed);
}

/// Each line is also sent to a master behind this descriptor; negative ends that.
pub fn copy_to(descriptor: i32) {
    COPY.store(descriptor, Ordering::Relaxed);
}

/// A line as it is printed.
#[must_use]
pub fn line(level: Level, target: &str, text: &dyn Display) -> String {
    format!("{} : {text}", head(level, target))
}

/// The time of the loop's turn. Until it is first set, messages read the clock themselves.
pub fn set_now(now: &Now) {
    WALL_S.store(now.wall_ms / 1000, Ordering::Relaxed);
    UTC_OFFSET_S.store(now.utc_offset_s, Ordering::Relaxed);
}

/// What was said so far: `show startup-logs`.
pub fn startup() -> String {
    let said = STARTUP.lock().unwrap_or_else(PoisonError::into_inner);
    said.clone()
}

/// Prints what the reading of a configuration found, in order; `diagnostic` is `-dD`.
pub fn print(found: &Diagnostics, diagnostic: bool) {
    for one in found.list() {
        let text = found.render(one);
        match one.severity {
            Severity::Alert => ::log::error!("{text}"),
            Severity::Warning => ::log::warn!("{text}"),
            Severity::Notice => notice(&text),
            Severity::Diag if diagnostic => ::log::info!(target: DIAG, "{text}"),
            Severity::Diag => {}
        }
    }
}

/// The logger: one that prints everything it is given, behind a gate of our own.
struct Messages {
    printer: env_logger::Logger,
    /// Only asked what `RUST_LOG` wants beyond what always shows.
    extra: env_logger::Logger,
    /// Read at the start: after `chroot` there is no `/proc` to ask.
    executable: PathBuf,
}

impl Messages {
    fn new(extra: &str, target: env_logger::Target) -> Self {
        let printer = env_logger::Builder::new()
            .filter_level(LevelFilter::Trace)
            .target(target)
            .format(|out, record| {
                let line = line(record.level(), record.target(), record.args());
                if WALL_S.load(Ordering::Relaxed) == 0 {
                    let mut said = STARTUP.lock().unwrap_or_else(PoisonError::into_inner);
                    if said.len() < STARTUP_MAX {
                        said.push_str(&line);
                        said.push('\n');
                    }
                }
                let copy = COPY.load(Ordering::Relaxed);
                if copy >= 0 {
                    // A master that is gone, or does not read, misses it.
                    drop(channel::send(copy, Kind::Said, line.as_bytes(), &[]));
                }
                if QUIET.load(Ordering::Relaxed) {
                    return Ok(());
                }
                writeln!(out, "{line}")
            })
            .build();
        let extra = env_logger::Builder::new().parse_filters(extra).build();
        Self {
            printer,
            extra,
            executable: std::env::current_exe().unwrap_or_default(),
        }
    }
}

/// What no filter may hide.
fn always(level: Level, target: &str) -> bool {
    let ours = target == "oneloop" || target.starts_with("oneloop::");
    level <= Level::Warn
        || target == NOTICE
        || target == DIAG
        || (level <= Level::Debug && ours && DEBUG.load(Ordering::Relaxed))
}

impl Log for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        always(metadata.level(), metadata.target()) || self.extra.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if QUIET.load(Ordering::Relaxed) && COPY.load(Ordering::Relaxed) < 0 {
            return;
        }
        if record.level() == Level::Error && !VERSION_SAID.swap(true, Ordering::Relaxed) {
            self.say(format_args!("haproxy version is {VERSION_AS_HAPROXY}"));
            let path = self.executable.display();
            self.say(format_args!("path to executable is {path}"));
        }
        if always(record.level(), record.target())
            || (record.level() >= Level::Info && self.extra.matches(record))
        {
            self.printer.log(record);
        }
    }

    fn flush(&self) {
        self.printer.flush();
    }
}

impl Messages {
    fn say(&self, text: std::fmt::Arguments<'_>) {
        self.printer.log(
            &Record::builder()
                .level(Level::Info)
                .target(NOTICE)
                .args(text)
                .build(),
        );
    }
}

/// `[WARNING] 049/040303 (4418)`.
fn head(level: Level, target: &str) -> String {
    let name = match level {
        Level::Error => "ALERT",
        Level::Warn => "WARNING",
        Level::Info if target == DIAG => "DIAG",
        Level::Info => "NOTICE",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    };
    let (seconds, offset) = match WALL_S.load(Ordering::Relaxed) {
        0 => local_time(),
        seconds => (seconds, UTC_OFFSET_S.load(Ordering::Relaxed)),
    };
    let date = Civil::new(seconds, offset);
    let pid = match SPEAKER.load(Ordering::Relaxed) {
        0 => std::process::id(),
        speaker => speaker,
    };
    format!(
        "[{name}] {:03}/{:02}{:02}{:02} ({pid})",
        date.year_day, date.hour, date.minute, date.second
    )
}

/// The wall clock and the offset of local time, read from the system: only before the loop runs.
#[allow(unsafe_code)]
fn local_time() -> (u64, i32) {
    // SAFETY: `time` takes a null pointer; `localtime_r` reads one integer and fills one structure,
    // both of which live here. It reads TZ, which no other thread changes: there is only this one.
    let (seconds, broken) = unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        let mut broken: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut broken);
        (seconds, broken)
    };
    let offset = i32::try_from(broken.tm_gmtoff).unwrap_or(0);
    (u64::try_from(seconds).unwrap_or(0), offset)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    /// The flags above belong to the process, so only one test may use them at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(extra: &str, records: &[(Level, &str, &str)]) -> Vec<String> {
        let sink = Sink::default();
        let messages = Messages::new(extra, env_logger::Target::Pipe(Box::new(sink.clone())));
        for (level, target, text) in records {
            let mut record = Record::builder();
            record
                .level(*level)
                .target(target)
                .module_path(Some(target));
            messages.log(&record.args(format_args!("{text}")).build());
        }
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_line_form_is_that_of_the_article() {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        VERSION_SAID.store(false, Ordering::Relaxed);
        // 19 February 2023, 04:03:03 at UTC+1.
        let wall_ms = 1_676_775_783_999;
        set_now(&Now {
            ms: 0,
            wall_ms,
            utc_offset_s: 3600,
        });
        let lines = said(
            "",
            &[
                (Level::Warn, "oneloop::engine", "Server b/s is DOWN."),
                (
                    Level::Error,
                    "oneloop::engine",
                    "backend 'b' has no server available!",
                ),
                (Level::Error, "oneloop::engine", "one\n  two"),
                (Level::Info, DIAG, "d"),
            ],
        );
        set_now(&Now::default());
        let pid = std::process::id();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(
            lines,
            [
                format!("[WARNING] 049/040303 ({pid}) : Server b/s is DOWN."),
                format!("[NOTICE] 049/040303 ({pid}) : haproxy version is {VERSION_AS_HAPROXY}"),
                format!(
                    "[NOTICE] 049/040303 ({pid}) : path to executable is {}",
                    exe.display()
                ),
                format!("[ALERT] 049/040303 ({pid}) : backend 'b' has no server available!"),
                format!("[ALERT] 049/040303 ({pid}) : one"),
                "  two".to_owned(),
                format!("[DIAG] 049/040303 ({pid}) : d"),
            ]
        );
    }

    #[test]
    fn filters_add_and_never_hide() {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        VERSION_SAID.store(true, Ordering::Relaxed);
        let records = [
            (Level::Error, "oneloop::net", "e"),
            (Level::Warn, "oneloop::net", "w"),
            (Level::Info, NOTICE, "n"),
            (Level::Info, "oneloop::net", "i"),
            (Level::Debug, "oneloop::net", "d"),
            (Level::Trace, "oneloop::net", "t"),
        ];
        let table = [
            ("", "ewn"),
            ("off", "ewn"),
            ("error", "ewn"),
            ("oneloop=off", "ewn"),
            ("oneloop::notice=off", "ewn"),
            ("debug", "ewnid"),
            ("oneloop::net=trace", "ewnidt"),
            ("other=trace", "ewn"),
            ("nonsense=x=y", "ewn"),
        ];
        for (extra, shown) in table {
            let lines = said(extra, &records);
            let last: String = lines
                .iter()
                .filter_map(|line| line.chars().last())
                .collect();
            assert_eq!(last, shown, "RUST_LOG={extra}");
        }
        DEBUG.store(true, Ordering::Relaxed);
        let lines = said("", &records);
        DEBUG.store(false, Ordering::Relaxed);
        assert_eq!(lines.len(), 5, "all but the trace line: {lines:?}");
        set_quiet(true);
        let lines = said("trace", &records);
        set_quiet(false);
        assert!(lines.is_empty());
    }

    #[test]
    fn the_clock_is_read_before_the_loop_runs() {
        let (seconds, offset) = local_time();
        assert!(seconds > 1_700_000_000 && offset.abs() <= 14 * 3600);
    }
}
