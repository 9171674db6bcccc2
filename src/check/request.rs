//! The request that an HTTP check sends.
//!
//! HAProxy renders it through its HTTP/1 writer, and so do we: names in lower case, fields without
//! a value left out, and the fields that frame the message and the connection made by us. What is
//! asked for is not judged: a check may send any method, target or version.

use super::expect::Text;
use crate::rules::Context;
use crate::rules::fetch::Buffers;
use crate::rules::format::Format;

/// What `option httpchk` and `http-check send` say of a request.
#[derive(Debug, Default)]
pub struct Request {
    /// `OPTIONS` unless given.
    pub method: Option<Box<[u8]>>,
    /// `/` unless given.
    pub uri: Option<Text>,
    /// `HTTP/1.0` unless given.
    pub version: Option<Box<[u8]>>,
    /// Names in lower case, with their values.
    pub headers: Vec<(Box<[u8]>, Format)>,
    /// The body.
    pub body: Option<Text>,
}

/// True for `HTTP/x.y` from 1.1 on.
fn is_modern(version: &[u8]) -> bool {
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] => {
            major.is_ascii_digit() && minor.is_ascii_digit() && (*major, *minor) >= (b'1', b'1')
        }
        _ => false,
    }
}

impl Request {
    /// Appends the request. What it does not say `first` says, which is `option httpchk`'s where
    /// this is the first of its sequence. `state` is the value of `X-Haproxy-Server-State`.
    pub fn write<C: Context>(
        &self,
        first: Option<&Self>,
        state: Option<&[u8]>,
        context: &C,
        buffers: &mut Buffers,
        out: &mut Vec<u8>,
    ) {
        let method = self.method.as_ref().or_else(|| first?.method.as_ref());
        let method: &[u8] = method.map_or(b"OPTIONS", |method| method);
        let version = self.version.as_ref().or_else(|| first?.version.as_ref());
        let version: &[u8] = version.map_or(b"HTTP/1.0", |version| version);
        let modern = is_modern(version);
        let uri = self.uri.as_ref().or_else(|| first?.uri.as_ref());
        let uri = uri.map(|uri| uri.render(context, buffers));
        let uri = uri.as_deref().filter(|uri| !uri.is_empty()).unwrap_or(b"/");
        let body = self.body.as_ref().or_else(|| first?.body.as_ref());
        let body = body.map(|body| body.render(context, buffers));
        let headers = match (self.headers.as_slice(), first) {
            ([], Some(first)) => &first.headers,
            _ => &self.headers,
        };
        let mut fields = Vec::new();
        let mut host = None;
        let mut connection = None;
        for (name, format) in headers {
            let mut value = Vec::new();
            format.render(context, buffers, &mut value);
            match &**name {
                _ if value.is_empty() => {}
                b"content-length" | b"transfer-encoding" => {}
                b"connection" => connection = Some(value),
                b"host" => {
                    put(&mut fields, name, &value);
                    host = Some(value);
                }
                _ => put(&mut fields, name, &value),
            }
        }
        if let Some(state) = state {
            put(&mut fields, b"x-haproxy-server-state", state);
        }
        let length = body.as_ref().map_or(0, |body| body.len());
        let bodiless = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"DELETE");
        if length > 0 || !bodiless {
            put(
                &mut fields,
                b"content-length",
                length.to_string().as_bytes(),
            );
        }
        match connection {
            // Of HTTP/1.1 that goes without saying.
            Some(value) if modern && value.eq_ignore_ascii_case(b"keep-alive") => {}
            Some(value) => put(&mut fields, b"connection", &value),
            None if modern => put(&mut fields, b"connection", b"close"),
            None => {}
        }
        out.extend_from_slice(method);
        out.push(b' ');
        write_uri(uri, host.as_deref(), out);
        out.push(b' ');
        out.extend_from_slice(if modern { b"HTTP/1.1" } else { version });
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&fields);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body.as_deref().unwrap_or_default());
    }
}

fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// The target; the authority of an absolute one is the Host, if there is one.
fn write_uri(uri: &[u8], host: Option<&[u8]>, out: &mut Vec<u8>) {
    let scheme = uri.windows(3).position(|part| part == b"://");
    let (Some(scheme), Some(host)) = (scheme, host) else {
        return out.extend_from_slice(uri);
    };
    let (before, authority) = uri.split_at(scheme.saturating_add(3).min(uri.len()));
    let path = authority
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'));
    out.extend_from_slice(before);
    out.extend_from_slice(host);
    out.extend_from_slice(
        authority
            .get(path.unwrap_or(authority.len())..)
            .unwrap_or_default(),
    );
}
