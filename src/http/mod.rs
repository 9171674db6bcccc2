//! HTTP/1 as pure functions over bytes: heads, framing, chunks, exchange state, rewriting, replies.
//!
//! The way of a message: `head` finds and splits its head, `framing` says where its body ends,
//! `chunked` walks a chunked one, `rewrite` carries the edits of rules, `render` writes the head
//! that goes out, `exchange` knows what becomes of the connections, `reply` has oneloop's own
//! answers.
//! Nothing here knows sockets, time or configuration, and after warm-up nothing allocates.

#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

/// A table of cases: each row becomes a test of its own, so that a failure names its row.
#[cfg(test)]
macro_rules! table {
    ($check:ident: $($name:ident: $input:expr => $expected:expr;)*) => {
        $(#[test] fn $name() { assert_eq!($check($input), $expected); })*
    };
}

pub mod challenge;
pub mod chunked;
pub mod cookie;
pub mod exchange;
pub mod framing;
pub mod head;
pub mod render;
pub mod reply;
pub mod rewrite;
mod start_line;
