//! Maps: what HAProxy 2.6 was seen to find, and indexes against trying each key.

use super::*;
use crate::rules::fetch::{Expression, Scope};
use crate::rules::tests::{Around, Session, scratch, shown};

/// A file of every kind of line.
const LINES: &[u8] =
    b"# c\n\n  \n/a va\n/b \n/c\n /d   v d  x \t \n\t/e\tv\t\r\n/f v # c\n #x y\n# z\n\
    /a second\n/g v\0w\nh\0h v\n/i v\rw\nlast v";

/// File, sample with a map `f`, and what comes out; `-` where there is nothing.
#[rustfmt::skip]
const FOUND: &[(&[u8], &str, &str)] = &[
    (LINES, "str(/a),map(f)", "va"),
    (LINES, "str(/b),map(f)", ""),
    (LINES, "str(/c),map(f)", ""),
    (LINES, "str(/d),map(f)", "v d  x"),
    (LINES, "str(/e),map(f)", "v"),
    (LINES, "str(/f),map(f)", "v # c"),
    (LINES, "str(#x),map(f)", "y"),
    (LINES, "str(#),map(f)", "-"),
    (LINES, "str(/g),map(f)", "v"),
    (LINES, "str(h),map(f)", ""),
    (LINES, "str(/i),map(f)", "v"),
    (LINES, "str(last),map_str(f)", "v"),
    (LINES, "str(/A),map(f)", "-"),
    (LINES, "str(/aa),map(f)", "-"),
    (LINES, "str(),map(f)", "-"),
    (LINES, "str(x),map(f,)", ""),
    (LINES, "str(x),map(f,d_e)", "d_e"),
    (LINES, "str(/a),map(f,d)", "va"),
    (LINES, "str(/d),map(f),length", "6"),
    (LINES, "bin(2f6100),map(f)", "va"),
    (LINES, "bin(002f61),map(f)", "-"),
    (LINES, "str(/a%00b),url_dec,map(f)", "va"),
    (b"", "str(x),map_beg(f,d)", "d"),
    (b"a b\nb c\n", "str(a),map(f),map(f,none)", "c"),
    (b"a b\nb c\n", "str(b),map(f),map(f,none)", "none"),
    (b"a b\nb c\n", "str(c),map(f),map(f,none)", "-"),
    (b"127.0.0.1 y\n", "src,map(f)", "y"),
    (b"1 one\n", "always_true,map(f)", "one"),
    (b"/a 1\n/ab 2\n/ 0\n/abc 3\n/ab 2b\n", "str(/abcd),map_beg(f)", "3"),
    (b"/a 1\n/ab 2\n/ 0\n/abc 3\n/ab 2b\n", "str(/ab),map_beg(f)", "2"),
    (b"/a 1\n/ab 2\n/ 0\n/abc 3\n/ab 2b\n", "str(/z),map_beg(f)", "0"),
    (b"/a 1\n/ab 2\n/ 0\n/abc 3\n/ab 2b\n", "str(x),map_beg(f)", "-"),
    (b"b 1\nab 2\nabc 3\n", "str(xabcx),map_sub(f)", "1"),
    (b"abc 1\nbc 2\nb 3\nA 4\n", "str(bc),map_sub(f)", "2"),
    (b"abc 1\nbc 2\nb 3\nA 4\n", "str(a),map_sub(f)", "-"),
    (b"7.0 1\n", "src,map_sub(f)", "1"),
    (b"c 1\nbc 2\n", "str(xbc),map_end(f)", "1"),
    (b"bc 2\nc 1\n", "str(xbc),map_end(f)", "2"),
    (b"/a/ 1\nb 2\na/b 3\n", "str(/x/a/b),map_dir(f)", "1"),
    (b"/a/ 1\nb 2\na/b 3\n", "str(/a?b),map_dir(f)", "1"),
    (b"/a/ 1\nb 2\na/b 3\n", "str(/ab),map_dir(f)", "-"),
    (b"b/? 1\n?c? 2\n", "str(/c),map_dir(f)", "2"),
    (b"/ 1\n", "str(/a/b),map_dir(f)", "-"),
    (b".com. 1\nexample.com 2\nx 3\n", "str(www.example.com:80/x),map_dom(f)", "1"),
    (b".com. 1\nexample.com 2\nx 3\n", "str(a.x),map_dom(f)", "3"),
    (b"^/a 1\nb$ \\1x\n(c)(d)? \\1\n", "str(xb),map_reg(f)", "\\1x"),
    (b"^/a 1\nb$ \\1x\n(c)(d)? \\1\n", "str(/A),map_reg(f)", "-"),
    (b"^/a 1\nb$ \\1x\n(c)(d)? \\1-\\2-\\0\\9\\n\\\\ \\x41%\n", "str(xb),map_regm(f)", "x"),
    (b"^/a 1\nb$ \\1x\n(c)(d)? \\1-\\2-\\0\\9\\n\\\\ \\x41%\n", "str(xcdx),map_regm(f)", "c-d-cdn\\ A%"),
    (b"(e) x\\\n(f) \\x4\n", "str(e),map_regm(f,d)", "-"),
    (b"(e) x\\\n(f) \\x4\n", "str(f),map_regm(f,d)", "-"),
    (b"(e) x\\\n(f) \\x4\n", "str(g),map_regm(f,\\1)", "\\1"),
    (b"1:5 b\n1 a\n7: c\n:-2 n\n", "int(1),map_int(f)", "b"),
    (b"1:5 b\n1 a\n7: c\n:-2 n\n", "int(6),map_int(f)", "-"),
    (b"1:5 b\n1 a\n7: c\n:-2 n\n", "int(9223372036854775807),map_int(f)", "c"),
    (b"1:5 b\n1 a\n7: c\n:-2 n\n", "int(-3),map_int(f)", "n"),
    (b"1:5 b\n1 a\n7: c\n:-2 n\n", "str(3x),map_int(f)", "b"),
    (b"1:5 b\n1 a\n7: c\n:-2 n\n", "always_true,map_int(f)", "b"),
    (b"10.0.0.0/8 a\n10.1.0.0/16 b\n10.1.2.3 c\n10.1.2.3 c2\n0.0.0.0/0 z\n", "ipv4(10.1.2.3),map_ip(f)", "c"),
    (b"10.0.0.0/8 a\n10.1.0.0/16 b\n10.1.2.3 c\n10.1.2.3 c2\n0.0.0.0/0 z\n", "str(10.1.2.4),map_ip(f)", "b"),
    (b"10.0.0.0/8 a\n10.1.0.0/16 b\n10.1.2.3 c\n10.1.2.3 c2\n0.0.0.0/0 z\n", "str(255.255.255.255),map_ip(f)", "z"),
    (b"10.0.0.0/8 a\n10.1.0.0/16 b\n10.1.2.3 c\n10.1.2.3 c2\n0.0.0.0/0 z\n", "str(2002:a01:203::),map_ip(f)", "c"),
    (b"10.0.0.0/8 a\n10.1.0.0/16 b\n10.1.2.3 c\n10.1.2.3 c2\n0.0.0.0/0 z\n", "str(3000::1),map_ip(f)", "-"),
    (b"::ffff:10.1.2.3 six\n10.0.0.0/8 four\n", "str(10.1.2.3),map_ip(f)", "four"),
    (b"::ffff:10.1.2.3 six\n10.0.0.0/8 four\n", "str(::ffff:10.1.2.3),map_ip(f)", "six"),
    (b"::/0 all\n", "str(ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff),map_ip(f)", "all"),
    (b"10.0.0.0/255.0.255.0 holes\n10.0.0.0/8 net\n", "str(10.1.0.3),map_ip(f)", "net"),
    (b"10.0.0.0/255.0.255.0 holes\n11.0.0.0/8 net\n", "str(10.1.0.3),map_ip(f)", "holes"),
    (b"a 1\nb -5\n", "str(b),map_str_int(f)", "-5"),
    (b"a 1\nb -5\n", "str(a),map_str_int(f),add(1)", "2"),
    (b"a 1\nb -5\n", "str(c),map_str_int(f,7)", "7"),
    (b"a 1\nb -5\n", "str(c),map_str_int(f)", "-"),
    (b"a 1\nb -5\n", "str(c),map_str_int(f,)", "0"),
    (b"a 1.1.1.1\nb ::1\n", "str(a),map_beg_ip(f)", "1.1.1.1"),
    (b"a 1.1.1.1\nb ::1\n", "str(c),map_beg_ip(f,::2)", "::2"),
    (b"1.1.1.1 2.2.2.2\n", "str(1.1.1.1),map_ip_ip(f)", "2.2.2.2"),
];

/// File, sample, and HAProxy's message.
#[rustfmt::skip]
const REFUSED: &[(&[u8], &str, &str)] = &[
    (b"", "path,map(nofile)", "'map' : failed to open pattern file <nofile>."),
    (b"", "path,map", "'map' : failed to open pattern file <>."),
    (b"x 1\n", "path,map_int(f)", "'map_int' : 'x' is not a number at line 1 of file 'f'."),
    (b"eq 1\n", "path,map_int(f)", "'map_int' : 'eq' is not a number at line 1 of file 'f'."),
    (b"+1 1\n", "path,map_int(f)", "'map_int' : '+1' is not a number at line 1 of file 'f'."),
    (b"5:1 1\n", "path,map_int(f)", "'map_int' : '5:1' is not a valid number range at line 1 of file 'f'."),
    (b"#\n/a abc\n", "path,map_str_int(f)", "'map_str_int' : unable to parse 'abc' at line 2 of file 'f'."),
    (b"x abc\n", "path,map_int_int(f)", "'map_int_int' : unable to parse 'abc' at line 1 of file 'f'."),
    (b"/a 1 2\n", "path,map_str_int(f)", "'map_str_int' : unable to parse '1 2' at line 1 of file 'f'."),
    (b"/a\n", "path,map_str_ip(f)", "'map_str_ip' : unable to parse '' at line 1 of file 'f'."),
    (b"/a ::1/64\n", "path,map_str_ip(f)", "'map_str_ip' : unable to parse '::1/64' at line 1 of file 'f'."),
    (b"( v\n", "path,map_reg(f)", "'map_reg' : regex '(' is invalid (error=missing closing parenthesis, erroffset=1) at line 1 of file 'f'."),
    (b"1.2.3.4/33 v\n", "src,map_ip(f)", "'map_ip' : '1.2.3.4/33' is not a valid IPv4 or IPv6 address at line 1 of file 'f'."),
    (b"10.1/8 v\n", "src,map_ip(f)", "'map_ip' : '10.1/8' is not a valid IPv4 or IPv6 address at line 1 of file 'f'."),
    (b"1.2.3.4/8.0 v\n", "src,map_ip(f)", "'map_ip' : '1.2.3.4/8.0' is not a valid IPv4 or IPv6 address at line 1 of file 'f'."),
    (b"::1/129 v\n", "src,map_ip(f)", "'map_ip' : '::1/129' is not a valid IPv4 or IPv6 address at line 1 of file 'f'."),
    (b"a 1.1.1.1\n", "path,map_str_ip(f,xx)", "'map_str_ip' : map: cannot parse default ip <xx>.."),
];

/// What an expression yields with that file, as text.
fn yielded(file: &'static [u8], text: &str) -> Result<String, String> {
    let mut around = Around::default();
    around.files.insert("f", file);
    let compiled =
        around.compile(|compiler| Expression::compile(text.as_bytes(), Scope::Request, compiler));
    let expression = compiled.map_err(|problem| problem.message)?;
    let session = Session::with(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut scratch = scratch();
    let Some(sample) = expression.value(&session, &mut scratch.buffers) else {
        return Ok("-".to_owned());
    };
    let mut out = Vec::new();
    sample.write(&mut out);
    Ok(shown(&out).replace("\\\\", "\\"))
}

#[test]
fn maps_have_what_haproxy_finds_in_them() {
    for (file, text, expected) in FOUND {
        let found = yielded(file, text);
        assert_eq!(found.as_deref(), Ok(*expected), "{text} in {}", shown(file));
    }
}

#[test]
fn bad_lines_are_told_as_haproxy_tells_them() {
    for (file, text, expected) in REFUSED {
        let message = yielded(file, text).unwrap_err();
        let expected = format!("invalid args in converter {expected}");
        assert_eq!(message, expected, "{text} in {}", shown(file));
    }
    let message = yielded(b"/a 1\n", "path,map_str_int(f,x)").unwrap_err();
    let expected = "invalid arg 2 in converter 'map_str_int' : failed to parse 'x' as type \
                    'integer' at position 2.";
    assert_eq!(message, expected);
}

#[test]
fn numbers_and_addresses_are_whole() {
    // HAProxy reads the front of each.
    for (file, text) in [
        (&b"a 1.1.1.1/8\n"[..], "str(a),map_str_ip(f)"),
        (b"a 1.1.1.1 x\n", "str(a),map_str_ip(f)"),
        (b"a 01.1.1.1\n", "str(a),map_str_ip(f)"),
        (b"a\n", "str(a),map_str_int(f)"),
        (b"a -\n", "str(a),map_str_int(f)"),
        (b"a 9223372036854775808\n", "str(a),map_str_int(f)"),
    ] {
        assert!(yielded(file, text).is_err(), "{text} in {}", shown(file));
    }
}

#[test]
fn a_file_is_read_once_and_its_map_is_shared() {
    let mut around = Around::default();
    around.files.insert("f", b"/a 1\n");
    let map = |around: &mut Around, kind| {
        around.compile(|compiler| compiler.files.map(b"f", kind, compiler.around))
    };
    let kind = Kind {
        matching: Matching::Str,
        output: Type::Str,
    };
    let (first, number) = map(&mut around, kind).unwrap();
    around.files.insert("f", b"/a changed\n");
    let (again, same) = map(&mut around, kind).unwrap();
    assert!(Rc::ptr_eq(&first, &again) && number == same);
    let matching = Matching::Beg;
    let (other, another) = map(&mut around, Kind { matching, ..kind }).unwrap();
    assert!(Rc::ptr_eq(&first.contents, &other.contents) && number != another);
}

#[test]
fn a_file_has_one_column_or_two() {
    let two = "The file \"f\" is already used as one column file and cannot be used by as two \
               column file";
    let one = "The file \"f\" is already used as two column file and cannot be used by as one \
               column file";
    for (first, second, expected) in [
        ("path -f f", "path -M -f f", two),
        ("path -f f", "path,map(f) -m found", two),
        ("path -M -f f", "path -f f", one),
        ("path,map(f) -m found", "path_beg -f f", one),
    ] {
        let mut around = Around::default();
        around.files.insert("f", b"/a 1\n");
        around.declare(&format!("one {first}"));
        let words = crate::rules::tests::words(&format!("two {second}"));
        let slices = crate::rules::tests::slices(&words);
        let compiled =
            around.compile(|compiler| crate::rules::condition::Acl::compile(&slices, compiler));
        let message = compiled.unwrap_err().message;
        assert!(message.contains(expected), "{first}, {second}: {message}");
    }
}

/// Numbers that repeat from run to run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

#[test]
fn stretches_find_what_trying_each_finds() {
    let mut dice = Dice(1);
    for _ in 0..200 {
        let all: Vec<Stretch<u32>> = (0..dice.roll(12))
            .map(|entry| {
                let low = dice.roll(20) as u32;
                let high = match dice.roll(4) {
                    0 => u32::MAX,
                    length => low + length as u32,
                };
                let rank = (dice.roll(3) as u8, entry as u32);
                let range = (low, high);
                Stretch { range, rank }
            })
            .collect();
        let stretches = Stretches::new(&all, |n| n.checked_add(1));
        for n in (0..30).chain([u32::MAX]) {
            let holds = |stretch: &&Stretch<u32>| {
                let (low, high) = stretch.range;
                (low..=high).contains(&n)
            };
            let ranks = all.iter().filter(holds).map(|stretch| stretch.rank);
            assert_eq!(stretches.find(n), ranks.min().map(|rank| rank.1), "{n}");
        }
    }
}

#[test]
fn text_is_found_as_by_trying_each_key() {
    let mut dice = Dice(2);
    let mut word = |longest: u64| -> String {
        let length = 1 + dice.roll(longest);
        let letter = |_| char::from(b"ab/?."[dice.roll(5) as usize]);
        (0..length).map(letter).collect()
    };
    for round in 0..400 {
        let keys: Vec<String> = (0..1 + round % 30).map(|_| word(4)).collect();
        let lines: String = keys.iter().map(|key| format!("{key} v\n")).collect();
        let texts: Vec<String> = (0..20).map(|_| word(9)).collect();
        for matching in [
            Matching::Str,
            Matching::Beg,
            Matching::End,
            Matching::Sub,
            Matching::Dir,
            Matching::Dom,
        ] {
            let kind = Kind {
                matching,
                output: Type::Str,
            };
            let map = Map::new(lines.as_bytes().into(), kind, b"f").unwrap();
            let Index::Text(_, trie) = &map.index else {
                panic!("{matching:?} is text");
            };
            for text in &texts {
                let found = find_text(matching, trie, text.as_bytes());
                let matches = |key: &&String| is_in(matching, key, text);
                let mut expected = keys.iter().position(|key| matches(&key));
                if matching == Matching::Beg {
                    let longest = keys.iter().filter(matches).map(String::len).max();
                    expected = keys
                        .iter()
                        .position(|key| matches(&key) && Some(key.len()) == longest);
                }
                let found = found.map(|entry| entry as usize);
                assert_eq!(found, expected, "{matching:?} {text} in {keys:?}");
            }
        }
    }
}

/// Whether a text has one key, the plain way.
fn is_in(matching: Matching, key: &str, text: &str) -> bool {
    let parts = |delimiters: &[char]| {
        let key = key.trim_matches(delimiters);
        let mut places = text.match_indices(key);
        let bounded = |at: usize| {
            let (before, after) = (&text[..at], &text[at + key.len()..]);
            (before.is_empty() || before.ends_with(delimiters))
                && (after.is_empty() || after.starts_with(delimiters))
        };
        // Overlapping places count as well.
        let again = (1..text.len()).any(|at| text[at..].starts_with(key) && bounded(at));
        !key.is_empty() && (places.any(|(at, _)| bounded(at)) || again)
    };
    match matching {
        Matching::Str => text == key,
        Matching::Beg => text.starts_with(key),
        Matching::End => text.ends_with(key),
        Matching::Sub => text.contains(key),
        Matching::Dir => parts(&['/', '?']),
        _ => parts(&['/', '?', '.', ':']),
    }
}

#[test]
fn a_map_that_changes_is_found_by_its_number() {
    use crate::rules::file::Columns;
    use crate::rules::lists::{Entry, Hit, List, ListChange, Lists, Which};
    let kind = |matching, output| Kind { matching, output };
    let contents = b"/a one\n/ab two\n/a again\n"[..].into();
    let mut file = List::of_file("f".to_owned(), contents, Columns::Two);
    file.add_lookup(0, kind(Matching::Str, Type::Str));
    file.add_lookup(1, kind(Matching::Beg, Type::Str));
    let mut maps = Lists::new(vec![file]);
    let values = |maps: &Lists, version| -> Vec<(u64, String)> {
        let text = |pair: Entry<'_>| {
            let [key, value] = [pair.key, pair.value].map(String::from_utf8_lossy);
            (pair.id, format!("{key}={value}"))
        };
        maps.all()[0].entries(version).map(text).collect()
    };
    let found = |maps: &Lists, text: &str| -> Vec<Option<String>> {
        let found = maps.all()[0].find(text.as_bytes()).into_iter();
        let value = |hit: Hit| String::from_utf8(hit.entry.unwrap().1).unwrap();
        found.map(|found| found.hit.map(value)).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert!(maps.map(0).is_none());
    assert_eq!(found(&maps, "/abc"), [None, some("two")]);
    maps.change(0, ListChange::Set(b"/a".to_vec(), b"both".to_vec()));
    maps.change(0, ListChange::SetOne(3, b"third".to_vec()));
    maps.change(0, ListChange::Prepare);
    let pair = |key: &str| (key.into(), b"new".to_vec());
    maps.change(0, ListChange::Add(1, vec![pair("/x"), pair("/y")]));
    maps.refresh(&[], &[]);
    let as_text = |(id, text): (u64, &str)| (id, text.to_owned());
    let first = [(1, "/a=both"), (2, "/ab=two"), (3, "/a=third")].map(as_text);
    assert_eq!(values(&maps, 0), first);
    assert_eq!(found(&maps, "/x"), [None, None]);
    let place = maps.map(1).and_then(|map| map.place_of(b"/abc"));
    assert_eq!(place, Some(1));
    assert!(maps.all()[0].has(Which::Id(5)) && !maps.all()[0].has(Which::Key(b"/x")));
    maps.change(0, ListChange::DeleteOne(5));
    maps.change(0, ListChange::Commit(1));
    maps.refresh(&[], &[]);
    assert_eq!(values(&maps, 1), [as_text((4, "/x=new"))]);
    assert!(values(&maps, 0).is_empty());
    assert_eq!(found(&maps, "/x"), [some("new"), some("new")]);
    assert!(maps.map(0).is_some_and(|map| map.place_of(b"/a").is_none()));
    maps.change(0, ListChange::Delete(b"/x".to_vec()));
    maps.change(0, ListChange::Clear(1));
    assert_eq!(maps.all()[0].all().count(), 0);
    let wrong = |matching, key: &[u8], value: &[u8], output| {
        let mut file = List::of_file(String::new(), b""[..].into(), Columns::Two);
        file.add_lookup(0, Kind { matching, output });
        file.check(key, value).is_err()
    };
    assert!(wrong(Matching::Str, b"k", b"x", Type::Int));
    assert!(wrong(Matching::Reg, b"(", b"x", Type::Str));
    assert!(!wrong(Matching::Str, b"k", b"7", Type::Int));
}
