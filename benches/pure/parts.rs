//! The pure parts by themselves: bytes and plain values in, plain values out.
//!
//! Everything that a workload needs is made before the timing, by the same configuration loader
//! that the program uses; what is timed is the call that the engine makes. Results go through
//! `black_box`, so that none can be left out.

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use oneloop::balance::pick::{Algorithm, Group, PARTS, Picked, Place};
use oneloop::base::addr::Address;
use oneloop::base::arena::Handle;
use oneloop::base::clock::Now;
use oneloop::base::wheel::Wheel;
use oneloop::config::model::{Config, Proxy, SwitchTarget};
use oneloop::config::{LoadOptions, Source, host, load};
use oneloop::http::chunked::Chunked;
use oneloop::http::framing::{self, Asked, Body as End};
use oneloop::http::head::{self, Head, Limits, Method, Parsed, Progress};
use oneloop::http::render::{Outgoing, render};
use oneloop::http::rewrite::{Editor, Edits, Message};
use oneloop::log::syslog::{Framing, Level, Sender};
use oneloop::rules::Context;
use oneloop::rules::action::{Subject, Verdict, evaluate_request};
use oneloop::rules::fetch::Scratch;
use oneloop::rules::format::{Field, Value};
use oneloop::rules::plan::Walk;

use crate::{Body, Workload, each};

/// What `wrk` and `curl` are like.
pub(crate) const REQUEST_4: &[u8] = b"GET /app1/index.html HTTP/1.1\r\nHost: www.example.com\r\n\
    User-Agent: curl/7.88.1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n";
/// What a browser is like.
const REQUEST_8: &[u8] = b"GET /static/css/site.css?v=20260711 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/css,*/*;q=0.1\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nReferer: http://www.example.com/app1/index.html\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
    Connection: keep-alive\r\n\r\n";
/// An answer of 48 bytes, as those of the performance page are.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
    Date: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 48\r\n\
    Connection: keep-alive\r\n\r\n0123456789abcdef0123456789abcdef0123456789abcdef";

const NOW: Now = Now {
    ms: 1_000_000,
    wall_ms: 1_700_000_000_123,
    utc_offset_s: 0,
};

/// The article's configuration for paths, and further rules.
const CONFIGURATION: &str = "\
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
frontend web
    bind 127.0.0.1:80
    log 127.0.0.1:514 local0
    option httplog
    acl is-app2 path_beg /app2
    acl is-app3 path_beg /app3
    use_backend b1 if is-app2
    use_backend b2 if is-app3 || is-app2
    default_backend b1
frontend sites
    bind 127.0.0.1:81
    acl site hdr(host) -i example.com www.example.com
    acl local src 127.0.0.0/8 10.0.0.0/8
    use_backend b2 if site { path_beg /api/ } !{ method POST } or local
    default_backend b1
backend b1
    http-request replace-path /app1(/)?(.*) /\\2
    server s1 127.0.0.1:8001
backend b2
    server s2 127.0.0.1:8002
";

pub(crate) const WORKLOADS: &[Workload] = &[
    workload("head/request-4", 5_000, || head_of(REQUEST_4, 4)),
    workload("head/request-8", 5_000, || head_of(REQUEST_8, 8)),
    workload("head/answer-5", 5_000, || head_of(ANSWER, 5)),
    workload("head/7kB-bytewise", 20, head_bytewise),
    workload("head/7kB-whole", 500, || head_of(&long_head(), 50)),
    workload("framing/request", 20_000, || {
        framing_of(REQUEST_8, End::None)
    }),
    workload("framing/answer", 20_000, || {
        framing_of(ANSWER, End::Length(48))
    }),
    workload("rules/2-paths", 5_000, || conditions("web", "")),
    workload("rules/host-and-path", 5_000, || conditions("sites", "")),
    workload("rules/500-paths", 200, || conditions("web", &paths(500))),
    workload("rules/map-5000", 5_000, || map(5_000)),
    workload("rules/replace-path", 5_000, replace_path),
    workload("render/request", 5_000, render_request),
    workload("render/answer", 5_000, render_answer),
    workload("chunked/1x1024", 1_000, || chunks(1, 1024)),
    workload("chunked/64x16", 1_000, || chunks(64, 16)),
    workload("log/httplog", 2_000, log_line),
    workload("log/syslog-header", 2_000, log_header),
    workload("wheel/promise-later", 20_000, promise_later),
    workload("wheel/fire-and-promise", 10_000, fire_and_promise),
    workload("pick/2", 10_000, || pick(2)),
    workload("pick/5", 10_000, || pick(5)),
    workload("pick/100", 10_000, || pick(100)),
    workload("pick/5000", 10_000, || pick(5_000)),
    workload("static-rr/5", 10_000, || balance(Algorithm::StaticRr, 5)),
    workload("static-rr/5000", 10_000, || {
        balance(Algorithm::StaticRr, 5_000)
    }),
    workload("leastconn/5", 10_000, || balance(Algorithm::LeastConn, 5)),
    workload("leastconn/5000", 10_000, || {
        balance(Algorithm::LeastConn, 5_000)
    }),
    workload("first/5", 10_000, || balance(Algorithm::First, 5)),
    workload("first/5000", 10_000, || balance(Algorithm::First, 5_000)),
    workload("map-based/5", 10_000, || balance(Algorithm::Map, 5)),
    workload("map-based/5000", 10_000, || balance(Algorithm::Map, 5_000)),
    workload("consistent/5", 10_000, || balance(Algorithm::Consistent, 5)),
    workload("consistent/5000", 10_000, || {
        balance(Algorithm::Consistent, 5_000)
    }),
    workload("random/5", 10_000, || balance(Algorithm::Random(2), 5)),
    workload("random/5000", 10_000, || {
        balance(Algorithm::Random(2), 5_000)
    }),
];

/// One entry of a table.
pub(crate) const fn workload(name: &'static str, times: u64, make: fn() -> Body) -> Workload {
    Workload { name, times, make }
}

/// Loads a configuration for good.
pub(crate) fn configuration(text: &str) -> &'static Config {
    configured(text, &host::Fake::new())
}

/// The same on a machine that has files.
fn configured(text: &str, host: &host::Fake) -> &'static Config {
    let source = Source {
        name: "bench.cfg".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    let loaded = load(&[source], host, &LoadOptions::default());
    match loaded.config {
        Some(config) => Box::leak(Box::new(config)),
        None => panic!("{text}\n{:?}", loaded.diagnostics),
    }
}

fn proxy<'c>(config: &'c Config, name: &str) -> &'c Proxy {
    let found = config.proxies.iter().find(|proxy| proxy.name == name);
    found.expect("a proxy of that name")
}

/// Rules that do not match, as those of `acl500` on the performance page.
pub(crate) fn paths(count: u32) -> String {
    (0..count)
        .map(|n| format!("    use_backend b1 if {{ path_beg /r{n}/ }}\n"))
        .collect()
}

/// Puts lines before the `default_backend` of the first frontend.
fn with_rules(rules: &str) -> &'static Config {
    let mark = "    default_backend b1\nfrontend sites";
    configuration(&CONFIGURATION.replace(mark, &format!("{rules}{mark}")))
}

/// An operation that says whether it came out as it should, which it does each time.
fn checked(mut operation: impl FnMut() -> bool + 'static) -> Body {
    assert!(operation());
    each(move || {
        black_box(operation());
    })
}

fn parse(bytes: &mut [u8], progress: &mut Progress, head: &mut Head) -> Parsed {
    match bytes.starts_with(b"HTTP/") {
        true => head::response(bytes, progress, head, &Limits::default()),
        false => head::request(bytes, progress, head, &Limits::default()),
    }
}

fn parsed(bytes: &mut [u8]) -> Head {
    let mut head = Head::new(101);
    let found = parse(bytes, &mut Progress::default(), &mut head);
    assert_eq!(found, Parsed::Complete);
    head
}

/// Parses a head that came in one piece, as nearly every one does.
fn head_of(text: &[u8], fields: usize) -> Body {
    let mut bytes = text.to_vec();
    let mut head = parsed(&mut bytes);
    assert_eq!(head.fields.len(), fields);
    each(move || {
        let found = parse(black_box(&mut bytes), &mut Progress::default(), &mut head);
        black_box((found, &head));
    })
}

/// A head of 7 kB and 50 fields.
fn long_head() -> Vec<u8> {
    let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for n in 0..49 {
        let value = "v".repeat(130);
        bytes.extend_from_slice(format!("X-Field-{n}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    assert!((7_000..7_500).contains(&bytes.len()), "{}", bytes.len());
    bytes
}

/// The whole of what a client costs that sends a long head one byte at a time.
fn head_bytewise() -> Body {
    let mut bytes = long_head();
    let mut head = parsed(&mut bytes);
    each(move || {
        let mut progress = Progress::default();
        for end in 1..bytes.len() {
            let found = parse(black_box(&mut bytes[..end]), &mut progress, &mut head);
            assert_eq!(found, Parsed::Partial);
        }
        let found = parse(&mut bytes, &mut progress, &mut head);
        assert_eq!(found, Parsed::Complete);
    })
}

/// How the message ends and whether the connection stays.
fn framing_of(text: &[u8], end: End) -> Body {
    let mut bytes = text.to_vec();
    let head = parsed(&mut bytes);
    let asked = Asked {
        method: Method::Get,
        minor: 1,
        ..Asked::default()
    };
    let frame = move || match head.status {
        0 => framing::request(black_box(&head), &bytes),
        _ => framing::response(black_box(&head), &bytes, asked),
    };
    assert!(frame().is_ok_and(|framing| framing.body == end && framing.persistent));
    each(move || {
        let _ = black_box(frame());
    })
}

/// What rules see of a session.
struct Seen<'a> {
    request: Option<Message<'a>>,
}

const CLIENT: Address = Address::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 51_234);

impl Context for Seen<'_> {
    fn changed(&self) -> Option<&oneloop::rules::lists::Lists> {
        None
    }

    fn request(&self) -> Option<Message<'_>> {
        self.request
    }

    fn response(&self) -> Option<Message<'_>> {
        None
    }

    fn source(&self) -> Address {
        CLIENT
    }

    fn destination(&self) -> Address {
        CLIENT
    }

    /// The facts of the article's first log line.
    fn field(&self, field: Field) -> Value<'_> {
        match field {
            Field::Client => Value::Address(CLIENT),
            Field::FrontendName => Value::Bytes(b"web_proxy"),
            Field::BackendName => Value::Bytes(b"web_servers"),
            Field::ServerName => Value::Bytes(b"debian11-2"),
            Field::FrontendTransport => Value::Bytes(b""),
            Field::RequestDate => Value::Date {
                wall_ms: NOW.wall_ms,
                utc_offset_s: 0,
            },
            Field::Termination => Value::Bytes(b"----"),
            Field::RequestLine => Value::Bytes(b"GET / HTTP/1.1"),
            Field::Status => Value::Int(200),
            Field::BytesRead => Value::Int(214),
            Field::TimeResponse | Field::TimeActive => Value::Int(1),
            Field::ActiveConnections | Field::FrontendConnections => Value::Int(1),
            Field::RequestCookie | Field::ResponseCookie => Value::Missing,
            _ => Value::Int(0),
        }
    }

    fn now(&self) -> Now {
        NOW
    }
}

/// Evaluates the conditions of all `use_backend` lines of a frontend, none of which holds.
fn conditions(name: &str, rules: &str) -> Body {
    let config = with_rules(rules);
    let switches = &proxy(config, name).switches;
    assert_eq!(switches.len() > 100, !rules.is_empty());
    let mut bytes = REQUEST_4.to_vec();
    let head = parsed(&mut bytes);
    let edits = Edits::new(101, 16_384);
    let mut scratch = Scratch::default();
    let evaluate = move || {
        scratch.start_message();
        let seen = Seen {
            request: Some(Message::new(black_box(&bytes), &head, &edits)),
        };
        let (acls, mut walk) = (&config.acls, Walk::default());
        while let Some(switch) = switches.next(&mut walk, acls, &seen, &mut scratch) {
            let condition = switch.condition.as_ref();
            if condition.is_none_or(|c| c.holds(acls, &seen, &mut scratch)) {
                return false;
            }
        }
        true
    };
    checked(evaluate)
}

/// The name of a backend by the longest of so many prefixes.
fn map(entries: usize) -> Body {
    let rule = "    use_backend %[path,map_beg(paths.map,b2)]\n";
    let lines: String = (0..entries).map(|n| format!("/app{n}/ b1\n")).collect();
    let host = host::Fake::new().with_file("paths.map", lines);
    let mark = "    acl is-app2";
    let config = configured(
        &CONFIGURATION.replacen(mark, &format!("{rule}{mark}"), 1),
        &host,
    );
    let SwitchTarget::Dynamic(name) = &proxy(config, "web").switches[0].target else {
        panic!("the name is made for each request");
    };
    let mut bytes = REQUEST_4.to_vec();
    let head = parsed(&mut bytes);
    let edits = Edits::new(101, 16_384);
    let mut scratch = Scratch::default();
    let mut made = Vec::new();
    let look_up = move || {
        let seen = Seen {
            request: Some(Message::new(black_box(&bytes), &head, &edits)),
        };
        made.clear();
        name.render(&seen, &mut scratch.buffers, &mut made);
        made == b"b1"
    };
    checked(look_up)
}

/// The article's `http-request replace-path`.
fn replace_path() -> Body {
    let config = with_rules("");
    let rules = &proxy(config, "b1").http_request;
    let mut bytes = REQUEST_4.to_vec();
    let head = parsed(&mut bytes);
    let mut edits = Edits::new(101, 16_384);
    let mut scratch = Scratch::default();
    let rewrite = move || {
        scratch.start_message();
        edits.clear();
        let mut subject = Subject {
            bytes: black_box(&bytes),
            head: &head,
            edits: &mut edits,
        };
        let facts = Seen { request: None };
        let verdict =
            evaluate_request((rules, 0), &config.acls, &facts, &mut subject, &mut scratch);
        assert!(matches!(verdict, Ok(Verdict::Continue)));
        Message::new(&bytes, &head, &edits).path() == Some(b"/index.html")
    };
    checked(rewrite)
}

/// Renders a head with a new path and `X-Forwarded-For`, as most requests leave.
fn render_request() -> Body {
    let mut bytes = REQUEST_4.to_vec();
    let head = parsed(&mut bytes);
    let mut edits = Edits::new(101, 16_384);
    let mut out = Vec::with_capacity(16_384);
    let go = move || {
        edits.clear();
        let mut editor = Editor {
            bytes: black_box(&bytes),
            head: &head,
            edits: &mut edits,
        };
        let set = editor.set_path(b"/index.html");
        let added = editor.add_header(b"X-Forwarded-For", b"192.0.2.7");
        assert!(set.is_ok() && added.is_ok());
        let how = Outgoing {
            minor: 1,
            ..Outgoing::default()
        };
        out.clear();
        let done = render(&editor.message(), &how, 16_384, &mut out).is_ok();
        done && black_box(&out).ends_with(b"X-Forwarded-For: 192.0.2.7\r\n\r\n")
    };
    checked(go)
}

/// Renders an answer's head without an edit, as most answers leave.
fn render_answer() -> Body {
    let mut bytes = ANSWER.to_vec();
    let head = parsed(&mut bytes);
    let edits = Edits::new(101, 16_384);
    let mut out = Vec::with_capacity(16_384);
    let go = move || {
        let message = Message::new(black_box(&bytes), &head, &edits);
        let how = Outgoing {
            minor: 1,
            announce: framing::Announce::Length(48),
            ..Outgoing::default()
        };
        out.clear();
        let done = render(&message, &how, 16_384, &mut out).is_ok();
        done && black_box(&out).ends_with(b"\r\n\r\n")
    };
    checked(go)
}

/// Decodes a body in place; the copy that makes it fresh is part of the operation.
fn chunks(count: usize, size: usize) -> Body {
    let chunk = format!("{size:x}\r\n{}\r\n", "d".repeat(size));
    let wire = format!("{}0\r\n\r\n", chunk.repeat(count)).into_bytes();
    let mut bytes = wire.clone();
    let decode = move || {
        bytes.copy_from_slice(black_box(&wire));
        let found = Chunked::default().decode(&mut bytes);
        found.is_ok_and(|found| found.done && found.data.len() == count * size)
    };
    checked(decode)
}

/// Renders the article's log line, without what syslog puts before it.
fn log_line() -> Body {
    let config = with_rules("");
    let format = proxy(config, "web").log_format.as_ref().expect("httplog");
    let mut scratch = Scratch::default();
    let mut line = Vec::with_capacity(1024);
    let write = move || {
        line.clear();
        let facts = Seen { request: None };
        format.render(black_box(&facts), &mut scratch.buffers, &mut line);
        black_box(&line).as_slice()
            == b"192.0.2.7:51234 [14/Nov/2023:22:13:20.123] web_proxy web_servers/debian11-2 0/0/0/1/1 200 214 - - ---- 1/1/0/0/0 0/0 \"GET / HTTP/1.1\""
    };
    checked(write)
}

/// What syslog puts before a text: the first message of each second pays for it.
fn log_header() -> Body {
    let framing = Framing::new(16);
    let mut out = Vec::with_capacity(1024);
    let write = move || {
        out.clear();
        let sender = Sender {
            tag: b"haproxy",
            pid: 4_418,
            host: b"",
            structured: b"",
        };
        framing.write_header(&mut out, black_box(&NOW), &sender, Level::Info);
        out.extend_from_slice(b"text\n");
        black_box(&out).as_slice() == b"<134>Nov 14 22:13:20 haproxy[4418]: text\n"
    };
    checked(write)
}

/// A busy session's timer: the promise is kept already, so nothing moves.
fn promise_later() -> Body {
    let mut wheel = Wheel::new(0);
    let timer = wheel.add(Handle::new(2, 0, 0));
    wheel.promise(timer, 50_000);
    let mut later = 50_000;
    Box::new(move |times| {
        for _ in 0..times {
            later += 1;
            wheel.promise(timer, black_box(later));
        }
        assert_eq!(wheel.armed_at(timer), Some(50_000));
    })
}

/// 4,096 timers, of which one fires in each millisecond and is promised anew; `next` is asked too.
fn fire_and_promise() -> Body {
    const TIMERS: u32 = 4_096;
    let mut wheel = Wheel::new(0);
    let timers: Vec<_> = (0..TIMERS)
        .map(|n| wheel.add(Handle::new(2, 0, n)))
        .collect();
    for (timer, at) in timers.iter().zip(1..) {
        wheel.promise(*timer, at);
    }
    let mut now = 0;
    let mut fired = Vec::with_capacity(8);
    each(move || {
        now += 1;
        fired.clear();
        wheel.advance(black_box(now), &mut fired);
        assert_eq!(fired.len(), 1);
        wheel.promise(timers[fired[0].index() as usize], now + u64::from(TIMERS));
        black_box(wheel.next());
    })
}

/// Weighted round robin among servers of weights 1 to 4, none of them full.
fn pick(servers: u32) -> Body {
    let places: Vec<Place> = (0..servers)
        .map(|n| Place {
            weight: (1 + (n % 4) as u16) * PARTS,
            number: n + 1,
            ..Place::default()
        })
        .collect();
    let mut group = Group::new(Algorithm::RoundRobin, &places, false);
    // After one round each has been chosen as often as its weight says.
    let mut chosen = vec![0; places.len()];
    for _ in 0..group.total_weight() / u32::from(PARTS) {
        match group.pick(None, None, |_| false) {
            Picked::Server(index) => chosen[index as usize] += 1,
            other => panic!("{other:?}"),
        }
    }
    let as_weighed = chosen
        .iter()
        .zip(&places)
        .all(|(n, at)| n * PARTS == at.weight);
    assert!(as_weighed, "{chosen:?}");
    each(move || {
        black_box(group.pick(None, None, |index| black_box(index) == u32::MAX));
    })
}

/// A session of an algorithm among servers of weights 1 to 4 that have two each: it is picked a
/// server, and the oldest one ends.
fn balance(algorithm: Algorithm, servers: u32) -> Body {
    let place = |n| Place {
        weight: (1 + (n % 4) as u16) * PARTS,
        number: n + 1,
        ..Place::default()
    };
    let places: Vec<Place> = (0..servers).map(place).collect();
    let mut group = Group::new(algorithm, &places, false);
    let mut served = vec![0_u32; places.len()];
    let mut held = VecDeque::new();
    let mut key = 0_u32;
    let mut session = move |ends: bool| {
        key = key.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Under `first` all but the last server are full, which is what it is used for.
        let full = |index: u32| algorithm == Algorithm::First && served[index as usize] >= 2;
        let Picked::Server(index) = group.pick(Some(key), None, full) else {
            panic!("nobody has room");
        };
        served[index as usize] += 1;
        group.set_load(index, served[index as usize]);
        held.push_back(index);
        if ends && let Some(index) = held.pop_front() {
            served[index as usize] -= 1;
            group.set_load(index, served[index as usize]);
        }
        index
    };
    for _ in 0..2 * servers - 1 {
        session(false);
    }
    each(move || {
        black_box(session(true));
    })
}
