//! The most memory that a configuration can make the engine use, for `-c -V`.
//!
//! Every part has a bound that comes from the configuration: records by `maxconn`, buffers by the
//! pool's limit, kept messages by the proxies, answers of the runtime socket by what they tell. The
//! sum is an upper bound and no forecast: it is reached only if every connection fills everything
//! that it may fill at the same time.
//! It must be read beside `Engine::new`, which sets these bounds. The kernel's own memory (sockets,
//! pipes) is not counted.

use super::accept::Client;
use super::buffer_size;
use super::relay::HEAD_MAX;
use super::service::PIECE;
use super::session::Session;
use super::upstream::Upstream;
use crate::config::model::Config;
use crate::rules::action::RequestRule;

/// Buffers that a connection may hold on average: the pool lends no more.
pub(super) const BUFFERS_PER_CONNECTION: usize = 5;
/// Buffers beside those.
pub(super) const BUFFERS_BESIDE: usize = 16;

/// What a record costs beside itself: its place in arena, wheel and run list, and what vectors
/// have in reserve when they grow by doubling.
const PLACE: usize = 256;
/// What the program itself takes: code, tables, stacks, the read configuration of a usual file.
const PROGRAM: usize = 6 << 20;
/// A row of `show stat`, with names of usual length.
const ROW: usize = 1024;
/// A log line beside the request line in it.
const LOG_REST: usize = 1024;

/// What a session holds of a service's answer: a piece and a row more, in a vector that doubles.
/// The body of a form is beside it.
const SERVED: usize = 4 * PIECE + PLACE;

/// Bytes at most, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// The connections that the rest is reckoned for.
    pub connections: u32,
    /// Records of clients, requests and servers' connections, heads that wait, log lines.
    pub records: u64,
    /// Buffers.
    pub buffers: u64,
    /// Kept messages, runtime connections, counters, the program.
    pub rest: u64,
}

impl Ceiling {
    /// For so many client connections.
    #[must_use]
    pub fn of(config: &Config, connections: u32) -> Self {
        let global = &config.global;
        let buffer = buffer_size(global);
        let line = global.log_line_max as usize;
        // Two heads that wait and one that may be sent again; the request line; a log line.
        let texts = 2 * HEAD_MAX + buffer + 2 * line + LOG_REST;
        let served = config.proxies.iter().any(|proxy| proxy.stats.is_some());
        let texts = texts + if served { SERVED + buffer } else { 0 };
        // What rules have changed in a head that waits for its body.
        let gathers = config.proxies.iter().any(|proxy| {
            proxy.http.buffer_request || proxy.http_request.iter().any(RequestRule::waits)
        });
        let texts = texts + if gathers { 2 * buffer } else { 0 };
        let client = size_of::<Client>() + PLACE;
        let session = size_of::<Session>() + PLACE + texts;
        let upstreams = 2 * (size_of::<Upstream>() + PLACE);
        let count = connections as usize;
        let records = count.saturating_mul(client + session + upstreams);
        let lent = count
            .saturating_mul(BUFFERS_PER_CONNECTION)
            .saturating_add(BUFFERS_BESIDE);
        let rows = config.proxies.len() * 2 + config.servers.len();
        let runtime = (global.stats_maxconn as usize).saturating_mul(rows * ROW + 4 * buffer);
        let kept = config.proxies.len() * 2 * buffer;
        let rest = PROGRAM + kept + rows * ROW;
        Self {
            connections,
            records: records as u64,
            buffers: lent.saturating_mul(buffer) as u64,
            rest: rest.saturating_add(runtime) as u64,
        }
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.records
            .saturating_add(self.buffers)
            .saturating_add(self.rest)
    }
}
