//! `bind` lines (configuration.txt 5.1) and `stats socket` of `global`, a `bind` with levels.
//!
//! One line may name several addresses and each a range of ports: every one becomes a listener
//! with the options of the line. Both kinds of lines read their options here, so that a new option
//! is one row; an option that has no meaning for its kind of line is refused, not dropped.
//! How many listeners there may be is bounded, because one word can ask for 65535.

use super::draft::ListenerDraft;
use super::keywords::{self, Class};
use super::lexer::Line;
use super::lines::{AddressProblem, endpoint, reason};
use super::model::{AccessLevel, Listener, ProxyId, StatsSocket};
use super::sections::Parser;
use super::units::{self, Allow, Port, Spec, TimeUnit};
use crate::base::addr::Endpoint;
use crate::base::outgoing::Incoming;

/// Whose options are read, which decides how messages begin.
enum Owner {
    /// `bind ADDRESS` in a section.
    Bind(String, &'static str),
    /// `stats socket`.
    Stats,
}

impl Owner {
    fn message(&self, text: &str) -> String {
        match self {
            Self::Bind(address, section) => {
                format!("'bind {address}' in section '{section}' : {text}")
            }
            Self::Stats => format!("'stats socket' : '{text}'"),
        }
    }
}

/// What the options of a line said.
#[derive(Clone, Debug, Default)]
struct Options {
    name: Option<String>,
    number: Option<u32>,
    maxconn: Option<u32>,
    backlog: Option<u32>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    interface: Option<String>,
    v6_only: Option<bool>,
    accept_proxy: bool,
    defer_accept: bool,
    incoming: Incoming,
    nice: i16,
    level: Option<AccessLevel>,
    expose_listeners: bool,
}

/// The most listeners of a configuration; a range of ports may ask for 65535 in one word.
const LISTENERS_MAX: usize = 65_536;

/// The ports of an address, one listener each.
fn ports(spec: &Spec) -> Vec<u16> {
    match spec.port {
        Port::One(port) => vec![port],
        Port::Range(low, high) => (low..=high).collect(),
        Port::None | Port::Offset(_) => vec![0],
    }
}

/// How many `ports` would give.
fn count_ports(spec: &Spec) -> usize {
    match spec.port {
        Port::Range(low, high) => usize::from(high.saturating_sub(low)).saturating_add(1),
        _ => 1,
    }
}

impl Parser<'_> {
    /// Whether that many listeners more are few enough; reported.
    fn has_room(&mut self, line: &Line, index: usize, more: usize) -> bool {
        self.listeners = self.listeners.saturating_add(more);
        if self.listeners > LISTENERS_MAX {
            let message = format!("'{}' : more than {LISTENERS_MAX} listeners.", line.word(0));
            self.refuse(line, index, message);
            return false;
        }
        true
    }

    /// `bind ADDRESS[,ADDRESS...] [OPTION...]`.
    pub(super) fn bind_line(&mut self, line: &Line) {
        let Some(at) = self.proxy_id() else {
            return;
        };
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        proxy.bind_lines = proxy.bind_lines.saturating_add(1);
        let section = proxy.section.name();
        if line.bytes(1).is_empty() {
            let message =
                "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.";
            self.refuse(line, 1, message);
            return;
        }
        let spelled = line.word(1).into_owned();
        let specs = self.addresses(line, 1, "'bind' : ");
        let Some(specs) = specs.and_then(|specs| self.with_prefix(line, specs)) else {
            return;
        };
        let owner = Owner::Bind(spelled.clone(), section);
        let Some(options) = self.bind_options(line, 2, &owner) else {
            return;
        };
        let count: usize = specs.iter().map(count_ports).sum();
        if !self.has_room(line, 1, count) {
            return;
        }
        if let Some(number) = options.number {
            let place = line.place();
            if count > 1 {
                let message = owner.message("'id' can only be used with a single socket");
                self.found.alert(place, message);
                return;
            }
            if self.id_is_taken(line, at, number, &owner) {
                return;
            }
        }
        for spec in &specs {
            for port in ports(spec) {
                self.add_listener(line, at, spec, port, &options);
            }
        }
    }

    /// The addresses of word `index`, parted by commas.
    fn addresses(&mut self, line: &Line, index: usize, before: &str) -> Option<Vec<Spec>> {
        let specs = match units::addresses(&line.word(index), Allow::BIND) {
            Ok(specs) => specs,
            Err(text) => {
                self.refuse(line, index, format!("{before}{text}"));
                return None;
            }
        };
        for spec in &specs {
            if let units::Host::Fd(number) = spec.host
                && let Err(error) = self.host.inherits_socket(number)
            {
                let why = reason(&error);
                let text = format!("{before}cannot use file descriptor '{number}' : {why}.");
                self.refuse(line, index, text);
                return None;
            }
        }
        Some(specs)
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn id_is_taken(&mut self, line: &Line, at: usize, number: u32, owner: &Owner) -> bool {
        let Some(proxy) = self.proxies.get(at) else {
            return false;
        };
        let clash = proxy.listener_ids.get(&number);
        let clash = clash.and_then(|index| proxy.listeners.get(*index));
        let Some(other) = clash else { return false };
        let text = format!(
            "'id' : custom id {number} already used at {}:{} ('bind {}')",
            other.listener.place.file, other.listener.place.line, other.spelled
        );
        let index = line.words.iter().position(|word| word.text == b"id");
        self.refuse(
            line,
            index.map_or(0, |index| index + 1),
            owner.message(&text),
        );
        true
    }

    fn add_listener(&mut self, line: &Line, at: usize, spec: &Spec, port: u16, options: &Options) {
        let inherited = match spec.host {
            units::Host::Fd(number) => Some(number),
            _ => None,
        };
        let place = self.place_of(line);
        // An inherited descriptor knows its address; the engine asks it.
        let endpoint = match (inherited, endpoint(spec, Some(port), self.host)) {
            (_, Ok(endpoint)) => endpoint,
            (Some(_), Err(_)) => crate::base::addr::Endpoint::Abstract(Box::default()),
            (None, Err(AddressProblem::Unresolved(name))) => {
                let message = format!("'bind' : invalid address: '{name}' in '{}'", line.word(1));
                self.refuse(line, 1, message);
                return;
            }
            (None, Err(AddressProblem::Unsupported)) => {
                let message = format!("'bind' : '{}' is not implemented by oneloop.", line.word(1));
                self.refuse(line, 1, message);
                return;
            }
        };
        let listener = Listener {
            proxy: ProxyId(u32::try_from(at).unwrap_or(u32::MAX)),
            endpoint,
            inherited,
            name: options.name.clone(),
            number: 0,
            maxconn: options.maxconn,
            backlog: options.backlog,
            mode: options.mode,
            uid: options.uid,
            gid: options.gid,
            interface: options.interface.clone(),
            v6_only: options.v6_only,
            accept_proxy: options.accept_proxy,
            defer_accept: options.defer_accept,
            incoming: options.incoming,
            nice: options.nice,
            place,
        };
        if let Some(proxy) = self.proxies.get_mut(at) {
            if let Some(number) = options.number {
                let index = proxy.listeners.len();
                proxy.listener_ids.entry(number).or_insert(index);
            }
            proxy.listeners.push(ListenerDraft {
                spelled: line.word(1).into_owned(),
                at: line.at(1),
                listener,
                number: options.number,
            });
        }
    }

    /// `stats socket ADDRESS [OPTION...]`; word 0 is `stats`.
    pub(super) fn stats_socket_line(&mut self, line: &Line) {
        if line.bytes(2).is_empty() {
            let message =
                "'stats socket' in global section expects an address or a path to a UNIX socket";
            self.refuse(line, 2, message);
            return;
        }
        // HAProxy says twice where it is.
        let place = self.place_of(line);
        let before = format!(
            "parsing [{}:{}] : 'stats socket' : ",
            place.file, place.line
        );
        let Some(specs) = self.addresses(line, 2, &before) else {
            return;
        };
        let Some(options) = self.bind_options(line, 3, &Owner::Stats) else {
            return;
        };
        if !self.has_room(line, 2, specs.iter().map(count_ports).sum()) {
            return;
        }
        for spec in &specs {
            for port in ports(spec) {
                let Ok(endpoint) = endpoint(spec, Some(port), self.host) else {
                    let word = line.word(2);
                    let message = match &spec.host {
                        units::Host::Name(name) => {
                            format!("{before}invalid address: '{name}' in '{word}'")
                        }
                        _ => format!("'stats socket' : '{word}' is not implemented by oneloop."),
                    };
                    self.refuse(line, 2, message);
                    return;
                };
                if let Endpoint::Unix(path) = &endpoint
                    && let Some(directory) = self.host.open_directory(path)
                {
                    let message = format!(
                        "'stats socket' : everybody may write to '{directory}', and so take the \
                         place of the socket '{}'.",
                        line.word(2)
                    );
                    let warning = self.found.warning(line.at(2), message);
                    warning
                        .note("put it into a directory of its own, as Debian does in /run/haproxy");
                }
                let place = self.place_of(line);
                self.global.stats_sockets.push(StatsSocket {
                    endpoint,
                    mode: options.mode,
                    uid: options.uid,
                    gid: options.gid,
                    level: options.level.unwrap_or(AccessLevel::Operator),
                    expose_listeners: options.expose_listeners,
                    defer_accept: options.defer_accept,
                    place,
                });
            }
        }
    }

    /// The options from word `from` on.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_options(&mut self, line: &Line, from: usize, owner: &Owner) -> Option<Options> {
        let mut options = Options::default();
        if matches!(owner, Owner::Bind(..)) {
            let all = &self.global.unix_bind;
            (options.mode, options.uid, options.gid) = (all.mode, all.uid, all.gid);
        }
        let mut at = from;
        while at < line.words.len() {
            let (class, context) = match owner {
                Owner::Bind(address, section) => (
                    Class::Bind,
                    format!("'bind {address}' in section '{section}'"),
                ),
                Owner::Stats => (Class::StatsSocket, String::new()),
            };
            let keyword = keywords::admit_word(class, &context, line, at, &mut self.found)?;
            let name = keyword.name;
            let meaningless = match owner {
                Owner::Bind(..) => matches!(name, "level" | "expose-fd"),
                Owner::Stats => matches!(name, "name" | "id" | "v4v6" | "v6only"),
            };
            if meaningless {
                let text = format!("'{name}' is not implemented by oneloop here.");
                self.refuse(line, at, owner.message(&text));
                return None;
            }
            at += match name {
                "accept-proxy" => {
                    options.accept_proxy = true;
                    1
                }
                "defer-accept" => {
                    options.defer_accept = true;
                    1
                }
                "tfo" => {
                    options.incoming.fast_open = true;
                    1
                }
                "v4v6" | "v6only" => {
                    options.v6_only = Some(name == "v6only");
                    1
                }
                _ => {
                    self.bind_option(line, at, name, owner, &mut options)?;
                    2
                }
            };
        }
        Some(options)
    }

    /// `process PROCESSES[/THREADS]`, which HAProxy is about to give up.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_process(&mut self, line: &Line, at: usize, owner: &Owner) -> Option<()> {
        let word = line.word(at + 1);
        let (processes, threads) = match word.split_once('/') {
            Some((processes, threads)) => (processes, Some(threads)),
            None => (&*word, None),
        };
        let bad = |part: &str| asks_for_threads(part).is_none();
        let there_is_one = matches!(processes, "all" | "odd" | "even" | "1" | "1-1");
        let text = match threads.filter(|part| bad(part)) {
            _ if bad(processes) => Some(format!("'{processes}' is not a valid number/range.")),
            _ if !there_is_one => Some(format!(
                "'{processes}' is not a valid number/range. It supports numbers from 1 to 1."
            )),
            Some(threads) => Some(format!("'{threads}' is not a valid number/range.")),
            None => None,
        };
        if let Some(text) = text {
            let text = format!("'process' : {text}");
            self.refuse(line, at + 1, owner.message(&text));
            return None;
        }
        let instead = threads.map_or_else(String::new, |threads| {
            format!(" Please use 'thread {threads}' instead.")
        });
        let text = format!(
            "'process {word}' on 'bind' lines is deprecated and will be removed in 2.7.{instead}"
        );
        self.found.warning(line.at(at + 1), owner.message(&text));
        let more = threads.and_then(asks_for_threads).unwrap_or(false);
        self.warn_of_threads(line, at, "process", more);
        Some(())
    }

    /// The option at word `at` and its argument.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_option(
        &mut self,
        line: &Line,
        at: usize,
        name: &str,
        owner: &Owner,
        options: &mut Options,
    ) -> Option<()> {
        let word = line.word(at + 1).into_owned();
        match name {
            "name" => options.name = Some(self.bind_text(line, at, owner, "missing name")?),
            "interface" => {
                options.interface =
                    Some(self.bind_text(line, at, owner, "missing interface name")?);
            }
            "id" => {
                self.bind_text(line, at, owner, "expects an integer argument")?;
                if units::integer(&word).is_none() {
                    let text = format!("'id' : expects an integer argument, found '{word}'");
                    self.refuse(line, at + 1, owner.message(&text));
                    return None;
                }
                options.number =
                    Some(self.bind_number(line, at, owner, 1, "custom id has to be > 0")?);
            }
            "maxconn" => {
                self.bind_text(line, at, owner, "missing value")?;
                let bad = format!("invalid value {word}, must be >= 0");
                let number = self.bind_number(line, at, owner, 0, &bad)?;
                options.maxconn = (number > 0).then_some(number);
            }
            "backlog" => {
                self.bind_text(line, at, owner, "missing value")?;
                let bad = format!("invalid value {word}, must be > 0");
                let number = self.bind_number(line, at, owner, 0, &bad)?;
                options.backlog = (number > 0).then_some(number);
            }
            "user" | "uid" | "group" | "gid" | "mode" => {
                self.bind_ownership(line, at, name, owner, options)?;
            }
            "process" => {
                self.bind_text(line, at, owner, "missing value")?;
                self.bind_process(line, at, owner)?;
            }
            "thread" | "shards" => {
                self.bind_text(line, at, owner, "missing value")?;
                let Some(more) = asks_for_threads(&word) else {
                    let text = if name == "shards" {
                        let number = units::integer(&word).unwrap_or(0);
                        format!(
                            "'shards' : invalid value {number}, allowed range is 1..64 or 'by-thread'"
                        )
                    } else {
                        format!("'{name}' : invalid value '{word}'")
                    };
                    self.refuse(line, at + 1, owner.message(&text));
                    return None;
                };
                self.warn_of_threads(line, at, name, more);
            }
            "mss" | "nice" | "tcp-ut" => self.bind_tuning(line, at, name, owner, options)?,
            "level" => options.level = Some(self.access_level(line, at, owner)?),
            "expose-fd" => {
                self.bind_text(line, at, owner, "missing fd type")?;
                if word != "listeners" {
                    let text = format!("'expose-fd' only supports 'listeners' (got '{word}')");
                    self.refuse(line, at + 1, owner.message(&text));
                    return None;
                }
                options.expose_listeners = true;
            }
            _ => {
                let text = format!("'{name}' is not implemented by oneloop.");
                self.refuse(line, at, owner.message(&text));
                return None;
            }
        }
        Some(())
    }

    /// The options that say how connections of a listener are treated.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_tuning(
        &mut self,
        line: &Line,
        at: usize,
        name: &str,
        owner: &Owner,
        options: &mut Options,
    ) -> Option<()> {
        let word = line.word(at + 1).into_owned();
        match name {
            "mss" => {
                self.bind_text(line, at, owner, "missing MSS value")?;
                let size = units::integer(&word).and_then(|size| i32::try_from(size).ok());
                let size = size.filter(|size| (1..=65_535).contains(&size.unsigned_abs()));
                let bad = "expects an MSS with and absolute value between 1 and 65535";
                options.incoming.max_segment = Some(self.bind_found(line, at, owner, size, bad)?);
            }
            "nice" => {
                self.bind_text(line, at, owner, "missing value")?;
                let nice = units::integer(&word).and_then(|nice| i16::try_from(nice).ok());
                let nice = nice.filter(|nice| (-1024..=1024).contains(nice));
                let bad = format!("invalid value {word}, allowed range is -1024..1024");
                options.nice = self.bind_found(line, at, owner, nice, &bad)?;
            }
            _ => {
                self.bind_text(line, at, owner, "missing TCP User Timeout value")?;
                self.warn_of_tail(line, at + 1);
                let time = match units::time_ms(&word, TimeUnit::Ms) {
                    Ok(time) => u32::try_from(time).ok(),
                    Err(error @ units::TimeError::Overflow) => {
                        let text = error.message(&word, name);
                        self.refuse(line, at + 1, owner.message(&text));
                        return None;
                    }
                    Err(_) => None,
                };
                let bad = "expects a positive delay in milliseconds";
                options.incoming.user_timeout_ms = self.bind_found(line, at, owner, time, bad)?;
            }
        }
        Some(())
    }

    /// The options that say whose the file of a unix socket is.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_ownership(
        &mut self,
        line: &Line,
        at: usize,
        name: &str,
        owner: &Owner,
        options: &mut Options,
    ) -> Option<()> {
        let word = line.word(at + 1).into_owned();
        match name {
            "uid" | "gid" => {
                self.bind_text(line, at, owner, "missing value")?;
                let bad = format!("invalid value {word}, must be >= 0");
                let number = self.bind_number(line, at, owner, 0, &bad)?;
                if name == "uid" {
                    options.uid = Some(number);
                } else {
                    options.gid = Some(number);
                }
            }
            "user" => {
                self.bind_text(line, at, owner, "missing user name")?;
                let id = self.host.user_id(&word);
                let bad = format!("unknown user name '{word}'");
                options.uid = Some(self.bind_found(line, at, owner, id, &bad)?);
            }
            "group" => {
                self.bind_text(line, at, owner, "missing group name")?;
                let id = self.host.group_id(&word);
                let bad = format!("unknown group name '{word}'");
                options.gid = Some(self.bind_found(line, at, owner, id, &bad)?);
            }
            _ => {
                let mode = octal_mode(&word);
                let bad = format!("missing or invalid mode '{word}' (octal integer expected)");
                options.mode = Some(self.bind_found(line, at, owner, mode, &bad)?);
            }
        }
        Some(())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn access_level(&mut self, line: &Line, at: usize, owner: &Owner) -> Option<AccessLevel> {
        let word = self.bind_text(line, at, owner, "missing level")?;
        match word.as_str() {
            "user" => Some(AccessLevel::User),
            "operator" => Some(AccessLevel::Operator),
            "admin" => Some(AccessLevel::Admin),
            _ => {
                let text =
                    format!("'level' only supports 'user', 'operator', and 'admin' (got '{word}')");
                self.found
                    .alert(line.at(at + 1), owner.message(&text))
                    .suggest(&word, ["user", "operator", "admin"]);
                None
            }
        }
    }

    /// The argument of the option at word `at`, which must be there.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_text(
        &mut self,
        line: &Line,
        at: usize,
        owner: &Owner,
        missing: &str,
    ) -> Option<String> {
        let word = line.word(at + 1);
        self.bind_found(
            line,
            at,
            owner,
            (!word.is_empty()).then(|| word.into_owned()),
            missing,
        )
    }

    /// The argument of the option at word `at` as a number of at least `least`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_number(
        &mut self,
        line: &Line,
        at: usize,
        owner: &Owner,
        least: u32,
        bad: &str,
    ) -> Option<u32> {
        let number = units::integer(&line.word(at + 1));
        let number = number.and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (least..=i32::MAX as u32).contains(number));
        self.bind_found(line, at, owner, number, bad)
    }

    /// Reports `bad` of the option at word `at` unless there is a value.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn bind_found<T>(
        &mut self,
        line: &Line,
        at: usize,
        owner: &Owner,
        value: Option<T>,
        bad: &str,
    ) -> Option<T> {
        if value.is_none() {
            let text = format!("'{}' : {bad}", line.word(at));
            self.refuse(line, at + 1, owner.message(&text));
        }
        value
    }
}

/// Whether a set of threads or a number of shards asks for more than one; `None` if it is neither.
fn asks_for_threads(word: &str) -> Option<bool> {
    match word {
        "all" | "odd" | "by-thread" | "1" | "1/1" | "1/all" | "1/odd" => Some(false),
        _ => {
            let digits = word.bytes().any(|byte| byte.is_ascii_digit());
            let form = word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"/,-".contains(&byte));
            (word == "even" || (digits && form)).then_some(true)
        }
    }
}

/// A file mode in octal; 0 and anything beyond the permission bits are refused.
pub(super) fn octal_mode(word: &str) -> Option<u32> {
    let mode = u32::from_str_radix(word, 8).ok()?;
    (word.bytes().all(|byte| byte.is_ascii_digit()) && (1..=0o7777).contains(&mode)).then_some(mode)
}
