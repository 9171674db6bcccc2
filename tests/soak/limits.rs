//! Too many, and nonsense: more clients than descriptors, and connections of random bytes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::faults::MEMORY_FLAT_KB;
use crate::held::{DEFAULTS, sections};
use crate::line::{Line, Wanted, answer, turn};
use crate::load::{Load, get};
use crate::origin::{Origin, Reply, Then, page};
use crate::place::PATIENCE;
use crate::program::Program;
use crate::{Bench, Seen};

/// Descriptors that the proxy may have.
const DESCRIPTORS: u64 = 256;
/// The share of a processor that the program must stay below while it is saturated, %.
const BUSY_BELOW: f64 = 20.0;
/// Clients of the first row.
const CLIENTS: usize = 1_000;
/// How often something is measured at most, when noise is above its bar.
const MEASURES_MAX: usize = 5;
/// Ids from here on are answered slowly.
const SLOW: u64 = 1 << 32;

/// More clients than the proxy has descriptors for.
///
/// Once with `maxconn` as it follows from the limit, so that accepting pauses at it, and once with
/// more than there are descriptors, so that the system refuses (EMFILE).
pub(crate) fn descriptors(bench: &Bench) -> Seen {
    let mut seen = Seen::default();
    // Long enough that what the clients cost is little against it, also in a debug build.
    let after = bench.seconds(0.5, 0.4);
    let bytes = page(100);
    let origin = Origin::scripted(move |asked| Reply {
        bytes: Arc::clone(&bytes),
        after: if asked.id >= SLOW {
            after
        } else {
            Duration::ZERO
        },
        then: Then::Keep,
    });
    let config = sections("", &origin);
    let program = Program::start(bench.side, "", &config, Some(DESCRIPTORS));
    let before = calm(&program, &mut seen, "before");
    let mut measures = 1;
    let (mut busy, mut served) = saturated(&program, &mut seen);
    while busy >= BUSY_BELOW && measures < MEASURES_MAX {
        measures += 1;
        (busy, served) = saturated(&program, &mut seen);
    }
    seen.must(busy < BUSY_BELOW, || format!("{busy:.0} % CPU at maxconn"));
    // The slices are short and the machine is shared: one that is as usual is enough.
    let mut measures_later = 1;
    let mut later = calm(&program, &mut seen, "afterwards");
    while later <= before / 2.0 && measures_later < MEASURES_MAX {
        measures_later += 1;
        later = calm(&program, &mut seen, "afterwards");
    }
    seen.must(later > before / 2.0, || {
        format!("{later:.0} requests a second afterwards, {before:.0} before")
    });
    seen.say(format!(
        "at maxconn {}: {busy:.0} % CPU, measure {measures}, {served} of {CLIENTS} served, then \
         {later:.0} requests a second ({before:.0} before), measure {measures_later}",
        program.info("Maxconn")
    ));
    drop(program);
    emfile(bench, &mut seen);
    seen
}

/// All clients at once where `maxconn` lets few of them in: the share of a processor that the
/// program had, %, until the crowd got smaller, and how many were served.
fn saturated(program: &Program, seen: &mut Seen) -> (f64, usize) {
    let from = (Instant::now(), program.ticks());
    let mut lines = crowd(program.addr, true);
    let served = serve(&mut lines, seen, "at maxconn", CLIENTS * 3 / 4);
    let busy = share(program, from);
    let rest = serve(&mut lines, seen, "at maxconn", CLIENTS - served);
    (busy, served + rest)
}

/// The system refuses descriptors: clients hold theirs, and ask later.
fn emfile(bench: &Bench, seen: &mut Seen) {
    let config =
        format!("{DEFAULTS}frontend f\n bind @fe@ backlog 4096\n http-request return status 200\n");
    let global = " maxconn 1000\n no strict-limits\n";
    let program = Program::start(bench.side, global, &config, Some(DESCRIPTORS));
    let mut lines = crowd(program.addr, false);
    let from = (Instant::now(), program.ticks());
    // Holding on without a word is the load.
    std::thread::sleep(bench.seconds(3.0, 1.0));
    let busy = share(&program, from);
    let held = program.descriptors();
    lines.iter_mut().for_each(|line| line.send(get(0)));
    let served = serve(&mut lines, seen, "at EMFILE", CLIENTS);
    drop(lines);
    seen.must(busy < BUSY_BELOW, || format!("{busy:.0} % CPU at EMFILE"));
    calm(&program, seen, "after EMFILE");
    seen.say(format!(
        "without descriptors ({held} held): {busy:.0} % CPU, {served} of {CLIENTS} served"
    ));
}

/// Requests a second of clients that fit.
fn calm(program: &Program, seen: &mut Seen, when: &str) -> f64 {
    let mut load = Load::new(program.addr, 16);
    let tally = load.run(Duration::from_millis(300));
    load.leave();
    seen.no_error(when, tally.complaint());
    tally.rate()
}

/// All clients at once, each with a request or still without.
fn crowd(addr: SocketAddr, asks: bool) -> Vec<Line> {
    let line = |at: usize| {
        let mut line = Line::connect(addr, Wanted::default()).unwrap();
        if asks {
            line.send(get(SLOW + at as u64));
        }
        line
    };
    (0..CLIENTS).map(line).collect()
}

/// Takes answers until so many have come, and ends the connections that got one.
fn serve(lines: &mut Vec<Line>, seen: &mut Seen, when: &str, count: usize) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let (mut served, mut other) = (0, BTreeMap::new());
    while served < count && !lines.is_empty() && Instant::now() < deadline {
        turn(lines, &[], Duration::from_millis(100));
        lines.retain(|line| {
            let what = match (answer(&line.into), line.end) {
                (Some(answer), _) if answer.status == 200 => {
                    served += 1;
                    return false;
                }
                (Some(answer), _) => answer.status.to_string(),
                (None, Some(end)) => format!("{end:?} without an answer"),
                (None, None) => return true,
            };
            *other.entry(what).or_insert(0) += 1;
            false
        });
    }
    if served < count && !lines.is_empty() {
        other.insert("wait in vain".to_owned(), lines.len());
    }
    for (what, times) in other {
        seen.missed.push(format!("{when}: {times} x {what}"));
    }
    served
}

/// The share of a processor that the program had since then, %.
fn share(program: &Program, (since, ticks): (Instant, u64)) -> f64 {
    (program.ticks() - ticks) as f64 / since.elapsed().as_secs_f64()
}

/// Random numbers that are the same in each run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Up to 2,000 bytes: of all values, or of those that lines of text are made of.
    fn bytes(&mut self) -> Vec<u8> {
        const TEXT: &[u8] = b"GET POST/:.%?HTP10 \r\n\r\nabc:;,=\t\"";
        let length = 1 + self.next() % 2_000;
        let any = self.next().is_multiple_of(2);
        let byte = |n: u64| match any {
            true => n as u8,
            false => TEXT[n as usize % TEXT.len()],
        };
        (0..length).map(|_| byte(self.next())).collect()
    }
}

/// Connections that carry nonsense, from eight addresses.
pub(crate) fn random_bytes(bench: &Bench) -> Seen {
    const AT_ONCE: usize = 200;
    let mut seen = Seen::default();
    let wanted: usize = bench.pick(50_000, 2_000);
    let origin = Origin::quick(100);
    let mut program = Program::start(bench.side, " maxconn 1000\n", &sections("", &origin), None);
    let mut random = Random(0x6f6e_656c_6f6f_7001);
    let (mut begun, mut own_errors, mut refused, mut closed) = (0, 0, 0, 0);
    let mut strange: BTreeMap<u16, usize> = BTreeMap::new();
    let mut warm = 0;
    let mut lines: Vec<Line> = Vec::new();
    let mut since: Vec<Instant> = Vec::new();
    while begun < wanted || !lines.is_empty() {
        while begun < wanted && lines.len() < AT_ONCE {
            let from = Ipv4Addr::new(127, 0, 0, 2 + (begun % 8) as u8);
            let wanted = Wanted {
                from: Some(from),
                ..Wanted::default()
            };
            begun += 1;
            match Line::connect(program.addr, wanted) {
                Ok(mut line) => {
                    line.send(random.bytes());
                    line.half_close();
                    lines.push(line);
                    since.push(Instant::now());
                }
                Err(_) => own_errors += 1,
            }
        }
        turn(&mut lines, &[], Duration::from_millis(100));
        for at in (0..lines.len()).rev() {
            let line = &lines[at];
            match (answer(&line.into), line.end) {
                (Some(answer), _) if answer.status == 400 => refused += 1,
                (None, Some(_)) => closed += 1,
                (None, None) if since[at].elapsed() < PATIENCE => continue,
                (other, _) => {
                    let status = other.map_or(0, |answer| answer.status);
                    *strange.entry(status).or_insert(0) += 1;
                }
            }
            lines.swap_remove(at);
            since.swap_remove(at);
        }
        if warm == 0 && begun * 10 >= wanted {
            warm = program.resident();
        }
    }
    seen.must(program.is_alive(), || program.said());
    // Status 0 stands for those that were neither answered nor closed.
    seen.must(strange.is_empty(), || format!("other answers: {strange:?}"));
    seen.must(own_errors * 100 <= wanted, || {
        format!("{own_errors} errors of the client itself: too many to judge")
    });
    let grown = program.resident().saturating_sub(warm);
    seen.must(grown <= MEMORY_FLAT_KB, || format!("{grown} kB of memory"));
    let mut load = Load::new(program.addr, 16);
    seen.no_error(
        "afterwards",
        load.run(Duration::from_millis(100)).complaint(),
    );
    seen.say(format!(
        "{refused} answered 400, {closed} closed, {own_errors} errors of the client; memory \
         +{grown} kB after the first tenth"
    ));
    seen
}
