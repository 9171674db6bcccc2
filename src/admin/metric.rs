//! The metrics of the exporter for Prometheus: which there are, and where each has its value from.
//!
//! Names, labels, types and their order are HAProxy's, because dashboards and alerts are written
//! for them; that a number which falls is called a counter (`pipes_used_total`) is HAProxy's, too.
//! A metric says what `show stat` and `show info` say in a column, with the same description, so
//! that they cannot disagree.

use super::column::{COLUMNS, Column as C};
use super::info::{FACTS, Fact as I};

use Reading::*;

/// What a metric is for Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// May rise and fall.
    Gauge,
    /// Only rises, but for a start anew.
    Counter,
}

impl Type {
    /// Its word on the line `# TYPE`.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// Where the value of a metric comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// A line of `show info`.
    Fact(I),
    /// Always 1; the version is a label.
    BuildInfo,
    /// A column of `show stat`.
    Number(C),
    /// A column that there is in HTTP mode only.
    Http(C),
    /// A column that has milliseconds.
    Seconds(C),
    /// A column that counts answers, and the label with their class.
    Class(C, &'static str),
    /// The state, one series for each there is.
    State,
    /// How many servers are in each state.
    ServerStates,
    /// The result of the last check, one series for each there is.
    CheckResult,
    /// How many servers' checks ended with each result.
    CheckResults,
    /// What the last check was answered.
    CheckCode,
    /// How long the last check took.
    CheckSeconds,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    /// What it is about, a bit for each [`Scope`].
    scopes: u8,
    /// Its name without `haproxy_` and the scope.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) kind: Type,
    /// Where its value comes from.
    pub(super) reading: Reading,
}

impl Metric {
    /// Whether there is one of this scope.
    pub(super) const fn is_of(&self, scope: Scope) -> bool {
        self.scopes & scope.bit() != 0
    }

    /// What it says, in two parts: descriptions of times end with their unit.
    pub(super) fn about(&self) -> (&'static str, &'static str) {
        let about = match self.reading {
            Fact(fact) => FACTS.get(fact as usize).map_or("", |field| field.about),
            Number(column) | Http(column) => described(column),
            Seconds(column) => return in_seconds(column),
            BuildInfo => "Which build this is, in the label version",
            Class(..) => "Answers by the class of their status",
            State => "1 for the state that it is in, 0 for the others",
            ServerStates => "Servers by their state",
            CheckResult => "1 for the result of the last health check, 0 for the others",
            CheckResults => "Servers by the result of their last health check",
            CheckCode => described(C::CheckCode),
            CheckSeconds => return in_seconds(C::CheckDuration),
        };
        (about, "")
    }
}

fn described(column: C) -> &'static str {
    COLUMNS.get(column as usize).map_or("", |field| field.about)
}

fn in_seconds(column: C) -> (&'static str, &'static str) {
    let about = described(column);
    (about.strip_suffix("ms").unwrap_or(about), "seconds")
}

/// What metrics are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The process.
    Global,
    /// Each frontend.
    Frontend,
    /// Each listener that counts for itself.
    Listener,
    /// Each backend.
    Backend,
    /// Each server.
    Server,
}

impl Scope {
    /// All of them, in the order in which they are told.
    pub(super) const ALL: [Self; 5] = [
        Self::Global,
        Self::Frontend,
        Self::Listener,
        Self::Backend,
        Self::Server,
    ];

    /// Its word in the names of metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Global => "process",
            Self::Frontend => "frontend",
            Self::Listener => "listener",
            Self::Backend => "backend",
            Self::Server => "server",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

const P: u8 = Scope::Global.bit();
const F: u8 = Scope::Frontend.bit();
const B: u8 = Scope::Backend.bit();
const S: u8 = Scope::Server.bit();
const L: u8 = Scope::Listener.bit();
const FL: u8 = F | L;
const FLB: u8 = F | L | B;
const FLBS: u8 = F | L | B | S;
const FB: u8 = F | B;
const BS: u8 = B | S;
const FBS: u8 = F | B | S;

const fn gauge(scopes: u8, name: &'static str, reading: Reading) -> Metric {
    let kind = Type::Gauge;
    Metric {
        scopes,
        name,
        kind,
        reading,
    }
}

const fn counter(scopes: u8, name: &'static str, reading: Reading) -> Metric {
    let kind = Type::Counter;
    Metric {
        scopes,
        name,
        kind,
        reading,
    }
}

/// All of them: what each is about, its name, and what is read for it. Each scope has its own in
/// this order, and those of one name stand together.
#[rustfmt::skip]
pub(super) const METRICS: &[Metric] = &[
    gauge(P, "nbthread", Fact(I::Nbthread)),
    gauge(P, "nbproc", Fact(I::Nbproc)),
    gauge(P, "relative_process_id", Fact(I::ProcessNum)),
    gauge(P, "uptime_seconds", Fact(I::UptimeSec)),
    counter(P, "pool_failures_total", Fact(I::PoolFailed)),
    gauge(P, "max_fds", Fact(I::UlimitN)),
    gauge(P, "max_sockets", Fact(I::Maxsock)),
    gauge(P, "max_connections", Fact(I::Maxconn)),
    gauge(P, "hard_max_connections", Fact(I::HardMaxconn)),
    gauge(P, "current_connections", Fact(I::CurrConns)),
    counter(P, "connections_total", Fact(I::CumConns)),
    counter(P, "requests_total", Fact(I::CumReq)),
    gauge(P, "max_ssl_connections", Fact(I::MaxSslConns)),
    gauge(P, "current_ssl_connections", Fact(I::CurrSslConns)),
    counter(P, "ssl_connections_total", Fact(I::CumSslConns)),
    gauge(P, "max_pipes", Fact(I::Maxpipes)),
    counter(P, "pipes_used_total", Fact(I::PipesUsed)),
    counter(P, "pipes_free_total", Fact(I::PipesFree)),
    gauge(P, "current_connection_rate", Fact(I::ConnRate)),
    gauge(P, "limit_connection_rate", Fact(I::ConnRateLimit)),
    gauge(P, "max_connection_rate", Fact(I::MaxConnRate)),
    gauge(P, "current_session_rate", Fact(I::SessRate)),
    gauge(P, "limit_session_rate", Fact(I::SessRateLimit)),
    gauge(P, "max_session_rate", Fact(I::MaxSessRate)),
    gauge(P, "current_ssl_rate", Fact(I::SslRate)),
    gauge(P, "limit_ssl_rate", Fact(I::SslRateLimit)),
    gauge(P, "max_ssl_rate", Fact(I::MaxSslRate)),
    gauge(P, "current_frontend_ssl_key_rate", Fact(I::SslFrontendKeyRate)),
    gauge(P, "max_frontend_ssl_key_rate", Fact(I::SslFrontendMaxKeyRate)),
    gauge(P, "frontend_ssl_reuse", Fact(I::SslFrontendSessionReusePct)),
    gauge(P, "current_backend_ssl_key_rate", Fact(I::SslBackendKeyRate)),
    gauge(P, "max_backend_ssl_key_rate", Fact(I::SslBackendMaxKeyRate)),
    counter(P, "ssl_cache_lookups_total", Fact(I::SslCacheLookups)),
    counter(P, "ssl_cache_misses_total", Fact(I::SslCacheMisses)),
    counter(P, "http_comp_bytes_in_total", Fact(I::CompressBpsIn)),
    counter(P, "http_comp_bytes_out_total", Fact(I::CompressBpsOut)),
    gauge(P, "limit_http_comp", Fact(I::CompressBpsRateLim)),
    gauge(P, "current_zlib_memory", Fact(I::ZlibMemUsage)),
    gauge(P, "max_zlib_memory", Fact(I::MaxZlibMemUsage)),
    gauge(P, "current_tasks", Fact(I::Tasks)),
    gauge(P, "current_run_queue", Fact(I::RunQueue)),
    gauge(P, "idle_time_percent", Fact(I::IdlePct)),
    gauge(P, "stopping", Fact(I::Stopping)),
    gauge(P, "jobs", Fact(I::Jobs)),
    gauge(P, "unstoppable_jobs", Fact(I::UnstoppableJobs)),
    gauge(P, "listeners", Fact(I::Listeners)),
    gauge(P, "active_peers", Fact(I::ActivePeers)),
    gauge(P, "connected_peers", Fact(I::ConnectedPeers)),
    counter(P, "dropped_logs_total", Fact(I::DroppedLogs)),
    gauge(P, "busy_polling_enabled", Fact(I::BusyPolling)),
    counter(P, "failed_resolutions", Fact(I::FailedResolutions)),
    counter(P, "bytes_out_total", Fact(I::TotalBytesOut)),
    counter(P, "spliced_bytes_out_total", Fact(I::TotalSplicdedBytesOut)),
    gauge(P, "bytes_out_rate", Fact(I::BytesOutRate)),
    counter(P, "recv_logs_total", Fact(I::CumRecvLogs)),
    gauge(P, "build_info", BuildInfo),
    gauge(P, "max_memory_bytes", Fact(I::MemmaxBytes)),
    gauge(P, "pool_allocated_bytes", Fact(I::PoolAllocBytes)),
    gauge(P, "pool_used_bytes", Fact(I::PoolUsedBytes)),
    gauge(P, "start_time_seconds", Fact(I::StartTimeSec)),
    gauge(BS, "current_queue", Number(C::Qcur)),
    gauge(BS, "max_queue", Number(C::Qmax)),
    gauge(FLBS, "current_sessions", Number(C::Scur)),
    gauge(FLBS, "max_sessions", Number(C::Smax)),
    gauge(FLBS, "limit_sessions", Number(C::Slim)),
    counter(FLBS, "sessions_total", Number(C::Stot)),
    counter(FLBS, "bytes_in_total", Number(C::Bin)),
    counter(FLBS, "bytes_out_total", Number(C::Bout)),
    counter(FLB, "requests_denied_total", Number(C::Dreq)),
    counter(FLBS, "responses_denied_total", Number(C::Dresp)),
    counter(FL, "request_errors_total", Number(C::Ereq)),
    counter(BS, "connection_errors_total", Number(C::Econ)),
    counter(BS, "response_errors_total", Number(C::Eresp)),
    counter(BS, "retry_warnings_total", Number(C::Wretr)),
    counter(BS, "redispatch_warnings_total", Number(C::Wredis)),
    gauge(FLBS, "status", State),
    gauge(F, "limit_session_rate", Number(C::RateLim)),
    gauge(BS, "weight", Number(C::Weight)),
    gauge(B, "active_servers", Number(C::Act)),
    gauge(B, "backup_servers", Number(C::Bck)),
    counter(S, "check_failures_total", Number(C::Chkfail)),
    counter(BS, "check_up_down_total", Number(C::Chkdown)),
    gauge(BS, "check_last_change_seconds", Number(C::Lastchg)),
    counter(BS, "downtime_seconds_total", Number(C::Downtime)),
    gauge(S, "queue_limit", Number(C::Qlimit)),
    gauge(S, "current_throttle", Number(C::Throttle)),
    counter(BS, "loadbalanced_total", Number(C::Lbtot)),
    gauge(FBS, "max_session_rate", Number(C::RateMax)),
    gauge(S, "check_status", CheckResult),
    gauge(S, "check_code", CheckCode),
    gauge(S, "check_duration_seconds", CheckSeconds),
    counter(FBS, "http_responses_total", Class(C::Hrsp1xx, "1xx")),
    counter(FBS, "http_responses_total", Class(C::Hrsp2xx, "2xx")),
    counter(FBS, "http_responses_total", Class(C::Hrsp3xx, "3xx")),
    counter(FBS, "http_responses_total", Class(C::Hrsp4xx, "4xx")),
    counter(FBS, "http_responses_total", Class(C::Hrsp5xx, "5xx")),
    counter(FBS, "http_responses_total", Class(C::HrspOther, "other")),
    gauge(F, "http_requests_rate_max", Http(C::ReqRateMax)),
    counter(FB, "http_requests_total", Http(C::ReqTot)),
    counter(BS, "client_aborts_total", Number(C::CliAbrt)),
    counter(BS, "server_aborts_total", Number(C::SrvAbrt)),
    counter(FB, "http_comp_bytes_in_total", Http(C::CompIn)),
    counter(FB, "http_comp_bytes_out_total", Http(C::CompOut)),
    counter(FB, "http_comp_bytes_bypassed_total", Http(C::CompByp)),
    counter(FB, "http_comp_responses_total", Http(C::CompRsp)),
    gauge(F, "connections_rate_max", Number(C::ConnRateMax)),
    counter(F, "connections_total", Number(C::ConnTot)),
    counter(F, "intercepted_requests_total", Http(C::Intercepted)),
    counter(FL, "denied_connections_total", Number(C::Dcon)),
    counter(FL, "denied_sessions_total", Number(C::Dses)),
    gauge(BS, "last_session_seconds", Number(C::Lastsess)),
    gauge(BS, "queue_time_average_seconds", Seconds(C::Qtime)),
    gauge(BS, "connect_time_average_seconds", Seconds(C::Ctime)),
    gauge(BS, "response_time_average_seconds", Seconds(C::Rtime)),
    gauge(BS, "total_time_average_seconds", Seconds(C::Ttime)),
    counter(FLBS, "failed_header_rewriting_total", Number(C::Wrew)),
    counter(BS, "connection_attempts_total", Number(C::Connect)),
    counter(BS, "connection_reuses_total", Number(C::Reuse)),
    counter(FB, "http_cache_lookups_total", Http(C::CacheLookups)),
    counter(FB, "http_cache_hits_total", Http(C::CacheHits)),
    gauge(S, "idle_connections_current", Number(C::SrvIcur)),
    gauge(S, "idle_connections_limit", Number(C::SrcIlim)),
    gauge(BS, "max_queue_time_seconds", Seconds(C::QtimeMax)),
    gauge(BS, "max_connect_time_seconds", Seconds(C::CtimeMax)),
    gauge(BS, "max_response_time_seconds", Seconds(C::RtimeMax)),
    gauge(BS, "max_total_time_seconds", Seconds(C::TtimeMax)),
    counter(FLBS, "internal_errors_total", Number(C::Eint)),
    gauge(S, "unsafe_idle_connections_current", Number(C::IdleConnCur)),
    gauge(S, "safe_idle_connections_current", Number(C::SafeConnCur)),
    gauge(S, "used_connections_current", Number(C::UsedConnCur)),
    gauge(S, "need_connections_current", Number(C::NeedConnEst)),
    gauge(BS, "uweight", Number(C::Uweight)),
    gauge(B, "agg_server_status", ServerStates),
    gauge(B, "agg_server_check_status", ServerStates),
    gauge(B, "agg_check_status", CheckResults),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_well_formed() {
        for scope in Scope::ALL {
            let mut done: Vec<&str> = Vec::new();
            for metric in METRICS.iter().filter(|metric| metric.is_of(scope)) {
                let (about, unit) = metric.about();
                let name = metric.name;
                assert!(!about.is_empty(), "{name}");
                assert!(!about.contains(['\\', '\n']), "{name}: {about}");
                assert!(unit.is_empty() || about.ends_with(", "), "{name}: {about}");
                assert_eq!(
                    unit == "seconds",
                    name.ends_with("_seconds") && !is_whole(metric)
                );
                if done.last() != Some(&name) {
                    assert!(!done.contains(&name), "{name} stands in two places");
                    done.push(name);
                }
            }
        }
    }

    /// Times that HAProxy has in whole seconds.
    fn is_whole(metric: &Metric) -> bool {
        matches!(metric.reading, Fact(_) | Number(C::Lastchg | C::Lastsess))
    }
}
