//! Target `forward`: what leaves is what came in, read strictly.
//!
//! An input says what a client sends, what servers answer, where both are cut and how each ends;
//! the real engine stands between them ([`wire`](super::wire)). Three readings are held against
//! each other: `strict` reads what left, oneloop's own parser reads what came (at once, uncut:
//! what it believes to forward), and `strict` reads what came as far as it can.
//!
//! An input is: four bytes (configuration; the client's end; a step at which the client's bytes
//! are cut, or 0; the far ends' window, or 0), then parts that end with 0x1e. The first part is a
//! client's; of the others those that begin with 0x1c are further clients', the rest are answers.
//! In a part 0x1d is a cut. An answer that begins with 0x17 is said when the head has come, with
//! 0x16 at once; one that ends with 0x18 is followed by an end, with 0x19 by a reset.

use std::collections::BTreeSet;

use oneloop::config::host::Fake;
use oneloop::config::model::Config;
use oneloop::config::{LoadOptions, Source, load};
use oneloop::engine::service::{Caller, Inquiry, Limits, Opened, Outcome, Service, View};
use oneloop::engine::{Engine, Exit};
use oneloop::http::framing::{self, Asked, Body};
use oneloop::http::head::{self, Head, Parsed, Progress};

use super::decode_in_steps;
use super::strict::{self, Framing, Message, Read};
use super::wire::{End, START, Script, State, When, Wire};

/// What is said between the parts of the configuration, one text a variant.
const VARIANTS: &[&str] = &[
    "",
    "  option http-server-close\n",
    "  option httpclose\n",
    "  http-reuse always\n  option forwardfor\n",
    "  http-reuse never\n  option redispatch\n",
    "  http-request set-header x-edit %[url]\n  http-request del-header x-gone\n\
     \x20 http-request replace-value x-list (.*) <\\1>\n\
     \x20 http-response set-header x-edit %[res.hdr(x-in)]\n  http-response del-header x-gone\n",
    "  option forwardfor\n  http-request deny if { path_beg /deny }\n\
     \x20 http-request add-header x-edit \"%[req.hdr(x-in)] %[method]\"\n",
];

/// The head that the engine of [`VARIANTS`] takes at most, bytes.
const HEAD_MAX: u32 = 4096;

struct NoService;

impl Service for NoService {
    type Page = ();

    fn run(&mut self, _: &[u8], _: &mut Caller, _: &View<'_>, _: &mut Vec<u8>) -> Outcome {
        Outcome::Done
    }

    fn open(&mut self, _: &Inquiry<'_>, _: &View<'_>) -> Opened<()> {
        Opened::empty(404)
    }

    fn fill(&mut self, (): &mut (), _: &View<'_>, _: &mut Vec<u8>) -> bool {
        false
    }
}

/// Reads a configuration that must be good.
pub fn configuration(text: &str) -> Config {
    let source = Source {
        name: "fuzz.cfg".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = load(&[source], &Fake::new(), &LoadOptions::default());
    match loaded.config {
        Some(config) => config,
        None => panic!("{text}\n{:?}", loaded.diagnostics),
    }
}

fn configurations() -> &'static [Config] {
    // One set a thread, kept for ever: a configuration holds what cannot be shared.
    thread_local! { static READ: &'static [Config] = Vec::leak(read_configurations()); }
    READ.with(|read| *read)
}

fn read_configurations() -> Vec<Config> {
    let one = |variant: &&str| {
        configuration(&format!(
            "global\n  log 127.0.0.1:514 local0\n  maxconn 8\n  tune.bufsize 5120\n\
                 \x20 tune.maxrewrite 1024\n\
                 defaults\n  mode http\n  log global\n  timeout connect 1s\n  timeout client 1s\n\
                 \x20 timeout server 1s\n  timeout http-request 1s\n\
                 \x20 log-format \"|%cp %ST %tsc %s %rc\"\n\
                 listen l\n  bind 127.0.0.1:8080\n{variant}  server s 127.0.0.1:9000\n"
        ))
    };
    VARIANTS.iter().map(one).collect()
}

/// One log line.
#[derive(Debug)]
struct Line {
    port: usize,
    status: i64,
    state: String,
    served: bool,
    retries: usize,
}

/// None for messages about the process.
fn line(bytes: &[u8]) -> Option<Line> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.split_once('|')?.1;
    let words: Vec<&str> = text.split(' ').collect();
    Some(Line {
        port: words[0].parse().expect("a port"),
        status: words[1].parse().expect("a status"),
        state: words[2].to_owned(),
        served: words[3] == "s",
        retries: words[4]
            .trim()
            .trim_start_matches('+')
            .parse()
            .expect("a number"),
    })
}

fn pieces(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let parts = bytes
        .split(|byte| *byte == 0x1d)
        .filter(|part| !part.is_empty());
    parts
        .flat_map(|part| part.chunks(if step == 0 { part.len() } else { step }))
        .map(<[u8]>::to_vec)
        .collect()
}

/// The network that an input describes, with the number of its configuration.
fn described(data: &[u8]) -> Option<(usize, Wire)> {
    let ([variant, end, step, window], rest) = data.split_first_chunk()?;
    let mut wire = Wire::new();
    wire.window = usize::from(*window);
    wire.clients_first = end & 0x10 != 0;
    let client = |part: &[u8]| Script {
        pieces: pieces(part, usize::from(step & 0x3f)).into(),
        end: [End::Fin, End::Never, End::Reset, End::Fin][usize::from(end & 3)],
        ..Script::default()
    };
    for (index, part) in rest.split(|byte| *byte == 0x1e).enumerate().take(12) {
        match part.split_first() {
            _ if index == 0 => wire.clients.push_back(client(part)),
            Some((0x1c, part)) if wire.clients.len() < 3 => wire.clients.push_back(client(part)),
            Some(_) => wire.answers.push_back(answer(part)),
            None => {}
        }
    }
    Some((usize::from(*variant) % VARIANTS.len(), wire))
}

fn answer(mut part: &[u8]) -> Script {
    let mut script = Script::default();
    match part {
        [0x16, rest @ ..] => (script.when, part) = (When::Unasked, rest),
        [0x17, rest @ ..] => (script.when, part) = (When::Early, rest),
        _ => {}
    }
    match part {
        [rest @ .., 0x18] => (script.end, part) = (End::Fin, rest),
        [rest @ .., 0x19] => (script.end, part) = (End::Reset, rest),
        _ => {}
    }
    script.pieces = pieces(part, 0).into();
    script
}

/// Target `forward`.
pub fn forward(data: &[u8]) {
    let Some((variant, wire)) = described(data) else {
        return;
    };
    let clients = wire.clients.clone();
    let mut engine = Engine::new(&configurations()[variant], wire, NoService, limits(), START);
    let mut stopping = false;
    for turn in 0.. {
        assert!(turn < 100_000, "not over:\n{}", engine.describe());
        let exit = engine.turn();
        engine.check_invariants().expect("invariants");
        if exit == Some(Exit::Done) {
            break;
        }
        let connections = engine.view().process.connections;
        let wire = engine.net_mut();
        if wire.is_over() && connections == 0 && !stopping {
            stopping = true;
            wire.stop();
            engine.check_drained().expect("nothing is left");
        }
        assert!(
            !engine.net_mut().idle || stopping,
            "stuck:\n{}",
            engine.describe()
        );
    }
    engine.check_drained().expect("nothing is left");
    let wire = std::mem::take(engine.net_mut());
    drop(engine);
    let said: Vec<Vec<u8>> = clients
        .into_iter()
        .map(|script| script.pieces.into_iter().flatten().collect())
        .collect();
    judge(&wire, &said);
}

/// Limits of a small process.
pub fn limits() -> Limits {
    Limits {
        pid: 1,
        started: (START.ms, START.wall_ms),
        maxconn: 8,
        hard_maxconn: 8,
        ..Limits::default()
    }
}

/// A message as oneloop's own parser reads it, uncut.
#[derive(Debug)]
struct Believed {
    method: Vec<u8>,
    target: Vec<u8>,
    status: u16,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    tunnel: bool,
    until_close: bool,
    asked: Asked,
    whole: bool,
}

/// Reads the message at `at`; none where there is no readable head. Says where it ends.
fn believed(bytes: &[u8], at: usize, asked: Option<Asked>) -> Option<(Believed, usize)> {
    let limits = head::Limits {
        bytes_max: HEAD_MAX,
        lenient: false,
    };
    let mut bytes = bytes[at..].to_vec();
    let mut head = Head::new(101);
    let parse = if asked.is_some() {
        head::response
    } else {
        head::request
    };
    if parse(&mut bytes, &mut Progress::default(), &mut head, &limits) != Parsed::Complete {
        return None;
    }
    let framing = match asked {
        Some(asked) => framing::response(&head, &bytes, asked).ok()?,
        None => framing::request(&head, &bytes).ok()?,
    };
    let fields = head.fields.iter();
    let mut message = Believed {
        method: head.method_span.of(&bytes).to_vec(),
        target: head.target.of(&bytes).to_vec(),
        status: head.status,
        fields: fields
            .map(|field| {
                (
                    field.name.of(&bytes).to_vec(),
                    field.value.of(&bytes).to_vec(),
                )
            })
            .collect(),
        body: Vec::new(),
        trailers: Vec::new(),
        tunnel: framing.body == Body::Tunnel,
        until_close: framing.body == Body::UntilClose,
        asked: Asked::new(&head, &framing),
        whole: true,
    };
    let rest = &bytes[head.len as usize..];
    let mut len = head.len as usize;
    match framing.body {
        Body::None | Body::Tunnel => {}
        Body::UntilClose => message.body = rest.to_vec(),
        Body::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            message.whole = rest.len() >= length;
            message.body = rest[..rest.len().min(length)].to_vec();
        }
        Body::Chunked => match decode_in_steps(rest, rest.len().max(1)) {
            Ok(found) => {
                message.whole = found.consumed_at_end.is_some();
                len += found.consumed_at_end.unwrap_or(rest.len());
                message.body = found.data;
                message.trailers = trailers(&found.trailer);
            }
            // What of it left before the mistake was seen depends on the cuts.
            Err(_) => {
                message.whole = false;
                message.body = decoded_before_a_mistake(rest);
            }
        },
    }
    if framing.body != Body::Chunked {
        len += message.body.len();
    }
    Some((message, at + len))
}

/// The trailers among these lines, the last of which may be open.
fn trailers(lines: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = lines.split(|byte| *byte == b'\n');
    let parts = lines.map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>());
    let named = parts.filter(|parts| parts.len() > 1);
    named
        .map(|parts| {
            (
                parts[0].to_vec(),
                parts[1..].join(&b':').trim_ascii().to_vec(),
            )
        })
        .collect()
}

/// Whether a server connection still speaks HTTP after so many exchanges; none when the last of
/// them is not answered yet.
pub fn stays(got: &[u8], said: &[u8], exchanges: usize) -> Option<bool> {
    let (mut read, mut heard) = (0, 0);
    for _ in 0..exchanges {
        let (request, end) = believed(got, read, None)?;
        read = end;
        let (answer, end) = final_answer(said, heard, request.asked)?;
        heard = end;
        if answer.tunnel {
            return Some(false);
        }
    }
    Some(true)
}

/// The answer at `at` behind any interim ones, and where it ends.
fn final_answer(said: &[u8], mut at: usize, asked: Asked) -> Option<(Believed, usize)> {
    loop {
        let (answer, end) = believed(said, at, Some(asked))?;
        if answer.status >= 200 || answer.tunnel {
            return Some((answer, end));
        }
        at = end;
    }
}

fn decoded_before_a_mistake(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = oneloop::http::chunked::Chunked::default();
    let mut body = Vec::new();
    for byte in bytes {
        match decoder.decode(&mut [*byte]) {
            Ok(found) if !found.data.is_empty() => body.push(*byte),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    body
}

/// The requests in what a client said.
fn requests(said: &[u8]) -> Vec<(Believed, usize)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some((message, next)) = believed(said, at, None) {
        at = next;
        let last = !message.whole;
        found.push((message, next));
        if last {
            break;
        }
    }
    found
}

/// What is of one connection, or ours to write: not compared.
const OURS: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "date",
    "via",
    "host",
    "x-forwarded-for",
    "x-edit",
    "x-gone",
    "x-list",
    "max-forwards",
];

/// The fields that must arrive as they left, in order.
fn end_to_end(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lower = |field: &(Vec<u8>, Vec<u8>)| (field.0.to_ascii_lowercase(), field.1.clone());
    let fields: Vec<_> = fields.iter().map(lower).collect();
    let mut named: BTreeSet<Vec<u8>> = OURS.iter().map(|name| name.as_bytes().to_vec()).collect();
    for (_, value) in fields.iter().filter(|field| field.0 == b"connection") {
        let words = value.split(|byte| *byte == b',');
        named.extend(words.map(|word| word.trim_ascii().to_ascii_lowercase()));
    }
    fields
        .into_iter()
        .filter(|field| !named.contains(&field.0))
        .collect()
}

/// What leaves speaks this hop's version, and says nothing of the connection that it came on.
fn made_ours(message: &Message) {
    assert_eq!(message.minor, 1, "{message:?}");
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        assert_eq!(message.values(name).count(), 0, "{message:?}");
    }
    let elements = |name| {
        let values = message.values(name);
        values.flat_map(|value| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
    };
    for element in elements("connection") {
        let known = [&b"close"[..], b"keep-alive", b"upgrade"];
        let good = known.iter().any(|word| element.eq_ignore_ascii_case(word));
        assert!(good, "{message:?}");
    }
    let http2 = |element: &[u8]| element.to_ascii_lowercase().starts_with(b"h2c");
    let named = |element: &&[u8]| http2(element) && matches!(element.get(3), None | Some(b'/'));
    assert!(
        !elements("upgrade").any(|element| named(&element)),
        "{message:?}"
    );
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// The rules: see the head of the file.
fn judge(wire: &Wire, said: &[Vec<u8>]) {
    let lines: Vec<Line> = wire.logs.iter().filter_map(|bytes| line(bytes)).collect();
    // One request a client may go unlogged, the last: its reused server connection was dead, and
    // the client is let go without an answer, so that it may repeat it.
    let unlogged = Line {
        port: 0,
        status: 0,
        state: String::new(),
        served: true,
        retries: 0,
    };
    // Each client's requests in order, with the log line of each.
    let mut expected = Vec::new();
    for (client, bytes) in said.iter().enumerate() {
        let own: Vec<&Line> = lines.iter().filter(|l| l.port == 1000 + client).collect();
        let mut requests = requests(bytes);
        held_against_strict(bytes, &requests);
        assert!(own.len() <= requests.len() + 1, "{own:?} for {requests:?}");
        requests.truncate(own.len() + 1);
        for (index, (request, end)) in requests.into_iter().enumerate() {
            let line = own.get(index).copied().unwrap_or(&unlogged);
            expected.push((client, line, request, end));
        }
    }
    let answers = servers(wire, said, &expected);
    for sock in &wire.socks {
        if let Some(client) = sock.client {
            let own: Vec<&Line> = lines.iter().filter(|l| l.port == 1000 + client).collect();
            clients(sock, client, &own, &expected, &answers);
        }
    }
}

/// No smuggling: what `strict` reads in a client's bytes, oneloop reads the same way.
fn held_against_strict(bytes: &[u8], requests: &[(Believed, usize)]) {
    let mut at = 0;
    for (request, end) in requests {
        let Read::Message(message) = strict::request(&bytes[at..]) else {
            return;
        };
        at += message.len;
        assert_eq!(message.method, request.method);
        assert_eq!(message.whole, request.whole, "{}", shown(bytes));
        assert_eq!(message.body, request.body, "{}", shown(bytes));
        assert!(!message.whole || at == *end, "{}", shown(bytes));
    }
}

type Expected<'a> = (usize, &'a Line, Believed, usize);

/// What the servers got: each message strictly read, in order, one of those that were to be
/// forwarded. Gives for each of them the answer that a server gave.
fn servers(wire: &Wire, said: &[Vec<u8>], expected: &[Expected<'_>]) -> Vec<Option<Believed>> {
    let mut answers: Vec<Option<Believed>> = expected.iter().map(|_| None).collect();
    let mut times = vec![0; expected.len()];
    let mut places: Vec<(usize, usize)> = wire.socks.iter().map(|_| (0, 0)).collect();
    let mut tunnels = BTreeSet::new();
    let mut next = 0;
    let mut repeats = false;
    for (at, number) in &wire.asked {
        if tunnels.contains(at) {
            continue;
        }
        let sock = &wire.socks[*at];
        let (read, heard) = places[*at];
        let got = match strict::request(&sock.got[read..]) {
            Read::Message(message) => message,
            other => panic!("{other:?} in {}", shown(&sock.got)),
        };
        made_ours(&got);
        let fits = |(_, line, request, _): &Expected<'_>| line.served && same(request, &got);
        let ahead = expected
            .iter()
            .skip(next)
            .position(fits)
            .map(|by| next + by);
        // The same once more, after a reused connection was dead, looks like its twin behind it.
        let again = next.checked_sub(1).filter(|last| fits(&expected[*last]));
        let found = if repeats {
            again.or(ahead)
        } else {
            ahead.or(again)
        };
        let index = found.unwrap_or_else(|| panic!("nobody sent {got:?}: {expected:?}"));
        next = index + 1;
        times[index] += 1;
        let (_, line, request, _) = &expected[index];
        let tries = 2 + line.retries;
        assert!(
            times[index] <= tries,
            "sent {} times: {line:?}",
            times[index]
        );
        let method = request.method.as_slice();
        let once = !matches!(
            method,
            b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE"
        );
        assert!(!once || times[index] == 1, "sent twice: {got:?}");
        assert!(got.whole || sock.state != State::Open, "{got:?}");
        let answer = final_answer(&sock.said, heard, request.asked);
        let heard = answer.as_ref().map_or(heard, |(_, end)| *end);
        let answer = answer.map(|(answer, _)| answer);
        repeats = answer.is_none() && *number > 0 && !once;
        if answer.as_ref().is_some_and(|answer| answer.tunnel) {
            tunnels.insert(*at);
            let (client, _, _, end) = &expected[index];
            let (sent, through) = (&said[*client][*end..], &sock.got[read + got.len..]);
            assert!(sent.starts_with(through), "a tunnel changed what went up");
        }
        answers[index] = answer;
        places[*at] = (read + got.len, heard);
    }
    for (at, sock) in wire.socks.iter().enumerate() {
        let rest = &sock.got[places[at].0..];
        if sock.client.is_some() || tunnels.contains(&at) || rest.is_empty() {
            continue;
        }
        let cut = strict::request(rest) == Read::Nothing && sock.state != State::Open;
        assert!(cut, "after the last request: {}", shown(rest));
    }
    answers
}

/// Whether a server's request is one of a client's.
fn same(request: &Believed, got: &Message) -> bool {
    let body = match got.whole {
        true => request.whole && request.body == got.body && request.trailers == got.trailers,
        false => request.body.starts_with(&got.body),
    };
    let fields = end_to_end(&request.fields) == end_to_end(&got.fields);
    body && fields && request.target == got.target && request.method == got.method
}

/// What a client got: strictly read, one final answer a log line that says so, whole or cut.
fn clients(
    sock: &super::wire::Sock,
    client: usize,
    lines: &[&Line],
    expected: &[Expected<'_>],
    answers: &[Option<Believed>],
) {
    let own = expected
        .iter()
        .zip(answers)
        .filter(|((of, ..), _)| *of == client);
    let mut own = own.map(|((_, _, request, _), answer)| (request, answer));
    let mut at = 0;
    let gone = sock.ended != End::Never;
    for line in lines {
        let request = own.next();
        let method = request.map_or(&b"GET"[..], |(request, _)| &request.method);
        let minor = request.map_or(1, |(request, _)| request.asked.minor);
        let message = loop {
            match strict::response(&sock.got[at..], method) {
                Read::Message(message) if message.status / 100 == 1 && message.status != 101 => {
                    assert_eq!(minor, 1, "interim answer to HTTP/1.0");
                    at += message.len;
                }
                Read::Message(message) => break Some(message),
                Read::Nothing => break None,
                Read::Bad(why) => panic!("{why} in {}", shown(&sock.got)),
            }
        };
        let Some(message) = message else {
            let excused = line.status <= 0 || gone || line.state != "----";
            assert!(excused, "no answer for {line:?} in {}", shown(&sock.got));
            assert!(sock.state != State::Open);
            return;
        };
        assert_eq!(i64::from(message.status), line.status, "{line:?}");
        made_ours(&message);
        assert!(
            minor == 1 || message.framing != Framing::Chunked,
            "chunks to HTTP/1.0"
        );
        if let Some((request, Some(answer))) = &request
            && answer.status == message.status
            && line.served
            && !line.state.starts_with('P')
        {
            passed(answer, &message, sock, line, &request.method, at);
        }
        at += message.len;
        let last = !message.whole || message.framing == Framing::Tunnel;
        if !message.whole {
            assert_ne!(sock.state, State::Open, "cut and not closed: {line:?}");
        }
        if last {
            return;
        }
    }
    assert_eq!(
        at,
        sock.got.len(),
        "more than was logged: {}",
        shown(&sock.got[at..])
    );
}

/// One answer that was passed on.
fn passed(
    answer: &Believed,
    message: &Message,
    sock: &super::wire::Sock,
    line: &Line,
    method: &[u8],
    at: usize,
) {
    assert_eq!(
        end_to_end(&answer.fields),
        end_to_end(&message.fields),
        "{line:?}"
    );
    if answer.tunnel {
        assert_eq!(
            message.framing,
            Framing::Tunnel,
            "{} {line:?}",
            shown(method)
        );
        return;
    }
    assert!(
        answer.body.starts_with(&message.body),
        "{} of {}",
        shown(&sock.got[at..]),
        shown(&answer.body)
    );
    if message.whole {
        assert!(answer.whole, "a broken answer ends cleanly: {line:?}");
        assert_eq!(message.body, answer.body, "{line:?}");
        if message.framing == Framing::Chunked {
            assert_eq!(message.trailers, answer.trailers, "{line:?}");
        }
    } else if message.framing == Framing::UntilClose && line.state == "----" {
        assert!(answer.whole || answer.until_close, "{line:?}");
        assert!(
            message.body == answer.body || sock.ended == End::Reset,
            "{line:?}"
        );
    } else {
        assert_ne!(line.state, "----", "cut and called whole");
    }
}
