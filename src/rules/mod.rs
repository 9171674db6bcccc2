//! The rule language: samples, converters, patterns, conditions, actions and format strings.

pub mod action;
pub mod condition;
pub mod convert;
pub mod fetch;
pub mod format;
pub mod pattern;
