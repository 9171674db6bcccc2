//! Format strings (being written).

/// A log variable (configuration.txt 8.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Field {
    ClientIp,
}

/// What a [`Field`] holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value<'a> {
    /// Not known or not applicable: `-` (or nothing) is printed.
    Missing,
    Bytes(&'a [u8]),
    Int(i64),
}

/// A compiled format string.
#[derive(Debug)]
pub struct Format {}
