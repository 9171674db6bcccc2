//! A plan leaves out only what would have said no.

use std::rc::Rc;

use super::{Conditional, Group, Planner, Rules, Walk};
use crate::rules::condition::Condition;
use crate::rules::fetch::Scope;
use crate::rules::lists::{ListChange, Lists};
use crate::rules::tests::{Around, Session, scratch, slices, words};

/// A rule that is only its condition.
struct Bare(Option<Condition>);

impl Conditional for Bare {
    fn condition(&self) -> Option<&Condition> {
        self.0.as_ref()
    }
}

fn list(around: &mut Around, lines: &[String]) -> Rules<Bare> {
    planned(around, lines).0
}

fn planned(around: &mut Around, lines: &[String]) -> (Rules<Bare>, Vec<Rc<Group>>) {
    let mut list = Vec::new();
    for line in lines {
        let words = words(line);
        let compiled = (!line.is_empty()).then(|| {
            around
                .compile(|c| Condition::compile(&slices(&words), Scope::Request, c))
                .unwrap_or_else(|problem| panic!("{line}: {}", problem.message))
        });
        list.push(Bare(compiled));
    }
    let mut planner = Planner::new(&around.acls);
    (Rules::new(list, &mut planner), planner.finish())
}

/// The rules that are asked on the way, and those of them that hold.
fn walked(rules: &Rules<Bare>, around: &Around, session: &Session) -> (usize, Vec<usize>) {
    let (mut walk, mut scratch) = (Walk::default(), scratch());
    let (mut asked, mut held) = (0, Vec::new());
    while let Some(rule) = rules.next(&mut walk, &around.acls, session, &mut scratch) {
        asked += 1;
        let holds = rule.0.as_ref();
        if holds.is_none_or(|c| c.holds(&around.acls, session, &mut scratch)) {
            let at = rules.iter().position(|other| std::ptr::eq(other, rule));
            held.extend(at);
        }
    }
    (asked, held)
}

fn one_by_one(rules: &Rules<Bare>, around: &Around, session: &Session) -> Vec<usize> {
    let mut scratch = scratch();
    let held = rules.iter().enumerate().filter(|(_, rule)| {
        let condition = rule.0.as_ref();
        condition.is_none_or(|c| c.holds(&around.acls, session, &mut scratch))
    });
    held.map(|(at, _)| at).collect()
}

fn session(path: &str, fields: &str) -> Session {
    // `*` is a target of OPTIONS alone.
    let method = if path == "*" { "OPTIONS" } else { "GET" };
    Session::with(format!("{method} {path} HTTP/1.1\r\n{fields}\r\n").as_bytes())
}

#[test]
fn five_hundred_prefixes_are_not_tried_one_by_one() {
    let mut around = Around::default();
    let mut lines: Vec<String> = (0..500)
        .map(|n| format!("if {{ path_beg /r{n}/ }}"))
        .collect();
    lines.push(String::new());
    let rules = list(&mut around, &lines);
    let found = |path| walked(&rules, &around, &session(path, "Host: a\r\n"));
    assert_eq!(found("/elsewhere"), (1, vec![500]));
    assert_eq!(found("/r7/x"), (2, vec![7, 500]));
    assert_eq!(found("/r499/"), (2, vec![499, 500]));
    assert_eq!(found("/r500/"), (1, vec![500]));
}

#[test]
fn a_second_term_is_still_asked() {
    let mut around = Around::default();
    let rules = list(
        &mut around,
        &[
            "if { path_beg /a } { hdr(x) 1 }".to_owned(),
            "if { path_beg /a } !{ hdr(x) 2 }".to_owned(),
            "if { path_beg /b } or { path_beg /a } { hdr(x) 2 }".to_owned(),
        ],
    );
    let found = |fields| walked(&rules, &around, &session("/a/b", fields)).1;
    assert_eq!(found("Host: a\r\nX: 1\r\n"), [0, 1]);
    assert_eq!(found("Host: a\r\nX: 2\r\n"), [2]);
    assert_eq!(found("Host: a\r\n"), [1]);
}

#[test]
fn after_an_edit_candidates_are_looked_up_again() {
    let mut around = Around::default();
    let lines = ["/a", "/b", "/a", "/b"].map(|path| format!("if {{ path_beg {path} }}"));
    let rules = list(&mut around, &lines);
    let (mut walk, mut scratch) = (Walk::default(), scratch());
    let mut next = |path, forget: bool| {
        if forget {
            walk.forget();
        }
        let session = session(path, "Host: a\r\n");
        let rule = rules.next(&mut walk, &around.acls, &session, &mut scratch)?;
        rules.iter().position(|other| std::ptr::eq(other, rule))
    };
    assert_eq!(next("/a", false), Some(0));
    assert_eq!(next("/b", true), Some(1));
    assert_eq!(next("/b", false), Some(3));
    assert_eq!(next("/b", false), None);
}

/// Conditions of all kinds in any order, against requests that meet some of them.
#[test]
fn it_finds_what_trying_one_by_one_finds() {
    const TERMS: &[&str] = &[
        "{ path_beg /a }",
        "{ path_beg /a/b /c }",
        "{ path_beg -i /A/B }",
        "{ path / }",
        "{ path /a/b.png -i }",
        "{ path_end .png }",
        "{ path_end -i .PNG .gif }",
        "{ path -m end g }",
        "{ path_beg -- }",
        "{ path_sub b }",
        "{ path_dir a }",
        "{ path_reg ^/[ab] }",
        "{ path_len gt 3 }",
        "{ path,lower -m beg /a }",
        "{ path,length -m str 4 }",
        "{ hdr(host) -i A.example b.example }",
        "{ hdr(host) a.example }",
        "{ req.hdr(host) -m end example }",
        "{ hdr_beg(host) a }",
        "{ hdr(x) 1 2 }",
        "{ hdr(x) 3 }",
        "{ url_beg /a }",
        "{ src 127.0.0.0/8 }",
        "{ method GET }",
        "{ query q=1 }",
        "{ date gt 0 }",
        "{ always_false }",
        "{ path_end -f ends }",
        "{ path_beg -i -f ends /x }",
    ];
    /// What is added and taken away.
    const LITERALS: &[&str] = &["/a", "/A/B", "/", ".png", "b.example", "3", "GET", "::1"];
    let mut state = 7_u64;
    let mut below = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % n
    };
    let paths = [
        "/", "/a", "/a/b.png", "/A/b.PNG", "/c/d.gif", "/a/b?q=1", "*",
    ];
    let fields = [
        "Host: a.example\r\n",
        "Host: B.example\r\nX: 1, 3\r\n",
        "Host: x\r\nX: 3\r\nX: 2\r\n",
    ];
    let mut sessions: Vec<Session> = paths
        .iter()
        .flat_map(|path| fields.map(|fields| session(path, fields)))
        .collect();
    for _ in 0..300 {
        let lines: Vec<String> = (0..1 + below(12))
            .map(|_| {
                let mut line = String::new();
                for at in 0..below(4) {
                    line += match (at, below(4)) {
                        (0, 0) => "unless ",
                        (0, _) => "if ",
                        (_, 0) => "or ",
                        _ => "",
                    };
                    line += ["", "", "", "!"][below(4)];
                    line += TERMS[below(TERMS.len())];
                    line += " ";
                }
                line
            })
            .collect();
        let mut around = Around::default();
        around.files.insert("ends", b".png\n/b\n");
        let (rules, groups) = planned(&mut around, &lines);
        for session in &sessions {
            let (_, found) = walked(&rules, &around, session);
            assert_eq!(found, one_by_one(&rules, &around, session), "{lines:#?}");
        }
        // The same where patterns come and go while it runs.
        let mut lists = Lists::new(around.read.take_lists());
        for _ in 0..3 {
            for _ in 0..1 + below(4) {
                let list = below(lists.all().len().max(1));
                let literal = LITERALS[below(LITERALS.len())].as_bytes().to_vec();
                let Some(known) = lists.all().get(list) else {
                    continue;
                };
                let change = match below(4) {
                    0 => ListChange::Delete(literal),
                    1 => ListChange::Clear(0),
                    _ if known.check(&literal, b"").is_ok() => {
                        ListChange::Add(0, vec![(literal, Vec::new())])
                    }
                    _ => continue,
                };
                lists.change(list, change);
            }
            lists.refresh(&around.acls, &groups);
            let present = Rc::new(lists);
            for session in &mut sessions {
                session.lists = Rc::clone(&present);
                let (_, found) = walked(&rules, &around, session);
                assert_eq!(found, one_by_one(&rules, &around, session), "{lines:#?}");
                session.lists = Rc::default();
            }
            lists = Rc::into_inner(present).unwrap();
        }
    }
}
