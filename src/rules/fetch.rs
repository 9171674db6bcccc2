//! Sample fetches and expressions.

use std::net::IpAddr;

use super::Context;
use super::compile::{Compiler, Problem};
use super::condition::AclCache;
use crate::http::head::Method;

/// The type of a sample, for compile-time checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A boolean.
    Bool,
    /// A signed integer.
    Int,
    /// An IPv4 or IPv6 address.
    Ip,
    /// Text.
    Str,
    /// Bytes that are not text.
    Bin,
    /// A request method.
    Method,
}

/// What a fetch or converter yields; borrows from the session or from [`Buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample<'a> {
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// Text.
    Str(&'a [u8]),
    /// Bytes that are not text.
    Bin(&'a [u8]),
    /// A request method with its text.
    Method(Method, &'a [u8]),
}

/// Where an expression is evaluated, which decides what fetches may be used (the columns of
/// `haproxy -dKsmp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `http-request` rules and `use_backend`.
    Request,
    /// `http-response` rules.
    Response,
    /// Log formats.
    Log,
}

/// The memory that evaluation works in. Grows during the first requests, then never again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Where converters write.
    pub buffers: Buffers,
    /// Results of ACLs for the current message.
    pub cache: AclCache,
    pub(super) text: Vec<u8>,
    pub(super) name: Vec<u8>,
}

impl Scratch {
    /// Forgets what was true of the previous message. To be called whenever a new request or
    /// answer head has been parsed, before any rule, condition or log line looks at it.
    pub fn start_message(&mut self) {
        self.cache.clear();
    }
}

/// Where converters write, by turns.
#[derive(Debug, Default)]
pub struct Buffers {
    pub(super) front: Vec<u8>,
    pub(super) back: Vec<u8>,
}

/// A fetch with its converters.
#[derive(Debug)]
pub struct Expression {
    output: Type,
}

impl Expression {
    /// Compiles `name(args),converter(args),...`; all of `text` must be used.
    ///
    /// # Errors
    /// A [`Problem`] about word 0.
    pub fn compile(
        text: &[u8],
        scope: Scope,
        compiler: &mut Compiler<'_>,
    ) -> Result<Self, Problem> {
        let _ = (text, scope, compiler);
        Err(Problem::new(0, ""))
    }

    /// The type of what it yields.
    #[must_use]
    pub fn output(&self) -> Type {
        self.output
    }

    /// Calls `test` with one sample after another until it says true; tells whether it did.
    pub fn any<C: Context>(
        &self,
        context: &C,
        buffers: &mut Buffers,
        test: impl FnMut(Sample<'_>) -> bool,
    ) -> bool {
        let _ = (context, buffers, test);
        false
    }

    /// The one sample that text uses: of a repeated header the last occurrence.
    pub fn value<'s, C: Context>(
        &'s self,
        context: &'s C,
        buffers: &'s mut Buffers,
    ) -> Option<Sample<'s>> {
        let _ = (context, buffers);
        None
    }
}
