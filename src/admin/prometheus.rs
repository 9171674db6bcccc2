//! The exporter for Prometheus: the metrics of `metric` as text, a piece at a time.
//!
//! The format wants all series of a metric together, so the outer loop is over metrics and the
//! inner one over proxies and servers, and a scrape of many servers is long. It is written in
//! pieces as the connection takes them: an [`Exporter`] remembers where it is by positions, not by
//! references, so that whatever changes between two pieces does no harm. Rejected: each row once,
//! with all its metrics, which would have to keep the whole text to put it in order.

use std::borrow::Cow;
use std::io::Write as _;

use super::column::Column;
use super::field::Value;
use super::info;
use super::metric::{METRICS, Metric, Reading, Scope};
use super::stat;
use crate::base::version::VERSION_AS_HAPROXY;
use crate::config::model::{AccessLevel, Mode, Proxy, Server};
use crate::engine::checks::Probe;
use crate::engine::service::{Admin, Inquiry, ListenerStatus, Op, Opened, View};

/// The states of a server, in the order of their series.
const SERVER_STATES: [&str; 5] = ["DOWN", "UP", "MAINT", "DRAIN", "NOLB"];

/// The states of a listener, in the order of their series.
const LISTENER_STATES: [&str; 3] = {
    let [first, second, third] = ListenerStatus::ALL;
    [first.word(), second.word(), third.word()]
};

/// The results of a check, in the order of their series. `HANA` is of servers whose traffic is
/// watched (`observe`).
const CHECK_RESULTS: [&str; 16] = [
    "HANA", "SOCKERR", "L4OK", "L4TOUT", "L4CON", "L6OK", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP",
    "L7OK", "L7OKC", "L7STS", "PROCERR", "PROCTOUT", "PROCOK",
];

/// Decides the answer to a request for the metrics. The method does not matter.
pub(super) fn open(asked: &Inquiry<'_>) -> Opened<Exporter> {
    let query = asked.target.splitn(2, |byte| *byte == b'?').nth(1);
    let Some(request) = Request::read(query.unwrap_or_default()) else {
        return Opened::refused(400);
    };
    Opened {
        status: 200,
        fields: vec![
            ("cache-control", Cow::Borrowed("no-cache")),
            ("content-type", Cow::Borrowed("text/plain; version=0.0.4")),
        ],
        page: Some(Exporter::new(request)),
        commands: Vec::new(),
    }
}

/// What a scrape asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    /// Which of [`Scope::ALL`].
    scopes: [bool; Scope::ALL.len()],
    /// `no-maint`: no server in maintenance.
    no_maint: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            scopes: [true; Scope::ALL.len()],
            no_maint: false,
        }
    }
}

impl Request {
    /// Reads the query of a request's target: `scope=global|frontend|backend|server|listener|*` any
    /// number of times, `no-maint`. An empty scope takes back what was said before; parameters that
    /// are not known mean nothing. `None` where HAProxy says 400: a scope that does not exist, and
    /// what cannot be decoded.
    fn read(query: &[u8]) -> Option<Self> {
        let mut request = Self::default();
        let mut chosen = false;
        for parameter in query.split(|byte| *byte == b'&') {
            let mut parts = parameter.splitn(2, |byte| *byte == b'=');
            let name = decoded(parts.next().unwrap_or_default())?;
            let value = match parts.next() {
                Some(value) => Some(decoded(value)?),
                None => None,
            };
            match &*name {
                b"scope" => {
                    if !std::mem::replace(&mut chosen, true) {
                        request.scopes = [false; Scope::ALL.len()];
                    }
                    request.choose(&value?)?;
                }
                b"no-maint" => request.no_maint = true,
                _ => {}
            }
        }
        Some(request)
    }

    fn choose(&mut self, scope: &[u8]) -> Option<()> {
        let [global, frontend, listener, backend, server] = &mut self.scopes;
        match scope {
            b"" => self.scopes = [false; Scope::ALL.len()],
            b"*" => self.scopes = [true; Scope::ALL.len()],
            b"global" => *global = true,
            b"frontend" => *frontend = true,
            b"backend" => *backend = true,
            b"server" => *server = true,
            b"listener" => *listener = true,
            // There is nothing to tell of them: `stick-table` is not implemented.
            b"sticktable" => {}
            _ => return None,
        }
        Some(())
    }
}

/// A part of a query with its escapes undone: `+` is a blank, and a NUL ends it, as for HAProxy.
fn decoded(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.iter().copied();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        };
        decoded.push(byte);
    }
    if let Some(end) = decoded.iter().position(|byte| *byte == 0) {
        decoded.truncate(end);
    }
    Some(Cow::Owned(decoded))
}

/// A scrape under way.
#[derive(Clone, Copy, Debug)]
pub struct Exporter {
    request: Request,
    /// Position in [`Scope::ALL`].
    scope: usize,
    /// Position among the scope's metrics.
    metric: usize,
    /// Position of the next proxy.
    proxy: usize,
    /// Position of the next server or listener in its proxy.
    server: usize,
    /// The lines that name and describe the metric are written.
    named: bool,
}

/// What a series is about.
#[derive(Clone, Copy, Debug)]
enum Subject<'a> {
    Process,
    Frontend(&'a Proxy),
    /// A listener, by its position.
    Listener(&'a Proxy, u32),
    Backend(&'a Proxy),
    Server(&'a Proxy, &'a Server),
}

/// A label that is the metric's own.
type Label<'a> = Option<(&'static str, &'a str)>;

impl Exporter {
    /// At the start of the text.
    const fn new(request: Request) -> Self {
        Self {
            request,
            scope: 0,
            metric: 0,
            proxy: 0,
            server: 0,
            named: false,
        }
    }

    /// Appends the next lines until `out` holds `most` bytes, or a few lines more; true while more
    /// is to come.
    pub(super) fn write(&mut self, view: &View<'_>, most: usize, out: &mut Vec<u8>) -> bool {
        let facts = info::values(view, false);
        while let Some(scope) = Scope::ALL.get(self.scope).copied() {
            let wanted = self.request.scopes.get(self.scope) == Some(&true);
            let Some(metric) = METRICS.get(self.metric).filter(|_| wanted) else {
                self.scope = self.scope.saturating_add(1);
                self.metric = 0;
                continue;
            };
            if metric.is_of(scope) {
                while let Some(subject) = self.next(scope, view) {
                    self.write_series(metric, subject, view, &facts, out);
                    if out.len() >= most {
                        return true;
                    }
                }
                (self.proxy, self.server) = (0, 0);
            }
            self.metric = self.metric.saturating_add(1);
            let next = METRICS.get(self.metric);
            self.named &= next.is_some_and(|next| next.name == metric.name);
        }
        false
    }

    /// The next subject of a scope; `None` behind the last.
    fn next<'a>(&mut self, scope: Scope, view: &View<'a>) -> Option<Subject<'a>> {
        if scope == Scope::Global {
            return (std::mem::replace(&mut self.proxy, 1) == 0).then_some(Subject::Process);
        }
        loop {
            let proxy = view.config.proxies.get(self.proxy)?;
            if scope == Scope::Server && proxy.is_backend && !proxy.disabled {
                let server = view.roster.members(proxy.id).get(self.server);
                if let Some(server) = server.map(|id| view.roster.server(*id)) {
                    self.server = self.server.saturating_add(1);
                    let record = view.servers.get(server.id.0 as usize);
                    let maint = record.is_none_or(|record| record.admin.any(Admin::MAINT));
                    if maint && self.request.no_maint {
                        continue;
                    }
                    return Some(Subject::Server(proxy, server));
                }
            }
            if scope == Scope::Listener && !proxy.disabled {
                let next = view.counting_listeners(proxy).nth(self.server);
                if let Some(position) = next {
                    self.server = self.server.saturating_add(1);
                    return Some(Subject::Listener(proxy, position));
                }
            }
            self.proxy = self.proxy.saturating_add(1);
            self.server = 0;
            match scope {
                _ if proxy.disabled => {}
                Scope::Frontend if proxy.is_frontend => return Some(Subject::Frontend(proxy)),
                Scope::Backend if proxy.is_backend => return Some(Subject::Backend(proxy)),
                _ => {}
            }
        }
    }

    /// Writes the series that a subject has of a metric.
    fn write_series(
        &mut self,
        metric: &Metric,
        subject: Subject<'_>,
        view: &View<'_>,
        facts: &[Value<'_>],
        out: &mut Vec<u8>,
    ) {
        let mut line = |label: Label<'_>, value: &Value<'_>| {
            let scope = subject.scope().word();
            let name = metric.name;
            if !std::mem::replace(&mut self.named, true) {
                let (about, unit) = metric.about();
                let kind = metric.kind.word();
                drop(write!(
                    out,
                    "# HELP haproxy_{scope}_{name} {about}{unit}\n\
                     # TYPE haproxy_{scope}_{name} {kind}\n"
                ));
            }
            drop(write!(out, "haproxy_{scope}_{name}"));
            subject.write_labels(label, view, out);
            out.push(b' ');
            match value {
                Value::Empty => out.extend_from_slice(b"NaN"),
                value => value.write(out),
            }
            out.push(b'\n');
        };
        match metric.reading {
            Reading::Fact(fact) => line(None, facts.get(fact as usize).unwrap_or(&Value::Empty)),
            Reading::BuildInfo => {
                line(Some(("version", VERSION_AS_HAPROXY)), &Value::U32(1));
            }
            Reading::Number(column) => {
                let row = subject.row(view);
                line(
                    None,
                    row.as_ref().map_or(&Value::Empty, |row| row.value(column)),
                );
            }
            Reading::Http(column) => {
                if let Some(row) = subject.row(view).filter(|_| subject.is_http()) {
                    line(None, row.value(column));
                }
            }
            Reading::Class(column, class) => {
                if let Some(row) = subject.row(view).filter(|_| subject.is_http()) {
                    line(Some(("code", class)), row.value(column));
                }
            }
            Reading::Seconds(column) => {
                if let Some(row) = subject.row(view)
                    && let Value::U32(ms) = row.value(column)
                {
                    line(None, &seconds(u64::from(*ms)));
                }
            }
            Reading::State => {
                let state = subject.state(view);
                let states = match subject {
                    Subject::Server(..) => &SERVER_STATES[..],
                    Subject::Listener(..) => &LISTENER_STATES[..],
                    _ => SERVER_STATES.get(..2).unwrap_or_default(),
                };
                for one in states {
                    line(Some(("state", one)), &Value::U32(u32::from(*one == state)));
                }
            }
            // A backend without servers has no counts of them.
            Reading::ServerStates | Reading::CheckResults
                if subject.servers(view).next().is_none() => {}
            Reading::ServerStates => {
                let states = subject.servers(view).map(|server| server.state(view));
                let counts = count(&SERVER_STATES, states);
                for (state, count) in SERVER_STATES.iter().zip(counts) {
                    line(Some(("state", state)), &Value::U32(count));
                }
            }
            Reading::CheckResults => {
                let probes = subject.servers(view);
                let probes = probes.filter_map(|server| server.probe(view));
                let counts = count(
                    &CHECK_RESULTS,
                    probes.map(|probe| probe.report.status.name()),
                );
                for (result, count) in CHECK_RESULTS.iter().zip(counts) {
                    line(Some(("state", result)), &Value::U32(count));
                }
            }
            Reading::CheckResult => {
                if let Some(probe) = subject.probe(view).filter(|probe| probe.state.runs()) {
                    let is = probe.report.status.name();
                    for result in CHECK_RESULTS {
                        let value = Value::U32(u32::from(result == is));
                        line(Some(("state", result)), &value);
                    }
                }
            }
            Reading::CheckCode => {
                if let Some(probe) = subject.probe(view).filter(|probe| probe.state.runs()) {
                    line(None, &Value::U32(probe.report.code));
                }
            }
            Reading::CheckSeconds => {
                if let Some(probe) = subject.probe(view).filter(|probe| has_run(probe)) {
                    line(None, &seconds(probe.report.duration_ms));
                }
            }
        }
    }
}

impl<'a> Subject<'a> {
    const fn scope(self) -> Scope {
        match self {
            Self::Process => Scope::Global,
            Self::Frontend(_) => Scope::Frontend,
            Self::Listener(..) => Scope::Listener,
            Self::Backend(_) => Scope::Backend,
            Self::Server(..) => Scope::Server,
        }
    }

    /// Its row of `show stat`.
    fn row(self, view: &View<'a>) -> Option<stat::Row<'a>> {
        match self {
            Self::Process => None,
            Self::Frontend(proxy) => Some(stat::frontend(proxy, view)),
            Self::Listener(proxy, position) => {
                Some(stat::listener_row(proxy, position, view, AccessLevel::User))
            }
            Self::Backend(proxy) => Some(stat::backend(proxy, view, AccessLevel::User)),
            Self::Server(proxy, server) => {
                Some(stat::server_row(proxy, server, view, AccessLevel::User))
            }
        }
    }

    fn is_http(self) -> bool {
        match self {
            Self::Process => false,
            Self::Frontend(proxy)
            | Self::Listener(proxy, _)
            | Self::Backend(proxy)
            | Self::Server(proxy, _) => proxy.mode == Mode::Http,
        }
    }

    /// Names of proxies and servers have no character that would have to be escaped.
    fn write_labels(self, label: Label<'_>, view: &View<'_>, out: &mut Vec<u8>) {
        let own = match self {
            Self::Process => Ok(()),
            Self::Frontend(proxy) | Self::Backend(proxy) => {
                write!(out, "{{proxy=\"{}\"", proxy.name)
            }
            Self::Listener(proxy, position) => {
                let listener = view.config.listeners.get(position as usize);
                let name = listener.map(stat::listener_name).unwrap_or_default();
                let name = name.replace('\\', r"\\").replace('"', "\\\"");
                write!(out, "{{proxy=\"{}\",listener=\"{name}\"", proxy.name)
            }
            Self::Server(proxy, server) => {
                write!(out, "{{proxy=\"{}\",server=\"{}\"", proxy.name, server.name)
            }
        };
        // Writing to a vector does not fail.
        drop(own);
        let alone = matches!(self, Self::Process);
        match label {
            Some((name, value)) => {
                let separator = if alone { '{' } else { ',' };
                drop(write!(out, "{separator}{name}=\"{value}\"}}"));
            }
            None if alone => {}
            None => out.push(b'}'),
        }
    }

    /// Its state, as one of [`SERVER_STATES`].
    fn state(self, view: &View<'a>) -> &'static str {
        let up = match self {
            Self::Process => true,
            Self::Listener(_, position) => {
                let listener = view.config.listeners.get(position as usize);
                let status = listener.map(|listener| view.listener_status(position, listener));
                return status.map_or("WAITING", ListenerStatus::word);
            }
            Self::Frontend(proxy) => {
                let stats = view.proxy_stats.get(proxy.id.0 as usize);
                stats.is_some_and(|stats| !stats.stopped)
            }
            Self::Backend(_) => self
                .row(view)
                .is_some_and(|row| *row.value(Column::Status) == Value::from("UP")),
            Self::Server(_, server) => {
                let Some(record) = view.servers.get(server.id.0 as usize) else {
                    return "MAINT";
                };
                return match record.op {
                    _ if record.admin.any(Admin::MAINT) => "MAINT",
                    Op::Stopped => "DOWN",
                    Op::Stopping => "NOLB",
                    _ if record.admin.any(Admin::DRAIN) => "DRAIN",
                    Op::Running | Op::Starting => "UP",
                };
            }
        };
        if up { "UP" } else { "DOWN" }
    }

    /// The servers of a backend.
    fn servers(self, view: &View<'a>) -> impl Iterator<Item = Subject<'a>> {
        let proxy = match self {
            Self::Backend(proxy) => Some(proxy),
            _ => None,
        };
        let roster = view.roster;
        proxy.into_iter().flat_map(move |proxy| {
            let servers = roster.of(proxy);
            servers.map(move |server| Subject::Server(proxy, server))
        })
    }

    /// The check of a server.
    fn probe(self, view: &View<'a>) -> Option<&'a Probe> {
        match self {
            Self::Server(_, server) => view.probes.get(server.id.0 as usize)?.as_ref(),
            _ => None,
        }
    }
}

fn has_run(probe: &Probe) -> bool {
    probe.report.status.has_duration()
}

/// How many of `words` are each of `names`.
fn count<const N: usize>(
    names: &[&'static str; N],
    words: impl Iterator<Item = &'static str>,
) -> [u32; N] {
    let mut counts = [0u32; N];
    for word in words {
        let at = names.iter().position(|name| *name == word);
        if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
            *count = u32::saturating_add(*count, 1);
        }
    }
    counts
}

/// A time with six decimals, as HAProxy has it.
fn seconds(ms: u64) -> Value<'static> {
    Value::from(format!("{}.{:03}000", ms / 1000, ms % 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [bool; 5] = [true; 5];
    const NONE: [bool; 5] = [false; 5];
    const GLOBAL: [bool; 5] = [true, false, false, false, false];
    const LISTENER: [bool; 5] = [false, false, true, false, false];
    const SERVER: [bool; 5] = [false, false, false, false, true];

    #[test]
    fn what_a_query_asks_for() {
        type Read = Option<([bool; 5], bool)>;
        let cases: &[(&str, Read)] = &[
            ("", Some((ALL, false))),
            ("a=b&&c", Some((ALL, false))),
            ("SCOPE=global", Some((ALL, false))),
            ("extra-counters", Some((ALL, false))),
            ("scope=global", Some((GLOBAL, false))),
            ("&&scope=global&=x&", Some((GLOBAL, false))),
            ("%73cope=glo%62al", Some((GLOBAL, false))),
            ("scope=global%00x", Some((GLOBAL, false))),
            (
                "scope=frontend&scope=backend",
                Some(([false, true, false, true, false], false)),
            ),
            ("scope=listener", Some((LISTENER, false))),
            ("scope=sticktable", Some((NONE, false))),
            ("scope=global&scope=", Some((NONE, false))),
            ("scope=&scope=global", Some((GLOBAL, false))),
            ("scope=*", Some((ALL, false))),
            ("scope=global&scope=*", Some((ALL, false))),
            ("no-maint", Some((ALL, true))),
            ("no-maint=0&scope=server", Some((SERVER, true))),
            ("scope", None),
            ("scope=Global", None),
            ("scope=global+", None),
            ("scope=global&scope=all", None),
            ("scope=global;no-maint", None),
            ("scope=global%26scope=server", None),
            ("x=%zz", None),
            ("x=%2", None),
            ("%", None),
        ];
        for (query, expected) in cases {
            let read = Request::read(query.as_bytes()).map(|read| (read.scopes, read.no_maint));
            assert_eq!(read, *expected, "{query:?}");
        }
    }

    #[test]
    fn times_are_in_seconds() {
        for (ms, expected) in [(0, "0.000000"), (7, "0.007000"), (61_050, "61.050000")] {
            assert_eq!(seconds(ms), Value::from(expected));
        }
    }

    #[test]
    fn words_are_counted_by_name() {
        let words = ["UP", "MAINT", "UP", "unheard of"];
        assert_eq!(count(&SERVER_STATES, words.into_iter()), [0, 2, 1, 0, 0]);
    }
}
