//! The fetches that only rules of health checks have: variables and what was received.

use super::{ANY, Args, Context, INT, Kind, NONE, PARAM, Row, STR, Sample, Scope, row};
use crate::rules::fetch::Type;
use crate::rules::variables::check_name;

/// A compiled fetch.
#[derive(Debug)]
pub(in crate::rules) enum Fetch {
    /// A variable, and what is there in its place when it is not set.
    Variable(Box<[u8]>, Option<Box<[u8]>>),
    /// So many bytes from there on of what came; all that follow when there is no length.
    Payload(usize, Option<usize>),
    PayloadLength,
}

const RANGE: &[Kind] = &[Kind::Int, Kind::Int];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("res.len", NONE, 0, ANY, INT, |_, _, _| made(Fetch::PayloadLength)),
    row("res.payload", RANGE, 2, ANY, Type::Bin, |a, _, _| payload(a)),
    row("var", PARAM, 1, ANY, STR, |a, _, _| variable(a)),
];

/// The rows of a place.
pub(super) fn table(scope: Scope) -> &'static [Row] {
    if scope == Scope::Check { TABLE } else { &[] }
}

fn made(fetch: Fetch) -> Result<super::Fetch, String> {
    Ok(super::Fetch::OfCheck(fetch))
}

fn variable(args: &Args) -> Result<super::Fetch, String> {
    let name = args.text(0);
    check_name(name)?;
    let default = (args.len() > 1).then(|| args.text(1).into());
    made(Fetch::Variable(name.into(), default))
}

fn payload(args: &Args) -> Result<super::Fetch, String> {
    let part = |index| usize::try_from(args.int(index).unwrap_or_default());
    match (part(0), part(1)) {
        (Ok(offset), Ok(length)) => made(Fetch::Payload(offset, (length > 0).then_some(length))),
        (Err(_), _) => Err("payload offset can't be negative".to_owned()),
        (_, Err(_)) => Err("payload length must be > 0".to_owned()),
    }
}

impl Fetch {
    /// The sample.
    pub(super) fn value<'s, C: Context>(&'s self, context: &'s C) -> Option<Sample<'s>> {
        Some(match self {
            Self::Variable(name, default) => match context.variable(name) {
                Some(sample) => sample,
                None => Sample::Str(default.as_deref()?),
            },
            Self::Payload(offset, length) => {
                let rest = context.payload().get(*offset..)?;
                Sample::Bin(match length {
                    Some(length) => rest.get(..*length)?,
                    None => rest,
                })
            }
            Self::PayloadLength => Sample::Int(context.payload().len() as i64),
        })
    }
}
