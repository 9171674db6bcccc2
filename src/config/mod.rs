//! Reads `haproxy.cfg`: lines to words, words to sections, sections to one immutable `Config`.
//!
//! `load` is the door. `lexer` and `blocks` hand out lines, `keywords` admits them, `sections`
//! knows where they belong, the handlers (`global`, `proxy`, `bind`, `server`, `rules`, with
//! what they share in `lines`) leave what a line says in drafts (`draft`), and `resolve`
//! checks the whole and builds the `Config` of `model`. What there is to say about it is in
//! `diag`.
//!
//! Invariants: one pass tells all errors; nothing here does I/O but through `host::Host`; no
//! input makes it panic; nothing is accepted and ignored.

// Nothing from outside may make this code panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

mod balance;
mod bind;
pub mod blocks;
mod build;
mod checks;
mod choice;
pub mod diag;
mod draft;
pub mod dynamic;
mod error_line;
mod external;
mod global;
pub mod host;
pub mod keywords;
pub mod lexer;
mod lines;
pub mod model;
mod persist;
mod protocol;
mod proxy;
mod resolve;
mod retry;
mod rules;
mod sections;
mod server;
mod sockets;
mod state;
mod stats;
mod unique_id;
pub mod units;

pub use sections::{LoadOptions, Loaded, Source, load};
