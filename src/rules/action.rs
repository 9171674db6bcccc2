//! Actions (being written).

/// One `http-request` rule.
#[derive(Debug)]
pub struct RequestRule {}

/// One `http-response` rule.
#[derive(Debug)]
pub struct ResponseRule {}
