//! The kernel's pipes, as strict as the door's contract: a tube is lent empty, filled when it is
//! empty, emptied to where its bytes belong, and its borrower knows how much is in it.

use std::collections::VecDeque;

use super::state::Core;

/// One tube that is lent.
#[derive(Debug, Default)]
struct Lent {
    bytes: VecDeque<u8>,
    /// The sockets at its two ends, once it has been used.
    from: Option<usize>,
    to: Option<usize>,
}

/// All tubes, by number; a number is used again when its tube has come back.
#[derive(Debug, Default)]
pub(crate) struct Tubes {
    lent: Vec<Option<Lent>>,
}

impl Tubes {
    pub(crate) fn count(&self) -> usize {
        self.lent.iter().flatten().count()
    }

    fn get(&mut self, number: u32) -> Option<&mut Lent> {
        self.lent.get_mut(number as usize)?.as_mut()
    }
}

impl Core {
    /// Lends a tube, unless the system has none to give.
    pub(crate) fn lend_tube(&mut self) -> Option<u32> {
        let most = self.faults.tubes_max as usize;
        if self.tubes.count() >= most || self.rng.permille(self.faults.no_tube) {
            self.reach("tube: refused");
            return None;
        }
        self.reach("tube: lent");
        let lent = &mut self.tubes.lent;
        let number = lent.iter().position(Option::is_none).unwrap_or(lent.len());
        if number == lent.len() {
            lent.push(None);
        }
        lent[number] = Some(Lent::default());
        self.say(|| format!("tube {number} lent"));
        Some(number as u32)
    }

    pub(crate) fn return_tube(&mut self, number: u32, held: usize) {
        let Some(lent) = self.tubes.get(number) else {
            return self.problem(format!("tube {number} given back and not lent"));
        };
        let bytes = lent.bytes.len();
        self.tubes.lent[number as usize] = None;
        self.say(|| format!("tube {number} given back with {bytes}"));
        if bytes != held {
            self.problem(format!("tube {number} given back with {bytes}, not {held}"));
        }
        if bytes > 0 {
            self.reach("tube: given back with bytes");
        }
    }

    /// A tube that is about to be filled from a socket: says whether that may be.
    pub(crate) fn may_fill(&mut self, number: u32, sock: usize) -> bool {
        let Some(lent) = self.tubes.get(number) else {
            self.problem(format!("tube {number} filled and not lent"));
            return false;
        };
        let (held, from) = (lent.bytes.len(), *lent.from.get_or_insert(sock));
        if held > 0 {
            self.problem(format!("tube {number} filled with {held} bytes in it"));
        }
        if from != sock {
            self.problem(format!("tube {number} of #{from} filled from #{sock}"));
        }
        held == 0 && from == sock
    }

    pub(crate) fn fill(&mut self, number: u32, bytes: VecDeque<u8>) {
        if let Some(lent) = self.tubes.get(number) {
            lent.bytes = bytes;
        }
    }

    /// A tube whose `held` bytes are to go to a socket: says whether that may be.
    pub(crate) fn may_empty(&mut self, number: u32, sock: usize, held: usize) -> bool {
        let Some(lent) = self.tubes.get(number) else {
            self.problem(format!("tube {number} emptied and not lent"));
            return false;
        };
        let (bytes, to) = (lent.bytes.len(), *lent.to.get_or_insert(sock));
        if bytes != held || held == 0 {
            self.problem(format!("tube {number} holds {bytes}, not {held}"));
        }
        if to != sock {
            self.problem(format!("tube {number} of #{to} emptied to #{sock}"));
        }
        bytes == held && held > 0 && to == sock
    }

    /// Takes the first bytes out of a tube.
    pub(crate) fn empty(&mut self, number: u32, n: usize) -> Vec<u8> {
        let lent = self.tubes.get(number);
        lent.map_or_else(Vec::new, |lent| lent.bytes.drain(..n).collect())
    }
}
