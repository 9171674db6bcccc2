//! The command line: one table of HAProxy's options, read by the parser, by the usage text and by
//! the test of the manual page.
//!
//! An option either does what it does in HAProxy, or is refused by name because oneloop lacks what
//! it asks for. Those that switch off something oneloop never has (`-dp`, `-dV`) are satisfied as
//! they stand. This file reads words into `Options` and makes texts; it opens nothing, prints
//! nothing and ends no process: `main` does.
//!
//! Rejected: an argument parser from a crate. HAProxy's options have their own grammar (`-dM0x41`,
//! `-sf 1 2 3`, no clusters), which such a parser would have to be talked out of.

use std::fmt::Write as _;

use crate::base::version::{
    FEATURES, FEATURES_MISSING, LANGUAGE, RELEASE_DATE, VERSION, VERSION_AS_HAPROXY,
};

/// The byte that `-dM` without a value fills lent memory with.
pub const POISON: u8 = 0x50;

/// What a run is asked to do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Task {
    /// Read the configuration and serve.
    #[default]
    Serve,
    /// `-c`: read the configuration and say whether it is good.
    Check,
    /// `-cc CONDITION`: evaluate it; true is exit 0, false 1, an error 2.
    Condition(String),
    /// `-v`: print `banner()` and exit 0.
    Version,
    /// `-vv`: print `build_facts()` and exit 0.
    BuildFacts,
}

/// The command line as read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// What to do.
    pub task: Task,
    /// `-f` and what follows `--`, in order: files or directories of `*.cfg` files.
    pub files: Vec<String>,
    /// `-C`: change there before reading the files.
    pub directory: Option<String>,
    /// `-D`: detach from the terminal.
    pub daemon: bool,
    /// `-d`: stay in the foreground and show events.
    pub debug: bool,
    /// `-db` (and `-d`): stay in the foreground whatever the configuration says.
    pub foreground: bool,
    /// `-q`: no messages; `Some(false)` is `-V`, which wins over `-q` and over `quiet` in `global`.
    pub quiet: Option<bool>,
    /// `-dW`: warnings are errors.
    pub zero_warning: bool,
    /// `-dS`: bytes are copied, whatever the options say.
    pub no_splice: bool,
    /// `-dD`: print diagnostics of the lowest severity too.
    pub diagnostic: bool,
    /// `-dM[BYTE]`: fill lent memory with this byte.
    pub poison: Option<u8>,
    /// `-dr`: a server name that does not resolve is no error.
    pub ignore_resolution: bool,
    /// `-n`: the limit of connections of the process, over `maxconn` in `global`.
    pub maxconn: Option<u32>,
    /// `-N`: the default `maxconn` of a proxy.
    pub proxy_maxconn: Option<u32>,
    /// `-m`: the limit of memory in megabytes.
    pub memory_mb: Option<u32>,
    /// `-p`: the pid file, over `pidfile` in `global`.
    pub pidfile: Option<String>,
    /// `-dKcfg`, `-dKall`: print `config::keywords::list` once the configuration was read.
    pub list_keywords: bool,
    /// `-L`: the name of the local peer.
    pub localpeer: Option<String>,
    /// `-W`: a master process that starts and follows the one that serves.
    pub master: bool,
    /// `-Ws`: the same, and the service manager is told.
    pub notify: bool,
    /// `-S`: where the master's runtime socket listens, with options behind commas.
    pub master_socket: Option<String>,
    /// `-sf`: processes that shall finish once this one serves.
    pub finish: Vec<u32>,
    /// `-st`: processes that shall end at once.
    pub terminate: Vec<u32>,
    /// `-x`: the runtime socket of the process whose listeners are taken.
    pub listeners_from: Option<String>,
}

/// Why the command line was not taken. Either way the exit code is 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CliError {
    /// Print `banner()` on stdout and `usage()` on stderr; the text, if any, goes below the usage.
    Usage(Option<String>),
    /// Print the text as an ALERT.
    Alert(String),
}

/// What an option does to `Options`.
#[derive(Clone, Copy)]
enum Effect {
    Flag(fn(&mut Options)),
    /// With a value, which is the next argument.
    Value(fn(&mut Options, &str)),
    /// All that is left are files.
    Rest,
    /// A byte right behind the option (`-dM0`).
    Poison,
    /// Classes right behind the option (`-dKcfg`).
    Keywords,
    /// Process ids, up to the next option.
    Pids(fn(&mut Options, u32)),
    /// HAProxy has it, oneloop does not; takes this many values.
    Lacking,
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct CliOption {
    /// The option with its dash.
    pub name: &'static str,
    /// The name of its value, empty without one.
    pub value: &'static str,
    /// What it does, for the usage text; empty for what oneloop lacks.
    pub help: &'static str,
    effect: Effect,
}

impl CliOption {
    /// Whether oneloop does it.
    pub fn supported(&self) -> bool {
        !matches!(self.effect, Effect::Lacking)
    }
}

const fn flag(name: &'static str, help: &'static str, set: fn(&mut Options)) -> CliOption {
    CliOption {
        name,
        value: "",
        help,
        effect: Effect::Flag(set),
    }
}

const fn value(
    name: &'static str,
    value: &'static str,
    help: &'static str,
    set: fn(&mut Options, &str),
) -> CliOption {
    CliOption {
        name,
        value,
        help,
        effect: Effect::Value(set),
    }
}

const fn lacking(name: &'static str, value: &'static str) -> CliOption {
    CliOption {
        name,
        value,
        help: "",
        effect: Effect::Lacking,
    }
}

/// Every option of HAProxy 2.6, those of oneloop first.
pub const OPTIONS: &[CliOption] = &[
    value(
        "-f",
        "<cfgfile|cfgdir>",
        "reads this file, or the *.cfg files of this directory",
        |o, v| {
            o.files.push(v.to_owned());
        },
    ),
    flag("-c", "checks the configuration and exits", |o| {
        o.task = Task::Check
    }),
    value(
        "-cc",
        "<condition>",
        "evaluates a condition of the configuration language and exits",
        |o, v| {
            o.task = Task::Condition(v.to_owned());
        },
    ),
    flag("-v", "prints the version", |o| o.task = Task::Version),
    flag("-vv", "prints the version and what was built in", |o| {
        o.task = Task::BuildFacts
    }),
    flag("-D", "goes into the background", |o| o.daemon = true),
    flag(
        "-d",
        "debug mode: stays in the foreground and shows events",
        |o| {
            o.debug = true;
            o.foreground = true;
        },
    ),
    flag("-db", "stays in the foreground", |o| o.foreground = true),
    flag("-q", "quiet: no messages", |o| {
        o.quiet.get_or_insert(true);
    }),
    flag("-V", "verbose: undoes -q and 'quiet'", |o| {
        o.quiet = Some(false)
    }),
    value(
        "-C",
        "<dir>",
        "changes to this directory before reading files",
        |o, v| {
            o.directory = Some(v.to_owned());
        },
    ),
    value(
        "-n",
        "<maxconn>",
        "limits the connections of the process",
        |o, v| {
            o.maxconn = number(v);
        },
    ),
    value(
        "-N",
        "<maxpconn>",
        "sets the default maxconn of a proxy",
        |o, v| {
            o.proxy_maxconn = number(v);
        },
    ),
    value("-m", "<megs>", "limits the memory in use", |o, v| {
        o.memory_mb = number(v)
    }),
    value("-p", "<pidfile>", "writes the pid to this file", |o, v| {
        o.pidfile = Some(v.to_owned());
    }),
    value(
        "-L",
        "<name>",
        "sets the local peer's name (default: the host name)",
        |o, v| {
            o.localpeer = Some(v.to_owned());
        },
    ),
    CliOption {
        name: "-dM",
        value: "[<byte>]",
        help: "fills lent memory with a byte (default 0x50)",
        effect: Effect::Poison,
    },
    CliOption {
        name: "-dK",
        value: "<cfg|all>",
        help: "lists the keywords of the configuration",
        effect: Effect::Keywords,
    },
    flag("-dW", "fails if there is any warning", |o| {
        o.zero_warning = true
    }),
    flag("-dD", "also tells what merely looks suspicious", |o| {
        o.diagnostic = true
    }),
    flag("-dS", "copies all bytes: no splice(2)", |o| {
        o.no_splice = true
    }),
    flag("-dr", "ignores server names that do not resolve", |o| {
        o.ignore_resolution = true
    }),
    flag(
        "-dI",
        "accepted: oneloop never starts other programs",
        |_| (),
    ),
    flag("-dV", "accepted: oneloop has no TLS to verify", |_| ()),
    flag("-dp", "accepted: oneloop uses epoll, never poll", |_| ()),
    CliOption {
        name: "--",
        value: "<cfgfile>*",
        help: "all that follows are files",
        effect: Effect::Rest,
    },
    flag("-W", "starts a master, which starts who serves", |o| {
        o.master = true
    }),
    flag("-Ws", "the same, and tells the service manager", |o| {
        o.master = true;
        o.notify = true;
    }),
    value(
        "-S",
        "<bind>[,option]*",
        "sets the master's runtime socket",
        |o, v| o.master_socket = Some(v.to_owned()),
    ),
    CliOption {
        name: "-sf",
        value: "<pid>*",
        help: "lets these processes finish once this one serves",
        effect: Effect::Pids(|o, pid| o.finish.push(pid)),
    },
    CliOption {
        name: "-st",
        value: "<pid>*",
        help: "ends these processes once this one serves",
        effect: Effect::Pids(|o, pid| o.terminate.push(pid)),
    },
    value(
        "-x",
        "<unix_socket>",
        "takes the listeners of the process behind this runtime socket",
        |o, v| o.listeners_from = Some(v.to_owned()),
    ),
    lacking("-de", ""),
    lacking("-dG", ""),
    lacking("-dR", ""),
    lacking("-dL", ""),
];

/// Reads the arguments, without the program's own name.
pub fn parse<I: IntoIterator<Item = String>>(arguments: I) -> Result<Options, CliError> {
    let mut options = Options::default();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let row = OPTIONS.iter().find(|row| row.name == argument);
        let row = row
            .or_else(|| prefixed(&argument))
            .ok_or(CliError::Usage(None))?;
        match row.effect {
            Effect::Flag(set) => set(&mut options),
            Effect::Value(set) => match arguments.next() {
                Some(value) => set(&mut options, &value),
                None => {
                    let text = format!("'{}' expects {}.", row.name, row.value);
                    return Err(CliError::Usage(Some(text)));
                }
            },
            Effect::Rest => options.files.extend(arguments.by_ref()),
            Effect::Poison => options.poison = Some(poison(&argument)?),
            Effect::Keywords => {
                let classes = argument.strip_prefix("-dK").unwrap_or("");
                let known = |class: &str| matches!(class, "cfg" | "all");
                options.list_keywords = classes.split(',').any(known);
                if !options.list_keywords {
                    let text =
                        format!("-dK: oneloop lists the classes 'cfg' and 'all' <{classes}>");
                    return Err(CliError::Alert(text));
                }
            }
            Effect::Pids(add) => {
                while let Some(word) = arguments.next_if(|word| !word.starts_with('-')) {
                    let Some(pid) = word.parse().ok().filter(|pid| *pid > 0) else {
                        let name = row.name;
                        let text =
                            format!("{name} option: some bytes unconsumed in PID list {{{word}}}");
                        return Err(CliError::Alert(text));
                    };
                    add(&mut options, pid);
                }
            }
            Effect::Lacking => {
                let text = format!("'{}' is not implemented by oneloop.", row.name);
                return Err(CliError::Alert(text));
            }
        }
    }
    let file_needed = matches!(options.task, Task::Serve | Task::Check);
    if file_needed && options.files.is_empty() {
        return Err(CliError::Usage(None));
    }
    Ok(options)
}

/// `-dM` and `-dK` carry their value in the same word.
fn prefixed(argument: &str) -> Option<&'static CliOption> {
    OPTIONS
        .iter()
        .find(|row| matches!(row.name, "-dM" | "-dK") && argument.starts_with(row.name))
}

fn poison(argument: &str) -> Result<u8, CliError> {
    let text = argument.strip_prefix("-dM").unwrap_or("");
    if text.is_empty() {
        return Ok(POISON);
    }
    let byte = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    byte.ok_or_else(|| CliError::Alert(format!("-dM: unknown pool debugging feature <{text}>")))
}

/// The digits at the start, as C's `atol` takes them; a limit of 0 is none.
fn number(text: &str) -> Option<u32> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, _) = text.split_at(count);
    digits.parse().ok().filter(|value| *value > 0)
}

/// The four lines of `-v` (`system` is what `uname` says), for people: the first word is ours.
pub fn banner(system: &str) -> String {
    format!(
        "oneloop version {VERSION} {RELEASE_DATE} - HAProxy {LANGUAGE} language, one thread, one event loop\n\
         Status: {VERSION_AS_HAPROXY} is what tools are told.\n\
         Known differences from HAProxy: docs/differences.md\n\
         Running on: {system}\n"
    )
}

/// What `-vv` prints: the banner and what was built in.
pub fn build_facts(system: &str) -> String {
    let has = FEATURES.iter().map(|name| ('+', *name));
    let lacks = FEATURES_MISSING.iter().map(|name| ('-', *name));
    let mut features: Vec<(char, &str)> = has.chain(lacks).collect();
    features.sort_by_key(|(_, name)| *name);
    let mut out = banner(system);
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let _ = write!(
        out,
        "Build options :\n  TARGET  = {}-{}\n  PROFILE = {profile}\n\nFeature list :",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    for (sign, name) in features {
        let _ = write!(out, " {sign}{name}");
    }
    out.push_str(
        "\n\nDefault settings :\n  bufsize = 16384, maxrewrite = 1024\n\n\
         Built without multi-threading support: one loop serves.\n\
         Built without TLS support.\n\
         Regular expressions: the regex crate (linear time; no look-around, no back-references).\n\n\
         Available polling systems :\n      epoll : edge-triggered, one registration a socket\n\
         Total: 1 (1 usable), will use epoll.\n",
    );
    out
}

/// The usage text, made from the table.
pub fn usage() -> String {
    let mut out = "Usage : oneloop [-f <cfgfile|cfgdir>]* [ options ] [-- <cfgfile>*]\n".to_owned();
    for row in OPTIONS.iter().filter(|row| row.supported()) {
        let blank = if row.value.is_empty() || matches!(row.name, "-dM" | "-dK") {
            ""
        } else {
            " "
        };
        let option = format!("{}{blank}{}", row.name, row.value);
        let _ = writeln!(out, "        {option:<22} {}", row.help);
    }
    let lacking: Vec<&str> = OPTIONS
        .iter()
        .filter(|row| !row.supported())
        .map(|row| row.name)
        .collect();
    let _ = writeln!(
        out,
        "        not implemented by oneloop: {}",
        lacking.join(" ")
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, CliError> {
        parse(line.split_ascii_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read() {
        let options = read("-f a -C /d -D -n 5 -N 6 -m 7 -p p -L l -dW -dD -dM -- b c").unwrap();
        assert_eq!(options.files, ["a", "b", "c"]);
        assert_eq!(options.directory.as_deref(), Some("/d"));
        assert_eq!(options.pidfile.as_deref(), Some("p"));
        assert_eq!(options.localpeer.as_deref(), Some("l"));
        assert_eq!((options.maxconn, options.proxy_maxconn), (Some(5), Some(6)));
        assert_eq!((options.memory_mb, options.poison), (Some(7), Some(POISON)));
        assert!(options.daemon && options.zero_warning && options.diagnostic);
        assert_eq!(options.task, Task::Serve);
        assert_eq!(read("-c -f a").unwrap().task, Task::Check);
        assert_eq!(read("-cc 1").unwrap().task, Task::Condition("1".into()));
        assert_eq!(read("-v").unwrap().task, Task::Version);
        assert_eq!(read("-vv").unwrap().task, Task::BuildFacts);
        assert_eq!(read("-q -V -f a").unwrap().quiet, Some(false));
        assert_eq!(read("-V -q -f a").unwrap().quiet, Some(false));
        assert_eq!(read("-q -f a").unwrap().quiet, Some(true));
        assert_eq!(read("-dM0x41 -f a").unwrap().poison, Some(0x41));
        assert_eq!(read("-dM0 -f a").unwrap().poison, Some(0));
        assert_eq!(read("-n x -f a").unwrap().maxconn, None);
        assert!(read("-dKsmp,cfg -f a").unwrap().list_keywords);
    }

    #[test]
    fn processes_that_follow_each_other() {
        let options = read("-Ws -S /s,mode,600 -x /o -sf 1 2 -st 3 -f a -sf").unwrap();
        assert!(options.master && options.notify);
        assert_eq!(options.master_socket.as_deref(), Some("/s,mode,600"));
        assert_eq!(options.listeners_from.as_deref(), Some("/o"));
        assert_eq!((options.finish, options.terminate), (vec![1, 2], vec![3]));
        let options = read("-W -f a").unwrap();
        assert!(options.master && !options.notify);
    }

    #[test]
    fn what_is_wrong() {
        for line in [
            "", "-c", "-Z", "foo", "-f", "-f a foo", "-c --", "-h", "--help", "-", "-cc",
        ] {
            assert!(matches!(read(line), Err(CliError::Usage(_))), "{line}");
        }
        for line in ["-sf 1 x -f a", "-st -f a -sf 0", "-de", "-dKfoo", "-dMx"] {
            assert!(matches!(read(line), Err(CliError::Alert(_))), "{line}");
        }
    }

    #[test]
    fn texts_come_from_the_table() {
        let usage = usage();
        for row in OPTIONS {
            assert!(usage.contains(row.name), "{}", row.name);
            assert_eq!(row.help.is_empty(), !row.supported(), "{}", row.name);
        }
        let mut names: Vec<&str> = OPTIONS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len());
        assert_eq!(banner("Linux").lines().count(), 4);
        assert!(banner("Linux").starts_with("oneloop version 0."));
        assert!(build_facts("Linux").contains(" +EPOLL"));
        assert!(build_facts("Linux").contains(" -OPENSSL"));
    }
}
