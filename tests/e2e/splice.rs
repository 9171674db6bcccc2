//! Bodies that pass through a kernel pipe: the same bytes, the same ends, the same care.

use std::io::Write;

use crate::support::origin::{Origin, Request};
use crate::support::until;
use crate::{COMMON, Rig};

/// More than one pipe holds.
const LONG: usize = 5_000_000;

fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(len)
    .collect()
}

/// Answers with the body that came.
fn echo() -> Origin {
    Origin::scripted(|wire| {
        while let Some(Request { body, .. }) = wire.request() {
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ));
            wire.send(&body);
        }
    })
}

/// A proxy with lines in its defaults, and room for pipes beside its connections.
fn rig(origin: Origin, lines: &str) -> Rig {
    let common = COMMON.replacen("global\n", "global\n maxconn 100\n", 1);
    Rig::of(
        origin,
        &format!("{common}{lines}\nlisten l\n bind @fe@\n server s @s@\n"),
    )
}

fn post(rig: &Rig, body: &[u8], behind: &str) -> (Vec<u8>, Vec<u8>) {
    let mut client = rig.client();
    let mut writer = client.stream.try_clone().unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let sent = [head.as_bytes(), body, behind.as_bytes()].concat();
    let thread = std::thread::spawn(move || writer.write_all(&sent).unwrap());
    let first = client.answer().body;
    thread.join().unwrap();
    let second = if behind.is_empty() {
        Vec::new()
    } else {
        client.answer().body
    };
    client.finish();
    (first, second)
}

fn info(rig: &Rig, name: &str) -> u32 {
    let info = rig.proxy.command("show info");
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(": ").parse().unwrap()
}

#[test]
fn long_bodies_are_the_same_with_and_without_pipes() {
    let body = noise(LONG);
    for (lines, pipes) in [
        ("", true),
        ("option splice-auto", true),
        ("option splice-request", true),
        ("option splice-response", true),
        ("no option splice-auto", false),
    ] {
        let rig = rig(echo(), lines);
        let (back, second) = post(
            &rig,
            &body,
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
        );
        assert!(back == body, "{lines:?}: other bytes came back");
        assert_eq!(second, b"hi", "{lines:?}: the request behind the body");
        assert_eq!(rig.origin.requests.rest().len(), 2);
        until("pipes are given back", || {
            (info(&rig, "PipesUsed") == 0).then_some(())
        });
        let kept = info(&rig, "PipesFree");
        assert_eq!(kept > 0, pipes, "{lines:?}: {kept} pipes kept");
    }
}

#[test]
fn a_server_connection_is_used_again_after_a_spliced_answer() {
    let rig = rig(echo(), "http-reuse always");
    for _ in 0..3 {
        let body = noise(200_000);
        assert!(post(&rig, &body, "").0 == body);
    }
    let connections: Vec<usize> = (0..3)
        .map(|_| rig.origin.requests.take("a request", |_| true).connection)
        .collect();
    assert_eq!(connections, [connections[0]; 3]);
}

/// Sends `body` short of what it announces or longer, and leaves.
fn announces(length: usize, sends: usize) -> Origin {
    Origin::scripted(move |wire| {
        while wire.request().is_some() {
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ));
            wire.send(noise(sends));
            if sends < length {
                return;
            }
        }
    })
}

#[test]
fn a_spliced_answer_that_is_cut_short_does_not_look_complete() {
    let rig = rig(announces(1_000_000, 400_000), "");
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = client.head();
    assert!(head.contains("1000000"), "{head}");
    assert!(client.rest() == noise(400_000));
    let record = rig
        .log
        .records
        .take("its line", |record| record.is_request());
    assert!(record.text.contains(" SD-- "), "{}", record.text);
}

#[test]
fn bytes_behind_a_spliced_answer_are_nobodys() {
    let rig = rig(announces(200_000, 200_100), "");
    for _ in 0..2 {
        let mut client = rig.client();
        client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let answer = client.answer();
        assert!(answer.body == noise(200_000));
        client.finish();
    }
    let first = rig.origin.requests.take("a request", |_| true).connection;
    let second = rig.origin.requests.take("a request", |_| true).connection;
    assert_ne!(first, second, "the connection cannot be trusted");
}
