//! HTTP/1 as pure functions over bytes: heads, framing, chunks, exchange state, rewriting, replies.

pub mod chunked;
pub mod exchange;
pub mod framing;
pub mod head;
pub mod reply;
pub mod rewrite;
