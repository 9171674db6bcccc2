//! The runtime socket: one table of commands, each a view of the engine or a change to it.
//!
//! A command reads the engine through `engine::service::View`, writes its answer into a buffer and,
//! where it changes something, hands back a `Command` for the engine to apply. It must never block,
//! never change state itself and never fail: what cannot be done is a sentence in the answer.
//! Answers are HAProxy's to the byte, because tools parse them; help texts and descriptions of
//! fields are our own.

// Nothing from outside may make this code panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

mod added;
mod agent;
pub mod change;
pub mod column;
pub mod command;
mod cookies;
pub mod errors;
pub mod field;
mod frontend;
pub mod help;
pub mod info;
mod internals;
mod lists;
mod metric;
pub mod page;
pub mod prometheus;
pub mod servers;
mod sessions;
pub mod stat;
mod tasks;
pub mod web;
