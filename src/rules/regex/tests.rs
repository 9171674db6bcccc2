//! What PCRE patterns mean here.

use super::{Regex, expand, translate};

fn matches(pattern: &str, text: &[u8]) -> Result<bool, String> {
    Regex::compile(pattern.as_bytes(), false)
        .map(|regex| regex.is_match(text))
        .map_err(|error| error.to_string())
}

#[test]
fn patterns_mean_what_pcre_means() {
    for (pattern, text, expected) in [
        (r"^/app1(/)?(.*)$", &b"/app1/x"[..], true),
        // Brackets, hyphens and ampersands in classes stand for themselves.
        (r"^[[a]$", b"[", true),
        (r"^[a[]$", b"[", true),
        (r"^[]a]$", b"]", true),
        (r"^[^]a]$", b"b", true),
        (r"^[a&&b]$", b"&", true),
        (r"^[a~~b]$", b"~", true),
        (r"^[+--]$", b",", true),
        (r"^[-a]$", b"-", true),
        (r"^[a-]$", b"-", true),
        (r"^[a\-z]$", b"-", true),
        (r"^[a\]b]$", b"]", true),
        (r"^[[:alpha:][:digit:]]+$", b"a1", true),
        (r"^[[:^alpha:]]$", b"1", true),
        (r"^[\w.]+$", b"a.b", true),
        (r"^[\x41-\x43]$", b"B", true),
        (r"^[\h]$", b"\t", true),
        // Braces that repeat nothing stand for themselves.
        (r"^a{x}$", b"a{x}", true),
        (r"^a{,2}$", b"a{,2}", true),
        (r"^{a$", b"{a", true),
        (r"^a{2}$", b"aa", true),
        (r"^a{1,}$", b"aaa", true),
        // Escapes.
        (r"^\<a\>$", b"<a>", true),
        (r"^\/\_\-\ \%$", b"/_- %", true),
        (r"^\h\H$", b"\tx", true),
        (r"^\Qa.b\E.$", b"a.bc", true),
        (r"^\Qa.b\E.$", b"axbc", false),
        (r"^a\x2eb$", b"a.b", true),
        (r"^a\x{2e}b$", b"a.b", true),
        (r"^a\056b$", b"a.b", true),
        (r"a\Z", b"a\n", true),
        (r"^\e$", b"\x1b", true),
        // Bytes are bytes.
        (r"^.$", b"\xff", true),
        (r"^\xff$", b"\xff", true),
        ("^\u{e9}$", b"\xc3\xa9", true),
        (r"^\w$", b"\xe9", false),
        // Groups.
        (r"^(?:a|b)+$", b"ab", true),
        (r"^(?i)A$", b"a", true),
        (r"^(?i:A)b$", b"ab", true),
        (r"^(?<name>a)$", b"a", true),
        (r"^(?P<name>a)$", b"a", true),
        (r"^a(?#comment)b$", b"ab", true),
        (r"^a|b$", b"xb", true),
        (r"^a*?b+?$", b"aab", true),
        (r"", b"anything", true),
        (r"a\b.", b"a.", true),
    ] {
        assert_eq!(matches(pattern, text), Ok(expected), "{pattern}");
    }
}

#[test]
fn what_linear_time_cannot_do_is_refused_by_name() {
    for (pattern, what, offset) in [
        (r"(a)\1", "back-references", 3),
        (r"(?<n>a)\k<n>", "back-references", 7),
        (r"a(?=b)", "look-ahead assertions", 1),
        (r"a(?!b)", "look-ahead assertions", 1),
        (r"(?<=a)b", "look-behind assertions", 0),
        (r"(?<!a)b", "look-behind assertions", 0),
        (r"(?>a)", "atomic groups", 0),
        (r"a++", "possessive quantifiers", 2),
        (r"a{2}+", "possessive quantifiers", 4),
        (r"(?R)", "recursion", 0),
        (r"(*ACCEPT)", "backtracking verbs", 0),
        (r"a\K", r"\K escapes", 1),
    ] {
        let said = matches(pattern, b"").unwrap_err();
        let expected = format!(
            "regex '{pattern}' is invalid (error={what} are not supported: oneloop's regular expressions are linear-time, erroffset={offset})"
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn no_pattern_panics() {
    let pieces = [
        "a",
        "(",
        ")",
        "[",
        "]",
        "\\",
        "{",
        "}",
        "1",
        ",",
        "?",
        "*",
        "+",
        "|",
        "^",
        "$",
        "-",
        ":",
        "<",
        ">",
        "=",
        "!",
        "P",
        "Q",
        "E",
        "x",
        "0",
        "#",
        "[:alpha:]",
        "\u{e9}",
    ];
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut pattern = String::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pattern += pieces[(seed >> 33) as usize % pieces.len()];
        }
        if let Ok(regex) = Regex::compile(pattern.as_bytes(), false) {
            let _ = regex.captures(b"a[1]\\x", 0);
        }
    }
}

#[test]
fn replacements_name_groups() {
    let regex = Regex::compile(b"(a)(x)?(.)(.)(.)(.)(.)(.)(.)", false).unwrap();
    let text = b"-abcdefgh-";
    let groups = regex.captures(text, 0).unwrap();
    for (replacement, expected) in [
        (&br"\0"[..], &b"abcdefgh"[..]),
        (br"\1\2\3", b"ab"),
        (br"\9|\8", b"h|g"),
        (br"\\1\.", b"\\1."),
        (br"\x41\xzz", b"Axzz"),
        // A sign is no digit, though the library's numbers may have one.
        (br"\x+5", b"x+5"),
        (br"\x4", b"x4"),
        (br"end\", b"end\\"),
        (b"", b""),
    ] {
        let mut out = Vec::new();
        expand(replacement, text, &groups, &mut out);
        assert_eq!(out, expected, "{}", replacement.escape_ascii());
    }
    assert_eq!(regex.captures(text, 3), None);
}

/// What does not end is looked at once: these would take minutes otherwise.
#[test]
fn many_open_brackets_are_read_in_linear_time() {
    for (part, translated) in [
        ("{", "\\{"),
        ("{1,", "\\{1\\x2C"),
        ("[[:a]", "[\\x5B\\x3Aa]"),
    ] {
        let pattern = part.repeat(1 << 17);
        let whole = translate(pattern.as_bytes()).unwrap();
        assert_eq!(whole.len(), translated.len() << 17, "{part}");
        assert!(whole.starts_with(translated), "{part}");
    }
    let classes = format!("[{}]", "[:a".repeat(1 << 17));
    assert!(translate(classes.as_bytes()).is_ok());
}
