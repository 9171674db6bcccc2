//! Figures of one round, and what several rounds come to.
//!
//! CPU time is that of all processes of a proxy, from `/proc/PID/stat`, over the requests that `wrk`
//! counted. Rounds are compared with rounds of the same number, since what disturbs a machine
//! disturbs those that stand next to each other alike; so a ratio is formed within a
//! round, and the median of the ratios is quoted with its quartiles.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::peers::{Program, Stage, find};
use crate::system::ticks_per_second;

/// Told by `wrk` at the end, in microseconds where it is time. It runs nothing while it measures.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

/// CPU time in microseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    /// What a family of processes has used so far.
    pub(crate) fn of(family: &[u32]) -> Self {
        let mut sum = Self::default();
        for pid in family {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            let mut times = fields
                .split_whitespace()
                .skip(11)
                .map(|ticks| ticks.parse().unwrap_or(0.0) * 1e6 / ticks_per_second());
            sum.user += times.next().unwrap_or(0.0);
            sum.system += times.next().unwrap_or(0.0);
        }
        sum
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

/// Resident memory of a family of processes, in KiB.
pub(crate) fn resident(family: &[u32]) -> f64 {
    let of = |pid: &u32| -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    family.iter().filter_map(of).sum()
}

/// What `wrk` saw.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Load {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) errors: f64,
}

/// The line that the script prints.
fn result_line(output: &str) -> Option<Load> {
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))?;
    let numbers: Result<Vec<f64>, _> = line.split(' ').map(str::parse).collect();
    let [requests, micros, p50, p99, p999, errors] = numbers.ok()?[..] else {
        return None;
    };
    Some(Load {
        requests,
        seconds: micros / 1e6,
        p50_ms: p50 / 1e3,
        p99_ms: p99 / 1e3,
        p999_ms: p999 / 1e3,
        errors,
    })
}

/// What is asked of a proxy.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) path: &'a str,
    pub(crate) clients: u32,
    /// One header more, or none.
    pub(crate) header: Option<&'a str>,
    pub(crate) seconds: u32,
}

/// Lets `wrk` ask for a while.
pub(crate) fn ask(stage: &Stage, port: u16, asking: Asking<'_>) -> Result<Load, String> {
    let script = script(stage.folder()).map_err(|error| error.to_string())?;
    let mut wrk = Command::new(find("wrk").ok_or("wrk is missing")?);
    wrk.arg("-t1")
        .arg(format!("-c{}", asking.clients))
        .arg(format!("-d{}", asking.seconds))
        .arg("-s")
        .arg(script);
    if let Some(header) = asking.header {
        wrk.args(["-H", header]);
    }
    wrk.arg(format!("http://127.0.0.1:{port}{}", asking.path));
    crate::system::prepare(&mut wrk, stage.load_processor);
    let output = wrk.output().map_err(|error| format!("wrk: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    result_line(&text).ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        format!("wrk gave no result: {text}{complaint}")
    })
}

fn script(folder: &Path) -> std::io::Result<std::path::PathBuf> {
    let path = folder.join("percentiles.lua");
    if !path.exists() {
        fs::write(&path, SCRIPT)?;
    }
    Ok(path)
}

/// One round of one proxy; microseconds are those of a request.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) user_us: f64,
    pub(crate) system_us: f64,
    pub(crate) load: Load,
}

impl Round {
    /// Measures one; `None` when nothing was answered.
    pub(crate) fn take(
        stage: &Stage,
        proxies: &[&Program],
        asking: Asking<'_>,
    ) -> Result<Option<Self>, String> {
        let used = || {
            let families = proxies.iter().flat_map(|proxy| proxy.family.clone());
            Cpu::of(&families.collect::<Vec<u32>>())
        };
        let before = used();
        let load = ask(stage, proxies[0].port, asking)?;
        let cpu = used().since(before);
        Ok((load.requests > 0.0).then(|| Self {
            user_us: cpu.user / load.requests,
            system_us: cpu.system / load.requests,
            load,
        }))
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

/// A median with its quartiles.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        Some(Self {
            low: *values.get(count / 4)?,
            median: *values.get(count / 2)?,
            high: *values.get(count * 3 / 4)?,
        })
    }

    /// A bar is met when the lower quartile is within it and the median within 5 per cent of it.
    pub(crate) fn meets(&self, bar: f64) -> bool {
        self.low <= bar && self.median <= bar * 1.05
    }
}

/// Ratios of rounds with the same number.
pub(crate) fn ratios(
    of: &[Option<Round>],
    to: &[Option<Round>],
    figure: impl Fn(&Round) -> f64,
) -> Option<Spread> {
    let pairs = of.iter().zip(to).filter_map(|(of, to)| {
        let (of, to) = (figure(of.as_ref()?), figure(to.as_ref()?));
        (to > 0.0).then_some(of / to)
    });
    Spread::of(pairs)
}

/// Checks of this file, for the smoke test.
pub(crate) fn check() {
    let spread = Spread::of([3.0, 1.0, 2.0, 5.0, 4.0]).expect("not empty");
    assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
    assert_eq!(Spread::of([]), None);
    let bars = [(3.0, true), (2.9, true), (2.8, false), (1.9, false)];
    for (bar, met) in bars {
        assert_eq!(spread.meets(bar), met, "{bar}");
    }
    let load = result_line("Running 2s test\nRESULT 1000 2000000 1500 9000 12000 3\n");
    let load = load.expect("a result");
    assert_eq!(
        (load.requests, load.seconds, load.errors),
        (1000.0, 2.0, 3.0)
    );
    assert_eq!((load.p50_ms, load.p99_ms, load.p999_ms), (1.5, 9.0, 12.0));
    assert_eq!(result_line("RESULT 1 2 3"), None);
    let round = |cpu: f64| {
        Some(Round {
            user_us: cpu / 2.0,
            system_us: cpu / 2.0,
            load,
        })
    };
    // A round in which one of the two has no figure takes no part.
    let of = [round(10.0), None, round(30.0)];
    let to = [round(5.0), round(1.0), round(10.0)];
    let found = ratios(&of, &to, Round::cpu_us).expect("two rounds");
    assert_eq!((found.low, found.median), (2.0, 3.0));
}
