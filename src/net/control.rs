//! A worker's side of its master: orders come in, documents go out.
//!
//! The orders are read like signals: when the poller tells of the channel, all that is there is
//! read, and the engine takes them one by one. What concerns descriptors alone is done here without
//! the engine: the listeners that a new worker asks for, and the answer that the loop is alive.
//!
//! It must never wait, but at the very end. What the master has no room for yet is kept in order
//! and sent later; there is no more of it than a document a second.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use crate::net::Order;
use crate::net::channel::{self, Channel, DESCRIPTORS_MAX, Kind, Message};

/// How long a process that ends waits for its master to take its last words, ms.
const LAST_WORDS_MS: i32 = 2_000;

/// The channels of a worker.
#[derive(Debug)]
pub struct Control {
    /// `None` once the master is gone.
    master: Option<Channel>,
    /// A new worker that asks.
    successor: Option<Channel>,
    orders: VecDeque<Order>,
    /// Documents for which the master had no room.
    unsent: VecDeque<OwnedFd>,
}

impl Control {
    /// A worker's side of a channel to its master.
    #[must_use]
    pub fn new(master: Channel) -> Self {
        Self {
            master: Some(master),
            successor: None,
            orders: VecDeque::new(),
            unsent: VecDeque::new(),
        }
    }

    pub(crate) fn master(&self) -> Option<i32> {
        self.master.as_ref().map(|channel| channel.as_raw_fd())
    }

    pub(crate) fn order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Reads all that the master has said. Tells of a successor that is to be watched.
    pub(crate) fn read_master(&mut self) -> Option<i32> {
        let mut successor = None;
        while let Some(master) = &self.master {
            match master.receive() {
                Ok(Some(message)) => {
                    if let Some(channel) = self.take(message) {
                        successor = Some(channel);
                    }
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => break,
                Ok(None) | Err(_) => {
                    self.master = None;
                    self.orders.push_back(Order::Orphaned);
                }
            }
        }
        self.send_unsent();
        successor
    }

    fn take(&mut self, mut message: Message) -> Option<i32> {
        let descriptor = message.descriptors.pop();
        match (message.kind?, descriptor) {
            (Kind::Successor, Some(descriptor)) => {
                let channel = Channel::from(descriptor);
                let number = channel.as_raw_fd();
                // An older one gave up: its end of the channel ends what it waits for.
                self.successor = Some(channel);
                return Some(number);
            }
            (Kind::Drain, _) => self.orders.push_back(Order::Drain),
            (Kind::Rest, Some(descriptor)) => {
                if let Ok(document) = channel::read_document(descriptor) {
                    self.orders.push_back(Order::TakeRest(document));
                }
            }
            (Kind::Command, Some(descriptor)) => {
                let level = message.text.first().copied().unwrap_or_default();
                let socket = channel::into_socket(descriptor);
                self.orders.push_back(Order::Command(socket, level));
            }
            (Kind::Ping, _) => {
                if let Some(master) = &self.master {
                    // A master without room for it has answers enough to read.
                    drop(master.send(Kind::Ping, b"", &[]));
                }
            }
            _ => {}
        }
        None
    }

    /// Answers a new worker; `listeners` are those that it may have.
    pub(crate) fn read_successor(&mut self, listeners: &[BorrowedFd<'_>]) {
        while let Some(successor) = &self.successor {
            match successor.receive() {
                Ok(Some(message)) => match message.kind {
                    Some(Kind::Listeners) => {
                        for some in listeners.chunks(DESCRIPTORS_MAX) {
                            drop(successor.send(Kind::Listeners, b"", some));
                        }
                        drop(successor.send(Kind::NoMore, b"", &[]));
                    }
                    Some(Kind::Document) => self.orders.push_back(Order::HandOver),
                    _ => {}
                },
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => self.successor = None,
            }
        }
    }

    /// Gives the new worker what it asked for. One that is gone needs it no more.
    pub(crate) fn hand_over(&self, document: &[u8]) {
        if let (Some(successor), Ok(paper)) = (&self.successor, channel::document(document)) {
            drop(successor.send(Kind::Document, b"", &[paper.as_fd()]));
        }
    }

    /// Gives the master counts for whichever worker is in charge; `last` waits for room.
    pub(crate) fn hand_over_rest(&mut self, document: &[u8], last: bool) {
        if !document.is_empty()
            && let Ok(paper) = channel::document(document)
        {
            self.unsent.push_back(paper);
        }
        self.send_unsent();
        if last
            && !self.unsent.is_empty()
            && let Some(master) = &self.master
        {
            master.wait_for_room(LAST_WORDS_MS);
            self.send_unsent();
        }
    }

    fn send_unsent(&mut self) {
        while let (Some(master), Some(paper)) = (&self.master, self.unsent.front()) {
            match master.send(Kind::Rest, b"", &[paper.as_fd()]) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody is left who could want it.
                Ok(()) | Err(_) => self.unsent.pop_front(),
            };
        }
    }
}
