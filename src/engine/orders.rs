//! What a worker does for its master: it tells a new worker what it knows, leaves when that serves,
//! and serves the runtime connections that come by way of the master.
//!
//! A worker that leaves tells what it counted since, once a second and at its end, so that the
//! counts of whichever worker is in charge hold all that was served. What is told and how is
//! `handover`'s; here is when.

use super::service::Service;
use super::{Engine, Exit};
use crate::config::model::AccessLevel;
use crate::net::{Net, Order};

/// How often a worker that leaves tells its counts, ms.
const REST_EVERY_MS: u64 = 1_000;

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// Does what the master, or a new worker, wants.
    pub(super) fn on_order(&mut self, order: Order) {
        match order {
            Order::HandOver => {
                let mut document = Vec::new();
                self.hand_over(&mut document);
                self.net.hand_over(&document);
            }
            Order::Drain => {
                self.drain();
                self.wheel
                    .promise(self.rest_timer, self.now.ms + REST_EVERY_MS);
            }
            Order::TakeRest(document) => {
                if let Err(why) = self.take_over(&document) {
                    ::log::warn!("What a former worker counted is lost: {why}.");
                }
            }
            Order::Command(socket, level) => {
                let level = match level {
                    0 => AccessLevel::User,
                    1 => AccessLevel::Operator,
                    _ => AccessLevel::Admin,
                };
                self.accepted_command(socket, level);
            }
            // It ends as by a signal: who is in charge next decides what is served.
            Order::Orphaned => {
                self.exit.get_or_insert(Exit::Orphaned);
            }
        }
    }

    /// A worker that leaves tells what it has counted since it last did.
    pub(super) fn tell_rest(&mut self) {
        self.send_rest(false);
        self.wheel
            .promise(self.rest_timer, self.now.ms + REST_EVERY_MS);
    }

    /// The end of the process: what a worker that leaves has not told yet. No program of a check
    /// outlives it.
    pub fn last_words(&mut self) {
        self.end_programs();
        if self.stopping {
            self.send_rest(true);
        }
    }

    fn send_rest(&mut self, last: bool) {
        let mut document = Vec::new();
        self.hand_over_rest(&mut document);
        self.net.hand_over_rest(&document, last);
    }
}
