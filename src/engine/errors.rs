//! The last message of each proxy and direction that could not be read, for `show errors`.
//!
//! A message is kept when it is refused: its bytes as far as they had come, where it went wrong and
//! why. One of each kind a proxy, until the next takes its place; memory is taken with the first
//! and never more than a buffer's, so that a flood of bad messages costs copies and no allocations.
//! Of a chunked body only what was at hand is kept: what came before has been passed on.

use crate::base::addr::Address;
use crate::base::clock::Now;
use crate::config::model::{ProxyId, ServerId};
use crate::http::head::Refusal;

/// Where a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whose error it is: the frontend's for a request, the backend's for an answer.
    pub proxy: ProxyId,
    /// It is an answer.
    pub is_answer: bool,
    /// The other side: the backend of a request, if it had one; the frontend of an answer.
    pub other: Option<ProxyId>,
    /// The server, if one was chosen.
    pub server: Option<ServerId>,
}

impl Place {
    /// A client's request.
    #[must_use]
    pub fn request(frontend: ProxyId, backend: Option<ProxyId>, server: Option<ServerId>) -> Self {
        Self {
            proxy: frontend,
            is_answer: false,
            other: backend,
            server,
        }
    }

    /// A server's answer.
    #[must_use]
    pub fn answer(frontend: ProxyId, backend: ProxyId, server: Option<ServerId>) -> Self {
        Self {
            proxy: backend,
            is_answer: true,
            other: Some(frontend),
            server,
        }
    }
}

/// A message that was refused.
#[derive(Debug)]
pub struct BadMessage {
    /// Where.
    pub place: Place,
    /// When.
    pub at: Now,
    /// The client.
    pub source: Address,
    /// How many there were before it, in the whole process.
    pub number: u64,
    /// Offset of the offending byte in `bytes`, and why.
    pub refusal: Refusal,
    /// What had come of it.
    pub bytes: Vec<u8>,
}

/// All that is kept.
#[derive(Debug, Default)]
pub struct Errors {
    /// All there ever were.
    pub total: u64,
    /// By proxy: the request and the answer.
    kept: Vec<[Option<Box<BadMessage>>; 2]>,
}

impl Errors {
    /// None yet, for so many proxies.
    #[must_use]
    pub fn new(proxies: usize) -> Self {
        Self {
            total: 0,
            kept: std::iter::repeat_with(|| [None, None])
                .take(proxies)
                .collect(),
        }
    }

    /// Keeps a message in place of the last one of its kind.
    #[cold]
    pub(crate) fn keep(
        &mut self,
        place: Place,
        source: Address,
        at: Now,
        refusal: Refusal,
        bytes: &[u8],
    ) {
        let number = self.total;
        self.total = self.total.saturating_add(1);
        let proxy = self.kept.get_mut(place.proxy.0 as usize);
        let Some(kept) = proxy.and_then(|both| both.get_mut(usize::from(place.is_answer))) else {
            return;
        };
        let message = kept.get_or_insert_with(|| {
            Box::new(BadMessage {
                place,
                at,
                source,
                number,
                refusal,
                bytes: Vec::new(),
            })
        });
        let mut storage = std::mem::take(&mut message.bytes);
        storage.clear();
        storage.extend_from_slice(bytes);
        **message = BadMessage {
            place,
            at,
            source,
            number,
            refusal,
            bytes: storage,
        };
    }

    /// A server is no more: its id may soon be another's.
    pub(crate) fn forget_server(&mut self, server: ServerId) {
        for message in self.kept.iter_mut().flatten().flatten() {
            message.place.server = message.place.server.filter(|known| *known != server);
        }
    }

    /// What is kept, proxy by proxy, requests first.
    pub fn iter(&self) -> impl Iterator<Item = &BadMessage> {
        self.kept.iter().flatten().flatten().map(|kept| &**kept)
    }
}
