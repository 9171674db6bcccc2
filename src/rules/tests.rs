//! Tables of what HAProxy 2.6 was seen to do, and a session made of plain values.

use std::collections::HashMap;
use std::rc::Rc;

use super::Context;
use super::compile::{Compiler, Lead, Problem, Surroundings};
use super::condition::{Acl, AclId};
use super::fetch::Scratch;
use super::file::Files;
use super::format::{Field, Value};
use super::lists::Lists;
use crate::base::addr::Address;
use crate::base::clock::Now;
use crate::http::head::{self, Head, Limits, Parsed, Progress};
use crate::http::rewrite::{Edits, Message};

/// A message with its edits.
pub(super) struct Parts {
    pub(super) bytes: Vec<u8>,
    pub(super) head: Head,
    pub(super) edits: Edits,
}

impl Parts {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut bytes = text.to_vec();
        let mut head = Head::new(101);
        let limits = Limits {
            bytes_max: 16_384,
            lenient: true,
        };
        let parse = if text.starts_with(b"HTTP/") {
            head::response
        } else {
            head::request
        };
        let parsed = parse(&mut bytes, &mut Progress::default(), &mut head, &limits);
        assert_eq!(parsed, Parsed::Complete, "{}", text.escape_ascii());
        Self {
            bytes,
            head,
            edits: Edits::new(64, 8_192),
        }
    }

    fn message(&self) -> Message<'_> {
        Message::new(&self.bytes, &self.head, &self.edits)
    }
}

/// A session made of plain values.
#[derive(Default)]
pub(super) struct Session {
    pub(super) request: Option<Parts>,
    pub(super) response: Option<Parts>,
    pub(super) source: Option<&'static str>,
    pub(super) fields: Vec<(Field, Value<'static>)>,
    pub(super) lists: Rc<Lists>,
}

impl Session {
    pub(super) fn with(request: &[u8]) -> Self {
        Self {
            request: Some(Parts::new(request)),
            ..Self::default()
        }
    }
}

impl Context for Session {
    fn changed(&self) -> Option<&Lists> {
        self.lists.changed()
    }

    fn request(&self) -> Option<Message<'_>> {
        self.request.as_ref().map(Parts::message)
    }

    fn response(&self) -> Option<Message<'_>> {
        self.response.as_ref().map(Parts::message)
    }

    fn source(&self) -> Address {
        Address::new(self.source.unwrap_or("127.0.0.1").parse().unwrap(), 40_000)
    }

    fn destination(&self) -> Address {
        Address::new("127.0.0.1".parse().unwrap(), 15_099)
    }

    fn field(&self, field: Field) -> Value<'_> {
        let found = self.fields.iter().find(|(known, _)| *known == field);
        let of_connection = match field {
            Field::ConnectionSource => Value::Address(self.source()),
            Field::ConnectionDestination => Value::Address(self.destination()),
            _ => Value::Missing,
        };
        found.map_or(of_connection, |(_, value)| *value)
    }

    fn now(&self) -> Now {
        Now {
            ms: 1,
            wall_ms: 1_676_779_346_864,
            utc_offset_s: 0,
        }
    }
}

/// A configuration around the line that is compiled.
#[derive(Default)]
pub(super) struct Around {
    pub(super) names: HashMap<Vec<u8>, Vec<AclId>>,
    pub(super) files: HashMap<&'static str, &'static [u8]>,
    pub(super) read: Files,
    pub(super) acls: Vec<Acl>,
    pub(super) warnings: Vec<Problem>,
}

/// The part that compiling asks.
struct Asked<'a>(
    &'a HashMap<Vec<u8>, Vec<AclId>>,
    &'a HashMap<&'static str, &'static [u8]>,
);

impl Surroundings for Asked<'_> {
    fn acls(&self, name: &[u8]) -> &[AclId] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn acl_names(&self) -> Vec<String> {
        let name = |name: &Vec<u8>| String::from_utf8_lossy(name).into_owned();
        self.0.keys().map(name).collect()
    }

    fn read(&self, path: &[u8]) -> Result<Vec<u8>, String> {
        let path = std::str::from_utf8(path).unwrap();
        let found = self.1.get(path).map(|text| text.to_vec());
        found.ok_or_else(|| "No such file or directory".to_owned())
    }

    fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        (name == b"HOME").then(|| b"/root".to_vec())
    }

    fn frontend(&self, name: &[u8]) -> Option<u32> {
        (name == b"f").then_some(0)
    }

    fn backend(&self, name: &[u8]) -> Option<u32> {
        (name == b"b").then_some(1)
    }

    fn server(&self, backend: Option<&[u8]>, name: &[u8]) -> Option<u32> {
        (backend.is_none_or(|backend| backend == b"b") && name == b"s").then_some(7)
    }
}

impl Around {
    pub(super) fn compile<T>(&mut self, work: impl FnOnce(&mut Compiler<'_>) -> T) -> T {
        let Self {
            names,
            files,
            read,
            acls,
            warnings,
        } = self;
        work(&mut Compiler {
            around: &Asked(names, files),
            files: read,
            acls,
            warnings,
            kind: "backend",
            name: "b",
            is_frontend: false,
            line: 10,
            buffer_size: 16_384,
        })
    }

    /// Declares an ACL as its line would.
    pub(super) fn declare(&mut self, line: &str) {
        let words = words(line);
        let acl = self.compile(|compiler| Acl::compile(&slices(&words), compiler));
        let acl = acl.unwrap();
        let id = AclId(self.acls.len() as u32);
        self.names.entry(acl.name.to_vec()).or_default().push(id);
        self.acls.push(acl);
    }
}

/// Words of a line: double quotes, and backslashes outside of them.
pub(super) fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut open = false;
    let mut quoted = false;
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' if !quoted => {
                open = false;
                continue;
            }
            _ if !open => words.push(Vec::new()),
            _ => {}
        }
        open = true;
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => words.last_mut().unwrap().extend(bytes.next()),
            _ => words.last_mut().unwrap().push(byte),
        }
    }
    words
}

pub(super) fn slices(words: &[Vec<u8>]) -> Vec<&[u8]> {
    words.iter().map(Vec::as_slice).collect()
}

/// The message as it is printed after `parsing [F:10]`.
pub(super) fn printed(problem: &Problem) -> String {
    let lead = match problem.lead {
        Lead::Spaced => " : ",
        Lead::Tight | Lead::Capital => ": ",
        Lead::Bare => "",
    };
    format!("{lead}{}", problem.message)
}

pub(super) fn scratch() -> Scratch {
    let mut scratch = Scratch::default();
    scratch.start_message();
    scratch
}

/// Shows bytes in failures.
pub(super) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
