//! ACLs and conditions.

use crate::rules::condition::Condition;
use crate::rules::fetch::Scope;
use crate::rules::format::{Field, Value};
use crate::rules::tests::{Around, Session, scratch, slices, words};

const REQUEST: &[u8] = b"GET /images/png/logo/32x32.png?a=b HTTP/1.1\r\nHost: h.example:8080\r\nA: 1\r\na: 2, 3\r\nN: 12abc\r\nE:\r\nX-F: 1.2.3.4, 10.0.0.1\r\nD: http://www1.dc-eu.example.com:80/blah\r\nP: a/b\r\n\r\n";

/// Conditions on the second request, word by word, and whether HAProxy 2.6 finds them met.
#[rustfmt::skip]
const CONDITIONS: &[(&str, bool)] = &[
    ("{ path_dir /images }", true),
    ("{ path_dir /images/png }", true),
    ("{ path_dir images/png }", true),
    ("{ path_dir /png/logo }", true),
    ("{ path_dir logo/32x32.png }", true),
    ("{ path_dir 32x32.png }", true),
    ("{ path_dir png }", true),
    ("{ path_dir 32x32 }", false),
    ("{ path_dir png/ }", true),
    ("{ path_dir / }", false),
    ("{ path_dir /images/ }", true),
    ("{ path_dir images }", true),
    ("{ hdr_dom(D) http }", true),
    ("{ hdr_dom(D) www1 }", true),
    ("{ hdr_dom(D) .www1 }", true),
    ("{ hdr_dom(D) dc-eu }", true),
    ("{ hdr_dom(D) example }", true),
    ("{ hdr_dom(D) com }", true),
    ("{ hdr_dom(D) 80 }", true),
    ("{ hdr_dom(D) dc-eu.example }", true),
    ("{ hdr_dom(D) blah }", true),
    ("{ hdr_dom(D) :www1: }", true),
    ("{ hdr_dom(D) dc-eu.example:80 }", false),
    ("{ hdr_dom(D) eu }", false),
    ("{ hdr_dom(D) dc }", false),
    ("{ hdr_dom(D) HTTP }", false),
    ("{ hdr_dom(D) -i HTTP }", true),
    ("{ hdr_dom(D) . }", false),
    ("{ hdr(a) 3 }", true),
    ("{ hdr(a) 2 3 5 }", true),
    ("{ hdr(a) \"2, 3\" }", false),
    ("{ req.fhdr(a) \"2, 3\" }", true),
    ("{ hdr_cnt(a) 3 }", true),
    ("{ hdr_cnt(a) gt 2 }", true),
    ("{ hdr_cnt(a) gt 2 lt 9 }", true),
    ("{ hdr_cnt(a) 1:5 }", true),
    ("{ hdr_cnt(a) :2 }", false),
    ("{ hdr_cnt(a) 4: }", false),
    ("{ hdr_val(n) 12 }", true),
    ("{ hdr_val(a) 2 }", true),
    ("{ hdr_val(a) 3 }", true),
    ("{ hdr_val(E) 0 }", true),
    ("{ hdr_val(nope) 0 }", false),
    ("{ hdr(nope) -m found }", false),
    ("{ hdr(E) -m found }", true),
    ("{ hdr_len(E) 0 }", true),
    ("{ hdr_len(a) 1 }", true),
    ("{ hdr(nope) -m len 0 }", false),
    ("{ hdr_ip(x-f) 10.0.0.0/8 }", true),
    ("{ hdr_ip(x-f) 1.2.3.4 }", true),
    ("{ hdr_ip(x-f) 10.0/8 }", true),
    ("{ hdr(a) -m int 2 }", true),
    ("{ hdr(a) -m bool }", true),
    ("{ hdr(E) -m bool }", false),
    ("{ path -m bool }", false),
    ("{ hdr(n) -m int 12 }", true),
    ("{ hdr(n) -m int 12:13 }", true),
    ("{ src 127.0.0.1 }", true),
    ("{ src 127/8 }", false),
    ("{ src 127.1 }", true),
    ("{ src 127.0.0.1/255.0.0.0 }", true),
    ("{ src ::ffff:127.0.0.1 }", true),
    ("{ src ::1 }", false),
    ("{ src -m str 127.0.0.1 }", true),
    ("{ src -m beg 127. }", true),
    ("{ dst_port -m len 5 }", true),
    ("{ always_true -m int 1 }", true),
    ("{ always_true -m str 1 }", true),
    ("{ always_true 0 }", true),
    ("{ always_false -m int 0 }", true),
    ("{ always_true -m found }", true),
    ("{ always_false -m found }", true),
    ("{ always_false -m bool }", false),
    ("{ method GET }", true),
    ("{ method get }", false),
    ("{ method -i get }", false),
    ("{ method HEAD GET }", true),
    ("{ method -m beg G }", true),
    ("{ method -m str GET }", true),
    ("{ method FOO }", false),
    ("{ method -m reg ^G }", true),
    ("{ method -m len 3 }", true),
    ("{ req.ver 1.1 }", true),
    ("{ req.ver 1.0 1.1 }", true),
    ("{ path /images/png/logo/32x32.png }", true),
    ("{ path_beg /im }", true),
    ("{ path_beg -i /IM }", true),
    ("{ path_end png }", true),
    ("{ path_end -i PNG }", true),
    ("{ path_sub png }", true),
    ("{ path_sub -i PNG/L }", true),
    ("{ path_reg ^/im }", true),
    ("{ path_reg -i ^/IM }", true),
    ("{ path_len 26 }", true),
    ("{ path_len gt 25 }", true),
    ("{ path_len 1:26 }", true),
    ("{ url_beg /im }", true),
    ("{ url_end b }", true),
    ("{ url_sub ?a }", true),
    ("{ query a=b }", true),
    ("{ query -m beg a }", true),
    ("{ path_end .png .gif }", true),
    ("{ path -i /IMAGES/png/logo/32x32.PNG }", true),
    ("{ path -m str -i /IMAGES/png/logo/32x32.PNG }", true),
    ("{ path,lower -m beg /im }", true),
    ("{ path_beg,lower /im }", false),
    ("{ path_beg,lower /images/png/logo/32x32.png }", true),
    ("{ path -m beg -i -- /IM }", true),
    ("{ path -m beg -- -i }", false),
    ("{ path_beg -- }", false),
    ("{ path }", false),
    ("{ path -m found }", true),
    ("{ path -m found xx }", true),
    ("{ path_beg -m found }", true),
    ("{ urlp(a) b }", true),
    ("{ urlp(zz) -m found }", false),
    ("{ urlp_sub(a) b }", true),
    ("{ str(a) a }", true),
    ("{ str(a) b }", false),
    ("{ int(5) 5 }", true),
    ("{ int(5) lt 6 }", true),
    ("{ int(5) le 5 }", true),
    ("{ int(5) ge 6 }", false),
    ("{ int(-5) lt 0 }", true),
    ("{ int(5) eq 4 5 6 }", true),
    ("{ int(5) gt 9 4 }", true),
    ("{ int(5) 1:2 5:6 }", true),
    ("{ int(5) gt 1:3 }", false),
    ("{ int(5) lt 6:9 }", false),
    ("{ int(5) eq 4:6 }", true),
    ("{ int(5) ge 3:9 }", true),
    ("{ int(5) le 3:9 }", true),
    ("{ int(5) ge 6:9 }", false),
    ("{ int(5) le 2:4 }", false),
    ("{ int(5) ne 5 }", true),
    ("{ int(5) ne 6 }", false),
    ("{ int(5) ne 4:6 }", true),
    ("{ int(2) 1-2 }", true),
    ("{ int(3) 1-2 }", false),
    ("{ int(10) 1- }", true),
    ("{ int(5) gt 5:9 }", true),
    ("{ int(10) gt 5:9 }", false),
    ("{ int(5) lt 5: }", true),
    ("{ int(4) lt 5: }", false),
    ("{ int(3) -- -5 }", true),
    ("{ int(6) -- -5 }", false),
    ("{ int(-2) -- --2 }", true),
    ("{ int(-1) -- --2 }", false),
    ("{ int(1) -- -- }", false),
    ("{ int(-4) :-3 }", true),
    ("{ int(-2) :-3 }", false),
    ("{ bin(4142) -m bin 4142 }", true),
    ("{ bin(4142) -m str AB }", true),
    ("{ str(AB) -m bin 4142 }", true),
    ("{ str(AB) -m bin 41 }", false),
    ("{ nbsrv ge 1 }", true),
    ("{ nbsrv(b) lt 2 }", true),
    ("{ src,ipmask(8) 127.0.0.0 }", true),
    ("{ hdr(a),add(1) 3 }", true),
    ("{ hdr(a),length 1 }", true),
    ("{ path,length 26 }", true),
    ("{ path,field(2,/) images }", true),
    ("{ path,word(1,/) images }", true),
    ("{ hdr(P) -m dir a }", true),
    ("{ hdr(P) -m dom a b }", true),
    ("{ req.hdr(host) h.example:8080 }", true),
    ("{ hdr(host) -i H.EXAMPLE:8080 }", true),
    ("{ hdr(host),host_only h.example }", true),
    ("{ hdr_beg(host) -i H. }", true),
    ("{ hdr_reg(host) ^h\\\\.ex }", true),
    ("{ hdr_reg(host) ^h\\.ex }", true),
    ("{ hdr_end(host) :8080 }", true),
    ("{ wait_end }", true),
    ("{ req.proto_http }", true),
    ("{ http_first_req }", true),
    ("{ base h.example:8080/images/png/logo/32x32.png }", true),
    ("{ base_beg h.ex }", true),
    ("{ url_ip 1.2.3.4 }", false),
    ("{ env(NOPE) -m found }", false),
    ("{ int(1) -m bool }", true),
    ("{ int(0) -m bool }", false),
    ("{ int(0) -m found }", true),
    ("{ always_true -i }", true),
    ("{ src -n 1.2.3.4 }", false),
    ("{ src -m ip 127.0.0.1 }", true),
    ("{ path -m sub -i LOGO }", true),
    ("{ path -m end -i .PNG }", true),
    ("{ date gt 1000 }", true),
    ("{ src -m bool }", true),
    ("{ path -m int 0 }", true),
    ("{ hdr(nope) -m int 0 }", false),
    ("{ hdr(host) -m ip 1.2.3.4 }", false),
    ("{ hdr(x-f) -m ip 10.0.0.0/8 }", true),
    ("TRUE", true),
    ("FALSE", false),
    ("METH_GET", true),
    ("METH_POST", false),
    ("HTTP", true),
    ("HTTP_1.1", true),
    ("HTTP_1.0", false),
    ("HTTP_CONTENT", false),
    ("HTTP_URL_ABS", false),
    ("HTTP_URL_SLASH", true),
    ("HTTP_URL_STAR", false),
    ("LOCALHOST", true),
    ("REQ_CONTENT", true),
    ("WAIT_END", true),
    ("HTTP_2.0", false),
    ("", false),
    ("TRUE or", true),
    ("or TRUE", true),
    ("FALSE or", false),
    ("|| FALSE", false),
    ("TRUE || || FALSE", true),
    ("!", false),
    ("! FALSE", true),
    ("!FALSE", true),
    ("!!TRUE", true),
    ("! ! TRUE", true),
    ("!{ path_beg /x }", true),
    ("! { path_beg /x }", true),
    ("FALSE || TRUE", true),
    ("FALSE or FALSE TRUE", false),
    ("TRUE !FALSE", true),
    ("TRUE OR FALSE", true),
    ("FALSE !", false),
];

fn session() -> Session {
    let mut session = Session::with(REQUEST);
    session.fields = vec![
        (Field::UsableServers(1), Value::Int(1)),
        (Field::FirstRequest, Value::Int(1)),
    ];
    session
}

fn holds(around: &mut Around, session: &Session, text: &str) -> Result<bool, String> {
    let words = words(&format!("if {text}"));
    let condition = around.compile(|c| Condition::compile(&slices(&words), Scope::Request, c));
    match condition {
        Ok(condition) => Ok(condition.holds(&around.acls, session, &mut scratch())),
        Err(problem) => Err(problem.message),
    }
}

#[test]
fn conditions_hold_where_haproxy_says_so() {
    let session = session();
    let mut around = Around::default();
    let wrong: Vec<String> = CONDITIONS
        .iter()
        .filter_map(|(text, expected)| {
            let said = holds(&mut around, &session, text);
            (said != Ok(*expected)).then(|| format!("{text}: {said:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn several_lines_of_one_name_are_alternatives() {
    let session = session();
    let mut around = Around::default();
    around.declare("good path_beg /nope");
    around.declare("good path_end .png");
    around.declare("TRUE always_false");
    for (text, expected) in [
        ("good", true),
        ("!good", false),
        ("good FALSE", false),
        // A declared name hides the predefined one.
        ("TRUE", false),
        ("!TRUE good", true),
    ] {
        assert_eq!(holds(&mut around, &session, text), Ok(expected), "{text}");
    }
}

#[test]
fn unless_turns_the_whole_condition() {
    let session = session();
    let mut around = Around::default();
    for (text, expected) in [
        ("unless TRUE", false),
        ("unless FALSE", true),
        ("unless FALSE or TRUE", false),
        ("unless", true),
    ] {
        let words = words(text);
        let condition = around.compile(|c| Condition::compile(&slices(&words), Scope::Request, c));
        let said = condition
            .unwrap()
            .holds(&around.acls, &session, &mut scratch());
        assert_eq!(said, expected, "{text}");
    }
}

#[test]
fn an_acl_is_remembered_until_the_message_changes() {
    let mut around = Around::default();
    around.declare("png path_end .png");
    around.declare("idle be_conn eq 0");
    let compile = |around: &mut Around, text: &str| {
        let words = words(text);
        around
            .compile(|c| Condition::compile(&slices(&words), Scope::Request, c))
            .unwrap()
    };
    let png = compile(&mut around, "if png");
    let idle = compile(&mut around, "if idle");
    let mut session = session();
    session
        .fields
        .push((Field::ConnectionsOfBackend(1), Value::Int(0)));
    let mut scratch = scratch();
    assert!(png.holds(&around.acls, &session, &mut scratch));
    assert!(idle.holds(&around.acls, &session, &mut scratch));
    let mut other = Session::with(b"GET / HTTP/1.1\r\n\r\n");
    other
        .fields
        .push((Field::ConnectionsOfBackend(1), Value::Int(3)));
    // The same message as far as the scratch knows: what it said stands, counters do not.
    assert!(png.holds(&around.acls, &other, &mut scratch));
    assert!(!idle.holds(&around.acls, &other, &mut scratch));
    scratch.start_message();
    assert!(!png.holds(&around.acls, &other, &mut scratch));
}

#[test]
fn pattern_files() {
    let session = session();
    let mut around = Around::default();
    around.files.insert(
        "list",
        b"# comment\n\n  /images\n/other\r\n #no\n/IMAGES/PNG\n",
    );
    around
        .files
        .insert("map", b"/images/png/logo/32x32.png value\n");
    around.files.insert("nets", b"10.0.0.0/8\n127.0.0.0/8\n");
    around.files.insert("bad", b"1.2.3.4\nnonsense\n");
    for (text, expected) in [
        ("{ path_beg -f list }", true),
        ("{ path -f list }", false),
        ("{ path_beg -f list -i /zzz }", true),
        ("{ path_beg -i -f list }", true),
        ("{ path -M -f map }", true),
        ("{ src -f nets }", true),
        ("{ path_dir -f list png }", true),
    ] {
        assert_eq!(holds(&mut around, &session, text), Ok(expected), "{text}");
    }
    let problem = holds(&mut around, &session, "{ src -f bad }").unwrap_err();
    assert!(problem.contains("'nonsense' is not a valid"), "{problem}");
}

#[test]
fn long_lists_match_as_short_ones_do() {
    let mut around = Around::default();
    let list: Vec<String> = (0..500).map(|n| format!("/path{n}/")).collect();
    let list = list.join(" ");
    for (criterion, path, expected) in [
        ("path_beg", "/path499/x", true),
        ("path_beg", "/path500/x", false),
        ("path_beg -i", "/PATH7/x", true),
        ("path_beg", "/PATH7/x", false),
        ("path_end", "/x/path12/", true),
        ("path_end", "/x/path12", false),
        ("path_sub", "/x/path12/y", true),
        ("path_sub -i", "/x/Path12/y", true),
        ("path_dir", "/x/path12/y", true),
        ("path_dir", "/x/path12y/", false),
        ("path", "/path3/", true),
        ("path", "/path3", false),
    ] {
        let session = Session::with(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        let text = format!("{{ {criterion} {list} }}");
        assert_eq!(
            holds(&mut around, &session, &text),
            Ok(expected),
            "{criterion} {path}"
        );
    }
}

#[test]
fn addresses_of_both_families_meet() {
    let mut around = Around::default();
    for (source, pattern, expected) in [
        ("127.0.0.1", "::ffff:127.0.0.1", true),
        ("127.0.0.1", "::ffff:127.0.0.0/104", true),
        ("::ffff:10.1.2.3", "10.0.0.0/8", true),
        ("::10.1.2.3", "10.0.0.0/8", true),
        ("2002:a01:203::", "10.0.0.0/8", true),
        ("2003:a01:203::", "10.0.0.0/8", false),
        ("2001:db8::1", "2001:db8::/32", true),
        ("2001:db9::1", "2001:db8::/32", false),
        ("10.0.0.12", "10.12", true),
        ("10.0.0.12", "10.12/8", true),
        ("11.0.0.12", "10.12/8", false),
        ("1.2.3.4", "0.0.0.0/0", true),
    ] {
        let mut session = session();
        session.source = Some(source);
        let text = format!("{{ src {pattern} }}");
        assert_eq!(
            holds(&mut around, &session, &text),
            Ok(expected),
            "{source} {pattern}"
        );
    }
}

#[test]
fn what_can_never_match_is_warned_of() {
    let mut around = Around::default();
    around.declare("old path /x");
    for (text, expected) in [
        (
            "if { path /x }",
            "anonymous acl will never match because it uses keyword 'path' which is incompatible with 'backend http-response header rule'",
        ),
        (
            "if old",
            "acl 'old' will never match because it only involves keywords that are incompatible with 'backend http-response header rule'",
        ),
        (
            "if HTTP_URL_STAR",
            "acl 'HTTP_URL_STAR' will never match because it only involves keywords that are incompatible with 'backend http-response header rule'",
        ),
        (
            "if REQ_CONTENT",
            "acl 'REQ_CONTENT' will never match because it only involves keywords that are incompatible with 'backend http-response header rule'",
        ),
        ("if HTTP", ""),
        ("if METH_GET", ""),
        ("if { status 200 }", ""),
    ] {
        around.warnings.clear();
        let words = words(text);
        let condition = around.compile(|c| Condition::compile(&slices(&words), Scope::Response, c));
        condition.unwrap();
        let warning = around
            .warnings
            .first()
            .map_or("", |warning| &warning.message);
        assert_eq!(warning, expected, "{text}");
    }
}
