//! The converters: their table and what each makes of a sample.
//!
//! A row says a name, its arguments, the type it reads and the type it yields. A sample of another
//! type is cast first (configuration.txt 7.3.1). A converter gives a value, a part of the text it
//! read, or new text in the buffer it was given; or nothing, which ends the expression.
//! It must never allocate once the buffers have grown, nor look at anything but its sample.
//! Rejected: chains of boxed closures, which would allocate and hide the types.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Context;
use super::args::{Args, Kind};
use super::codec::{
    from_base64, hex_digits, host_end, join_hex, to_base64, to_json, url_decode, url_encode,
};
use super::compile::Compiler;
use super::fetch::{Current, Sample, Type, leading_int};
use super::map::{self, Lookup};
use super::regex::{Regex, expand};
use crate::base::clock;
use crate::base::hash::{crc32, djb2, sdbm};

/// A compiled converter.
#[derive(Debug)]
pub(super) struct Converter {
    /// Its name, for messages.
    pub(super) name: &'static str,
    /// The type it reads; as it comes when absent.
    pub(super) input: Option<Type>,
    /// What it does.
    pub(super) step: Step,
}

/// What a converter made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output<'c> {
    /// Something that the converter has.
    Sample(Sample<'c>),
    Bool(bool),
    Int(i64),
    Ip(IpAddr),
    /// Bytes from..to of the text that was read.
    Slice(usize, usize),
    /// What was written to the buffer.
    Written {
        binary: bool,
    },
}

/// What a converter does.
#[derive(Debug)]
pub(super) enum Step {
    Lower,
    Upper,
    Length,
    Field {
        index: i64,
        delimiters: Box<[u8]>,
        count: i64,
        words: bool,
    },
    Bytes {
        offset: i64,
        length: Option<i64>,
    },
    Replace {
        regex: Box<Regex>,
        by: Box<[u8]>,
        all: bool,
    },
    Arithmetic(Operator, i64),
    Negate,
    Complement,
    Odd,
    Even,
    IsTrue,
    IsFalse,
    Hex,
    HexParts {
        separator: Box<[u8]>,
        size: usize,
        truncate: bool,
    },
    HexToInt,
    Base64(bool),
    FromBase64(bool),
    UrlDecode {
        form: bool,
    },
    UrlEncode,
    TrimLeft(Box<[u8]>),
    TrimRight(Box<[u8]>),
    Append(Box<[u8]>),
    CutLines,
    HostOnly,
    PortOnly,
    HttpDate {
        offset: i64,
        unit: i64,
    },
    Choose(Box<[u8]>, Box<[u8]>),
    Mask(IpAddr, Option<IpAddr>),
    Json(Encoding),
    Crc32,
    Djb2,
    Sdbm,
    NetworkOrder,
    Map(Box<Lookup>),
}

/// Arithmetic and bits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
}

/// What `json` takes its input for, and what it does with bytes that are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Ascii,
    /// UTF-8; fails on anything else.
    Utf8,
    /// UTF-8; leaves out anything else.
    Skip,
    /// UTF-8; takes anything else for ISO 8859-1.
    Latin,
}

/// One converter of the table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kinds: &'static [Kind],
    pub(super) required: usize,
    pub(super) input: Option<Type>,
    pub(super) output: Type,
    pub(super) build: Build,
}

/// How a row becomes a step.
pub(super) enum Build {
    /// By its arguments.
    Plain(fn(&Args) -> Result<Step, String>),
    /// By a file.
    Map(map::Kind),
}

impl Row {
    /// What a converter of this row does.
    pub(super) fn step(&self, args: &Args, compiler: &Compiler<'_>) -> Result<Step, String> {
        match self.build {
            Build::Plain(build) => build(args),
            Build::Map(kind) => map::compile(kind, args, compiler),
        }
    }
}

/// Writes a row.
const fn row(
    name: &'static str,
    kinds: &'static [Kind],
    required: usize,
    input: Type,
    output: Type,
    build: fn(&Args) -> Result<Step, String>,
) -> Row {
    Row {
        name,
        kinds,
        required,
        input: Some(input),
        output,
        build: Build::Plain(build),
    }
}

const NONE: &[Kind] = &[];
const TEXT: &[Kind] = &[Kind::Str];
const NUMBER: &[Kind] = &[Kind::Int];
const PART: &[Kind] = &[Kind::Int, Kind::Str, Kind::Int];
const RANGE: &[Kind] = &[Kind::Int, Kind::Int];
const PAIR: &[Kind] = &[Kind::Str, Kind::Str];
const TEXTS: &[Kind] = &[Kind::Str, Kind::Str, Kind::Str];
const REGSUB: &[Kind] = &[Kind::Regex, Kind::Str, Kind::Str];
const HEX_PARTS: &[Kind] = &[Kind::Str, Kind::Int, Kind::Int];
const HTTP_DATE: &[Kind] = &[Kind::Int, Kind::Str];
const MASKS: &[Kind] = &[Kind::Mask4, Kind::Mask6];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("add", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Add)),
    row("and", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::And)),
    row("b64dec", NONE, 0, Type::Str, Type::Bin, |_| Ok(Step::FromBase64(false))),
    row("base64", NONE, 0, Type::Bin, Type::Str, |_| Ok(Step::Base64(false))),
    row("be2hex", HEX_PARTS, 0, Type::Bin, Type::Str, hex_parts),
    row("bool", NONE, 0, Type::Int, Type::Bool, |_| Ok(Step::IsTrue)),
    row("bytes", RANGE, 1, Type::Bin, Type::Bin, bytes),
    row("concat", TEXTS, 1, Type::Str, Type::Str, concat),
    row("cpl", NONE, 0, Type::Int, Type::Int, |_| Ok(Step::Complement)),
    row("crc32", NUMBER, 0, Type::Bin, Type::Int, |a| hash(a, Step::Crc32)),
    row("cut_crlf", NONE, 0, Type::Str, Type::Str, |_| Ok(Step::CutLines)),
    row("div", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Div)),
    row("djb2", NUMBER, 0, Type::Bin, Type::Int, |a| hash(a, Step::Djb2)),
    row("even", NONE, 0, Type::Int, Type::Bool, |_| Ok(Step::Even)),
    row("field", PART, 2, Type::Str, Type::Str, |a| part(a, false)),
    row("hex", NONE, 0, Type::Bin, Type::Str, |_| Ok(Step::Hex)),
    row("hex2i", NONE, 0, Type::Str, Type::Int, |_| Ok(Step::HexToInt)),
    row("host_only", NONE, 0, Type::Str, Type::Str, |_| Ok(Step::HostOnly)),
    row("htonl", NONE, 0, Type::Int, Type::Bin, |_| Ok(Step::NetworkOrder)),
    row("http_date", HTTP_DATE, 0, Type::Int, Type::Str, http_date),
    row("iif", PAIR, 2, Type::Bool, Type::Str, choose),
    row("ipmask", MASKS, 1, Type::Ip, Type::Ip, mask),
    row("json", TEXT, 0, Type::Str, Type::Str, json),
    row("length", NONE, 0, Type::Str, Type::Int, |_| Ok(Step::Length)),
    row("lower", NONE, 0, Type::Str, Type::Str, |_| Ok(Step::Lower)),
    row("ltrim", TEXT, 1, Type::Str, Type::Str, |a| Ok(Step::TrimLeft(a.text(0).into()))),
    row("mod", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Mod)),
    row("mul", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Mul)),
    row("neg", NONE, 0, Type::Int, Type::Int, |_| Ok(Step::Negate)),
    row("not", NONE, 0, Type::Int, Type::Bool, |_| Ok(Step::IsFalse)),
    row("odd", NONE, 0, Type::Int, Type::Bool, |_| Ok(Step::Odd)),
    row("or", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Or)),
    row("port_only", NONE, 0, Type::Str, Type::Int, |_| Ok(Step::PortOnly)),
    row("regsub", REGSUB, 2, Type::Str, Type::Str, regsub),
    row("rtrim", TEXT, 1, Type::Str, Type::Str, |a| Ok(Step::TrimRight(a.text(0).into()))),
    row("sdbm", NUMBER, 0, Type::Bin, Type::Int, |a| hash(a, Step::Sdbm)),
    row("sub", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Sub)),
    row("ub64dec", NONE, 0, Type::Str, Type::Bin, |_| Ok(Step::FromBase64(true))),
    row("ub64enc", NONE, 0, Type::Bin, Type::Str, |_| Ok(Step::Base64(true))),
    row("upper", NONE, 0, Type::Str, Type::Str, |_| Ok(Step::Upper)),
    row("url_dec", NUMBER, 0, Type::Str, Type::Str, url_dec),
    row("url_enc", TEXT, 0, Type::Str, Type::Str, url_enc),
    row("word", PART, 2, Type::Str, Type::Str, |a| part(a, true)),
    row("xor", TEXT, 1, Type::Int, Type::Int, |a| arithmetic(a, Operator::Xor)),
];

/// The converter of that name.
pub(super) fn find(name: &[u8]) -> Option<&'static Row> {
    let mut rows = TABLE.iter().chain(map::TABLE);
    rows.find(|row| row.name.as_bytes() == name)
}

fn arithmetic(args: &Args, operator: Operator) -> Result<Step, String> {
    let text = args.text(0);
    // What is left out is 0.
    let number = match text {
        b"" => Some(0),
        _ => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok()),
    };
    if let Some(number) = number {
        return Ok(Step::Arithmetic(operator, number));
    }
    let scopes = [&b"proc."[..], b"sess.", b"txn.", b"req.", b"res."];
    if scopes.iter().any(|scope| text.starts_with(scope)) {
        return Err("variables are not implemented by oneloop".to_owned());
    }
    Err("expects an integer or a variable name".to_owned())
}

fn hash(args: &Args, step: Step) -> Result<Step, String> {
    match args.int(0) {
        None | Some(0) => Ok(step),
        Some(_) => Err("the avalanche argument is not implemented by oneloop".to_owned()),
    }
}

fn concat(args: &Args) -> Result<Step, String> {
    if !args.text(1).is_empty() {
        return Err("variables are not implemented by oneloop".to_owned());
    }
    Ok(Step::Append([args.text(0), args.text(2)].concat().into()))
}

fn part(args: &Args, words: bool) -> Result<Step, String> {
    let index = args.int(0).unwrap_or_default();
    if index == 0 {
        return Err("Unexpected value 0 for index".to_owned());
    }
    Ok(Step::Field {
        index,
        delimiters: args.text(1).into(),
        count: args.int(2).unwrap_or(1),
        words,
    })
}

fn hex_parts(args: &Args) -> Result<Step, String> {
    let size = args
        .int(1)
        .unwrap_or_else(|| i64::from(!args.text(0).is_empty()));
    let size =
        usize::try_from(size).map_err(|_| format!("Unexpected value {size} for chunk size"))?;
    Ok(Step::HexParts {
        separator: args.text(0).into(),
        size,
        truncate: args.int(2).unwrap_or_default() != 0,
    })
}

fn http_date(args: &Args) -> Result<Step, String> {
    let unit = match args.text(1) {
        b"" | b"s" => 1,
        b"ms" => 1_000,
        b"us" => 1_000_000,
        other => {
            let other = String::from_utf8_lossy(other);
            return Err(format!("expects 's', 'ms' or 'us', got '{other}'"));
        }
    };
    Ok(Step::HttpDate {
        offset: args.int(0).unwrap_or_default(),
        unit,
    })
}

fn mask(args: &Args) -> Result<Step, String> {
    match args.ip(0) {
        Some(v4) => Ok(Step::Mask(v4, args.ip(1))),
        None => Err("expects an IPv4 mask".to_owned()),
    }
}

fn json(args: &Args) -> Result<Step, String> {
    Ok(Step::Json(match args.text(0) {
        b"" | b"ascii" => Encoding::Ascii,
        b"utf8" => Encoding::Utf8,
        b"utf8s" => Encoding::Skip,
        b"utf8p" | b"utf8ps" => Encoding::Latin,
        _ => {
            return Err("Unexpected input code type. Allowed value are 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps'".to_owned());
        }
    }))
}

fn regsub(args: &Args) -> Result<Step, String> {
    let flags = args.text(2);
    if let Some(flag) = flags.iter().find(|flag| !b"gi".contains(flag)) {
        return Err(format!(
            "invalid regex flag '{}', only 'i' and 'g' are supported",
            char::from(*flag)
        ));
    }
    let regex =
        Regex::compile(args.text(0), flags.contains(&b'i')).map_err(|error| error.to_string())?;
    Ok(Step::Replace {
        regex: Box::new(regex),
        by: args.text(1).into(),
        all: flags.contains(&b'g'),
    })
}

fn bytes(args: &Args) -> Result<Step, String> {
    Ok(Step::Bytes {
        offset: args.int(0).unwrap_or_default(),
        length: args.int(1),
    })
}

fn choose(args: &Args) -> Result<Step, String> {
    Ok(Step::Choose(args.text(0).into(), args.text(1).into()))
}

fn url_dec(args: &Args) -> Result<Step, String> {
    Ok(Step::UrlDecode {
        form: args.int(0).unwrap_or_default() > 0,
    })
}

fn url_enc(args: &Args) -> Result<Step, String> {
    match args.text(0) {
        b"" | b"query" => Ok(Step::UrlEncode),
        _ => Err("Unexpected encode type. Allowed value is 'query'".to_owned()),
    }
}

/// Sends a sample through converters. Text that was written is in `front` at the end.
pub(super) fn run<'a>(
    converters: &'a [Converter],
    sample: Sample<'a>,
    front: &mut Vec<u8>,
    back: &mut Vec<u8>,
    context: &'a impl Context,
) -> Option<Current<'a>> {
    let mut current = Current::Direct(sample);
    for converter in converters {
        if let Some(output) = cast(current.sample(front), converter.input, back)? {
            current = settle(current, output, front, back);
        }
        back.clear();
        let output = converter.step.apply(current.sample(front), back, context)?;
        current = settle(current, output, front, back);
    }
    Some(current)
}

/// Takes an output over, moving written text to the front.
fn settle<'a>(
    current: Current<'a>,
    output: Output<'a>,
    front: &mut Vec<u8>,
    back: &mut Vec<u8>,
) -> Current<'a> {
    if matches!(output, Output::Written { .. }) {
        std::mem::swap(front, back);
    }
    current.after(output, front.len())
}

/// Casts to the type that a converter reads. `Some(None)`: it is of that type already.
fn cast(
    sample: Sample<'_>,
    to: Option<Type>,
    out: &mut Vec<u8>,
) -> Option<Option<Output<'static>>> {
    let Some(to) = to else { return Some(None) };
    Some(match (to, sample) {
        (Type::Bool, Sample::Bool(_)) | (Type::Int, Sample::Int(_)) | (Type::Ip, Sample::Ip(_)) => {
            None
        }
        // Bytes that are not text are text up to their first NUL.
        (Type::Str, Sample::Bin(bytes)) => {
            let end = bytes.iter().position(|byte| *byte == 0);
            end.map(|end| Output::Slice(0, end))
        }
        (
            Type::Str | Type::Bin | Type::Method,
            Sample::Str(_) | Sample::Bin(_) | Sample::Method(..),
        ) => None,
        (Type::Bool, _) => Some(Output::Bool(sample.int()? != 0)),
        (Type::Int, _) => Some(Output::Int(sample.int()?)),
        (Type::Ip, _) => Some(Output::Ip(sample.ip()?)),
        (Type::Bin, Sample::Int(n)) => {
            out.clear();
            out.extend_from_slice(&n.to_be_bytes());
            Some(Output::Written { binary: true })
        }
        (Type::Bin, Sample::Ip(ip)) => {
            out.clear();
            match ip {
                IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
            }
            Some(Output::Written { binary: true })
        }
        (Type::Str | Type::Bin | Type::Method, _) => {
            out.clear();
            sample.write(out);
            Some(Output::Written { binary: false })
        }
    })
}

const WRITTEN: Option<Output<'static>> = Some(Output::Written { binary: false });

impl Step {
    /// What it makes of a sample of its input type; `out` is empty.
    fn apply<'c>(
        &'c self,
        sample: Sample<'_>,
        out: &mut Vec<u8>,
        context: &'c impl Context,
    ) -> Option<Output<'c>> {
        if let Self::Map(lookup) = self {
            return lookup.find(sample, out, context);
        }
        match sample {
            Sample::Int(n) => self.of_int(n, out),
            Sample::Bool(yes) => self.of_int(i64::from(yes), out),
            Sample::Ip(ip) => self.of_ip(ip),
            Sample::Str(text) | Sample::Bin(text) | Sample::Method(_, text) => {
                self.of_text(text, out)
            }
        }
    }

    fn of_int(&self, n: i64, out: &mut Vec<u8>) -> Option<Output<'static>> {
        Some(match self {
            Self::Arithmetic(operator, operand) => Output::Int(operator.apply(n, *operand)),
            Self::Negate => Output::Int(n.saturating_neg()),
            Self::Complement => Output::Int(!n),
            Self::Odd => Output::Bool(n & 1 == 1),
            Self::Even => Output::Bool(n & 1 == 0),
            Self::IsTrue => Output::Bool(n != 0),
            Self::IsFalse => Output::Bool(n == 0),
            Self::Choose(yes, no) => {
                out.extend_from_slice(if n != 0 { yes } else { no });
                Output::Written { binary: false }
            }
            Self::NetworkOrder => {
                out.extend_from_slice(&(n as u32).to_be_bytes());
                Output::Written { binary: true }
            }
            Self::HttpDate { offset, unit } => {
                // The offset is in the unit of the sample.
                let moment = n.saturating_add(*offset);
                let seconds = moment.checked_div(*unit)?;
                clock::write_http_date(out, u64::try_from(seconds).ok()?.saturating_mul(1000));
                if *unit > 1 {
                    // HAProxy puts the fraction, without leading zeros, before the zone.
                    out.truncate(out.len().saturating_sub(4));
                    out.push(b'.');
                    crate::base::addr::write_signed(out, moment.checked_rem(*unit)?);
                    out.extend_from_slice(b" GMT");
                }
                Output::Written { binary: false }
            }
            _ => return None,
        })
    }

    fn of_ip(&self, ip: IpAddr) -> Option<Output<'static>> {
        let Self::Mask(v4, v6) = self else {
            return None;
        };
        match (ip, v4, v6) {
            (IpAddr::V4(ip), IpAddr::V4(mask), _) => {
                let bits = ip.to_bits() & mask.to_bits();
                Some(Output::Ip(Ipv4Addr::from_bits(bits).into()))
            }
            (IpAddr::V6(ip), _, Some(IpAddr::V6(mask))) => {
                let bits = ip.to_bits() & mask.to_bits();
                Some(Output::Ip(Ipv6Addr::from_bits(bits).into()))
            }
            _ => None,
        }
    }

    fn of_text(&self, text: &[u8], out: &mut Vec<u8>) -> Option<Output<'static>> {
        match self {
            Self::Lower => out.extend(text.iter().map(u8::to_ascii_lowercase)),
            Self::Upper => out.extend(text.iter().map(u8::to_ascii_uppercase)),
            Self::Length => return Some(Output::Int(text.len() as i64)),
            Self::Field {
                index,
                delimiters,
                count,
                words,
            } => {
                let (from, to) = if *words {
                    words_of(text, *index, delimiters, *count)?
                } else {
                    fields_of(text, *index, delimiters, *count)?
                };
                return Some(Output::Slice(from, to));
            }
            Self::Bytes { offset, length } => {
                let from = usize::try_from(*offset)
                    .unwrap_or(text.len())
                    .min(text.len());
                let length = length.and_then(|length| usize::try_from(length).ok());
                let to = from
                    .saturating_add(length.unwrap_or(text.len()))
                    .min(text.len());
                return Some(Output::Slice(from, to));
            }
            Self::Replace { regex, by, all } => substitute(regex, by, *all, text, out),
            Self::Hex => hex_digits(text, out),
            Self::HexParts {
                separator,
                size,
                truncate,
            } => join_hex(text, separator, *size, *truncate, out),
            Self::HexToInt => {
                let text = std::str::from_utf8(text).ok()?;
                return i64::from_str_radix(text, 16).ok().map(Output::Int);
            }
            Self::Base64(for_url) => to_base64(text, *for_url, out),
            Self::FromBase64(for_url) => {
                from_base64(text, *for_url, out)?;
                return Some(Output::Written { binary: true });
            }
            Self::UrlDecode { form } => url_decode(text, *form, out)?,
            Self::UrlEncode => url_encode(text, out),
            Self::TrimLeft(set) => {
                let from = text.iter().take_while(|byte| set.contains(byte)).count();
                return Some(Output::Slice(from, text.len()));
            }
            Self::TrimRight(set) => {
                let cut = text
                    .iter()
                    .rev()
                    .take_while(|byte| set.contains(byte))
                    .count();
                return Some(Output::Slice(0, text.len().saturating_sub(cut)));
            }
            Self::Append(tail) => {
                out.extend_from_slice(text);
                out.extend_from_slice(tail);
            }
            Self::CutLines => {
                let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                return Some(Output::Slice(0, end.unwrap_or(text.len())));
            }
            Self::HostOnly => return Some(Output::Slice(0, host_end(text))),
            Self::PortOnly => {
                let port = text.get(host_end(text)..).and_then(|rest| rest.get(1..));
                let port = port.unwrap_or_default();
                return Some(Output::Int(leading_int(port).unwrap_or_default()));
            }
            Self::Json(encoding) => to_json(text, *encoding, out)?,
            Self::Crc32 => return Some(Output::Int(i64::from(crc32(text)))),
            Self::Djb2 => return Some(Output::Int(i64::from(djb2(text)))),
            Self::Sdbm => return Some(Output::Int(i64::from(sdbm(text)))),
            _ => return None,
        }
        WRITTEN
    }
}

impl Operator {
    /// Saturates as HAProxy does; a division by zero gives the largest number, a rest of it 0.
    fn apply(self, left: i64, right: i64) -> i64 {
        match self {
            Self::Add => left.saturating_add(right),
            Self::Sub => left.saturating_sub(right),
            Self::Mul => left.saturating_mul(right),
            // What overflows is the smallest number divided by -1.
            Self::Div => left.checked_div(right).unwrap_or(i64::MAX),
            Self::Mod => left.checked_rem(right).unwrap_or(0),
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
        }
    }
}

/// Bounds of the fields asked for: every delimiter parts two, possibly empty, fields.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "1 <= wanted <= total, so that 1 <= last"
)]
fn fields_of(text: &[u8], index: i64, delimiters: &[u8], count: i64) -> Option<(usize, usize)> {
    let delimits = |byte: &u8| delimiters.contains(byte);
    let total = text.iter().filter(|byte| delimits(byte)).count() + 1;
    let wanted = usize::try_from(index.unsigned_abs()).ok()?;
    if wanted > total {
        return None;
    }
    let count = usize::try_from(count).unwrap_or_default();
    let (first, last) = if index > 0 {
        let first = wanted - 1;
        let last = if count == 0 {
            total
        } else {
            first.saturating_add(count).min(total)
        };
        (first, last)
    } else {
        let last = total - wanted + 1;
        (
            if count == 0 {
                0
            } else {
                last.saturating_sub(count)
            },
            last,
        )
    };
    // The start of field n is after the n-th delimiter, its end before the next one.
    let delimiter = |n: usize| {
        text.iter()
            .enumerate()
            .filter(|(_, byte)| delimits(byte))
            .nth(n)
    };
    let from = match first.checked_sub(1) {
        Some(before) => delimiter(before)?.0 + 1,
        None => 0,
    };
    let to = delimiter(last - 1).map_or(text.len(), |(at, _)| at);
    Some((from, to))
}

/// Bounds of the words asked for: a run of delimiters parts two words, none is empty.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "1 <= wanted <= total, so that 1 <= last"
)]
fn words_of(text: &[u8], index: i64, delimiters: &[u8], count: i64) -> Option<(usize, usize)> {
    let delimits = |at: usize| text.get(at).is_none_or(|byte| delimiters.contains(byte));
    let starts = || (0..text.len()).filter(|at| !delimits(*at) && (*at == 0 || delimits(at - 1)));
    let end_of = |start: usize| {
        (start..=text.len())
            .find(|at| delimits(*at))
            .unwrap_or(text.len())
    };
    let total = starts().count();
    let wanted = usize::try_from(index.unsigned_abs()).ok()?;
    if wanted > total {
        return None;
    }
    let count = usize::try_from(count).unwrap_or_default();
    if index > 0 {
        let from = starts().nth(wanted - 1)?;
        if count == 0 {
            return Some((from, text.len()));
        }
        let last = (wanted - 1).saturating_add(count).min(total) - 1;
        Some((from, end_of(starts().nth(last)?)))
    } else {
        let last = total - wanted;
        let to = end_of(starts().nth(last)?);
        let from = if count == 0 {
            0
        } else {
            starts().nth((last + 1).saturating_sub(count))?
        };
        Some((from, to))
    }
}

/// Replaces the first match, or all of them. A match may be empty; after an empty one a byte is
/// copied, and one more may follow at the very end.
#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
fn substitute(regex: &Regex, by: &[u8], all: bool, text: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(groups) = regex.captures(text, at) {
        let Some(Some((start, end))) = groups.first().copied() else {
            break;
        };
        out.extend_from_slice(text.get(at..start).unwrap_or_default());
        expand(by, text, &groups, out);
        at = end;
        if !all {
            break;
        }
        if start == end {
            let Some(&byte) = text.get(at) else { break };
            out.push(byte);
            at += 1;
        }
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
}
