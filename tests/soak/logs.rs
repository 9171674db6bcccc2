//! A log socket that is full, then gone, then back.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::held::DEFAULTS;
use crate::load::Load;
use crate::origin::Origin;
use crate::place::is_root;
use crate::program::Program;
use crate::{Bench, Seen};

/// With the socket where everybody sees it.
pub(crate) fn plain(bench: &Bench) -> Seen {
    run(bench, "", "@dir@/log", "log")
}

/// With the socket in the folder that the program has locked itself into.
pub(crate) fn in_chroot(bench: &Bench) -> Seen {
    if !is_root() {
        return Seen {
            not_run: Some("only root may chroot"),
            ..Seen::default()
        };
    }
    run(bench, " chroot @dir@\n", "/log", "log")
}

/// What wakes the reader for its end.
const END: &[u8] = b"end";

/// The socket's other end; it counts what comes.
struct Reader {
    path: PathBuf,
    came: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<UnixDatagram>,
}

impl Reader {
    fn bind(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(&path).unwrap();
        let (came, ends) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, end) = (Arc::clone(&came), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                let came = socket.recv(&mut buffer).unwrap();
                count.fetch_add(u64::from(buffer[..came] != *END), Ordering::Relaxed);
            }
            socket
        });
        Self {
            path,
            came,
            ends,
            thread,
        }
    }

    /// Stops reading, with the socket still there; tells how many lines came.
    fn stop(self) -> (UnixDatagram, u64) {
        self.ends.store(true, Ordering::Relaxed);
        // A last message wakes it; it is full if somebody else's message has woken it already.
        let waker = UnixDatagram::unbound().unwrap();
        waker.set_nonblocking(true).unwrap();
        let _ = waker.send_to(END, &self.path);
        let socket = self.thread.join().unwrap();
        (socket, self.came.load(Ordering::Relaxed))
    }
}

fn run(bench: &Bench, global: &str, named: &str, file: &str) -> Seen {
    let mut seen = Seen::default();
    let origin = Origin::quick(100);
    let config = format!(
        "{DEFAULTS} log global\n option httplog\n\
         frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server s {}\n",
        origin.addr
    );
    let global = format!(" maxconn 1000\n log {named} local0\n{global}");
    let program = Program::start(bench.side, &global, &config, None);
    let path = program.folder().join(file);
    let mut load = Load::new(program.addr, CLIENTS);
    let slice = bench.seconds(1.0, 0.15);
    let mut measures = 0;
    loop {
        measures += 1;
        let mut phases = [
            Phase::new("with a reader"),
            Phase::new("full"),
            Phase::new("gone"),
        ];
        let mut lines = 0;
        for _ in 0..bench.pick(7, 3) {
            let reader = Reader::bind(path.clone());
            // It resumes by itself: what the reader gets comes from no other call than requests.
            phases[0].run(&program, &mut load, slice, &mut seen);
            let (socket, came) = reader.stop();
            seen.must(came > 0, || "logging did not resume".to_owned());
            lines += came;
            phases[1].run(&program, &mut load, slice, &mut seen);
            drop(socket);
            std::fs::remove_file(&path).unwrap();
            phases[2].run(&program, &mut load, slice, &mut seen);
        }
        let [healthy, full, gone] = &phases;
        let best = [full, gone].map(|phase| phase.rate() / healthy.rate());
        let held = best.iter().all(|ratio| *ratio >= UNAFFECTED);
        if !held && measures < MEASURES_MAX {
            continue;
        }
        for (phase, ratio) in [full, gone].into_iter().zip(best) {
            let name = phase.name;
            seen.must(ratio >= UNAFFECTED, || {
                format!("{name}: {ratio:.2} of the requests a second with a reader")
            });
            let (dropped, asked) = (phase.dropped, phase.asked as u64);
            // What the queue had room for, and lines that wait in a turn, are no drops.
            seen.must(dropped + asked / 20 > asked, || {
                format!("{name}: {dropped} drops counted in {asked} requests")
            });
        }
        let lost = healthy.dropped as f64 * 100.0 / healthy.asked.max(1) as f64;
        seen.say(format!(
            "{:.0} requests a second with a reader ({lines} lines came, {lost:.1} % dropped); full \
             {:.2} x, {} drops counted of {}; gone {:.2} x, {} of {}; measure {measures}",
            healthy.rate(),
            best[0],
            full.dropped,
            full.asked,
            best[1],
            gone.dropped,
            gone.asked
        ));
        return seen;
    }
}

/// Clients that ask while the socket is one way or another.
const CLIENTS: usize = 16;
/// The least share of the usual requests a second that is taken for the same service.
const UNAFFECTED: f64 = 0.8;
/// How often it is measured at most, when noise is above that.
const MEASURES_MAX: usize = 5;

/// What was seen while the socket was one way.
struct Phase {
    name: &'static str,
    rates: Vec<f64>,
    dropped: u64,
    asked: usize,
}

impl Phase {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            rates: Vec::new(),
            dropped: 0,
            asked: 0,
        }
    }

    fn run(&mut self, program: &Program, load: &mut Load, slice: Duration, seen: &mut Seen) {
        let before = program.info("DroppedLogs");
        let tally = load.run(slice);
        seen.no_error(self.name, tally.complaint());
        self.dropped += program.info("DroppedLogs") - before;
        self.rates.push(tally.rate());
        self.asked += tally.took_us.len();
    }

    /// The median of the requests a second.
    fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }
}
