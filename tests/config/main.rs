//! Configurations in, verdicts, messages and models out, through `config::load` on a machine
//! made of maps. The expected messages were read off HAProxy 2.6.12 (`-c -f`), the lead
//! `config : ` dropped; where oneloop is stricter on purpose the row says so.

mod given;
mod model;
mod sources;
mod verdicts;
