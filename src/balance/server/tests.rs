//! What HAProxy tells of changes, and how its limits follow the load.

use super::*;

fn told(change: Option<Change>, server: &Server, cause: Cause<'_>, counts: Counts) -> String {
    let Some(change) = change else {
        return String::new();
    };
    let story = Story {
        backend: "b",
        name: "s1",
        server,
        cause,
        via: None,
        counts,
    };
    let mut out = Vec::new();
    out.extend_from_slice(if change.alert { b"alert " } else { b"notice " });
    write_news(&mut out, change.news, &story);
    if change.drain_kept {
        out.push(b'|');
        write_news(&mut out, News::DrainKept, &story);
    }
    String::from_utf8(out).unwrap()
}

fn status(server: &Server) -> String {
    let mut out = Vec::new();
    write_status(&mut out, server, None);
    String::from_utf8(out).unwrap()
}

/// The sessions that HAProxy 2.6.12 had on a server with others waiting, just after one of
/// `sessions` had left: `minconn`, `maxconn`, `fullconn`, and pairs of both.
#[test]
fn the_limit_follows_the_load_as_haproxys_does() {
    type Row = (u32, u32, u32, &'static [(u32, u32)]);
    let rows: [Row; 5] = [
        (0, 3, 20, &[(0, 3), (1, 3), (30, 3)]),
        (
            2,
            10,
            20,
            &[(1, 2), (5, 2), (6, 3), (18, 9), (19, 9), (20, 10), (30, 10)],
        ),
        (1, 10, 10, &[(1, 1), (2, 2), (9, 9), (10, 10), (12, 10)]),
        (
            1,
            7,
            13,
            &[(3, 1), (4, 2), (11, 5), (12, 6), (13, 7), (15, 7)],
        ),
        (3, 20, 10, &[(1, 3), (2, 4), (3, 6), (10, 20), (24, 20)]),
    ];
    for (minconn, maxconn, full_conn, pairs) in rows {
        let initial = Initial {
            minconn,
            maxconn,
            ..Initial::default()
        };
        let mut server = Server::new(&initial, 0);
        for &(sessions, limit) in pairs {
            let load = Load {
                sessions,
                full_conn,
            };
            assert_eq!(server.limit(load), limit, "{initial:?} {load:?}");
            server.served = limit - 1;
            assert!(!server.is_full(load), "{initial:?} {load:?}");
            server.served = limit;
            assert!(server.is_full(load), "{initial:?} {load:?}");
        }
    }
    let mut free = Server::new(&Initial::default(), 0);
    free.served = u32::MAX;
    assert!(!free.is_full(Load::NONE));
}

#[derive(Clone, Copy)]
enum Do {
    Maint,
    Drain,
    Ready,
    Down,
    Up,
    Stopping,
}

/// What the runtime API's `set server b/s1 state` and `health` do.
fn run(server: &mut Server, what: Do) -> Vec<Option<Change>> {
    match what {
        Do::Maint => server.set_mode(Mode::Maint, true, 0).into(),
        Do::Drain => server.set_mode(Mode::Drain, true, 0).into(),
        Do::Ready => server.set_mode(Mode::Ready, true, 0).into(),
        Do::Down => vec![server.go_down(0)],
        Do::Up => {
            server.health.value = server.health.full();
            vec![server.come_up(0)]
        }
        Do::Stopping => vec![server.begin_stopping(0)],
    }
}

/// One row is one command given to HAProxy 2.6.12 on an unchecked server, what it logged and
/// the status it showed afterwards.
#[test]
fn changes_are_told_as_haproxy_tells_them() {
    let left = ". 1 active and 1 backup servers left. 0 sessions active, 0 requeued, \
                0 remaining in queue.";
    let online = ". 1 active and 1 backup servers online. 0 sessions requeued, 0 total in queue.";
    let kept = "|Server b/s1 remains in forced drain mode.";
    let rows = [
        (
            Do::Maint,
            format!("alert Server b/s1 is going DOWN for maintenance{left}"),
            "MAINT",
        ),
        (
            Do::Ready,
            "notice Server b/s1 is UP/READY (leaving forced maintenance).".into(),
            "no check",
        ),
        (
            Do::Drain,
            format!("notice Server b/s1 enters drain state{online}"),
            "DRAIN",
        ),
        (Do::Drain, String::new(), "DRAIN"),
        (
            Do::Ready,
            "notice Server b/s1 is UP (leaving forced drain).".into(),
            "no check",
        ),
        (Do::Ready, String::new(), "no check"),
        (
            Do::Maint,
            format!("alert Server b/s1 is going DOWN for maintenance{left}"),
            "MAINT",
        ),
        (
            Do::Drain,
            format!("notice Server b/s1 is UP/DRAIN (leaving forced maintenance).{kept}"),
            "DRAIN",
        ),
        (
            Do::Ready,
            "notice Server b/s1 is UP (leaving forced drain).".into(),
            "no check",
        ),
        (
            Do::Down,
            format!("alert Server b/s1 is DOWN, changed from CLI{left}"),
            "DOWN",
        ),
        (
            Do::Maint,
            "notice Server b/s1 was DOWN and now enters maintenance.".into(),
            "MAINT",
        ),
        (
            Do::Ready,
            "notice Server b/s1 is UP/READY (leaving forced maintenance).".into(),
            "no check",
        ),
        (
            Do::Down,
            format!("alert Server b/s1 is DOWN, changed from CLI{left}"),
            "DOWN",
        ),
        (
            Do::Drain,
            format!("notice Server b/s1 enters drain state{left}"),
            "DOWN",
        ),
        (
            Do::Up,
            format!("notice Server b/s1 is UP, changed from CLI{online}{kept}"),
            "DRAIN",
        ),
        (
            Do::Down,
            format!("notice Server b/s1 is DOWN, changed from CLI{left}{kept}"),
            "DOWN",
        ),
        (
            Do::Ready,
            "notice Server b/s1 is DOWN (leaving forced drain).".into(),
            "DOWN",
        ),
        (
            Do::Up,
            format!("notice Server b/s1 is UP, changed from CLI{online}"),
            "no check",
        ),
        (
            Do::Stopping,
            format!("notice Server b/s1 is stopping, changed from CLI{online}"),
            "NOLB",
        ),
        (
            Do::Drain,
            format!("notice Server b/s1 enters drain state{online}"),
            "NOLB",
        ),
        (
            Do::Ready,
            "notice Server b/s1 is UP (leaving forced drain).".into(),
            "NOLB",
        ),
        (
            Do::Up,
            format!("notice Server b/s1 is UP, changed from CLI{online}"),
            "no check",
        ),
        (
            Do::Stopping,
            format!("notice Server b/s1 is stopping, changed from CLI{online}"),
            "NOLB",
        ),
        // Nobody wanted it any more.
        (
            Do::Down,
            format!("notice Server b/s1 is DOWN, changed from CLI{left}"),
            "DOWN",
        ),
        (
            Do::Stopping,
            format!("notice Server b/s1 is stopping, changed from CLI{online}"),
            "NOLB",
        ),
        (
            Do::Maint,
            format!("notice Server b/s1 is going DOWN for maintenance{left}"),
            "MAINT",
        ),
    ];
    let mut server = Server::new(&Initial::default(), 0);
    let counts = Counts {
        active: 1,
        backup: 1,
        ..Counts::default()
    };
    for (row, (what, expected, shown)) in rows.into_iter().enumerate() {
        let changes = run(&mut server, what);
        let text: String = changes
            .into_iter()
            .map(|change| told(change, &server, Cause::Cli, counts))
            .collect();
        assert_eq!(text, expected, "row {row}");
        assert_eq!(status(&server), shown, "row {row}");
    }
}
