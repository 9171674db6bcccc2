//! The command line: options, exit codes, what is printed where, becoming a daemon, privileges.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::Client;
use crate::support::proxy::{Message, Outcome, Setup, signal};
use crate::support::{Flavour, flavour, free_endpoint, is_root, until};

const GOOD: &str = "\
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend f
    bind @fe@
    http-request return status 200
";

/// [`GOOD`] without its timeouts, which is a warning.
const WARNS: &str = "\
frontend f
    mode http
    bind @fe@
    http-request return status 200
";

const BAD: &str = "\
frontend f
    bindd :80
    mode htp
";

/// The texts of the messages on stderr, without the notices about version and path.
fn texts(outcome: &Outcome) -> Vec<String> {
    let messages = outcome.stderr.lines().filter_map(Message::parse);
    messages
        .filter(|message| message.level != "NOTICE")
        .map(|message| message.text)
        .collect()
}

#[test]
fn check_says_valid_and_nothing_else() {
    let outcome = Setup::new(GOOD).check();
    assert_eq!(outcome.stdout, "Configuration file is valid\n");
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)));
}

#[test]
fn check_with_warnings_is_still_valid() {
    let outcome = Setup::new(WARNS).check();
    assert_eq!(
        outcome.stdout,
        "Warnings were found.\nConfiguration file is valid\n"
    );
    assert_eq!(outcome.code, Some(0));
    assert!(
        outcome
            .stderr
            .contains("missing timeouts for frontend 'f'."),
        "{}",
        outcome.stderr
    );
}

#[test]
fn check_without_a_listener_exits_2() {
    for config in [
        "",
        "backend b\n mode http\n timeout connect 1s\n timeout server 1s\n",
    ] {
        let outcome = Setup::new(config).check();
        let last = outcome.stdout.lines().last();
        let expected =
            "Configuration file has no error but will not start (no listener) => exit(2).";
        assert_eq!(
            (last, outcome.code),
            (Some(expected), Some(2)),
            "{config:?}"
        );
    }
}

#[test]
fn check_reports_all_errors_and_exits_1() {
    let setup = Setup::new(BAD);
    let outcome = setup.check();
    assert_eq!((outcome.stdout.as_str(), outcome.code), ("", Some(1)));
    let file = setup.dir().join("proxy.cfg");
    let file = file.to_str().unwrap();
    let texts = texts(&outcome);
    let found = |start: &str| texts.iter().any(|text| text.starts_with(start));
    assert!(
        found(&format!("parsing [{file}:2] : unknown keyword 'bindd'")),
        "{texts:#?}"
    );
    assert!(
        found(&format!("parsing [{file}:3] : unknown proxy mode 'htp'")),
        "{texts:#?}"
    );
    assert!(
        found(&format!("Error(s) found in configuration file : {file}")),
        "{texts:#?}"
    );
    assert!(found("Fatal errors found in configuration."), "{texts:#?}");
    assert!(outcome.stderr.contains("bind"), "a suggestion");
}

#[test]
fn the_notices_of_version_and_path_come_before_the_first_alert_only() {
    let levels = |config: &str| -> Vec<String> {
        let outcome = Setup::new(config).check();
        outcome
            .stderr
            .lines()
            .filter_map(Message::parse)
            .map(|message| message.level)
            .collect()
    };
    let bad = levels(BAD);
    assert_eq!(bad[..3], ["NOTICE", "NOTICE", "ALERT"]);
    assert_eq!(bad.iter().filter(|level| *level == "NOTICE").count(), 2);
    if flavour() == Flavour::Oneloop {
        assert!(
            !levels(WARNS).contains(&"NOTICE".to_string()),
            "a warning has none"
        );
    }
}

#[test]
fn quiet_check_prints_nothing_on_success() {
    let setup = Setup::new(GOOD);
    let (path, _) = setup.write();
    let outcome = setup.run(&["-c", "-q", "-f", path.to_str().unwrap()]);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn verbose_check_prints_the_memory_ceiling_too() {
    let setup = Setup::new(GOOD);
    let (path, _) = setup.write();
    let outcome = setup.run(&["-c", "-V", "-f", path.to_str().unwrap()]);
    let mut lines = outcome.stdout.lines();
    assert_eq!(lines.next(), Some("Configuration file is valid"));
    match flavour() {
        Flavour::Oneloop => {
            let ceiling = lines.next().unwrap();
            assert!(ceiling.starts_with("Memory at most: "), "{ceiling}");
        }
        Flavour::Oracle => {}
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn zero_warning_makes_a_warning_an_error() {
    let setup = Setup::new(WARNS);
    let (path, _) = setup.write();
    let outcome = setup.run(&["-c", "-dW", "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let last = texts(&outcome).pop().unwrap();
    assert_eq!(
        last,
        "Some warnings were found and 'zero-warning' is set. Aborting."
    );
    let setup = Setup::new(GOOD);
    let (path, _) = setup.write();
    assert_eq!(
        setup.run(&["-c", "-dW", "-f", path.to_str().unwrap()]).code,
        Some(0)
    );
}

#[test]
fn a_missing_file_is_named() {
    let outcome = Setup::new("").run(&["-c", "-f", "nofile.cfg"]);
    assert_eq!(outcome.code, Some(1));
    let expected =
        "Cannot open configuration file/directory nofile.cfg : No such file or directory";
    assert_eq!(texts(&outcome), [expected]);
}

#[test]
fn no_file_and_unknown_options_get_the_usage() {
    let setup = Setup::new("");
    for args in [&[][..], &["-Z"]] {
        let outcome = setup.run(args);
        assert_eq!(outcome.code, Some(1), "{args:?}");
        let printed = outcome.stdout + &outcome.stderr;
        assert!(printed.to_lowercase().contains("usage"), "{printed}");
        for option in ["-c", "-f", "-D", "-db", "-p"] {
            assert!(printed.contains(option), "{option}: {printed}");
        }
    }
}

#[test]
fn version_in_short_and_at_length() {
    let setup = Setup::new("");
    let short = setup.run(&["-v"]);
    let long = setup.run(&["-vv"]);
    assert_eq!((short.code, long.code), (Some(0), Some(0)));
    assert_eq!((short.stderr.as_str(), long.stderr.as_str()), ("", ""));
    assert!(long.stdout.len() > short.stdout.len());
    let name = match flavour() {
        Flavour::Oneloop => "oneloop",
        Flavour::Oracle => "HAProxy",
    };
    assert!(short.stdout.contains(name), "{}", short.stdout);
    assert!(
        long.stdout.starts_with(&short.stdout[..10]),
        "{}",
        long.stdout
    );
}

#[test]
fn several_files_and_a_directory_are_one_configuration() {
    let setup = Setup::new("");
    let dir = setup.dir().join("conf.d");
    fs::create_dir(&dir).unwrap();
    let defaults =
        "defaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n";
    fs::write(dir.join("1.cfg"), defaults).unwrap();
    fs::write(
        dir.join("2.cfg"),
        "frontend f\n bind 127.0.0.1:1\n default_backend b\n",
    )
    .unwrap();
    fs::write(dir.join("3.txt"), "this is no configuration\n").unwrap();
    let last = setup.dir().join("last.cfg");
    fs::write(&last, "backend b\n").unwrap();
    let (dir, last) = (dir.to_str().unwrap(), last.to_str().unwrap());
    for args in [
        &["-c", "-f", dir, "-f", last][..],
        &["-c", "-f", dir, "--", last],
    ] {
        let outcome = setup.run(args);
        assert_eq!(
            outcome.stdout, "Configuration file is valid\n",
            "{args:?}: {}",
            outcome.stderr
        );
    }
    assert_eq!(
        setup.run(&["-c", "-f", dir]).code,
        Some(1),
        "its backend is in the other file"
    );
}

#[test]
fn the_directory_option_is_where_relative_names_begin() {
    let setup = Setup::new("");
    let sub = setup.dir().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("own.cfg"), GOOD.replace("@fe@", "127.0.0.1:1")).unwrap();
    assert_eq!(setup.run(&["-c", "-f", "own.cfg"]).code, Some(1));
    let outcome = setup.run(&["-C", sub.to_str().unwrap(), "-c", "-f", "own.cfg"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn conditions_are_evaluated_from_the_command_line() {
    let setup = Setup::new("");
    for (condition, code) in [
        ("version_atleast(2.4)", 0),
        ("version_atleast(9.9)", 1),
        ("!version_atleast(9.9)", 0),
        ("defined(SURELY_NOT_SET)", 1),
        ("streq(a,a)", 0),
        ("strneq(a,a)", 1),
        ("streq(a,b) || streq(b,b)", 0),
        ("streq(a,a) && streq(a,b)", 1),
    ] {
        assert_eq!(
            setup.run(&["-cc", condition]).code,
            Some(code),
            "{condition}"
        );
    }
    assert_eq!(setup.run(&["-cc", "nonsense("]).code, Some(2));
}

#[test]
fn daemon_mode_returns_when_it_listens_and_writes_its_pid() {
    let setup = Setup::new(GOOD);
    let (path, endpoints) = setup.write();
    let pid_file = setup.dir().join("daemon.pid");
    let args = [
        "-D",
        "-f",
        path.to_str().unwrap(),
        "-p",
        pid_file.to_str().unwrap(),
    ];
    let outcome = setup.run(&args);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    // The parent has returned: the child listens, there is nothing to wait for.
    let mut client = Client::connect(endpoints["fe"]);
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
        200
    );
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert_eq!(
        fs::metadata(&pid_file).unwrap().permissions().mode() & 0o777,
        0o644
    );
    let pid: u32 = pid.strip_suffix('\n').unwrap().parse().unwrap();
    signal(pid, "TERM");
    until("the daemon is gone", || {
        (!fs::exists(format!("/proc/{pid}")).unwrap()).then_some(())
    });
    assert!(pid_file.exists(), "the pid file stays");
}

#[test]
fn a_background_start_that_fails_says_so_with_its_exit_code() {
    let taken = std::net::TcpListener::bind((crate::support::own_address(), 0)).unwrap();
    let setup = Setup::new(GOOD).with("fe", taken.local_addr().unwrap());
    let (path, _) = setup.write();
    for mode in ["-D", "-db"] {
        let outcome = setup.run(&[mode, "-f", path.to_str().unwrap()]);
        assert_eq!(outcome.code, Some(1));
        let expected = format!(
            "Binding [{}:7] for frontend f: cannot bind socket (Address already in use) for [{}]",
            path.display(),
            taken.local_addr().unwrap()
        );
        let texts = texts(&outcome);
        assert_eq!(texts[0], expected);
        let expected = ".main()] Some protocols failed to start their listeners! Exiting.";
        assert!(texts[1].ends_with(expected), "{texts:?}");
    }
}

#[test]
fn the_foreground_option_overrides_daemon() {
    let proxy = Setup::new(&format!("global\n daemon\n{GOOD}")).start();
    let mut client = Client::connect(proxy.addr("fe"));
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
        200
    );
    assert!(fs::exists(format!("/proc/{}", proxy.pid())).unwrap());
}

#[test]
fn the_connection_limit_can_be_given() {
    let config = format!("global\n stats socket @dir@/admin.sock level admin\n{GOOD}");
    let mut setup = Setup::new(&config);
    setup.args = vec!["-n".into(), "123".into()];
    let proxy = setup.start();
    let info = proxy.command("show info");
    assert!(info.contains("\nMaxconn: 123\n"), "{info}");
}

#[test]
fn further_options_are_accepted() {
    for args in [
        &["-m", "512"][..],
        &["-L", "peer"],
        &["-dM"],
        &["-dI"],
        &["-dW"],
        &["-d"],
    ] {
        let mut setup = Setup::new(GOOD);
        setup.args = args.iter().map(ToString::to_string).collect();
        let proxy = setup.start();
        let mut client = Client::connect(proxy.addr("fe"));
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
            200,
            "{args:?}"
        );
    }
}

#[test]
fn a_chroot_that_is_not_there_passes_the_check_and_fails_the_start() {
    if !is_root() {
        return;
    }
    let setup = Setup::new(&format!("global\n chroot /nonexistent/root\n{GOOD}"));
    assert_eq!(setup.check().code, Some(0));
    let (path, _) = setup.write();
    let outcome = setup.run(&["-db", "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let texts = texts(&outcome);
    assert!(
        texts
            .iter()
            .any(|text| text.contains("Cannot chroot(/nonexistent/root)")),
        "{texts:?}"
    );
}

#[test]
fn a_runtime_socket_that_cannot_be_made_is_an_error() {
    let setup = Setup::new(&format!(
        "global\n stats socket @dir@/no/admin.sock\n{GOOD}"
    ));
    assert_eq!(setup.check().code, Some(0));
    let (path, _) = setup.write();
    let outcome = setup.run(&["-db", "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let texts = texts(&outcome);
    let expected = format!(
        "Binding [{}:2] for frontend GLOBAL: cannot bind UNIX socket (No such file or directory) [{}]",
        path.display(),
        setup.dir().join("no/admin.sock").display()
    );
    assert_eq!(texts[0], expected);
}

#[test]
fn without_the_privilege_chroot_and_user_are_errors() {
    for (line, word) in [
        ("chroot @dir@", "chroot"),
        ("uid 1", "set uid"),
        ("gid 1", "set gid"),
    ] {
        let mut setup = Setup::new(&format!("global\n {line}\n{GOOD}"));
        let (path, _) = setup.write();
        if is_root() {
            // The program runs as somebody else, to see it refused.
            fs::set_permissions(setup.dir(), fs::Permissions::from_mode(0o755)).unwrap();
            setup.user = Some(65_534);
        }
        let outcome = setup.run(&["-db", "-f", path.to_str().unwrap()]);
        assert_eq!(outcome.code, Some(1), "{line}: {}", outcome.stderr);
        let texts = texts(&outcome);
        let line_of_request = format!("[{}:2]", path.display());
        let named = match flavour() {
            Flavour::Oneloop => &line_of_request,
            Flavour::Oracle => word,
        };
        assert!(
            texts.iter().any(|text| text.contains(named)),
            "{line}: {texts:?}"
        );
    }
}

#[test]
fn rust_log_never_hides_a_warning() {
    for filter in ["off", "error", "oneloop=off", "debug"] {
        let mut setup = Setup::new(WARNS);
        setup.env.push(("RUST_LOG".to_string(), filter.to_string()));
        let outcome = setup.check();
        assert_eq!(outcome.code, Some(0));
        assert!(
            outcome
                .stderr
                .contains("missing timeouts for frontend 'f'."),
            "RUST_LOG={filter}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn environment_variables_stand_in_double_quotes() {
    let config = GOOD.replace("@fe@", "\"${TEST_HOST}:${TEST_PORT-1}\"");
    let mut setup = Setup::new(&config);
    setup
        .env
        .push(("TEST_HOST".to_string(), "127.0.0.1".to_string()));
    assert_eq!(setup.check().stdout, "Configuration file is valid\n");
    setup.env.push(("TEST_PORT".to_string(), "no".to_string()));
    assert_eq!(setup.check().code, Some(1));
}

#[test]
fn conditional_blocks_choose_their_lines() {
    let config = format!(
        "{GOOD}\
         .if defined(TEST_BROKEN)\n this is no keyword\n\
         .elif streq(a,b)\n neither is this\n\
         .else\n    monitor-uri /alive\n\
         .endif\n"
    );
    let mut setup = Setup::new(&config);
    assert_eq!(setup.check().stdout, "Configuration file is valid\n");
    setup.env.push(("TEST_BROKEN".to_string(), "1".to_string()));
    assert_eq!(setup.check().code, Some(1));
}

#[test]
fn listeners_of_every_written_form() {
    let one = free_endpoint();
    let config = "\
defaults
 mode http
 timeout connect 1s
 timeout client 5s
 timeout server 5s
frontend f
 bind @fe@
 bind ipv4@@second@
 bind @one@
 bind unix@@dir@/f.sock
 bind @dir@/g.sock mode 600
 http-request return status 200
";
    let proxy = Setup::new(config).with("one", one).start();
    for addr in [proxy.addr("fe"), proxy.addr("second"), one] {
        let mut client = Client::connect(addr);
        assert_eq!(
            client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status(),
            200,
            "{addr}"
        );
    }
    for name in ["f.sock", "g.sock"] {
        use std::io::{Read, Write};
        let mut stream = std::os::unix::net::UnixStream::connect(proxy.dir().join(name)).unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
    }
    let mode = fs::metadata(proxy.dir().join("g.sock"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
