//! Fetches and converters, as header values.

use crate::rules::compile::nearest;
use crate::rules::fetch::{Expression, Scope};
use crate::rules::format::{Format, Purpose};
use crate::rules::tests::{Around, Session, scratch, shown};
use crate::rules::{missing, samples};

const FIRST: &[u8] = b"GET /p/a.b?x=1&y=&z=a%20b+c&x=2 HTTP/1.1\r\nHost: h.example:8080\r\nA: 1\r\na: 2, 3\r\nB: \"x,y\", z\r\nCookie: k1=v1; k2=\"v 2\"; k3=\r\nCookie: k4=v4\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nN: 12abc\r\nN2: -5\r\nE:\r\n\r\n";
const SECOND: &[u8] = b"GET /p HTTP/1.1\r\nHost: h.example:8080\r\nA: Hello World\r\n\r\n";

/// Fetches of the first request, and what HAProxy 2.6 makes of them.
#[rustfmt::skip]
const FETCHES: &[(&[u8], &[u8])] = &[
    (b"path", b"/p/a.b"),
    (b"url", b"/p/a.b?x=1&y=&z=a%20b+c&x=2"),
    (b"query", b"x=1&y=&z=a%20b+c&x=2"),
    (b"base", b"h.example:8080/p/a.b"),
    (b"baseq", b"h.example:8080/p/a.b?x=1&y=&z=a%20b+c&x=2"),
    (b"pathq", b"/p/a.b?x=1&y=&z=a%20b+c&x=2"),
    (b"method", b"GET"),
    (b"hdr(a)", b"3"),
    (b"hdr(a,1)", b"1"),
    (b"hdr(a,2)", b"2"),
    (b"hdr(a,3)", b"3"),
    (b"hdr(a,4)", b""),
    (b"hdr(a,-1)", b"3"),
    (b"hdr(a,-3)", b"1"),
    (b"hdr(a,-4)", b""),
    (b"hdr(a,0)", b"3"),
    (b"req.hdr(B)", b"z"),
    (b"req.hdr(B,1)", b"\"x,y\""),
    (b"req.fhdr(a)", b"2, 3"),
    (b"req.fhdr(a,1)", b"1"),
    (b"req.fhdr(a,-1)", b"2, 3"),
    (b"req.fhdr(a,-2)", b"1"),
    (b"req.hdr_cnt(a)", b"3"),
    (b"req.fhdr_cnt(a)", b"2"),
    (b"hdr_cnt(nope)", b"0"),
    (b"hdr(nope)", b""),
    (b"req.hdr_ip(x-forwarded-for)", b"5.6.7.8"),
    (b"hdr_ip(x-forwarded-for,1)", b"1.2.3.4"),
    (b"hdr_val(N)", b"12"),
    (b"hdr_val(N2)", b"-5"),
    (b"hdr_val(a)", b"3"),
    (b"req.ver", b"1.1"),
    (b"req_ver", b"1.1"),
    (b"hdr(E)", b""),
    (b"hdr(host)", b"h.example:8080"),
    (b"hdr(host),host_only", b"h.example"),
    (b"hdr(host),port_only", b"8080"),
    (b"url_param(x)", b"1"),
    (b"urlp(y)", b""),
    (b"urlp(z)", b"a%20b+c"),
    (b"urlp(nope)", b""),
    (b"urlp_val(x)", b"1"),
    (b"cook(k1)", b"v1"),
    (b"cook(k2)", b"\"v 2\""),
    (b"cook(k3)", b""),
    (b"cook(k4)", b"v4"),
    (b"req.cook(nope)", b""),
    (b"cook_cnt(k1)", b"1"),
    (b"cook_cnt", b"4"),
    (b"cook_val(k1)", b"0"),
    (b"cookie(k1)", b"v1"),
    (b"cook", b"v1"),
    (b"src", b"127.0.0.1"),
    (b"dst", b"127.0.0.1"),
    (b"always_true", b"1"),
    (b"always_false", b"0"),
    (b"bool(1)", b"1"),
    (b"int(-5)", b"-5"),
    (b"str(a b)", b"a b"),
    (b"bin(414243)", b"ABC"),
    (b"ipv4(1.2.3.4)", b"1.2.3.4"),
    (b"ipv6(::1)", b"::1"),
    (b"meth(GET)", b"GET"),
    (b"env(NOPE)", b""),
    (b"nbproc", b"1"),
    (b"http_first_req", b"1"),
    (b"req.proto_http", b"1"),
    (b"req_proto_http", b"1"),
    (b"url_ip", b""),
    (b"url_port", b""),
    (b"proc", b"1"),
    (b"thread", b"1"),
    (b"wait_end", b"1"),
    (b"fc_src", b"127.0.0.1"),
    (b"fc_http_major", b"1"),
    (b"method,lower", b"get"),
];

/// Converters, and what HAProxy 2.6 makes of them.
#[rustfmt::skip]
const CONVERTED: &[(&[u8], &[u8])] = &[
    (b"str(Ab1-\xc3\xa9),lower", b"ab1-\xc3\xa9"),
    (b"str(Ab1),upper", b"AB1"),
    (b"str(abc),length", b"3"),
    (b"src,length", b"9"),
    (b"int(1234),length", b"4"),
    (b"always_true,length", b"1"),
    (b"str(f1_f2_f3__f5),field(5,_)", b"f5"),
    (b"str(f1_f2_f3__f5),field(4,_)", b""),
    (b"str(f1_f2_f3__f5),field(2,_,0)", b"f2_f3__f5"),
    (b"str(f1_f2_f3__f5),field(2,_,2)", b"f2_f3"),
    (b"str(f1_f2_f3__f5),field(-2,_,3)", b"f2_f3_"),
    (b"str(f1_f2_f3__f5),field(-3,_,0)", b"f1_f2_f3"),
    (b"str(f1_f2_f3__f5),field(9,_)", b""),
    (b"str(f1_f2_f3__f5),field(-9,_)", b""),
    (b"str(f1_f2_f3__f5),field(1,\",\")", b"f1_f2_f3__f5"),
    (b"str(f1_f2_f3__f5),field(-1,_)", b"f5"),
    (b"str(f1_f2_f3__f5),field(3,_,9)", b"f3__f5"),
    (b"str(f1_f2_f3__f5),field(1,-_,2)", b"f1_f2"),
    (b"str(f1_f2_f3__f5),word(4,_)", b"f5"),
    (b"str(f1_f2_f3__f5),word(5,_)", b""),
    (b"str(f1_f2_f3__f5),word(2,_,0)", b"f2_f3__f5"),
    (b"str(f1_f2_f3__f5),word(3,_,2)", b"f3__f5"),
    (b"str(f1_f2_f3__f5),word(-2,_,3)", b"f1_f2_f3"),
    (b"str(f1_f2_f3__f5),word(-3,_,0)", b"f1_f2"),
    (b"str(f1_f2_f3__f5),word(9,_)", b""),
    (b"str(f1_f2_f3__f5),word(1,_)", b"f1"),
    (b"str(__a__b__),word(1,_)", b"a"),
    (b"str(__a__b__),word(2,_)", b"b"),
    (b"str(__a__b__),word(-1,_)", b"b"),
    (b"str(__a__b__),word(1,_,0)", b"a__b__"),
    (b"str(__a__b__),field(1,_)", b""),
    (b"str(__a__b__),field(3,_)", b"a"),
    (b"str(__a__b__),field(-1,_)", b""),
    (b"str(hello),bytes(1)", b"ello"),
    (b"str(hello),bytes(1,2)", b"el"),
    (b"str(hello),bytes(0,9)", b"hello"),
    (b"str(hello),bytes(5)", b""),
    (b"str(hello),bytes(9)", b""),
    (b"str(hello),bytes(2,-1)", b"llo"),
    (b"str(hello),bytes(-1)", b""),
    (b"str(hello),bytes(-2,1)", b""),
    (b"str(a/b/c),regsub(/,-)", b"a-b/c"),
    (b"str(a/b/c),regsub(/,-,g)", b"a-b-c"),
    (b"str(aBa),regsub(b,x,i)", b"axa"),
    (b"str(aBaB),regsub(b,x,ig)", b"axax"),
    (b"str(abc),regsub(\"(b)\",\"[\\1]\")", b"a[b]c"),
    (b"str(abc),regsub(b,\"<\\0>\",g)", b"a<b>c"),
    (b"str(abc),regsub(z,y)", b"abc"),
    (b"str(abc),regsub(b,)", b"ac"),
    (b"str(aaa),regsub(a*,x,g)", b"xx"),
    (b"str(abc),regsub(x*,-,g)", b"-a-b-c-"),
    (b"str(abc),regsub(^,-,g)", b"-abc"),
    (b"str(aab),regsub(^a,-,g)", b"-ab"),
    (b"int(5),add(3)", b"8"),
    (b"int(5),sub(7)", b"-2"),
    (b"int(5),mul(4)", b"20"),
    (b"int(5),div(2)", b"2"),
    (b"int(5),div(0)", b"9223372036854775807"),
    (b"int(5),mod(3)", b"2"),
    (b"int(5),mod(0)", b"0"),
    (b"int(5),neg", b"-5"),
    (b"int(5),and(4)", b"4"),
    (b"int(5),or(2)", b"7"),
    (b"int(5),xor(1)", b"4"),
    (b"int(5),cpl", b"-6"),
    (b"int(5),odd", b"1"),
    (b"int(5),even", b"0"),
    (b"int(5),bool", b"1"),
    (b"int(5),not", b"0"),
    (b"int(5),htonl,hex", b"00000005"),
    (b"int(5),hex", b"0000000000000005"),
    (b"int(5),lower", b"5"),
    (b"int(5),base64", b"AAAAAAAAAAU="),
    (b"int(-7),mod(3)", b"-1"),
    (b"int(-7),div(2)", b"-3"),
    (b"int(9223372036854775807),add(1)", b"9223372036854775807"),
    (b"int(-9223372036854775808),sub(1)", b"-9223372036854775808"),
    (b"int(9223372036854775807),mul(2)", b"9223372036854775807"),
    (b"int(-9223372036854775808),div(-1)", b"9223372036854775807"),
    (b"int(-9223372036854775808),neg", b"9223372036854775807"),
    (b"int(0),not", b"1"),
    (b"str(12x),add(1)", b"13"),
    (b"str(x),add(1)", b"1"),
    (b"str(0x1f),add(1)", b"1"),
    (b"str(),add(1)", b""),
    (b"str(-3),add(1)", b"-2"),
    (b"str( 3),add(1)", b"1"),
    (b"str(3 ),add(1)", b"4"),
    (b"str(Hello),hex", b"48656C6C6F"),
    (b"bin(00ff41),hex", b"00FF41"),
    (b"str(4142),hex2i", b"16706"),
    (b"str(ff),hex2i", b"255"),
    (b"str(zz),hex2i", b""),
    (b"str(hello),base64", b"aGVsbG8="),
    (b"str(aGVsbG8=),b64dec", b"hello"),
    (b"str(aGVsbG8),b64dec", b""),
    (b"str(a???),b64dec", b""),
    (b"str(hello?>),ub64enc", b"aGVsbG8_Pg"),
    (b"str(aGVsbG8_Pg),ub64dec", b"hello?>"),
    (b"str(a%20b+c%2),url_dec", b""),
    (b"str(a%20b+c),url_dec(1)", b"a b c"),
    (b"str(a%20b+c),url_dec(0)", b"a b+c"),
    (b"str(x?a+b),url_dec", b"x?a b"),
    (b"str(x?a+b?c+d),url_dec(0)", b"x?a b?c d"),
    (b"str(a b/c?&=\xc3\xa9~-_.),url_enc", b"a%20b%2Fc%3F%26%3D%C3%A9~-_."),
    (b"str(a b),url_enc(query)", b"a%20b"),
    (b"str(a%zz),url_dec", b""),
    (b"str(a%00b),url_dec", b"a%00b"),
    (b"str(  ab  ),ltrim( )", b"ab  "),
    (b"str(  ab  ),rtrim( )", b"  ab"),
    (b"str(xxabxx),ltrim(x)", b"abxx"),
    (b"str(xyabyx),rtrim(xy)", b"xyab"),
    (b"str(abc),concat(-,,z)", b"abc-z"),
    (b"str(abc),concat(-)", b"abc-"),
    (b"src,ipmask(8)", b"127.0.0.0"),
    (b"src,ipmask(255.0.0.0)", b"127.0.0.0"),
    (b"src,ipmask(8,64)", b"127.0.0.0"),
    (b"str(::1),ipmask(24,64)", b"::"),
    (b"str(1.2.3.4),ipmask(24)", b"1.2.3.0"),
    (b"str(x),ipmask(24)", b""),
    (b"ipv6(2001:db8::1),ipmask(24,32)", b"2001:db8::"),
    (b"ipv6(2001:db8::1),ipmask(24)", b""),
    (b"str(\"a\\\"b/c\"),json", b"a\\\"b\\/c"),
    (b"str(\xc3\xa9),json(utf8)", b"\\u00e9"),
    (b"str(hello),crc32", b"907060870"),
    (b"str(hello),djb2", b"261238937"),
    (b"str(hello),sdbm", b"684824882"),
    (b"always_true,iif(a,b)", b"a"),
    (b"int(0),iif(a,b)", b"b"),
    (b"str(x),iif(a,b)", b"b"),
    (b"str(1),iif(a,b)", b"a"),
    (b"str(true),bool", b"0"),
    (b"str(yes),bool", b"0"),
    (b"str(0),bool", b"0"),
    (b"int(86400),http_date", b"Fri, 02 Jan 1970 00:00:00 GMT"),
    (b"int(86400),http_date(1)", b"Fri, 02 Jan 1970 00:00:01 GMT"),
    (b"int(86400000),http_date(0,ms)", b"Fri, 02 Jan 1970 00:00:00.0 GMT"),
    (b"int(86400123),http_date(0,ms)", b"Fri, 02 Jan 1970 00:00:00.123 GMT"),
    (b"str([::1]:80),host_only", b"[::1]"),
    (b"str([::1]:80),port_only", b"80"),
    (b"str(a:80),host_only", b"a"),
    (b"str(a),port_only", b"0"),
    (b"str(::1),host_only", b":"),
    (b"bin(01020304050607),be2hex(:,2)", b"0102:0304:0506:07"),
    (b"bin(0102),be2hex", b"0102"),
    (b"str(\"a,b\")", b"a,b"),
    (b"str(a(b)", b"a(b"),
    (b"str(a\\nb)", b"a%0Ab"),
    (b"str(a#b)", b"a#b"),
    (b"str( a )", b" a "),
    (b"str(a  b)", b"a  b"),
    (b"always_true()", b"1"),
    (b"str()", b""),
    (b"hdr( a )", b""),
    (b"hdr(\"a\")", b"Hello World"),
    (b"hdr('a')", b"Hello World"),
    (b"src,lower", b"127.0.0.1"),
    (b"src,upper", b"127.0.0.1"),
    (b"src,add(1)", b"2130706434"),
    (b"always_true,add(1)", b"2"),
    (b"always_true,lower", b"1"),
    (b"method,length", b"3"),
    (b"bin(4142),lower", b"ab"),
    (b"bin(41004200),lower", b"a"),
    (b"bin(41004200),hex", b"41004200"),
    (b"str(abc),bytes(1,)", b""),
    (b"str(abc),bytes(1)", b"bc"),
    (b"str(a:b:c),field(1,:,)", b"a:b:c"),
    (b"path,ipmask(24)", b""),
    (b"str(10.1.2.3),ipmask(255.255.0.0)", b"10.1.0.0"),
    (b"str(abc),cut_crlf", b"abc"),
];

fn check(request: &[u8], rows: &[(&[u8], &[u8])]) {
    let mut session = Session::with(request);
    session.fields = vec![(
        crate::rules::format::Field::FirstRequest,
        crate::rules::format::Value::Int(1),
    )];
    let mut around = Around::default();
    let mut scratch = scratch();
    let mut wrong = Vec::new();
    for (text, expected) in rows {
        let text = [b"%[", *text, b"]"].concat();
        let made = match around.compile(|c| Format::compile(&text, Purpose::Request, c)) {
            Ok(format) => {
                let mut out = Vec::new();
                format.render(&session, &mut scratch.buffers, &mut out);
                out
            }
            Err(problem) => problem.message.into_bytes(),
        };
        if made != *expected {
            let line = format!("{}: {} not {}", shown(&text), shown(&made), shown(expected));
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fetches_read_what_haproxy_reads() {
    check(FIRST, FETCHES);
}

#[test]
fn converters_make_what_haproxy_makes() {
    check(SECOND, CONVERTED);
}

#[test]
fn names_are_known_once() {
    let mut names: Vec<&str> = samples::names().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for name in names {
        assert!(
            !missing::FETCHES.contains(&name),
            "{name} is there and missing"
        );
    }
    for name in missing::CONVERTERS {
        assert!(
            crate::rules::convert::find(name.as_bytes()).is_none(),
            "{name}"
        );
    }
}

#[test]
fn lacking_names_are_refused_by_name() {
    let mut around = Around::default();
    let mut message = |text: &[u8]| {
        let compiled = around.compile(|c| Expression::compile(text, Scope::Request, c));
        compiled.unwrap_err()
    };
    assert_eq!(
        message(b"ssl_fc_sni").message,
        "fetch method 'ssl_fc_sni' is not implemented by oneloop."
    );
    assert_eq!(
        message(b"path,sha1").message,
        "converter 'sha1' is not implemented by oneloop."
    );
    let unknown = message(b"pathh");
    assert_eq!(unknown.message, "unknown fetch method 'pathh'.");
    assert_eq!(unknown.suggestion.as_deref(), Some("path"));
    assert_eq!(nearest(b"zzzzzz", ["path", "hdr"]), None);
}

#[test]
fn counted_headers_are_all_of_them() {
    check(
        FIRST,
        &[(b"hdr_cnt", b"13"), (b"req.fhdr_cnt", b"10"), (b"hdr", b"")],
    );
}
