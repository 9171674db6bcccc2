//! `server` and `default-server` lines (configuration.txt 5.2).
//!
//! Both set `ServerSettings`: `default-server` those that the servers after it start from,
//! `server` its own copy. Host names are not resolved here but at the end, and only when
//! nothing else is wrong, because resolving may take long.

mod sockets;

use std::ops::RangeInclusive;

use super::diag::Lead;
use super::draft::{ServerDraft, ServerSettings};
use super::keywords::{self, Class};
use super::lexer::Line;
use super::lines::bad_character;
use super::sections::Parser;
use super::units::{self, Allow, TimeUnit};

mod proxy_header;

pub(super) use proxy_header::of_check;

mod persist;

/// What messages call the server of a `default-server` line.
const DEFAULT_SERVER: &str = "default-server";

/// The heaviest weight.
const WEIGHT_MAX: i64 = 256;

mod health;

pub(super) use health::HealthSettings;

impl Parser<'_> {
    /// Reports at a word of a server line in the form that servers have.
    fn refuse_server(&mut self, line: &Line, index: usize, message: impl Into<String>) {
        self.found.alert(line.at(index), message).lead(Lead::Place);
    }

    /// `server NAME ADDRESS [OPTION...]`.
    pub(super) fn server_line(&mut self, line: &Line) {
        let Some(at) = self.proxy_id() else {
            return;
        };
        if line.bytes(1).is_empty() || line.bytes(2).is_empty() {
            let message = "'server' expects <name> and <addr>[:<port>] as arguments.";
            self.refuse_server(line, line.words.len().min(2), message);
            return;
        }
        let name = line.word(1).into_owned();
        if let Some(bad) = bad_character(line.bytes(1)) {
            let message = format!("character '{bad}' is not permitted in server name '{name}'.");
            self.refuse_server(line, 1, message);
            return;
        }
        let proxy_name = self.proxies.get(at).map_or("", |proxy| &proxy.name);
        let before = format!("'server {proxy_name}/{name}' : ");
        let address = match units::address(&line.word(2), Allow::SERVER) {
            Ok(address) => address,
            Err(text) => {
                self.refuse_server(line, 2, format!("{before}{text}"));
                return;
            }
        };
        if let units::Host::SockPair(_) = &address.host {
            let message = format!("{before}'{}' is not implemented by oneloop.", line.word(2));
            self.refuse_server(line, 2, message);
            return;
        }
        let settings = self.settings().server.clone();
        let Some((settings, number)) = self.server_options(line, 3, settings, &name, &before)
        else {
            return;
        };
        if self.check_health(line, &settings, &name, &before).is_none() {
            return;
        }
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        if let Some(number) = number {
            proxy.server_ids.insert(number, proxy.servers.len());
        }
        proxy.servers.push(ServerDraft {
            name,
            at: line.at(1),
            address_at: line.at(2),
            address,
            number,
            settings,
        });
    }

    /// `default-server [OPTION...]`.
    pub(super) fn default_server_line(&mut self, line: &Line) {
        let settings = self.settings().server.clone();
        if let Some((settings, _)) = self.server_options(line, 1, settings, "", "") {
            self.settings().server = settings;
        }
    }

    /// The options from word `from` on, over `settings`; and the `id`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_options(
        &mut self,
        line: &Line,
        from: usize,
        mut settings: ServerSettings,
        name: &str,
        before: &str,
    ) -> Option<(ServerSettings, Option<u32>)> {
        let mut number = None;
        let mut at = from;
        while at < line.words.len() {
            let context = before.strip_suffix(" : ").unwrap_or("");
            let keyword = keywords::admit_word(Class::Server, context, line, at, &mut self.found)?;
            let mut length = 1;
            match keyword.name {
                "check" => settings.check = true,
                "no-check" => settings.check = false,
                "first-check-before-traffic" => settings.first_check = true,
                "agent-check" => settings.health.agent = true,
                "no-agent-check" => settings.health.agent = false,
                "backup" => settings.backup = true,
                "no-backup" => settings.backup = false,
                "tfo" => settings.outgoing.fast_open = true,
                "no-tfo" => settings.outgoing.fast_open = false,
                "source" => length = self.server_source(line, at, &mut settings, before)?,
                "disabled" => settings.disabled = true,
                "enabled" => settings.disabled = false,
                "id" if from == 1 => {
                    let message = "'id' option is not accepted in default-server sections";
                    self.refuse_server(line, at, message);
                    return None;
                }
                "id" => {
                    number = Some(self.server_id(line, at, before)?);
                    length = 2;
                }
                other if other.contains("proxy") => {
                    length = self.proxy_header_option(line, at, other, &mut settings, before)?;
                }
                other => {
                    self.server_option(line, at, other, &mut settings, name, before)?;
                    length = 2;
                }
            }
            at += length;
        }
        Some((settings, number))
    }

    /// An option of a server that has an argument.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_option(
        &mut self,
        line: &Line,
        at: usize,
        option: &str,
        settings: &mut ServerSettings,
        name: &str,
        before: &str,
    ) -> Option<()> {
        match option {
            "inter" => settings.inter = self.server_time(line, at, name, before)?,
            "fastinter" => settings.fastinter = Some(self.server_time(line, at, name, before)?),
            "downinter" => settings.downinter = Some(self.server_time(line, at, name, before)?),
            "rise" => settings.rise = self.server_count(line, at, before)?,
            "fall" => settings.fall = self.server_count(line, at, before)?,
            "weight" => {
                let name = if name.is_empty() {
                    DEFAULT_SERVER
                } else {
                    name
                };
                let bad =
                    |got: &str| format!("weight of server {name} is not within 0 and 256 ({got}).");
                let range = 0..=WEIGHT_MAX;
                let weight = self.server_number(line, at, range, before, bad)?;
                settings.weight = u16::try_from(weight).unwrap_or_default();
            }
            "minconn" | "maxconn" | "maxqueue" => {
                let bad = |got: &str| format!("'{option}' expects a positive value (got '{got}').");
                let range = 0..=i64::from(i32::MAX);
                let number = self.server_number(line, at, range, before, bad)?;
                let number = u32::try_from(number).unwrap_or_default();
                *match option {
                    "minconn" => &mut settings.minconn,
                    "maxconn" => &mut settings.maxconn,
                    _ => &mut settings.maxqueue,
                } = number;
            }
            "slowstart" => {
                settings.slow_start_ms = self.server_slow_start(line, at, name, before)?;
            }
            "pool-max-conn" => {
                let bad = |_: &str| format!("'{option}' must be >= -1");
                let range = -1..=i64::from(i32::MAX);
                self.server_value(line, at, before)?;
                let most = self.server_number(line, at, range, before, bad)?;
                settings.pool.most = u32::try_from(most).ok();
            }
            "pool-low-conn" => {
                let bad = |got: &str| format!("'{option}' expects a positive value (got '{got}')");
                let range = 0..=i64::from(i32::MAX);
                self.server_value(line, at, before)?;
                let spare = self.server_number(line, at, range, before, bad)?;
                settings.pool.spare = u32::try_from(spare).unwrap_or_default();
            }
            "pool-purge-delay" => {
                settings.pool.purge_delay = self.server_purge_delay(line, at, before)?;
            }
            "port" => {
                if line.bytes(at + 1).is_empty() {
                    let message = format!("{before}'port' expects a port number as argument..");
                    self.refuse_server(line, at + 1, message);
                    return None;
                }
                let bad = |got: &str| format!("'port' expects a port number (got '{got}').");
                let port = self.server_number(line, at, 0..=i64::from(u16::MAX), before, bad)?;
                settings.check_port = u16::try_from(port).ok().filter(|port| *port > 0);
            }
            "addr" => self.check_address(line, at, settings, before)?,
            "tcp-ut" => self.server_user_timeout(line, at, settings, before)?,
            "cookie" => self.server_cookie(line, at, settings, before)?,
            "agent-addr" | "agent-inter" | "agent-port" | "agent-send" | "error-limit"
            | "observe" | "on-error" | "on-marked-down" | "on-marked-up" | "track" => {
                self.health_option(line, at, option, settings, name, before)?;
            }
            _ => {
                let message = format!("{before}'{option}' is not implemented by oneloop.");
                self.refuse_server(line, at, message);
                return None;
            }
        }
        Some(())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn check_address(
        &mut self,
        line: &Line,
        at: usize,
        settings: &mut ServerSettings,
        before: &str,
    ) -> Option<()> {
        let word = line.word(at + 1);
        if word.is_empty() {
            let message = format!("{before}'addr' expects <ipv4|ipv6> as argument..");
            self.refuse_server(line, at + 1, message);
            return None;
        }
        let text = match units::address(&word, Allow::PEER) {
            Ok(spec) => match &spec.host {
                units::Host::Any => format!("invalid address: '' in '{word}'"),
                units::Host::Name(name) if self.host.resolve(name).is_err() => {
                    format!("invalid address: '{name}' in '{word}'")
                }
                _ => {
                    settings.check_address = Some((spec, line.at(at + 1)));
                    return Some(());
                }
            },
            Err(text) => text,
        };
        self.refuse_server(line, at + 1, format!("{before}'addr' : {text}."));
        None
    }

    /// A delay of at least 1 ms.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_time(&mut self, line: &Line, at: usize, name: &str, before: &str) -> Option<u32> {
        let option = line.word(at);
        let word = line.word(at + 1);
        let name = if name.is_empty() {
            DEFAULT_SERVER
        } else {
            name
        };
        self.warn_of_server_tail(line, at, before);
        let text = if word.is_empty() {
            format!("'{option}' expects a delay as argument.")
        } else {
            match units::time_ms(&word, TimeUnit::Ms) {
                Ok(0) => format!("invalid value 0 for argument '{option}' of server {name}."),
                Ok(time) => return u32::try_from(time).ok(),
                Err(units::TimeError::Overflow) => format!(
                    "timer overflow in argument <{word}> to <{option}> of server {name}, maximum value is 2147483647 ms (~24.8 days)."
                ),
                Err(units::TimeError::Unexpected(c)) => {
                    format!("unexpected character '{c}' in '{option}' argument of server {name}.")
                }
            }
        };
        self.refuse_server(line, at + 1, format!("{before}{text}."));
        None
    }

    /// `slowstart`, where 0 has a meaning, too.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_slow_start(
        &mut self,
        line: &Line,
        at: usize,
        name: &str,
        before: &str,
    ) -> Option<u32> {
        let word = line.word(at + 1);
        let name = if name.is_empty() {
            DEFAULT_SERVER
        } else {
            name
        };
        self.warn_of_server_tail(line, at, before);
        let text = match units::time_ms(&word, TimeUnit::Ms) {
            Ok(time) if !word.is_empty() => return u32::try_from(time).ok(),
            Ok(_) => "'slowstart' expects a delay as argument".to_owned(),
            Err(units::TimeError::Overflow) => format!(
                "overflow in argument <{word}> to <slowstart> of server {name}, maximum value is 2147483647 ms (~24.8 days)."
            ),
            Err(units::TimeError::Unexpected(c)) => {
                format!("unexpected character '{c}' in 'slowstart' argument of server {name}.")
            }
        };
        self.refuse_server(line, at + 1, format!("{before}{text}."));
        None
    }

    /// `pool-purge-delay`, where 0 has a meaning.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_purge_delay(&mut self, line: &Line, at: usize, before: &str) -> Option<u32> {
        let option = line.word(at);
        self.server_value(line, at, before)?;
        let word = line.word(at + 1);
        self.warn_of_server_tail(line, at, before);
        let text = match units::time_ms(&word, TimeUnit::Ms) {
            Ok(time) => return u32::try_from(time).ok(),
            Err(error @ units::TimeError::Overflow) => error.message(&word, &option),
            Err(units::TimeError::Unexpected(c)) => {
                format!("unexpected character '{c}' in argument to <{option}>.")
            }
        };
        self.refuse_server(line, at + 1, format!("{before}{text}."));
        None
    }

    /// Makes sure that there is a value behind the option.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_value(&mut self, line: &Line, at: usize, before: &str) -> Option<()> {
        if line.bytes(at + 1).is_empty() {
            let message = format!("{before}'{}' expects <value> as argument..", line.word(at));
            self.refuse_server(line, at + 1, message);
            return None;
        }
        Some(())
    }

    /// Warns of a time that goes on after its unit.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn warn_of_server_tail(&mut self, line: &Line, at: usize, before: &str) {
        if let Some(text) = units::time_tail(&line.word(at + 1)) {
            self.found
                .warning(line.at(at + 1), format!("{before}{text}"))
                .lead(Lead::Place);
        }
    }

    /// A count of checks, at least 1.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_count(&mut self, line: &Line, at: usize, before: &str) -> Option<u32> {
        let option = line.word(at);
        if line.bytes(at + 1).is_empty() {
            let message = format!("{before}'{option}' expects an integer argument..");
            self.refuse_server(line, at + 1, message);
            return None;
        }
        let bad = |_: &str| format!("'{option}' has to be > 0.");
        let number = self.server_number(line, at, 1..=i64::from(i32::MAX), before, bad)?;
        u32::try_from(number).ok()
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_number(
        &mut self,
        line: &Line,
        at: usize,
        range: RangeInclusive<i64>,
        before: &str,
        bad: impl Fn(&str) -> String,
    ) -> Option<i64> {
        let word = line.word(at + 1);
        let number = units::integer(&word).filter(|number| range.contains(number));
        if number.is_none() {
            let message = format!("{before}{}.", bad(&word));
            self.refuse_server(line, at + 1, message);
        }
        number
    }

    /// `id N`, unique in its proxy.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn server_id(&mut self, line: &Line, at: usize, before: &str) -> Option<u32> {
        let word = line.word(at + 1);
        if word.is_empty() {
            let message = format!("{before}'id' : expects an integer argument.");
            self.refuse_server(line, at + 1, message);
            return None;
        }
        let number = units::integer(&word).and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=i32::MAX as u32).contains(number));
        let Some(number) = number else {
            let message = format!("{before}'id' : custom id has to be > 0.");
            self.refuse_server(line, at + 1, message);
            return None;
        };
        let clash = self.proxy().and_then(|proxy| {
            let index = proxy.server_ids.get(&number)?;
            proxy.servers.get(*index)
        });
        if let Some(other) = clash {
            let (at_other, name) = (other.at.clone(), other.name.clone());
            let place = self.model_place(&at_other);
            let message = format!(
                "{before}'id' : custom id {number} already used at {}:{} ('server {name}').",
                place.file, place.line
            );
            self.refuse_server(line, at + 1, message);
            return None;
        }
        Some(number)
    }
}
