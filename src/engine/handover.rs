//! A reload forgets nothing: what a process knows goes to its successor as a
//! document (`engine::document`), and what it still counts while it drains goes after it.
//!
//! Proxies are matched by name, once as frontends and once as backends, so that a `listen` which
//! was cut in two keeps what it counted; servers by the names of their backend and their own. What
//! is gone is dropped, what is new starts fresh. Counters add up, maxima are the larger one.
//!
//! Two things decide what a server is after a reload: what the old process knew, and what the
//! new file says. A change at run time is kept while the file says what it said before, and
//! gives way to a line that was edited. What checks found is kept while they look at the same
//! address. A server of `add server` comes again by the same command, unless the file has one of
//! its name now, and one that was deleted goes again. So it is with lists of patterns and maps:
//! what was changed in one is done again to what its file says now (`rules::lists`).
//!
//! A document is read and judged whole before anything changes, so one that is not understood
//! changes nothing. Sessions are not handed over; nothing here is on the way of a request.

use std::sync::Arc;

use super::Engine;
use super::document::Pen;
use super::knowledge::{
    AddedLine, FrontLine, Knowledge, PROCESS_PEAKS, PROCESS_RATES, PROCESS_SUMS, RATE_LIMITS,
    RATES, ServerLine, ServerState, add_counters, gained, higher, write_counters, write_list,
    write_moved, write_rates,
};
use super::service::{Caller, Outcome, Service};
use super::stats::{Counters, ProcessStats, ProxyStats};
use crate::balance::server::{Admin, Op, Server as Record};
use crate::check::state::Verdict;
use crate::config::model::{Proxy, Server, ServerId};
use crate::net::Net;
use crate::rules::lists::names;

/// What an administrator may have wanted and a file may have said; the rest follows from servers
/// that are tracked and names that are resolved.
const KNOWN_ADMIN: Admin = Admin::FORCED_MAINT
    .with(Admin::FORCED_DRAIN)
    .with(Admin::CONFIG_MAINT);

/// The counters as the successor knows them.
#[derive(Clone, Debug, Default)]
pub struct Told {
    process: ProcessStats,
    proxies: Vec<ProxyTold>,
    servers: Vec<ServerTold>,
}

#[derive(Clone, Debug, Default)]
struct ProxyTold {
    stats: ProxyStats,
    logs: u64,
}

#[derive(Clone, Debug, Default)]
struct ServerTold {
    counters: Counters,
    downs: u64,
    failures: u64,
}

impl Told {
    /// The counters of proxies and servers begin anew: all that they will have is new to a
    /// successor.
    pub(crate) fn clear(&mut self) {
        for proxy in &mut self.proxies {
            proxy.stats.front = Counters::default();
            proxy.stats.back = Counters::default();
        }
        self.servers.fill(ServerTold::default());
    }
}

/// Where a server and its check are, in one text to compare: what was found out about one address
/// says nothing about another.
fn target(server: &Server) -> String {
    match &server.check {
        Some(check) => format!("{} checked at {}", server.endpoint, check.endpoint),
        None => server.endpoint.to_string(),
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Writes all that a successor is to know, and notes that it has been told.
    pub fn hand_over(&mut self, out: &mut Vec<u8>) {
        self.handed = None;
        self.write_knowledge(out, true);
    }

    /// Writes what was counted since the last call of this or of [`Engine::hand_over`].
    pub fn hand_over_rest(&mut self, out: &mut Vec<u8>) {
        self.write_knowledge(out, false);
    }

    /// Goes on from what another process has handed over; best before the first turn, for a whole
    /// document.
    ///
    /// # Errors
    /// Why the document is not understood; then nothing has changed.
    pub fn take_over(&mut self, document: &[u8]) -> Result<(), String> {
        let known = Knowledge::of(document)?;
        self.take_process(&known);
        for (backend, name, target) in &known.deleted {
            self.take_deleted(backend, name, target);
        }
        for line in &known.added {
            self.take_added(line);
        }
        self.take_lists(&known);
        for proxy in &self.config.proxies {
            if proxy.is_frontend
                && let Some(line) = known.fronts.get(&proxy.name)
            {
                self.take_front(proxy, line);
            }
            if proxy.is_backend {
                self.take_back(proxy, &known);
            }
        }
        Ok(())
    }

    fn write_knowledge(&mut self, out: &mut Vec<u8>, whole: bool) {
        let config = self.config;
        let now_ms = self.now.ms;
        let before = self.handed.take().unwrap_or_default();
        let told = self.told();
        let mut pen = Pen::new(out, whole);
        pen.line("process", &[]);
        self.write_process(&mut pen, &before.process, whole);
        for proxy in &config.proxies {
            let index = proxy.id.0 as usize;
            let nothing = ProxyTold::default();
            let old = before.proxies.get(index).unwrap_or(&nothing);
            let stats = &self.proxy_stats[index];
            if proxy.is_frontend {
                pen.line("front", &[proxy.name.as_bytes()]);
                write_counters(&mut pen, &stats.front, &old.stats.front, now_ms);
                pen.count("logs", gained(self.proxies[index].log_count, old.logs));
                if whole {
                    write_rates(&mut pen, &RATES, &stats.front, now_ms);
                    pen.count("paused", stats.paused.into());
                    if stats.stopped && !self.stopping && !proxy.disabled {
                        pen.text("shut_at", self.addresses(proxy).as_bytes());
                    }
                    pen.number("maxconn", self.proxies[index].maxconn.into());
                    pen.number("maxconn.file", self.maxconn_in_file(proxy).into());
                }
            }
            if !proxy.is_backend {
                continue;
            }
            pen.line("back", &[proxy.name.as_bytes()]);
            write_counters(&mut pen, &stats.back, &old.stats.back, now_ms);
            pen.count("downs", gained(stats.times_down, old.stats.times_down));
            if whole {
                write_rates(&mut pen, &RATES, &stats.back, now_ms);
                pen.count("down", stats.is_down.into());
                pen.number("changed_ago", now_ms.saturating_sub(stats.last_change_ms));
                pen.count("down_ms", stats.down_ms);
            }
            for server in self.roster.of(proxy) {
                pen.line("server", &[proxy.name.as_bytes(), server.name.as_bytes()]);
                self.write_server(&mut pen, server, &before, whole);
            }
            if whole {
                self.write_comings(&mut pen, proxy);
            }
        }
        if whole {
            self.write_lists(&mut pen);
        }
        pen.end();
        self.handed = Some(Box::new(told));
    }

    /// Writes which servers came and which went.
    fn write_comings(&self, pen: &mut Pen<'_>, proxy: &Proxy) {
        for id in self.roster.members(proxy.id) {
            let server = self.roster.declared(*id);
            if let Some(words) = &server.added_with {
                pen.line("added", &[proxy.name.as_bytes(), server.name.as_bytes()]);
                pen.number("id", server.number.into());
                pen.text("words", words.as_bytes());
            }
        }
        for server in self.config.servers_of(proxy) {
            let id = server.id;
            // Its id may be another one's by now.
            let stays = self.roster.is_live(id) && self.roster.declared(id).added_with.is_none();
            if !stays {
                pen.line("deleted", &[proxy.name.as_bytes(), server.name.as_bytes()]);
                pen.text("target.file", target(server).as_bytes());
            }
        }
    }

    fn write_lists(&self, pen: &mut Pen<'_>) {
        let read = &self.config.lists;
        let both = self.lists.all().iter().zip(read);
        let differences: Vec<_> = both.map(|(now, read)| now.difference(read)).collect();
        if differences.iter().all(Option::is_none) {
            return;
        }
        for (name, difference) in names(read).iter().zip(&differences) {
            if let Some(difference) = difference {
                write_list(pen, name, difference);
            }
        }
    }

    /// Where a frontend listens, in one text to compare.
    fn addresses(&self, proxy: &Proxy) -> String {
        let mut text = String::new();
        for index in proxy.listeners.clone() {
            if let Some(listener) = self.config.listeners.get(index as usize) {
                text += &format!("{} ", listener.endpoint);
            }
        }
        text
    }

    /// A server of the file that was deleted goes again, where its line is what it was.
    fn take_deleted(&mut self, backend: &str, name: &str, known: &[u8]) {
        let config = self.config;
        let mut backends = config.proxies.iter().filter(|proxy| proxy.is_backend);
        let proxy = backends.find(|proxy| proxy.name == backend);
        let mut servers = proxy
            .map_or(&[][..], |proxy| config.servers_of(proxy))
            .iter();
        let Some(server) = servers.find(|server| server.name == name) else {
            return;
        };
        let id = server.id;
        let is_held = config.names_server(id) || !self.roster.trackers(id).is_empty();
        if is_held || !self.roster.is_live(id) || known != target(server).as_bytes() {
            return;
        }
        let record = &mut self.servers[id.0 as usize];
        let had_maint = record.admin.any(Admin::MAINT);
        record.admin = record.admin.with(Admin::FORCED_MAINT);
        self.follow_maintenance(id, had_maint, true);
        self.refresh_weight(id);
        self.delete_server(id);
    }

    /// A server that came at run time comes again, by the command that brought it, unless the file
    /// has one of its name now.
    fn take_added(&mut self, line: &AddedLine) {
        let config = self.config;
        let mut backends = config.proxies.iter().filter(|proxy| proxy.is_backend);
        let Some(proxy) = backends.find(|proxy| proxy.name == line.backend) else {
            return;
        };
        if self.roster.of(proxy).any(|server| server.name == line.name) {
            return;
        }
        // Its number may be another one's by now.
        let number = format!(" id {}", line.number);
        let words = line.words.strip_suffix(&number).unwrap_or(&line.words);
        let command = format!("add server {}/{} {words}", line.backend, line.name);
        let mut why = Vec::new();
        for command in [format!("{command}{number}"), command] {
            why.clear();
            let mut caller = Caller::admin();
            let view = super::view!(self);
            let service = &mut self.service;
            let outcome = service.run(command.as_bytes(), &mut caller, &view, &mut why);
            if let Outcome::Apply(command) = outcome {
                self.apply(command);
                return;
            }
        }
        ::log::warn!(
            "Server {}/{}, which came at run time, is lost: {}",
            line.backend,
            line.name,
            String::from_utf8_lossy(&why).trim_end()
        );
    }

    fn take_lists(&mut self, known: &Knowledge) {
        if known.lists.is_empty() {
            return;
        }
        let here = names(&self.config.lists);
        for (name, difference) in &known.lists {
            let Some(place) = here.iter().position(|other| other == name) else {
                continue;
            };
            let left_out = self.lists.follow(place, difference);
            if left_out > 0 {
                let id = self.config.lists.get(place).map_or(0, |list| list.id);
                ::log::warn!("{left_out} entries of list #{id} cannot be read here and are lost.");
            }
        }
    }

    fn told(&self) -> Told {
        let proxies = self.proxy_stats.iter().zip(&self.proxies);
        let servers = self
            .servers
            .iter()
            .zip(&self.server_stats)
            .zip(&self.probes);
        Told {
            process: self.process,
            proxies: proxies
                .map(|(stats, record)| ProxyTold {
                    stats: *stats,
                    logs: record.log_count,
                })
                .collect(),
            servers: servers
                .map(|((record, counters), probe)| ServerTold {
                    counters: *counters,
                    downs: record.downs,
                    failures: probe.as_ref().map_or(0, |probe| probe.failures),
                })
                .collect(),
        }
    }

    fn write_process(&self, pen: &mut Pen<'_>, before: &ProcessStats, whole: bool) {
        let (mut now, mut before) = (self.process, *before);
        for (key, of) in PROCESS_SUMS {
            pen.count(key, gained(*of(&mut now), *of(&mut before)));
        }
        for (key, of) in PROCESS_PEAKS {
            higher(pen, key, *of(&mut now), *of(&mut before));
        }
        if !whole {
            return;
        }
        write_rates(pen, &PROCESS_RATES, &now, self.now.ms);
        pen.number("maxconn", self.limits.maxconn.into());
        pen.number("maxconn.file", self.limits.hard_maxconn.into());
        for (key, of) in RATE_LIMITS {
            pen.count(key, u64::from(*of(&mut self.rate_limits.clone())));
        }
    }

    /// The `maxconn` of a frontend as the file has it, or the process's.
    fn maxconn_in_file(&self, proxy: &Proxy) -> u32 {
        proxy.maxconn.unwrap_or(self.limits.hard_maxconn)
    }

    fn write_server(&self, pen: &mut Pen<'_>, server: &Server, before: &Told, whole: bool) {
        let index = server.id.0 as usize;
        let now_ms = self.now.ms;
        let record = &self.servers[index];
        let probe = self.probes[index].as_ref();
        let nothing = ServerTold::default();
        let old = before.servers.get(index).unwrap_or(&nothing);
        let counters = &self.server_stats[index];
        write_counters(pen, counters, &old.counters, now_ms);
        pen.count("downs", gained(record.downs, old.downs));
        let failures = probe.map_or(0, |probe| probe.failures);
        pen.count("failures", gained(failures, old.failures));
        if !whole {
            return;
        }
        write_rates(pen, &RATES, counters, now_ms);
        pen.number("op", record.op as u64);
        pen.number("admin", record.admin.bits().into());
        pen.count("disabled.file", server.disabled.into());
        pen.number("weight", record.weight.into());
        pen.number("weight.file", server.weight.into());
        pen.number("maxconn", record.maxconn.into());
        pen.number("maxconn.file", server.maxconn.into());
        let declared = self.roster.declared(server.id);
        pen.text("target", target(server).as_bytes());
        pen.text("target.file", target(declared).as_bytes());
        write_moved(pen, server, declared);
        pen.number("health", record.health.value.into());
        pen.number("rise", record.health.rise.into());
        pen.number("fall", record.health.fall.into());
        pen.number("changed_ago", now_ms.saturating_sub(record.last_change_ms));
        pen.count("down_ms", record.down_ms);
        let Some(probe) = probe else { return };
        pen.number("enabled", probe.state.is_enabled().into());
        pen.count("halted", probe.state.is_halted().into());
        let verdict = probe.state.verdict().map_or(0, Verdict::number);
        pen.number("verdict", verdict.into());
        pen.number("status", probe.report.status as u64);
        pen.count("code", probe.report.code.into());
        pen.count("duration", probe.report.duration_ms);
        pen.text("info", &probe.report.info);
        // One that is under way is begun anew by the successor.
        let (_, due_ms) = probe.promise();
        let due_in_ms = match probe.is_running() {
            true => 0,
            false => due_ms.saturating_sub(now_ms),
        };
        pen.number("due_in", due_in_ms);
    }

    fn take_process(&mut self, known: &Knowledge) {
        let Some(line) = &known.process else {
            return;
        };
        if let Some((maxconn, in_file)) = line.maxconn
            && in_file == self.limits.hard_maxconn
        {
            self.limits.maxconn = maxconn;
        }
        for ((_, of), limit) in RATE_LIMITS.iter().zip(line.rate_limits) {
            let known = of(&mut self.rate_limits);
            *known = limit.max(*known);
        }
        let process = &mut self.process;
        for ((_, of), gain) in PROCESS_SUMS.iter().zip(line.sums) {
            let sum = of(process);
            *sum = sum.saturating_add(gain);
        }
        for ((_, of), rate) in PROCESS_RATES.iter().zip(line.rates) {
            of(process).carry_on(self.now.ms, rate);
        }
        for ((_, of), peak) in PROCESS_PEAKS.iter().zip(line.peaks) {
            let most = of(process);
            *most = peak.max(*most);
        }
    }

    fn take_front(&mut self, proxy: &Proxy, line: &FrontLine) {
        let index = proxy.id.0 as usize;
        add_counters(&mut self.proxy_stats[index].front, &line.gains, self.now.ms);
        let logs = &mut self.proxies[index].log_count;
        *logs = logs.saturating_add(line.logs);
        if let Some((maxconn, in_file)) = line.maxconn
            && in_file == self.maxconn_in_file(proxy)
        {
            self.proxies[index].maxconn = maxconn;
        }
        if line.paused && !proxy.disabled {
            self.pause_frontend(proxy.id);
        }
        if !line.shut_at.is_empty() && line.shut_at == self.addresses(proxy).as_bytes() {
            self.shut_frontend(proxy.id);
        }
    }

    fn take_back(&mut self, proxy: &Proxy, known: &Knowledge) {
        let config = self.config;
        let now_ms = self.now.ms;
        let index = proxy.id.0 as usize;
        let was_usable = self.records_of(proxy.id).any(Record::usable);
        for id in self.roster.members(proxy.id).to_vec() {
            let server = Arc::clone(self.roster.declared(id));
            let names = (proxy.name.clone(), server.name.clone());
            if let Some(line) = known.servers.get(&names) {
                self.take_server(&server, line);
            }
        }
        let usable = self.records_of(proxy.id).any(Record::usable);
        let Some(line) = known.backs.get(&proxy.name) else {
            return;
        };
        let stats = &mut self.proxy_stats[index];
        add_counters(&mut stats.back, &line.gains, now_ms);
        stats.times_down = stats.times_down.saturating_add(line.downs);
        let Some(state) = &line.state else { return };
        // A state file told the same story, and less of it.
        let mut described = config.servers_of(proxy).iter();
        let by_file = stats.is_down && described.any(|server| server.recalled.is_some());
        if by_file {
            stats.is_down = false;
            stats.times_down = stats.times_down.saturating_sub(1);
        }
        stats.down_ms = stats.down_ms.saturating_add(state.down_ms);
        let since = now_ms.saturating_sub(state.since_change_ms);
        match (state.is_down, usable) {
            (true, false) => (stats.is_down, stats.last_change_ms) = (true, since),
            (false, true) => stats.last_change_ms = since,
            (true, true) => stats.down_ms = stats.down_ms.saturating_add(state.since_change_ms),
            // Those that were up are gone from the file.
            (false, false) if was_usable || by_file => {
                self.review_backend(ServerId(proxy.servers.start));
            }
            (false, false) => {}
        }
    }

    fn take_server(&mut self, server: &Server, line: &ServerLine) {
        let index = server.id.0 as usize;
        let now_ms = self.now.ms;
        add_counters(&mut self.server_stats[index], &line.gains, now_ms);
        let record = &mut self.servers[index];
        record.downs = record.downs.saturating_add(line.downs);
        if let Some(probe) = &mut self.probes[index] {
            probe.failures = probe.failures.saturating_add(line.failures);
        }
        let Some(state) = &line.state else { return };
        let told = server.recalled.map_or(0, |recalled| recalled.downs);
        record.downs = record.downs.saturating_sub(told);
        record.down_ms = record.down_ms.saturating_add(state.down_ms);
        if let Some((weight, in_file)) = state.weight
            && in_file == u32::from(server.weight)
        {
            record.weight = weight as u16;
        }
        if let Some((maxconn, in_file)) = state.maxconn
            && in_file == server.maxconn
        {
            record.maxconn = maxconn;
        }
        if let Some(moved) = &state.moved
            && state.target_in_file == target(server).as_bytes()
        {
            self.roster
                .change(server.id, |present| moved.apply(present));
            self.renew_cookie(server.id);
        }
        self.take_state(server, state);
        self.refresh_weight(server.id);
        if !self.servers[index].takes_bound() {
            self.close_idle_of(server.id);
        }
    }

    /// What a server was: what the administrator wanted, unless the file has changed its mind, and
    /// what its checks found, unless they look elsewhere now. Nothing of it is told: it is no news.
    fn take_state(&mut self, server: &Server, state: &ServerState) {
        let index = server.id.0 as usize;
        let record = &mut self.servers[index];
        let had_maint = record.admin.any(Admin::MAINT);
        if state.disabled_in_file == server.disabled {
            record.admin = Admin::from_bits(state.admin.bits() & KNOWN_ADMIN.bits());
        }
        let was_maint = state.admin.any(Admin::MAINT);
        let is_maint = record.admin.any(Admin::MAINT);
        self.follow_maintenance(server.id, had_maint, is_maint);
        let record = &mut self.servers[index];
        if is_maint {
            (record.op, record.health.value) = (Op::Stopped, 0);
        } else if had_maint {
            (record.op, record.health.value) = (Op::Running, record.health.rise);
        }
        let same = state.target == target(self.roster.server(server.id)).as_bytes();
        let goes_on = was_maint == is_maint && (is_maint || same);
        if goes_on {
            let now_ms = self.now.ms;
            record.last_change_ms = now_ms.saturating_sub(state.since_change_ms);
        } else if state.op == Op::Stopped {
            record.down_ms = record.down_ms.saturating_add(state.since_change_ms);
        }
        if goes_on && !is_maint {
            record.op = match state.op {
                Op::Starting => Op::Running,
                op => op,
            };
            record.health.value = state.health_in(&record.health);
        }
        let value = record.health.value;
        if let Some(past) = state.past.as_ref().filter(|_| same) {
            self.recall_check(server.id, value, past);
        }
    }
}
