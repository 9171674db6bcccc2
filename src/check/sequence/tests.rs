//! Sequences as tables: events in, actions out, beside what HAProxy 2.6.12 told of the same.

use super::*;
use crate::check::expect::{Compare, Pattern};
use crate::rules::format::Purpose;
use crate::rules::regex::Regex;

/// A server that nothing is known of.
struct Bare {
    running: bool,
}

impl Context for Bare {
    fn request(&self) -> Option<Message<'_>> {
        None
    }

    fn response(&self) -> Option<Message<'_>> {
        None
    }

    fn source(&self) -> Address {
        Address::None
    }

    fn destination(&self) -> Address {
        Address::None
    }

    fn field(&self, _: Field) -> Value<'_> {
        Value::Missing
    }

    fn now(&self) -> Now {
        Now::default()
    }

    fn changed(&self) -> Option<&Lists> {
        None
    }
}

impl Surroundings for Bare {
    fn is_running(&self) -> bool {
        self.running
    }

    fn write_state(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"UP");
    }
}

/// One run, event by event.
struct Run {
    sequence: Sequence,
    state: State,
    desk: Desk,
    process: Variables,
    running: bool,
}

impl Run {
    fn of(http: Option<Http>, steps: Vec<Step>, unwritten: usize) -> Self {
        let steps = steps.into_iter().map(Rc::new).collect();
        Self {
            sequence: Sequence {
                http,
                steps,
                unwritten,
                has_rules: true,
            },
            state: State::default(),
            desk: Desk::default(),
            process: Variables::default(),
            running: true,
        }
    }

    fn tcp(steps: Vec<Step>) -> Self {
        Self::of(None, steps, 0)
    }

    fn on(&mut self, event: Event<'_>) -> Action {
        let around = Bare {
            running: self.running,
        };
        let mut tools = Tools {
            around: &around,
            buffers: &mut Buffers::default(),
            process: &mut self.process,
        };
        self.sequence
            .on(event, &mut self.state, &mut self.desk, &mut tools)
    }

    /// More has come.
    fn hear(&mut self, bytes: &[u8], ended: bool) -> Action {
        self.desk.input.extend_from_slice(bytes);
        self.on(Event::Received { ended })
    }
}

fn connect() -> Step {
    Step::Connect(Box::default())
}

fn send(text: &[u8]) -> Step {
    Step::Send(Payload {
        text: Text::Fixed(text.into()),
        is_hex: false,
        comment: None,
    })
}

fn expect(pattern: Pattern, change: impl FnOnce(&mut Expect)) -> Step {
    let mut expect = Expect::new(pattern);
    change(&mut expect);
    Step::Expect(Box::new(expect))
}

fn text(text: &[u8]) -> Pattern {
    Pattern::Text(text.into())
}

fn done(status: Status, info: &str) -> Action {
    Action::Done(Ending::new(status, info))
}

/// What a rule looks for, a change of it, what comes in pieces, whether the server then closes;
/// what becomes of it.
#[test]
fn expectations_on_bytes() {
    type Change = fn(&mut Expect);
    let plain: Change = |_| {};
    let not: Change = |expect| expect.negated = true;
    let at_once: Change = |expect| expect.least = Some(0);
    let forty: Change = |expect| expect.least = Some(40);
    let regex = |pattern: &[u8]| Pattern::Regex(Regex::compile(pattern, false).unwrap());
    let hex = |pattern: &[u8]| Pattern::BinaryRegex(Regex::compile(pattern, false).unwrap());
    let good = || done(Status::L7Ok, "(tcp-check)");
    let bad = |words: &str| done(Status::L7Invalid, &format!("TCPCHK {words} at step 2"));
    let not_ok = "did not match content '+NO'";
    for (pattern, change, pieces, closes, expected) in [
        (text(b"+OK"), plain, vec!["+", "OK ready"], false, good()),
        (text(b"+NO"), plain, vec!["+OK"], true, bad(not_ok)),
        (text(b"+NO"), plain, vec!["+OK"], false, Action::Receive),
        (text(b"+NO"), at_once, vec!["+OK"], false, bad(not_ok)),
        (text(b"+NO+"), at_once, vec!["+OK"], false, Action::Receive),
        (
            text(b"+OK"),
            plain,
            vec![],
            true,
            bad("got an empty response"),
        ),
        (
            text(b"+OK"),
            not,
            vec!["+OK"],
            false,
            bad("matched unwanted content '+OK'"),
        ),
        (text(b"+NO"), not, vec!["+OK"], false, Action::Receive),
        (text(b"+NO"), not, vec!["+OK"], true, good()),
        (text(b"+OK"), forty, vec!["+OK"], false, Action::Receive),
        (text(b"+OK"), forty, vec!["+OK"], true, good()),
        (
            text(b"+NO"),
            forty,
            vec!["+OK", " and what else there is to say, and more"],
            false,
            bad(not_ok),
        ),
        (regex(b"^.OK"), plain, vec!["+", "OK"], false, good()),
        (
            regex(b"^NO"),
            plain,
            vec!["+OK"],
            true,
            bad("did not match content (regex)"),
        ),
        (hex(b"^2B4F"), plain, vec!["+OK"], false, good()),
        (
            Pattern::Binary(b"\0"[..].into()),
            plain,
            vec!["ab\0cd"],
            false,
            good(),
        ),
    ] {
        let shown = format!("{pattern:?} {pieces:?}");
        let mut run = Run::tcp(vec![connect(), expect(pattern, change)]);
        assert_eq!(
            run.on(Event::Start),
            Action::Connect(Connect {
                server_speaks: true,
                ..Connect::default()
            })
        );
        let mut action = run.on(Event::Connected);
        assert_eq!(action, Action::Receive, "{shown}");
        for piece in pieces {
            action = run.hear(piece.as_bytes(), false);
        }
        if closes && action == Action::Receive {
            action = run.hear(b"", true);
        }
        assert_eq!(action, expected, "{shown}");
    }
}

#[test]
fn what_is_sent_in_a_row_leaves_at_once_and_starts_anew() {
    let steps = vec![
        connect(),
        expect(text(b"ready"), |_| {}),
        send(b"a"),
        send(b"b"),
        expect(text(b"ready"), |_| {}),
        send(b"bye"),
    ];
    let mut run = Run::tcp(steps);
    run.on(Event::Start);
    assert_eq!(run.on(Event::Connected), Action::Receive);
    assert_eq!(run.hear(b"ready", false), Action::Send);
    assert_eq!(run.desk.output, b"ab");
    run.desk.output.clear();
    // What the server said before it was asked is no answer.
    assert_eq!(run.on(Event::Sent), Action::Receive);
    assert_eq!(run.hear(b"ready", false), Action::Send);
    assert_eq!(run.desk.output, b"bye");
    run.desk.output.clear();
    assert_eq!(run.on(Event::Sent), done(Status::L7Ok, "(tcp-check)"));
}

/// Where a check was when its connection failed or its time ran out; HAProxy's words.
#[test]
fn places_are_told() {
    let port = |port| {
        Step::Connect(Box::new(ConnectStep {
            how: Connect {
                port: Some(port),
                ..Connect::default()
            },
            comment: Some("here".into()),
            ..ConnectStep::default()
        }))
    };
    let refused = Event::Failed("Connection refused");
    let late = Event::TimedOut { connected: false };
    for (unwritten, step, event, status, info) in [
        (
            1,
            connect(),
            refused,
            Status::L4Failed,
            "Connection refused at initial connection step of tcp-check",
        ),
        (
            0,
            connect(),
            refused,
            Status::L4Failed,
            "Connection refused at step 1 of tcp-check (connect)",
        ),
        (
            0,
            port(7),
            refused,
            Status::L4Failed,
            "Connection refused at step 1 of tcp-check (connect port 7) comment: 'here'",
        ),
        (
            0,
            connect(),
            late,
            Status::L4Timeout,
            " at step 1 of tcp-check (connect)",
        ),
    ] {
        let mut run = Run::of(None, vec![step], unwritten);
        run.on(Event::Start);
        assert_eq!(run.on(event), done(status, info));
    }
    let reset = Event::Failed("Connection reset by peer");
    let late = Event::TimedOut { connected: true };
    for (pattern, event, status, info) in [
        (
            text(b"+OK"),
            late,
            Status::L7Timeout,
            " at step 1 of tcp-check (expect string '+OK')",
        ),
        (
            Pattern::Binary(b"a\0b"[..].into()),
            late,
            Status::L7Timeout,
            " at step 1 of tcp-check (expect binary 'a')",
        ),
        (
            text(b"+OK"),
            reset,
            Status::SocketError,
            "Connection reset by peer at step 1 of tcp-check (expect string '+OK')",
        ),
    ] {
        let mut run = Run::of(None, vec![connect(), expect(pattern, |_| {})], 1);
        run.on(Event::Start);
        run.on(Event::Connected);
        assert_eq!(run.on(event), done(status, info));
    }
}

#[test]
fn the_last_step_says_what_a_success_is() {
    let said = |expect: &mut Expect| {
        expect.passed = Some(Status::L6Ok);
        expect.on_success = Some(Format::text(b"yes", Purpose::Check));
    };
    for (steps, expected) in [
        (vec![connect()], done(Status::L4Ok, "(tcp-check)")),
        (
            vec![connect(), expect(text(b"x"), said), connect()],
            done(Status::L4Ok, "(tcp-check)"),
        ),
        (
            vec![connect(), expect(text(b"x"), said)],
            done(Status::L6Ok, "yes"),
        ),
        (
            vec![
                connect(),
                expect(text(b"x"), said),
                Step::Comment("c".into()),
            ],
            done(Status::L6Ok, "yes"),
        ),
    ] {
        let mut run = Run::tcp(steps);
        let mut action = run.on(Event::Start);
        for _ in 0..8 {
            action = match action {
                Action::Connect(_) => run.on(Event::Connected),
                Action::Send => run.on(Event::Sent),
                Action::Receive => run.hear(b"x", false),
                Action::Done(_) => break,
            };
        }
        assert_eq!(action, expected);
    }
}

/// Answers and what `http-check` rules make of them.
#[test]
fn expectations_on_answers() {
    let codes = |from, to| Pattern::Codes(vec![(from, to)]);
    let header = |name: &[u8], value: &[u8], whole| Pattern::Header {
        name: Compare::Equal(Text::Fixed(name.into())),
        value: Some(Compare::Equal(Text::Fixed(value.into()))),
        whole,
    };
    let hello = "HTTP/1.1 200 OK\r\nX-A: one, two\r\nContent-Length: 5\r\n\r\nhello";
    let with = |status, code, info: &str| {
        Action::Done(Ending {
            status,
            code,
            info: info.into(),
        })
    };
    for (pattern, answer, expected) in [
        (codes(200, 399), hello, with(Status::L7Ok, 200, "")),
        (codes(300, 399), hello, with(Status::L7Status, 200, "OK")),
        (text(b"ell"), hello, with(Status::L7Ok, 200, "")),
        (
            text(b"bye"),
            hello,
            with(Status::L7Invalid, 200, "HTTP content check did not match"),
        ),
        (
            text(b"bye"),
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            Action::Receive,
        ),
        (
            text(b"bye"),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            with(
                Status::L7Invalid,
                200,
                "HTTP content check could not find a response body",
            ),
        ),
        (
            header(b"x-a", b"two", false),
            hello,
            with(Status::L7Ok, 200, ""),
        ),
        (
            header(b"x-a", b"two", true),
            hello,
            with(Status::L7Status, 200, "OK"),
        ),
        (codes(200, 399), "HTTP/1.1 20", Action::Receive),
        (codes(200, 399), "garbage", with(Status::L7Invalid, 0, "")),
        (
            codes(200, 399),
            "HTTP/1.1 404 No\r\n\r\n",
            with(Status::L7OkConditional, 404, ""),
        ),
    ] {
        let http = Http {
            first: 1,
            disable_on_404: true,
            ..Http::default()
        };
        let steps = vec![
            connect(),
            Step::Request(Box::default()),
            expect(pattern, |_| {}),
        ];
        let mut run = Run::of(Some(http), steps, 1);
        run.on(Event::Start);
        assert_eq!(run.on(Event::Connected), Action::Send);
        assert_eq!(run.desk.output, b"OPTIONS / HTTP/1.0\r\n\r\n");
        run.desk.output.clear();
        assert_eq!(run.on(Event::Sent), Action::Receive);
        assert_eq!(run.hear(answer.as_bytes(), false), expected, "{answer:?}");
    }
}

/// A server that is down stays down while it answers 404.
#[test]
fn a_404_of_a_server_that_is_down_is_a_failure() {
    let http = Http {
        first: 1,
        disable_on_404: true,
        ..Http::default()
    };
    let codes = Pattern::Codes(vec![(200, 399)]);
    let steps = vec![
        connect(),
        Step::Request(Box::default()),
        expect(codes, |_| {}),
    ];
    let mut run = Run::of(Some(http), steps, 1);
    run.running = false;
    run.on(Event::Start);
    run.on(Event::Connected);
    run.desk.output.clear();
    run.on(Event::Sent);
    let action = run.hear(b"HTTP/1.1 404 No\r\n\r\n", false);
    let Action::Done(ending) = action else {
        panic!("{action:?}");
    };
    assert_eq!((ending.status, ending.code), (Status::L7Status, 404));
}
