//! Reads `haproxy.cfg`: lines to words, words to sections, sections to one immutable `Config`.

pub mod blocks;
pub mod diag;
pub mod host;
pub mod keywords;
pub mod lexer;
pub mod lines;
pub mod model;
pub mod resolve;
pub mod sections;
pub mod units;
