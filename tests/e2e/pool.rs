//! What a server keeps of the connections that nobody uses, and connections that are taken late.

use crate::limits::stat;
use crate::support::client::Client;
use crate::support::{Flavour, flavour, until};
use crate::{Gate, OK, Rig, answering, common, gated};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// A proxy of one thread whose server has these words, in a backend with this line.
fn rig(gate: &Gate, words: &str, line: &str) -> Rig {
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\nbackend b\n {line}\n server s @s@ {words}\n"
    ));
    Rig::of(
        gated(gate),
        &config.replacen("global\n", "global\n nbthread 1\n", 1),
    )
}

/// The columns of the server from `purge_delay` on.
fn pool(rig: &Rig) -> Vec<String> {
    let answer = rig.proxy.command("show servers conn b");
    let line = answer.lines().nth(1).unwrap();
    line.split(' ').skip(5).map(str::to_owned).collect()
}

/// How many connections of the server nobody uses.
fn idle(rig: &Rig) -> usize {
    pool(rig)[7].parse().unwrap()
}

/// So many requests at once, and their clients afterwards.
fn burst(rig: &Rig, gate: &Gate, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| rig.client()).collect();
    for client in &mut clients {
        client.send(GET);
    }
    rig.origin
        .requests
        .wait("all requests", |all| (all.len() == count).then_some(()));
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    clients
}

/// The connections on which the origin saw its requests, in order.
fn connections(rig: &Rig) -> Vec<usize> {
    let all = rig.origin.requests.rest();
    all.iter().map(|request| request.connection).collect()
}

#[test]
fn pool_max_conn_bounds_what_is_kept() {
    for (words, kept) in [
        ("", 5),
        ("pool-max-conn -1", 5),
        ("pool-max-conn 3", 3),
        ("pool-max-conn 1 pool-low-conn 9", 1),
        ("pool-max-conn 0", 0),
        ("pool-purge-delay 0", 0),
    ] {
        let gate = Gate::new();
        let rig = rig(&gate, words, "http-reuse always");
        let _clients = burst(&rig, &gate, 5);
        assert_eq!(idle(&rig), kept, "{words}");
    }
}

#[test]
fn without_a_pool_not_even_the_same_client_meets_its_connection_again() {
    for words in ["pool-max-conn 0", "pool-purge-delay 0"] {
        for (reuse, seen) in [
            ("safe", [0, 1, 2]),
            ("always", [0, 1, 2]),
            ("never", [0; 3]),
        ] {
            let gate = Gate::new();
            gate.open();
            let rig = rig(&gate, words, &format!("http-reuse {reuse}"));
            let mut client = rig.client();
            for _ in 0..3 {
                assert_eq!(client.ask(GET).status(), 200);
            }
            assert_eq!(connections(&rig), seen, "{words} {reuse}");
        }
    }
}

#[test]
fn what_a_client_keeps_for_itself_is_in_no_pool() {
    let gate = Gate::new();
    gate.open();
    let rig = rig(&gate, "pool-max-conn 1", "http-reuse never");
    let mut clients: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            assert_eq!(client.ask(GET).status(), 200);
        }
    }
    assert_eq!(connections(&rig), [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn pool_low_conn_keeps_more_than_were_ever_in_use() {
    for (words, kept) in [("", 1), ("pool-low-conn 0", 1), ("pool-low-conn 2", 3)] {
        let gate = Gate::new();
        gate.open();
        let rig = rig(&gate, words, "http-reuse safe");
        // First requests, which take no connection that was never reused.
        for n in 0..6 {
            rig.get(&format!("/{n}"));
        }
        assert_eq!(idle(&rig), kept, "{words}");
    }
}

#[test]
fn each_server_is_purged_after_its_own_delay() {
    let config = common(
        "frontend f\n bind @fe@\n use_backend b if { path / }\n default_backend c\n\
         defaults\n mode http\n timeout connect 5s\n timeout server 30s\n http-reuse always\n\
         backend b\n server s @s@ pool-purge-delay 20ms\n\
         backend c\n server s @s@ pool-purge-delay 24d\n",
    );
    for order in [["/", "/stays"], ["/stays", "/"]] {
        if order[0] == "/stays" && flavour() == Flavour::Oracle {
            // haproxy looks at the second server when the first one is due.
            continue;
        }
        let rig = Rig::of(answering(OK), &config);
        for path in order {
            rig.get(path);
        }
        until("the idle connection is closed", || {
            (idle(&rig) == 0).then_some(())
        });
        rig.get("/stays");
        rig.get("/");
        let stayed = order.iter().position(|path| *path == "/stays").unwrap();
        assert_eq!(connections(&rig), [0, 1, stayed, 2], "{order:?}");
    }
}

#[test]
fn show_servers_conn_tells_the_settings() {
    let gate = Gate::new();
    for (words, shown) in [
        ("", "5000 0 0 0 0 0 -1 0 0"),
        (
            "pool-max-conn 7 pool-purge-delay 3s",
            "3000 0 0 0 0 0 7 0 0",
        ),
        ("pool-purge-delay 0", "0 0 0 0 0 0 -1 0 0"),
        ("pool-max-conn 0", "5000 0 0 0 0 0 0 0"),
        ("pool-purge-delay 1us pool-low-conn 4", "1 0 0 0 0 0 -1 0 0"),
    ] {
        let rig = rig(&gate, words, "default-server pool-low-conn 3");
        assert_eq!(pool(&rig).join(" "), shown, "{words}");
    }
}

#[test]
fn default_server_sets_the_pool_of_those_after_it() {
    let gate = Gate::new();
    let line = "default-server pool-max-conn 2 pool-purge-delay 9s";
    let inherited = rig(&gate, "", line);
    assert_eq!(pool(&inherited).join(" "), "9000 0 0 0 0 0 2 0 0");
    let own = rig(&gate, "pool-max-conn -1", line);
    assert_eq!(pool(&own).join(" "), "9000 0 0 0 0 0 -1 0 0");
}

#[test]
fn defer_accept_leaves_silent_connections_to_the_kernel() {
    let rig = Rig::of(
        answering(OK),
        &common(
            "frontend f\n bind @fe@ defer-accept\n default_backend b\nbackend b\n server s @s@\n",
        ),
    );
    // After a second the kernel gives it up all the same: on a busy machine, once more.
    until("one who speaks overtakes one who is silent", || {
        let accepted = || -> u64 { stat(&rig.proxy, "f,FRONTEND,", "conn_tot").parse().unwrap() };
        let before = accepted();
        let silent = rig.client();
        assert_eq!(rig.ask("GET / HTTP/1.1\r\nHost: h").status(), 200);
        let overtaken = accepted() == before + 1;
        drop(silent);
        overtaken.then_some(())
    });
}

#[test]
fn defer_accept_means_nothing_to_a_unix_socket() {
    let config = common(
        "frontend f\n bind @dir@/fe.sock defer-accept\n bind @fe@ defer-accept\n\
         default_backend b\nbackend b\n server s @s@\n",
    )
    .replacen("level admin", "level admin defer-accept", 1);
    let rig = Rig::of(answering(OK), &config);
    let path = rig.proxy.dir().join("fe.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    // A silent one.
    until("the connection is taken", || {
        (stat(&rig.proxy, "f,FRONTEND,", "conn_tot") == "1").then_some(())
    });
    std::io::Write::write_all(&mut stream, GET.as_bytes()).unwrap();
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}
