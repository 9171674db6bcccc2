//! What the process keeps after its start, and what guards its runtime socket.

use std::ffi::OsStr;
use std::fs::read_to_string;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, binary, flavour, free_endpoint, is_root};

fn start(global: &str) -> Proxy {
    served(setup(global))
}

/// Starts it, and waits for an answer: it takes connections before it gives its privileges up, but
/// answers them only after.
fn served(setup: Setup) -> Proxy {
    let proxy = setup.start();
    let mut client = Client::connect(proxy.addr("fe"));
    let answer = client.ask("GET /alive HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.status(), 200);
    proxy
}

fn setup(global: &str) -> Setup {
    let config = format!(
        "global\n{global}\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         listen l\n bind @fe@\n monitor-uri /alive\n server s {}\n",
        free_endpoint()
    );
    Setup::new(&config)
}

/// A line of `/proc/PID/status`.
fn status(proxy: &Proxy, name: &str) -> String {
    let status = read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

/// The soft and hard limit of the size of a core.
fn core(proxy: &Proxy) -> Vec<String> {
    let limits = read_to_string(format!("/proc/{}/limits", proxy.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words = line.unwrap().split_whitespace().skip(4).take(2);
    words.map(str::to_owned).collect()
}

#[test]
fn nothing_is_kept_that_is_not_needed() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let proxy = start("");
    assert_eq!(status(&proxy, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(&proxy, set), "0000000000000000", "{set}");
    }
    if is_root() {
        // Only root may empty the bounding set, and only root's can be of use to anybody.
        assert_eq!(status(&proxy, "CapBnd"), "0000000000000000");
    }
    assert_eq!(core(&proxy), ["0", "0"]);
}

#[test]
fn a_socket_where_everybody_may_write_is_warned_of() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("own");
    std::fs::create_dir(&below).unwrap();
    let allow = |mode: u32| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), mode).unwrap();
    };
    for (mode, path, warns) in [
        (0o755, folder.path(), false),
        (0o1777, folder.path(), true),
        (0o1777, &*below, false),
        (0o777, &*below, true),
        (0o770, folder.path(), false),
    ] {
        allow(mode);
        let socket = path.join("admin.sock");
        let config = format!(
            "global\n stats socket {}\n\
             defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
             listen l\n bind @fe@\n monitor-uri /alive\n server s {}\n",
            socket.display(),
            free_endpoint()
        );
        let outcome = Setup::new(&config).check();
        assert_eq!(outcome.code, Some(0));
        let said = format!("everybody may write to '{}'", folder.path().display());
        assert_eq!(
            outcome.stderr.contains(&said),
            warns,
            "{mode:o}: {}",
            outcome.stderr
        );
        assert_eq!(
            outcome
                .stderr
                .contains("proxy.cfg:2] : 'stats socket' : every"),
            warns
        );
    }
    allow(0o755);
}

#[test]
fn arguments_that_are_no_text_are_told_and_not_died_of() {
    for arguments in [&[&b"-c"[..], b"-f", b"\xff.cfg"][..], &[b"-\xff"]] {
        let mut command = Command::new(binary());
        for argument in arguments {
            command.arg(OsStr::from_bytes(argument));
        }
        let outcome = command.output().unwrap();
        assert_eq!(outcome.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn set_dumpable_keeps_cores() {
    if flavour() == Flavour::Oracle {
        return;
    }
    let proxy = start(" set-dumpable");
    assert_ne!(core(&proxy)[1], "0");
    let proxy = start(" set-dumpable\n no set-dumpable");
    assert_eq!(core(&proxy), ["0", "0"]);
}

#[test]
fn set_dumpable_keeps_cores_beside_a_user_too() {
    if flavour() == Flavour::Oracle {
        return;
    }
    if !is_root() {
        eprintln!("SKIPPED: only root may change the user");
        return;
    }
    const NOBODY: u32 = 65_534;
    // The kernel gives what is below `/proc` to root when no core may be made of a process.
    let owner = |proxy: &Proxy| {
        let folder = std::fs::metadata(format!("/proc/{}/fd", proxy.pid()));
        folder.unwrap().uid()
    };
    for (dumpable, uid) in [(" set-dumpable\n", NOBODY), ("", 0)] {
        let mut changing = setup(&format!("{dumpable} uid {NOBODY}"));
        // A hard limit, and a soft one of nothing.
        changing.limit = Some("-c 1000; ulimit -S -c 0");
        let proxy = served(changing);
        assert_eq!(status(&proxy, "Uid").split('\t').next(), Some("65534"));
        assert_eq!(owner(&proxy), uid);
        // The hard limit is taken off where root may do that, and kept where not even root may.
        let core = core(&proxy);
        let allowed = match dumpable {
            "" => &["0"][..],
            _ => &["unlimited", "1024000", "512000"],
        };
        assert!(allowed.contains(&&*core[0]), "{core:?}");
        assert_eq!(core[0], core[1]);
        // So it is for one that never changes its user.
        let mut unchanged = setup(dumpable);
        unchanged.user = Some(NOBODY);
        assert_eq!(owner(&served(unchanged)), uid);
    }
}

#[test]
fn files_without_end_are_refused() {
    if flavour() == Flavour::Oracle {
        // It reads for ever, or waits for ever for somebody to write to the pipe.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let pipe = pipe.to_str().unwrap();
    let idle = "nobody writes to this pipe";
    for (line, file, said) in [
        ("errorfile 503 ", "/dev/zero", "larger than 16384 bytes"),
        ("errorfile 503 ", pipe, idle),
        ("http-request deny if { path -f ", pipe, idle),
        ("http-request set-header a %[path,map(", pipe, idle),
        (
            "http-request set-header a %[path,map(",
            "/dev/zero",
            "larger than 268435456 bytes",
        ),
    ] {
        let end = match line {
            _ if line.ends_with("-f ") => " }",
            _ if line.ends_with('(') => ")]",
            _ => "",
        };
        let config =
            format!("frontend f\n mode http\n bind @fe@\n timeout client 1s\n {line}{file}{end}\n");
        let outcome = Setup::new(&config).check();
        assert_eq!(outcome.code, Some(1), "{line} {file}");
        let stderr = &outcome.stderr;
        assert!(stderr.contains(file) && stderr.contains(said), "{stderr}");
    }
    let setup = Setup::new("");
    for (file, said) in [("/dev/zero", "larger than 268435456 bytes"), (pipe, idle)] {
        let outcome = setup.run(&["-c", "-f", file]);
        assert_eq!(outcome.code, Some(1), "{file}");
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
}

#[test]
fn a_configuration_may_come_from_a_pipe() {
    let config = "listen l\n mode http\n bind 127.0.0.1:9\n timeout client 1s\n\
                  timeout connect 1s\n timeout server 1s\n";
    // The pipe is empty at first.
    let script = r#"{ sleep 0.2; printf %s "$1"; } | "$0" -c -f /dev/stdin"#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary()).arg(config);
    let outcome = command.output().unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}");
}
