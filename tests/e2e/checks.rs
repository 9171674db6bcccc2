//! Health checks and what they decide: who serves, who stands by, what is said about it.

use std::net::TcpListener;

use crate::support::origin::Origin;
use crate::support::{Flavour, flavour, free_endpoint, until};
use crate::{OK, Rig, answering, common};

/// A backend with the origin `@s@` as server `a`, and further servers and lines.
fn checked(origin: Origin, a: &str, lines: &str) -> Rig {
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n{lines}\n server a @s@ check {a}\n"
    ));
    Rig::of(origin, &config)
}

/// An origin whose page is its name.
fn named(name: &'static str) -> Origin {
    Origin::nginx(name)
}

/// The rest of a DOWN or UP message, with the check's duration masked.
fn message(rig: &Rig, start: &str) -> String {
    let text = rig.log.message(start).text;
    match text.split_once("check duration: ") {
        None => text,
        Some((before, after)) => {
            let after = after.split_once("ms").unwrap().1;
            format!("{before}check duration: Nms{after}")
        }
    }
}

#[test]
fn a_server_that_is_dead_at_the_start_goes_down_at_the_first_check() {
    let dead = free_endpoint();
    let rig = checked(
        named("a"),
        "",
        &format!(" server d {dead} check inter 100ms"),
    );
    let text = message(&rig, "Server b/d is DOWN");
    let expected = "Server b/d is DOWN, reason: Layer4 connection problem, info: \"Connection \
                    refused\", check duration: Nms. 1 active and 0 backup servers left. \
                    0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(text, expected);
    for n in 0..3 {
        assert_eq!(rig.get(&format!("/{n}")).1.server, "b/a");
    }
}

#[test]
fn fall_and_rise_count_checks() {
    let mut rig = checked(
        named("a"),
        "inter 100ms fall 4 rise 3",
        " option log-health-checks",
    );
    rig.log.message("Health check for server b/a succeeded");
    rig.origin.kill();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let text = rig.log.message("Health check for server b/a failed").text;
        statuses.push(text.rsplit("status: ").next().unwrap().to_string());
    }
    assert_eq!(statuses, ["3/4 UP.", "2/4 UP.", "1/4 UP.", "0/3 DOWN."]);
    rig.log.message("Server b/a is DOWN.");
    rig.origin.revive();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let text = rig
            .log
            .message("Health check for server b/a succeeded")
            .text;
        statuses.push(text.rsplit("status: ").next().unwrap().to_string());
    }
    assert_eq!(statuses, ["1/3 DOWN.", "2/3 DOWN.", "4/4 UP."]);
    rig.log.message("Server b/a is UP.");
}

#[test]
fn log_health_checks_says_why_in_its_own_line() {
    let mut rig = checked(
        named("a"),
        "inter 100ms fall 1",
        " option log-health-checks",
    );
    let ok = rig.log.message("Health check for server b/a succeeded");
    assert_eq!(ok.priority, 133);
    assert!(
        ok.text
            .contains("reason: Layer4 check passed, check duration: "),
        "{}",
        ok.text
    );
    assert!(ok.text.ends_with("status: 1/1 UP."), "{}", ok.text);
    rig.origin.kill();
    let failed = rig.log.message("Health check for server b/a failed");
    assert_eq!(failed.priority, 133);
    let start = "Health check for server b/a failed, reason: Layer4 connection problem, \
                 info: \"Connection refused\", check duration: ";
    assert!(failed.text.starts_with(start), "{}", failed.text);
    assert!(
        failed.text.ends_with("ms, status: 0/2 DOWN."),
        "{}",
        failed.text
    );
    let down = rig.log.message("Server b/a is DOWN");
    let expected = "Server b/a is DOWN. 0 active and 0 backup servers left. 0 sessions active, \
                    0 requeued, 0 remaining in queue.";
    assert_eq!((down.priority, down.text.as_str()), (129, expected));
}

#[test]
fn a_backup_serves_when_no_active_server_is_left() {
    let backup = named("backup");
    let mut rig = checked(
        named("a"),
        "inter 100ms fall 1 rise 1",
        &format!(" server spare {} check inter 100ms backup", backup.addr),
    );
    assert_eq!(rig.get("/1").1.server, "b/a");
    rig.origin.kill();
    let expected = "Server b/a is DOWN, reason: Layer4 connection problem, info: \"Connection \
                    refused\", check duration: Nms. 0 active and 1 backup servers left. Running on \
                    backup. 0 sessions active, 0 requeued, 0 remaining in queue.";
    assert_eq!(message(&rig, "Server b/a is DOWN"), expected);
    assert_eq!(rig.get("/2").0.text(), "backup");
    rig.origin.revive();
    let expected = "Server b/a is UP, reason: Layer4 check passed, check duration: Nms. \
                    1 active and 1 backup servers online. 0 sessions requeued, 0 total in queue.";
    assert_eq!(message(&rig, "Server b/a is UP"), expected);
    assert_eq!(rig.get("/3").0.text(), "a");
}

#[test]
fn only_the_first_backup_serves() {
    let (one, two) = (named("one"), named("two"));
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n server x1 {} backup\n server x2 {} backup\n server d @s@ disabled\n",
        one.addr, two.addr
    ));
    let rig = Rig::of(named("never"), &config);
    for n in 0..3 {
        assert_eq!(rig.get(&format!("/{n}")).0.text(), "one");
    }
}

#[test]
fn weights_share_out_the_requests_smoothly() {
    let heavy = named("heavy");
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n balance roundrobin\n server h {} weight 30\n server l @s@ weight 10\n",
        heavy.addr
    ));
    let rig = Rig::of(named("light"), &config);
    let pages: Vec<String> = (0..12)
        .map(|n| rig.get(&format!("/{n}")).0.text())
        .collect();
    assert_eq!(
        pages.iter().filter(|page| *page == "light").count(),
        3,
        "{pages:?}"
    );
    for run in pages.windows(5) {
        assert!(
            run.contains(&"light".to_string()),
            "never long without: {pages:?}"
        );
    }
}

#[test]
fn the_check_may_have_its_own_port_and_address() {
    let mut health = answering(OK);
    let (ip, port) = (health.addr.ip(), health.addr.port());
    let rig = checked(
        named("a"),
        &format!("inter 100ms fall 1 rise 1 addr {ip} port {port}"),
        "",
    );
    assert_eq!(rig.get("/1").0.status(), 200);
    health.kill();
    // The server itself is well; its check's target is not.
    message(&rig, "Server b/a is DOWN");
    assert_eq!(rig.get("/2").1.server, "b/<NOSRV>");
    health.revive();
    message(&rig, "Server b/a is UP");
    assert_eq!(rig.get("/3").0.status(), 200);
}

#[test]
fn default_server_gives_what_the_server_lines_leave_out() {
    let mut rig = checked(named("a"), "", " default-server inter 100ms fall 1 rise 1");
    rig.origin.kill();
    message(&rig, "Server b/a is DOWN");
    rig.origin.revive();
    message(&rig, "Server b/a is UP");
}

#[test]
fn downinter_paces_the_checks_of_a_dead_server() {
    let mut rig = checked(
        named("a"),
        "inter 1h downinter 50ms fastinter 50ms fall 2 rise 2",
        "",
    );
    // With `inter 1h` alone nothing more would happen in this test: the first check is the only
    // one, and what follows the first failure runs at fastinter, then at downinter.
    rig.origin.kill();
    let down = until("the server is down or its first check has passed", || {
        let stat = rig.proxy.command("show stat");
        let row = stat
            .lines()
            .find(|line| line.starts_with("b,a,"))
            .unwrap()
            .to_string();
        if row.contains(",DOWN,") {
            return Some(true);
        }
        row.contains(",L4OK,").then_some(false)
    });
    if down {
        rig.origin.revive();
        message(&rig, "Server b/a is UP");
    }
}

#[test]
fn a_disabled_server_waits_for_the_administrator() {
    let config =
        common("frontend f\n bind @fe@\n default_backend b\nbackend b\n server s @s@ disabled\n");
    let rig = Rig::of(answering(OK), &config);
    assert_eq!(rig.get("/1").1.server, "b/<NOSRV>");
    assert_eq!(rig.proxy.command("enable server b/s"), "\n");
    assert_eq!(rig.get("/2").1.server, "b/s");
}

#[test]
fn an_unchecked_server_is_never_declared_dead() {
    let dead = free_endpoint();
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n\
         backend b\n retries 0\n server s {dead}\n"
    ));
    let rig = Rig::of(answering(OK), &config);
    for n in 0..3 {
        assert_eq!(rig.get(&format!("/{n}")).1.server, "b/s");
    }
}

#[test]
fn nothing_is_sent_before_the_first_check() {
    if flavour() == Flavour::Oracle {
        // It does not know the word.
        return;
    }
    let late = free_endpoint();
    let config = common(&format!(
        "frontend f\n bind @fe@\n default_backend b\n use_backend later if {{ path /later }}\n \
         use_backend follower if {{ path /follower }}\n\
         backend b\n server a @s@ check inter 1m rise 9 first-check-before-traffic\n\
         backend later\n option log-health-checks\n \
         server l {late} check inter 100ms first-check-before-traffic\n\
         backend follower\n server t {late} track later/l\n"
    ));
    let rig = Rig::of(named("a"), &config);
    // One check is enough, and it does not wait for its turn in that minute.
    let text = message(&rig, "Server b/a is UP");
    assert!(text.contains("Layer4 check passed"), "{text}");
    assert_eq!(rig.get("/").1.server, "b/a");
    // No connection was tried, which would have been repeated and told of.
    for (path, server) in [
        ("/later", "later/<NOSRV>"),
        ("/follower", "follower/<NOSRV>"),
    ] {
        let (answer, line) = rig.get(path);
        assert_eq!((answer.status(), line.server.as_str()), (503, server));
        assert_eq!(line.state, "SC--");
    }
    rig.log.message("Health check for server later/l failed");
    let listener = TcpListener::bind(late).unwrap();
    rig.log.message("Server later/l is UP");
    rig.log.message("Server follower/t is UP");
    drop(listener);
}
