//! The fetches about the client's connection itself, whatever is said of it: `fc_src` and its kin,
//! and what a header of the PROXY protocol told (configuration.txt 7.3.3).

use super::bytes;
use super::{ANY, BOOL, Fetch, INT, IP, NONE, Row, STR, TABLE, row};
use crate::base::addr::Address;
use crate::base::proxy_header::Refusal;
use crate::rules::Context;
use crate::rules::fetch::Sample;
use crate::rules::format::{Field, Value};

/// What is read of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Known {
    Source,
    SourcePort,
    Destination,
    DestinationPort,
    Error,
    ErrorText,
    Authority,
    UniqueId,
    IsIntroduced,
}

#[rustfmt::skip]
const OF_CONNECTION: &[Row] = &[
    row("fc_dst", NONE, 0, ANY, IP, |_, _, _| Ok(Fetch::Connection(Known::Destination))),
    row("fc_dst_port", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Connection(Known::DestinationPort))),
    row("fc_err", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Connection(Known::Error))),
    row("fc_err_str", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Connection(Known::ErrorText))),
    row("fc_pp_authority", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Connection(Known::Authority))),
    row("fc_pp_unique_id", NONE, 0, ANY, STR, |_, _, _| Ok(Fetch::Connection(Known::UniqueId))),
    row("fc_rcvd_proxy", NONE, 0, ANY, BOOL, |_, _, _| Ok(Fetch::Connection(Known::IsIntroduced))),
    row("fc_src", NONE, 0, ANY, IP, |_, _, _| Ok(Fetch::Connection(Known::Source))),
    row("fc_src_port", NONE, 0, ANY, INT, |_, _, _| Ok(Fetch::Connection(Known::SourcePort))),
];

/// The rows of all tables.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(OF_CONNECTION).chain(bytes::table())
}

/// The port of an address that has one; 0, which a header may say, is none.
pub(super) fn port(address: Address) -> Option<Sample<'static>> {
    let port = Some(address.port()).filter(|port| *port > 0)?;
    Some(Sample::Int(i64::from(port)))
}

impl Known {
    /// Whether it is the near end of the connection.
    pub(super) fn is_destination(self) -> bool {
        matches!(self, Self::Destination | Self::DestinationPort)
    }

    pub(super) fn value<C: Context>(self, context: &C) -> Option<Sample<'_>> {
        let address = |field| match context.field(field) {
            Value::Address(address) => address,
            _ => Address::None,
        };
        let text = |field| match context.field(field) {
            Value::Bytes(text) => Some(Sample::Str(text)),
            _ => None,
        };
        let number = |field| match context.field(field) {
            Value::Int(number) => number,
            _ => 0,
        };
        Some(match self {
            Self::Source => Sample::Ip(address(Field::ConnectionSource).ip()?),
            Self::SourcePort => port(address(Field::ConnectionSource))?,
            Self::Destination => Sample::Ip(address(Field::ConnectionDestination).ip()?),
            Self::DestinationPort => port(address(Field::ConnectionDestination))?,
            Self::Error => Sample::Int(number(Field::ConnectionError)),
            Self::ErrorText => {
                let words = Refusal::text_of(number(Field::ConnectionError))?;
                Sample::Str(words.as_bytes())
            }
            Self::Authority => text(Field::Authority)?,
            Self::UniqueId => text(Field::ConnectionId)?,
            Self::IsIntroduced => Sample::Bool(number(Field::IsIntroduced) != 0),
        })
    }
}
