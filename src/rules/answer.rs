//! Answers that rules give: `deny`, `return` and `redirect`.
//!
//! Compiling reads their arguments (configuration.txt 4.2, "http-request return"); what does not
//! depend on the request is rendered then and there. The rest is rendered by [`Final::render`].
//! This file decides texts and counts; it never decides whether the connection stays, except that
//! an errorfile may end it.
//! Rejected: rendering all answers per request (most are constant), and a body inside the head's
//! buffer (HEAD leaves it out).

use std::sync::Arc;

use super::Context;
use super::compile::{Compiler, Problem};
use super::fetch::{Buffers, Scratch};
use super::format::{Format, Purpose};
use crate::http::head::Limits;
use crate::http::render::Persistence;
use crate::http::reply::{
    BUILTIN_STATUSES, HeadWriter, LOGGED_MESSAGE_END, RedirectCookie, RedirectOptions, RedirectTo,
    Reply, reason, redirect_location, write_redirect,
};

/// Which action gave the answer; the log says `PR--` of a denial and `LR--` of the others (`PH--`
/// and `LH--` when an `http-response` rule gave it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `deny`.
    Deny,
    /// `return`.
    Return,
    /// `redirect`.
    Redirect,
}

/// The answer of a final rule.
#[derive(Debug)]
pub struct Final {
    /// Which action gave it.
    pub kind: Kind,
    /// The status that the log says.
    pub status: u16,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// The proxy's answer for the status.
    Usual,
    /// Rendered at load.
    Constant(Arc<Reply>),
    /// Rendered per request.
    Made {
        content_type: Option<Box<[u8]>>,
        fields: Vec<(Box<[u8]>, Format)>,
        body: Format,
    },
    Redirect {
        to: Target,
        options: RedirectOptions,
        cookie: Option<Cookie>,
        ignore_empty: bool,
    },
}

#[derive(Debug)]
enum Target {
    Location(Format),
    Prefix(Format),
    Scheme(Format),
}

#[derive(Debug)]
enum Cookie {
    Set(Box<[u8]>),
    Clear(Box<[u8]>),
}

/// What [`Final::render`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Status of the answer as the log says it.
    pub status: u16,
    /// Minor version of the status line, for `Exchange::persistence`.
    pub minor: u8,
    /// What the log's BYTES field says when all is delivered.
    pub logged_bytes: u64,
    /// The connection ends with it.
    pub closes: bool,
}

impl Final {
    /// The status whose usual error answer (the proxy's errorfile or the built-in one) is to be
    /// given; `None` when the rule makes its own.
    #[must_use]
    pub fn usual(&self) -> Option<u16> {
        matches!(self.answer, Answer::Usual).then_some(self.status)
    }

    /// The answer, if it was rendered at load. Its own status may differ from `status`.
    #[must_use]
    pub fn constant(&self) -> Option<&Arc<Reply>> {
        match &self.answer {
            Answer::Constant(reply) => Some(reply),
            _ => None,
        }
    }

    /// Writes the answer: status line and fields to `head` (`Persistence::tail` is to follow), the
    /// body to `body`. Both are cleared. A usual answer is written as the built-in one.
    pub fn render<C: Context>(
        &self,
        context: &C,
        scratch: &mut Scratch,
        head: &mut Vec<u8>,
        body: &mut Vec<u8>,
    ) -> Rendered {
        body.clear();
        let Scratch { buffers, text, .. } = scratch;
        let logged_bytes = match &self.answer {
            Answer::Usual => return self.copy(&Reply::builtin(self.status), head, body),
            Answer::Constant(reply) => return self.copy(reply, head, body),
            Answer::Made {
                content_type,
                fields,
                body: format,
            } => {
                format.render(context, buffers, body);
                let fields = fields.iter().map(|(name, value)| (&**name, value));
                let logged = write_head(
                    (head, body.len() as u64),
                    self.status,
                    content_type.as_deref(),
                    fields,
                    |value, out| value.render(context, buffers, out),
                    text,
                );
                logged_message(logged, body)
            }
            Answer::Redirect {
                to,
                options,
                cookie,
                ..
            } => {
                // The body is empty: its buffer holds the location while the head is written.
                locate(to, *options, context, buffers, text, body);
                let cookie = cookie.as_ref().map(|cookie| match cookie {
                    Cookie::Set(cookie) => RedirectCookie::Set(cookie),
                    Cookie::Clear(cookie) => RedirectCookie::Clear(cookie),
                });
                let logged = write_redirect(head, self.status, body, cookie, Persistence::Unsaid);
                head.truncate(head.len().saturating_sub(Persistence::Unsaid.tail().len()));
                body.clear();
                logged
            }
        };
        Rendered {
            status: self.status,
            minor: 1,
            logged_bytes,
            closes: false,
        }
    }

    fn copy(&self, reply: &Reply, head: &mut Vec<u8>, body: &mut Vec<u8>) -> Rendered {
        head.clear();
        head.extend_from_slice(&reply.head);
        body.extend_from_slice(&reply.body);
        Rendered {
            status: self.status,
            minor: reply.minor,
            logged_bytes: reply.logged_bytes,
            closes: reply.closes,
        }
    }

    /// Whether the rule is to be passed over: a redirect with `ignore-empty` to nowhere.
    pub(super) fn is_void<C: Context>(&self, context: &C, scratch: &mut Scratch) -> bool {
        let Answer::Redirect {
            to: Target::Location(format) | Target::Prefix(format) | Target::Scheme(format),
            ignore_empty: true,
            ..
        } = &self.answer
        else {
            return false;
        };
        scratch.text.clear();
        format.render(context, &mut scratch.buffers, &mut scratch.text);
        scratch.text.is_empty()
    }

    /// Whether it reads the client connection's destination address.
    pub(super) fn needs_destination(&self) -> bool {
        match &self.answer {
            Answer::Usual | Answer::Constant(_) => false,
            Answer::Made { fields, body, .. } => {
                body.needs_destination()
                    || fields.iter().any(|(_, format)| format.needs_destination())
            }
            Answer::Redirect {
                to: Target::Location(format) | Target::Prefix(format) | Target::Scheme(format),
                ..
            } => format.needs_destination(),
        }
    }
}

/// Writes status line and fields; gives what the log counts for them.
fn write_head<'f, V: 'f>(
    (head, body_len): (&mut Vec<u8>, u64),
    status: u16,
    content_type: Option<&[u8]>,
    fields: impl Iterator<Item = (&'f [u8], &'f V)>,
    mut value: impl FnMut(&V, &mut Vec<u8>),
    text: &mut Vec<u8>,
) -> u64 {
    let mut writer = HeadWriter::new(head, 1, status, reason(status));
    for (name, format) in fields {
        text.clear();
        value(format, text);
        writer.field(name, text);
    }
    // RFC 9110 §8.6: no Content-Length in a 204; HAProxy counts it all the same.
    let unsent = if status == 204 {
        "content-length0".len() as u64
    } else {
        writer.number_field("content-length", body_len);
        0
    };
    if let Some(content_type) = content_type {
        writer.field(b"content-type", content_type);
    }
    writer.logged().saturating_add(unsent)
}

/// What the log counts of an answer whose head counts `head`.
fn logged_message(head: u64, body: &[u8]) -> u64 {
    head.saturating_add(body.len() as u64)
        .saturating_add(LOGGED_MESSAGE_END)
}

/// Writes where a redirect points to `out`.
fn locate<C: Context>(
    to: &Target,
    options: RedirectOptions,
    context: &C,
    buffers: &mut Buffers,
    text: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    text.clear();
    let (Target::Location(format) | Target::Prefix(format) | Target::Scheme(format)) = to;
    format.render(context, buffers, text);
    let to = match to {
        Target::Location(_) => RedirectTo::Location(text),
        Target::Prefix(_) => RedirectTo::Prefix(text),
        Target::Scheme(_) => RedirectTo::Scheme(text),
    };
    match (context.request(), to) {
        (Some(request), to) => redirect_location(to, options, &request, out),
        // An answer is redirected to a location, which needs no request.
        (None, _) => {
            out.clear();
            out.extend_from_slice(text);
        }
    }
}

/// The payload of `deny` and `return` as it is read.
enum Payload {
    None,
    Usual,
    Errorfile(Reply),
    Text(Vec<u8>),
    Format(Format),
}

/// Reads the arguments of `deny` and `return` from word 1 on; gives the answer and the index of
/// the first word that is none of them. `fallback` is the status without one.
pub(super) fn compile_answer(
    words: &[&[u8]],
    kind: Kind,
    fallback: u16,
    purpose: Purpose,
    compiler: &mut Compiler<'_>,
) -> Result<(Final, usize), Problem> {
    let mut reader = Reader {
        words,
        at: 1,
        status: fallback,
        content_type: None,
        payload: Payload::None,
        payload_word: "",
        fields: Vec::new(),
        purpose,
    };
    let mut any = false;
    // The old name of a denial's status also asks for the usual answer.
    let mut legacy = false;
    while let Some(word) = words.get(reader.at).filter(|word| !word.is_empty()) {
        match *word {
            b"deny_status" if kind == Kind::Deny => {
                legacy = true;
                reader.status()?;
            }
            b"status" => reader.status()?,
            b"content-type" => {
                reader.content_type = Some(reader.argument("content-type", "<ctype>")?.into());
            }
            b"hdr" => reader.field(compiler)?,
            b"errorfiles" => {
                let text = "'errorfiles' is not implemented by oneloop.";
                return Err(Problem::new(reader.at, text));
            }
            b"default-errorfiles"
            | b"errorfile"
            | b"file"
            | b"lf-file"
            | b"string"
            | b"lf-string" => reader.payload(compiler)?,
            _ => break,
        }
        any = true;
    }
    let usual = matches!(reader.payload, Payload::None)
        && kind == Kind::Deny
        && (legacy || !any)
        && reader.fields.is_empty();
    if usual {
        reader.payload = Payload::Usual;
    }
    let at = reader.at;
    Ok((reader.finish(kind, compiler)?, at))
}

/// A walk over the arguments of `deny` and `return`.
struct Reader<'w> {
    words: &'w [&'w [u8]],
    at: usize,
    status: u16,
    content_type: Option<Box<[u8]>>,
    payload: Payload,
    /// The word that gave the payload.
    payload_word: &'static str,
    fields: Vec<(Box<[u8]>, Format)>,
    purpose: Purpose,
}

impl<'w> Reader<'w> {
    /// The argument of the word at hand; moves past both.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn argument(&mut self, word: &str, expected: &str) -> Result<&'w [u8], Problem> {
        let argument = self.words.get(self.at + 1).copied().unwrap_or_default();
        if argument.is_empty() {
            let text = format!("'{word}' expects {expected} as argument.");
            return Err(Problem::new(self.at, text));
        }
        self.at += 2;
        Ok(argument)
    }

    fn status(&mut self) -> Result<(), Problem> {
        let at = self.at;
        let text = self.argument("status", "<status_code>")?;
        let code = super::fetch::leading_int(text).unwrap_or_default();
        match u16::try_from(code) {
            Ok(code @ 200..=599) => self.status = code,
            _ => {
                let text = format!("Unexpected status code '{code}'.");
                return Err(Problem::new(at.saturating_add(1), text));
            }
        }
        Ok(())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn field(&mut self, compiler: &Compiler<'_>) -> Result<(), Problem> {
        let word = |index: usize| self.words.get(index).copied().unwrap_or_default();
        let (name, value) = (word(self.at + 1), word(self.at + 2));
        if name.is_empty() || value.is_empty() {
            let text = "'hdr' expects <name> and <value> as arguments.";
            return Err(Problem::new(self.at, text));
        }
        let value = Format::compile(value, self.purpose, compiler)
            .map_err(|problem| problem.shifted(self.at + 2))?;
        self.fields.push((name.to_ascii_lowercase().into(), value));
        self.at += 3;
        Ok(())
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn payload(&mut self, compiler: &Compiler<'_>) -> Result<(), Problem> {
        let at = self.at;
        let (word, expected) = match self.words.get(at).copied().unwrap_or_default() {
            b"default-errorfiles" => ("default-errorfiles", ""),
            b"errorfile" => ("errorfile", "<fmt>"),
            b"file" => ("file", "<file>"),
            b"lf-file" => ("lf-file", "<file>"),
            b"string" => ("string", "<str>"),
            _ => ("lf-string", "<fmt>"),
        };
        if !matches!(self.payload, Payload::None) {
            let text = format!(
                "unexpected '{word}' argument, '{}' already defined.",
                self.payload_word
            );
            return Err(Problem::new(at, text));
        }
        self.payload_word = word;
        if word == "default-errorfiles" {
            self.payload = Payload::Usual;
            self.at += 1;
            return Ok(());
        }
        let argument = self.argument(word, expected)?;
        let contents = |stop: &str| {
            compiler.around.read(argument).map_err(|_| {
                let path = String::from_utf8_lossy(argument);
                Problem::new(at + 1, format!("error opening file '{path}'{stop}"))
            })
        };
        self.payload = match word {
            "errorfile" => {
                let limits = Limits {
                    bytes_max: compiler.buffer_size,
                    lenient: false,
                };
                let reply =
                    Reply::from_errorfile(&contents("..")?, &limits).map_err(|problem| {
                        let path = String::from_utf8_lossy(argument);
                        Problem::new(at + 1, format!("'{path}': {problem}."))
                    })?;
                Payload::Errorfile(reply)
            }
            "file" => Payload::Text(contents(".")?),
            "string" => Payload::Text(argument.to_vec()),
            "lf-file" => {
                let text = contents(".")?;
                Payload::Format(self.format(&text, compiler)?)
            }
            _ => Payload::Format(self.format(argument, compiler)?),
        };
        Ok(())
    }

    fn format(&self, text: &[u8], compiler: &Compiler<'_>) -> Result<Format, Problem> {
        Format::compile(text, self.purpose, compiler)
            .map_err(|problem| problem.shifted(self.at.saturating_sub(1)))
    }

    /// Puts the answer together.
    fn finish(self, kind: Kind, compiler: &mut Compiler<'_>) -> Result<Final, Problem> {
        let status = self.status;
        let warn = |text: String, compiler: &mut Compiler<'_>| {
            compiler.warnings.push(Problem::new(0, text));
        };
        let without_payload = matches!(
            self.payload,
            Payload::None | Payload::Usual | Payload::Errorfile(_)
        );
        if let (true, Some(content_type)) = (without_payload, &self.content_type) {
            let content_type = String::from_utf8_lossy(content_type);
            let why = if matches!(self.payload, Payload::None) {
                "neither errorfile nor payload defined"
            } else {
                "an errorfile is used"
            };
            let text =
                format!("content-type '{content_type}' ignored by the http reply because {why}.");
            warn(text, compiler);
        }
        if matches!(status, 204 | 304) && !without_payload {
            let text = format!("No body expected for {status} responses.");
            return Err(Problem::new(self.at.saturating_sub(1), text));
        }
        if self.content_type.is_none() && !without_payload {
            let text = "a content type must be defined when non-empty payload is configured.";
            return Err(Problem::new(self.at.saturating_sub(1), text));
        }
        if matches!(self.payload, Payload::Usual | Payload::Errorfile(_)) && !self.fields.is_empty()
        {
            // Sic: so it is spelled.
            let text = "hdr parameters ignored by the http reply when used with an erorrfile.";
            warn(text.to_owned(), compiler);
        }
        let body = match self.payload {
            Payload::Usual => {
                if !BUILTIN_STATUSES.contains(&status) {
                    let text = format!(
                        "status code '{status}' not handled by default with 'default-errorfiles' argument.."
                    );
                    return Err(Problem::new(self.at.saturating_sub(1), text));
                }
                return Ok(Final {
                    kind,
                    status,
                    answer: Answer::Usual,
                });
            }
            Payload::Errorfile(reply) => {
                return Ok(Final {
                    kind,
                    status: if kind == Kind::Deny {
                        reply.status
                    } else {
                        status
                    },
                    answer: Answer::Constant(Arc::new(reply)),
                });
            }
            Payload::None => Format::text(b"", self.purpose),
            Payload::Text(text) => Format::text(&text, self.purpose),
            Payload::Format(format) => format,
        };
        let content_type = self.content_type.filter(|_| !without_payload);
        let answer = match constant(status, content_type.as_deref(), &self.fields, &body) {
            Some(reply) => Answer::Constant(Arc::new(reply)),
            None => Answer::Made {
                content_type,
                fields: self.fields,
                body,
            },
        };
        Ok(Final {
            kind,
            status,
            answer,
        })
    }
}

/// The answer, if nothing of it depends on the request.
fn constant(
    status: u16,
    content_type: Option<&[u8]>,
    fields: &[(Box<[u8]>, Format)],
    body: &Format,
) -> Option<Reply> {
    let body = body.constant()?;
    let mut values = Vec::new();
    for (name, format) in fields {
        values.push((&**name, format.constant()?));
    }
    let mut head = Vec::new();
    let logged = write_head(
        (&mut head, body.len() as u64),
        status,
        content_type,
        values.iter().map(|(name, value)| (*name, value)),
        |value, out| out.extend_from_slice(value),
        &mut Vec::new(),
    );
    Some(Reply {
        status,
        minor: 1,
        head,
        body: body.to_vec(),
        logged_bytes: logged_message(logged, body),
        closes: false,
    })
}

/// Reads the arguments of `redirect` from word 1 on; gives the answer and the index of the first
/// word of the condition.
#[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
pub(super) fn compile_redirect(
    words: &[&[u8]],
    purpose: Purpose,
    compiler: &Compiler<'_>,
) -> Result<(Final, usize), Problem> {
    let mut to = None;
    let mut status = 302;
    let mut options = RedirectOptions::default();
    let mut cookie = None;
    let mut ignore_empty = false;
    let mut at = 1;
    while let Some(word) = words.get(at).filter(|word| !word.is_empty()) {
        let shown = String::from_utf8_lossy(word);
        let argument = || match words.get(at + 1).filter(|word| !word.is_empty()) {
            Some(argument) => Ok(*argument),
            None => Err(Problem::new(at, format!("missing argument for '{shown}'."))),
        };
        match *word {
            b"if" | b"unless" => break,
            b"location" | b"prefix" | b"scheme" => {
                let format = Format::compile(argument()?, purpose, compiler)
                    .map_err(|problem| problem.shifted(at + 1))?;
                to = Some(match *word {
                    b"location" => Target::Location(format),
                    b"prefix" => Target::Prefix(format),
                    _ => Target::Scheme(format),
                });
                at += 1;
            }
            b"code" => {
                let text = argument()?;
                // Only the leading digits count; the message shows all of the word.
                status = match super::fetch::leading_int(text) {
                    Some(code @ (301..=303 | 307 | 308)) => code as u16,
                    _ => {
                        let code = String::from_utf8_lossy(text);
                        let text = format!(
                            "'code': unsupported HTTP code '{code}' (must be one of 301, 302, 303, 307 or 308)."
                        );
                        return Err(Problem::new(at + 1, text));
                    }
                };
                at += 1;
            }
            b"set-cookie" => {
                cookie = Some(Cookie::Set(argument()?.into()));
                at += 1;
            }
            b"clear-cookie" => {
                cookie = Some(Cookie::Clear(argument()?.into()));
                at += 1;
            }
            b"drop-query" => options.drop_query = true,
            b"append-slash" => options.append_slash = true,
            b"ignore-empty" => ignore_empty = true,
            _ => {
                let text = format!(
                    "expects 'code', 'prefix', 'location', 'scheme', 'set-cookie', 'clear-cookie', 'drop-query', 'ignore-empty' or 'append-slash' (was '{shown}')."
                );
                return Err(Problem::new(at, text));
            }
        }
        at += 1;
    }
    let Some(to) = to else {
        let text = "redirection type expected ('prefix', 'location', or 'scheme').";
        return Err(Problem::new(at, text));
    };
    if purpose == Purpose::Response && !matches!(to, Target::Location(_)) {
        let text = "response only supports redirect type 'location'.";
        return Err(Problem::new(1, text));
    }
    let answer = Answer::Redirect {
        to,
        options,
        cookie,
        ignore_empty,
    };
    let rule = Final {
        kind: Kind::Redirect,
        status,
        answer,
    };
    Ok((rule, at))
}
