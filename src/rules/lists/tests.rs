//! Lists of ACLs: what they show, and that patterns that come and go are those compared with.

use std::rc::Rc;

use super::{Difference, List, ListChange, Lists, Which, names};
use crate::rules::condition::AclId;
use crate::rules::file::Columns;
use crate::rules::pattern::{Flavour, Matching};
use crate::rules::tests::{Around, Session, scratch};

fn around(lines: &[&str]) -> Around {
    let mut around = Around::default();
    around
        .files
        .insert("hosts", b"# names\na.example\n\n  B.example  \r\n");
    around.files.insert("pairs", b"/k one\n/l two\n");
    for (line, number) in lines.iter().zip(1..) {
        around.read.begin("f", number);
        around.declare(line);
    }
    around
}

/// What each list shows: its number, its uses and its entries.
fn shown(lists: &Lists) -> Vec<String> {
    let shown = lists.all().iter().map(|list| {
        let lines: Vec<String> = list.uses.iter().map(|(_, n)| n.to_string()).collect();
        let entries = list.entries(list.current);
        let entries: Vec<_> = entries.map(|e| String::from_utf8_lossy(e.key)).collect();
        let path = list.path().unwrap_or_default();
        format!(
            "{} {path}:{} [{}]",
            list.id,
            lines.join(","),
            entries.join("|")
        )
    });
    shown.collect()
}

#[test]
fn each_file_and_each_line_is_a_list_with_a_number() {
    let around = around(&[
        "a path_beg /a /b",
        "b hdr(host) -f hosts -i -f hosts x",
        "c hdr(host) -f hosts",
        "d src -u 1 10.0.0.0/8",
        "e path -M -f pairs",
        "n req.hdr_cnt(x) gt 3 5 le 2 1:6 eq 7",
        "m path -m found",
    ]);
    let expected = [
        "0 :1 [/a|/b]",
        "2 hosts:2,2,3 [a.example|B.example  ]",
        "3 :2 [x]",
        "4 :3 []",
        "1 :4 [10.0.0.0/8]",
        "5 pairs:5 [/k|/l]",
        "6 :5 []",
        "7 :6 [4:|6:|:2|1:6|7]",
        "8 :7 []",
    ];
    assert_eq!(shown(&Lists::new(around.read.take_lists())), expected);
}

#[test]
fn a_line_that_is_compiled_again_has_the_same_lists() {
    let mut around = around(&["a path_beg /a", "b path /a"]);
    for number in [1, 1, 2] {
        around.read.begin("f", number);
        let line = if number == 1 {
            "a path_beg /a"
        } else {
            "b path /a"
        };
        around.declare(line);
    }
    let expected = ["0 :1 [/a]", "1 :2 [/a]"];
    assert_eq!(shown(&Lists::new(around.read.take_lists())), expected);
}

#[test]
fn patterns_that_come_and_go_are_those_compared_with() {
    let around = around(&[
        "a path_beg /a",
        "b hdr(host) -f hosts -i -f hosts",
        "c path_len gt 5",
        "d src 10.0.0.0/8",
        "e path_sub zz -i",
        "g method GET",
    ]);
    let mut lists = Lists::new(around.read.take_lists());
    let place = |lists: &Lists, id| lists.all().iter().position(|l| l.id == id).unwrap();
    let said = |lists: Lists, request: &str| -> (Vec<bool>, Lists) {
        let lists = Rc::new(lists);
        let mut session = Session::with(request.as_bytes());
        session.lists = Rc::clone(&lists);
        let mut scratch = scratch();
        let ids = (0..around.acls.len()).map(|at| AclId(at as u32));
        let said = ids.zip(&around.acls);
        let said = said.map(|(id, acl)| acl.matches(id, &session, &mut scratch));
        let said = said.collect();
        drop(session);
        (said, Rc::into_inner(lists).unwrap())
    };
    let request = "POST /x HTTP/1.1\r\nHost: B.EXAMPLE\r\n\r\n";
    let (before, mut unchanged) = said(std::mem::take(&mut lists), request);
    assert_eq!(before, [false, false, false, false, false, false]);
    let add = |lists: &mut Lists, id, pattern: &str| {
        let list = &lists.all()[place(lists, id)];
        list.check(pattern.as_bytes(), b"").unwrap();
        let pattern = pattern.as_bytes().to_vec();
        lists.change(
            place(lists, id),
            ListChange::Add(0, vec![(pattern, Vec::new())]),
        );
    };
    for (id, pattern) in [
        (0, "/x"),
        (1, "b.example"),
        (3, "2"),
        (4, "127.0.0.1"),
        (5, "x"),
        (6, "POST"),
    ] {
        add(&mut unchanged, id, pattern);
    }
    unchanged.refresh(&around.acls, &[]);
    let (now, mut lists) = said(unchanged, request);
    assert_eq!(now, [true, true, true, true, true, true]);
    // Nothing is left of them: an empty list matches nothing.
    for id in 0..7 {
        lists.change(place(&lists, id), ListChange::Clear(0));
    }
    lists.refresh(&around.acls, &[]);
    let (now, lists) = said(lists, request);
    assert_eq!(now, [false; 6]);
    assert!(!lists.all()[0].has(Which::Key(b"/x")));
}

#[test]
fn what_is_found_is_shown_as_haproxy_does() {
    let around = around(&[
        "a path_beg / /a /ab",
        "b path_beg -i /A",
        "i src 10.0.0.0/8 10.1.0.0/16 1.2.0.3/255.255.0.255",
        "n req.hdr_cnt(x) gt 3",
        "l path_len 3:5",
        "t always_true",
        "h req.hdr(x) -m bin 4142",
    ]);
    let lists = Lists::new(around.read.take_lists());
    let cases = [
        (0, "/abc", "beg true /ab"),
        (1, "/ab", "beg false /A"),
        (2, "10.1.2.3", "ip true 10.1.0.0/16"),
        (2, "1.2.9.3", "ip false 1.2.0.3/255.255.0.255"),
        (2, "nonsense", "ip"),
        (3, "4", "int false 4:"),
        (3, "x", "int"),
        (4, "abcd", "len false 3:5"),
        (5, "1", "bool true -"),
        (5, "0", "bool"),
        (6, "AB", "bin false 4142"),
    ];
    for (list, text, expected) in cases {
        let found = lists.all()[list].find(text.as_bytes());
        let [found] = &found[..] else {
            panic!("{text}: {found:?}");
        };
        let mut shown = found.matching.to_owned();
        if let Some(hit) = &found.hit {
            let entry = hit.entry.as_ref();
            let entry = entry.map_or_else(|| "-".into(), |(key, _)| String::from_utf8_lossy(key));
            shown += &format!(" {} {entry}", hit.is_tree);
        }
        assert_eq!(shown, expected, "{text}");
    }
}

/// The entries of the version in use, and the versions.
fn told(list: &List) -> String {
    let entries = list.entries(list.current).map(|entry| {
        let [key, value] = [entry.key, entry.value].map(String::from_utf8_lossy);
        format!("{key}={value}")
    });
    let entries: Vec<String> = entries.collect();
    format!("{}/{} {}", list.current, list.next, entries.join(" "))
}

fn map(contents: &str) -> List {
    let contents = contents.as_bytes().into();
    List::of_file("m".to_owned(), contents, Columns::Two)
}

#[test]
fn what_was_changed_is_done_again_to_what_the_file_says_now() {
    let pair = |key: &str, value: &str| (key.into(), value.into());
    let change = |changes: Vec<ListChange>| {
        let read = map("/a 1\n/b 2\n/c 3\n/a 4\n");
        let mut lists = Lists::new(vec![read.clone()]);
        for change in changes {
            lists.change(0, change);
        }
        lists.all()[0].difference(&read)
    };
    assert_eq!(change(Vec::new()), None);
    let edits = change(vec![
        ListChange::Delete(b"/b".to_vec()),
        ListChange::Set(b"/c".to_vec(), b"33".to_vec()),
        ListChange::DeleteOne(4),
        ListChange::Add(0, vec![pair("/n", "5"), pair("/a", "1")]),
    ]);
    let replaced = change(vec![
        ListChange::Prepare,
        ListChange::Prepare,
        ListChange::Add(1, vec![pair("/a", "1"), pair("/x", "9")]),
        ListChange::Add(2, vec![pair("/y", "8")]),
        ListChange::Commit(1),
    ]);
    let begun = change(vec![ListChange::Prepare]);
    let cases = [
        (&edits, "/a 1\n/b 2\n/c 3\n/a 4\n", "0/0 /a=1 /c=33 /n=5"),
        // What was edited stays as it was edited; what the file has by now is not there twice.
        (&edits, "/n 5\n/b 22\n/c 4\n", "0/0 /n=5 /b=22 /c=4 /a=1"),
        (&edits, "", "0/0 /n=5 /a=1"),
        (
            &replaced,
            "/a 1\n/b 2\n/c 3\n/a 4\n/new 7\n",
            "1/2 /new=7 /a=1 /x=9",
        ),
        (&begun, "/a 1\n", "0/1 /a=1"),
    ];
    for (difference, contents, expected) in cases {
        let difference = difference.as_ref().unwrap();
        let read = map(contents);
        let mut list = read.clone();
        assert_eq!(list.follow(difference), 0);
        assert_eq!(told(&list), expected, "{contents}");
        // A third process is told the same, or what amounts to it.
        if let Some(again) = list.difference(&read) {
            let mut third = read.clone();
            third.follow(&again);
            assert_eq!(told(&third), told(&list), "{contents}");
        }
    }
    // Who reads the list here may not be able to read all of it.
    let mut numbers = List::of_file("m".to_owned(), b""[..].into(), Columns::One);
    let flavour = Flavour {
        matching: Matching::Int,
        any_case: false,
    };
    numbers.add_flavour(flavour);
    let added = vec![
        (0, b"7".to_vec(), Vec::new()),
        (0, b"x".to_vec(), Vec::new()),
    ];
    let difference = Difference {
        added,
        ..Difference::default()
    };
    assert_eq!(numbers.follow(&difference), 1);
    assert_eq!(told(&numbers), "0/0 7=");
}

#[test]
fn lists_are_known_by_file_number_or_words() {
    let name = |lines: &[&str]| names(&around(lines).read.take_lists());
    let first = name(&[
        "a path /x",
        "a path /y",
        "b path -u 7 /x",
        "d path -f hosts",
    ]);
    let other = name(&[
        "n src ::1",
        "b path_beg -u 7 /z",
        "a path /z",
        "a path /y",
        "d path -f hosts",
    ]);
    let known: Vec<Option<usize>> = other
        .iter()
        .map(|name| first.iter().position(|other| other == name))
        .collect();
    // The words of an ACL with a name may be others now.
    assert_eq!(known, [None, Some(2), Some(0), Some(1), Some(3), Some(4)]);
}
