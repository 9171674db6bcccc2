//! Conditions (being written).

/// One ACL.
#[derive(Debug)]
pub struct Acl {}

/// `if`/`unless` over ACLs.
#[derive(Debug)]
pub struct Condition {}
