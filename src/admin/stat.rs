//! `show stat`: a row for each frontend, server and backend, as CSV, typed lines or JSON.
//!
//! Which columns a row leaves empty is HAProxy's choice by kind of row (a frontend has no queue, a
//! TCP proxy no answer classes, an unchecked server no check). Numbers come from the engine's
//! counters; what oneloop does not have (TLS, HTTP/2, cache, compression) is 0 where HAProxy built
//! without use of it says 0, and empty where HAProxy leaves it empty.

use std::borrow::Cow;
use std::io::Write as _;

use super::column::{COLUMNS, Column, LAST_COMMON};
use super::field::{Field, Form, Value, write_json_tail};
use super::servers;
use crate::base::addr::Endpoint;
use crate::config::model::{AccessLevel, Listener, Mode, Proxy, ProxyId, Server};
use crate::engine::balance::{PARTS, warmth};
use crate::engine::idle::IdleList;
use crate::engine::service::{Admin, Op, Tracked, View, write_status};
use crate::engine::stats::{Counters, ProxyStats, Times};

/// What kind of thing a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Frontend,
    Backend,
    Server,
    Listener,
}

impl Kind {
    /// The column `type`.
    const fn number(self) -> u32 {
        match self {
            Self::Frontend => 0,
            Self::Backend => 1,
            Self::Server => 2,
            Self::Listener => 3,
        }
    }

    /// The bit of `show stat`'s second argument.
    const fn bit(self) -> i64 {
        1 << self.number()
    }

    const fn letter(self) -> char {
        match self {
            Self::Frontend => 'F',
            Self::Backend => 'B',
            Self::Server => 'S',
            Self::Listener => 'L',
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Frontend => "Frontend",
            Self::Backend => "Backend",
            Self::Server => "Server",
            Self::Listener => "Listener",
        }
    }

    /// The tags of a field in this kind of row: a few differ for backends.
    fn tags(self, column: usize, field: &Field) -> &'static str {
        let differs = [Column::Act, Column::Bck]
            .iter()
            .any(|c| *c as usize == column);
        let rates = [Column::Rate, Column::RateMax]
            .iter()
            .any(|c| *c as usize == column);
        match self {
            Self::Server if differs => "SGP",
            Self::Backend if rates => "MGP",
            _ => field.tags,
        }
    }
}

/// A row: a value for each column.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) kind: Kind,
    /// The proxy's number.
    pub(super) proxy: u32,
    id: u32,
    values: Vec<Value<'a>>,
}

impl<'a> Row<'a> {
    fn new(kind: Kind, proxy: &'a Proxy, id: u32) -> Self {
        let mut row = Self {
            kind,
            proxy: proxy.number,
            id,
            values: vec![Value::Empty; COLUMNS.len()],
        };
        row.set(Column::Pxname, proxy.name.as_str());
        row.set(Column::Pid, 1u32);
        row.set(Column::Iid, proxy.number);
        row.set(Column::Sid, id);
        row.set(Column::Type, kind.number());
        let mode = match proxy.mode {
            Mode::Http => "http",
            Mode::Tcp => "tcp",
        };
        row.set(Column::Mode, mode);
        row
    }

    fn set(&mut self, column: Column, value: impl Into<Value<'a>>) {
        if let Some(place) = self.values.get_mut(column as usize) {
            *place = value.into();
        }
    }

    fn set_all(&mut self, columns: &[Column], value: &Value<'a>) {
        for column in columns {
            self.set_value(*column, value.clone());
        }
    }

    fn set_value(&mut self, column: Column, value: Value<'a>) {
        if let Some(place) = self.values.get_mut(column as usize) {
            *place = value;
        }
    }

    /// The value of a column.
    pub(super) fn value(&self, column: Column) -> &Value<'a> {
        self.values.get(column as usize).unwrap_or(&Value::Empty)
    }

    fn values(&self) -> impl Iterator<Item = (usize, &Field, &Value<'a>)> {
        let fields = COLUMNS.iter().zip(&self.values).enumerate();
        fields.map(|(index, (field, value))| (index, field, value))
    }
}

/// What `show stat` was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its form.
    pub form: Form,
    /// `desc`.
    pub described: bool,
    /// Only this proxy, by its number.
    pub proxy: Option<u32>,
    /// Only these proxies.
    pub scope: Option<Vec<ProxyId>>,
    /// Only proxies with this in their names, in lower case.
    pub names: Option<String>,
    /// Only these kinds of rows: 1 frontends, 2 backends, 4 servers, 8 listeners; -1 for all.
    pub kinds: i64,
    /// Only this server or listener, by its number; -1 for all.
    pub server: i64,
    /// `up`: no server that is down.
    pub up: bool,
    /// `no-maint`: no server in maintenance.
    pub no_maint: bool,
    /// Who asks: users do not see addresses and algorithms.
    pub level: AccessLevel,
}

impl Default for Request {
    /// Everything, as CSV, for a user.
    fn default() -> Self {
        Self {
            form: Form::Plain,
            described: false,
            proxy: None,
            scope: None,
            names: None,
            kinds: -1,
            server: -1,
            up: false,
            no_maint: false,
            level: AccessLevel::User,
        }
    }
}

impl Request {
    /// Reads the words after `show stat`. The filter counts only when all three parts are there.
    ///
    /// # Errors
    /// `No such proxy.`
    pub fn new(words: &[&str], level: AccessLevel, view: &View<'_>) -> Result<Self, &'static str> {
        let (form, described) = Form::of(words);
        let mut request = Self {
            form,
            described,
            up: words.contains(&"up"),
            no_maint: words.contains(&"no-maint"),
            level,
            ..Self::default()
        };
        if let [proxy, kinds, server, ..] = words {
            request.kinds = leading_number(kinds);
            request.server = leading_number(server);
            let known = view.config.proxies.iter().find(|p| p.name == *proxy);
            request.proxy = match (known, leading_number(proxy)) {
                (Some(known), _) => Some(known.number),
                (None, -1) => None,
                (None, 0) => return Err("No such proxy."),
                (None, number) => Some(u32::try_from(number).unwrap_or(u32::MAX)),
            };
        }
        Ok(request)
    }

    fn wants_proxy(&self, proxy: &Proxy) -> bool {
        let named = |part: &String| proxy.name.to_ascii_lowercase().contains(part.as_str());
        !proxy.disabled
            && self.proxy.is_none_or(|wanted| wanted == proxy.number)
            && self.names.as_ref().is_none_or(named)
            && self
                .scope
                .as_ref()
                .is_none_or(|shown| shown.contains(&proxy.id))
    }

    fn wants(&self, kind: Kind) -> bool {
        self.kinds & kind.bit() != 0
    }
}

/// The number a word begins with, 0 if none: how C's `atoi` reads it.
fn leading_number(word: &str) -> i64 {
    let digits_at = usize::from(word.starts_with(['-', '+']));
    let rest = word.get(digits_at..).unwrap_or_default();
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest.get(..len).unwrap_or_default().parse().unwrap_or(0);
    if word.starts_with('-') {
        i64::saturating_neg(number)
    } else {
        number
    }
}

/// How far a listing has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    proxy: usize,
    /// Within the proxy: the frontend, each listener that counts, each server, the backend.
    place: usize,
    begun: bool,
    any: bool,
}

/// Appends the whole answer but for the empty line at its end.
pub fn show(request: &Request, view: &View<'_>, out: &mut Vec<u8>) {
    let all = show_part(request, view, &mut Cursor::default(), usize::MAX, out);
    debug_assert!(!all, "no piece is that long");
}

/// Appends the next rows of the answer until `out` holds `most` bytes; true while more is to come.
pub fn show_part(
    request: &Request,
    view: &View<'_>,
    cursor: &mut Cursor,
    most: usize,
    out: &mut Vec<u8>,
) -> bool {
    if !std::mem::replace(&mut cursor.begun, true) {
        match request.form {
            Form::Plain => write_header(out),
            Form::Typed => {}
            Form::Json => out.push(b'['),
        }
    }
    while out.len() < most {
        let Some(row) = cursor.next(request, view) else {
            if request.form == Form::Json {
                out.extend_from_slice(b"]\n");
            }
            return false;
        };
        if request.form == Form::Json && std::mem::replace(&mut cursor.any, true) {
            out.push(b',');
        }
        write_row(request, &row, out);
    }
    true
}

impl Cursor {
    /// The next row that is wanted.
    pub(super) fn next<'a>(&mut self, request: &Request, view: &View<'a>) -> Option<Row<'a>> {
        loop {
            let proxy = view.config.proxies.get(self.proxy)?;
            let place = self.place;
            let listeners = view.counting_listeners(proxy).len();
            let members = view.roster.members(proxy.id).len();
            let over = place > listeners.saturating_add(members).saturating_add(1);
            if over || !request.wants_proxy(proxy) {
                self.proxy = self.proxy.saturating_add(1);
                self.place = 0;
                continue;
            }
            self.place = place.saturating_add(1);
            if let Some(row) = row_at(request, view, proxy, place) {
                return Some(row);
            }
        }
    }
}

/// The row at a place of a proxy, if there is one and it is wanted.
fn row_at<'a>(
    request: &Request,
    view: &View<'a>,
    proxy: &'a Proxy,
    place: usize,
) -> Option<Row<'a>> {
    let Some(place) = place.checked_sub(1) else {
        let wanted = proxy.is_frontend && request.wants(Kind::Frontend);
        return wanted.then(|| frontend(proxy, view));
    };
    let mut listeners = view.counting_listeners(proxy);
    let count = listeners.len();
    let Some(place) = place.checked_sub(count) else {
        let position = listeners.nth(place)?;
        let listener = view.config.listeners.get(position as usize)?;
        let hidden = request.server != -1 && request.server != i64::from(listener.number);
        let wanted = !hidden && request.wants(Kind::Listener);
        return wanted.then(|| listener_row(proxy, position, view, request.level));
    };
    if !proxy.is_backend {
        return None;
    }
    let Some(id) = view.roster.members(proxy.id).get(place) else {
        return request
            .wants(Kind::Backend)
            .then(|| backend(proxy, view, request.level));
    };
    let server: &Server = view.roster.server(*id);
    let record = view.servers.get(id.0 as usize)?;
    let maint = record.admin.any(Admin::MAINT);
    let hidden = (request.up && (maint || record.op == Op::Stopped))
        || (request.no_maint && maint)
        || (request.server != -1 && request.server != i64::from(server.number));
    let wanted = !hidden && request.wants(Kind::Server);
    wanted.then(|| server_row(proxy, server, view, request.level))
}

fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(b"# ");
    for (index, column) in COLUMNS.iter().enumerate() {
        drop(write!(out, "{},", column.name));
        if index == LAST_COMMON as usize {
            out.extend_from_slice(b"-,");
        }
    }
    out.push(b'\n');
}

fn write_row(request: &Request, row: &Row<'_>, out: &mut Vec<u8>) {
    match request.form {
        Form::Plain => {
            for (index, _, value) in row.values() {
                value.write_cell(out);
                out.push(b',');
                if index == LAST_COMMON as usize {
                    out.extend_from_slice(b"-,");
                }
            }
            out.push(b'\n');
        }
        Form::Typed => {
            for (index, field, value) in row.values().filter(|(_, _, value)| !value.is_empty()) {
                let letter = row.kind.letter();
                let (proxy, id) = (row.proxy, row.id);
                let tags = row.kind.tags(index, field);
                let name = field.name;
                drop(write!(
                    out,
                    "{letter}.{proxy}.{id}.{index}.{name}.1:{tags}:"
                ));
                value.write_typed(out);
                if request.described {
                    drop(write!(out, ":\"{}\"", field.about));
                }
                out.push(b'\n');
            }
        }
        Form::Json => {
            out.push(b'[');
            let mut first = true;
            for (index, field, value) in row.values().filter(|(_, _, value)| !value.is_empty()) {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                drop(write!(
                    out,
                    "{{\"objType\":\"{}\",\"proxyId\":{},\"id\":{},\"field\":{{\"pos\":{index},\"name\":\"{}\"}},",
                    row.kind.word(),
                    row.proxy,
                    row.id,
                    field.name
                ));
                write_json_tail(out, row.kind.tags(index, field), value);
            }
            out.push(b']');
        }
    }
}

/// What every kind of row has.
fn common<'a>(row: &mut Row<'a>, counters: &Counters, http: bool, now_ms: u64) {
    row.set(Column::Scur, counters.scur);
    row.set(Column::Smax, counters.smax);
    row.set(Column::Stot, counters.stot);
    row.set(Column::Bin, counters.bin);
    row.set(Column::Bout, counters.bout);
    row.set(Column::Dresp, counters.dresp);
    row.set(Column::Rate, counters.rate.read(now_ms));
    row.set(Column::RateMax, counters.rate.max);
    row.set(Column::Wrew, counters.wrew);
    row.set(Column::Eint, counters.eint);
    if http {
        let classes = [
            Column::Hrsp1xx,
            Column::Hrsp2xx,
            Column::Hrsp3xx,
            Column::Hrsp4xx,
            Column::Hrsp5xx,
            Column::HrspOther,
        ];
        for (column, count) in classes.into_iter().zip(counters.hrsp) {
            row.set(column, count);
        }
    }
    let tls = [
        Column::SslSess,
        Column::SslReusedSess,
        Column::SslFailedHandshake,
    ];
    row.set_all(&tls, &Value::U64(0));
}

/// An address as rows have it.
fn address(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Inet(address) => address.to_string(),
        Endpoint::Unix(_) | Endpoint::Abstract(_) => "unix".to_owned(),
    }
}

/// What the statistics call a listener.
pub(super) fn listener_name(listener: &Listener) -> Cow<'_, str> {
    match &listener.name {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("sock-{}", listener.number)),
    }
}

/// The row of a listener of a frontend, by its position.
pub(super) fn listener_row<'a>(
    proxy: &'a Proxy,
    position: u32,
    view: &View<'a>,
    level: AccessLevel,
) -> Row<'a> {
    let known = view.config.listeners.get(position as usize);
    let mut row = Row::new(
        Kind::Listener,
        proxy,
        known.map_or(0, |listener| listener.number),
    );
    let (Some(listener), Some(counters)) = (known, view.listener_stats.of(position)) else {
        return row;
    };
    row.set(Column::Svname, listener_name(listener).into_owned());
    row.set(Column::Scur, counters.scur);
    row.set(Column::Smax, counters.smax);
    row.set(Column::Slim, listener.maxconn.unwrap_or(0));
    row.set(Column::Stot, counters.stot);
    row.set(Column::Bin, counters.bin);
    row.set(Column::Bout, counters.bout);
    row.set(Column::Dreq, counters.dreq);
    row.set(Column::Dresp, counters.dresp);
    row.set(Column::Ereq, counters.ereq);
    row.set(
        Column::Status,
        view.listener_status(position, listener).word(),
    );
    if level >= AccessLevel::Operator {
        row.set(Column::Addr, address(&listener.endpoint));
    }
    row.set(Column::Dcon, counters.dcon);
    row.set(Column::Dses, counters.dses);
    row.set(Column::Wrew, counters.wrew);
    row.set(Column::Eint, counters.eint);
    let tls = [
        Column::SslSess,
        Column::SslReusedSess,
        Column::SslFailedHandshake,
    ];
    row.set_all(&tls, &Value::U64(0));
    row
}

/// What a frontend and a backend have and a server has not.
fn proxy_columns(row: &mut Row<'_>, http: bool) {
    let zero = [
        Column::CompIn,
        Column::CompOut,
        Column::CompByp,
        Column::CompRsp,
        Column::H2HeadersRcvd,
        Column::H2DataRcvd,
        Column::H2SettingsRcvd,
        Column::H2RstStreamRcvd,
        Column::H2GoawayRcvd,
        Column::H2DetectedConnProtocolErrors,
        Column::H2DetectedStrmProtocolErrors,
        Column::H2RstStreamResp,
        Column::H2GoawayResp,
        Column::H2OpenConnections,
        Column::H2BackendOpenStreams,
        Column::H2TotalConnections,
        Column::H2BackendTotalStreams,
        Column::H1SplicedBytesIn,
        Column::H1SplicedBytesOut,
    ];
    row.set_all(&zero, &Value::U64(0));
    if http {
        row.set_all(&[Column::CacheLookups, Column::CacheHits], &Value::U64(0));
    }
}

/// What HTTP/1 did: nothing in a TCP proxy.
fn http1(row: &mut Row<'_>, [open, streams, connections, messages, bytes_in, bytes_out]: [u64; 6]) {
    row.set(Column::H1OpenConnections, open);
    row.set(Column::H1OpenStreams, streams);
    row.set(Column::H1TotalConnections, connections);
    row.set(Column::H1TotalStreams, messages);
    row.set(Column::H1BytesIn, bytes_in);
    row.set(Column::H1BytesOut, bytes_out);
}

/// The row of a frontend.
pub(super) fn frontend<'a>(proxy: &'a Proxy, view: &View<'a>) -> Row<'a> {
    let stats = proxy_stats(proxy, view);
    let counters = &stats.front;
    let http = proxy.mode == Mode::Http;
    let now = view.now.ms;
    let mut row = Row::new(Kind::Frontend, proxy, 0);
    row.set(Column::Svname, "FRONTEND");
    common(&mut row, counters, http, now);
    proxy_columns(&mut row, http);
    row.set(Column::Slim, max_conn(proxy, view));
    row.set(Column::Dreq, counters.dreq);
    row.set(Column::Ereq, counters.ereq);
    let status = match (stats.stopped, stats.paused) {
        (true, _) => "STOP",
        (false, true) => "PAUSED",
        (false, false) => "OPEN",
    };
    row.set(Column::Status, status);
    row.set(Column::RateLim, proxy.session_rate.unwrap_or(0));
    row.set(Column::ReqRate, counters.req_rate.read(now));
    row.set(Column::ReqRateMax, counters.req_rate.max);
    row.set(Column::ReqTot, counters.req_tot);
    row.set(Column::ConnRate, counters.conn_rate.read(now));
    row.set(Column::ConnRateMax, counters.conn_rate.max);
    row.set(Column::ConnTot, counters.conn_tot);
    row.set(Column::Dcon, counters.dcon);
    row.set(Column::Dses, counters.dses);
    if http {
        row.set(Column::Intercepted, counters.intercepted);
        let open = u64::from(counters.scur);
        // Requests whose answer has not begun; 1xx answers are not the last word.
        let answered = counters.hrsp.iter().skip(1).sum();
        let requests = counters.req_tot.saturating_add(counters.rejected);
        let streams = requests.saturating_sub(answered);
        let connections = counters.conn_tot;
        let (bin, bout) = (counters.bin, counters.bout);
        http1(&mut row, [open, streams, connections, requests, bin, bout]);
    } else {
        http1(&mut row, [0; 6]);
    }
    row
}

fn times(row: &mut Row<'_>, counters: &Counters) {
    let each: [(Column, Column, &Times); 4] = [
        (Column::Qtime, Column::QtimeMax, &counters.qtime),
        (Column::Ctime, Column::CtimeMax, &counters.ctime),
        (Column::Rtime, Column::RtimeMax, &counters.rtime),
        (Column::Ttime, Column::TtimeMax, &counters.ttime),
    ];
    for (mean, max, times) in each {
        row.set(mean, times.mean());
        row.set(max, times.max);
    }
}

/// What a backend and a server have and a frontend has not.
fn serving(row: &mut Row<'_>, counters: &Counters, now_ms: u64) {
    row.set(Column::Qmax, counters.qmax);
    row.set(Column::Econ, counters.econ);
    row.set(Column::Eresp, counters.eresp);
    row.set(Column::Wretr, counters.wretr);
    row.set(Column::Wredis, counters.wredis);
    row.set(Column::Lbtot, counters.lbtot);
    row.set(Column::CliAbrt, counters.cli_abrt);
    row.set(Column::SrvAbrt, counters.srv_abrt);
    row.set(Column::Connect, counters.connect);
    row.set(Column::Reuse, counters.reuse);
    let since = counters
        .lastsess
        .and_then(|at| i32::try_from(now_ms.saturating_sub(at) / 1000).ok());
    row.set_value(Column::Lastsess, Value::S32(since.unwrap_or(-1)));
    times(row, counters);
}

fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(u32::MAX)
}

/// The row of a server.
pub(super) fn server_row<'a>(
    proxy: &'a Proxy,
    server: &'a Server,
    view: &View<'a>,
    level: AccessLevel,
) -> Row<'a> {
    let index = server.id.0 as usize;
    let mut row = Row::new(Kind::Server, proxy, server.number);
    row.set(Column::Svname, server.name.as_str());
    let (Some(record), Some(counters)) = (view.servers.get(index), view.server_stats.get(index))
    else {
        return row;
    };
    let http = proxy.mode == Mode::Http;
    let now = view.now.ms;
    common(&mut row, counters, http, now);
    serving(&mut row, counters, now);
    if http {
        row.set(Column::ReqTot, counters.req_tot);
    }
    row.set(Column::Qcur, record.queued);
    if record.maxconn > 0 {
        row.set(Column::Slim, record.maxconn);
    }
    if server.maxqueue > 0 {
        row.set(Column::Qlimit, server.maxqueue);
    }
    let mut status = Vec::new();
    let tracked = view.roster.tracked(server.id, view.config);
    let leader = view.servers.get(view.roster.leader(server.id).0 as usize);
    let tracked = tracked.and_then(|(backend, name)| {
        let server = leader?;
        Some(Tracked {
            server,
            backend,
            name,
        })
    });
    write_status(&mut status, record, tracked);
    if let Some(Tracked { backend, name, .. }) = tracked {
        row.set(Column::Tracked, format!("{backend}/{name}"));
    }
    if server.observe.is_some() {
        row.set(Column::Hanafail, record.alarms);
    }
    row.set(
        Column::Status,
        String::from_utf8_lossy(&status).into_owned(),
    );
    let warmth = match proxy.dispatch {
        Some(_) => 0,
        None => u32::from(warmth(record, proxy.algorithm, now)),
    };
    let share = u32::from(record.weight).saturating_mul(warmth);
    row.set(Column::Weight, share.div_ceil(PARTS.into()));
    row.set(Column::Uweight, u32::from(record.weight));
    if record.op == Op::Starting {
        let percent = warmth.saturating_mul(100).checked_div(PARTS.into());
        row.set(Column::Throttle, percent.unwrap_or(100));
    }
    row.set(Column::Act, u32::from(!server.backup));
    row.set(Column::Bck, u32::from(server.backup));
    row.set(
        Column::Lastchg,
        u32::try_from(record.since_change_s(now)).unwrap_or(u32::MAX),
    );
    if let Some(Some(probe)) = view.probes.get(index)
        && probe.state.is_enabled()
    {
        row.set(Column::Chkfail, probe.failures);
        row.set(Column::Chkdown, record.downs);
        row.set(
            Column::Downtime,
            u32::try_from(record.downtime_s(now)).unwrap_or(u32::MAX),
        );
        if probe.state.runs() {
            check(&mut row, probe);
        }
    }
    if let Some(Some(agent_probe)) = view.agents.get(index)
        && agent_probe.state.is_enabled()
    {
        agent(&mut row, agent_probe);
    }
    if level > AccessLevel::User {
        row.set(Column::Addr, address(&servers::reached_at(server)));
        if let Some(cookie) = &server.cookie {
            row.set(Column::Cookie, cookie.clone());
        }
    }
    let (fresh, proven) = servers::idle_connections(index, view);
    row.set(Column::SrvIcur, fresh.saturating_add(proven));
    row.set(Column::IdleConnCur, fresh);
    row.set(Column::SafeConnCur, proven);
    row.set(
        Column::UsedConnCur,
        servers::used_connections(proxy, index, view),
    );
    row.set(Column::NeedConnEst, servers::most_connections(index, view));
    row
}

fn check<'a>(row: &mut Row<'a>, probe: &'a crate::engine::checks::Probe) {
    let columns = [
        Column::CheckStatus,
        Column::CheckCode,
        Column::CheckDuration,
        Column::LastChk,
        Column::CheckDesc,
        Column::CheckRise,
        Column::CheckFall,
        Column::CheckHealth,
    ];
    probed(row, probe, columns);
}

fn agent<'a>(row: &mut Row<'a>, probe: &'a crate::engine::checks::Probe) {
    let columns = [
        Column::AgentStatus,
        Column::AgentCode,
        Column::AgentDuration,
        Column::LastAgt,
        Column::AgentDesc,
        Column::AgentRise,
        Column::AgentFall,
        Column::AgentHealth,
    ];
    probed(row, probe, columns);
}

fn probed<'a>(
    row: &mut Row<'a>,
    probe: &'a crate::engine::checks::Probe,
    [status, code, duration, last, words, rise, fall, health]: [Column; 8],
) {
    let report = &probe.report;
    let name = report.status.name();
    row.set(
        status,
        if probe.is_running() && report.status.has_run() {
            format!("* {name}")
        } else {
            name.to_owned()
        },
    );
    if report.status.has_code() {
        row.set(code, report.code);
    }
    // HAProxy tells it of an agent that was never asked, too.
    if report.status.has_duration() || matches!(duration, Column::AgentDuration) {
        row.set(duration, report.duration_ms);
    }
    row.set(last, String::from_utf8_lossy(&report.info).into_owned());
    row.set(words, report.status.description());
    row.set(rise, probe.state.settings().rise);
    row.set(fall, probe.state.settings().fall);
    row.set(health, probe.state.value());
}

/// The row of a backend.
pub(super) fn backend<'a>(proxy: &'a Proxy, view: &View<'a>, level: AccessLevel) -> Row<'a> {
    let stats = proxy_stats(proxy, view);
    let counters = &stats.back;
    let http = proxy.mode == Mode::Http;
    let now = view.now.ms;
    let mut row = Row::new(Kind::Backend, proxy, 0);
    // To `dispatch` its servers' states are all the same, and none has a share.
    let dispatches = proxy.dispatch.is_some();
    row.set(Column::Svname, "BACKEND");
    common(&mut row, counters, http, now);
    proxy_columns(&mut row, http);
    serving(&mut row, counters, now);
    row.set(Column::Qcur, stats.queued);
    row.set(Column::Slim, full_conn(proxy, view));
    row.set(Column::Dreq, counters.dreq);
    let (mut active, mut backup, mut active_weight, mut backup_weight) = (0u32, 0u32, 0u32, 0u32);
    let records = view.records_of(proxy);
    for record in records.filter(|record| dispatches || record.usable()) {
        let (count, weight) = match record.backup {
            true => (&mut backup, &mut backup_weight),
            false => (&mut active, &mut active_weight),
        };
        *count = u32::saturating_add(*count, 1);
        *weight = u32::saturating_add(*weight, u32::from(record.weight));
    }
    let weight = match (active, proxy.all_backups) {
        _ if dispatches => 0,
        (0, true) => backup_weight,
        (0, false) => view
            .records_of(proxy)
            .find(|record| record.usable())
            .map_or(0, |record| u32::from(record.weight)),
        _ => active_weight,
    };
    let has_servers = !view.roster.members(proxy.id).is_empty();
    let up = !has_servers || (active > 0 || backup > 0) && !dispatches;
    row.set(Column::Status, if up { "UP" } else { "DOWN" });
    // Of a server that warms up only a part counts.
    let group = view.proxies.get(proxy.id.0 as usize);
    let group = group.filter(|_| !dispatches);
    let in_use = group.map_or(0, |record| record.group.total_weight());
    row.set(Column::Weight, in_use.div_ceil(PARTS.into()));
    row.set(Column::Uweight, weight);
    row.set(Column::Act, active);
    row.set(Column::Bck, backup);
    row.set(Column::Chkdown, stats.times_down);
    let since = now.saturating_sub(stats.last_change_ms);
    row.set(Column::Lastchg, seconds(since));
    if has_servers {
        let current = if up { 0 } else { since };
        row.set(
            Column::Downtime,
            seconds(stats.down_ms.saturating_add(current)),
        );
    }
    if http {
        row.set(Column::ReqTot, counters.req_tot);
        let streams = u64::from(counters.scur);
        let kept = view.roster.members(proxy.id).iter();
        let kept = kept.filter_map(|id| view.idle_lists.get(id.0 as usize));
        let kept: usize = kept.map(IdleList::len).sum();
        let open = streams.saturating_add(kept as u64);
        let messages = counters.connect.saturating_add(counters.reuse);
        let (bin, bout) = (counters.bout, counters.bin);
        http1(
            &mut row,
            [open, streams, counters.connect, messages, bin, bout],
        );
    } else {
        http1(&mut row, [0; 6]);
    }
    if level > AccessLevel::User {
        row.set(Column::Algo, proxy.algorithm_name());
        if let Some(cookie) = &proxy.persistence.cookie {
            row.set(Column::Cookie, cookie.name.as_str());
        }
    }
    let aggregates = [
        Column::AggServerStatus,
        Column::AggServerCheckStatus,
        Column::AggCheckStatus,
    ];
    row.set_all(&aggregates, &Value::U32(0));
    row
}

/// `fullconn`, or a tenth of what the frontends that lead here may take.
fn full_conn(proxy: &Proxy, view: &View<'_>) -> u32 {
    view.proxies
        .get(proxy.id.0 as usize)
        .map_or(0, |record| record.full_conn)
}

/// `maxconn` worked out.
fn max_conn(proxy: &Proxy, view: &View<'_>) -> u32 {
    view.proxies
        .get(proxy.id.0 as usize)
        .map_or(0, |record| record.maxconn)
}

#[expect(clippy::indexing_slicing, reason = "each proxy has its statistics")]
fn proxy_stats<'a>(proxy: &Proxy, view: &View<'a>) -> &'a ProxyStats {
    &view.proxy_stats[proxy.id.0 as usize]
}
