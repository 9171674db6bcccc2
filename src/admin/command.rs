//! The table of runtime commands (being written).

use crate::engine::service::{Caller, Outcome, Service, View};

/// The commands of the runtime socket.
#[derive(Debug, Default)]
pub struct Commands {}

impl Commands {
    /// The whole table.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

impl Service for Commands {
    fn run(
        &mut self,
        command: &[u8],
        caller: &mut Caller,
        view: &View<'_>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let _ = (command, caller, view);
        out.extend_from_slice(b"Unknown command.\n\n");
        Outcome::Done
    }
}
