//! Lists of cookies, edited; dates; which answers caches may keep.

use proptest::prelude::*;

use super::super::head::{self, Head, Limits, Parsed, Progress};
use super::super::rewrite::Edits;
use super::*;

/// What becomes of a Cookie field when every pair of the name `S` meets a verdict.
fn after(list: &str, verdict: Verdict<'_>) -> String {
    edited(list, Place::Request, verdict)
}

fn edited(list: &str, place: Place, verdict: Verdict<'_>) -> String {
    let mut text = b"before".to_vec();
    let fate = edit(list.as_bytes(), place, &mut text, |name, _| match name {
        b"S" => verdict,
        _ => Verdict::Keep,
    });
    match fate {
        Fate::Stays => list.to_owned(),
        Fate::Becomes => String::from_utf8(text.split_off(6)).unwrap(),
        Fate::Goes => "(gone)".to_owned(),
    }
}

/// The names and values that a walk shows.
fn shown(list: &str, place: Place) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let own = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    edit(list.as_bytes(), place, &mut Vec::new(), |name, value| {
        all.push((own(name), own(value)));
        Verdict::Keep
    });
    all
}

/// Read off HAProxy 2.6.12, `cookie S insert indirect`.
#[test]
fn pairs_go() {
    for (list, left) in [
        ("S=B", "(gone)"),
        ("S = B ; y=2", "y=2"),
        ("x=1; S=A; y=2", "x=1; y=2"),
        ("S=A; y=2", "y=2"),
        ("x=1; S=B", "x=1"),
        (";S=B", "(gone)"),
        ("S=B;", "(gone)"),
        ("S=B;;", ";"),
        ("; ;S=B", "; "),
        ("S=B,y=1", "y=1"),
        ("y=1,S=B", "y=1"),
        ("y=1, S=B; z=2", "y=1; z=2"),
        ("y=1; S=B, z=2", "y=1, z=2"),
        ("S; S=B", "S"),
        ("S=A; S=B", "(gone)"),
        ("x=1;S=B;y=2", "x=1; y=2"),
        ("x=1 ; S=B ; y=2", "x=1; y=2"),
        ("x=1 ; S=B", "x=1 "),
        ("x=1;S=B;   y=2", "x=1; y=2"),
        ("x=1\t;\tS=B\t;\ty=2", "x=1; y=2"),
        ("$Version=1; S=B; $Path=/", "(gone)"),
        ("$Version=1; x=1; S=B; $Path=/; y=2", "$Version=1; x=1; y=2"),
        ("$x=1; S=B; $y=1; z; $w", "$x=1; z; $w"),
        ("S=B; $Path; x=1", "x=1"),
        ("x;S=B;", "x; "),
        ("x=1; S=B; ;", "x=1; ;"),
        ("x=1;;S=B", "x=1;"),
        ("a=1; S=A; b=2; S=B; c=3", "a=1; b=2; c=3"),
        ("S=B; x=\"unterminated", "x=\"unterminated"),
        ("S=\"B", "(gone)"),
        ("x=\"a; S=B", "x=\"a; S=B"),
        ("x=\"a\\\"; S=B\"; y=1", "x=\"a\\\"; S=B\"; y=1"),
        ("x=a\"; S=B", "x=a\"; S=B"),
        ("s=B", "s=B"),
        ("", ""),
        (";", ";"),
    ] {
        assert_eq!(after(list, Verdict::Drop), left, "{list}");
    }
}

/// The same, `cookie S prefix`: blanks around `=` go, whosever the cookie is.
#[test]
fn values_are_cut_and_blanks_go() {
    for (list, left) in [
        ("S=B~x", "S=x"),
        ("S = B~x ; y = 2", "S=x ; y=2"),
        ("x = 1; y= 2", "x=1; y=2"),
        ("$Path = /; S=B~", "$Path = /; S="),
        ("S=B; y= ; z =", "S=; y=; z="),
        ("x = 1", "x=1"),
        ("S=A~1; S=B~2", "S=1; S=2"),
    ] {
        assert_eq!(after(list, Verdict::Cut(2)), left, "{list}");
    }
}

/// The same, of answers: `rewrite` and `prefix`.
#[test]
fn answers_are_edited() {
    for (list, set, prefixed) in [
        ("S=foo", "S=A", "S=A~foo"),
        ("S=", "S=A", "S=A~"),
        ("S = foo ; path=/", "S=A ; path=/", "S=A~foo ; path=/"),
        ("S=\"a;b\"; path=/", "S=A; path=/", "S=A~\"a;b\"; path=/"),
        (
            "S=foo; path=/, S=bar",
            "S=A; path=/, S=bar",
            "S=A~foo; path=/, S=bar",
        ),
        ("S=foo ,x=1", "S=A ,x=1", "S=A~foo ,x=1"),
        ("S=\\\";x", "S=A", "S=A~\\\";x"),
        ("x = 1; S = 2", "x=1; S = 2", "x=1; S = 2"),
        ("S; path=/", "S; path=/", "S; path=/"),
        (";S=foo", ";S=foo", ";S=foo"),
    ] {
        let become_of = |verdict| edited(list, Place::Answer, verdict);
        assert_eq!(become_of(Verdict::Set(b"A")), set, "{list}");
        assert_eq!(become_of(Verdict::Prefix(b"A")), prefixed, "{list}");
        let left = if set == list || !list.starts_with('S') {
            set
        } else {
            "(gone)"
        };
        assert_eq!(become_of(Verdict::Drop), left, "{list}");
    }
    let list = "S=foo; path=\"/,\", x=1 , S=bar";
    let all = |verdict| edited(list, Place::Answers, verdict);
    assert_eq!(all(Verdict::Set(b"A")), "S=A; path=\"/,\", x=1 , S=A");
    assert_eq!(all(Verdict::Drop), "x=1 ");
}

#[test]
fn what_is_shown() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let list = "$v=1; a = b c ; d; =e; f==g=h, i=\"j;k\\\"l\" m";
    let all = ["a/b c", "/e", "f/=g=h", "i/\"j;k\\\"l\" m"];
    let all: Vec<_> = all.iter().filter_map(|one| one.split_once('/')).collect();
    let all: Vec<_> = all.iter().map(|(name, value)| pair(name, value)).collect();
    assert_eq!(shown(list, Place::Request), all);
    assert_eq!(shown("a=1; b=2, c=3", Place::Answer), [pair("a", "1")]);
    let both = [pair("a", "1"), pair("c", "3")];
    assert_eq!(shown("a=1; b=2, c=3", Place::Answers), both);
}

#[test]
fn captures() {
    for (begins, name, value, captured) in [
        ("S", "S", "1", true),
        ("S", "SESSION", "1", true),
        ("S", "s", "1", false),
        ("S=", "S", "1", true),
        ("S=", "SES", "1", false),
        ("S=1", "S", "12", true),
        ("S=2", "S", "1", false),
        ("SES", "S", "ES", false),
        ("", "x", "", true),
    ] {
        let found = is_captured(begins.as_bytes(), name.as_bytes(), value.as_bytes());
        assert_eq!(found, captured, "{begins} {name}={value}");
    }
}

#[test]
fn dates() {
    let mut text = Vec::new();
    let date = rounded(1_795_918_533);
    write_date(date, &mut text);
    // What HAProxy 2.6.12 wrote in that second.
    assert_eq!((date, text.as_slice()), (1_795_918_536, &b"awuKy"[..]));
    for (text, last, first) in [
        ("awuKy", date, 0),
        ("awuKy|awuKy", date, date),
        ("awuKy|awuKy|foo", date, date),
        ("awuKyxyz|awuKy", date, date),
        ("|awuKy", 0, date),
        ("awuK|", 0, 0),
        ("awuK=|AAAAA", 0, 0),
        ("@@@@@", 0, 0),
        ("", 0, 0),
        ("/////", ((1 << 30) - 1) * 4, 0),
    ] {
        assert_eq!(
            Dates::read(text.as_bytes()),
            Dates { last, first },
            "{text}"
        );
    }
}

fn cacheable(method: Method, status: u16, fields: &str) -> bool {
    let mut bytes = format!("HTTP/1.1 {status} X\r\n{fields}\r\n\r\n").into_bytes();
    if fields.is_empty() {
        bytes.truncate(bytes.len() - 2);
    }
    let mut head = Head::new(20);
    let limits = Limits {
        bytes_max: 4096,
        lenient: false,
    };
    let parsed = head::response(&mut bytes, &mut Progress::default(), &mut head, &limits);
    assert!(matches!(parsed, Parsed::Complete));
    let edits = Edits::new(20, 100);
    is_cacheable(&Message::new(&bytes, &head, &edits), method, status)
}

/// Read off HAProxy 2.6.12: where `nocache` adds `cache-control: private`.
#[test]
fn what_caches_may_keep() {
    let of = |fields: &str| cacheable(Method::Get, 200, fields);
    for fields in [
        "ETag: x",
        "Last-Modified:",
        "Expires: 0",
        "Cache-Control: max-age=10",
        "Cache-Control: s-maxage=5",
        "Cache-Control: max-age",
        "Cache-Control: max-age=00",
        "Cache-Control: public, max-age=10",
        "ETag: x\r\nCache-Control: max-age=0, public",
        "ETag: x\r\nCache-Control: no-cache=\"set-cookie\"",
        "ETag: x\r\nCache-Control: x=\"a, no-store\"",
        "ETag: x\r\nCache-Control: no-cache\r\nCache-Control: public",
        "ETag: x\r\nPragma: no-cache, x",
    ] {
        assert!(of(fields), "{fields}");
    }
    for fields in [
        "",
        "Cache-Control: public",
        "Cache-Control: max-age=0",
        "Cache-Control: max-age=0, public",
        "Cache-Control: s-maxage=0, max-age=10",
        "ETag: x\r\nCache-Control: NO-CACHE",
        "ETag: x\r\nCache-Control: private",
        "ETag: x\r\nCache-Control: no-store",
        "ETag: x\r\nCache-Control: public\r\nPragma: no-cache",
        "ETag: x\r\nPragma: No-Cache\r\nCache-Control: public",
        "Age: 1",
    ] {
        assert!(!of(fields), "{fields}");
    }
    for status in [200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501] {
        assert!(cacheable(Method::Get, status, "ETag: x"), "{status}");
        assert!(!cacheable(Method::Post, status, "ETag: x"), "{status}");
    }
    for status in [
        201, 202, 302, 303, 304, 307, 308, 400, 401, 403, 500, 502, 503,
    ] {
        assert!(!cacheable(Method::Get, status, "ETag: x"), "{status}");
    }
    let public = "ETag: x\r\nCache-Control: public";
    assert!(cacheable(Method::Post, 302, public));
}

proptest! {
    /// Whatever a field holds: nothing panics, the walk ends, and a list that was edited once is
    /// left alone by the next walk.
    #[test]
    fn hostile_lists(list in "[S=;,$~|\" \\t\\\\xB]{0,60}", place in 0..3_usize) {
        let place = [Place::Request, Place::Answer, Place::Answers][place];
        let verdicts = [
            Verdict::Keep,
            Verdict::Cut(1),
            Verdict::Set(b"new"),
            Verdict::Prefix(b"A"),
        ];
        for verdict in verdicts {
            let mut text = Vec::new();
            edit(list.as_bytes(), place, &mut text, |_, _| verdict);
            prop_assert!(text.len() <= list.len() * 4 + 8);
        }
        let kept = edited(&list, place, Verdict::Keep);
        prop_assert_eq!(&edited(&kept, place, Verdict::Keep), &kept);
        let left = edited(&list, place, Verdict::Drop);
        if left != "(gone)" {
            let names = shown(&left, place);
            prop_assert!(names.iter().all(|(name, _)| name != "S"), "{} -> {}", list, left);
        }
    }
}
