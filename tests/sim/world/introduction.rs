//! Headers of the PROXY protocol, as clients of the simulation send them and servers expect them.
//!
//! What a header says of a client is made of its number, so that a server knows at every connection
//! whether it was told of the client whose request comes behind.

use oneloop::base::addr::Address;
use oneloop::base::proxy_header::{Form, Guest, Parsed, parse, write};

use super::scenario::{Plan, Script};

/// How a client at the door for introductions begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Introduced {
    /// It is at another door.
    #[default]
    No,
    /// By a line of version 1, in one piece.
    AtOnce,
    /// By version 2, of which so many bytes come first.
    InPieces(usize),
}

/// Who the header of a client says that it is.
fn said_of(client: usize) -> (Address, Address) {
    let address = |last, port| Address::V4([192, 0, 2, last].into(), port);
    (address(1, 1_000 + client as u16), address(2, 80))
}

/// The bytes that a client begins with, in the pieces in which they come.
pub(crate) fn pieces(script: &Script, client: usize) -> (Vec<u8>, Vec<u8>) {
    let (form, first) = match script.introduced {
        Introduced::No => return (Vec::new(), Vec::new()),
        Introduced::AtOnce => (Form::V1, usize::MAX),
        Introduced::InPieces(first) => (Form::V2.with(Form::CRC32C), first),
    };
    let guest = Guest {
        addresses: Some(said_of(client)),
        ..Guest::default()
    };
    let mut all = Vec::new();
    write(&mut all, form, &guest);
    let rest = all.split_off(first.min(all.len()));
    (all, rest)
}

/// The address that rules and servers are to take a client for; `sock` is its connection.
pub(crate) fn source_of(script: &Script, client: usize, sock: usize) -> Address {
    match script.introduced {
        Introduced::No => Address::V4([10, 9, 0, 1].into(), 1024 + (sock % 60_000) as u16),
        _ => said_of(client).0,
    }
}

/// Whether the engine introduces clients to this server, as the configuration says.
pub(crate) fn is_told(server: usize) -> bool {
    matches!(server, 3 | 7)
}

/// Takes the header off what a server has received: whom it names, or nothing as long as it is not
/// whole.
pub(crate) fn take(buffer: &mut Vec<u8>) -> Result<Option<Address>, String> {
    let (length, addresses) = match parse(buffer, 1024) {
        Parsed::Partial => return Ok(None),
        Parsed::Refused(why) => return Err(format!("header: {}", why.text())),
        Parsed::Complete(header) => (header.length, header.addresses),
    };
    buffer.drain(..length);
    let named = addresses.ok_or("a header that names nobody")?;
    Ok(Some(named.0))
}

/// Holds whom a connection was said to speak for against the client of a request on it.
pub(crate) fn hold(said: Address, is: Address, plan: &Plan) -> Result<(), String> {
    match said == is {
        true => Ok(()),
        false => Err(format!(
            "request {} of {is} came behind the header of {said}",
            plan.id
        )),
    }
}
