//! The counters: one struct per frontend, backend and server, and one for the process.
//!
//! Plain numbers that the engine adds to as things happen and that the runtime socket reads. Field
//! names are HAProxy's CSV columns (management.txt 9.1) where there is one. Nothing here decides
//! anything.

/// Events per second over the last full second and the one that runs, as HAProxy shows rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// When the second that runs began, monotonic ms.
    begins_ms: u64,
    current: u32,
    previous: u32,
    /// The highest rate seen.
    pub max: u32,
}

impl Rate {
    /// Counts `n` events at a monotonic time in ms.
    #[inline]
    pub fn add(&mut self, now_ms: u64, n: u32) {
        if now_ms.saturating_sub(self.begins_ms) >= SECOND_MS {
            self.roll(now_ms);
        }
        self.current = self.current.saturating_add(n);
        let past = now_ms.saturating_sub(self.begins_ms);
        let rate = with_share(self.current, self.previous, SECOND_MS - past);
        self.max = self.max.max(rate);
    }

    /// The rate at a monotonic time in ms: the running second, and the share of the one before that
    /// still lies within the last 1,000 ms.
    #[must_use]
    pub fn read(&self, now_ms: u64) -> u32 {
        let (current, previous) = self.at(now_ms);
        with_share(current, previous, SECOND_MS - now_ms % SECOND_MS)
    }

    /// How long until the rate is below a limit if nothing more happens, ms; 0 if it is.
    #[must_use]
    pub fn wait(&self, now_ms: u64, limit: u32) -> u64 {
        if self.read(now_ms) < limit {
            return 0;
        }
        let (current, previous) = self.at(now_ms);
        let rest = 1000 - now_ms % 1000;
        // With so much of the second left the share of those before it leaves room.
        let left = |before: u32, room: u32| {
            let room = u64::from(room.max(1)) * 1000;
            room.div_ceil(u64::from(before.max(1))).saturating_sub(1)
        };
        if current < limit {
            rest.saturating_sub(left(previous, limit - current)).max(1)
        } else {
            rest + 1000_u64.saturating_sub(left(current, limit))
        }
    }

    /// The events of the second that runs, and of the one before.
    fn at(&self, now_ms: u64) -> (u32, u32) {
        match now_ms.saturating_sub(self.begins_ms) / SECOND_MS {
            0 => (self.current, self.previous),
            1 => (0, self.current),
            _ => (0, 0),
        }
    }

    /// Goes on from the rate that another process had.
    pub(crate) fn carry_on(&mut self, now_ms: u64, rate: u32) {
        self.roll(now_ms);
        self.previous = self.previous.saturating_add(rate);
    }

    /// Lets the second begin that a time lies in.
    #[cold]
    fn roll(&mut self, now_ms: u64) {
        match now_ms.saturating_sub(self.begins_ms) / SECOND_MS {
            0 => return,
            1 => self.previous = self.current,
            _ => self.previous = 0,
        }
        self.current = 0;
        self.begins_ms = now_ms - now_ms % SECOND_MS;
    }
}

/// What rates are counted by.
const SECOND_MS: u64 = 1000;

/// The events of this second, and those of the one before that count while so much of it is left.
#[inline]
fn with_share(current: u32, previous: u32, rest_ms: u64) -> u32 {
    // No more than all of them: at most the whole second is left.
    let share = u64::from(previous) * rest_ms / SECOND_MS;
    current.saturating_add(share as u32)
}

/// Mean and maximum of a time over about the last 1,024 requests, ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    sum: u64,
    count: u32,
    /// The longest.
    pub max: u32,
}

impl Times {
    /// So many observations count.
    pub(crate) const WINDOW: u64 = 1024;

    /// Adds one observation; a negative one (stage not reached) counts nothing.
    #[inline]
    pub fn add(&mut self, ms: i64) {
        let Ok(ms) = u32::try_from(ms) else { return };
        self.max = self.max.max(ms);
        if u64::from(self.count) < Self::WINDOW {
            self.count += 1;
        } else {
            self.sum -= self.sum / Self::WINDOW;
        }
        self.sum += u64::from(ms);
    }

    /// The sum of the observations that still count, and how many they are.
    pub(crate) fn parts(&self) -> (u64, u32) {
        (self.sum, self.count)
    }

    /// Adds the observations of another process; each weighs as much as one of this one.
    pub(crate) fn join(&mut self, sum: u64, count: u32) {
        let sum = self.sum.saturating_add(sum);
        let count = u64::from(self.count).saturating_add(u64::from(count));
        let kept = count.min(Self::WINDOW);
        self.sum = (u128::from(sum) * u128::from(kept) / u128::from(count.max(1))) as u64;
        self.count = kept as u32;
    }

    /// The mean, ms.
    #[must_use]
    pub fn mean(&self) -> u32 {
        let count = u64::from(self.count.max(1));
        u32::try_from((self.sum + count / 2) / count).unwrap_or(u32::MAX)
    }
}

/// What frontends, backends, listeners and servers count alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Sessions now.
    pub scur: u32,
    /// Most sessions at once.
    pub smax: u32,
    /// Most sessions at once since the start, whatever is cleared: so many connections are worth
    /// keeping.
    pub used_max: u32,
    /// Sessions ever.
    pub stot: u64,
    /// Bytes from clients.
    pub bin: u64,
    /// Bytes to clients.
    pub bout: u64,
    /// Requests denied by rules.
    pub dreq: u64,
    /// Answers denied by rules.
    pub dresp: u64,
    /// Request errors: bad requests, timeouts, early closes.
    pub ereq: u64,
    /// Connection errors towards servers.
    pub econ: u64,
    /// Answer errors.
    pub eresp: u64,
    /// Connection retries.
    pub wretr: u64,
    /// Redispatches.
    pub wredis: u64,
    /// Times a server was chosen by balancing.
    pub lbtot: u64,
    /// Answers by class: 1xx to 5xx, then other.
    pub hrsp: [u64; 6],
    /// HTTP requests.
    pub req_tot: u64,
    /// HTTP requests that `tcp-request content` rules of a frontend turned away before they counted
    /// as such.
    pub rejected: u64,
    /// Transfers that the client broke.
    pub cli_abrt: u64,
    /// Transfers that the server broke.
    pub srv_abrt: u64,
    /// Requests answered here (redirects, returns, statistics).
    pub intercepted: u64,
    /// Connections denied.
    pub dcon: u64,
    /// Sessions denied.
    pub dses: u64,
    /// Failed header rewrites.
    pub wrew: u64,
    /// Internal errors.
    pub eint: u64,
    /// Connections established to servers.
    pub connect: u64,
    /// Requests sent over a connection used before.
    pub reuse: u64,
    /// Connections ever (frontends).
    pub conn_tot: u64,
    /// Most requests in queue at once.
    pub qmax: u32,
    /// Sessions per second.
    pub rate: Rate,
    /// Connections per second (frontends).
    pub conn_rate: Rate,
    /// Requests per second (frontends).
    pub req_rate: Rate,
    /// Time in queue.
    pub qtime: Times,
    /// Time to connect.
    pub ctime: Times,
    /// Time to answer.
    pub rtime: Times,
    /// Whole time.
    pub ttime: Times,
    /// When the last session was given to it, monotonic ms.
    pub lastsess: Option<u64>,
}

impl Counters {
    /// A session begins.
    pub fn enter(&mut self, now_ms: u64) {
        self.connect();
        self.begin(now_ms);
    }

    /// A connection takes its place; it may become a session.
    pub fn connect(&mut self) {
        self.scur += 1;
        self.smax = self.smax.max(self.scur);
        self.used_max = self.used_max.max(self.scur);
    }

    /// What has its place is a session now.
    pub fn begin(&mut self, now_ms: u64) {
        self.stot += 1;
        self.rate.add(now_ms, 1);
    }

    /// A session is over that waited, connected, was answered and lasted so long, ms; negative
    /// where it did not come so far.
    pub fn add_times(&mut self, [queue, connect, response, total]: [i64; 4]) {
        self.qtime.add(queue);
        self.ctime.add(connect);
        self.rtime.add(response);
        self.ttime.add(total);
    }

    /// A session ends.
    pub fn leave(&mut self) {
        debug_assert!(self.scur > 0, "a session left that never entered");
        self.scur = self.scur.saturating_sub(1);
    }

    /// Sets every counter to 0: what is there now and the rates stay.
    pub fn forget(&mut self) {
        *self = Self {
            scur: self.scur,
            used_max: self.used_max,
            rate: self.rate,
            conn_rate: self.conn_rate,
            req_rate: self.req_rate,
            ..Self::default()
        };
    }

    /// Sets the maxima to 0; those of sessions, too, whatever there is now.
    pub fn forget_maxima(&mut self) {
        self.smax = 0;
        self.qmax = 0;
        for rate in [&mut self.rate, &mut self.conn_rate, &mut self.req_rate] {
            rate.max = 0;
        }
        for times in [
            &mut self.qtime,
            &mut self.ctime,
            &mut self.rtime,
            &mut self.ttime,
        ] {
            times.max = 0;
        }
    }

    /// Counts an answer by its status.
    pub fn answer(&mut self, status: u16) {
        let class = match status / 100 {
            n @ 1..=5 => usize::from(n) - 1,
            _ => 5,
        };
        self.hrsp[class] += 1;
    }

    /// The same for a server or a backend: their requests are those that were answered, each 1xx of
    /// a server among them.
    pub fn answered(&mut self, status: u16) {
        self.req_tot += 1;
        self.answer(status);
    }
}

/// A proxy's two sides.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProxyStats {
    /// As a frontend.
    pub front: Counters,
    /// As a backend.
    pub back: Counters,
    /// Requests that wait in the backend's queues now.
    pub queued: u32,
    /// When the backend last went up or down, monotonic ms.
    pub last_change_ms: u64,
    /// No server of the backend is usable.
    pub is_down: bool,
    /// Times the backend went down.
    pub times_down: u64,
    /// Total time down, ms, the current one not included.
    pub down_ms: u64,
    /// The frontend is paused.
    pub paused: bool,
    /// The frontend has stopped for good.
    pub stopped: bool,
}

/// The process-wide counters (`show info`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessStats {
    /// Client connections now.
    pub connections: u32,
    /// Client connections ever.
    pub connections_total: u64,
    /// Requests ever.
    pub requests_total: u64,
    /// Connections per second.
    pub connection_rate: Rate,
    /// Sessions per second.
    pub session_rate: Rate,
    /// Bytes sent to clients.
    pub bytes_out: u64,
    /// Bytes sent to clients per second.
    pub bytes_out_rate: Rate,
    /// Log messages that could not be sent.
    pub dropped_logs: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Turns, and client connections ever, when the counters were last cleared.
    pub cleared: (u64, u64),
    /// Accepts that failed for want of descriptors or memory.
    pub accept_failures: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_slides_over_one_second() {
        let mut rate = Rate::default();
        for _ in 0..10 {
            rate.add(10_000, 1);
        }
        assert_eq!(rate.read(10_000), 10);
        assert_eq!(rate.read(11_000), 10);
        assert_eq!(rate.read(11_500), 5);
        assert_eq!(rate.read(12_000), 0);
        assert_eq!(rate.max, 10);
    }

    #[test]
    fn a_rate_falls_below_a_limit_when_it_says() {
        for (events, at, limit) in [
            (5, 10_000, 5),
            (5, 10_999, 5),
            (7, 10_300, 2),
            (1, 10_500, 1),
            (1000, 10_001, 1),
            (3, 10_400, 4),
            (10, 10_400, 10),
        ] {
            let mut rate = Rate::default();
            rate.add(at, events);
            for later in [at, at + 1, 11_000, 11_200, 11_999, 13_000] {
                let wait = rate.wait(later, limit);
                let case = format!("{events} at {at}, limit {limit}, asked at {later}: {wait}");
                assert!(rate.read(later + wait) < limit, "{case}");
                assert!(wait == 0 || rate.read(later + wait - 1) >= limit, "{case}");
            }
        }
    }

    #[test]
    fn a_rate_falls_below_a_limit_with_what_came_since() {
        let mut rate = Rate::default();
        rate.add(10_100, 8);
        rate.add(11_400, 3);
        for (now, limit) in [(11_400, 5), (11_400, 3), (11_500, 4), (11_900, 2)] {
            let wait = rate.wait(now, limit);
            assert!(rate.read(now + wait) < limit, "{now} {limit} {wait}");
            assert!(
                rate.read(now + wait.max(1) - 1) >= limit,
                "{now} {limit} {wait}"
            );
        }
    }

    #[test]
    fn what_is_cleared_and_what_stays() {
        let mut counters = Counters::default();
        counters.enter(10_000);
        counters.answer(200);
        counters.ttime.add(7);
        let mut all = counters;
        counters.forget_maxima();
        assert_eq!(
            (counters.smax, counters.rate.max, counters.ttime.max),
            (0, 0, 0)
        );
        assert_eq!((counters.stot, counters.ttime.mean()), (1, 7));
        assert_eq!((counters.used_max, all.used_max), (1, 1));
        all.forget();
        assert_eq!(
            (all.scur, all.stot, all.hrsp[1], all.ttime.mean()),
            (1, 0, 0, 0)
        );
        assert_eq!(all.rate.read(10_000), 1);
    }

    #[test]
    fn times_forget_slowly() {
        let mut times = Times::default();
        times.add(-1);
        assert_eq!(times.mean(), 0);
        times.add(10);
        times.add(20);
        assert_eq!((times.mean(), times.max), (15, 20));
    }
}
