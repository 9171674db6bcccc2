//! Connections that break: a server that dies again and again, clients and servers that reset.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::held::{DEFAULTS, sections};
use crate::line::{Line, Wanted, answer, turn};
use crate::load::{Load, get};
use crate::origin::{Origin, Reply, Then, page};
use crate::place::{PATIENCE, until};
use crate::program::{Program, Side};
use crate::{Bench, Seen};

/// A GET, or one time in four a POST, which may not be sent twice.
fn mixed(id: u64) -> Vec<u8> {
    if id % 4 < 3 {
        return get(id);
    }
    let head = format!("POST /{id} HTTP/1.1\r\nHost: soak\r\nContent-Length: 100\r\n\r\n");
    [head.into_bytes(), vec![b'p'; 100]].concat()
}

/// One of two servers dies every second and is back half a second later.
///
/// The two programs are compared by the share of requests that failed among those which the server
/// had in its hands when it died: received and not answered.
pub(crate) fn dying_server(bench: &Bench) -> Seen {
    const CLIENTS: usize = 32;
    let mut seen = Seen::default();
    let seconds: u32 = bench.pick(60, 3);
    let (dying, other) = (thoughtful(), thoughtful());
    let config = format!(
        "{DEFAULTS} option redispatch\n retries 3\n timeout connect 200ms\n\
         frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server dying {}\n server other {}\n",
        dying.addr, other.addr
    );
    let program = Program::start(bench.side, " maxconn 1000\n", &config, None);
    let addr = program.addr;
    let lasts = Duration::from_secs(u64::from(seconds));
    let clients = std::thread::spawn(move || Load::of(addr, CLIENTS, mixed).run(lasts));
    let began = Instant::now();
    let mut hands = 0;
    for second in 0..seconds {
        // The schedule is the load: each second it dies, and half a second later it is back.
        let sleep = |half: u32| {
            let due = Duration::from_millis(500) * (2 * second + half);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        };
        sleep(1);
        dying.hold();
        hands += program.frozen(|| dying.kill());
        sleep(2);
        dying.revive();
    }
    let tally = clients.join().unwrap();
    let (known, strange): (Vec<_>, Vec<_>) = tally
        .errors
        .iter()
        .partition(|(id, _)| dying.has_received(*id));
    seen.must(strange.is_empty(), || {
        let (id, first) = strange[0];
        let count = strange.len();
        format!("{count} errors that the server's record does not excuse, the first at request {id}: {first}")
    });
    let asked = tally.took_us.len() + tally.errors.len();
    seen.say(format!(
        "{} errors in {asked} requests, {} of them not in the record; the server died {seconds} \
         times with {hands} requests in its hands",
        known.len() + strange.len(),
        strange.len()
    ));
    seen.must(tally.took_us.len() > seconds as usize * CLIENTS, || {
        "hardly anything was answered".to_owned()
    });
    seen.share = Some((known.len() as u64, hands as u64));
    seen
}

/// A server that takes 1 to 8 ms for an answer, so that it always has something in its hands.
fn thoughtful() -> Origin {
    let bytes = page(100);
    Origin::scripted(move |asked| Reply {
        bytes: Arc::clone(&bytes),
        after: Duration::from_millis(1 + asked.id * 5 % 8),
        then: Then::Keep,
    })
}

/// What a client sends of its body, and a server of its answer, before it resets.
const PART: usize = 40_000;
/// What they said that it would be.
const WHOLE: usize = 100_000;
/// Slots of the server: fewer than clients at once, so that some wait in the queue.
const SLOTS: usize = 30;
/// Clients at once.
const BATCH: usize = 40;

/// Clients that reset in mid-body by even ids, servers that reset in mid-answer by odd ones.
pub(crate) fn resets(bench: &Bench) -> Seen {
    let mut seen = Seen::default();
    let times = bench.pick(10_000, 400);
    let whole = page(WHOLE);
    let head = whole.len() - WHOLE;
    let part: Arc<[u8]> = whole[..head + PART].into();
    let small = page(100);
    let origin = Origin::scripted(move |asked| {
        let breaks = asked.id % 2 == 1;
        Reply {
            bytes: Arc::clone(if breaks { &part } else { &small }),
            after: Duration::ZERO,
            then: if breaks { Then::Reset } else { Then::Keep },
        }
    });
    let config = sections("", &origin).trim_end().to_owned() + &format!(" maxconn {SLOTS}\n");
    let program = Program::start(bench.side, " maxconn 1000\n", &config, None);
    let before = (held_descriptors(&program), program.info("PoolUsed_bytes"));
    let mut next = 0;
    let (mut by_clients, mut by_servers) = (0, 0);
    let (mut warm, mut complete) = (0, 0);
    while by_clients < times || by_servers < times {
        by_clients += reset_bodies(&program, &origin, &mut next);
        let (broken, looked_whole) = break_answers(&program, &mut next);
        by_servers += broken;
        complete += looked_whole;
        if warm == 0 && by_clients * 4 >= times {
            warm = program.resident();
        }
    }
    seen.must(complete == 0, || {
        format!("{complete} answers that were cut short looked complete")
    });
    // Idle server connections are kept for a few seconds, and are no loss.
    let patience = Instant::now() + PATIENCE;
    let left = loop {
        let left = Left {
            descriptors: held_descriptors(&program).saturating_sub(before.0),
            // haproxy counts everything that it ever allocates there, not buffers alone.
            buffer_bytes: match bench.side {
                Side::Oneloop => program.info("PoolUsed_bytes").saturating_sub(before.1),
                Side::Haproxy => 0,
            },
            connections: program.info("CurrConns").saturating_sub(1),
            pipes: program.info("PipesUsed"),
            sessions: program.stat_sum("scur"),
            queued: program.stat_sum("qcur"),
        };
        if left == Left::default() || Instant::now() > patience {
            break left;
        }
        // Paces the polling of a process that cannot wake us.
        std::thread::sleep(Duration::from_millis(100));
    };
    seen.must(left == Left::default(), || format!("left behind: {left:?}"));
    let grown = program.resident().saturating_sub(warm);
    seen.must(grown <= MEMORY_FLAT_KB, || format!("{grown} kB of memory"));
    // As many at once as there are slots: with one lost, somebody would wait in vain.
    let mut load = Load::of(program.addr, SLOTS, |id| get(2 * id));
    seen.no_error(
        "afterwards",
        load.run(Duration::from_millis(200)).complaint(),
    );
    seen.say(format!(
        "{by_clients} by clients, {by_servers} by servers; left: {left}; memory +{grown} kB after \
         the first quarter"
    ));
    seen
}

/// Growth of resident memory that is taken for none, kB: some pages of an allocator.
pub(crate) const MEMORY_FLAT_KB: u64 = 1024;

/// What should be nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Left {
    descriptors: u64,
    buffer_bytes: u64,
    connections: u64,
    pipes: u64,
    sessions: u64,
    queued: u64,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::default() {
            return write!(f, "nothing");
        }
        write!(f, "{self:?}")
    }
}

/// Descriptors but for the pipes that lie ready for use.
fn held_descriptors(program: &Program) -> u64 {
    program.descriptors() as u64 - 2 * program.info("PipesFree")
}

/// A batch of clients that reset when their requests are with the server. Gives how many.
fn reset_bodies(program: &Program, origin: &Origin, next: &mut u64) -> usize {
    let first = *next + *next % 2;
    *next = first + 2 * BATCH as u64;
    let ids: Vec<u64> = (0..BATCH as u64).map(|n| first + 2 * n).collect();
    let mut lines: Vec<Line> = ids
        .iter()
        .map(|id| {
            let mut line = Line::connect(program.addr, Wanted::default()).unwrap();
            let head =
                format!("POST /{id} HTTP/1.1\r\nHost: soak\r\nContent-Length: {WHOLE}\r\n\r\n");
            line.send([head.into_bytes(), vec![b'b'; PART]].concat());
            line
        })
        .collect();
    // Half of them: the others may be waiting for a slot, and reset there.
    until("the server has the requests", || {
        turn(&mut lines, &[], Duration::from_millis(1));
        let there = ids.iter().filter(|id| origin.has_received(**id)).count();
        (there >= BATCH / 2).then_some(())
    });
    lines.into_iter().for_each(Line::reset);
    BATCH
}

/// A batch of requests whose answers break off. Gives how many did, and how many looked whole.
fn break_answers(program: &Program, next: &mut u64) -> (usize, usize) {
    let first = *next + 1 - *next % 2;
    *next = first + 2 * BATCH as u64;
    let mut lines: Vec<Line> = (0..BATCH as u64)
        .map(|n| {
            let mut line = Line::connect(program.addr, Wanted::default()).unwrap();
            line.send(get(first + 2 * n));
            line
        })
        .collect();
    until("the answers have broken off", || {
        turn(&mut lines, &[], Duration::from_millis(100));
        let over = |line: &Line| line.end.is_some() || answer(&line.into).is_some();
        lines.iter().all(over).then_some(())
    });
    // A 502 of the proxy's own is whole and no harm: the reset was faster than the head.
    let whole = |line: &&Line| answer(&line.into).is_some_and(|answer| answer.status == 200);
    let whole = lines.iter().filter(whole).count();
    (BATCH, whole)
}
