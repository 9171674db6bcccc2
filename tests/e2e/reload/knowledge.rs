//! A reload forgets nothing: what a worker knows goes to the next one.

use super::*;

#[test]
fn a_kept_client_is_told_to_close_and_not_cut() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    let old = rig.worker();
    let mut client = Client::connect(rig.addr());
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(client.ask(request).headers("connection").is_empty());
    rig.reload();
    rig.anybody_said("Proxy b stopped");
    assert_eq!(rig.workers("# old workers"), [old]);
    let last = client.ask(request);
    assert_eq!(
        (last.status(), last.headers("connection")),
        (200, vec!["close".to_owned()])
    );
    assert_eq!(client.rest(), b"");
    rig.said(&format!("Former worker ({old}) exited with code 0 (Exit)"));
}

/// The counter `stot` of a row of `show stat`.
fn sessions(rig: &Rig, row: &str) -> u64 {
    let answer = rig.proxy.command("show stat");
    let row = answer.lines().find(|line| line.starts_with(row));
    row.unwrap().split(',').nth(7).unwrap().parse().unwrap()
}

#[test]
fn counters_states_and_changes_are_handed_over() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    for _ in 0..3 {
        assert_eq!(rig.get(), 200);
    }
    rig.proxy.command("set server b/s weight 7");
    rig.proxy.command("set server b/s state drain");
    let mut kept = Client::connect(rig.addr());
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    // The only server drains, so nobody is served by it.
    assert_eq!(kept.ask(request).status(), 503);
    rig.reload();
    assert_eq!(rig.proxy.command("get weight b/s"), "7 (initial 10)\n\n");
    let answer = rig.proxy.command("show stat");
    let row = answer
        .lines()
        .find(|line| line.starts_with("b,s,"))
        .unwrap();
    assert_eq!(row.split(',').nth(17), Some("DRAIN"));
    assert_eq!(sessions(&rig, "b,s,"), 3);
    rig.proxy.command("set server b/s state ready");
    assert_eq!(rig.get(), 200);
    assert_eq!(sessions(&rig, "b,s,"), 4);
}

#[test]
fn what_a_former_worker_still_counts_is_not_lost() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(rig.addr());
        assert_eq!(client.ask(request).status(), 200);
        clients.push(client);
        // Each leaves a worker behind that has one client.
        rig.reload();
    }
    assert_eq!(rig.workers("# old workers").len(), 4);
    for client in &mut clients {
        assert_eq!(client.ask(request).status(), 200);
    }
    for _ in 0..4 {
        rig.said("Former worker (");
    }
    until("all is counted", || {
        (sessions(&rig, "b,s,") == 8).then_some(())
    });
}

/// Lists and servers that are changed at run time.
fn changing() -> String {
    common(
        "frontend f\n bind @fe@\n acl denied path_beg /never\n acl listed path -f @dir@/listed\n \
         http-request deny deny_status 429 if denied\n http-request deny if listed\n \
         http-request return status 201 hdr found %[path,map(@dir@/found.map)] \
         if { path,map(@dir@/found.map) -m found }\n default_backend b\n\
         frontend second\n bind @second@\n default_backend b\n\
         backend b\n server s @s@ weight 10\n server t @s@\n",
    )
}

fn changing_rig() -> Rig {
    let origin = answering(OK);
    let setup = Setup::new(&changing());
    std::fs::write(setup.dir().join("listed"), "/x\n/y\n").unwrap();
    std::fs::write(setup.dir().join("found.map"), "/k one\n/l two\n").unwrap();
    Rig::start(origin, setup, &["-W"], &[])
}

/// Reloads, and waits until nobody but the new worker accepts.
fn succeed(rig: &Rig) {
    rig.reload();
    rig.anybody_said("Proxy b stopped");
}

fn status(rig: &Rig, path: &str) -> i32 {
    let mut client = Client::connect(rig.addr());
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client.ask(&request).status()
}

#[test]
fn lists_that_were_changed_are_handed_over() {
    if is_haproxy() {
        return;
    }
    let rig = changing_rig();
    let dir = rig.proxy.dir().display().to_string();
    for command in [
        format!("add acl {dir}/listed /added"),
        format!("del acl {dir}/listed /x"),
        "add acl #0 /denied".to_owned(),
        format!("set map {dir}/found.map /k three"),
        format!("add map {dir}/found.map /m four"),
        format!("del map {dir}/found.map /l"),
    ] {
        assert_eq!(rig.proxy.command(&command), "\n", "{command}");
    }
    let seen = |rig: &Rig| {
        ["/added", "/x", "/y", "/denied", "/k", "/l", "/m", "/new"].map(|path| status(rig, path))
    };
    let expected = [403, 200, 403, 429, 201, 200, 201, 200];
    assert_eq!(seen(&rig), expected);
    // Also by a worker that never saw the commands.
    for _ in 0..2 {
        succeed(&rig);
        assert_eq!(seen(&rig), expected);
    }
    let map = rig.proxy.command(&format!("show map {dir}/found.map"));
    assert!(
        map.contains(" /k three\n") && map.contains(" /m four\n"),
        "{map}"
    );
    // What is edited is as it was edited, and what is new is there.
    std::fs::write(rig.proxy.dir().join("listed"), "/new\n/y\n").unwrap();
    std::fs::write(rig.proxy.dir().join("found.map"), "/k edited\n").unwrap();
    succeed(&rig);
    assert_eq!(seen(&rig), [403, 200, 403, 429, 201, 200, 201, 403]);
    let map = rig.proxy.command(&format!("show map {dir}/found.map"));
    assert!(
        map.contains(" /k edited\n") && map.contains(" /m four\n"),
        "{map}"
    );
}

#[test]
fn servers_that_came_and_went_are_handed_over() {
    if is_haproxy() {
        return;
    }
    let rig = changing_rig();
    let addr = rig.origin.addr;
    for command in [
        format!("add server b/new {addr} weight 7 id 40 check inter 1h"),
        "set server b/new state ready".to_owned(),
        "set server b/new weight 3".to_owned(),
        format!("add server b/resting {addr} backup"),
        "disable server b/t".to_owned(),
        "del server b/t".to_owned(),
    ] {
        let answer = rig.proxy.command(&command);
        assert!(!answer.contains("o such"), "{command}: {answer}");
    }
    // Number, name, state and weight of each server.
    let seen = |rig: &Rig| {
        let answer = rig.proxy.command("show servers state b");
        let rows = answer
            .lines()
            .filter(|line| line.split(' ').nth(1) == Some("b"));
        let rows = rows.map(|row| {
            let words: Vec<&str> = row.split(' ').collect();
            [words[2], words[3], words[5], words[6], words[7], words[8]].join(" ")
        });
        rows.collect::<Vec<_>>()
    };
    let before = seen(&rig);
    let names: Vec<&str> = before
        .iter()
        .map(|row| row.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(names, ["s", "new", "resting"]);
    for _ in 0..2 {
        succeed(&rig);
        assert_eq!(seen(&rig), before);
        assert_eq!(rig.proxy.command("get weight b/new"), "3 (initial 7)\n\n");
    }
    for _ in 0..2 {
        assert_eq!(rig.get(), 200);
    }
    // A file that defines it has the last word, and so has a line that was edited.
    rig.rewrite(|text| {
        let line = format!(" server t {addr}\n");
        let edited = format!(" server t {NOWHERE}\n server new {addr} weight 11\n");
        text.replace(&line, &edited)
    });
    succeed(&rig);
    assert_eq!(rig.proxy.command("get weight b/new"), "11 (initial 11)\n\n");
    let names: Vec<String> = seen(&rig)
        .iter()
        .map(|row| row.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(names, ["s", "t", "new", "resting"]);
}

#[test]
fn a_frontend_that_was_shut_stays_shut() {
    if is_haproxy() {
        return;
    }
    let rig = changing_rig();
    let second = rig.proxy.addr("second");
    assert!(is_listening(second));
    assert_eq!(rig.proxy.command("shutdown frontend second"), "\n");
    until("its address is given up", || {
        (!is_listening(second)).then_some(())
    });
    succeed(&rig);
    until("it is given up again", || {
        (!is_listening(second)).then_some(())
    });
    assert_eq!(rig.get(), 200);
    // It comes back with another address.
    let other = crate::support::free_endpoint();
    rig.rewrite(|text| text.replace(&format!("bind {second}"), &format!("bind {other}")));
    succeed(&rig);
    assert!(is_listening(other));
}
