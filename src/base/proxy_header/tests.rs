//! What haproxy 2.6 was seen to take, refuse and send.

use super::*;

const MOST: usize = 16_384;

fn address(text: &str, port: u16) -> Address {
    Address::new(text.parse().unwrap(), port)
}

fn pair(source: (&str, u16), destination: (&str, u16)) -> Option<(Address, Address)> {
    Some((
        address(source.0, source.1),
        address(destination.0, destination.1),
    ))
}

/// A header of version 2.
fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, payload].concat()
}

/// Addresses of TCP over IPv4, and values behind them.
fn v4_with(values: &[u8]) -> Vec<u8> {
    let addresses = [1, 2, 3, 4, 5, 6, 7, 8, 0x04, 0x57, 0x08, 0xae];
    v2(PROXY, TCP4, &[&addresses[..], values].concat())
}

fn value(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, value].concat()
}

/// Parses whole and at every length; a prefix must be partial, or refused for the same reason.
fn read(bytes: &[u8]) -> Result<Header<'_>, Refusal> {
    let whole = parse(bytes, MOST);
    let mut settled = false;
    for length in 0..bytes.len() {
        match parse(&bytes[..length], MOST) {
            Parsed::Partial => assert!(!settled, "{} at {length}", bytes.escape_ascii()),
            other => {
                assert_eq!(other, whole, "{} at {length}", bytes.escape_ascii());
                settled = true;
            }
        }
    }
    let more = [bytes, b"GET / HTTP/1.1\r\n"].concat();
    match whole {
        Parsed::Partial => panic!("{} is partial", bytes.escape_ascii()),
        Parsed::Refused(why) => {
            assert_eq!(parse(&more, MOST), Parsed::Refused(why));
            Err(why)
        }
        Parsed::Complete(header) => {
            assert_eq!(parse(&more, MOST), whole);
            Ok(header)
        }
    }
}

#[test]
fn lines_of_version_1() {
    let four = pair(("1.2.3.4", 1111), ("5.6.7.8", 2222));
    let six = pair(("2001:db8::1", 1111), ("2001:db8::2", 2222));
    let mapped = pair(("::ffff:1.2.3.4", 1), ("::ffff:5.6.7.8", 2));
    let ends = pair(("0.0.0.0", 0), ("255.255.255.255", 65_535));
    let invalid = Err(Refusal::Invalid);
    let unhandled = Err(Refusal::Unhandled);
    let zeros = format!("TCP4 1.2.3.4 5.6.7.8 1111 {}2222", "0".repeat(65));
    let too_long = format!("TCP4 1.2.3.4 5.6.7.8 1111 {}2222", "0".repeat(70));
    for (text, expected) in [
        ("TCP4 1.2.3.4 5.6.7.8 1111 2222", Ok(four)),
        ("TCP4 01.002.0003.4 5.6.7.8 01111 02222", Ok(four)),
        (&zeros, Ok(four)),
        ("TCP4 0.0.0.0 255.255.255.255 0 65535", Ok(ends)),
        ("TCP6 2001:db8::1 2001:db8::2 1111 2222", Ok(six)),
        ("TCP6 2001:DB8::1 2001:DB8:0::2 1111 2222", Ok(six)),
        ("TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1 2", Ok(mapped)),
        ("UNKNOWN", Ok(None)),
        ("UNKNOWN ffff:: ffff:: 1 2", unhandled),
        ("UNKNOWNX", unhandled),
        ("UDP4 1.2.3.4 5.6.7.8 1111 2222", unhandled),
        ("tcp4 1.2.3.4 5.6.7.8 1111 2222", unhandled),
        ("TCP5 1.2.3.4 5.6.7.8 1111 2222", unhandled),
        (" TCP4 1.2.3.4 5.6.7.8 1111 2222", unhandled),
        ("", unhandled),
        ("TCP4", unhandled),
        ("TCP4 ", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111 ", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111 2222 ", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111 2222 x", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111 2222\r", invalid),
        ("TCP4  1.2.3.4 5.6.7.8 1111 2222", invalid),
        ("TCP4 1.2.3.4\t5.6.7.8 1111 2222", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 +1111 2222", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 -1 2222", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 0x11 2222", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111 22\0", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 65536 2222", invalid),
        ("TCP4 1.2.3.4 5.6.7.8 1111 4294967297", invalid),
        ("TCP4 256.2.3.4 5.6.7.8 1111 2222", invalid),
        ("TCP4 1.2.3 5.6.7.8 1111 2222", invalid),
        ("TCP4 1.2.3.4.5 5.6.7.8 1111 2222", invalid),
        ("TCP4 16909060 5.6.7.8 1111 2222", invalid),
        ("TCP4 localhost 5.6.7.8 1111 2222", invalid),
        ("TCP4 ::1 ::2 1111 2222", invalid),
        ("TCP6 1.2.3.4 5.6.7.8 1111 2222", invalid),
        ("TCP6 fe80::1%lo 2001:db8::2 1111 2222", invalid),
        ("TCP6 1::2::3 2001:db8::2 1111 2222", invalid),
        (&too_long, Err(Refusal::Truncated)),
    ] {
        let bytes = format!("PROXY {text}\r\n");
        let found = read(bytes.as_bytes());
        assert_eq!(found.map(|header| header.addresses), expected, "{text}");
        if let Ok(header) = found {
            assert_eq!(header.length, bytes.len());
        }
    }
    let lf = b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\n";
    assert_eq!(read(lf), Err(Refusal::Invalid));
    let endless = [b"PROXY TCP6 ", &[b'f'; 200][..]].concat();
    assert_eq!(read(&endless), Err(Refusal::Truncated));
}

#[test]
fn strangers() {
    let foreign = Err(Refusal::Foreign);
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST / HTTP/1.1\r\n",
        b"PROXZ TCP4",
        b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        b"\r\n\r\nGET",
        b"\x16\x03\x01",
        b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x11",
        b"\r\n\r\n\0\r\nQUIT\n\x31",
        b"\r\n\r\n\0\r\nQUIT\n\x01",
    ] {
        assert_eq!(read(bytes), foreign, "{}", bytes.escape_ascii());
    }
    assert_eq!(parse(b"", MOST), Parsed::Partial);
}

#[test]
fn headers_of_version_2() {
    let four = pair(("1.2.3.4", 1111), ("5.6.7.8", 2222));
    let six = pair(("2001:db8::1", 1111), ("2001:db8::2", 2222));
    let addresses = |source: &str, destination: &str| {
        let octets = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        let ports = [0x04, 0x57, 0x08, 0xae];
        [&octets(source)[..], &octets(destination), &ports].concat()
    };
    let of_six = addresses("2001:db8::1", "2001:db8::2");
    let invalid = Err(Refusal::Invalid);
    for (bytes, expected) in [
        (v4_with(b""), Ok(four)),
        (v2(PROXY, TCP6, &of_six), Ok(six)),
        (v2(LOCAL, 0, b""), Ok(None)),
        (v2(LOCAL, 0xff, b"whatever"), Ok(None)),
        (v2(LOCAL, TCP4, &[0; 12]), Ok(None)),
        (v4_with(&value(0xe0, b"zz")), Ok(four)),
        (v4_with(&value(TYPE_TLS, b"short")), Ok(four)),
        (v4_with(&value(0x30, b"netns")), Ok(four)),
        (v2(PROXY, 0, b""), invalid),
        (v2(PROXY, 0x12, &[0; 12]), invalid),
        (v2(PROXY, 0x22, &[0; 36]), invalid),
        (v2(PROXY, 0x31, &[0; 216]), invalid),
        (v2(PROXY, 0x10, &[0; 12]), invalid),
        (v2(PROXY, 0x41, &[0; 12]), invalid),
        (v2(0x22, TCP4, &[0; 12]), invalid),
        (v2(0x2f, TCP4, &[0; 12]), invalid),
        (v2(PROXY, TCP4, &[0; 11]), invalid),
        (v2(PROXY, TCP4, b""), invalid),
        (v2(PROXY, TCP6, &[0; 35]), invalid),
        (v4_with(b"\x02"), invalid),
        (v4_with(b"\x02\0"), invalid),
        (v4_with(b"\x02\0\x05ab"), invalid),
        (v4_with(&value(TYPE_AUTHORITY, &[b'x'; 256])), invalid),
        (v4_with(&value(TYPE_UNIQUE_ID, &[b'x'; 129])), invalid),
        (v4_with(&value(TYPE_CRC32C, b"abcd")), invalid),
        (v4_with(&value(TYPE_CRC32C, b"abc")), invalid),
        (v4_with(&value(TYPE_CRC32C, b"abcde")), invalid),
        (v4_with(&value(4, &[0; 16_384 - 31])), Ok(four)),
        (
            v4_with(&value(4, &[0; 16_384 - 30])),
            Err(Refusal::Truncated),
        ),
    ] {
        let shown = bytes[..bytes.len().min(40)].escape_ascii();
        // One step less at a time would take long for the longest.
        let found = match bytes.len() {
            0..=300 => read(&bytes),
            _ => match parse(&bytes, MOST) {
                Parsed::Complete(header) => Ok(header),
                Parsed::Refused(why) => Err(why),
                Parsed::Partial => panic!("{shown} is partial"),
            },
        };
        assert_eq!(found.map(|header| header.addresses), expected, "{shown}");
        if let Ok(header) = found {
            assert_eq!(header.length, bytes.len());
        }
    }
    let cut = v4_with(&value(TYPE_AUTHORITY, b"h.example"));
    assert_eq!(
        parse(&cut, cut.len() - 1),
        Parsed::Refused(Refusal::Truncated)
    );
}

#[test]
fn values_are_kept() {
    let several = [
        value(TYPE_AUTHORITY, b"one"),
        value(0xe0, b"x"),
        value(TYPE_UNIQUE_ID, b"id\0\x01"),
        value(TYPE_AUTHORITY, b"h.example"),
        value(TYPE_UNIQUE_ID, &[b'i'; 128]),
    ];
    let bytes = v4_with(&several.concat());
    let header = read(&bytes).unwrap();
    assert_eq!(header.authority, b"h.example");
    assert_eq!(header.unique_id, [b'i'; 128]);
    let local = v2(LOCAL, TCP4, &[&[0; 12][..], &several[0]].concat());
    assert_eq!(read(&local).unwrap().authority, b"");
}

#[test]
fn a_checksum_is_checked() {
    // As haproxy sends it.
    let form = Form::V2.with(Form::CRC32C);
    let guest = Guest {
        addresses: pair(("127.0.0.1", 33_238), ("127.0.0.1", 40_801)),
        ..Guest::default()
    };
    let mut bytes = Vec::new();
    write(&mut bytes, form, &guest);
    let sent = b"\x21\x11\0\x13\x7f\0\0\x01\x7f\0\0\x01\x81\xd6\x9fa\x03\0\x04H\xd0\x98$";
    assert_eq!(bytes, [SIGNATURE, sent].concat());
    assert!(read(&bytes).is_ok());
    // Another type would be another value.
    for at in (16..bytes.len()).filter(|at| *at != 28) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x40;
        assert!(read(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn headers_are_written_as_haproxy_writes_them() {
    let four = pair(("127.0.0.1", 37_794), ("127.0.0.2", 55_867));
    let six = pair(("::1", 38_388), ("2001:db8::2", 35_241));
    let unix = Some((Address::Unix, Address::Unix));
    let mixed = Some((four.unwrap().0, six.unwrap().1));
    let line = |addresses| {
        let mut out = Vec::new();
        let guest = Guest {
            addresses,
            ..Guest::default()
        };
        write(&mut out, Form::V1, &guest);
        String::from_utf8(out).unwrap()
    };
    let text = "PROXY TCP4 127.0.0.1 127.0.0.2 37794 55867\r\n";
    assert_eq!(line(four), text);
    let text = "PROXY TCP6 ::1 2001:db8::2 38388 35241\r\n";
    assert_eq!(line(six), text);
    for addresses in [unix, mixed, None] {
        assert_eq!(line(addresses), "PROXY UNKNOWN\r\n");
    }
    let binary = |form: Form, addresses, unique_id| {
        let mut out = b"before".to_vec();
        let guest = Guest {
            addresses,
            authority: b"auth.ex",
            unique_id,
        };
        write(&mut out, Form::V2.with(form), &guest);
        out.strip_prefix(&[b"before", SIGNATURE].concat()[..])
            .unwrap()
            .to_vec()
    };
    let addresses = b"\x7f\0\0\x01\x7f\0\0\x02\x93\xa2\xda\x3b";
    let form = Form::V1;
    let sent = [b"\x21\x11\0\x0c", &addresses[..]].concat();
    assert_eq!(binary(form, four, None), sent);
    assert_eq!(binary(form, unix, None), b"\x20\0\0\0");
    assert_eq!(
        binary(Form::CRC32C, None, None),
        b"\x20\0\0\x07\x03\0\x04\xa9\xb8\x7e\x8f"
    );
    let all = Form::TLS.with(Form::AUTHORITY).with(Form::UNIQUE_ID);
    let rest = b"\x02\0\x07auth.ex\x05\0\x03fix\x20\0\x05\0\0\0\0\0";
    let sent = [b"\x21\x11\0\x24", &addresses[..], rest].concat();
    assert_eq!(binary(all, four, Some(b"fix")), sent);
    let sent = [b"\x21\x11\0\x0f", &addresses[..], b"\x05\0\0"].concat();
    assert_eq!(binary(Form::UNIQUE_ID, four, Some(b"")), sent);
    let six = binary(Form::V1, six, None);
    assert_eq!(six[..4], *b"\x21\x21\0\x24");
    assert_eq!(six.len(), 40);
}

#[test]
fn what_is_written_is_read() {
    for form in [
        Form::V1,
        Form::V2,
        Form::V2.with(Form::CRC32C).with(Form::TLS),
        Form::V2
            .with(Form::UNIQUE_ID)
            .with(Form::AUTHORITY)
            .with(Form::CRC32C),
    ] {
        for addresses in [
            pair(("1.2.3.4", 0), ("255.255.255.255", 65_535)),
            pair(("::", 1), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2)),
            None,
        ] {
            let guest = Guest {
                addresses,
                authority: b"h.example",
                unique_id: addresses.map(|_| &b"id"[..]),
            };
            let mut bytes = Vec::new();
            write(&mut bytes, form, &guest);
            let header = read(&bytes).unwrap();
            assert_eq!(header.addresses, addresses);
            assert_eq!(header.length, bytes.len());
            let told = |part: Form| form.has(part) && addresses.is_some();
            assert_eq!(header.authority == b"h.example", told(Form::AUTHORITY));
            assert_eq!(header.unique_id == b"id", told(Form::UNIQUE_ID));
        }
    }
}

#[test]
fn reasons_have_haproxys_numbers() {
    let numbers = Refusal::ALL.map(Refusal::number);
    assert_eq!(numbers, [11, 12, 13, 14, 15, 16, 17]);
    assert_eq!(Refusal::text_of(0), Some("Success"));
    assert_eq!(Refusal::text_of(14), Some(Refusal::Truncated.text()));
    assert_eq!(Refusal::text_of(10), None);
}
