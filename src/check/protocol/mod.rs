//! Checks that speak the protocol of a kind of server: one file each, one variant each.

use super::conversation::{Action, Desk, Event};

/// A protocol with what its line says.
#[derive(Clone, Debug)]
pub enum Protocol {}

/// How far a check in one of these protocols is: what the next answer is to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The steps that were done; each protocol counts its own.
    pub step: u8,
}

impl Protocol {
    /// What to do after an event.
    pub fn on(&self, _event: Event<'_>, _state: &mut State, _desk: &mut Desk) -> Action {
        match *self {}
    }
}
