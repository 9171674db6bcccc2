//! Target `expression`: rules over hostile heads.
//!
//! An input is parts that end with 0x1e: words of an ACL, an expression, a format string, a
//! condition (words are parted by blanks), a request head and an answer head. What does not
//! compile is told in words; what does must not panic, must say the same each time and with
//! memory that was used before, and must match and write the same text that it yields.

use oneloop::base::addr::Address;
use oneloop::base::clock::Now;
use oneloop::http::head::{self, Head, Limits, Parsed, Progress};
use oneloop::http::rewrite::{Edits, Message};
use oneloop::rules::Context;
use oneloop::rules::compile::{Compiler, Problem, Surroundings};
use oneloop::rules::condition::{Acl, AclId, Condition};
use oneloop::rules::fetch::{Expression, Scope, Scratch};
use oneloop::rules::file::Files;
use oneloop::rules::format::{Field, Format, Purpose, Value};

use super::wire::START;

/// What a converter may make of one byte at most, but for `regsub`, which writes what it is told.
const GROWTH_MAX: usize = 4;

struct Around([AclId; 1]);

impl Surroundings for Around {
    fn acls(&self, name: &[u8]) -> &[AclId] {
        if name == b"a" { &self.0 } else { &[] }
    }

    fn acl_names(&self) -> Vec<String> {
        vec!["a".to_owned()]
    }

    fn read(&self, path: &[u8]) -> Result<Vec<u8>, String> {
        match path {
            b"f" => Ok(b"/a\n/b \n# c\n\n10.0.0.0/8\n1:5\n".to_vec()),
            b"m" => Ok(b"/a 1\n  /a/b \t2 \r\n# c\n\n/ 3\nb -4\n/(.)x 5\n".to_vec()),
            b"t" => Ok(b"/a \\0\n(a)|b <\\1>\n. \\\n".to_vec()),
            b"n" => Ok(b"10.0.0.0/8 ::1\n::/1 10.0.0.1\n10.0.0.0/255.0.255.0 ::2\n".to_vec()),
            b"i" => Ok(b"1:5 1\n3- 2\n:-7 3\n0 4\n".to_vec()),
            _ => Err("No such file or directory".to_owned()),
        }
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

    fn server(&self, _: Option<&[u8]>, name: &[u8]) -> Option<u32> {
        (name == b"s").then_some(0)
    }
}

/// A message that was read, or none.
struct Parts {
    bytes: Vec<u8>,
    head: Head,
    edits: Edits,
}

impl Parts {
    fn read(text: &[u8], is_answer: bool) -> Option<Self> {
        let mut bytes = text.to_vec();
        let mut head = Head::new(101);
        let parse = if is_answer {
            head::response
        } else {
            head::request
        };
        let parsed = parse(
            &mut bytes,
            &mut Progress::default(),
            &mut head,
            &Limits::default(),
        );
        (parsed == Parsed::Complete).then(|| Self {
            bytes,
            head,
            edits: Edits::new(8, 1024),
        })
    }

    fn message(&self) -> Message<'_> {
        Message::new(&self.bytes, &self.head, &self.edits)
    }
}

struct Session<'a> {
    request: Option<Parts>,
    response: Option<Parts>,
    text: &'a [u8],
}

impl Context for Session<'_> {
    fn changed(&self) -> Option<&oneloop::rules::lists::Lists> {
        None
    }

    fn request(&self) -> Option<Message<'_>> {
        self.request.as_ref().map(Parts::message)
    }

    fn response(&self) -> Option<Message<'_>> {
        self.response.as_ref().map(Parts::message)
    }

    fn source(&self) -> Address {
        Address::V4([10, 0, 0, 1].into(), 1000)
    }

    fn destination(&self) -> Address {
        Address::V4([10, 0, 0, 2].into(), 80)
    }

    fn field(&self, field: Field) -> Value<'_> {
        match field {
            Field::RequestLine | Field::Hostname | Field::UniqueId => Value::Bytes(self.text),
            _ => Value::Missing,
        }
    }

    fn now(&self) -> Now {
        START
    }
}

fn words(text: &[u8]) -> Vec<&[u8]> {
    let words = text.split(|byte| *byte == b' ');
    words.filter(|word| !word.is_empty()).collect()
}

/// Compiles with everything around that there is.
fn compile<T>(
    acls: &mut Vec<Acl>,
    work: impl Fn(&mut Compiler<'_>) -> Result<T, Problem>,
) -> Option<T> {
    let mut warnings = Vec::new();
    let before = acls.len();
    let made = work(&mut Compiler {
        around: &Around([AclId(0)]),
        files: &Files::default(),
        acls,
        warnings: &mut warnings,
        kind: "backend",
        name: "b",
        is_frontend: false,
        line: 1,
        buffer_size: 16_384,
    });
    assert!(acls.len() >= before);
    made.map_err(|problem| assert!(!problem.message.is_empty()))
        .ok()
}

/// Target `expression`.
pub fn expression(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0x1e);
    let mut part = || parts.next().unwrap_or_default();
    let [acl, sample, format, condition, request, response] = [(); 6].map(|()| part());
    let session = Session {
        request: Parts::read(request, false),
        response: Parts::read(response, true),
        text: request
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default(),
    };
    let mut scratch = Scratch::default();
    scratch.start_message();
    let mut acls = Vec::new();
    let named = [&[&b"a"[..]], words(acl).as_slice()].concat();
    if let Some(acl) = compile(&mut acls, |compiler| Acl::compile(&named, compiler)) {
        let said = acl.matches(AclId(0), &session, &mut scratch);
        assert_eq!(
            said,
            acl.matches(AclId(0), &session, &mut Scratch::default())
        );
        acls.insert(0, acl);
    }
    if !acls.is_empty() {
        conditions(&words(condition), &mut acls, &session, &mut scratch);
    }
    for scope in [Scope::Request, Scope::Switch, Scope::Response, Scope::Log] {
        let made = compile(&mut acls, |compiler| {
            Expression::compile(sample, scope, compiler)
        });
        if let Some(expression) = made {
            let grows = sample.windows(6).any(|word| word == b"regsub");
            let converters = sample.iter().filter(|byte| **byte == b',').count() as u32;
            let room = (data.len() + 64).saturating_mul(GROWTH_MAX.saturating_pow(converters));
            let most = if grows { usize::MAX } else { room };
            yields(&expression, &session, &mut scratch, (data.len(), most));
        }
    }
    for purpose in [
        Purpose::Log,
        Purpose::Request,
        Purpose::Response,
        Purpose::Switch,
    ] {
        let made = compile(&mut acls, |compiler| {
            Format::compile(format, purpose, compiler)
        });
        let Some(format) = made else { continue };
        let render = |scratch: &mut Scratch| {
            let mut out = b"before".to_vec();
            format.render(&session, &mut scratch.buffers, &mut out);
            assert!(out.starts_with(b"before"));
            if matches!(purpose, Purpose::Request | Purpose::Response)
                && format.constant().is_none()
            {
                assert!(!out.contains(&b'\n') || format_has_line_end(data));
            }
            out
        };
        let text = render(&mut scratch);
        assert_eq!(text, render(&mut Scratch::default()));
    }
}

/// A line end in the text itself is the configuration's own.
fn format_has_line_end(data: &[u8]) -> bool {
    let format = data.split(|byte| *byte == 0x1e).nth(2).unwrap_or_default();
    format.contains(&b'\n')
}

fn conditions(words: &[&[u8]], acls: &mut Vec<Acl>, session: &Session<'_>, scratch: &mut Scratch) {
    let made = compile(acls, |compiler| {
        Condition::compile(words, Scope::Request, compiler)
    });
    let Some(condition) = made else { return };
    let said = condition.holds(acls, session, scratch);
    // From memory, and anew.
    assert_eq!(said, condition.holds(acls, session, scratch));
    let mut fresh = Scratch::default();
    fresh.start_message();
    assert_eq!(said, condition.holds(acls, session, &mut fresh));
}

fn yields(
    expression: &Expression,
    session: &Session<'_>,
    scratch: &mut Scratch,
    (input, most): (usize, usize),
) {
    let write = |scratch: &mut Scratch| {
        let mut out = Vec::new();
        let sample = expression.value(session, &mut scratch.buffers);
        let found = sample.is_some();
        if let Some(sample) = sample {
            sample.write(&mut out);
        }
        (found, out)
    };
    let (found, text) = write(scratch);
    assert_eq!((found, text.clone()), write(&mut Scratch::default()));
    assert!(text.len() <= most, "{} of {input}", text.len());
    let mut samples = 0;
    expression.any(session, &mut scratch.buffers, |_, _| {
        samples += 1;
        false
    });
    assert!(samples <= input + 1, "{samples} samples of {input} bytes");
}
