//! What a worker has of its master, from the fork to the first turn of its loop.
//!
//! A worker is forked before the configuration is read. It reads it, binds what the worker before
//! it does not give, tells that it is loaded, gives its privileges up, takes over what the worker
//! before it knows, and tells that it serves; only then is the other told to leave. Whatever fails
//! on the way ends this process alone.
//!
//! These calls may wait, because nothing is served yet; a worker before that does not answer in
//! time is gone on without. Rejected: the master holding the listeners, which would leave clients
//! waiting in a queue that nobody serves when a worker dies.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use crate::net::channel::{Channel, Kind, read_document};
use crate::net::control::Control;
use crate::process::message;

/// How long the worker before this one may take for an answer, ms.
const ANSWER_MS: i32 = 5_000;

/// What of a configuration concerns the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `no-exit-on-failure`.
    pub failure_is_survived: bool,
    /// `mworker-max-reloads`; `u32::MAX` for no limit.
    pub reloads_max: u32,
}

impl Rules {
    /// As a text of a message.
    fn write(self) -> String {
        let survived = u8::from(self.failure_is_survived);
        format!("{survived} {}", self.reloads_max)
    }

    /// Reads what [`Rules::write`] wrote.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let (survived, most) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self {
            failure_is_survived: survived == "1",
            reloads_max: most.parse().ok()?,
        })
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            failure_is_survived: false,
            reloads_max: u32::MAX,
        }
    }
}

/// The channels of a worker that does not serve yet.
#[derive(Debug)]
pub struct Worker {
    pub(super) master: Channel,
    /// To the worker that serves now.
    pub(super) predecessor: Option<Channel>,
    /// It belongs to a service without a terminal.
    pub(super) detached: bool,
    /// No worker of this master has served before it.
    pub(super) is_first: bool,
}

impl Worker {
    /// Whether it shall have no terminal, as its master.
    #[must_use]
    pub fn detached(&self) -> bool {
        self.detached
    }

    /// The listeners of the worker that serves now.
    #[must_use]
    pub fn listeners(&self) -> Vec<OwnedFd> {
        let mut listeners = Vec::new();
        let Some(predecessor) = &self.predecessor else {
            return listeners;
        };
        if predecessor.send(Kind::Listeners, b"", &[]).is_ok() {
            while let Some(message) = predecessor.wait(ANSWER_MS) {
                listeners.extend(message.descriptors);
                if message.kind == Some(Kind::NoMore) {
                    break;
                }
            }
        }
        listeners
    }

    /// What the worker that serves now knows. From here on it counts what this one is to be told
    /// later.
    #[must_use]
    pub fn document(&self) -> Option<Vec<u8>> {
        let predecessor = self.predecessor.as_ref()?;
        predecessor.send(Kind::Document, b"", &[]).ok()?;
        let mut answer = predecessor.wait(ANSWER_MS)?;
        read_document(answer.descriptors.pop()?).ok()
    }

    /// The configuration is read and its addresses are bound: from here on it speaks for itself.
    pub fn loaded(&self, rules: Rules) {
        message::notice(&format!("New worker ({}) forked", std::process::id()));
        message::speak_as(0);
        self.tell(Kind::Loaded, rules.write().as_bytes());
    }

    /// It serves.
    pub fn ready(self) {
        self.tell(Kind::Ready, b"");
    }

    fn tell(&self, kind: Kind, text: &[u8]) {
        while let Err(why) = self.master.send(kind, text, &[]) {
            if why.kind() != io::ErrorKind::WouldBlock {
                // The loop will see that its master is gone.
                return;
            }
            self.master.wait_for_room(ANSWER_MS);
        }
    }

    /// The master's side of the loop.
    ///
    /// # Errors
    /// When descriptors are out.
    pub fn control(&self) -> io::Result<Control> {
        Ok(Control::new(self.master.try_clone()?))
    }

    /// The number by which messages reach the master.
    #[must_use]
    pub fn master_descriptor(&self) -> i32 {
        self.master.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_their_message() {
        for (failure_is_survived, reloads_max) in [(false, 0), (true, 7), (false, u32::MAX)] {
            let rules = Rules {
                failure_is_survived,
                reloads_max,
            };
            assert_eq!(Rules::read(rules.write().as_bytes()), Some(rules));
        }
        assert_eq!(Rules::read(b""), None);
        assert_eq!(Rules::read(b"1 x"), None);
    }
}
