//! Server state files: a start goes on from what `show servers state` printed.

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::{OK, Rig, answering, common};

/// Two backends and their servers; `load` is the backends' line.
fn config(load: &str) -> String {
    common(&format!(
        "frontend web_proxy\n bind @fe@\n use_backend second if {{ path_beg /second }}\n \
         default_backend web\n\
         backend web\n {load}\n server s1 @s@ weight 9\n server s2 @s@ weight 9 check inter 1h\n \
         server s3 @s@ disabled\n\
         backend second\n {load}\n server s1 @s@\n"
    ))
    .replace(
        "defaults\n",
        "    server-state-base @dir@\n    server-state-file all\ndefaults\n",
    )
}

/// The states, without the ages and the one check that runs.
fn states(proxy: &Proxy) -> Vec<String> {
    let text = proxy.command("show servers state");
    let rows = text.lines().skip(2).filter(|line| !line.is_empty());
    let row = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [op, admin, weight, configured] = words[5..9] else {
            panic!("{line}");
        };
        let (backend, server) = (words[1], words[3]);
        format!("{backend}/{server} {op} {admin} {weight} {configured}")
    };
    rows.map(row).collect()
}

/// What one process wrote is where the next one begins, whether in one file or in one of each.
#[test]
fn a_start_goes_on_from_a_file() {
    let first = Rig::of(answering(OK), &config("load-server-state-from-file none"));
    for command in [
        "set server web/s1 weight 4",
        "set server web/s2 state drain",
        "set server web/s3 state ready",
        "set server second/s1 health down",
    ] {
        first.proxy.command(command);
    }
    let known = states(&first.proxy);
    let expected = [
        "web/s1 2 0 4 9",
        "web/s2 2 8 9 9",
        "web/s3 2 4 1 1",
        "second/s1 0 0 1 1",
    ];
    assert_eq!(known, expected);
    let file = |backend: &str| {
        let command = format!("show servers state {backend}");
        let text = first.proxy.command(command.trim_end());
        text.trim_end().to_owned() + "\n"
    };
    let (all, web, second) = (file(""), file("web"), file("second"));
    for load in ["global", "local"] {
        let text = config(&format!("load-server-state-from-file {load}"));
        let setup = Setup::new(&text).with("s", first.origin.addr);
        let mut setup = setup
            .file("all", &all)
            .file("web", &web)
            .file("second", &second);
        let _log = setup.log();
        let next = setup.start();
        assert_eq!(states(&next), known, "{load}");
        next.message("Server second/s1 is DOWN, changed from server-state after a reload.");
        let status = |path: &str| {
            let mut client = Client::connect(next.addr("fe"));
            let answer = client.ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
            answer.status()
        };
        assert_eq!((status("/second"), status("/")), (503, 200), "{load}");
    }
}
