//! The lines of `global` (configuration.txt 3).
//!
//! A value that was already given stays and the second line is reported, as HAProxy does.
//! Keywords about threads are satisfied by the one thread there is; the first value that asks
//! for more gets the one warning about it. Keywords about TLS are checked for their form: they
//! speak of `ssl` binds and servers, which are refused where they stand.
//!
//! `setenv` and its kin act in the first pass (`change_environment`), because the lexer of
//! later lines reads what they set. Nothing here touches the process.

use super::diag::Diagnostics;
use super::draft::LogLine;
use super::keywords::{Admitted, Class, Prefix, admit_word};
use super::lexer::{Line, Variables};
use super::sections::Parser;
use super::units::{self, TimeUnit};

/// TLS versions as `ssl-min-ver` names them.
const TLS_VERSIONS: [&str; 5] = ["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// Options of `ssl-default-bind-options` and `ssl-default-server-options` without argument.
const TLS_OPTIONS: [&str; 11] = [
    "no-sslv3",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "no-tls-tickets",
];

/// Those that only `ssl-default-bind-options` has.
const TLS_BIND_OPTIONS: [&str; 1] = ["prefer-client-ciphers"];

/// The least `tune.bufsize` that can hold a head worth the name.
const BUFFER_MIN: i64 = 1000;
/// The largest `tune.bufsize` that offsets of 32 bits and a sane memory allow.
const BUFFER_MAX: i64 = 256 << 20;

/// Runs `setenv`, `presetenv`, `unsetenv` and `resetenv`; leaves other lines alone.
///
/// `localpeer_is_set`: `-L` has named the local peer, and a `localpeer` line changes nothing.
pub(super) fn change_environment(
    line: &Line,
    localpeer_is_set: bool,
    variables: &mut Variables,
    found: &mut Diagnostics,
) {
    let keyword = line.word(0);
    let mut refuse = |index: usize, message: String| {
        found
            .alert(line.at(index), message)
            .lead(super::diag::Lead::ParsingTight);
    };
    match keyword.as_ref() {
        "setenv" | "presetenv" => {
            let name = line.bytes(1);
            if line.words.len() < 3 {
                refuse(
                    line.words.len(),
                    format!("'{keyword}' expects a name and a value."),
                );
            } else if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
                let name = line.word(1);
                refuse(
                    1,
                    format!("'{keyword}' failed on variable '{name}' : Invalid argument."),
                );
            } else if let Some(extra) = line.words.get(3) {
                let extra = extra.str();
                refuse(
                    3,
                    format!("'{keyword}' cannot handle unexpected argument '{extra}'."),
                );
            } else if keyword == "setenv" {
                variables.set(name, line.bytes(2));
            } else {
                variables.preset(name, line.bytes(2));
            }
        }
        "unsetenv" => {
            if line.words.len() < 2 {
                refuse(
                    1,
                    "'unsetenv' expects at least one variable name.".to_owned(),
                );
            }
            for word in line.from(1) {
                variables.unset(&word.text);
            }
        }
        "localpeer" if localpeer_is_set && line.words.len() == 2 => {
            let message = "'localpeer' ignored since it is already set by using the '-L' command line argument.";
            found.warning(line.at(0), message);
        }
        "localpeer" if !line.bytes(1).is_empty() && !localpeer_is_set => {
            variables.set(b"HAPROXY_LOCALPEER", line.bytes(1));
        }
        "resetenv" => {
            variables.retain(|name| line.from(1).iter().any(|word| word.text == name));
        }
        _ => {}
    }
}

impl Parser<'_> {
    /// One line of `global`.
    pub(super) fn global_line(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        match admitted.keyword.name {
            "log" => self.global_log(admitted),
            "log-tag" => self.log_tag_line(line),
            "log-send-hostname" => {
                if self.only(line, 1) {
                    let named = line.words.get(1).map(|word| word.str().into_owned());
                    self.global.log_hostname = named.or_else(|| Some(self.host.hostname()));
                }
            }
            "chroot" => self.chroot_line(line),
            "unix-bind" => self.unix_bind_line(line),
            "user" | "uid" | "group" | "gid" => self.identity_line(admitted.keyword.name, line),
            "daemon" => self.global.daemon |= self.only(line, 0),
            "quiet" => self.global.quiet |= self.only(line, 0),
            "zero-warning" => self.global.zero_warning |= self.only(line, 0),
            "set-dumpable" => {
                if self.only(line, 0) {
                    self.global.dumpable = admitted.prefix != Prefix::No;
                }
            }
            "external-check" => self.global.programs_checked |= self.only(line, 0),
            "insecure-fork-wanted" => {
                if self.only(line, 0) {
                    self.global.forks = admitted.prefix != Prefix::No;
                }
            }
            "insecure-setuid-wanted" => self.global.gains_privileges |= self.only(line, 0),
            "strict-limits" => {
                if self.only(line, 0) {
                    self.global.limits_are_loose = admitted.prefix == Prefix::No;
                }
            }
            "pidfile" => self.pid_file_line(line),
            "server-state-base" | "server-state-file" => self.state_line(line),
            "maxconn" => {
                let expects = "'maxconn' expects an integer argument.";
                if self.global.maxconn.is_some() {
                    self.already(line);
                } else if let Some(number) = self.count_line(line, expects) {
                    // As in HAProxy, 0 means "work it out".
                    self.global.maxconn = (number > 0).then_some(number);
                    // A `ulimit-n` says it more plainly.
                    if self.global.descriptors_max.is_none() {
                        let place = self.place_of(line);
                        self.global.limit_asked = Some((format!("maxconn {number}"), place));
                    }
                }
            }
            "ulimit-n" => {
                let expects = "'ulimit-n' expects an integer argument.";
                if self.global.descriptors_max.is_some() {
                    self.already(line);
                } else if let Some(number) = self.count_line(line, expects) {
                    self.global.descriptors_max = (number > 0).then_some(number);
                    let place = self.place_of(line);
                    self.global.limit_asked = Some((format!("ulimit-n {number}"), place));
                }
            }
            "maxpipes" => {
                let expects = "'maxpipes' expects an integer argument.";
                if self.global.max_pipes.is_some() {
                    self.already(line);
                } else if let Some(number) = self.count_line(line, expects) {
                    // As in HAProxy, 0 means "work it out".
                    self.global.max_pipes = (number > 0).then_some(number);
                }
            }
            "nosplice" => self.global.no_splice |= self.only(line, 0),
            "hard-stop-after" => self.hard_stop_after_line(line),
            "master-worker" => self.master_worker_line(line),
            "mworker-max-reloads" => {
                let expects = "'mworker-max-reloads' expects an integer argument.";
                if let Some(number) = self.count_line(line, expects) {
                    self.global.reloads_max = Some(number);
                }
            }
            "spread-checks" => self.spread_checks_line(line),
            "node" => self.node_line(line),
            "description" => {
                if let Some(text) = self.description_text(line) {
                    self.global.description = Some(text);
                }
            }
            "localpeer" => {
                self.word_line(line, "'localpeer' expects a name as an argument.");
            }
            // The survey has run them.
            "setenv" | "presetenv" | "unsetenv" | "resetenv" => {}
            "stats" => self.global_stats_line(line),
            "ca-base" | "crt-base" => self.tls_base_line(line),
            name if name.starts_with("ssl-default-") => self.tls_default_line(line),
            name if name.starts_with("tune.") => self.tune_line(admitted),
            "nbthread" | "thread-groups" | "thread-group" | "cpu-map" | "numa-cpu-mapping" => {
                self.thread_line(admitted);
            }
            _ => self.unhandled(admitted),
        }
    }

    /// Says that a line repeats one that stays.
    fn already(&mut self, line: &Line) {
        let message = format!("'{}' already specified. Continuing.", line.word(0));
        self.found.warning(line.at(0), message);
    }

    fn global_log(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        if admitted.prefix == Prefix::No {
            if line.words.len() > 1 {
                self.refuse(line, 1, "log : 'no log' does not expect arguments");
            } else {
                self.global.logs.clear();
            }
        } else if let Some(LogLine::Target(target)) = self.log_line(line, true) {
            self.global.logs.push(target);
        }
    }

    fn log_tag_line(&mut self, line: &Line) {
        let expects = "'log-tag' expects a tag for use in syslog.";
        if let Some(tag) = self.word_line(line, expects) {
            self.global.log_tag = Some(tag);
        }
    }

    fn chroot_line(&mut self, line: &Line) {
        let place = self.place_of(line);
        let expects = "'chroot' expects a directory as an argument.";
        if self.global.chroot.is_some() {
            self.already(line);
        } else if let Some(path) = self.word_line(line, expects) {
            self.global.chroot = Some((path, place));
        }
    }

    fn pid_file_line(&mut self, line: &Line) {
        let expects = "'pidfile' expects a file name as an argument.";
        if self.global.pid_file.is_some() {
            self.already(line);
        } else if let Some(path) = self.word_line(line, expects) {
            self.global.pid_file = Some(path);
        }
    }

    /// `server-state-base` and `server-state-file`.
    fn state_line(&mut self, line: &Line) {
        let is_base = line.bytes(0) == b"server-state-base";
        let expects = match is_base {
            true => "'server-state-base' expects one argument: a directory path.",
            false => "'server-state-file' expect one argument: a file path.",
        };
        let known = match is_base {
            true => &self.global.state_base,
            false => &self.global.state_file,
        };
        if known.is_some() {
            self.already(line);
        } else if let Some(path) = self.word_line(line, expects) {
            match is_base {
                true => self.global.state_base = Some(path),
                false => self.global.state_file = Some(path),
            }
        }
    }

    /// `user`, `uid`, `group` and `gid`.
    fn identity_line(&mut self, keyword: &str, line: &Line) {
        let is_user = matches!(keyword, "user" | "uid");
        let known = if is_user {
            &self.global.user
        } else {
            &self.global.group
        };
        if known.is_some() {
            let what = if is_user { "user/uid" } else { "gid/group" };
            let message = format!("{what} already specified. Continuing.");
            self.found.warning(line.at(0), message);
            return;
        }
        let word = line.word(1).into_owned();
        let id = match keyword {
            "uid" | "gid" => {
                let expects = format!("'{keyword}' expects an integer argument.");
                self.id_line(line, keyword, &expects)
            }
            _ => {
                let id = if is_user {
                    self.host.user_id(&word)
                } else {
                    self.host.group_id(&word)
                };
                if !self.only(line, 1) {
                    return;
                }
                if id.is_none() {
                    let message = format!("cannot find {keyword} id for '{word}' (0:Success)");
                    self.refuse(line, 1, message);
                }
                id
            }
        };
        let Some(id) = id else { return };
        let said = Some((id, word, self.place_of(line)));
        if is_user {
            self.global.user = said;
        } else {
            self.global.group = said;
        }
    }

    /// The number of `uid` and `gid`.
    fn id_line(&mut self, line: &Line, keyword: &str, expects: &str) -> Option<u32> {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, expects);
            return None;
        }
        if !self.only(line, 1) {
            return None;
        }
        let word = line.word(1);
        let number = units::integer(&word).and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            let name = if keyword == "uid" { "user" } else { "group" };
            let message = format!(
                " {keyword}: string '{word}' is not a number.\n   | You might want to use the '{name}' parameter to use a system {name} name."
            );
            self.found.alert(line.at(1), message);
        }
        number
    }

    fn master_worker_line(&mut self, line: &Line) {
        match line.bytes(1) {
            b"" | b"no-exit-on-failure" => {
                if self.only(line, 1) {
                    self.global.master_worker = true;
                    self.global.failure_is_survived |= !line.bytes(1).is_empty();
                }
            }
            _ => {
                let message = "'master-worker' only supports 'no-exit-on-failure' option.";
                self.refuse(line, 1, message);
            }
        }
    }

    fn hard_stop_after_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "'hard-stop-after' expects <time> as argument.");
            return;
        }
        if !self.only(line, 1) {
            return;
        }
        self.warn_of_tail(line, 1);
        let word = line.word(1);
        match units::time_ms(&word, TimeUnit::Ms) {
            Ok(time) => self.global.hard_stop_after = u32::try_from(time).ok(),
            Err(units::TimeError::Unexpected(c)) => {
                let message =
                    format!("unexpected character '{c}' in argument to <hard-stop-after>.");
                self.refuse(line, 1, message);
            }
            Err(error) => {
                let message = error.message(&word, "hard-stop-after");
                self.refuse(line, 1, message);
            }
        }
    }

    fn spread_checks_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            let message = "'spread-checks' expects an integer argument (0..50).";
            self.refuse_tight(line, 1, message);
            return;
        }
        if !self.only(line, 1) {
            return;
        }
        let number = units::integer(&line.word(1)).and_then(|number| u8::try_from(number).ok());
        match number {
            Some(percent @ 0..=50) => self.global.spread_checks = percent,
            _ => {
                let message = "'spread-checks' needs a positive value in range 0..50.";
                self.refuse_tight(line, 1, message);
            }
        }
    }

    fn node_line(&mut self, line: &Line) {
        if !self.only(line, 1) {
            return;
        }
        let name = line.bytes(1);
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.iter().all(good) {
            let message = "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).";
            self.refuse_tight(line, 1, message);
            return;
        }
        self.global.node = Some(line.word(1).into_owned());
    }

    /// The text of `description`: all words of the line.
    pub(super) fn description_text(&mut self, line: &Line) -> Option<String> {
        let words: Vec<_> = line.from(1).iter().map(super::lexer::Word::str).collect();
        if words.is_empty() {
            self.refuse_tight(line, 1, "'description' expects a string argument.");
            return None;
        }
        Some(words.join(" "))
    }

    /// `stats socket`, `stats timeout` and `stats maxconn`.
    fn global_stats_line(&mut self, line: &Line) {
        let Some(what) = admit_word(Class::GlobalStats, "", line, 1, &mut self.found) else {
            return;
        };
        match what.name {
            "socket" => self.stats_socket_line(line),
            "timeout" => {
                self.warn_of_tail(line, 2);
                let word = line.word(2);
                match units::time_ms(&word, TimeUnit::Ms) {
                    Ok(0) => self.refuse(line, 2, "'stats timeout' expects a positive value"),
                    Ok(time) => {
                        if self.only_as(line, 2, "stats timeout") {
                            self.global.stats_timeout = u32::try_from(time).ok();
                        }
                    }
                    Err(units::TimeError::Unexpected(c)) => {
                        let message = format!("'stats timeout' : unexpected character '{c}'");
                        self.refuse(line, 2, message);
                    }
                    Err(error) => {
                        let message = error.message(&word, "stats timeout");
                        self.refuse(line, 2, message);
                    }
                }
            }
            "maxconn" => {
                let number = units::integer(&line.word(2)).and_then(|n| u32::try_from(n).ok());
                match number.filter(|number| *number > 0) {
                    Some(number) => {
                        if self.only_as(line, 2, "stats maxconn") {
                            self.global.stats_maxconn = Some(number);
                        }
                    }
                    None => self.refuse(line, 2, "'stats maxconn' expects a positive value"),
                }
            }
            // Satisfied by the one process.
            "bind-process" => {
                let there_is_one =
                    |word: &str| matches!(word, "all" | "odd" | "even" | "1" | "1-1");
                for (at, word) in line.words.iter().enumerate().skip(2) {
                    let word = word.str();
                    if !there_is_one(&word) {
                        let limits = match is_set(&word) {
                            true => " It supports numbers from 1 to 1.",
                            false => "",
                        };
                        let message = format!(
                            "'stats bind-process' : '{word}' is not a valid number/range.{limits}"
                        );
                        return self.refuse(line, at, message);
                    }
                }
            }
            other => {
                let message = format!("'stats {other}' is not implemented by oneloop.");
                self.refuse(line, 1, message);
            }
        }
    }

    /// `ca-base` and `crt-base`.
    fn tls_base_line(&mut self, line: &Line) {
        let keyword = line.word(0).into_owned();
        let expects =
            format!("global statement '{keyword}' expects a directory path as an argument.");
        let is_ca = keyword == "ca-base";
        let known = if is_ca {
            self.global.ca_base
        } else {
            self.global.crt_base
        };
        if known {
            let message = format!("'{keyword}' already specified.");
            self.refuse(line, 0, message);
        } else if self.word_line(line, &expects).is_some() {
            if is_ca {
                self.global.ca_base = true;
            } else {
                self.global.crt_base = true;
            }
        }
    }

    /// `ssl-default-bind-*` and `ssl-default-server-*`: only their form is checked.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn tls_default_line(&mut self, line: &Line) {
        let keyword = line.word(0).into_owned();
        if !keyword.ends_with("-options") {
            let kind = if keyword.ends_with("-curves") {
                "curves suite"
            } else {
                "cipher suite"
            };
            let expects = format!("global statement '{keyword}' expects a {kind} as an argument.");
            self.word_line(line, &expects);
            return;
        }
        if line.bytes(1).is_empty() {
            let message = format!("global statement '{keyword}' expects an option as an argument.");
            self.refuse(line, 1, message);
            return;
        }
        let bind = keyword == "ssl-default-bind-options";
        let known = |option: &str| {
            TLS_OPTIONS.contains(&option) || (bind && TLS_BIND_OPTIONS.contains(&option))
        };
        let mut at = 1;
        while at < line.words.len() {
            let option = line.word(at).into_owned();
            let is_version = matches!(option.as_str(), "ssl-min-ver" | "ssl-max-ver");
            if is_version {
                at += 1;
                if !self.tls_version(line, at, &option, &keyword) {
                    return;
                }
            } else if !known(&option) {
                let message = format!("unknown option '{option}' on global statement '{keyword}'.");
                let names = TLS_OPTIONS
                    .into_iter()
                    .chain(["ssl-min-ver", "ssl-max-ver"]);
                self.found
                    .alert(line.at(at), message)
                    .suggest(&option, names);
                return;
            }
            at += 1;
        }
    }

    fn tls_version(&mut self, line: &Line, at: usize, option: &str, keyword: &str) -> bool {
        let version = line.word(at);
        if version.is_empty() {
            let message = format!(
                "'{option}' : missing the ssl/tls version on global statement '{keyword}'."
            );
            self.refuse(line, at, message);
            return false;
        }
        if !TLS_VERSIONS.contains(&version.as_ref()) {
            let message =
                format!("'{version}' : unknown ssl/tls version on global statement '{keyword}'.");
            self.found
                .alert(line.at(at), message)
                .suggest(&version, TLS_VERSIONS);
            return false;
        }
        true
    }

    /// The `tune.` keywords that have an effect here.
    fn tune_line(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        let name = admitted.keyword.name;
        let expects = format!("'{name}' expects an integer argument.");
        match name {
            "tune.bufsize" => {
                let is_size = |word: &str| units::integer(word).is_some_and(|size| size > 0);
                if line.words.len() == 2 && !is_size(&line.word(1)) {
                    let message = "'tune.bufsize' expects a positive integer argument.";
                    self.refuse(line, 1, message);
                    return;
                }
                let size = self.number_line(line, &expects, BUFFER_MIN..=BUFFER_MAX);
                if let Some(size) = size.and_then(|size| u32::try_from(size).ok()) {
                    self.global.buffer_size = Some(size);
                }
            }
            "tune.maxrewrite" => {
                let size = self.number_line(line, &expects, 0..=BUFFER_MAX);
                if let Some(size) = size.and_then(|size| u32::try_from(size).ok()) {
                    self.global.max_rewrite = Some(size);
                }
            }
            "tune.pipesize" => self.global.pipe_size = self.count_line(line, &expects),
            "tune.http.maxhdr" => {
                if line.bytes(1).is_empty() {
                    self.refuse(line, 1, expects);
                } else if self.only(line, 1) {
                    let number = units::integer(&line.word(1)).and_then(|n| u16::try_from(n).ok());
                    match number {
                        Some(number @ 1..=32767) => self.global.max_headers = Some(number),
                        _ => {
                            let message =
                                "'tune.http.maxhdr' expects a numeric value between 1 and 32767";
                            self.refuse(line, 1, message);
                        }
                    }
                }
            }
            "tune.http.cookielen" => {
                if line.bytes(1).is_empty() {
                    self.refuse(line, 1, expects);
                } else if self.only(line, 1) {
                    let length = units::atol(&line.word(1)).max(0);
                    self.global.cookie_length = Some(u32::try_from(length).unwrap_or(u32::MAX));
                }
            }
            "tune.http.logurilen" => {
                // 0 means the default, as in HAProxy.
                let size = self.number_line(line, &expects, 0..=BUFFER_MAX);
                if let Some(size) = size.and_then(|size| u32::try_from(size).ok()) {
                    self.global.log_line_max = (size > 0).then_some(size);
                }
            }
            "tune.maxaccept" => {
                // -1 lifts the limit; 0 means the default.
                match self.number_line(line, &expects, i64::MIN..=i64::MAX) {
                    Some(-1) => self.global.max_accept = Some(u32::MAX),
                    Some(0) => self.global.max_accept = None,
                    Some(number @ 1..=0x7fff_ffff) => {
                        self.global.max_accept = u32::try_from(number).ok();
                    }
                    Some(_) => {
                        let message =
                            "'tune.maxaccept' expects -1 or an integer from 0 to INT_MAX.";
                        self.refuse(line, 1, message);
                    }
                    None => {}
                }
            }
            "tune.idle-pool.shared" | "tune.listener.multi-queue" | "tune.sched.low-latency" => {
                self.switch_line(line);
            }
            _ => self.unhandled(admitted),
        }
    }

    /// A tuning of threads that is `on` or `off`: one thread satisfies both.
    fn switch_line(&mut self, line: &Line) {
        let keyword = line.word(0).into_owned();
        if !matches!(line.bytes(1), b"on" | b"off") {
            let message = format!(
                "'{keyword}' expects either 'on' or 'off' but got '{}'.",
                line.word(1)
            );
            self.refuse(line, 1, message);
        } else {
            self.only(line, 1);
        }
    }

    /// Keywords that place work on threads and processors.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn thread_line(&mut self, admitted: &Admitted) {
        let line = &admitted.line;
        let name = admitted.keyword.name;
        let more = match name {
            "nbthread" | "thread-groups" => {
                let word = line.word(1);
                let Some(number) = units::integer(&word) else {
                    let message = format!(
                        "'{name}' passed a missing or unparsable integer value in '{word}'"
                    );
                    self.refuse(line, 1, message);
                    return;
                };
                // 64 is what HAProxy's thread masks hold.
                if !(1..=64).contains(&number) {
                    let message = format!("'{name}' value must be between 1 and 64 (was {number})");
                    self.refuse(line, 1, message);
                    return;
                }
                self.only(line, 1);
                number > 1
            }
            "numa-cpu-mapping" => {
                self.only(line, 0);
                false
            }
            "thread-group" => {
                let word = line.word(1);
                match units::integer(&word) {
                    Some(1) => {}
                    Some(number) => {
                        let message =
                            format!("'thread-group' value must be between 1 and 1 (was {number})");
                        self.refuse(line, 1, message);
                        return;
                    }
                    None => {
                        let message = format!(
                            "'thread-group' passed a missing or unparsable integer value in '{word}'"
                        );
                        self.refuse(line, 1, message);
                        return;
                    }
                }
                match line.from(2).iter().position(|word| !is_set(&word.str())) {
                    Some(bad) => {
                        let message =
                            format!("'thread-group' : '{}' is no range.", line.word(bad + 2));
                        self.refuse(line, bad + 2, message);
                        return;
                    }
                    None => false,
                }
            }
            _ => {
                if !self.cpu_map_is_good(line) {
                    return;
                }
                // `1`, `1/1` and `auto:1/1` speak of the one thread that there is.
                let threads = line.word(1);
                let threads = threads.strip_prefix("auto:").unwrap_or(&threads);
                threads.split('/').any(|part| part != "1")
            }
        };
        self.warn_of_threads(line, 0, name, more);
    }

    /// `cpu-map [auto:]THREADS CPUS...`: only its form matters.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn cpu_map_is_good(&mut self, line: &Line) -> bool {
        if line.words.len() < 3 {
            let message = "cpu-map expects a process number  ('all', 'odd', 'even', a number from 1 to 64 or a range),  followed by a list of CPU ranges with numbers from 0 to 63.";
            self.refuse(line, line.words.len(), message);
            return false;
        }
        let threads = line.word(1);
        let threads = threads.strip_prefix("auto:").unwrap_or(&threads);
        let at = if !threads.split('/').all(is_set) {
            Some(1)
        } else {
            let cpus = line.from(2).iter().map(|word| word.str().into_owned());
            let bad = cpus
                .enumerate()
                .find(|(_, set)| !set.split(',').all(is_set));
            bad.map(|(index, _)| index + 2)
        };
        if let Some(at) = at {
            let whole = line.word(at).into_owned();
            let wrong = |part: &&str| !is_set(part);
            let (word, what) = if at == 1 {
                let part = threads.split('/').find(wrong).unwrap_or(threads);
                (part, "valid number/range")
            } else {
                let part = whole.split(',').find(wrong).unwrap_or(&whole);
                (part, "CPU range")
            };
            let message = format!("cpu-map : '{word}' is not a {what}.");
            self.refuse(line, at, message);
        }
        at.is_none()
    }

    /// The one warning about threads, when `name` at a word is the first to ask for more than one.
    pub(super) fn warn_of_threads(&mut self, line: &Line, index: usize, name: &str, more: bool) {
        if more && !self.global.threads_warned {
            self.global.threads_warned = true;
            let message = format!(
                "'{name}' : oneloop serves from one thread. To use several cores, start several oneloop processes that bind the same port."
            );
            self.found.warning(line.at(index), message);
        }
    }
}

/// `all`, `odd`, `even`, a number or a range of numbers.
fn is_set(word: &str) -> bool {
    let number = |text: &str| text.parse::<u16>().is_ok();
    match word.split_once('-') {
        Some((low, high)) => number(low) && (high.is_empty() || number(high)),
        None => matches!(word, "all" | "odd" | "even") || number(word),
    }
}
