//! However the bytes of a message are cut, it is read the same: whole, byte by byte, and with
//! other bytes behind it. The properties are those of the fuzz targets; here they run over the
//! committed corpus, over every cut of hand-picked messages, and over random mixtures of parts
//! that are legal, nearly legal and illegal.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[allow(unreachable_pub)] // It is public for the fuzz targets.
#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate needs it")]
mod checks;

use checks::{Outcome, Side, decode_in_steps, parse_in_steps};

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn the_corpus_passes_its_targets() {
    for (target, check) in [
        ("request_head", checks::request_head as fn(&[u8])),
        ("response_head", checks::response_head),
        ("chunked", checks::chunked),
        ("config", checks::config),
        ("forward", checks::forward),
        ("expression", checks::expression),
        ("handover", checks::handover),
        ("runtime_command", checks::runtime_command),
        ("proxy_header", checks::proxy_header),
        ("session", checks::session),
    ] {
        let inputs = corpus(target);
        assert!(inputs.len() >= 5, "{target}");
        inputs.iter().for_each(|input| check(input));
    }
}

#[test]
fn a_frontend_stays_disabled() {
    checks::runtime_command(b"\x02\0disable frontend f;set server b/s1 health down\n");
}

#[test]
fn a_tcp_client_is_let_go_at_a_door_that_rests() {
    checks::session(include_bytes!(
        "../fuzz/corpus/session/tcp_client_at_a_door_that_rests"
    ));
}

#[test]
fn a_request_that_was_repeated_has_a_twin_behind_it() {
    checks::forward(include_bytes!(
        "../fuzz/corpus/forward/twin_behind_a_repeated_request"
    ));
}

#[test]
fn a_chunked_request_ends_in_a_bad_trailer() {
    checks::forward(include_bytes!("../fuzz/corpus/forward/bad_trailer"));
}

/// Pieces of every size, and other bytes behind the message.
#[test]
fn every_cut_of_the_corpus() {
    for (side, target) in [
        (Side::Request, "request_head"),
        (Side::Response, "response_head"),
    ] {
        for input in corpus(target) {
            let whole = parse_in_steps(side, &input, input.len());
            for cut in 1..input.len() {
                assert_eq!(parse_in_steps(side, &input, cut), whole, "pieces of {cut}");
            }
            if let Outcome::Complete { len, .. } = &whole {
                for more in [&b"G"[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\0\xff"] {
                    let mut longer = input[..*len as usize].to_vec();
                    longer.extend_from_slice(more);
                    assert_eq!(parse_in_steps(side, &longer, longer.len()), whole);
                }
            }
        }
    }
    for input in corpus("chunked") {
        let whole = decode_in_steps(&input, input.len());
        for cut in 1..input.len() {
            assert_eq!(decode_in_steps(&input, cut), whole, "pieces of {cut}");
        }
    }
}

/// A head near the limits, byte by byte: with a parser that starts over at every byte this takes
/// minutes (a quadratic of 15 kB), with `Progress` no time.
#[test]
fn a_long_head_byte_by_byte_is_linear() {
    let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for index in 0..99 {
        input.extend_from_slice(format!("X-{index}: {}\r\n", "v".repeat(130)).as_bytes());
    }
    input.extend_from_slice(b"\r\n");
    assert!(input.len() > 13_000);
    for _ in 0..20 {
        assert!(matches!(
            parse_in_steps(Side::Request, &input, 1),
            Outcome::Complete { .. }
        ));
    }
}

fn parts(choices: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(choices), 1..14)
        .prop_map(|parts| parts.concat().into_bytes())
}

const REQUEST_PARTS: &[&str] = &[
    "GET",
    "POST",
    "CONNECT",
    " ",
    "\t",
    "/",
    "/a?b",
    "*",
    "http://a:80/x",
    "a:80",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "\r\n",
    "\n",
    "\r",
    "Host: a",
    "Host: b",
    "Host:a:80",
    "Content-Length: 5",
    "Content-Length:",
    "Transfer-Encoding: chunked",
    "X: y",
    "X:",
    "X : y",
    " folded",
    "\tz",
    "\u{1}",
    "é",
    "\r\n\r\n",
    "GET / HTTP/1.1\r\n",
    "Connection: close, upgrade",
    "Upgrade: websocket",
    ",",
    "5",
];

const RESPONSE_PARTS: &[&str] = &[
    "HTTP/1.1",
    "HTTP/1.0",
    " ",
    "\t",
    "200",
    "204",
    "101",
    "99",
    "OK",
    "\r\n",
    "\n",
    "\r",
    "Server: a",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "X: y",
    "X:",
    " folded",
    "\u{1}",
    "é",
    "\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "Connection: close",
];

const CHUNK_PARTS: &[&str] = &[
    "5",
    "0",
    "a",
    "ff",
    " ",
    "\t",
    ";",
    ";x=\"y\"",
    "\r\n",
    "\n",
    "\r",
    "hello",
    "0123456789",
    "5\r\nhello\r\n",
    "0\r\n",
    "X: y\r\n",
    "X:y",
    "Content-Length: 1\r\n",
    "0\r\n\r\n",
    "g",
    "-",
    "\u{0}",
];

const FORWARD_PARTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /deny HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\nhello\r\n",
    "PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    "GET /f HTTP/1.1\nHost: a\nX-In: b\n c\nX-List: 1, 2\n\n",
    "GET /n HTTP/1.1\r\nHost: a\r\nConnection: x-in\r\nX-In: 1\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nX-T: GET / HTTP/1.1\r\n\r\n",
    "Content-Length: 3\r\n",
    "\r\n",
    "\n",
    "x",
    "\u{1d}",
    "\u{1e}",
    "\u{1e}\u{1c}",
    "\u{18}\u{1e}",
    "\u{19}\u{1e}",
    "\u{1e}\u{17}",
    "\u{1e}\u{16}",
    "\u{1e}HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-In: 1\r\n\r\nhello",
    "\u{1e}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "\u{1e}HTTP/1.0 200\r\n\r\nuntil the end\u{18}",
    "\u{1e}HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello\u{18}",
    "\u{1e}HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    "\u{1e}HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n",
    "\u{1e}HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\ntunnel",
    "\u{1e}HTTP/1.1 503 No\r\nX: a\n b\r\nContent-Length: 0\r\n\r\n",
];

/// The fixpoint over mixtures of the above; the first four bytes are the input's choices.
fn exchanges() -> impl Strategy<Value = Vec<u8>> {
    let choices = (
        0..7_u8,
        any::<u8>(),
        0..12_u8,
        prop_oneof![Just(0), 1..90_u8],
    );
    (choices, parts(FORWARD_PARTS)).prop_map(|((variant, end, step, window), parts)| {
        let mut input = vec![variant, end, step, window];
        input.extend(parts);
        input
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn requests_are_read_the_same_however_cut(input in parts(REQUEST_PARTS)) {
        checks::request_head(&input);
    }

    #[test]
    fn answers_are_read_the_same_however_cut(input in parts(RESPONSE_PARTS)) {
        checks::response_head(&input);
    }

    #[test]
    fn chunks_are_read_the_same_however_cut(input in parts(CHUNK_PARTS)) {
        checks::chunked(&input);
    }

    #[test]
    fn any_bytes_are_read_the_same_however_cut(
        input in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        checks::request_head(&input);
        checks::response_head(&input);
        checks::chunked(&input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_leaves_is_what_came_in(input in exchanges()) {
        checks::forward(&input);
    }
}
