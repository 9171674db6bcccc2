//! The rule language: samples, converters, patterns, conditions, actions and format strings.
//!
//! One mechanism serves them all: a *fetch* reads something of the session through [`Context`],
//! zero or more *converters* change it, and the result is matched by patterns (ACLs) or written
//! as text (log lines, header values, answers). A new fetch or converter is a row in its table.
//!
//! Every compiled value is plain and immutable; whatever evaluation must remember or write to is
//! in [`fetch::Scratch`], which the engine owns once. `compile` turns words of the configuration
//! into such values or into a [`compile::Problem`]; nothing here prints, reads files or panics.

// Nothing from outside may make this code panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod action;
pub mod answer;
pub mod applet;
mod args;
mod codec;
pub mod compile;
pub mod condition;
pub mod connection;
pub mod content;
mod convert;
pub mod fetch;
mod field;
pub mod file;
pub mod format;
pub mod hello;
pub mod lists;
pub mod map;
mod missing;
mod network;
mod pattern;
pub mod plan;
pub mod regex;
pub mod said;
mod samples;
mod straight;
mod trie;
pub mod variables;
pub mod wait;

pub use codec::{basic_credentials, unhex};

use crate::base::addr::Address;
use crate::base::clock::Now;
use crate::http::rewrite::Message;
use crate::rules::format::{Field, Value};

/// What has come of a session that is inspected (configuration.txt 4.2, "tcp-request content").
#[derive(Clone, Copy, Debug, Default)]
pub struct Inspected<'a> {
    /// The bytes as they came; none in HTTP mode, where they are understood already.
    pub bytes: Option<&'a [u8]>,
    /// So many bytes may be waited for, at most.
    pub most: usize,
    /// Nothing more is waited for: what is there is all there is.
    pub is_final: bool,
    /// The bytes are no HTTP request yet, and may become one.
    pub may_be_http: bool,
}

/// What rules may read. The engine implements it over a session, tests and fuzz targets over
/// plain values; so rules run without an engine.
pub trait Context {
    /// The request, seen through the edits made so far; `None` when there is none (TCP mode) or
    /// its bytes are gone (log time, response rules).
    fn request(&self) -> Option<Message<'_>>;
    /// The answer, seen through the edits made so far.
    fn response(&self) -> Option<Message<'_>>;
    /// The client's address.
    fn source(&self) -> Address;
    /// The address that the client connected to.
    fn destination(&self) -> Address;
    /// A log variable (`%ci`, `%Ta`...), for format strings and the fetches that share them.
    fn field(&self, field: Field) -> Value<'_>;
    /// The turn's date.
    fn now(&self) -> Now;
    /// The lists of patterns and maps, where one was changed at run time.
    fn changed(&self) -> Option<&lists::Lists>;
    /// A variable, by its name with the scope.
    fn variable(&self, name: &[u8]) -> Option<fetch::Sample<'_>> {
        let _ = name;
        None
    }
    /// What the client has sent so far, where rules look at it before it is passed on.
    fn inspected(&self) -> Option<Inspected<'_>> {
        None
    }
    /// What a check received from the server.
    fn payload(&self) -> &[u8] {
        &[]
    }
}

#[cfg(test)]
mod tests;
