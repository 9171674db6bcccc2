//! The `oneloop` binary.

fn main() {}
