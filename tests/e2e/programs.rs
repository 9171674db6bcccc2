//! Checks by programs: what a program has of the process, and that none is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::log::LogSocket;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, flavour, is_root, until};
use crate::{OK, Rig, answering, common};

/// What a program does first: its number is told.
const BEGIN: &str = "#!/bin/sh\necho $$ >> \"${0%/*}/pids\"\n";

/// A backend with this line that is checked by a program, which has this text.
fn checked((global, line): (&str, &str), server: &str, program: &str) -> Setup {
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n option external-check\n external-check command @dir@/program\n \
         external-check path /usr/bin:/bin\n {line}\n server a 127.0.0.1:1 check {server}\n"
    ));
    let config = config.replacen("global\n", &format!("global\n{global}\n"), 1);
    let setup = Setup::new(&config).file("program", format!("{BEGIN}{program}"));
    let path = setup.dir().join("program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    setup
}

const ALLOWED: &str = " external-check\n insecure-fork-wanted";

fn start(server: &str, program: &str) -> (Proxy, LogSocket) {
    let mut setup = checked((ALLOWED, ""), server, program);
    let log = setup.log();
    (setup.start(), log)
}

/// The programs that have begun, in order.
fn begun(dir: &Path) -> Vec<u32> {
    let text = fs::read_to_string(dir.join("pids")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}

/// The number of the program that began as the `n`-th.
fn program(proxy: &Proxy, n: usize) -> u32 {
    until("the program has begun", || {
        begun(proxy.dir()).get(n).copied()
    })
}

/// Waits until a process is gone, from the table of processes too.
fn gone(pid: u32) {
    let path = format!("/proc/{pid}");
    until("the program is gone", || {
        (!Path::new(&path).exists()).then_some(())
    });
}

#[test]
fn programs_have_the_standard_streams_and_nothing_else() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let (proxy, log) = start(
        "inter 1h fall 1",
        "cd \"${0%/*}\"\nls /proc/$$/fd > fds\ngrep -E 'SigBlk|SigIgn' /proc/self/status > signals\n\
         ulimit -n > limit\nexit 3\n",
    );
    log.message("Server b/a is DOWN, reason: External check error, code: 3");
    let said = |name: &str| fs::read_to_string(proxy.dir().join(name)).unwrap();
    let descriptors: Vec<u32> = said("fds")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    // The shell has its program open, and puts that above what it may be asked for.
    let ours = descriptors.iter().filter(|number| **number < 10);
    assert_eq!(ours.copied().collect::<Vec<_>>(), [0, 1, 2]);
    let signals = said("signals");
    let mask = |name: &str| {
        let line = signals.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim_start_matches(':').trim(), 16).unwrap()
    };
    assert_eq!(mask("SigBlk"), 0);
    // SIGPIPE and SIGTERM.
    assert_eq!(mask("SigIgn") & (1 << 12 | 1 << 14), 0);
    let own = std::process::Command::new("sh")
        .args(["-c", "ulimit -n"])
        .output()
        .unwrap();
    assert_eq!(said("limit"), String::from_utf8(own.stdout).unwrap());
}

#[test]
fn a_program_that_takes_too_long_is_asked_to_end() {
    let (proxy, log) = start("inter 300ms fall 1", "exec sleep 1000\n");
    log.message("Server b/a is DOWN, reason: External check timeout, code: 0");
    gone(program(&proxy, 0));
    proxy.message(&format!("kill {}", program(&proxy, 0)));
}

#[test]
fn the_limit_of_connecting_holds_beside_that_of_checks() {
    let limits = "timeout check 1h\n timeout connect 300ms";
    let mut setup = checked((ALLOWED, limits), "inter 1h fall 1", "exec sleep 1000\n");
    let log = setup.log();
    let proxy = setup.start();
    log.message("Server b/a is DOWN, reason: External check timeout, code: 0");
    gone(program(&proxy, 0));
}

#[test]
fn a_program_that_does_not_listen_is_ended() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let deaf = "trap '' TERM\nwhile :; do sleep 1; done\n";
    let (proxy, _log) = start("inter 300ms fall 1", deaf);
    // The third begins when the first two have had their time.
    program(&proxy, 2);
    gone(program(&proxy, 0));
}

#[test]
fn a_check_that_is_not_wanted_ends_its_program() {
    if flavour() == Flavour::Oracle {
        return;
    }
    for command in ["disable health b/a", "disable server b/a"] {
        let (proxy, _log) = start("inter 1h", "exec sleep 1000\n");
        let pid = program(&proxy, 0);
        assert_eq!(proxy.command(command), "\n");
        gone(pid);
    }
}

#[test]
fn a_program_ends_with_its_process() {
    if flavour() == Flavour::Oracle {
        return;
    }
    for signal in ["TERM", "USR1"] {
        let (mut proxy, _log) = start("inter 1h", "trap '' TERM\nwhile :; do sleep 1; done\n");
        let pid = program(&proxy, 0);
        proxy.signal(signal);
        proxy.wait();
        // Whoever is not reaped by us is by the system, sooner or later: it must not run.
        let path = format!("/proc/{pid}/stat");
        until("the program has ended", || {
            match fs::read_to_string(&path) {
                Ok(stat) => stat.contains(") Z ").then_some(()),
                Err(_) => Some(()),
            }
        });
    }
}

#[test]
fn a_reload_ends_the_programs_of_the_worker_before() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let mut setup = checked((ALLOWED, ""), "inter 1h", "exec sleep 1000\n");
    let _log = setup.log();
    setup.args.push("-W".to_owned());
    let proxy = setup.start();
    proxy.message("Loading success.");
    let before = program(&proxy, 0);
    proxy.signal("USR2");
    gone(before);
    proxy.message("Loading success.");
}

#[test]
fn nothing_is_run_where_nobody_has_allowed_it() {
    if !is_root() {
        return;
    }
    let mut setup = checked(
        (" external-check\n user nobody", ""),
        "inter 1h fall 1",
        "exit 0\n",
    );
    let log = setup.log();
    let proxy = setup.start();
    let text =
        "Server b/a is DOWN, reason: Socket error, info: \"Resource temporarily unavailable\"";
    log.message(text);
    let said = proxy.message("Failed to fork process");
    assert_eq!(
        said.text,
        "Failed to fork process for external health check (likely caused by missing \
         'insecure-fork-wanted'): Resource temporarily unavailable. Aborting."
    );
    assert!(begun(proxy.dir()).is_empty());
}

#[test]
fn traffic_goes_on_beside_programs() {
    let config = common(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n option external-check\n external-check command /bin/true\n \
         server s @s@ check inter 10ms fall 1000\n",
    );
    let config = config.replacen("global\n", &format!("global\n{ALLOWED}\n"), 1);
    let rig = Rig::of(answering(OK), &config);
    for n in 0..50 {
        assert_eq!(rig.get(&format!("/{n}")).0.status(), 200);
    }
    until("a program has passed", || {
        let state = rig.proxy.command("show servers state b");
        state.contains(" 20 ").then_some(())
    });
}
