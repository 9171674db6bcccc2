//! A reload in the simulation: one engine hands over in the middle of its run and drains, another
//! goes on from what it knew.
//!
//! The first must cut nobody whom it had let in and end at nothing (the judge sees to both). The
//! second must have what the first had counted, from the first request to the last, and lives a run
//! of its own with the states that it was given, its invariants looked at as ever.

use super::world::judge::Excuses;
use super::world::reached::Reached;
use super::world::rng::Rng;
use super::world::scenario::Scenario;
use super::world::state::Mutation;
use super::world::{Simulated, run_between, standing};
use super::{SEED_THREAD, quiet_seeds};

use oneloop::base::addr::Endpoint;
use oneloop::config::model::{ProxyId, ServerId};
use oneloop::engine::checks::Wish;
use oneloop::engine::service::{Command, ListChange, Mode, Op, RateLimit};
use oneloop::engine::stats::Counters;

/// Runs that hand over.
const SEEDS: u64 = 150;

/// Every counter that must add up, with what it is of.
type Counts = Vec<(String, u64)>;

fn counts(engine: &Simulated<'_>) -> Counts {
    let view = engine.view();
    let process = view.process;
    let mut counts = vec![
        ("connections".to_owned(), process.connections_total),
        ("requests".to_owned(), process.requests_total),
        ("bytes".to_owned(), process.bytes_out),
    ];
    let mut add = |of: String, counters: &Counters| {
        let Counters {
            stot, bin, bout, ..
        } = *counters;
        let errors = counters.dreq + counters.ereq + counters.econ + counters.eresp;
        let aborts = counters.cli_abrt + counters.srv_abrt;
        let again = counters.wretr + counters.wredis + counters.reuse + counters.connect;
        let answers = counters.hrsp.iter().sum();
        let each = [
            stot,
            bin,
            bout,
            counters.req_tot,
            errors,
            aborts,
            again,
            answers,
        ];
        counts.extend(each.into_iter().map(|count| (of.clone(), count)));
    };
    for (proxy, stats) in view.config.proxies.iter().zip(view.proxy_stats) {
        add(format!("front {}", proxy.name), &stats.front);
        add(format!("back {}", proxy.name), &stats.back);
    }
    for (server, counters) in view.config.servers.iter().zip(view.server_stats) {
        add(format!("server {}", server.name), counters);
    }
    counts
}

fn sum(left: &Counts, right: &Counts) -> Counts {
    let both = left.iter().zip(right);
    both.map(|((of, a), (_, b))| (of.clone(), a + b)).collect()
}

fn same(what: &str, left: &Counts, right: &Counts) -> Result<(), String> {
    match left.iter().zip(right).find(|(left, right)| left != right) {
        Some(both) => Err(format!("{what}: {both:?}")),
        None => Ok(()),
    }
}

/// What servers are, as a command shows it.
fn states(engine: &Simulated<'_>) -> Vec<String> {
    let view = engine.view();
    let each = view.servers.iter().zip(view.probes);
    each.map(|(server, probe)| {
        let check = probe.as_ref().map(|probe| (&probe.state, &probe.report));
        // Who warms up has done so for the next process.
        let op = match server.op {
            Op::Starting => Op::Running,
            op => op,
        };
        let admin = (server.admin, op, server.health, server.weight);
        format!("{admin:?} {} {check:?}", server.downs)
    })
    .collect()
}

/// What one process had for the next.
#[derive(Default)]
struct Left {
    whole: Vec<u8>,
    rest: Vec<u8>,
    counts: Counts,
    states: Vec<String>,
}

/// The first half: a run that hands over after so many turns. `None` if it was over before.
fn old(seed: u64, trace: bool) -> Result<Option<Left>, String> {
    let mut rng = Rng::new(!seed);
    let (mut turns, at) = (0, rng.between(1, 120));
    let mut left = Left::default();
    let told = &mut left;
    let mut meddle = |engine: &mut Simulated<'_>, excuses: &mut Excuses| {
        turns += 1;
        if turns != at || engine.view().stopping {
            return turns < at;
        }
        excuses.drained = true;
        excuses.clean = false;
        // What a hand-over finds is not always as the file has it.
        if rng.permille(500) {
            excuses.wishes = true;
            let servers = engine.view().servers.len() as u64;
            let server = ServerId(rng.below(servers) as u32);
            let wish = rng.pick(&[
                Wish::Mode(Mode::Maint),
                Wish::Mode(Mode::Drain),
                Wish::Weight(7),
            ]);
            engine.apply(Command::Server(server, wish));
        }
        engine.hand_over(&mut told.whole);
        told.states = states(engine);
        engine.drain();
        engine.net_mut().forget_nudge();
        false
    };
    let mut scenario = Scenario::new(Rng::new(seed));
    for script in &mut scenario.scripts {
        // What was told already cannot be taken back.
        script.commands = script
            .commands
            .replace("clear counters all", "clear counters");
    }
    // From the drain on it runs.
    let hard_stop = scenario.hard_stop_after.is_some();
    let mut after = (Vec::new(), Counts::new());
    run_between(
        scenario,
        (seed, Mutation::None, trace),
        &mut |_, excuses| {
            excuses.stopped |= hard_stop;
            Ok(())
        },
        &mut meddle,
        &mut |engine, _| {
            engine.hand_over_rest(&mut after.0);
            after.1 = counts(engine);
            Ok(())
        },
    )?;
    (left.rest, left.counts) = after;
    Ok((!left.whole.is_empty()).then_some(left))
}

/// The second half: a run that begins with what the first one left.
fn new(seed: u64, left: &Left, trace: bool) -> Result<Reached, String> {
    let nothing = std::cell::RefCell::new(Counts::new());
    run_between(
        Scenario::new(Rng::new(seed)),
        (seed + 1, Mutation::None, trace),
        &mut |engine, excuses| {
            // Servers may be down and frontends at rest from the beginning.
            (excuses.clean, excuses.wishes, excuses.rests) = (false, true, true);
            let mut cut = left.whole.clone();
            cut.truncate(cut.len() - 1);
            let fresh = (counts(engine), states(engine));
            if engine.take_over(&cut).is_ok() || fresh != (counts(engine), states(engine)) {
                return Err("a document that is cut off was taken".to_owned());
            }
            engine.take_over(&left.whole)?;
            engine.check_invariants()?;
            if states(engine) != left.states {
                return Err(format!("{:#?}\n{:#?}", left.states, states(engine)));
            }
            *nothing.borrow_mut() = counts(engine);
            Ok(())
        },
        &mut |_, _| false,
        &mut |engine, _| {
            // What it counted itself, the part of the first one that came early, and its rest.
            let before = counts(engine);
            engine.take_over(&left.rest)?;
            let early = nothing.borrow();
            same(
                "in sum",
                &sum(&counts(engine), &early),
                &sum(&before, &left.counts),
            )
        },
    )
}

#[test]
fn nothing_is_forgotten_and_nobody_cut() {
    quiet_seeds();
    let only = std::env::var("SIM_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    };
    let mut handed = 0;
    for seed in seeds {
        let pair = move || -> Result<bool, String> {
            let Some(left) = old(seed, only.is_some())? else {
                return Ok(false);
            };
            new(seed, &left, only.is_some())?;
            Ok(true)
        };
        let thread = std::thread::Builder::new().name(SEED_THREAD.to_owned());
        match thread.spawn(pair).unwrap().join() {
            Ok(Ok(done)) => handed += u64::from(done),
            Ok(Err(what)) => panic!("seed {seed}: {what}"),
            Err(_) => panic!("seed {seed} panics"),
        }
    }
    assert!(
        only.is_some() || handed > SEEDS / 2,
        "{handed} of {SEEDS} runs handed over"
    );
}

/// A configuration of the backend `app`, with these servers, and its engine.
fn with_engine(servers: &[&str], act: &mut dyn FnMut(&mut Simulated<'_>)) {
    let lines: String = (servers.iter())
        .map(|server| format!("  server {server}\n"))
        .collect();
    let text = format!(
        "defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n\
         frontend web\n  bind 127.0.0.1:8001\n  acl denied path_beg /a /b\n  \
         tcp-request connection reject if {{ src 10.0.0.1 }}\n  default_backend app\n\
         backend app\n{lines}"
    );
    standing(&text, act);
}

/// What the second server is to its successor: the words of its line before and after, what
/// happened to it meanwhile, and how it comes out (admin, op, weight, counter).
#[test]
fn changes_at_run_time_give_way_to_the_file() {
    use oneloop::engine::service::Op::{Running, Stopped};
    let wish = |wish: Wish| Some(wish);
    let down = || wish(Wish::Health(Stopped));
    let rows = [
        (
            "1.1.1.1:80",
            "1.1.1.1:80",
            wish(Wish::Weight(7)),
            (0, Running, 7, 2),
        ),
        (
            "1.1.1.1:80 weight 3",
            "1.1.1.1:80 weight 3",
            wish(Wish::Weight(7)),
            (0, Running, 7, 2),
        ),
        (
            "1.1.1.1:80 weight 3",
            "1.1.1.1:80 weight 4",
            wish(Wish::Weight(7)),
            (0, Running, 4, 2),
        ),
        (
            "1.1.1.1:80 weight 3",
            "1.1.1.1:80 weight 4",
            None,
            (0, Running, 4, 2),
        ),
        // What the administrator wants is of the server, wherever it is.
        (
            "1.1.1.1:80",
            "2.2.2.2:80",
            wish(Wish::Mode(Mode::Drain)),
            (8, Running, 1, 2),
        ),
        (
            "1.1.1.1:80",
            "2.2.2.2:80",
            wish(Wish::Disable),
            (1, Stopped, 1, 0),
        ),
        (
            "1.1.1.1:80 disabled",
            "1.1.1.1:80 disabled",
            wish(Wish::Enable),
            (4, Running, 1, 0),
        ),
        (
            "1.1.1.1:80 disabled",
            "1.1.1.1:80",
            wish(Wish::Enable),
            (0, Running, 1, 0),
        ),
        (
            "1.1.1.1:80 disabled",
            "1.1.1.1:80",
            None,
            (0, Running, 1, 2),
        ),
        (
            "1.1.1.1:80",
            "1.1.1.1:80 disabled",
            wish(Wish::Mode(Mode::Drain)),
            (5, Stopped, 1, 0),
        ),
        // What was found out is of the address.
        (
            "1.1.1.1:80 check",
            "1.1.1.1:80 check",
            down(),
            (0, Stopped, 1, 0),
        ),
        (
            "1.1.1.1:80 check",
            "2.2.2.2:80 check",
            down(),
            (0, Running, 1, 2),
        ),
        (
            "1.1.1.1:80 check",
            "1.1.1.1:80 check port 81",
            down(),
            (0, Running, 1, 2),
        ),
        ("1.1.1.1:80 check", "1.1.1.1:80", down(), (0, Running, 1, 2)),
        ("1.1.1.1:80", "1.1.1.1:80", down(), (0, Stopped, 1, 0)),
        // Another pace of its checks.
        (
            "1.1.1.1:80 check",
            "1.1.1.1:80 check rise 5 fall 5",
            wish(Wish::Health(Running)),
            (0, Running, 1, 9),
        ),
        (
            "1.1.1.1:80 check",
            "1.1.1.1:80 check rise 5 fall 5",
            None,
            (0, Running, 1, 5),
        ),
    ];
    for (before, after, wish, expected) in rows {
        let mut document = Vec::new();
        with_engine(&["a 9.9.9.9:9", &format!("b {before}")], &mut |engine| {
            if let Some(wish) = wish {
                engine.apply(Command::Server(ServerId(1), wish));
            }
            engine.hand_over(&mut document);
        });
        // It stands elsewhere in the file now.
        with_engine(&[&format!("b {after}"), "new 8.8.8.8:8"], &mut |engine| {
            engine.take_over(&document).unwrap();
            engine.check_invariants().unwrap();
            let server = &engine.view().servers[0];
            let found = (
                server.admin.bits(),
                server.op,
                server.weight,
                server.health.value,
            );
            assert_eq!(found, expected, "{before} | {after} | {wish:?}");
            let paused = engine.view().probes[0]
                .as_ref()
                .map(|probe| !probe.state.runs());
            assert_eq!(
                paused.unwrap_or(found.1 == Stopped && found.0 != 0),
                found.0 & 1 == 1
            );
        });
    }
}

/// A frontend at rest rests on; a `listen` that was cut in two keeps what both halves counted; a
/// backend that was down is down, for as long as it is.
#[test]
fn proxies_go_on_under_their_names() {
    let timeouts = "defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n";
    let mut document = Vec::new();
    let text = format!(
        "{timeouts}listen web\n  bind 127.0.0.1:8001\n  server a 1.1.1.1:80\n\
         frontend gone\n  bind 127.0.0.1:8002\n  default_backend web\n"
    );
    standing(&text, &mut |engine| {
        for command in [
            Command::Server(ServerId(0), Wish::Health(Op::Stopped)),
            Command::PauseFrontend(ProxyId(0)),
        ] {
            engine.apply(command);
        }
        engine.hand_over(&mut document);
    });
    let text = String::from_utf8(document).unwrap();
    let document = text
        .replace("front web", "front web stot=5 unheard=of")
        .replace("back web", "back web stot=6 hrsp_5xx=7 econ=1")
        .replace("server web a", "server web a stot=8")
        .replace("\nend\n", "\nomen of=2030\nserver web gone stot=3\nend\n");
    let text = format!(
        "{timeouts}backend web\n  server a 1.1.1.1:80\nfrontend web\n  bind 127.0.0.1:8001\n  \
         default_backend web\n"
    );
    standing(&text, &mut |engine| {
        engine.take_over(document.as_bytes()).unwrap();
        engine.check_invariants().unwrap();
        let view = engine.view();
        let [back, front] = view.proxy_stats else {
            panic!("two proxies");
        };
        assert_eq!(
            (front.front.stot, front.back.stot, front.paused),
            (5, 0, true)
        );
        let back_counts = (back.back.stot, back.back.hrsp[4], back.back.econ);
        assert_eq!((back_counts, back.paused), ((6, 7, 1), false));
        assert_eq!((back.is_down, back.times_down), (true, 1));
        assert_eq!(view.server_stats[0].stot, 8);
    });
}

/// What was set by commands holds on where the file says what it said.
#[test]
fn limits_and_places_are_kept() {
    let moved = |engine: &Simulated<'_>| {
        let mut server = (**engine.view().roster.server(ServerId(1))).clone();
        server.endpoint = Endpoint::Inet("[::1]:8080".parse().unwrap());
        let check = server.check.as_mut().unwrap();
        check.endpoint = Endpoint::Inet("[::2]:7".parse().unwrap());
        (check.own_port, check.own_address) = (Some(7), true);
        Command::Redescribe(Box::new(server))
    };
    let mut document = Vec::new();
    let before = ["a 9.9.9.9:9", "b 1.1.1.1:80 check maxconn 5"];
    with_engine(&before, &mut |engine| {
        for command in [
            moved(engine),
            Command::Server(ServerId(1), Wish::Maxconn(50)),
            Command::Server(ServerId(1), Wish::Checks(false)),
            Command::Server(ServerId(1), Wish::Health(Op::Stopped)),
            Command::FrontendMaxconn(ProxyId(0), 33),
            Command::GlobalMaxconn(44),
            Command::RateLimit(RateLimit::Sessions, 55),
        ] {
            engine.apply(command);
        }
        engine.hand_over(&mut document);
    });
    let seen = |line: &str| {
        let mut seen = String::new();
        with_engine(&[line], &mut |engine| {
            engine.take_over(&document).unwrap();
            engine.check_invariants().unwrap();
            let view = engine.view();
            let server = view.roster.server(ServerId(0));
            let check = server.check.as_ref();
            let checked_at = check.map(|check| check.endpoint.to_string());
            let (record, probe) = (&view.servers[0], view.probes[0].as_ref());
            seen = format!(
                "{} {} {} {:?} {}, {} {} {}",
                server.endpoint,
                checked_at.unwrap_or_default(),
                record.maxconn,
                record.op,
                probe.is_some_and(|probe| probe.state.runs()),
                view.proxies[0].maxconn,
                view.limits.maxconn,
                view.rate_limits.sessions,
            );
        });
        seen
    };
    assert_eq!(
        seen("b 1.1.1.1:80 check maxconn 5"),
        "[::1]:8080 [::2]:7 50 Stopped false, 33 44 55"
    );
    assert_eq!(
        seen("b 1.1.1.1:81 check maxconn 6"),
        "1.1.1.1:81 1.1.1.1:81 6 Running true, 33 44 55"
    );
}

/// What follows a whole document has what is new in it, and nothing else.
#[test]
fn the_rest_says_what_is_new() {
    with_engine(&["a 1.1.1.1:80", "b 1.1.1.1:80 check"], &mut |engine| {
        let rest = |engine: &mut Simulated<'_>| {
            let mut rest = Vec::new();
            engine.hand_over_rest(&mut rest);
            String::from_utf8(rest).unwrap()
        };
        let nothing = "oneloop-handover 1 rest\nend\n";
        assert_eq!(rest(engine), nothing);
        engine.apply(Command::Server(ServerId(1), Wish::Health(Op::Stopped)));
        let more = "oneloop-handover 1 rest\nserver app b downs=1\nend\n";
        assert_eq!(rest(engine), more);
        assert_eq!(rest(engine), nothing);
        engine.take_over(more.as_bytes()).unwrap();
        assert_eq!(engine.view().servers[1].downs, 2);
        let mut whole = Vec::new();
        engine.hand_over(&mut whole);
        let whole = String::from_utf8(whole).unwrap();
        assert!(whole.contains("\nserver app b downs=2 op=0 "), "{whole}");
        assert_eq!(rest(engine), nothing);
        // What is cleared was told all the same: what comes after it is new, and all of it.
        engine.apply(Command::ClearCounters { all: true });
        for op in [Op::Running, Op::Stopped, Op::Running, Op::Stopped] {
            engine.apply(Command::Server(ServerId(1), Wish::Health(op)));
        }
        let more = "oneloop-handover 1 rest\nserver app b downs=2\nend\n";
        assert_eq!(rest(engine), more);
    });
}

/// Servers come and go, and patterns.
fn change_what_there_is(engine: &mut Simulated<'_>) {
    let words = ["1.1.1.1:81", "weight", "7"];
    let (mut server, _) = oneloop::config::dynamic::server("app", "n", &words).unwrap();
    server.id = engine.view().roster.next_id();
    server.proxy = ProxyId(1);
    server.number = 20;
    for command in [
        Command::AddServer(Box::new(server), false),
        Command::DeleteServer(ServerId(1)),
        Command::List(0, ListChange::Delete(b"/a".to_vec())),
        Command::List(0, ListChange::Add(0, vec![(b"/c".to_vec(), Vec::new())])),
        Command::List(1, ListChange::Prepare),
    ] {
        engine.apply(command);
    }
}

/// Which servers and which patterns there are.
fn shapes(engine: &Simulated<'_>) -> Vec<String> {
    let view = engine.view();
    let servers = view
        .config
        .proxies
        .iter()
        .flat_map(|proxy| view.roster.of(proxy));
    let servers = servers.map(|server| format!("{} {}", server.name, server.endpoint));
    let lists = view.lists.all().iter();
    let lists = lists.map(|list| {
        let all: Vec<_> = list.all().collect();
        format!("{} {} {all:?}", list.current, list.next)
    });
    servers.chain(lists).collect()
}

/// What came and went at run time does so again, and a second time.
#[test]
fn what_came_and_went_does_so_again() {
    let servers = ["a 1.1.1.1:80", "b 1.1.1.1:80"];
    let mut documents: Vec<Vec<u8>> = vec![Vec::new()];
    let mut seen = Vec::new();
    for _ in 0..3 {
        with_engine(&servers, &mut |engine| {
            let mut document = Vec::new();
            match documents.last() {
                Some(last) if !last.is_empty() => engine.take_over(last).unwrap(),
                _ => change_what_there_is(engine),
            }
            engine.check_invariants().unwrap();
            engine.hand_over(&mut document);
            documents.push(document);
            seen.push(shapes(engine));
        });
    }
    assert_eq!(seen[0][..2], ["a 1.1.1.1:80", "n 1.1.1.1:81"]);
    assert!(seen.iter().all(|shapes| shapes[..2] == seen[0][..2]));
    // Where they stand in the file their numbers are its own, so only texts are compared.
    for shapes in &seen {
        assert!(
            shapes[2].contains("[47, 98]") && !shapes[2].contains("[47, 97]"),
            "{shapes:?}"
        );
        assert!(
            shapes[2].contains("[47, 99]") && shapes[3].starts_with("0 1 "),
            "{shapes:?}"
        );
    }
    let servers = ["a 1.1.1.1:80", "b 1.1.1.1:81", "n 1.1.1.1:90"];
    with_engine(&servers, &mut |engine| {
        engine.take_over(&documents[1]).unwrap();
        engine.check_invariants().unwrap();
        assert_eq!(
            shapes(engine)[..3],
            ["a 1.1.1.1:80", "b 1.1.1.1:81", "n 1.1.1.1:90"]
        );
    });
}

/// Whatever a document says: it is taken whole, or an error, and then nothing has changed.
#[test]
fn a_document_that_is_mangled_does_no_harm() {
    let servers = [
        "a 1.1.1.1:80 check",
        "b 1.1.1.1:80 disabled",
        "c 1.1.1.1:80 backup check",
    ];
    let mut document = Vec::new();
    with_engine(&servers, &mut |engine| {
        change_what_there_is(engine);
        engine.hand_over(&mut document);
    });
    let text = String::from_utf8_lossy(&document);
    for line in [
        "\nadded app n ",
        "\ndeleted app b ",
        "\nlist ",
        "\nlist.del /a ",
        "\nlist.add /c ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let numbers: [&[u8]; 9] = [
        b"0",
        b"1",
        b"2",
        b"255",
        b"257",
        b"4294967295",
        b"4294967296",
        b"18446744073709551615",
        b"-1",
    ];
    let mut taken = 0;
    with_engine(&servers, &mut |engine| {
        for seed in 0..3_000 {
            let mut rng = Rng::new(seed);
            let mut mangled = document.clone();
            for _ in 0..rng.between(1, 5) {
                let at = rng.below(mangled.len() as u64) as usize;
                match rng.below(5) {
                    0 => mangled[at] = rng.below(256) as u8,
                    1 => drop(mangled.drain(at..(at + 9).min(mangled.len()))),
                    2 => mangled.truncate(at.max(1)),
                    3 => drop(mangled.splice(at..at, *b" weight=9 op=3")),
                    _ => {
                        let from = mangled[at..].iter().position(|byte| *byte == b'=');
                        let from = from.map_or(at, |from| at + from + 1);
                        let to = mangled[from..].iter().position(u8::is_ascii_whitespace);
                        let to = to.map_or(from, |to| from + to);
                        drop(mangled.splice(from..to, rng.pick(&numbers).iter().copied()));
                    }
                }
            }
            let before = (counts(engine), states(engine), shapes(engine));
            match engine.take_over(&mangled) {
                Ok(()) => taken += 1,
                Err(why) => {
                    assert!(!why.is_empty());
                    let after = (counts(engine), states(engine), shapes(engine));
                    assert_eq!(before, after, "seed {seed}");
                }
            }
            let held = engine.check_invariants();
            assert_eq!(held, Ok(()), "seed {seed}: {}", mangled.escape_ascii());
        }
    });
    assert!((300..2_700).contains(&taken), "{taken} of 3000 were taken");
}
