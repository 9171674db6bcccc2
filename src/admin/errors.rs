//! `show errors`: the messages that could not be read, byte by byte.
//!
//! The form is HAProxy's, so that people and scripts find what they look for at the same place;
//! where HAProxy prints the flags of its parser stands the reason in words.

use std::io::Write as _;

use crate::base::clock::write_log_date;
use crate::config::model::ProxyId;
use crate::engine::errors::BadMessage;
use crate::engine::service::View;

/// Columns of a line of the dump, its number and the break not counted (management.txt 9.3).
const WIDTH: usize = 70;

/// Appends what is kept of the proxy with that number (`None`: of all), requests or answers only
/// if said so.
pub(super) fn show(view: &View<'_>, proxy: Option<u32>, answers: Option<bool>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Total events captured on [");
    write_log_date(out, view.now.wall_ms, view.now.utc_offset_s);
    // Writing to a vector does not fail, here and below.
    drop(writeln!(out, "] : {}", view.errors.total));
    for message in view.errors.iter() {
        let place = message.place;
        let number_of = |id: Option<ProxyId>| id.map(|id| view.config.proxy(id).number);
        let numbers = [number_of(Some(place.proxy)), number_of(place.other)];
        let wanted = proxy.is_none() || numbers.contains(&proxy);
        if wanted && answers.is_none_or(|answers| answers == place.is_answer) {
            show_one(view, message, out);
        }
    }
}

fn show_one(view: &View<'_>, message: &BadMessage, out: &mut Vec<u8>) {
    let place = message.place;
    let proxy = |id: Option<ProxyId>| match id {
        Some(id) => {
            let proxy = view.config.proxy(id);
            format!("{} (#{})", proxy.name, proxy.number)
        }
        None => "<NONE> (#-1)".to_owned(),
    };
    let server = match place.server.map(|id| view.roster.server(id)) {
        Some(server) => format!("{} (#{})", server.name, server.number),
        None => "<NONE> (#-1)".to_owned(),
    };
    let (whose, what, other) = match place.is_answer {
        true => ("backend", "response", "frontend"),
        false => ("frontend", "request", "backend"),
    };
    out.extend_from_slice(b" \n[");
    write_log_date(out, message.at.wall_ms, message.at.utc_offset_s);
    let length = message.bytes.len();
    let size = view.config.global.buffer_size as usize;
    drop(write!(
        out,
        "] {whose} {}: invalid {what}\n  {other} {}, server {server}, event #{}, src {}\n  \
         buffer starts at 0 (including 0 out), {} free,\n  len {length}, wraps at {size}, error at \
         position {}\n  reason: {} :\n  \n",
        proxy(Some(place.proxy)),
        proxy(place.other),
        message.number,
        message.source,
        size.saturating_sub(length),
        message.refusal.position,
        message.refusal.reason,
    ));
    dump(&message.bytes, out);
}

/// One input line a line, long ones broken, each with the offset of its first byte.
fn dump(bytes: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    let mut continued = false;
    while at < bytes.len() {
        let mark = if continued { '+' } else { ' ' };
        drop(write!(out, "  {at:05}{mark} "));
        let start = out.len();
        let mut ended = false;
        while let Some(&byte) = bytes.get(at) {
            let mut room = [0; 4];
            let shown = escaped(byte, &mut room);
            if out.len().saturating_sub(start).saturating_add(shown.len()) > WIDTH {
                break;
            }
            out.extend_from_slice(shown);
            at = at.saturating_add(1);
            ended = byte == b'\n';
            if ended {
                break;
            }
        }
        out.push(b'\n');
        continued = !ended;
    }
}

/// A byte as the dump has it.
fn escaped(byte: u8, room: &mut [u8; 4]) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |n: u8| HEX.get(usize::from(n & 15)).copied().unwrap_or(b'?');
    match byte {
        b'\t' => b"\\t",
        b'\n' => b"\\n",
        b'\r' => b"\\r",
        0x1b => b"\\e",
        b'\\' => b"\\\\",
        b' '..=b'~' => {
            let [first, ..] = room;
            *first = byte;
            room.get(..1).unwrap_or_default()
        }
        _ => {
            *room = [b'\\', b'x', digit(byte >> 4), digit(byte)];
            room
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// HAProxy 2.6 writes `\t` as it stands and a backslash without another; the manual (9.3) says
    /// what stands here.
    #[test]
    fn lines_are_broken_where_haproxy_breaks_them() {
        let mut bytes = b"GET / HTTP/1.1\r\nX-Long: ".to_vec();
        bytes.extend_from_slice(&b"abcdefghij".repeat(20));
        bytes.extend_from_slice(b"\r\nB@d: a\x00\x01\xff\t\"\\\x1b\x7fz\r\n\r\n");
        let mut out = Vec::new();
        dump(&bytes, &mut out);
        let expected = r#"  00000  GET / HTTP/1.1\r\n
  00016  X-Long: abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijab
  00086+ cdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijab
  00156+ cdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij\r
  00225+ \n
  00226  B@d: a\x00\x01\xFF\t"\\\e\x7Fz\r\n
  00243  \r\n
"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
