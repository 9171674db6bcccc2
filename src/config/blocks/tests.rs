//! Every row was given to HAProxy 2.6.12, as `.if` and as `-cc`.

use super::*;

fn environment() -> Variables {
    Variables::new([("HOME", "/root")])
}

fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let mut found = Diagnostics::default();
    let file = found.add_file("F");
    let mut reader = Reader::new(file, text.as_bytes());
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line(&environment(), &mut found) {
        lines.push(
            line.words
                .iter()
                .map(|word| word.str())
                .collect::<Vec<_>>()
                .join(" "),
        );
    }
    (
        lines,
        found.list().iter().map(|one| found.render(one)).collect(),
    )
}

#[test]
fn conditions() {
    let yes = [
        "1",
        "01",
        "-1",
        "+1",
        "10",
        "1 ",
        " 1",
        "99999999999999999999",
        "defined(HOME)",
        "feature(EPOLL)",
        "feature()",
        "feature",
        "streq(a,a)",
        "streq(,)",
        "strneq(a,b)",
        "streq(\"a,b\",\"a,b\")",
        "streq('a b','a b')",
        "streq(a b,a b)",
        "streq(\"a\"b,ab)",
        "streq(\"a\\\\b\",\"a\\b\")",
        "version_atleast(2.6)",
        "version_atleast(2.6.12)",
        "version_atleast(2.6-dev1)",
        "version_atleast(2.6.12-dev1)",
        "version_atleast(x)",
        "version_atleast(2)",
        "version_atleast()",
        "version_atleast",
        "version_atleast(2.6.12-rc1)",
        "version_atleast(2.6.12-pre3)",
        "version_atleast(2.6.11-999)",
        "version_atleast(2.6.12-0)",
        "version_atleast(2..6)",
        "version_atleast(2.6x)",
        "version_before(2.7-dev1)",
        "version_before(2.6.13)",
        "version_before(2.6.12-1)",
        "!0",
        "! 0",
        "!!1",
        "(1)",
        "(!0)",
        "1&&1",
        "0||1",
        "1 && 1",
        "0 && 1 || 1",
        "1 || 1 && 0",
        "!0&&!0",
        "!(1&&0)",
        "streq(a,a) && defined(HOME)",
        "defined(HOME) ",
    ];
    for text in yes {
        assert_eq!(evaluate_text(text, &environment()), Ok(true), "{text}");
    }
    let no = [
        "",
        "0",
        "00",
        "defined(NOPE)",
        "defined( HOME )",
        "defined",
        "defined()",
        "feature(epoll)",
        "feature(NOPE)",
        "feature(OPENSSL)",
        "feature(+EPOLL)",
        "streq(a,b)",
        "streq(a, a)",
        "streq(A,a)",
        "strneq(a,a)",
        "streq(\"a\" ,a)",
        "version_atleast(2.7)",
        "version_atleast(2.6.13)",
        "version_atleast(2.6.12-1)",
        "version_atleast(3)",
        "version_atleast(2.7-dev0)",
        "version_atleast(2.6.12.1)",
        "version_before(2.6)",
        "version_before()",
        "version_before(foo)",
        "!1",
        "((0))",
        "1&&0",
        "0||0",
        "(1||1)&&0",
        "!-1",
    ];
    for text in no {
        assert_eq!(evaluate_text(text, &environment()), Ok(false), "{text}");
    }
}

#[test]
fn wrong_conditions() {
    let used = "used in conditional expression";
    let table = [
        (
            "1x",
            2,
            "unexpected character 'x' at the end of conditional expression '1x'".to_owned(),
        ),
        (" ", 1, "unparsable conditional sub-expression ' '".into()),
        ("  ", 1, "unparsable conditional sub-expression '  '".into()),
        (
            "defined(HOME",
            13,
            format!("expected ')' in argument 1 of predicate 'defined' {used}"),
        ),
        (
            "defined HOME",
            9,
            "unexpected character 'H' at the end of conditional expression 'defined HOME'".into(),
        ),
        (
            "defined(HOME,X)",
            13,
            format!("expected ')' before ',X)' in argument 1 of predicate 'defined' {used}"),
        ),
        (
            "defined((HOME))",
            15,
            "unexpected character ')' at the end of conditional expression 'defined((HOME))'"
                .into(),
        ),
        (
            "streq(a)",
            8,
            format!(
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' {used}"
            ),
        ),
        (
            "streq()",
            7,
            format!(
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' {used}"
            ),
        ),
        (
            "streq (a,a)",
            6,
            format!(
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' {used}"
            ),
        ),
        (
            "streq(\"a,a)",
            12,
            format!(
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' {used}"
            ),
        ),
        (
            "streq(a,",
            9,
            format!("expected ')' in argument 1 of predicate 'streq' {used}"),
        ),
        (
            "streq(a,a,a)",
            10,
            format!("expected ')' before ',a)' in argument 1 of predicate 'streq' {used}"),
        ),
        (
            "streq(a\\,b,c)",
            11,
            format!("expected ')' before ',c)' in argument 1 of predicate 'streq' {used}"),
        ),
        (
            "enabled(POLL)",
            1,
            "unparsable conditional expression 'enabled(POLL)'".into(),
        ),
        ("!", 1, "unparsable conditional expression '!'".into()),
        ("! ", 1, "unparsable conditional expression '! '".into()),
        ("!foo", 1, "unparsable conditional expression '!foo'".into()),
        (" foo", 1, "unparsable conditional expression ' foo'".into()),
        ("(", 1, "unparsable conditional expression '('".into()),
        ("( ", 1, "unparsable conditional expression '( '".into()),
        ("!(", 1, "unparsable conditional expression '!('".into()),
        ("()", 2, "unparsable conditional expression ')'".into()),
        (
            "(1",
            1,
            "expected ')' after conditional expression '(1'".into(),
        ),
        (
            "((1)",
            1,
            "expected ')' after conditional expression '((1)'".into(),
        ),
        (
            "!(1",
            1,
            "expected ')' after conditional expression '!(1'".into(),
        ),
        (
            "1 && (1",
            6,
            "expected ')' after conditional expression '(1'".into(),
        ),
        (
            "1)",
            2,
            "unexpected character ')' at the end of conditional expression '1)'".into(),
        ),
        (
            "(foo)",
            2,
            "unparsable conditional expression 'foo)'".into(),
        ),
        (
            "1 & 1",
            3,
            "unexpected character '&' at the end of conditional expression '1 & 1'".into(),
        ),
        (
            "1|1",
            2,
            "unexpected character '|' at the end of conditional expression '1|1'".into(),
        ),
        ("1&&", 2, "unparsable conditional expression '&&'".into()),
        (
            " 1 && ",
            4,
            "unparsable conditional expression '&& '".into(),
        ),
        (
            "0&&1&&",
            2,
            "unparsable conditional expression '&&1&&'".into(),
        ),
        ("1||", 2, "unparsable conditional expression '1||'".into()),
        (
            "1 || ",
            3,
            "unparsable conditional expression '1 || '".into(),
        ),
        (
            "0 || 1 ||",
            3,
            "unparsable conditional expression '0 || 1 ||'".into(),
        ),
        (
            "1 && 1 || ",
            8,
            "unparsable conditional expression '1 && 1 || '".into(),
        ),
        ("(1&&)", 5, "unparsable conditional expression ')'".into()),
        ("(1||)", 5, "unparsable conditional expression ')'".into()),
        ("||1", 1, "unparsable conditional expression '||1'".into()),
        ("1 && !", 6, "unparsable conditional expression '!'".into()),
        (
            "1 || foo",
            6,
            "unparsable conditional expression 'foo'".into(),
        ),
        (
            "1 ||  foo(a",
            7,
            "unparsable conditional expression 'foo(a'".into(),
        ),
        (
            "1 && (0 || foo)",
            12,
            "unparsable conditional expression 'foo)'".into(),
        ),
        (
            "0 && 1 || foo",
            11,
            "unparsable conditional expression 'foo'".into(),
        ),
        (
            "1.5",
            2,
            "unexpected character '.' at the end of conditional expression '1.5'".into(),
        ),
        ("+ 1", 1, "unparsable conditional expression '+ 1'".into()),
        (
            "1(1)",
            2,
            "unexpected character '(' at the end of conditional expression '1(1)'".into(),
        ),
    ];
    for (text, position, message) in table {
        let wrong = Wrong {
            text: message,
            at: position - 1,
        };
        assert_eq!(evaluate_text(text, &environment()), Err(wrong), "{text}");
    }
    let deep = "(".repeat(100_000);
    assert!(evaluate_text(&deep, &environment()).is_err());
}

#[test]
fn on_the_command_line() {
    let table: &[(&str, Result<bool, &str>)] = &[
        ("1", Ok(true)),
        ("", Ok(false)),
        ("'1'", Ok(true)),
        ("\"streq($HOME,/root)\"", Ok(true)),
        ("  1  ", Ok(true)),
        ("streq(a  b,a b)", Ok(true)),
        ("\"1", Err("Syntax Error in condition: Unmatched quote.")),
        (
            "\\x4",
            Err("Syntax Error in condition: Truncated or invalid hexadecimal sequence."),
        ),
        (
            "1 # x",
            Err(
                "Failed to evaluate condition: unexpected character '#' at the end of conditional expression '1 # x'",
            ),
        ),
        (
            "$HOME",
            Err("Failed to evaluate condition: unparsable conditional expression '$HOME'"),
        ),
    ];
    for (text, outcome) in table {
        let ours = evaluate(text.as_bytes(), &environment());
        assert_eq!(ours, outcome.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn blocks_choose_lines() {
    let table: &[(&str, &[&str])] = &[
        (".if\na\n.endif\nb", &["b"]),
        (".if 1\na\n.else\nb\n.endif\nc", &["a", "c"]),
        (
            ".if 0\na\n.elif 0\nb\n.elif 1\nc\n.elif 1\nd\n.else\ne\n.endif\nf",
            &["c", "f"],
        ),
        (".if 1\na\n.elif foo(\nb\n.else\nc\n.endif\nd", &["a", "d"]),
        (
            ".if 0\n.if 1\na\n.else\nb\n.endif\n.else\nc\n.endif",
            &["c"],
        ),
        (".if 0\n.if foo(\n.foo\n.alert x\n.endif\n.endif\na", &["a"]),
        (".if 1 # c\na\n.endif # c\nb", &["a", "b"]),
    ];
    for (text, kept) in table {
        let (lines, messages) = read(&format!("{text}\n"));
        assert!(messages.is_empty(), "{text}: {messages:?}");
        assert_eq!(lines, *kept, "{text}");
    }
    let nested = format!("{}a\n{}", ".if 1\n".repeat(500), ".endif\n".repeat(500));
    assert_eq!(read(&nested).0, ["a"]);
}

#[test]
fn wrong_blocks() {
    let table: &[(&str, &[&str], &str)] = &[
        (".if 1\na\n", &["a"], "[F:2]: non-terminated '.if' block."),
        (
            ".else\na\n",
            &[],
            "[F:1]: lone '.else' with no matching '.if'.",
        ),
        (
            ".elif 1\na\n",
            &[],
            "[F:1]: lone '.elif' with no matching '.if'.",
        ),
        (
            ".endif\na\n",
            &[],
            "[F:1]: lone '.endif' with no matching '.if'.",
        ),
        (
            ".if 1\n.else\n.else\na\n",
            &[],
            "[F:3]: '.else' after '.else' is not permitted.",
        ),
        (
            ".if 1\n.else\n.elif 1\na\n",
            &[],
            "[F:3]: '.elif' after '.else' is not permitted.",
        ),
        (
            ".if 1 2\na\n.endif\n",
            &[],
            "[F:1]: unexpected character '2' at the end of conditional expression '1 2' in '.if' at position 3:",
        ),
        (
            ".endif x\na\n",
            &[],
            "[F:1]: Unexpected argument 'x' for '.endif'.",
        ),
        ("a\n.foo z\nb\n", &["a"], "[F:2]: unknown directive '.foo'."),
        (".alert \"a b\"\na\n", &[], "[F:1]: 'a b'."),
        (".notice\na\n", &["a"], "[F:1]: ''."),
        (
            ".warning b c\na\n",
            &["a"],
            "[F:1]: Unexpected argument 'c' for '.warning'. Use quotes if the message should contain spaces.",
        ),
    ];
    for (text, kept, message) in table {
        let (lines, messages) = read(text);
        assert_eq!(lines, *kept, "{text}");
        assert_eq!(messages.len(), 1, "{text}: {messages:?}");
        let first = messages[0].lines().next().unwrap();
        assert_eq!(first, format!("parsing {message}"), "{text}");
    }
    let (_, messages) = read(".if 1\n.else x\nb\n.endif\n");
    assert_eq!(messages.len(), 2);
    assert_eq!(
        messages[1],
        "parsing [F:2]: non-terminated '.if' block.\n  the '.if' of line 1 has no '.endif'"
    );
    let (_, messages) = read(" .if  \"1 && foo\"\n");
    assert!(
        messages[0].ends_with("at position 6:\n  .if 1 && foo\n           ^"),
        "{messages:?}"
    );
}

#[test]
fn messages_have_their_severity() {
    let mut found = Diagnostics::default();
    let file = found.add_file("F");
    let mut reader = Reader::new(file, b".notice a\n.diag b\n.warning c\n.alert d\n");
    assert!(reader.next_line(&environment(), &mut found).is_none());
    let seen: Vec<Severity> = found.list().iter().map(|one| one.severity).collect();
    assert_eq!(
        seen,
        [
            Severity::Notice,
            Severity::Diag,
            Severity::Warning,
            Severity::Alert
        ]
    );
}
