//! Servers that are held back until a check of them has passed (`first-check-before-traffic`).
//!
//! What their checks meet is the fake's own doing, so that it knows without asking the engine when a
//! server may first be spoken to. Commands and states of another process lift the rule; whoever
//! gives them says so by [`Held::forget`].

use oneloop::check::conversation::Script;
use oneloop::config::model::Config;

/// What a check that passes comes down to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pass {
    Connection,
    Answer,
    Program,
}

/// A server that has to wait for a check.
#[derive(Clone, Copy)]
struct Waits {
    /// The server that is looked at: itself, or whom it tracks.
    looked_at: usize,
    by: Pass,
    over: bool,
}

/// All servers, as the configuration numbers them.
#[derive(Default)]
pub(crate) struct Held(Vec<Option<Waits>>);

impl Held {
    pub(crate) fn of(config: &Config) -> Self {
        let servers = config.servers.iter().map(|server| {
            let looked_at = server.track.unwrap_or(server.id);
            let by = match config.proxy(config.server(looked_at).proxy).script {
                Script::Connection => Pass::Connection,
                Script::Program(_) => Pass::Program,
                Script::Sequence(_) | Script::Protocol(_) => Pass::Answer,
            };
            server.held_back.then_some(Waits {
                looked_at: looked_at.0 as usize,
                by,
                over: false,
            })
        });
        Self(servers.collect())
    }

    /// A check of the server has gone so well.
    pub(crate) fn passes(&mut self, server: usize, by: Pass) {
        let waiting = self.0.iter_mut().flatten();
        for waits in waiting.filter(|waits| waits.looked_at == server && waits.by == by) {
            waits.over = true;
        }
    }

    /// Somebody else decides from now on when the server comes.
    pub(crate) fn release(&mut self, server: usize) {
        if let Some(waits) = self.0.get_mut(server) {
            *waits = None;
        }
    }

    /// Nobody is held back any more.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Whether the server has been let in by its check; `None` if it never waited for one.
    pub(crate) fn is_let_in(&self, server: usize) -> Option<bool> {
        self.0
            .get(server)
            .copied()
            .flatten()
            .map(|waits| waits.over)
    }
}
