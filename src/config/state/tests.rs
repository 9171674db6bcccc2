//! What is expected here was seen on HAProxy 2.6.12, but for what `docs/differences.md` declares.

use super::super::host::Fake;
use super::super::model::Config;
use super::super::{LoadOptions, Source};

/// The first lines of a file.
const HEAD: &str = "1\n# be_id be_name srv_id srv_name ...\n";

/// A configuration with state files by path; its remarks.
fn loaded(text: &str, files: &[(&str, &str)]) -> (Option<Config>, Vec<String>) {
    let mut host = Fake::new();
    for (path, content) in files {
        host.files
            .insert((*path).to_owned(), content.as_bytes().to_vec());
    }
    let source = Source {
        name: "t.cfg".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = super::super::load(&[source], &host, &LoadOptions::default());
    let told = loaded.diagnostics.list().iter();
    let told = told.map(|one| one.message.clone()).collect();
    (loaded.config, told)
}

/// One backend whose servers have these words, and the file of `global`.
fn backend(servers: &[&str], file: &str) -> (Config, Vec<String>) {
    let lines: String = (servers.iter())
        .map(|server| format!(" server {server}\n"))
        .collect();
    let text = format!(
        "global\n server-state-file /s\ndefaults\n timeout client 1m\n timeout connect 1m\n \
         timeout server 1m\n load-server-state-from-file global\nfrontend f\n bind :80\n \
         default_backend b\nbackend b\n{lines}"
    );
    let (config, told) = loaded(&text, &[("/s", file)]);
    (config.unwrap(), told)
}

/// A row: server, operational and administrative state, weights, the check's columns.
fn row(server: &str, op: &str, admin: &str, weights: &str, check: &str) -> String {
    format!("3 b 1 {server} 1.2.3.4 {op} {admin} {weights} 100 {check} 0 0 0 - 80 - 0 0 - - 0\n")
}

/// What is told of the only server when it is down.
const GONE: &[&str] = &[
    "is DOWN, changed from server-state after a reload. 0 active and 0 backup \
     servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
];

#[test]
fn rows_are_recalled() {
    let up = "6 3 4 6";
    let down = "8 2 1 6";
    // Words of the server; op, admin, weights and check of its row; what becomes of it: op, admin,
    // weight, health and whether its check is enabled; what is told.
    type Row = (
        &'static str,
        [&'static str; 4],
        (u8, u8, u16, u32, bool),
        &'static [&'static str],
    );
    let cases: [Row; 19] = [
        ("check", ["2", "0", "5 1", up], (2, 0, 5, 4, true), &[]),
        // The configured weight is another one now.
        (
            "check weight 9",
            ["2", "0", "5 1", up],
            (2, 0, 9, 4, true),
            &[],
        ),
        ("check", ["2", "0", "0 1", up], (2, 0, 0, 4, true), &[]),
        // Up is surely up, whatever the counter was.
        (
            "check rise 5 fall 7",
            ["2", "0", "1 1", "6 3 6 6"],
            (2, 0, 1, 11, true),
            &[],
        ),
        (
            "check",
            ["1", "0", "1 1", "6 3 1 6"],
            (2, 0, 1, 2, true),
            &[],
        ),
        ("check", ["0", "0", "1 1", down], (0, 0, 1, 0, true), GONE),
        (
            "check",
            ["3", "0", "1 1", "16 4 4 6"],
            (3, 0, 1, 2, true),
            &[
                "is stopping, changed from server-state after a reload. 0 active and 0 backup \
               servers online. 0 sessions requeued, 0 total in queue.",
            ],
        ),
        ("check", ["2", "1", "1 1", up], (0, 1, 1, 0, true), &[]),
        (
            "check",
            ["0", "1", "1 1", "6 3 0 14"],
            (0, 1, 1, 0, true),
            GONE,
        ),
        (
            "check",
            ["2", "8", "1 1", up],
            (2, 8, 1, 4, true),
            &["remains in forced drain mode."],
        ),
        // Maintenance of the file's own goes with the word `disabled`, and stays with it.
        (
            "check",
            ["0", "5", "1 1", "1 0 0 14"],
            (0, 0, 1, 0, true),
            GONE,
        ),
        (
            "check disabled",
            ["0", "5", "1 1", "1 0 0 14"],
            (0, 5, 1, 0, true),
            &[],
        ),
        (
            "check disabled",
            ["2", "0", "1 1", up],
            (0, 5, 1, 4, true),
            &[],
        ),
        (
            "check disabled",
            ["2", "4", "1 1", up],
            (2, 4, 1, 2, true),
            &["is UP/READY (leaving forced maintenance)."],
        ),
        (
            "check disabled",
            ["2", "12", "1 1", up],
            (2, 12, 1, 2, true),
            &[
                "is UP/READY (leaving forced maintenance).",
                "remains in forced drain mode.",
            ],
        ),
        // What follows from other servers or from names is not taken over.
        ("check", ["2", "114", "1 1", up], (2, 0, 1, 4, true), &[]),
        // `disable health`.
        (
            "check",
            ["2", "0", "1 1", "6 3 4 2"],
            (2, 0, 1, 4, false),
            &[],
        ),
        ("", ["2", "0", "1 1", "1 0 2 0"], (2, 0, 1, 4, true), &[]),
        ("", ["0", "0", "1 1", "1 0 0 0"], (0, 0, 1, 0, true), GONE),
    ];
    for (words, [op, admin, weights, check], expected, told) in cases {
        let file = format!("{HEAD}{}", row("a", op, admin, weights, check));
        let (config, found) = backend(&[&format!("a 1.2.3.4:80 {words}")], &file);
        let recalled = config.servers[0].recalled.unwrap();
        let is = (
            recalled.op as u8,
            recalled.admin.bits(),
            recalled.weight,
            recalled.health,
            recalled.check.enabled,
        );
        let told: Vec<String> = told.iter().map(|one| format!("Server b/a {one}")).collect();
        assert_eq!((is, found), (expected, told), "{words}: {file}");
        assert_eq!(recalled.since_change_s, 100);
    }
}

#[test]
fn rows_that_are_not_valid() {
    let up = "6 3 4 6";
    let cases = [
        (row("a", "4", "0", "1 1", up), "srv_op_state value '4'"),
        (row("a", "2", "9", "1 1", up), "srv_admin_state value '9'"),
        (
            row("a", "2", "128", "1 1", up),
            "srv_admin_state value '128'",
        ),
        (row("a", "2", "0", "257 1", up), "srv_uweight value '257'"),
        (row("a", "2", "0", "1 -1", up), "srv_iweight value '-1'"),
        (row("a", "2", "0", "5x 1", up), "srv_uweight value '5x'"),
        (
            row("a", "2", "0", "1 1", "21 3 4 6"),
            "srv_check_status value '21'",
        ),
        (
            row("a", "2", "0", "1 1", "6 5 4 6"),
            "srv_check_result value '5'",
        ),
        (
            row("a", "2", "0", "1 1", "6 3 x 6"),
            "srv_check_health value 'x'",
        ),
        (
            row("a", "2", "0", "1 1", "6 3 4 32"),
            "srv_check_state value '32'",
        ),
        (
            row("a", "2", "0", "1 1", up).replace(" 80 ", " 65536 "),
            "srv_port value '65536'",
        ),
        (
            row("a", "x", "0", "1 1", up).replace(" 100 ", " y "),
            "srv_op_state value 'x', invalid srv_last_time_change value 'y'",
        ),
    ];
    for (row, expected) in cases {
        let (config, found) = backend(&["a 1.2.3.4:80 check"], &format!("{HEAD}{row}"));
        let expected =
            format!("server-state application failed for server 'b/a', invalid {expected}");
        assert_eq!(found, [expected]);
        assert_eq!(config.servers[0].recalled, None);
    }
}

#[test]
fn files_that_are_broken() {
    let good = row("a", "2", "0", "7 1", "6 3 4 6");
    let version = "config: Can't get version of the global server state file '/s'.";
    let corrupted = "config: corrupted global server state file '/s' at line 2.";
    let long = format!("{} {}\n", good.trim_end(), "x".repeat(2_000));
    let old = |columns: usize| {
        let words: Vec<&str> = good.split_whitespace().take(columns).collect();
        format!("{HEAD}{}\n", words.join(" "))
    };
    let cases = [
        (String::new(), Some(version.to_owned())),
        ("1".to_owned(), Some(version.to_owned())),
        ("1\n".to_owned(), None),
        (HEAD.replace("1\n", "2\n") + &good, Some(version.to_owned())),
        (HEAD.replace('\n', "\r\n") + &good, Some(version.to_owned())),
        (format!("\n{HEAD}{good}"), Some(version.to_owned())),
        (
            format!("{HEAD}{}", good.trim_end()),
            Some(corrupted.to_owned()),
        ),
        (format!("{HEAD}{long}"), Some(corrupted.to_owned())),
        (format!("{HEAD}\0\n{good}"), Some(corrupted.to_owned())),
        (old(19), Some(corrupted.to_owned())),
        (
            format!("{HEAD}#\n\n{good}b\n"),
            Some(corrupted.replace('2', "5")),
        ),
        (old(20), None),
        (
            format!("{HEAD}  \n# x\n {}", good.replace(' ', "\t ")),
            None,
        ),
        // The first row of a server counts.
        (format!("{HEAD}{good}{}", good.replace("7 1", "8 1")), None),
    ];
    for (file, expected) in cases {
        let (config, found) = backend(&["a 1.2.3.4:80 check"], &file);
        let used = expected.is_none() && file.len() > 2;
        assert_eq!(found, Vec::from_iter(expected), "{file:?}");
        let weight = config.servers[0].recalled.map(|recalled| recalled.weight);
        assert_eq!(weight, used.then_some(7), "{file:?}");
    }
}

/// Servers are looked at in the order of the configuration, and each line counts who is left.
#[test]
fn who_is_left_is_counted_on_the_way() {
    let file = format!(
        "{HEAD}{}{}{}",
        row("c", "0", "1", "1 1", "6 3 0 14"),
        row("b", "3", "8", "1 1", "6 3 4 6"),
        row("a", "2", "8", "1 1", "6 3 4 6"),
    );
    let servers = ["a 1.2.3.4:80", "b 1.2.3.4:80", "c 1.2.3.4:80 backup"];
    let (_, found) = backend(&servers, &file);
    let expected = [
        "Server b/a remains in forced drain mode.",
        "Server b/b is stopping, changed from server-state after a reload. 0 active and 1 backup \
         servers online. Running on backup. 0 sessions requeued, 0 total in queue.",
        "Server b/b remains in forced drain mode.",
        "Backup Server b/c is DOWN, changed from server-state after a reload. 0 active and 0 \
         backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
    ];
    assert_eq!(found, expected);
}

/// Words of the server, columns of its row from the address on by name; where it and its check
/// are afterwards; what is told.
#[test]
fn addresses_and_ports() {
    let agent = "agent checks are not enabled on this server";
    let cases = [
        (
            "1.2.3.4:80 check",
            "9.9.9.9",
            "81",
            "- 0 0 - - 0",
            "1.2.3.4:81",
            "1.2.3.4:81",
            "",
        ),
        (
            "1.2.3.4:80 check",
            "1.2.3.4",
            "0",
            "- 0 0 - - 0",
            "1.2.3.4:80",
            "1.2.3.4:80",
            "",
        ),
        (
            "1.2.3.4:80 check port 9",
            "-",
            "81",
            "- 0 0 - - 0",
            "1.2.3.4:81",
            "1.2.3.4:9",
            "",
        ),
        (
            "1.2.3.4 check port 9",
            "-",
            "81",
            "- 0 0 - - 0",
            "1.2.3.4:0",
            "1.2.3.4:9",
            "",
        ),
        (
            "localhost:80 check",
            "9.9.9.9",
            "80",
            "- 0 0 - - 0",
            "9.9.9.9:80",
            "9.9.9.9:80",
            "",
        ),
        (
            "localhost:80 check addr 5.5.5.5",
            "::1",
            "80",
            "- 0 0 - - 0",
            "[::1]:80",
            "5.5.5.5:80",
            "",
        ),
        (
            "localhost:80 check",
            "?",
            "80",
            "- 0 0 - - 0",
            "127.0.0.1:80",
            "127.0.0.1:80",
            "",
        ),
        (
            "1.2.3.4:80 check",
            "-",
            "80",
            "- 0 7 8.8.8.8 - 0",
            "1.2.3.4:80",
            "8.8.8.8:7",
            "",
        ),
        (
            "1.2.3.4:80 check",
            "-",
            "80",
            "- 0 7 - - 7",
            "1.2.3.4:80",
            "1.2.3.4:7",
            agent,
        ),
        (
            "1.2.3.4:80 check",
            "-",
            "80",
            "- 0 7 x - 0",
            "1.2.3.4:80",
            "1.2.3.4:80",
            "invalid addr 'x'",
        ),
        (
            "1.2.3.4:80 check",
            "-",
            "80",
            "- 0 70000 - - 0",
            "1.2.3.4:80",
            "1.2.3.4:80",
            "provided port is invalid",
        ),
        (
            "1.2.3.4:80",
            "-",
            "80",
            "- 0 7 - - 0",
            "1.2.3.4:80",
            "",
            "health checks are not enabled on this server",
        ),
        ("/sock check", "-", "0", "- 0 0 - - 0", "/sock", "/sock", ""),
    ];
    for (words, address, port, rest, server, check, told) in cases {
        let row = format!("3 b 1 a {address} 2 0 1 1 0 6 3 4 6 0 0 0 - {port} {rest}\n");
        let (config, found) = backend(&[&format!("a {words}")], &format!("{HEAD}{row}"));
        let is = &config.servers[0];
        let checked = is.check.as_ref().map(|check| check.endpoint.to_string());
        assert_eq!(is.endpoint.to_string(), server, "{row}");
        assert_eq!(checked.unwrap_or_default(), check, "{row}");
        let told = match told {
            "" => Vec::new(),
            _ => vec![format!(
                "server-state partially applied for server 'b/a', {told}"
            )],
        };
        assert_eq!(found, told, "{row}");
    }
}

/// Which file is read, by the lines of `global`, `defaults` and the backend.
#[test]
fn which_file_is_read() {
    let said = |weight: u16| {
        let row = row("a", "2", "0", &format!("{weight} 1"), "6 3 4 6");
        format!(
            "{HEAD}{row}{}",
            row.replace(" a ", " elsewhere ").replace("3 b", "9 z")
        )
    };
    let (one, two) = (said(11), said(12));
    let files = [
        ("/d/b", one.as_str()),
        ("/d/n", &two),
        ("b", &two),
        ("/n", &one),
    ];
    let local = "load-server-state-from-file local";
    let global = "load-server-state-from-file global";
    let none = |what: &str| Err(what.to_owned());
    let cases = [
        ("server-state-base /d", local, "", Ok(11)),
        (
            "server-state-base /d",
            local,
            "server-state-file-name",
            Ok(11),
        ),
        (
            "server-state-base /d",
            local,
            "server-state-file-name use-backend-name",
            Ok(11),
        ),
        (
            "server-state-base /d",
            local,
            "server-state-file-name n",
            Ok(12),
        ),
        (
            "server-state-base /d",
            local,
            "server-state-file-name /n",
            Ok(11),
        ),
        ("", local, "", Ok(12)),
        (
            "server-state-base /d\n server-state-file n",
            global,
            "",
            Ok(12),
        ),
        (
            "server-state-base /d\n server-state-file n",
            local,
            "",
            Ok(11),
        ),
        (
            "server-state-base /d\n server-state-file n",
            "",
            "",
            none(""),
        ),
        (
            "server-state-base /d\n server-state-file n",
            global,
            "load-server-state-from-file none",
            none(""),
        ),
        (
            "server-state-base /d\n server-state-file n",
            global,
            "disabled",
            none(""),
        ),
        (
            "server-state-base /x",
            local,
            "",
            none("Proxy 'b': Can't open server state file '/x/b': "),
        ),
        (
            "server-state-file /x",
            "",
            "",
            none("config: Can't open global server state file '/x': "),
        ),
        (
            "",
            global,
            "",
            none("backend 'b' configured to load server state file from global section"),
        ),
    ];
    for (in_global, in_defaults, in_backend, expected) in cases {
        let text = format!(
            "global\n stats socket /s\n {in_global}\ndefaults\n timeout client 1m\n timeout connect 1m\n timeout \
             server 1m\n {in_defaults}\nfrontend f\n bind :80\nbackend b\n {in_backend}\n \
             server a 1.2.3.4:80\n"
        );
        let (config, found) = loaded(&text, &files);
        let recalled = config.unwrap().servers[0].recalled;
        let weight = recalled.map(|recalled| recalled.weight);
        match expected {
            Ok(expected) => assert_eq!((weight, found), (Some(expected), vec![]), "{text}"),
            Err(told) => {
                assert_eq!(weight, None, "{text}");
                assert_eq!(found.is_empty(), told.is_empty(), "{text}: {found:?}");
                assert!(found.iter().all(|one| one.starts_with(&told)), "{found:?}");
            }
        }
    }
}

/// Lines of a backend's own file that are not of this backend.
#[test]
fn what_does_not_fit_in_a_local_file() {
    let line = |id: &str, backend: &str, server: &str| {
        row(server, "2", "0", "7 1", "6 3 4 6").replace("3 b 1", &format!("{id} {backend} 1"))
    };
    let id = "Proxy 'b': backend ID mismatch: from server state file: '9', from running config '3'";
    let cases = [
        (line("9", "b", "a"), vec![id], true),
        (line("9", "q", "a"), vec![], false),
        (
            line("3", "q", "a"),
            vec![
                "Proxy 'b': backend name mismatch: from server state file: 'q', from running config 'b'",
            ],
            false,
        ),
        (
            line("9", "b", "z") + &line("3", "b", "a"),
            vec![id, "Proxy 'b': can't find server 'z' in backend 'b'"],
            true,
        ),
    ];
    for (rows, told, used) in cases {
        let text = "defaults\n timeout client 1m\n timeout connect 1m\n timeout server 1m\n\
                    frontend f\n bind :80\nbackend b\n load-server-state-from-file local\n \
                    server a 1.2.3.4:80\n";
        // The runtime socket has number 1.
        let text = format!("global\n stats socket /s\n{text}");
        let (config, found) = loaded(&text, &[("b", &format!("{HEAD}{rows}"))]);
        assert_eq!(found, told);
        assert_eq!(config.unwrap().servers[0].recalled.is_some(), used);
    }
}

#[test]
fn lines_that_are_wrong() {
    let cases = [
        (
            "global\n server-state-file\n",
            "'server-state-file' expect one argument: a file path.",
        ),
        (
            "global\n server-state-base\n",
            "'server-state-base' expects one argument: a directory path.",
        ),
        (
            "defaults\n load-server-state-from-file\n",
            "'load-server-state-from-file' expects 'global', 'local' or 'none'. Got ''",
        ),
        (
            "backend b\n load-server-state-from-file glob\n",
            "'load-server-state-from-file' expects 'global', 'local' or 'none'. Got 'glob'",
        ),
        (
            "backend b\n server-state-file-name a b\n",
            "'server-state-file-name' cannot handle unexpected argument 'b'.",
        ),
        (
            "frontend f\n bind :80\n server-state-file-name a\n",
            "'server-state-file-name' ignored because frontend 'f' has no backend capability.",
        ),
    ];
    for (text, expected) in cases {
        let (_, found) = loaded(text, &[]);
        assert!(found.iter().any(|one| one == expected), "{text}: {found:?}");
    }
    let twice = "global\n server-state-base /a\n server-state-base /b\n";
    let (_, found) = loaded(twice, &[]);
    let expected = "'server-state-base' already specified. Continuing.";
    assert_eq!(found[0], expected);
}
