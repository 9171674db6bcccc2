//! Sessions that are bound to a server: by a cookie, and what rules say of that.
//!
//! A request's cookies are followed once, when all its rules have run: what rules have done to them
//! counts, and what is done here (the cookie taken out, its prefix cut) no rule sees. An answer's
//! are followed after the rules of answers, so that no rule touches the cookie that is set here
//! (configuration.txt 4.2, "cookie"; haproxy does both in this order). How fields are walked and
//! edited is `http::cookie`'s; here it is decided which server a cookie names, whether it may be
//! followed, and what the log tells of it.
//!
//! Only backends with a cookie and frontends that capture one pay for any of this.

use super::Engine;
use super::accept::Client;
use super::context::{Looking, Sight, facts};
use super::service::Service;
use super::session::open;
use crate::balance::persist::Directory;
use crate::balance::server::Server;
use crate::base::arena::Key;
use crate::base::buffer::Buffer;
use crate::config::model::{
    Capture, Cookie, CookieMode, DynamicCookies, Proxy, ProxyId, Server as Described, ServerId,
    ServerTarget,
};
use crate::http::cookie::{self, Dates, Place, Verdict, is_captured};
use crate::http::head::{Method, Name};
use crate::http::rewrite::{Editor, Overflow};
use crate::log::record::Target;
use crate::log::termination::{RequestCookie, ResponseCookie};
use crate::net::Net;
use crate::rules::plan::Walk;

/// How far in the future a cookie's date may lie, seconds: clocks differ.
const FUTURE_MAX_S: u64 = 24 * 3600;

/// The value and the date with which a client forgets a cookie.
const FORGET: &[u8] = b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT";

/// What is known of a session's persistence besides the server itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bond {
    /// A `force-persist` rule held: the server may be down, and is not left for another.
    pub(crate) forced: bool,
    /// An `ignore-persist` rule held.
    ignored: bool,
    /// The dates of the last cookie that was not too old.
    dates: Dates,
}

/// A request's cookies under way.
struct Reader<'a> {
    capture: Option<&'a Capture>,
    captured: &'a mut Vec<u8>,
    cookie: Option<&'a Cookie>,
    directory: &'a Directory,
    servers: &'a [Server],
    /// A server that is down may be named, too.
    tries_down: bool,
    now_s: u64,
    /// A rule has chosen the server already.
    is_chosen: bool,
    bond: &'a mut Bond,
    direct: &'a mut Option<ServerId>,
    letter: &'a mut RequestCookie,
}

impl Reader<'_> {
    /// Looks at one pair, and says what becomes of it.
    fn judge(&mut self, name: &[u8], value: &[u8]) -> Verdict<'static> {
        keep(self.capture, self.captured, name, value);
        let Some(cookie) = self.cookie.filter(|cookie| cookie.name.as_bytes() == name) else {
            return Verdict::Keep;
        };
        let prefixed = cookie.mode == CookieMode::Prefix;
        let mark = if prefixed { b'~' } else { b'|' };
        let mark = value.iter().position(|byte| *byte == mark);
        let (named, behind) = match mark.and_then(|at| value.split_at_checked(at)) {
            Some((named, behind)) => (named, behind.get(1..).unwrap_or_default()),
            None => (value, &b""[..]),
        };
        let behind = if prefixed { &b""[..] } else { behind };
        self.follow(cookie, named, behind);
        match (cookie.mode, mark) {
            (CookieMode::Prefix, Some(at)) => Verdict::Cut(at + 1),
            (CookieMode::Insert, _) if cookie.indirect => Verdict::Drop,
            _ => Verdict::Keep,
        }
    }

    fn follow(&mut self, cookie: &Cookie, named: &[u8], dates: &[u8]) {
        if cookie.max_idle > 0 || cookie.max_life > 0 {
            let dates = Dates::read(dates);
            if let Some(letter) = too_old(cookie, dates, self.now_s) {
                *self.letter = letter;
                return;
            }
            if dates != Dates::default() {
                self.bond.dates = dates;
            }
        }
        if self.bond.ignored || self.is_chosen {
            *self.letter = RequestCookie::Ignored;
            return;
        }
        // The first one that names a server has been followed.
        if self.direct.is_some() {
            return;
        }
        let mut any_down = false;
        for id in self.directory.named(named) {
            let up = (self.servers.get(id as usize)).is_some_and(Server::takes_bound);
            if up || self.tries_down {
                *self.direct = Some(ServerId(id));
                *self.letter = match up {
                    true => RequestCookie::Valid,
                    false => RequestCookie::Down,
                };
                return;
            }
            any_down = true;
        }
        if any_down {
            *self.letter = RequestCookie::Down;
        } else if *self.letter == RequestCookie::None {
            *self.letter = RequestCookie::Invalid;
        }
    }
}

/// Keeps the first pair that a `capture cookie` line asks for.
fn keep(capture: Option<&Capture>, kept: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let Some(capture) = capture.filter(|_| kept.is_empty()) else {
        return;
    };
    if is_captured(capture.begins.as_bytes(), name, value) {
        let equals = std::iter::once(&b'=');
        let pair = name.iter().chain(equals).chain(value);
        kept.extend(pair.take(capture.length));
    }
}

/// Whether a cookie with these dates may not be followed any more.
fn too_old(cookie: &Cookie, dates: Dates, now_s: u64) -> Option<RequestCookie> {
    let is_out = |date: u64, age: u32| {
        let age = u64::from(age);
        age > 0 && date > 0 && (now_s > date + age || date > now_s + FUTURE_MAX_S)
    };
    if is_out(dates.first, cookie.max_life) {
        return Some(RequestCookie::Old);
    }
    is_out(dates.last, cookie.max_idle).then_some(RequestCookie::Expired)
}

/// Whether a cookie that was followed is to be set anew, for its dates.
fn is_due(cookie: &Cookie, dates: Dates, today: u64) -> bool {
    let (by_idle, by_life) = (cookie.max_idle > 0, cookie.max_life > 0);
    let stale = dates.last > 0 && dates.last < today;
    let undated = by_idle && dates.last == 0 || by_life && dates.first == 0;
    (by_idle || by_life) && (stale || undated)
}

/// Writes the value of a `set-cookie` field that binds a client to a server.
fn write_cookie(
    cookie: &Cookie,
    server: Option<&str>,
    dates: Dates,
    today: u64,
    text: &mut Vec<u8>,
) {
    text.extend_from_slice(cookie.name.as_bytes());
    text.push(b'=');
    match server {
        None => text.extend_from_slice(FORGET),
        Some(server) => {
            text.extend_from_slice(server.as_bytes());
            if cookie.max_idle > 0 || cookie.max_life > 0 {
                text.push(b'|');
                cookie::write_date(today, text);
            }
            if cookie.max_life > 0 {
                let first = if dates.first > 0 { dates.first } else { today };
                text.push(b'|');
                cookie::write_date(first, text);
            }
        }
    }
    text.extend_from_slice(cookie.tail.as_bytes());
}

/// The servers of a backend by their cookies.
pub(crate) fn by_cookie<'a>(servers: impl Iterator<Item = &'a Described>) -> Directory {
    Directory::new(servers.filter_map(|server| Some((server.cookie.as_deref()?, server.id.0))))
}

/// The servers of a backend by their names, where a rule asks for one.
pub(crate) fn by_name<'a>(
    proxy: &Proxy,
    servers: impl Iterator<Item = &'a Described>,
) -> Directory {
    let asked = proxy.persistence.makes_names();
    let servers = servers.filter(|_| asked);
    Directory::new(servers.map(|server| (server.name.as_str(), server.id.0)))
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// The session is this proxy's: the log tells of its cookie, if it has one, and its rules say
    /// whether that one is followed.
    pub(crate) fn begin_persistence(
        &mut self,
        key: Key<Client>,
        backend: &Proxy,
        sight: Sight<'_>,
    ) {
        self.expect_cookie(key, backend);
        let rules = &backend.persistence.rules;
        if rules.is_empty() {
            return;
        }
        let config = self.config;
        open!(self, key => client, session);
        let mut facts = facts!(self, session, client.requests);
        facts.inspected = sight.inspected();
        let bench = &mut self.bench;
        let looking = Looking {
            facts: &facts,
            request: sight.request(&bench.head, &bench.edits, &bench.seen),
            response: None,
        };
        let (acls, mut walk) = (&config.acls, Walk::default());
        let mut said = None;
        while let Some(rule) = rules.next(&mut walk, acls, &looking, &mut bench.scratch) {
            if rule.condition.holds(acls, &looking, &mut bench.scratch) {
                said = Some(rule.forces);
                break;
            }
        }
        session.bond.forced = said == Some(true);
        session.bond.ignored = said == Some(false);
    }

    /// The log tells of this proxy's cookie.
    pub(crate) fn expect_cookie(&mut self, key: Key<Client>, proxy: &Proxy) {
        open!(self, key => _client, session);
        let cookie = proxy.persistence.cookie.as_ref();
        let (of_request, of_answer) = match cookie.is_some_and(|cookie| cookie.is_told()) {
            true => (RequestCookie::None, ResponseCookie::None),
            false => (RequestCookie::Unused, ResponseCookie::Unused),
        };
        session.txn.request_cookie = of_request;
        session.txn.response_cookie = of_answer;
    }

    /// Binds the session to the server of the first `use-server` rule that holds and whose server
    /// may be tried.
    pub(crate) fn choose_server(&mut self, key: Key<Client>, backend: &Proxy, sight: Sight<'_>) {
        let persistence = &backend.persistence;
        if persistence.choices.is_empty() {
            return;
        }
        open!(self, key => client, session);
        let mut facts = facts!(self, session, client.requests);
        facts.inspected = sight.inspected();
        let bench = &mut self.bench;
        let looking = Looking {
            facts: &facts,
            request: sight.request(&bench.head, &bench.edits, &bench.seen),
            response: None,
        };
        let tries_down = persistence.tries_down || session.bond.forced;
        let (acls, mut walk) = (&self.config.acls, Walk::default());
        let rules = &persistence.choices;
        let mut direct = None;
        while let Some(rule) = rules.next(&mut walk, acls, &looking, &mut bench.scratch) {
            if !rule.condition.holds(acls, &looking, &mut bench.scratch) {
                continue;
            }
            let server = match &rule.target {
                ServerTarget::Server(id) => *id,
                ServerTarget::Dynamic(format) => {
                    bench.text.clear();
                    format.render(&looking, &mut bench.scratch.buffers, &mut bench.text);
                    let names = &self.proxies[backend.id.0 as usize].names;
                    let named = names.named(&bench.text).next();
                    // An unknown name ends the rules and leaves it to balancing (the manual, 4.2).
                    let Some(id) = named else { break };
                    ServerId(id)
                }
            };
            if tries_down || self.servers[server.0 as usize].takes_bound() {
                direct = Some(server);
                break;
            }
        }
        session.direct = direct;
    }

    /// Follows the cookies of a request, and edits them as its server is to see them.
    pub(crate) fn follow_request(
        &mut self,
        key: Key<Client>,
        (frontend, backend): (&Proxy, &Proxy),
        buffer: &Buffer,
    ) -> Result<(), Overflow> {
        let capture = frontend.capture.as_ref();
        let persistence = &backend.persistence;
        let cookie = persistence.cookie.as_deref();
        let bench = &mut self.bench;
        let is_asked = cookie.is_some() || capture.is_some();
        if !is_asked || !bench.head.has(Name::Cookie) && bench.edits.is_empty() {
            return Ok(());
        }
        open!(self, key => _client, session, else Ok(()));
        let bond = &mut session.bond;
        let mut nothing = Vec::new();
        let txn = &mut session.txn;
        let mut letter = txn.request_cookie;
        let mut reader = Reader {
            capture,
            captured: match capture {
                Some(_) => &mut txn.rare_mut().request_cookie_text,
                None => &mut nothing,
            },
            cookie,
            directory: &self.proxies[backend.id.0 as usize].cookies,
            servers: &self.servers,
            tries_down: persistence.tries_down || bond.forced,
            now_s: self.now.wall_ms / 1000,
            is_chosen: session.direct.is_some(),
            bond,
            direct: &mut session.direct,
            letter: &mut letter,
        };
        let mut editor = Editor {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        let is_cookie = |_: &[u8], known| (known == Name::Cookie).then_some(());
        let edited = editor.edit_fields(is_cookie, |list, (), text| {
            cookie::edit(list, Place::Request, text, |name, value| {
                reader.judge(name, value)
            })
        });
        if txn.request_cookie != RequestCookie::Unused {
            txn.request_cookie = letter;
        }
        edited
    }

    /// A request that a rule denies has its cookies followed for the log alone, and the server that
    /// they name is told as if it had been reached. HAProxy has it so.
    pub(crate) fn follow_denied(&mut self, key: Key<Client>, proxy: &Proxy, buffer: &Buffer) {
        let Some(client) = self.clients.get(key) else {
            return;
        };
        let frontend = self.config.proxy(client.frontend);
        // What does not fit is not sent to anybody.
        let _ = self.follow_request(key, (frontend, proxy), buffer);
        open!(self, key => _client, session);
        if let Some(server) = session.direct {
            session.txn.target = Target::Server(server.0);
        }
    }

    /// Follows the cookies of an answer, and sets the one that binds its client.
    pub(crate) fn follow_answer(
        &mut self,
        key: Key<Client>,
        (frontend, backend): (&Proxy, &Proxy),
        buffer: &Buffer,
    ) -> Result<(), Overflow> {
        let capture = frontend.capture.as_ref();
        let cookie = backend.persistence.cookie.as_deref();
        if cookie.is_none() && capture.is_none() {
            return Ok(());
        }
        open!(self, key => _client, session, else Ok(()));
        let ignored = session.bond.ignored;
        let bench = &mut self.bench;
        let mut editor = Editor {
            bytes: buffer.readable(),
            head: &bench.head,
            edits: &mut bench.edits,
        };
        let server = session.server.map(|id| self.roster.server(id));
        let server = server.filter(|server| !server.dispatch);
        let value = server.and_then(|server| server.cookie.as_deref());
        let is_direct = session.direct.is_some();
        let mut nothing = Vec::new();
        let mut letter = session.txn.response_cookie;
        let captured = match capture {
            Some(_) => &mut session.txn.rare_mut().response_cookie_text,
            None => &mut nothing,
        };
        let place_of = |name: &[u8], known| Place::of_answer(name, known);
        editor.edit_fields(place_of, |list, place, text| {
            cookie::edit(list, place, text, |name, set| {
                keep(capture, captured, name, set);
                let own = cookie.filter(|cookie| cookie.name.as_bytes() == name && !ignored);
                let Some(own) = own else {
                    return Verdict::Keep;
                };
                let (after, verdict) = match (own.mode, value) {
                    _ if own.preserve => (ResponseCookie::Passed, Verdict::Keep),
                    (CookieMode::Insert, _) => (ResponseCookie::Deleted, Verdict::Drop),
                    _ if own.indirect && is_direct => (ResponseCookie::Deleted, Verdict::Drop),
                    (CookieMode::Rewrite, Some(value)) => {
                        (ResponseCookie::Rewritten, Verdict::Set(value.as_bytes()))
                    }
                    (CookieMode::Prefix, Some(value)) => {
                        (ResponseCookie::Rewritten, Verdict::Prefix(value.as_bytes()))
                    }
                    _ => (ResponseCookie::Passed, Verdict::Keep),
                };
                letter = after;
                verdict
            })
        })?;
        if session.txn.response_cookie != ResponseCookie::Unused {
            session.txn.response_cookie = letter;
        }
        let inserted = cookie.filter(|cookie| cookie.mode == CookieMode::Insert && !ignored);
        let (Some(cookie), Some(_)) = (inserted, server) else {
            return Ok(());
        };
        let today = cookie::rounded(self.now.wall_ms / 1000);
        let method = session.exchange.asked().method;
        let is_wanted = (!is_direct || is_due(cookie, session.bond.dates, today))
            && (!cookie.post_only || method == Method::Post)
            && letter != ResponseCookie::Passed;
        if !is_wanted {
            return Ok(());
        }
        let is_shared =
            cookie.no_cache && cookie::is_cacheable(&editor.message(), method, bench.head.status);
        bench.text.clear();
        write_cookie(cookie, value, session.bond.dates, today, &mut bench.text);
        editor.add_header(b"set-cookie", &bench.text)?;
        session.txn.response_cookie = match is_direct {
            true => ResponseCookie::Updated,
            false => ResponseCookie::Inserted,
        };
        if is_shared {
            editor.add_header(b"cache-control", b"private")?;
        }
        Ok(())
    }

    /// The session left the server that it was bound to.
    pub(crate) fn unbind(&mut self, key: Key<Client>) {
        open!(self, key => _client, session);
        session.direct = None;
        if session.txn.request_cookie == RequestCookie::Valid {
            session.txn.request_cookie = RequestCookie::Down;
        }
    }

    /// `set dynamic-cookie-key` and `enable|disable dynamic-cookie`: all cookies of a backend that
    /// no line has given are made anew.
    pub(crate) fn change_dynamic(&mut self, proxy: ProxyId, dynamic: DynamicCookies) {
        self.proxies[proxy.0 as usize].dynamic = dynamic;
        for place in 0..self.roster.members(proxy).len() {
            self.make_cookie(self.roster.members(proxy)[place]);
        }
        self.index_servers(proxy);
        if self.proxies[proxy.0 as usize].dynamic.on
            && self.proxies[proxy.0 as usize].cookies.has_twins()
        {
            self.tell_twins(proxy);
        }
    }

    /// A server has moved: its cookie, if it was made, moves with it.
    pub(crate) fn renew_cookie(&mut self, server: ServerId) {
        self.make_cookie(server);
        let proxy = self.roster.server(server).proxy;
        self.index_servers(proxy);
        let described = self.roster.server(server);
        let value = described.cookie.as_ref().filter(|_| !described.own_cookie);
        let cookies = &self.proxies[proxy.0 as usize].cookies;
        if value.is_some_and(|value| cookies.named(value.as_bytes()).count() > 1) {
            self.tell_twins(proxy);
        }
    }

    fn make_cookie(&mut self, server: ServerId) {
        let described = self.roster.server(server);
        if described.own_cookie {
            return;
        }
        let dynamic = &self.proxies[described.proxy.0 as usize].dynamic;
        let made = dynamic.of(&described.endpoint, described.port_offset);
        if made != described.cookie {
            self.roster.change(server, |present| present.cookie = made);
        }
    }

    /// Servers came, went or changed their cookies.
    pub(crate) fn index_servers(&mut self, proxy: ProxyId) {
        let described = self.config.proxy(proxy);
        let record = &mut self.proxies[proxy.0 as usize];
        record.cookies = by_cookie(self.roster.of(described));
        record.names = by_name(described, self.roster.of(described));
    }

    fn tell_twins(&self, proxy: ProxyId) {
        let backend = &self.config.proxy(proxy).name;
        ::log::warn!("{}", crate::config::model::twins(backend));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(max_idle: u32, max_life: u32) -> Cookie {
        Cookie {
            name: "S".to_owned(),
            max_idle,
            max_life,
            tail: "; path=/".to_owned(),
            ..Cookie::default()
        }
    }

    #[test]
    fn ages() {
        const NOW: u64 = 1_795_918_536;
        const DAY: u64 = 86_400;
        let (fresh, idle, old) = (None, Some(RequestCookie::Expired), Some(RequestCookie::Old));
        for (max_idle, max_life, last, first, expected) in [
            (60, 0, 0, 0, fresh),
            (60, 0, NOW - 60, 0, fresh),
            (60, 0, NOW - 61, 0, idle),
            (60, 0, NOW + DAY, 0, fresh),
            (60, 0, NOW + DAY + 1, 0, idle),
            (60, 0, NOW, NOW - 1000, fresh),
            (0, 120, NOW - 1000, NOW - 120, fresh),
            (0, 120, NOW - 1000, NOW - 121, old),
            (0, 120, NOW, NOW + DAY + 1, old),
            (60, 120, NOW - 61, NOW - 120, idle),
            (60, 120, NOW - 61, NOW - 121, old),
            (60, 120, NOW, NOW - 121, old),
        ] {
            let found = too_old(&cookie(max_idle, max_life), Dates { last, first }, NOW);
            assert_eq!(found, expected, "{max_idle} {max_life} {last} {first}");
        }
    }

    #[test]
    fn renewal() {
        const TODAY: u64 = 1_795_918_536;
        for (max_idle, max_life, last, first, due) in [
            (0, 0, 0, 0, false),
            (60, 0, 0, 0, true),
            (60, 0, TODAY, 0, false),
            (60, 0, TODAY - 4, 0, true),
            (60, 0, TODAY + 4000, 0, false),
            (0, 60, 0, TODAY - 8, false),
            (0, 60, TODAY - 4, TODAY - 8, true),
            (0, 60, TODAY, 0, true),
            (60, 60, 0, TODAY - 8, true),
            (60, 60, TODAY, TODAY - 8, false),
        ] {
            let found = is_due(&cookie(max_idle, max_life), Dates { last, first }, TODAY);
            assert_eq!(found, due, "{max_idle} {max_life} {last} {first}");
        }
    }

    #[test]
    fn what_is_set() {
        const TODAY: u64 = 1_795_918_536;
        let dates = Dates {
            last: 1,
            first: TODAY - 4 * 26,
        };
        for (max_idle, max_life, server, dates, expected) in [
            (0, 0, Some("A"), dates, "S=A; path=/"),
            (
                0,
                0,
                None,
                dates,
                "S=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/",
            ),
            (
                9,
                9,
                None,
                dates,
                "S=; Expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/",
            ),
            (9, 0, Some("A"), dates, "S=A|awuKy; path=/"),
            (0, 9, Some("A"), dates, "S=A|awuKy|awuKY; path=/"),
            (9, 9, Some("A"), Dates::default(), "S=A|awuKy|awuKy; path=/"),
        ] {
            let mut text = Vec::new();
            write_cookie(&cookie(max_idle, max_life), server, dates, TODAY, &mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
