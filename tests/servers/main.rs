//! Real servers of Debian behind the proxy: checks that speak their protocols, and the examples.
//!
//! Redis, MariaDB, PostgreSQL, OpenLDAP, an SMTP server and nginx run as processes of the test,
//! without privileges, each with a directory and an address of its own; nothing of the machine's
//! own services is touched. Where a program is missing the test says that it is left out; with
//! `CI=true` that is a failure. Everything here can be seen on HAProxy too:
//! `ONELOOP_TEST_BIN=/usr/sbin/haproxy cargo test --test servers`.

#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../support/mod.rs"]
mod support;

mod checks;
mod examples;
mod programs;
