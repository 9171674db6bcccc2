//! The `stats ...` lines of `defaults`, `frontend`, `backend` and `listen` (configuration.txt 4.2):
//! who gets the statistics page, where, and what it shows.
//!
//! The first line of a proxy's own takes the place of all that its `defaults` said of the page, its
//! passwords included, as in HAProxy. What only a proxy may say (`admin`, `http-request`) has
//! conditions, which `rules` compiles. Words after a complete line are ignored, because HAProxy
//! ignores them here.

use super::diag::{Lead, Severity};
use super::draft::StatsDraft;
use super::keywords::{Class, admit_word};
use super::lexer::Line;
use super::model::{Access, ProxyId, Statistics, StatisticsRule};
use super::resolve::id_of;
use super::sections::Parser;
use super::units::{self, TimeUnit};
use crate::rules::fetch::Scope;

/// `stats uri` when it is not said.
const URI: &str = "/haproxy?stats";

impl Parser<'_> {
    /// One `stats` line of a proxy or of `defaults`.
    pub(super) fn stats_line(&mut self, line: &Line) {
        let Some(what) = admit_word(Class::ProxyStats, "", line, 1, &mut self.found) else {
            return;
        };
        let needs = match what.name {
            "admin" => return self.stats_admin_line(line),
            "http-request" => {
                let before = self.found.list().len();
                self.stats_rule_line(line);
                // As in HAProxy, a mistake in a rule ends the reading.
                if self.proxy().is_some() {
                    self.found.abort_from(before);
                }
                return;
            }
            "refresh" => return self.stats_refresh_line(line),
            "show-node" => return self.stats_node_line(line),
            "show-desc" => return self.stats_description_line(line),
            "uri" => "'uri' needs an URI prefix.",
            "realm" => "'realm' needs an realm name.",
            "auth" => "'auth' needs a user:password account.",
            "scope" => "'scope' needs a proxy name.",
            _ => "",
        };
        let word = line.word(2).into_owned();
        if !needs.is_empty() && word.is_empty() {
            return self.refuse(line, 2, needs);
        }
        let stats = self.own_stats();
        match what.name {
            "uri" => stats.uri = Some(word),
            "realm" => stats.realm = Some(word),
            "auth" => {
                if let Some(known) = stats.add_user(&word) {
                    let message = format!("uri auth: ignoring duplicated user '{known}'.");
                    let one = self.found.warning(line.at(2), message);
                    one.lead(Lead::Bare);
                }
            }
            "scope" => stats.scope.push(word),
            "hide-version" => stats.hides_version = true,
            "show-legends" => stats.shows_legends = true,
            "show-modules" => stats.shows_modules = true,
            // `enable`: what was said already.
            _ => {}
        }
    }

    /// What the section at hand says of the page.
    fn own_stats(&mut self) -> &mut StatsDraft {
        let fresh = match self.proxy() {
            Some(proxy) => !std::mem::replace(&mut proxy.has_own_stats, true),
            None => false,
        };
        let stats = &mut self.settings().stats;
        if fresh {
            *stats = None;
        }
        stats.get_or_insert_default()
    }

    fn stats_refresh_line(&mut self, line: &Line) {
        let word = line.word(2).into_owned();
        let message = match units::time(&word, TimeUnit::S, TimeUnit::S) {
            Ok(seconds) if !word.is_empty() => {
                // 0 takes it back.
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                self.own_stats().refresh = (seconds > 0).then_some(seconds);
                return;
            }
            Ok(_) => "missing argument to stats refresh interval.".to_owned(),
            Err(units::TimeError::Unexpected(c)) => {
                format!("unexpected character '{c}' in argument to stats refresh interval.")
            }
            Err(units::TimeError::Overflow) => format!(
                "timer overflow in argument <{word}> to stats refresh interval, maximum value is 2147483647 s (~68 years)."
            ),
        };
        let one = self.found.alert(line.at(2), message);
        one.lead(Lead::ParsingTight);
    }

    /// `stats show-node [NAME]`.
    fn stats_node_line(&mut self, line: &Line) {
        let word = line.word(2).into_owned();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !word.chars().all(fits) {
            let message = "'stats show-node' invalid node name - should be a stringwith digits(0-9), letters(A-Z, a-z), hyphen(-) or underscode(_).";
            let one = self.found.alert(line.at(2), message);
            one.lead(Lead::ParsingTight);
            return;
        }
        self.own_stats().node = Some(Some(word).filter(|word| !word.is_empty()));
    }

    /// `stats show-desc [TEXT...]`.
    fn stats_description_line(&mut self, line: &Line) {
        let words: Vec<_> = (2..line.words.len()).map(|at| line.word(at)).collect();
        let text = match words.is_empty() {
            false => words.join(" "),
            true => match &self.global.description {
                Some(text) => text.clone(),
                None => {
                    let message = "'show-desc' requires a parameter or 'desc' to be set in the global section.";
                    let one = self.found.warning(line.at(1), message);
                    one.lead(Lead::ParsingTight);
                    return;
                }
            },
        };
        self.own_stats().description = Some(text);
    }

    /// `stats admin if|unless CONDITION`.
    fn stats_admin_line(&mut self, line: &Line) {
        if self.proxy().is_none() {
            let message = "'stats admin' not allowed in 'defaults' section.";
            let one = self.found.alert(line.at(1), message);
            one.lead(Lead::ParsingTight);
            return;
        }
        if !matches!(line.bytes(2), b"if" | b"unless") {
            let message = "'stats admin' requires either 'if' or 'unless' followed by a condition.";
            return self.refuse(line, 2, message);
        }
        self.own_stats();
        let before = "error detected while parsing a 'stats admin' rule : ";
        if let Some(condition) = self.condition(line, 2, Scope::Request, before)
            && let Some(proxy) = self.proxy()
        {
            proxy.stats_admins.push(condition);
        }
    }

    /// `stats http-request allow|deny|auth [realm REALM] [if|unless CONDITION]`.
    fn stats_rule_line(&mut self, line: &Line) {
        if self.proxy().is_none() {
            let message = "'stats' not allowed in 'defaults' section.";
            let one = self.found.alert(line.at(1), message);
            one.lead(Lead::ParsingTight);
            return;
        }
        let word = line.word(2).into_owned();
        let (action, next) = match &*word {
            "allow" => (Access::Allow, 3),
            "deny" => (Access::Deny, 3),
            "auth" if line.bytes(3) != b"realm" => (Access::Authenticate(None), 3),
            "auth" if line.bytes(4).is_empty() => {
                let Some(proxy) = self.proxy() else { return };
                let message = format!(
                    "error detected in {} '{}' while parsing 'http-request auth' rule : missing realm value.\n.",
                    proxy.kind(),
                    proxy.name
                );
                return self.refuse(line, 4, message);
            }
            "auth" => (Access::Authenticate(Some(line.word(4).into_owned())), 5),
            _ => {
                let message = format!(
                    "'stats http-request' expects 'allow', 'deny' or 'auth', but got '{word}'."
                );
                let one = self.found.alert(line.at(2), message);
                one.lead(Lead::ParsingTight)
                    .suggest(&word, ["allow", "deny", "auth"]);
                return;
            }
        };
        let condition = match line.bytes(next) {
            b"" => None,
            b"if" | b"unless" => {
                let before =
                    format!("error detected while parsing an 'http-request {word}' condition : ");
                match self.condition(line, next, Scope::Request, &before) {
                    Some(condition) => Some(condition),
                    None => return,
                }
            }
            _ => {
                let found = line.word(next).into_owned();
                let message = format!(
                    "'http-request {word}' expects either 'if' or 'unless' followed by a condition but found '{found}'."
                );
                let one = self.found.alert(line.at(next), message);
                one.lead(Lead::ParsingTight);
                return;
            }
        };
        self.own_stats();
        let Some(proxy) = self.proxy() else { return };
        let dead = proxy.stats_rules.last();
        let dead = dead.is_some_and(|rule: &StatisticsRule| rule.condition.is_none());
        proxy.stats_rules.push(StatisticsRule { action, condition });
        if dead {
            let message =
                "previous 'stats' action has no condition attached, further entries are NOOP.";
            let one = self.found.warning(line.at(0), message);
            one.lead(Lead::ParsingTight);
        }
    }

    /// The page of a proxy whose lines have all been read, but for its rules.
    pub(super) fn resolve_stats(&mut self, at: usize) -> Option<Statistics> {
        let proxy = self.proxies.get(at)?;
        let said = proxy.settings.stats.clone()?;
        if (!said.users.is_empty() || said.realm.is_some()) && !proxy.stats_rules.is_empty() {
            let message = format!(
                "proxy '{}': stats 'auth'/'realm' and 'http-request' can't be used at the same time.",
                proxy.name
            );
            let place = Some(proxy.at.clone());
            self.found.push(Severity::Alert, Lead::Bare, place, message);
            return None;
        }
        let mut scope = Vec::new();
        for name in &said.scope {
            if name == "." {
                scope.push(id_of(at));
            }
            if let Some(named) = self.names.proxies.get(name.as_bytes()) {
                let both = named.frontend.into_iter().chain(named.backend);
                scope.extend(both.map(ProxyId));
            }
        }
        let node = self.global.node.clone();
        Some(Statistics {
            uri: said.uri.unwrap_or_else(|| URI.to_owned()),
            refresh: said.refresh,
            realm: said.realm,
            users: said.users,
            scope: (!said.scope.is_empty()).then_some(scope),
            hides_version: said.hides_version,
            shows_legends: said.shows_legends,
            shows_modules: said.shows_modules,
            node: said.node.map(|name| name.or(node)),
            description: said.description,
            rules: Vec::new(),
            admins: Vec::new(),
        })
    }
}

impl StatsDraft {
    /// `stats auth`: the first line of a name counts. Gives the name if there is one already.
    fn add_user(&mut self, word: &str) -> Option<String> {
        let (name, password) = word.split_once(':').unwrap_or((word, ""));
        let known = |user: &String| user.split(':').next() == Some(name);
        if self.users.iter().any(known) {
            return Some(name.to_owned());
        }
        self.users.push(format!("{name}:{password}"));
        None
    }
}
