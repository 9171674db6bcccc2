//! Holds the table against what HAProxy 2.6.12 knows (`known.txt`), and the texts of the gate
//! against what it says.

use super::super::lexer::{Lexer, Variables};
use super::*;

/// What HAProxy 2.6.12 knows: class, name, and for three classes how each section takes it (`X`
/// taken, `-` unknown, `N` not allowed, `I` ignored, `O` obsolete), and `no` where it may stand
/// before. Made from `haproxy -dKcfg`, the matrix of configuration.txt 4.1 and one run for each
/// keyword and section.
const KNOWN: &str = include_str!("known.txt");

const CLASSES: [(&str, Class); 7] = [
    ("section", Class::Section),
    ("keyword", Class::Keyword),
    ("option", Class::Option),
    ("timeout", Class::Timeout),
    ("bind", Class::Bind),
    ("server", Class::Server),
    ("http-request", Class::HttpRequest),
];

fn class(name: &str) -> Class {
    let known = CLASSES.iter().find(|(one, _)| *one == name);
    known.map_or(Class::HttpResponse, |(_, class)| *class)
}

#[test]
fn every_keyword_of_haproxy_is_in_the_table() {
    for line in KNOWN.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let row = find(class(words[0]), words[1]).unwrap_or_else(|| panic!("missing: {line}"));
        let Some(seen) = words.get(2) else { continue };
        if words.get(3) == Some(&"no") {
            assert!(row.negatable, "{line}");
        }
        for (section, seen) in Section::ALL.into_iter().zip(seen.bytes()) {
            let ours = row.taken_in(section);
            let fits = match seen {
                b'-' => ours == b'-',
                b'N' => matches!(ours, b'N' | b'A'),
                b'I' => matches!(ours, b'I' | b'L'),
                b'O' => matches!(row.status, Status::Obsolete(_)),
                // Seen without words, where HAProxy complains of something else first.
                _ => matches!(ours, b'X' | b'C' | b'L'),
            };
            assert!(fits, "{line}: {} in {}", ours as char, section.name());
        }
    }
}

#[test]
fn the_table_is_well_formed() {
    let classes = CLASSES.iter().map(|(_, class)| *class);
    let others = [Class::HttpResponse, Class::StatsSocket, Class::GlobalStats];
    for class in classes.chain(others) {
        let names: Vec<&str> = rows(class).map(|row| row.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names.len(), sorted.len(), "a name twice in {class:?}");
        for row in rows(class) {
            assert!(
                class == Class::Section || row.sections.len() == 5,
                "{}",
                row.name
            );
        }
    }
}

fn line(text: &str, found: &mut Diagnostics) -> Line {
    let file = found.add_file("F");
    let text = format!("{text}\n");
    Lexer::new(file, text.as_bytes())
        .next_line(&Variables::default(), found)
        .unwrap()
}

/// Gives one line to the gate and returns what it says (first line only).
fn said(section: Section, text: &str) -> String {
    let mut found = Diagnostics::default();
    let line = line(text, &mut found);
    let proxy = if section == Section::Defaults {
        ""
    } else {
        "p"
    };
    let scope = Scope { section, proxy };
    let admitted = match opening(&line, &mut found) {
        Opening::None => admit(scope, &line, &mut found),
        _ => None,
    };
    if let Some(admitted) = admitted {
        let rest = &admitted.line;
        match &*rest.word(0) {
            "option" => {
                let _ = admit_option(scope, &admitted, &mut found);
            }
            "timeout" => {
                let _ = admit_timeout(scope, rest, &mut found);
            }
            "bind" => {
                let context = format!("'bind {}' in section 'frontend'", rest.word(1));
                let _ = admit_word(Class::Bind, &context, rest, 2, &mut found);
            }
            "server" => {
                let context = format!("'server p/{}'", rest.word(1));
                let _ = admit_word(Class::Server, &context, rest, 3, &mut found);
            }
            "default-server" => {
                let _ = admit_word(Class::Server, "", rest, 1, &mut found);
            }
            "http-request" => {
                let _ = admit_word(Class::HttpRequest, "", rest, 1, &mut found);
            }
            "http-response" => {
                let _ = admit_word(Class::HttpResponse, "", rest, 1, &mut found);
            }
            "stats" if rest.words.len() > 3 => {
                let _ = admit_word(Class::StatsSocket, "", rest, 3, &mut found);
            }
            "stats" => {
                let _ = admit_word(Class::GlobalStats, "", rest, 1, &mut found);
            }
            _ => {}
        }
    }
    let lines: Vec<String> = found
        .list()
        .iter()
        .map(|one| found.render(one).lines().next().unwrap_or("").to_owned())
        .collect();
    lines.join(" | ")
}

#[test]
fn the_gate_speaks_as_haproxy_does() {
    use Section::{Backend as B, Defaults as D, Frontend as F, Global as G};
    let negation = format!("parsing [F:1]: {NEGATION}");
    let table: &[(Section, &str, &str)] = &[
        (
            F,
            "bindd :80",
            "unknown keyword 'bindd' in 'frontend' section; did you mean 'bind' maybe ?",
        ),
        (
            D,
            "frontent x",
            "unknown keyword 'frontent' in 'defaults' section; did you mean 'frontend' maybe ?",
        ),
        (
            F,
            "maxcon 3",
            "unknown keyword 'maxcon' in 'frontend' section; did you mean 'maxconn' maybe ?",
        ),
        (F, "zzz", "unknown keyword 'zzz' in 'frontend' section"),
        (
            F,
            "chroot /x",
            "unknown keyword 'chroot' in 'frontend' section",
        ),
        (
            G,
            "log-send-hostnam",
            "unknown keyword 'log-send-hostnam' in 'global' section; did you mean 'log-send-hostname' maybe ?",
        ),
        (D, "bind :80", "'bind' not allowed in 'defaults' section."),
        (
            D,
            "acl a path /",
            "'acl' not allowed in anonymous 'defaults' section.",
        ),
        (
            B,
            "bind :80",
            "'bind' ignored because backend 'p' has no frontend capability.",
        ),
        (
            F,
            "balance roundrobin",
            "'balance' ignored because frontend 'p' has no backend capability.",
        ),
        (
            B,
            "maxconn 5",
            "'maxconn' ignored because backend 'p' has no frontend capability. Maybe you want 'fullconn' instead ?",
        ),
        (
            B,
            "log-format x",
            "backend 'p' : 'log-format' directive is ignored in backends.",
        ),
        (
            F,
            "server s 1.2.3.4",
            "'server' not allowed because frontend 'p' has no backend capability.",
        ),
        (
            F,
            "mode http x",
            "'mode' cannot handle unexpected argument 'x'.",
        ),
        (
            G,
            "daemon x",
            "'daemon' cannot handle unexpected argument 'x'.",
        ),
        (
            G,
            "nbproc 2",
            "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.",
        ),
        (
            F,
            "reqadd x",
            "The 'reqadd' directive is not supported anymore since HAProxy 2.1. Use 'http-request add-header' instead.",
        ),
        (
            F,
            "contimeout 5",
            "the 'contimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout connect'.",
        ),
        (
            F,
            "stick-table type ip",
            "'stick-table' in 'frontend' section is not implemented by oneloop.",
        ),
        (
            F,
            "userlist x",
            "'userlist' sections are not implemented by oneloop.",
        ),
        (
            F,
            "option forwardfr",
            "unknown option 'forwardfr'; did you mean 'forwardfor' maybe ?",
        ),
        (F, "option zzz", "unknown option 'zzz'."),
        (
            F,
            "option abortonclose",
            "'abortonclose' ignored because frontend 'p' has no backend capability.",
        ),
        (
            B,
            "option httplog",
            "backend 'p' : 'option httplog' directive is ignored in backends.",
        ),
        (
            B,
            "option dontlognull",
            "'dontlognull' ignored because backend 'p' has no frontend capability.",
        ),
        (
            B,
            "option httpclose x",
            "'option httpclose' cannot handle unexpected argument 'x'.",
        ),
        (
            B,
            "option transparent",
            "'option transparent' is not implemented by oneloop.",
        ),
        (
            F,
            "timeout clien 1",
            "'timeout' supports 'client', 'server', 'connect', 'check', 'queue', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin' and 'server-fin' (got 'clien')",
        ),
        (
            F,
            "timeout server 1s",
            "'timeout server' will be ignored because frontend 'p' has no backend capability",
        ),
        (
            F,
            "bind :80 maxcon 5",
            "'bind :80' in section 'frontend': unknown keyword 'maxcon'; did you mean 'maxconn' maybe ?",
        ),
        (
            F,
            "bind :80 zzzzz",
            "'bind :80' in section 'frontend': unknown keyword 'zzzzz'.",
        ),
        (
            F,
            "bind :80 ssl",
            "'bind :80' in section 'frontend': 'ssl' is not implemented by oneloop.",
        ),
        (
            G,
            "stats socket /x leve admin",
            "'stats socket' : unknown keyword 'leve'. Did you mean 'level' maybe ?",
        ),
        (
            G,
            "stats foo",
            "'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got 'foo')",
        ),
        (
            F,
            "http-request set-var(txn.a) int(1)",
            "'http-request set-var' is not implemented by oneloop.",
        ),
    ];
    for (section, text, message) in table {
        let before = if text.starts_with("server") {
            "[F:1] : "
        } else {
            ""
        };
        assert_eq!(
            said(*section, text),
            format!("{before}parsing [F:1] : {message}"),
            "{text}"
        );
    }
    let other: &[(Section, &str, &str)] = &[
        (
            B,
            "server s 1.2.3.4 chekc",
            "[F:1] : 'server p/s' : unknown keyword 'chekc'; did you mean 'check' maybe ?",
        ),
        (
            B,
            "server s 1.2.3.4 zzzzz",
            "[F:1] : 'server p/s' : unknown keyword 'zzzzz'.",
        ),
        (
            B,
            "server s 1.2.3.4 ssl",
            "[F:1] : 'server p/s' : 'ssl' is not implemented by oneloop.",
        ),
        (
            B,
            "default-server chekc",
            "[F:1] : unknown keyword 'chekc'; did you mean 'check' maybe ? Hint: no address was expected for this server.",
        ),
        (
            B,
            "no option httplog",
            "parsing [F:1]: negation/default is not supported for option 'httplog'.",
        ),
        (
            B,
            "no option foo",
            "parsing [F:1]: negation/default is not supported for option 'foo'.",
        ),
        (
            B,
            "option",
            "parsing [F:1]: 'option' expects an option name.",
        ),
        (
            F,
            "option http-tunnel",
            "parsing [F:1]: option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it shouldn't be needed.",
        ),
        (G, "no daemon", &negation),
        (
            F,
            "bind-process all",
            "parsing [F:1]: 'bind-process' has no effect, is deprecated, and will be removed in version 2.7.",
        ),
    ];
    for (section, text, message) in other {
        assert_eq!(said(*section, text), *message, "{text}");
    }
    for (text, tail) in [
        (
            "http-response set-headr a",
            "'silent-drop', but got 'set-headr'. Did you mean 'set-header' maybe ?",
        ),
        ("http-response zzzz", "'silent-drop', but got 'zzzz'."),
        (
            "http-request",
            "'set-priority-offset', but got '' (missing argument).",
        ),
    ] {
        let told = said(F, text);
        let rule = text.split(' ').next().unwrap();
        let start = format!("parsing [F:1]: '{rule}' expects '");
        assert!(told.starts_with(&start) && told.ends_with(tail), "{told}");
    }
    for (section, text) in [
        (F, "bind :80"),
        (F, "bind :80 name x"),
        (B, "no option redispatch"),
        (B, "option redispatch 3"),
        (G, "no strict-limits"),
        (B, "no log"),
        (F, "option httplog clf"),
        (F, "description a b c"),
        (B, "server s 1.2.3.4 check"),
        (F, "http-request deny"),
        (G, "stats socket /x mode 660"),
        (F, "timeout client 5s"),
    ] {
        let said = said(section, text);
        assert!(
            said.is_empty() || said.ends_with("unknown keyword ''."),
            "{text}: {said}"
        );
    }
}

#[test]
fn a_keyword_of_another_section_is_sent_home() {
    let mut found = Diagnostics::default();
    let line = line("chroot /x", &mut found);
    let scope = Scope {
        section: Section::Frontend,
        proxy: "p",
    };
    assert!(admit(scope, &line, &mut found).is_none());
    let text = found.render(&found.list()[0]);
    assert!(
        text.ends_with("\n  chroot /x\n  ^^^^^^\n  'chroot' belongs in: global"),
        "{text}"
    );
}

#[test]
fn before_any_section() {
    let mut found = Diagnostics::default();
    let line = line("bind :80", &mut found);
    out_of_section(&line, &mut found);
    let text = found.render(&found.list()[0]);
    assert!(
        text.starts_with("parsing [F:1]: unknown keyword 'bind' out of section.\n"),
        "{text}"
    );
}

#[test]
fn the_list_has_what_is_supported() {
    let list = list();
    for line in [
        "global",
        "\tmaxconn +1",
        "listen",
        "\toption forwardfor",
        "\ttimeout client +1",
        "\tserver <name> <addr> weight +1",
        "\thttp-request set-path",
    ] {
        assert!(list.lines().any(|one| one == line), "{line}");
    }
    assert!(!list.contains("stick-table"));
}

#[test]
fn the_list_of_actions_has_all_of_the_table() {
    let lists = [
        (Class::HttpRequest, table::REQUEST_ACTIONS),
        (Class::HttpResponse, table::RESPONSE_ACTIONS),
    ];
    for (class, list) in lists {
        let names: Vec<&str> = list
            .split_ascii_whitespace()
            .map(|name| name.trim_end_matches("(*)"))
            .collect();
        for row in rows(class) {
            let name = row.name.trim_end_matches(['0', '1', '2']);
            assert!(
                names.contains(&row.name) || names.contains(&name),
                "{}",
                row.name
            );
        }
    }
}
