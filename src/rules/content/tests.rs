//! What haproxy 2.6 was seen to decide of bytes, and which it waits for.

use super::Inspection::{NotYet, Passed, Rejected};
use super::*;
use crate::rules::lists::Lists;
use crate::rules::tests::{Around, Session, scratch};

/// A session whose first bytes are these.
struct Beginning<'a> {
    session: Session,
    seen: Inspected<'a>,
}

impl<'a> Beginning<'a> {
    fn of(bytes: &'a [u8], is_final: bool) -> Self {
        let seen = Inspected {
            bytes: Some(bytes),
            most: 16_384,
            is_final,
            may_be_http: false,
        };
        let session = Session::default();
        Self { session, seen }
    }
}

impl Context for Beginning<'_> {
    fn request(&self) -> Option<Message<'_>> {
        None
    }

    fn response(&self) -> Option<Message<'_>> {
        None
    }

    fn source(&self) -> Address {
        self.session.source()
    }

    fn destination(&self) -> Address {
        self.session.destination()
    }

    fn field(&self, field: Field) -> Value<'_> {
        self.session.field(field)
    }

    fn now(&self) -> Now {
        self.session.now()
    }

    fn changed(&self) -> Option<&Lists> {
        None
    }

    fn inspected(&self) -> Option<Inspected<'_>> {
        Some(self.seen)
    }
}

fn rules(lines: &[&str], around: &mut Around) -> Vec<ContentRule> {
    let compile = |line: &&str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let rule = around.compile(|compiler| compile_content_rule(&words, compiler));
        rule.unwrap_or_else(|problem| panic!("{line}: {}", problem.message))
    };
    lines.iter().map(compile).collect()
}

fn decide(lines: &[&str], bytes: &[u8], is_final: bool) -> Inspection {
    let mut around = Around::default();
    let rules = rules(lines, &mut around);
    let context = Beginning::of(bytes, is_final);
    evaluate(&rules, &around.acls, &context, &mut scratch())
}

const INPUTS: [&[u8]; 12] = [
    b"",
    b"a",
    b"ab",
    b"abc",
    b"abcd",
    b"xyz12",
    b"\x02abc",
    b"\x03ab",
    b"\x02",
    b"\0\x01abcd",
    b"\0\0",
    b"\0\x02\x03\x04\x05\x06\x07",
];

/// A condition, and for each input `Y` where it holds, `-` where it does not, `w` where more is
/// waited for, and behind that what it is when nothing more comes.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    ("{ req.payload(0,3) -m found }", "w- w- w- Y Y Y Y Y w- Y w- Y"),
    ("{ req.payload(0,0) -m found }", "Y Y Y Y Y Y Y Y Y Y Y Y"),
    ("{ req.payload(2,0) -m found }", "w- w- Y Y Y Y Y Y w- Y Y Y"),
    ("{ req.payload(0,3) -m str abc }", "w- w- w- Y Y - - - w- - w- -"),
    ("{ req.payload(0,0) -m str abc }", "w- w- w- Y w- w- w- w- w- w- w- w-"),
    ("{ req.payload(1,2) -m str bc }", "w- w- w- Y Y - - - w- - w- -"),
    ("{ req.payload(0,20000) -m found }", "- - - - - - - - - - - -"),
    ("{ req.payload(15000,2000) -m found }", "- - - - - - - - - - - -"),
    ("{ req.payload(-1,1) -m found }", "- - - - - - - - - - - -"),
    ("{ req.payload_lv(0,1) -m found }", "w- w- w- w- w- w- Y w- w- - - -"),
    ("{ req.payload_lv(0,1) -m str bc }", "w- w- w- w- w- w- - w- w- - - -"),
    ("{ req.payload_lv(0,2,4) -m found }", "w- w- - - - - w- w- w- Y - Y"),
    ("{ req.payload_lv(1,1,+1) -m found }", "w- w- w- w- w- w- w- w- w- Y - Y"),
    ("{ req.payload_lv(1,1,-1) -m found }", "w- w- w- w- w- w- w- w- w- Y - Y"),
    ("{ req.payload_lv(0,4) -m found }", "w- w- w- w- - - - w- w- - w- -"),
    ("{ req.payload_lv(0,9) -m found }", "w- w- w- w- w- w- w- w- w- w- w- w-"),
    ("{ req.len 3 }", "w- w- w- Y w- w- w- Y w- w- w- w-"),
    ("{ req.len gt 3 }", "w- w- w- w- Y Y Y w- w- Y w- Y"),
    ("{ req.len lt 3 }", "Y Y Y w- w- w- w- w- Y w- Y w-"),
    ("!{ req.len gt 3 }", "wY wY wY wY - - - wY wY - wY -"),
    ("{ req.len gt 3 } !{ req.len 5 }", "w- w- w- w- wY - wY w- w- wY w- wY"),
    ("{ payload(0,3) -m found }", "w- w- w- Y Y Y Y Y w- Y w- Y"),
    ("WAIT_END", "wY wY wY wY wY wY wY wY wY wY wY wY"),
    ("REQ_CONTENT", "w- Y Y Y Y Y Y Y Y Y Y Y"),
    ("{ src 1.1.1.1 }", "- - - - - - - - - - - -"),
    ("{ src 1.1.1.1 } { req.len 99 }", "- - - - - - - - - - - -"),
    ("{ req.len 99 } or { src 127.0.0.1 }", "Y Y Y Y Y Y Y Y Y Y Y Y"),
    ("{ req.len 99 } { src 1.1.1.1 }", "- - - - - - - - - - - -"),
];

#[test]
fn conditions_wait_for_what_haproxy_waits_for() {
    for (condition, cells) in CASES {
        let line = format!("reject if {condition}");
        let cells: Vec<&str> = cells.split(' ').collect();
        assert_eq!(cells.len(), INPUTS.len(), "{condition}");
        for (bytes, cell) in INPUTS.iter().zip(cells) {
            let (now, then) = match cell {
                "Y" => (Rejected, Rejected),
                "-" => (Passed, Passed),
                "wY" => (NotYet, Rejected),
                _ => (NotYet, Passed),
            };
            let shown = bytes.escape_ascii();
            let got = decide(&[&line], bytes, false);
            assert_eq!(got, now, "{condition} of {shown}");
            let got = decide(&[&line], bytes, true);
            assert_eq!(got, then, "{condition} of {shown} at the end");
        }
    }
}

#[test]
fn rules_run_in_order_until_one_decides() {
    let decided = |lines: &[&str]| decide(lines, b"abc", false);
    assert_eq!(decided(&[]), Passed);
    assert_eq!(decided(&["accept", "reject"]), Passed);
    assert_eq!(decided(&["reject", "accept"]), Rejected);
    assert_eq!(decided(&["accept if { req.len 99 }", "reject"]), NotYet);
    assert_eq!(decided(&["reject unless { req.len 3 }"]), Passed);
    assert_eq!(decided(&["reject if"]), Passed);
}

#[test]
fn what_rules_say_is_seen_by_those_that_follow() {
    let lines = [
        "set-priority-class int(7)",
        "set-priority-offset req.len if { prio_class 7 }",
        "set-priority-class hdr_val(x)",
        "accept if { prio_offset 3 }",
        "reject",
    ];
    let mut around = Around::default();
    let rules = rules(&lines, &mut around);
    let mut scratch = scratch();
    let context = Beginning::of(b"abc", true);
    let verdict = evaluate(&rules, &around.acls, &context, &mut scratch);
    assert_eq!(verdict, Passed);
    assert_eq!(
        (scratch.said.class, scratch.said.offset),
        (Some(7), Some(3))
    );
}

#[test]
fn what_rules_read_is_known() {
    let mut around = Around::default();
    let lines = [
        "accept if { req.len 3 }",
        "accept if { path /x } or { src 1.1.1.1 }",
        "set-priority-class hdr_val(x)",
        "accept if HTTP { dst 1.1.1.1 }",
        "accept",
    ];
    let rules = rules(&lines, &mut around);
    let acls = &around.acls;
    let bytes: Vec<bool> = rules.iter().map(|rule| rule.reads_bytes(acls)).collect();
    assert_eq!(bytes, [true, false, false, false, false]);
    let requests: Vec<bool> = rules.iter().map(|rule| rule.reads_request(acls)).collect();
    assert_eq!(requests, [false, true, true, true, false]);
    let near: Vec<bool> = rules
        .iter()
        .map(|rule| rule.needs_destination(acls))
        .collect();
    assert_eq!(near, [false, false, false, true, false]);
}
