//! The table of runtime commands, and how a line becomes a call of one of them.
//!
//! One table serves dispatch, `help`, levels and suggestions, so that no command exists in one of
//! them only. A command of HAProxy's that oneloop lacks is refused by its name: neither called
//! unknown nor accepted and ignored. Rejected: abbreviations (`sh st`), because HAProxy has none.

use std::io::Write as _;

use super::help;
use super::{
    added, agent, change, cookies, errors, frontend, info, internals, lists, page, servers,
    sessions, stat, tasks, web,
};
use crate::base::addr::Endpoint;
use crate::base::version::VERSION_AS_HAPROXY;
use crate::config::model::{AccessLevel, Proxy};
use crate::engine::service::{Caller, Inquiry, Opened, Outcome, Service, SeverityOutput, View};

/// What a caller whose level is too low is told.
pub(super) const DENIED: &str = "Permission denied";

/// How grave a message is, with syslog's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Severity {
    /// A refusal.
    Error = 3,
    /// What came of a change that may not be what was meant.
    Warning = 4,
    /// Nothing was to be done.
    Notice = 5,
    /// An answer.
    Info = 6,
}

impl Severity {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
        }
    }
}

/// One command being run. `'v` is how long what it reads lives.
pub(super) struct Call<'c, 'v> {
    words: &'c [&'c str],
    /// The table it came from, for `help`.
    commands: &'c [Entry],
    /// Who asks.
    pub(super) caller: &'c mut Caller,
    /// What it may read.
    pub(super) view: &'c View<'v>,
    /// Where its answer goes.
    pub(super) out: &'c mut Vec<u8>,
}

impl<'c> Call<'c, '_> {
    /// The word at a place, empty if there is none.
    pub(super) fn word(&self, at: usize) -> &'c str {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// The words from a place on.
    pub(super) fn words_from(&self, at: usize) -> &'c [&'c str] {
        self.words.get(at..).unwrap_or_default()
    }

    /// Answers with a sentence, marked as `set severity-output` wants it.
    pub(super) fn message(&mut self, severity: Severity, text: &str) -> Outcome {
        self.mark(severity);
        drop(writeln!(self.out, "{text}"));
        Outcome::Done
    }

    /// Answers that it cannot be done.
    pub(super) fn refuse(&mut self, text: &str) -> Outcome {
        self.message(Severity::Error, text)
    }

    /// Answers what came of a change.
    pub(super) fn warn(&mut self, text: &str) -> Outcome {
        self.message(Severity::Warning, text)
    }

    /// As [`Call::message`], without the line's end: a few of HAProxy's sentences lack it, so that
    /// no empty line follows them.
    pub(super) fn message_unended(&mut self, severity: Severity, text: &str) -> Outcome {
        self.mark(severity);
        self.out.extend_from_slice(text.as_bytes());
        Outcome::Done
    }

    /// As [`Call::refuse`], without the line's end.
    pub(super) fn refuse_unended(&mut self, text: &str) -> Outcome {
        self.message_unended(Severity::Error, text)
    }

    /// As [`Call::warn`], without the line's end.
    pub(super) fn warn_unended(&mut self, text: &str) -> Outcome {
        self.message_unended(Severity::Warning, text)
    }

    /// The connection goes down to a level, and loses its modes.
    fn lower(&mut self, level: AccessLevel) -> Outcome {
        self.caller.level = level;
        self.caller.experimental = false;
        self.caller.expert = false;
        Outcome::Done
    }

    fn mark(&mut self, severity: Severity) {
        // Writing to a vector does not fail.
        drop(match self.caller.severity_output {
            SeverityOutput::None => Ok(()),
            SeverityOutput::Number => write!(self.out, "[{}]: ", severity as u8),
            SeverityOutput::String => write!(self.out, "[{}]: ", severity.word()),
        });
    }
}

/// Runs a command: writes its answer but for the empty line that ends it.
type Handler = fn(&mut Call<'_, '_>) -> Outcome;

/// A command of the table.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its words, one blank between them.
    pub name: &'static str,
    /// What follows them, as `help` prints it.
    pub arguments: &'static str,
    /// What it does, as `help` prints it.
    pub about: &'static str,
    /// The level it takes at least.
    pub level: AccessLevel,
    run: Handler,
}

const USER: AccessLevel = AccessLevel::User;
const OPERATOR: AccessLevel = AccessLevel::Operator;
const ADMIN: AccessLevel = AccessLevel::Admin;

const fn entry(
    name: &'static str,
    arguments: &'static str,
    level: AccessLevel,
    about: &'static str,
    run: Handler,
) -> Entry {
    Entry {
        name,
        arguments,
        about,
        level,
        run,
    }
}

/// All commands, in the order of their names.
#[rustfmt::skip]
pub const TABLE: &[Entry] = &[
    entry("add acl", "[@<ver>] <acl> <pattern>", lists::LEVEL, "add a pattern to an ACL", lists::add_acl),
    entry("add map", "[@<ver>] <map> <key> <value>", lists::LEVEL, "add a pair to a map, or pairs as a payload", lists::add_map),
    entry("add server", "<bk>/<srv> <addr> [opts]", ADMIN, "add a server, which begins in maintenance", added::add_server),
    entry("clear acl", "[@<ver>] <acl>", lists::LEVEL, "take all patterns out of an ACL", lists::clear_acl),
    entry("clear counters", "[all]", OPERATOR, "reset the maxima (all: every counter)", frontend::clear_counters),
    entry("clear map", "[@<ver>] <map>", lists::LEVEL, "take all pairs out of a map", lists::clear_map),
    entry("commit acl", "@<ver> <acl>", lists::LEVEL, "put a prepared version of an ACL to use", lists::commit_acl),
    entry("commit map", "@<ver> <map>", lists::LEVEL, "put a prepared version of a map to use", lists::commit_map),
    entry("del acl", "<acl> <key>|#<ref>", lists::LEVEL, "take patterns out of an ACL", lists::delete_acl),
    entry("del map", "<map> <key>|#<ref>", lists::LEVEL, "take pairs out of a map", lists::delete_map),
    entry("del server", "<bk>/<srv>", ADMIN, "delete a server in maintenance", added::del_server),
    entry("disable agent", "<bk>/<srv>", ADMIN, "stop the checks by an agent", agent::disable),
    entry("disable dynamic-cookie backend", "<bk>", ADMIN, "make no cookies for a backend's servers", cookies::disable),
    entry("disable frontend", "<frontend>", ADMIN, "stop accepting connections for a while", frontend::disable_frontend),
    entry("disable health", "<bk>/<srv>", ADMIN, "stop the health checks of a server", change::disable_health),
    entry("disable server", "<bk>/<srv>", ADMIN, "put a server into maintenance", change::disable_server),
    entry("enable agent", "<bk>/<srv>", ADMIN, "start the checks by an agent again", agent::enable),
    entry("enable dynamic-cookie backend", "<bk>", ADMIN, "make cookies for a backend's servers", cookies::enable),
    entry("enable frontend", "<frontend>", ADMIN, "accept connections again", frontend::enable_frontend),
    entry("enable health", "<bk>/<srv>", ADMIN, "start the health checks of a server again", change::enable_health),
    entry("enable server", "<bk>/<srv>", ADMIN, "take a server out of maintenance", change::enable_server),
    entry("get acl", "<acl> <value>", USER, "tell what an ACL finds for a value", lists::get_acl),
    entry("get map", "<map> <key>", USER, "tell what the lookups of a map find for a key", lists::get_map),
    entry("get var", "<name>", OPERATOR, "tell a variable of the whole process", get_var),
    entry("get weight", "<bk>/<srv>", USER, "tell a server's weight now and at the start", change::get_weight),
    entry("operator", "", OPERATOR, "go down to the level operator", operator),
    entry("prepare acl", "<acl>", lists::LEVEL, "begin a new version of an ACL", lists::prepare_acl),
    entry("prepare map", "<map>", lists::LEVEL, "begin a new version of a map", lists::prepare_map),
    entry("set dynamic-cookie-key backend", "<bk> <key>", ADMIN, "change what a backend's cookies are made with", cookies::set_key),
    entry("set map", "<map> <key>|#<ref> <value>", lists::LEVEL, "change the value of pairs of a map", lists::set_map),
    entry("set maxconn frontend", "<frontend> <value>", ADMIN, "change how many connections a frontend may have", frontend::set_maxconn_frontend),
    entry("set maxconn global", "<value>", ADMIN, "change how many connections there may be", frontend::set_maxconn_global),
    entry("set maxconn server", "<bk>/<srv> <value>", ADMIN, "change how many sessions a server may have", change::set_maxconn),
    entry("set profiling", "<what> {auto|on|off}", ADMIN, "measure what the loop does (off alone)", tasks::set_profiling),
    entry("set rate-limit", "<setting> global <value>", ADMIN, "change how many connections or sessions a second may bring", frontend::set_rate_limit),
    entry("set server", "<bk>/<srv> [opts]", ADMIN, "change a server's state, weight or health", change::set_server),
    entry("set severity-output", "[none|number|string]", USER, "mark messages with their severity", set_severity_output),
    entry("set timeout", "[cli] <delay>", USER, "change how long this connection may be silent", set_timeout),
    entry("set var", "<name> <expression>", USER, "set a variable of the whole process (experimental)", set_var),
    entry("set weight", "<bk>/<srv> <weight>", ADMIN, "change a server's weight", change::set_weight),
    entry("show acl", "[[@<ver>] <acl>]", USER, "list the lists of patterns, or the patterns of one", lists::show_acl),
    entry("show activity", "", USER, "tell what the loop has done", internals::activity),
    entry("show backend", "", USER, "list the backends", show_backend),
    entry("show cli level", "", USER, "tell the level of this connection", show_cli_level),
    entry("show cli sockets", "", USER, "list the runtime sockets", show_cli_sockets),
    entry("show env", "[var]", OPERATOR, "list the environment variables, or tell one", show_env),
    entry("show errors", "[<px>] [request|response]", OPERATOR, "tell the last bad request and answer of each proxy", show_errors),
    entry("show events", "[<sink>] [-w] [-n]", USER, "list the sinks of events", internals::events),
    entry("show fd", "[num]", OPERATOR, "list the sockets, or tell of one", internals::descriptors),
    entry("show info", "[desc|json|typed|float]*", USER, "tell what the process is and does", show_info),
    entry("show map", "[[@<ver>] <map>]", USER, "list the maps, or the pairs of one", lists::show_map),
    entry("show pools", "", USER, "tell how memory is used", internals::pools),
    entry("show profiling", "[<what>|<#lines>|byaddr]*", OPERATOR, "tell what is measured", tasks::profiling),
    entry("show resolvers", "[id]", USER, "list the resolvers, of which there are none", tasks::resolvers),
    entry("show schema json", "", USER, "tell the schema of the JSON forms", internals::schema),
    entry("show servers conn", "[<backend>]", USER, "list the servers' connections", show_servers_conn),
    entry("show servers state", "[<backend>]", USER, "list the servers' states, as a state file has them", show_servers_state),
    entry("show sess", "[<id>|all]", OPERATOR, "list the sessions, or tell more of one", sessions::show),
    entry("show startup-logs", "", OPERATOR, "tell what the process said while it started", internals::startup_logs),
    entry("show stat", "[desc|json|no-maint|typed|up]*", USER, "list the counters of each proxy and server", show_stat),
    entry("show tasks", "", OPERATOR, "tell how many sessions go on at once", tasks::tasks),
    entry("show threads", "", OPERATOR, "tell of the one thread", tasks::threads),
    entry("show version", "", USER, "tell the version", show_version),
    entry("shutdown frontend", "<frontend>", ADMIN, "stop a frontend for good", frontend::shutdown_frontend),
    entry("shutdown session", "<id>", ADMIN, "end a session", sessions::shutdown),
    entry("shutdown sessions server", "<bk>/<srv>", ADMIN, "end the sessions of a server", sessions::shutdown_server),
    entry("user", "", USER, "go down to the level user", user),
];

/// What stands at the end of every help.
#[rustfmt::skip]
pub(super) const ALWAYS: &[Entry] = &[
    entry("help", "[<command>]", USER, "list the commands, or those like this one", help),
    entry("prompt", "", USER, "switch the interactive mode on or off", prompt),
    entry("quit", "", USER, "end the connection", quit),
];

/// Commands that no help lists.
#[rustfmt::skip]
const UNLISTED: &[Entry] = &[
    entry("experimental-mode", "[on|off]", ADMIN, "allow experimental commands on this connection", experimental_mode),
    entry("expert-mode", "[on|off]", ADMIN, "allow expert commands on this connection", expert_mode),
];

/// HAProxy's commands that oneloop lacks.
const MISSING: &[&str] = &[
    "abort ssl",
    "add ssl crt-list",
    "clear table",
    "commit ssl",
    "debug dev",
    "del ssl",
    "new ssl",
    "set ssl",
    "set table",
    "show cache",
    "show libs",
    "show peers",
    "show ssl",
    "show table",
    "show tls-keys",
    "show trace",
    "trace",
];

/// The commands of the runtime socket, and what the services need.
#[derive(Debug, Default)]
pub struct Commands {
    policy: page::Policy,
}

impl Commands {
    /// The whole table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Service for Commands {
    type Page = web::Page;

    fn run(
        &mut self,
        command: &[u8],
        caller: &mut Caller,
        view: &View<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let words = words(&String::from_utf8_lossy(command));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut call = Call {
            words: &words,
            commands: TABLE,
            caller,
            view,
            out,
        };
        let outcome = dispatch(&mut call);
        if !matches!(outcome, Outcome::Quit) {
            out.push(b'\n');
        }
        outcome
    }

    fn open(&mut self, inquiry: &Inquiry<'_>, view: &View<'_>) -> Opened<web::Page> {
        web::open(inquiry, &self.policy, view)
    }

    fn fill(&mut self, page: &mut web::Page, view: &View<'_>, out: &mut Vec<u8>) -> bool {
        web::fill(page, view, out)
    }
}

fn dispatch(call: &mut Call<'_, '_>) -> Outcome {
    let known = call.commands.iter().chain(ALWAYS).chain(UNLISTED);
    let found = known.copied().find(|entry| begins(call.words, entry.name));
    match found {
        Some(entry) if call.caller.level < entry.level => call.refuse(DENIED),
        Some(entry) => (entry.run)(call),
        None => match MISSING.iter().find(|name| begins(call.words, name)) {
            Some(name) => refuse_as_missing(call, name),
            None => {
                let words = call.words;
                help::write_unknown(call.commands, words, call.out);
                Outcome::Done
            }
        },
    }
}

/// Refuses a command of HAProxy's by its name.
pub(super) fn refuse_as_missing(call: &mut Call<'_, '_>, name: &str) -> Outcome {
    call.refuse(&format!("'{name}' is not implemented by oneloop."))
}

/// True when the words begin with those of a name.
fn begins(words: &[&str], name: &str) -> bool {
    let mut given = words.iter();
    name.split(' ').all(|word| given.next() == Some(&word))
}

/// The words of a command: parted by blanks, a backslash taking any byte as it is.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = command.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\r' => words.extend(word.take()),
            '\\' => {
                let taken = characters.next().unwrap_or('\\');
                word.get_or_insert_default().push(taken);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn help(call: &mut Call<'_, '_>) -> Outcome {
    let words = call.words_from(1);
    help::write_help(call.commands, words, call.out);
    Outcome::Done
}

fn prompt(call: &mut Call<'_, '_>) -> Outcome {
    call.caller.interactive = !call.caller.interactive;
    Outcome::Done
}

fn quit(_: &mut Call<'_, '_>) -> Outcome {
    Outcome::Quit
}

fn user(call: &mut Call<'_, '_>) -> Outcome {
    call.lower(USER)
}

fn operator(call: &mut Call<'_, '_>) -> Outcome {
    call.lower(OPERATOR)
}

/// `on` and `off` switch a mode of the connection, any other word does nothing, none asks.
fn switch(call: &mut Call<'_, '_>, name: &str, mode: impl Fn(&mut Caller) -> &mut bool) -> Outcome {
    match call.word(1) {
        "" => {
            let state = if *mode(call.caller) { "ON" } else { "OFF" };
            return call.message(Severity::Info, &format!("{name} is {state}"));
        }
        "on" => *mode(call.caller) = true,
        "off" => *mode(call.caller) = false,
        _ => {}
    }
    Outcome::Done
}

fn experimental_mode(call: &mut Call<'_, '_>) -> Outcome {
    switch(call, "experimental-mode", |caller| &mut caller.experimental)
}

fn expert_mode(call: &mut Call<'_, '_>) -> Outcome {
    switch(call, "expert-mode", |caller| &mut caller.expert)
}

fn set_severity_output(call: &mut Call<'_, '_>) -> Outcome {
    call.caller.severity_output = match call.word(2) {
        "none" => SeverityOutput::None,
        "number" => SeverityOutput::Number,
        "string" => SeverityOutput::String,
        _ => return call.refuse("one of 'none', 'number', 'string' is a required argument"),
    };
    Outcome::Done
}

fn set_timeout(call: &mut Call<'_, '_>) -> Outcome {
    if call.word(2) != "cli" {
        return call.refuse("'set timeout' only supports 'cli'.");
    }
    match call.word(3) {
        "" => call.refuse("Expects an integer value."),
        delay => match delay_ms(delay) {
            Some(ms) => {
                call.caller.timeout_ms = ms;
                Outcome::Done
            }
            None => call.refuse("Invalid timeout value."),
        },
    }
}

/// A time in ms: a number and a unit, seconds by default.
fn delay_ms(delay: &str) -> Option<u32> {
    let len = delay.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = delay.split_at(len);
    let number: u64 = number.parse().ok()?;
    let us: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "" | "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        _ => return None,
    };
    let ms = number.checked_mul(us)?.div_ceil(1_000);
    u32::try_from(ms).ok().filter(|ms| *ms > 0 && *ms < 1 << 31)
}

/// `get var <name>`: one of the whole process, which checks may set.
fn get_var(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.word(2);
    if name.is_empty() {
        return call.refuse("Missing process-wide variable identifier.");
    }
    let known = call.view.variables.get(name.as_bytes());
    let Some(value) = known.filter(|_| name.starts_with("proc.")) else {
        return call.refuse("Variable not found.");
    };
    drop(write!(
        call.out,
        "{name}: type={} value=<",
        value.type_name()
    ));
    value.write(call.out);
    call.out.push(b'>');
    Outcome::Done
}

fn set_var(call: &mut Call<'_, '_>) -> Outcome {
    if !call.caller.experimental {
        return call.refuse("This command is restricted to experimental mode only.");
    }
    refuse_as_missing(call, "set var")
}

fn show_backend(call: &mut Call<'_, '_>) -> Outcome {
    servers::backends(call.view, call.out);
    Outcome::Done
}

const fn level_word(level: AccessLevel) -> &'static str {
    match level {
        AccessLevel::User => "user",
        AccessLevel::Operator => "operator",
        AccessLevel::Admin => "admin",
    }
}

fn show_cli_level(call: &mut Call<'_, '_>) -> Outcome {
    call.message(Severity::Info, level_word(call.caller.level))
}

fn show_cli_sockets(call: &mut Call<'_, '_>) -> Outcome {
    call.out.extend_from_slice(b"# socket lvl processes\n");
    for socket in &call.view.config.global.stats_sockets {
        let family = match &socket.endpoint {
            Endpoint::Inet(address) if address.is_ipv4() => "ipv4@",
            Endpoint::Inet(_) => "ipv6@",
            Endpoint::Unix(_) => "unix@",
            Endpoint::Abstract(_) => "",
        };
        let level = level_word(socket.level);
        drop(writeln!(
            call.out,
            "{family}{} {level} all",
            socket.endpoint
        ));
    }
    Outcome::Done
}

fn show_env(call: &mut Call<'_, '_>) -> Outcome {
    let environment = &call.view.config.global.environment;
    let wanted = call.word(2);
    let mut found = environment
        .iter()
        .filter(|(name, _)| wanted.is_empty() || *name == wanted)
        .peekable();
    if found.peek().is_none() && !wanted.is_empty() {
        return call.refuse("Variable not found");
    }
    for (name, value) in found {
        drop(writeln!(call.out, "{name}={value}"));
    }
    Outcome::Done
}

fn show_errors(call: &mut Call<'_, '_>) -> Outcome {
    let mut words = call.words_from(2).iter().copied();
    let mut name = words.next();
    let mut kind = words.next();
    if matches!(name, Some("request" | "response")) && kind.is_none() {
        // HAProxy wants the proxy first; a direction alone can only mean all of them.
        kind = name.take();
    }
    let chosen = match name {
        None | Some("-1") => None,
        Some(name) => {
            let number = name.parse::<u32>().ok();
            let is_it = |proxy: &&Proxy| proxy.name == name || Some(proxy.number) == number;
            match call.view.config.proxies.iter().find(is_it) {
                Some(proxy) => Some(proxy.number),
                None => return call.refuse("No such proxy."),
            }
        }
    };
    let answers = match kind {
        Some("request") => Some(false),
        Some("response") => Some(true),
        _ => None,
    };
    errors::show(call.view, chosen, answers, call.out);
    Outcome::Done
}

fn show_info(call: &mut Call<'_, '_>) -> Outcome {
    let words = call.words_from(2);
    info::show(words, call.view, call.out);
    Outcome::Done
}

/// The third word, if there is one.
fn backend_name<'a>(call: &Call<'a, '_>) -> Option<&'a str> {
    call.words.get(3).copied()
}

fn show_servers_conn(call: &mut Call<'_, '_>) -> Outcome {
    match servers::connections(backend_name(call), call.view, call.out) {
        Ok(()) => Outcome::Done,
        Err(text) => call.refuse(text),
    }
}

fn show_servers_state(call: &mut Call<'_, '_>) -> Outcome {
    match servers::state(backend_name(call), call.view, call.out) {
        Ok(()) => Outcome::Done,
        Err(text) => call.refuse(text),
    }
}

fn show_stat(call: &mut Call<'_, '_>) -> Outcome {
    let words = call.words_from(2);
    match stat::Request::new(words, call.caller.level, call.view) {
        Ok(request) => {
            stat::show(&request, call.view, call.out);
            Outcome::Done
        }
        Err(text) => call.refuse(text),
    }
}

fn show_version(call: &mut Call<'_, '_>) -> Outcome {
    call.message(Severity::Info, VERSION_AS_HAPROXY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_no_name_twice() {
        for names in [
            TABLE.iter().map(|entry| entry.name).collect::<Vec<_>>(),
            MISSING.to_vec(),
        ] {
            assert!(names.is_sorted(), "{names:?}");
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }

    #[test]
    fn no_command_hides_another() {
        let names = TABLE
            .iter()
            .chain(ALWAYS)
            .chain(UNLISTED)
            .map(|entry| entry.name);
        let names: Vec<&str> = names.chain(MISSING.iter().copied()).collect();
        for name in &names {
            let words: Vec<&str> = name.split(' ').collect();
            let hits = names.iter().filter(|other| begins(&words, other));
            assert_eq!(hits.count(), 1, "{name}");
        }
    }

    #[test]
    fn words_are_parted_by_blanks() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  ", &[]),
            (" show   info\t", &["show", "info"]),
            (r"a\ b c\\d", &["a b", r"c\d"]),
            ("x\\", &["x\\"]),
        ];
        for (command, expected) in cases {
            assert_eq!(words(command), *expected, "{command:?}");
        }
    }

    #[test]
    fn delays() {
        let cases = [
            ("5", Some(5_000)),
            ("2s", Some(2_000)),
            ("15ms", Some(15)),
            ("1h", Some(3_600_000)),
            ("1us", Some(1)),
            ("0", None),
            ("abc", None),
            ("5x", None),
            ("99999999d", None),
        ];
        for (word, expected) in cases {
            assert_eq!(delay_ms(word), expected, "{word}");
        }
    }
}
