//! Target `proxy_header`: what a header of the PROXY protocol says does not depend on how it comes,
//! and what is written of it is read again as the same.

use oneloop::base::addr::Address;
use oneloop::base::proxy_header::{Form, Guest, Header, Parsed, parse, write};

/// The longest header that is taken, as a buffer of the smallest size has it.
const MOST: usize = 1024;

/// Target `proxy_header`: the first two bytes are how a header is to be written.
pub fn proxy_header(data: &[u8]) {
    let (form, data) = data.split_first_chunk::<2>().unwrap_or((&[0, 0], data));
    let whole = parse(data, MOST);
    for length in 0..data.len() {
        match parse(&data[..length], MOST) {
            Parsed::Partial => {}
            settled => {
                assert_eq!(settled, whole, "settled after {length} bytes");
                break;
            }
        }
    }
    let Parsed::Complete(header) = whole else {
        return;
    };
    assert!(header.length <= data.len().min(MOST));
    if let Some((source, destination)) = header.addresses {
        let both = [source, destination];
        let four = both.iter().all(|one| matches!(one, Address::V4(..)));
        let six = both.iter().all(|one| matches!(one, Address::V6(..)));
        assert!(four || six, "{source} and {destination}");
    }
    write_again(u16::from_be_bytes(*form), &header);
}

/// Writes what was read, in any form, and reads that.
fn write_again(bits: u16, header: &Header<'_>) {
    let parts = [
        Form::V1,
        Form::V2,
        Form::TLS,
        Form::CRC32C,
        Form::AUTHORITY,
        Form::UNIQUE_ID,
    ];
    let chosen = parts.into_iter().enumerate();
    let chosen = chosen.filter(|(n, _)| bits >> n & 1 == 1);
    let form = chosen.fold(Form::default(), |form, (_, part)| form.with(part));
    let guest = Guest {
        addresses: header.addresses,
        authority: header.authority,
        unique_id: Some(header.unique_id),
    };
    let mut out = Vec::new();
    write(&mut out, form, &guest);
    let Parsed::Complete(again) = parse(&out, MOST) else {
        panic!("our own header is refused: {}", out.escape_ascii());
    };
    assert_eq!(again.length, out.len());
    assert_eq!(again.addresses, header.addresses);
    let told = |part: Form| form.has(Form::V2) && form.has(part) && header.addresses.is_some();
    let or_nothing = |told: bool, value| if told { value } else { &b""[..] };
    let authority = or_nothing(told(Form::AUTHORITY), header.authority);
    let unique_id = or_nothing(told(Form::UNIQUE_ID), header.unique_id);
    assert_eq!(again.authority, authority);
    assert_eq!(again.unique_id, unique_id);
}
