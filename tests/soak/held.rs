//! Clients that hold on: idle ones, ones that send a byte a second, ones that read slowly.

use std::time::{Duration, Instant};

use crate::line::{Line, Wanted, answer, turn};
use crate::load::{Load, get};
use crate::origin::Origin;
use crate::place::{PATIENCE, until};
use crate::program::Program;
use crate::{Bench, Seen};

/// What most rows share.
pub(crate) const DEFAULTS: &str = "\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
";

/// A frontend before one server.
pub(crate) fn sections(defaults: &str, origin: &Origin) -> String {
    format!(
        "{DEFAULTS}{defaults}\n\
         frontend f\n bind @fe@ backlog 4096\n default_backend b\n\
         backend b\n server s {}\n",
        origin.addr
    )
}

/// The busy clients of the first row.
const BUSY: usize = 64;
/// How many times the first row is measured at most, when noise is above its bar.
const MEASURES_MAX: usize = 4;

/// Idle clients beside busy ones.
pub(crate) fn idle(bench: &Bench) -> Seen {
    let mut seen = Seen::default();
    let (count, scaled) = bench.room_for(bench.pick(8_000, 500), 1);
    let origin = Origin::quick(100);
    let global = format!(" maxconn {}\n", count + 200);
    let program = Program::start(bench.side, &global, &sections("", &origin), None);
    let mut load = Load::new(program.addr, BUSY);
    let slice = bench.seconds(1.0, 0.15);
    let rounds = bench.pick(7, 3);
    seen.no_error("busy clients", load.run(slice).complaint());
    let mut measures = 0;
    let mut each = None;
    loop {
        measures += 1;
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let alone = load.run(slice);
            let before = program.resident();
            let mut crowd = settle(&program, count);
            let grown = program.resident().saturating_sub(before);
            // Later crowds find the memory of the first.
            each.get_or_insert(grown * 1024 / count as u64);
            let beside = load.run(slice);
            turn(&mut crowd, &[], Duration::ZERO);
            let ended = crowd.iter().filter(|line| line.end.is_some()).count();
            seen.must(ended == 0, || format!("{ended} idle clients were closed"));
            crowd.into_iter().for_each(Line::reset);
            until("the idle clients are gone", || {
                (program.info("CurrConns") <= BUSY as u64 + 1).then_some(())
            });
            seen.no_error("busy clients alone", alone.complaint());
            seen.no_error("busy clients beside idle ones", beside.complaint());
            without.push(alone.percentile(99));
            with.push(beside.percentile(99));
        }
        let (without, with) = (median(&mut without), median(&mut with));
        let ratio = f64::from(with) / f64::from(without.max(1));
        if ratio <= 1.2 || measures == MEASURES_MAX {
            seen.must(ratio <= 1.2, || format!("p99 {ratio:.2} x"));
            seen.say(format!(
                "{count} idle{scaled}, {} B each; p99 {with} µs beside them, {without} µs without: \
                 {ratio:.2} x, measure {measures}",
                each.unwrap_or(0)
            ));
            return seen;
        }
    }
}

/// Clients that ask once and then hold their connection.
fn settle(program: &Program, count: usize) -> Vec<Line> {
    const BATCH: usize = 100;
    let mut crowd: Vec<Line> = Vec::with_capacity(count);
    while crowd.len() < count {
        let from = crowd.len();
        let more = BATCH.min(count - from);
        crowd.extend((0..more).map(|_| {
            let mut line = Line::connect(program.addr, Wanted::default()).unwrap();
            line.send(get(0));
            line
        }));
        let batch = &mut crowd[from..];
        let deadline = Instant::now() + PATIENCE;
        while batch.iter().any(|line| answer(&line.into).is_none()) {
            assert!(Instant::now() < deadline, "idle clients are not answered");
            turn(batch, &[], PATIENCE);
        }
        batch.iter_mut().for_each(|line| line.into = Vec::new());
    }
    crowd
}

fn median(values: &mut [u32]) -> u32 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Clients that send one byte a second.
pub(crate) fn dripping(bench: &Bench) -> Seen {
    let mut seen = Seen::default();
    let (count, scaled) = bench.room_for(2_000, 1);
    let limit = bench.seconds(10.0, 1.5);
    let origin = Origin::quick(100);
    let global = format!(" maxconn {}\n", count + 100);
    let defaults = format!(" timeout http-request {}ms\n", limit.as_millis());
    let program = Program::start(bench.side, &global, &sections(&defaults, &origin), None);
    let addr = program.addr;
    let others = std::thread::spawn(move || {
        let mut load = Load::new(addr, 16);
        load.run(limit + Duration::from_secs(1))
    });
    let head = b"GET / HTTP/1.1\r\nHost: soak\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let second = Duration::from_secs(1);
    let began = Instant::now();
    let mut lines: Vec<Line> = (0..count)
        .map(|_| Line::connect(addr, Wanted::default()).unwrap())
        .collect();
    // Each has its own moment of the second, and each is timed from the moment it connected.
    let mut due: Vec<(Instant, usize)> = (0..count)
        .map(|at| (began + second * at as u32 / count as u32, 0))
        .collect();
    let connected = began.elapsed();
    let mut ended: Vec<Option<Duration>> = vec![None; count];
    let deadline = began + limit + PATIENCE;
    while ended.iter().any(Option::is_none) && Instant::now() < deadline {
        let now = Instant::now();
        for (at, (due, sent)) in due.iter_mut().enumerate() {
            if *due <= now && lines[at].end.is_none() && ended[at].is_none() {
                lines[at].send(&head[*sent..=*sent]);
                *sent = (*sent + 1).min(head.len() - 1);
                *due += second;
            }
        }
        // Paces the bytes, which are due every half of a millisecond.
        turn(&mut lines, &[], Duration::from_millis(5));
        for (at, line) in lines.iter().enumerate() {
            let over = line.end.is_some() || answer(&line.into).is_some();
            if over && ended[at].is_none() {
                ended[at] = Some(began.elapsed());
            }
        }
    }
    let others = others.join().unwrap();
    seen.no_error("the others", others.complaint());
    let refused = lines.iter().filter_map(|line| answer(&line.into));
    let refused = refused.filter(|answer| answer.status == 408).count();
    seen.must(refused == count, || {
        format!("only {refused} of {count} got 408")
    });
    let times: Vec<Duration> = ended.into_iter().flatten().collect();
    let first = times.iter().min().copied().unwrap_or_default();
    let last = times.iter().max().copied().unwrap_or_default();
    let early = limit - Duration::from_millis(50);
    let late = limit + connected + Duration::from_millis(1500);
    seen.must(early <= first && last <= late, || {
        format!("408 after {first:?} to {last:?}, the limit is {limit:?}")
    });
    seen.say(format!(
        "{refused} of {count}{scaled} got 408 after {:.2} to {:.2} s (limit {:.0} s); others {} \
         requests, p99 {} µs",
        first.as_secs_f64(),
        last.as_secs_f64(),
        limit.as_secs_f64(),
        others.took_us.len(),
        others.percentile(99)
    ));
    seen
}

/// The body that the slow readers take.
const BODY: usize = 5_000_000;
/// The buffers of a session in the manual's reckoning: one for what the client sends, one for what
/// it is sent.
const BUFFERS_A_SESSION: usize = 2;
/// `tune.bufsize`.
const BUFFER: usize = 16_384;

/// Readers that are slower than the server.
pub(crate) fn readers(bench: &Bench) -> Seen {
    let mut seen = Seen::default();
    let (count, scaled) = bench.room_for(bench.pick(500, 50), 2);
    for (name, global, option) in [
        ("splice", "", " option splice-auto\n"),
        ("nosplice", " nosplice\n", ""),
    ] {
        let origin = Origin::quick(BODY);
        let global = format!(" maxconn {}\n tune.bufsize {BUFFER}\n{global}", count + 100);
        let program = Program::start(bench.side, &global, &sections(option, &origin), None);
        // What the first requests cost once is not the readers'.
        let mut load = Load::new(program.addr, 8);
        seen.no_error(
            "warming up",
            load.run(Duration::from_millis(100)).complaint(),
        );
        load.leave();
        let before = program.resident();
        let (most, took, complaint) = sip(&program, count, bench.seconds(12.0, 0.8));
        let grown = most.saturating_sub(before);
        let bound = (count * BUFFERS_A_SESSION * BUFFER / 1024) as u64;
        seen.no_error(name, complaint);
        seen.must(grown <= bound, || {
            format!("{name}: {grown} kB, the buffers are {bound} kB")
        });
        seen.say(format!(
            "{name}: {count} readers{scaled} in {:.1} s, {grown} kB more of {bound} kB",
            took.as_secs_f64()
        ));
    }
    seen
}

/// Takes the body on each connection in about so long, a quarter of it without reading anything,
/// so that all on the way fills up; gives the most memory seen, the time, and what went wrong.
fn sip(program: &Program, count: usize, how_long: Duration) -> (u64, Duration, Option<String>) {
    /// How often each reads.
    const SIPS: usize = 100;
    /// How many of those it leaves out at first.
    const STALLED: usize = 25;
    let wanted = Wanted {
        receives: Some(32_768),
        ..Wanted::default()
    };
    let mut lines: Vec<Line> = (0..count)
        .map(|_| {
            let mut line = Line::connect(program.addr, wanted).unwrap();
            line.reads = false;
            line.send(get(0));
            line
        })
        .collect();
    let began = Instant::now();
    let mut taken = vec![0; count];
    let mut most = 0;
    // Known when the head has come.
    let mut whole = vec![usize::MAX; count];
    for round in 0.. {
        let mut open = false;
        for ((line, taken), whole) in lines.iter_mut().zip(&mut taken).zip(&mut whole) {
            let sips = (round + 1_usize).saturating_sub(STALLED);
            let due = (BODY / (SIPS - STALLED) * sips).min(*whole);
            while *taken < due && line.end.is_none() {
                let came = line.read(due - *taken);
                if came == 0 {
                    break;
                }
                if *taken == 0 {
                    let head = line.into.windows(4).position(|four| four == b"\r\n\r\n");
                    *whole = head.map_or(0, |at| at + 4 + BODY);
                }
                line.into.clear();
                *taken += came;
            }
            open |= *taken < *whole && line.end.is_none();
        }
        most = most.max(program.resident());
        if !open || began.elapsed() > how_long + PATIENCE {
            break;
        }
        // The slowness is the load.
        let next = how_long * (round + 1) as u32 / SIPS as u32;
        std::thread::sleep(
            next.saturating_sub(began.elapsed())
                .max(Duration::from_millis(1)),
        );
    }
    let short = taken.iter().zip(&whole).filter(|(t, w)| t < w).count();
    let complaint = (short > 0).then(|| format!("{short} bodies did not come whole"));
    (most, began.elapsed(), complaint)
}
