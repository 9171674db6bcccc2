//! Answers of servers, given to HAProxy 2.6.12's checks first, and what it made of them.

use proptest::prelude::*;

use super::*;
use Status::{L7Invalid, L7Ok, L7Status};

const EMPTY_2: &str = "TCPCHK got an empty response at step 2";
const EMPTY_3: &str = "TCPCHK got an empty response at step 3";
const RFC: &str = "See RFC: http://tools.ietf.org/html/rfc4511#section-4.1.9";
const NO_LDAP: &str = "Not LDAPv3 protocol";

/// A check, whose server does not care what is said to it.
struct Run {
    protocol: Protocol,
    state: State,
    desk: Desk,
    /// All that was said.
    said: Vec<u8>,
    /// Received, not sent, is what is to be done next.
    listens: bool,
    done: Option<Ending>,
}

impl Run {
    fn new(protocol: &Protocol) -> Self {
        let mut run = Self {
            protocol: protocol.clone(),
            state: State::default(),
            desk: Desk::default(),
            said: Vec::new(),
            listens: false,
            done: None,
        };
        run.tell(Event::Start);
        run.tell(Event::Connected);
        run
    }

    fn tell(&mut self, event: Event<'_>) {
        if self.done.is_some() {
            return;
        }
        match self.protocol.on(event, &mut self.state, &mut self.desk) {
            Action::Connect(_) => assert_eq!(event, Event::Start),
            Action::Receive => self.listens = true,
            Action::Send => {
                self.said.append(&mut self.desk.output);
                self.tell(Event::Sent);
            }
            Action::Done(ending) => self.done = Some(ending),
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.desk.input.extend_from_slice(bytes);
        self.tell(Event::Received { ended: false });
    }

    fn end(&mut self) {
        self.tell(Event::Received { ended: true });
        assert!(self.done.is_some(), "the end settles it");
    }
}

/// Each answer in one piece, then what else the row says.
fn talk(protocol: &Protocol, answers: &[&[u8]], closes: bool) -> Option<Ending> {
    let mut run = Run::new(protocol);
    for answer in answers {
        run.hear(answer);
    }
    if closes {
        run.end();
    }
    run.done
}

fn smtp() -> Protocol {
    Protocol::Smtp(smtp::Hello::new(b"", b""))
}

fn login() -> Protocol {
    Protocol::Mysql(mysql::Login::new(b"haproxy", false))
}

fn pgsql() -> Protocol {
    Protocol::Pgsql(pgsql::Startup::new(b"postgres").unwrap())
}

/// What came of a check: nothing yet, or a status, a code and a text.
type Result = Option<(Status, u32, &'static str)>;

/// Answers, whether the server then closes, and the result.
type Row = (&'static [&'static [u8]], bool, Result);

fn check(protocol: &Protocol, rows: &[Row]) {
    for (answers, closes, expected) in rows {
        let found = talk(protocol, answers, *closes);
        let expected = expected.map(|(status, code, info)| Ending {
            status,
            code,
            info: info.into(),
        });
        assert_eq!(found, expected, "{}", answers.concat().escape_ascii());
        if expected.is_none() {
            continue;
        }
        // In single bytes the result is the same, and at worst its text shorter.
        let mut run = Run::new(protocol);
        for byte in answers.iter().copied().flatten() {
            run.hear(&[*byte]);
        }
        if *closes {
            run.end();
        }
        let (found, expected) = (run.done.unwrap(), expected.unwrap());
        let shown = answers.concat().escape_ascii().to_string();
        assert_eq!(
            (found.status, found.code),
            (expected.status, expected.code),
            "{shown}"
        );
        assert!(expected.info.starts_with(&found.info), "{shown}: {found:?}");
    }
}

#[test]
fn smtp_answers() {
    check(&smtp(), SMTP);
}

const SMTP: &[Row] = &[
    (
        &[b"220 hi\r\n", b"250 ok\r\n", b"221 bye\r\n"],
        false,
        Some((L7Ok, 221, "bye")),
    ),
    (
        &[b"220 hi\r\n", b"250 ok\r\n", b"221\r\n"],
        false,
        Some((L7Ok, 221, "")),
    ),
    (
        &[b"220 x\n", b"250 ok\n", b"221 bye\n"],
        false,
        Some((L7Ok, 221, "bye")),
    ),
    (
        &[
            b"220 a\r\n",
            b"250-f\r\n250-g\r\n250 ok\r\n",
            b"221 bye\r\n",
        ],
        false,
        Some((L7Ok, 221, "bye")),
    ),
    (
        &[b"250 hi\r\n", b"220 ok\r\n", b"250 bye\r\n"],
        false,
        Some((L7Ok, 250, "bye")),
    ),
    (
        &[
            b"220 hi\r\n",
            b"250-foo\r\n251 x\r\n",
            b"221-b\r\n221 x\r\n",
        ],
        false,
        Some((L7Ok, 221, "b")),
    ),
    (&[b""], true, Some((L7Invalid, 0, EMPTY_2))),
    (
        &[b"421 go away\r\n"],
        false,
        Some((L7Status, 421, "go away")),
    ),
    (
        &[b"354  go  ahead \r\n"],
        false,
        Some((L7Status, 354, "go  ahead ")),
    ),
    (&[b"garbage\r\n"], true, Some((L7Invalid, 0, "garbage"))),
    (&[b"22"], false, None),
    (&[b"22"], true, Some((L7Invalid, 0, "22"))),
    (&[b"220"], true, Some((L7Invalid, 0, "220"))),
    (&[b"2x0 hi\r\n"], true, Some((L7Invalid, 0, "2x0 hi"))),
    (&[b"2204 hi\r\n"], true, Some((L7Invalid, 0, "2204 hi"))),
    (
        &[b"220-a\r\n220 b\r\n"],
        true,
        Some((L7Invalid, 0, "220-a")),
    ),
    (&[b"220 hi\r\n", b"500 no way\r\n"], false, None),
    (
        &[b"220 hi\r\n", b"500 no way\r\n"],
        true,
        Some((L7Status, 500, "no way")),
    ),
    (
        &[b"220 hi\r\n", b"550-no\r\n550 more\r\n"],
        true,
        Some((L7Status, 550, "no")),
    ),
    (
        &[b"220 hi\r\n", b"garbage bla\r\n"],
        true,
        Some((L7Status, 0, "age bla")),
    ),
    (&[b"220 hi\r\n", b"25"], true, Some((L7Status, 0, ""))),
    (&[b"220 hi\r\n", b"250"], true, Some((L7Status, 250, ""))),
    (
        &[b"220 hi\r\n", b"250-foo\r\n500 bar\r\n"],
        true,
        Some((L7Status, 250, "foo")),
    ),
    (
        &[b"220 hi\r\n"],
        true,
        Some((L7Status, 0, "TCPCHK got an empty response at step 5")),
    ),
    (
        &[b"220 hi\r\n", b"250 ok\r\n"],
        true,
        Some((L7Status, 0, "TCPCHK got an empty response at step 7")),
    ),
    (
        &[b"220 hi\r\n", b"250 ok\r\n", b"500 no\r\n"],
        true,
        Some((L7Status, 500, "no")),
    ),
    (
        &[b"220 hi\r\n", b"250 ok\r\n", b"foobar\r\n"],
        true,
        Some((L7Status, 0, "ar")),
    ),
];

#[test]
fn redis_answers() {
    check(&Protocol::Redis, REDIS);
}

const REDIS: &[Row] = &[
    (
        &[b"+PONG\r\n"],
        false,
        Some((L7Ok, 0, "Redis server is ok")),
    ),
    (
        &[b"x+PONG\r\n"],
        false,
        Some((L7Ok, 0, "Redis server is ok")),
    ),
    (&[b"-NOAUTH Authentication required.\r\n"], false, None),
    (
        &[b"-DENIED because\r\nx"],
        true,
        Some((L7Status, 0, "-DENIED because")),
    ),
    (&[b"+PONG"], true, Some((L7Status, 0, "+PONG"))),
    (&[b"+pong\r\n"], false, None),
    (&[b""], true, Some((L7Status, 0, EMPTY_2))),
];

/// The handshake of a server of version 10.11, as much of it as is read.
const HANDSHAKE: &[u8] = b"\x1e\0\0\0\x0a10.11.6-MariaDB\0\x05\0\0\x00abcdefgh\0";
const WELCOME: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";
const DENIED: &[u8] = b"\x17\0\0\x02\xff\x15\x04#28000Access denied.";

#[test]
fn mysql_answers() {
    check(&Protocol::Mysql(None), MYSQL);
    check(&login(), LOGIN);
}

const MYSQL: &[Row] = &[
    (&[HANDSHAKE], false, Some((L7Ok, 0, "10.11.6-MariaDB"))),
    (
        &[b"\x0e\0\0\0\x0a5.0\x00123456789"],
        false,
        Some((L7Ok, 0, "5.0")),
    ),
    (
        &[b"\x17\0\0\0\xff\x10\x04Too many connections"],
        false,
        Some((L7Status, 1040, "Too many connections")),
    ),
    (
        &[b"\x03\0\0\0\xff\x10\x04"],
        false,
        Some((L7Status, 1040, "")),
    ),
    (&[b"\x01\0\0\0\xff"], false, Some((L7Status, 0, ""))),
    (&[b"\0\0\0\0"], false, Some((L7Invalid, 0, ""))),
    (&[b"garbage in here\r\n"], false, None),
    (&[b"garbage in here\r\n"], true, Some((L7Invalid, 0, ""))),
    (&[b"gar"], true, Some((L7Invalid, 0, ""))),
    (
        &[b"\xff\xff\xff\0\x0a5.5\0"],
        true,
        Some((L7Invalid, 0, "")),
    ),
    (&[b""], true, Some((L7Invalid, 0, EMPTY_2))),
];

const LOGIN: &[Row] = &[
    (&[HANDSHAKE], false, None),
    (&[HANDSHAKE], true, Some((L7Invalid, 0, ""))),
    (
        &[HANDSHAKE, WELCOME],
        false,
        Some((L7Ok, 0, "10.11.6-MariaDB")),
    ),
    (
        &[HANDSHAKE, b"\x01\0\0\x02\xfe"],
        false,
        Some((L7Ok, 0, "10.11.6-MariaDB")),
    ),
    (
        &[HANDSHAKE, DENIED],
        false,
        Some((L7Status, 1045, "#28000Access denied.")),
    ),
    (&[HANDSHAKE, b"garbage garbage"], false, None),
    (&[HANDSHAKE, b"\0\0\0\x02"], false, Some((L7Invalid, 0, ""))),
    (
        &[DENIED],
        true,
        Some((L7Status, 1045, "#28000Access denied.")),
    ),
    (&[b""], true, Some((L7Invalid, 0, EMPTY_3))),
];

#[test]
fn pgsql_answers() {
    check(&pgsql(), PGSQL);
}

const PGSQL: &[Row] = &[
    (
        &[b"R\0\0\0\x08\0\0\0\0"],
        false,
        Some((L7Ok, 0, "PostgreSQL server is ok")),
    ),
    (
        &[b"R\0\0\0\x0c\0\0\0\x05salt"],
        false,
        Some((L7Ok, 0, "PostgreSQL server is ok")),
    ),
    (
        &[b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"],
        false,
        Some((L7Ok, 0, "PostgreSQL server is ok")),
    ),
    (
        &[b"R\0\0\0\x08\0\0\0\x63"],
        false,
        Some((L7Status, 0, "PostgreSQL unknown error")),
    ),
    (
        &[b"R\0\x01\0\x08\0\0\0\0"],
        false,
        Some((L7Status, 0, "PostgreSQL unknown error")),
    ),
    (&[b"R\0\0\0\x08\0\0\0"], false, None),
    (
        &[b"R\0\0\0\x08\0\0\0"],
        true,
        Some((L7Status, 0, "PostgreSQL unknown error")),
    ),
    (
        &[b"E\0\0\0\x1aSFATAL\0C28000\0Mno such\0\0"],
        false,
        Some((L7Invalid, 0, "FATAL")),
    ),
    (&[b"E\0\0\0\x1aSFA"], false, None),
    (&[b"E\0\0\0\x1aSFA"], true, Some((L7Invalid, 0, "FA"))),
    (
        &[b"EFATAL:  no entry\n\0"],
        true,
        Some((L7Invalid, 0, ":  no entry\n")),
    ),
    (&[b"E"], true, Some((L7Invalid, 0, ""))),
    (&[b"garbage8"], false, None),
    (
        &[b"garbage"],
        true,
        Some((L7Status, 0, "PostgreSQL unknown error")),
    ),
    (
        &[b"HTTP/1.1 400 Bad Request"],
        false,
        Some((L7Status, 0, "PostgreSQL unknown error")),
    ),
    (&[b""], true, Some((L7Invalid, 0, EMPTY_3))),
];

#[test]
fn ldap_answers() {
    check(&Protocol::Ldap, LDAP);
}

const LDAP: &[Row] = &[
    (
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"],
        false,
        Some((L7Ok, 0, "Success")),
    ),
    (
        &[b"\x30\x84\0\0\0\x10\x02\x01\x01\x61\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0"],
        false,
        Some((L7Ok, 0, "Success")),
    ),
    (
        &[b"\x30\x82\0\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"],
        false,
        Some((L7Ok, 0, "Success")),
    ),
    (
        &[b"\x30\x0d\x02\x01\x01\x61\x08\x0a\x01\x31\x04\0\x04\x01x"],
        false,
        Some((L7Status, 49, RFC)),
    ),
    (
        &[b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\0\x04\0\x04\0"],
        true,
        Some((L7Invalid, 0, NO_LDAP)),
    ),
    (
        &[b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\0\x04\0\x04\0"],
        true,
        Some((L7Invalid, 0, NO_LDAP)),
    ),
    (
        &[b"\x30\x0c\x04\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"],
        true,
        Some((L7Invalid, 0, NO_LDAP)),
    ),
    (
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x02\x01\0\x04\0\x04\0"],
        true,
        Some((L7Invalid, 0, NO_LDAP)),
    ),
    (
        &[b"\x30\x80\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"],
        true,
        Some((L7Invalid, 0, NO_LDAP)),
    ),
    (&[b"garbage in here"], false, Some((L7Invalid, 0, NO_LDAP))),
    (&[b"garbage"], false, None),
    (&[b"garbage"], true, Some((L7Invalid, 0, NO_LDAP))),
    (
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04"],
        false,
        None,
    ),
    (
        &[b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04"],
        true,
        Some((L7Invalid, 0, "")),
    ),
    (
        &[b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01\x61\x07\x0a\x01\0\x04\0\x04\0"],
        false,
        None,
    ),
    (&[b""], true, Some((L7Invalid, 0, EMPTY_2))),
];

#[test]
fn what_is_said() {
    for (protocol, answers, said) in [
        (
            smtp(),
            &[b"220 hi\r\n".as_slice(), b"250 ok\r\n"] as &[&[u8]],
            b"HELO localhost\r\nQUIT\r\n".as_slice(),
        ),
        (
            Protocol::Smtp(smtp::Hello::new(b"EHLO", b"foo.org")),
            &[b"220 hi\r\n"],
            b"EHLO foo.org\r\n",
        ),
        (
            Protocol::Smtp(smtp::Hello::new(b"FOO", b"foo.org")),
            &[b"220 hi\r\n"],
            b"HELO localhost\r\n",
        ),
        (Protocol::Redis, &[], b"*1\r\n$4\r\nPING\r\n"),
        (Protocol::Mysql(None), &[], b""),
        (
            login(),
            &[],
            b"\x29\0\0\x01\0\x82\0\0\0\x80\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
              haproxy\0\0\x01\0\0\0\x01",
        ),
        (
            Protocol::Mysql(mysql::Login::new(b"haproxy", true)),
            &[],
            b"\x0e\0\0\x01\0\x80\0\0\x01haproxy\0\0\x01\0\0\0\x01",
        ),
        (pgsql(), &[], b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0"),
        (
            Protocol::Ldap,
            &[],
            b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
        ),
    ] {
        let mut run = Run::new(&protocol);
        for answer in answers {
            run.hear(answer);
        }
        assert_eq!(run.said, said, "{protocol:?}");
        assert!(run.listens && run.done.is_none());
    }
}

#[test]
fn names_have_limits() {
    assert!(mysql::Login::new(&vec![b'u'; 1 << 24], false).is_none());
    assert!(pgsql::Startup::new(&[b'u'; 5000]).is_none());
}

#[test]
fn what_fails_and_what_takes_too_long() {
    for protocol in [smtp(), Protocol::Redis, login(), pgsql(), Protocol::Ldap] {
        let mut run = Run::new(&protocol);
        run.tell(Event::TimedOut { connected: true });
        assert_eq!(run.done, Some(Ending::new(Status::L7Timeout, "")));
        let mut run = Run::new(&protocol);
        run.tell(Event::Failed("Connection reset by peer"));
        let reset = Ending::new(Status::SocketError, "Connection reset by peer");
        assert_eq!(run.done, Some(reset));
        for (event, ending) in [
            (
                Event::Failed("refused"),
                Ending::new(Status::L4Failed, "refused"),
            ),
            (
                Event::TimedOut { connected: false },
                Ending::new(Status::L4Timeout, ""),
            ),
        ] {
            let (mut state, mut desk) = (State::default(), Desk::default());
            protocol.on(Event::Start, &mut state, &mut desk);
            assert_eq!(
                protocol.on(event, &mut state, &mut desk),
                Action::Done(ending)
            );
        }
    }
    // What came before the reset counts.
    let mut run = Run::new(&login());
    run.hear(HANDSHAKE);
    run.tell(Event::Failed("Connection reset by peer"));
    assert_eq!(run.done, Some(Ending::new(L7Invalid, "")));
}

fn protocols() -> impl Strategy<Value = (Protocol, &'static [Row])> {
    prop_oneof![
        Just((smtp(), SMTP)),
        Just((Protocol::Redis, REDIS)),
        Just((Protocol::Mysql(None), MYSQL)),
        Just((login(), LOGIN)),
        Just((pgsql(), PGSQL)),
        Just((Protocol::Ldap, LDAP)),
    ]
}

proptest! {
    /// Whatever a server says, in whatever pieces: no panic, one end, and the same as in bytes.
    #[test]
    fn hostile_answers(
        (protocol, rows) in protocols(),
        row in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes = rows[row.index(rows.len())].0.concat();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ => bytes.truncate(at),
            }
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut pieces = Run::new(&protocol);
        for pair in cuts.windows(2) {
            if pair[0] < pair[1] {
                pieces.hear(&bytes[pair[0]..pair[1]]);
            }
        }
        pieces.end();
        let done = pieces.done.unwrap();
        prop_assert!(done.status != Status::L7Timeout && done.info.len() <= bytes.len().max(64));
    }
}
