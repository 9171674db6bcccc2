//! How servers are chosen: `balance`, `hash-type`, `hash-balance-factor` (configuration.txt 4.2).
//!
//! The three lines may come in any order and be handed on by `defaults`; what they amount to is
//! worked out when the file has been read, which is also when the expression of `balance hash` is
//! compiled, as in HAProxy.

use super::diag::{Lead, Severity};
use super::draft::ProxyDraft;
use super::lexer::Line;
use super::model::{Algorithm, Mode};
use super::sections::Parser;
use super::units;
use crate::balance::key::{Hashing, Key, Uri};
use crate::base::hash::Function;
use crate::rules::fetch::{Expression, Scope};

/// What a backend says of balancing.
#[derive(Clone, Debug, Default)]
pub(super) struct BalanceDraft {
    /// None where no line says one.
    algorithm: Option<Chosen>,
    is_consistent: bool,
    /// The function, and whether its result is mixed; the type's own when absent.
    function: Option<(Function, bool)>,
    factor: u32,
}

impl BalanceDraft {
    /// A line says how.
    pub(super) const fn is_said(&self) -> bool {
        self.algorithm.is_some()
    }
}

/// The algorithm as written.
#[derive(Clone, Debug)]
enum Chosen {
    /// One that knows no key.
    Plain(Algorithm),
    Source,
    Uri(Uri),
    Parameter(Vec<u8>, bool),
    Header(Vec<u8>, bool),
    /// The text of an expression.
    Sample(Vec<u8>),
}

/// What becomes of it.
#[derive(Debug, Default)]
pub(super) struct Balance {
    pub(super) algorithm: Algorithm,
    pub(super) hashing: Option<Box<Hashing>>,
    pub(super) factor: u32,
}

/// The algorithms by name, for suggestions.
const NAMES: [&str; 10] = [
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "source",
    "uri",
    "url_param",
    "random",
    "hash",
    "rdp-cookie",
];

/// How many servers `random` draws.
const DRAWS: u32 = 2;

impl Parser<'_> {
    /// `balance ALGORITHM [ARGUMENT...]`.
    pub(super) fn balance_line(&mut self, line: &Line) {
        let word = line.word(1).into_owned();
        let plain = |algorithm| Some(Chosen::Plain(algorithm));
        let chosen = match word.as_str() {
            "" | "roundrobin" => plain(Algorithm::RoundRobin),
            "static-rr" => plain(Algorithm::StaticRr),
            "leastconn" => plain(Algorithm::LeastConn),
            "first" => plain(Algorithm::First),
            "source" => Some(Chosen::Source),
            "uri" => return self.balance_uri(line),
            "url_param" => return self.balance_parameter(line),
            "hash" => return self.balance_hash(line),
            _ if word.starts_with("random") => return self.balance_random(line, &word),
            _ if word.starts_with("hdr(") => return self.balance_header(line, &word),
            _ => None,
        };
        if let Some(chosen) = chosen {
            if self.only_as(line, 1, format!("balance {word}").trim_end()) {
                self.settings().balance.algorithm = Some(chosen);
            }
        } else if word.starts_with("rdp-cookie") {
            let message = format!("'balance {word}' is not implemented by oneloop.");
            self.refuse(line, 1, message);
        } else {
            let message = "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hdr(name)' and 'rdp-cookie(name)' options.";
            self.found.alert(line.at(1), message).suggest(&word, NAMES);
        }
    }

    /// `balance uri [whole] [path-only] [len N] [depth N]`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn balance_uri(&mut self, line: &Line) {
        let mut uri = Uri::default();
        let mut at = 2;
        while at < line.words.len() {
            match line.bytes(at) {
                b"whole" => uri.whole = true,
                b"path-only" => uri.path_only = true,
                b"len" | b"depth" => {
                    let what = line.word(at).into_owned();
                    at += 1;
                    let word = line.word(at);
                    let number = units::integer(&word).and_then(|n| u32::try_from(n).ok());
                    let Some(number) = number.filter(|n| (1..=i32::MAX as u32).contains(n)) else {
                        let message = format!(
                            "balance uri : '{what}' expects a positive integer (got '{word}')."
                        );
                        self.refuse(line, at, message);
                        return;
                    };
                    if what == "len" {
                        uri.length = number;
                    } else {
                        uri.depth = number;
                    }
                }
                _ => {
                    let word = line.word(at).into_owned();
                    let message = format!(
                        "balance uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '{word}')."
                    );
                    self.found
                        .alert(line.at(at), message)
                        .suggest(&word, ["len", "depth", "path-only", "whole"]);
                    return;
                }
            }
            at += 1;
        }
        self.settings().balance.algorithm = Some(Chosen::Uri(uri));
    }

    /// `balance url_param NAME [check_post [BYTES]]`; how much is waited for is no longer asked.
    fn balance_parameter(&mut self, line: &Line) {
        if line.bytes(2).is_empty() {
            let message = "balance url_param requires an URL parameter name.";
            self.refuse(line, 2, message);
            return;
        }
        let posted = line.bytes(3) == b"check_post";
        if !posted && !line.bytes(3).is_empty() {
            let word = line.word(3).into_owned();
            let message =
                format!("balance url_param only accepts 'check_post' modifier (got '{word}').");
            self.found
                .alert(line.at(3), message)
                .suggest(&word, ["check_post"]);
            return;
        }
        if self.only_as(line, if posted { 4 } else { 2 }, "balance url_param") {
            let name = line.bytes(2).to_vec();
            self.settings().balance.algorithm = Some(Chosen::Parameter(name, posted));
        }
    }

    /// `balance hdr(NAME) [use_domain_only]`.
    fn balance_header(&mut self, line: &Line, word: &str) {
        let name = word.strip_prefix("hdr(").and_then(|rest| {
            let (name, _) = rest.split_once(')')?;
            (!name.is_empty()).then(|| name.to_owned())
        });
        let Some(name) = name else {
            self.refuse(line, 1, "balance hdr requires an http header field name.");
            return;
        };
        let domain_only = line.bytes(2) == b"use_domain_only";
        if !domain_only && !line.bytes(2).is_empty() {
            let got = line.word(2).into_owned();
            let message = format!(
                "balance hdr({name}) only accepts 'use_domain_only' modifier (got '{got}')."
            );
            self.found
                .alert(line.at(2), message)
                .suggest(&got, ["use_domain_only"]);
            return;
        }
        let last = if domain_only { 2 } else { 1 };
        if self.only_as(line, last, &format!("balance {word}")) {
            self.settings().balance.algorithm =
                Some(Chosen::Header(name.into_bytes(), domain_only));
        }
    }

    /// `balance hash EXPRESSION`.
    fn balance_hash(&mut self, line: &Line) {
        if line.bytes(2).is_empty() {
            self.refuse(line, 2, "balance hash requires a sample expression.");
            return;
        }
        if !line.bytes(3).is_empty() {
            let message = format!(
                "balance hash takes no other argument (got '{}').",
                line.word(3)
            );
            self.refuse(line, 3, message);
            return;
        }
        self.settings().balance.algorithm = Some(Chosen::Sample(line.bytes(2).to_vec()));
    }

    /// `balance random[(DRAWS)]`.
    fn balance_random(&mut self, line: &Line, word: &str) {
        let rest = word.strip_prefix("random").unwrap_or_default();
        let mut draws = DRAWS;
        if let Some(inner) = rest.strip_prefix('(') {
            let Some((number, behind)) = inner.split_once(')') else {
                let message = "balance random : missing closing parenthesis.";
                self.refuse(line, 1, message);
                return;
            };
            let digits = number.strip_prefix('-').unwrap_or(number);
            let odd = digits.chars().find(|c| !c.is_ascii_digit());
            if let Some(odd) = odd.or_else(|| behind.chars().next()) {
                let message =
                    format!("balance random : unexpected character '{odd}' after argument.");
                self.refuse(line, 1, message);
                return;
            }
            if !number.is_empty() {
                match number.parse::<u32>() {
                    Ok(number) if number > 0 => draws = number.min(i32::MAX as u32),
                    _ => {
                        let message = "balance random : number of draws must be at least 1.";
                        self.refuse(line, 1, message);
                        return;
                    }
                }
            }
        } else if let Some(odd) = rest.chars().next() {
            let message = format!("balance random : unexpected character '{odd}' after the name.");
            self.refuse(line, 1, message);
            return;
        }
        if self.only_as(line, 1, "balance random") {
            self.settings().balance.algorithm = Some(Chosen::Plain(Algorithm::Random(draws)));
        }
    }

    /// `hash-type TYPE [FUNCTION [avalanche]]`.
    pub(super) fn hash_type_line(&mut self, line: &Line) {
        let is_consistent = match line.bytes(1) {
            b"consistent" => true,
            b"map-based" => false,
            b"avalanche" => {
                let message = "experimental feature 'hash-type avalanche' is not supported anymore, please use 'hash-type map-based sdbm avalanche' instead.";
                self.refuse(line, 1, message);
                return;
            }
            _ => {
                let word = line.word(1).into_owned();
                let message = "'hash-type' only supports 'consistent' and 'map-based'.";
                self.found
                    .alert(line.at(1), message)
                    .suggest(&word, ["consistent", "map-based"]);
                return;
            }
        };
        let function = match line.bytes(2) {
            b"" => None,
            b"sdbm" => Some(Function::Sdbm),
            b"djb2" => Some(Function::Djb2),
            b"wt6" => Some(Function::Wt6),
            b"crc32" => Some(Function::Crc32),
            _ => {
                let word = line.word(2).into_owned();
                let message =
                    "'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions.";
                self.found
                    .alert(line.at(2), message)
                    .suggest(&word, ["sdbm", "djb2", "crc32", "wt6"]);
                return;
            }
        };
        let mixed = line.bytes(3) == b"avalanche";
        if !mixed && !line.bytes(3).is_empty() {
            let word = line.word(3).into_owned();
            let message = "'hash-type' only supports 'avalanche' as a modifier for hash functions.";
            self.found
                .alert(line.at(3), message)
                .suggest(&word, ["avalanche"]);
            return;
        }
        if self.only(line, 3) {
            let balance = &mut self.settings().balance;
            balance.is_consistent = is_consistent;
            balance.function = function.map(|function| (function, mixed));
        }
    }

    /// `hash-balance-factor PERCENT`.
    pub(super) fn hash_factor_line(&mut self, line: &Line) {
        if line.bytes(1).is_empty() {
            self.refuse(
                line,
                1,
                "'hash-balance-factor' expects an integer argument.",
            );
            return;
        }
        let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
        let Some(factor) = self.number(line, 1, "hash-balance-factor", range) else {
            return;
        };
        match u32::try_from(factor) {
            Ok(factor) if factor == 0 || factor > 100 => {
                if self.only(line, 1) {
                    self.settings().balance.factor = factor;
                }
            }
            _ => {
                let message = "'hash-balance-factor' must be 0 or greater than 100.";
                self.refuse(line, 1, message);
            }
        }
    }

    /// In TCP mode nothing of HTTP can be hashed.
    pub(super) fn warn_of_hash(&mut self, at: usize) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        let of_http = matches!(
            proxy.settings.balance.algorithm,
            Some(Chosen::Uri(_) | Chosen::Parameter(..) | Chosen::Header(..))
        );
        if !of_http || proxy.settings.mode == Mode::Http || !proxy.is_backend() {
            return;
        }
        proxy.settings.balance.algorithm = Some(Chosen::Plain(Algorithm::default()));
        let (place, kind, name) = (proxy.at.clone(), proxy.kind(), &proxy.name);
        let message = format!(
            "Layer 7 hash not possible for {kind} '{name}' (needs 'mode http'). Falling back to round robin."
        );
        self.found
            .push(Severity::Warning, Lead::Bare, Some(place), message);
    }

    /// What the lines of a backend amount to.
    pub(super) fn resolve_balance(&mut self, at: usize) -> Balance {
        let Some(proxy) = self.proxies.get(at).filter(|proxy| proxy.is_backend()) else {
            return Balance::default();
        };
        let draft = proxy.settings.balance.clone();
        let chosen = draft.algorithm;
        let key = match chosen.unwrap_or_else(|| Chosen::Plain(Algorithm::default())) {
            Chosen::Plain(algorithm) => {
                return Balance {
                    algorithm,
                    hashing: None,
                    factor: draft.factor,
                };
            }
            Chosen::Source => Key::Source,
            Chosen::Uri(uri) => Key::Uri(uri),
            Chosen::Parameter(name, check_post) => Key::Parameter { name, check_post },
            Chosen::Header(name, domain_only) => Key::Header { name, domain_only },
            Chosen::Sample(text) => match self.compile_balance(at, &text) {
                Some(expression) => Key::Sample(expression),
                None => return Balance::default(),
            },
        };
        // Hashes that nobody chose a function for are mixed on a ring, and not in a table.
        let by_default = (Function::default(), draft.is_consistent);
        // The address is its own number, so that its function is of no account.
        let (function, avalanche) = draft.function.unwrap_or(by_default);
        Balance {
            algorithm: match draft.is_consistent {
                true => Algorithm::Consistent,
                false => Algorithm::Map,
            },
            hashing: Some(Box::new(Hashing {
                key,
                function,
                avalanche,
            })),
            factor: draft.factor,
        }
    }

    fn compile_balance(&mut self, at: usize, text: &[u8]) -> Option<Expression> {
        let compiled = self.compile_expression(at, text, Scope::Switch);
        let (place, before) = self.proxies.get(at).map(|proxy: &ProxyDraft| {
            let place = self.model_place(&proxy.at);
            let name = format!("{} '{}'", proxy.kind(), proxy.name);
            let before = format!("{name} [{}:{}]: ", place.file, place.line);
            (proxy.at.clone(), before)
        })?;
        let shown = String::from_utf8_lossy(text);
        let (message, suggestion) = match compiled {
            Ok(expression) => match expression.lacks(Scope::Switch) {
                None => return Some(expression),
                Some(lacking) => (
                    format!(
                        "error detected while parsing 'balance hash' expression '{shown}' which requires information from {lacking}, which is not available here."
                    ),
                    None,
                ),
            },
            Err(problem) => (
                format!(
                    "failed to parse 'balance hash' expression '{shown}' in : {}",
                    problem.message
                ),
                problem.suggestion,
            ),
        };
        let one = self.found.push(
            Severity::Alert,
            Lead::Bare,
            Some(place),
            format!("{before}{message}"),
        );
        if let Some(name) = suggestion {
            one.note(format!("did you mean '{name}' maybe ?"));
        }
        None
    }
}
