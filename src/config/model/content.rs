//! What is asked of the first bytes of a session before it goes on.

use crate::rules::condition::Acl;
use crate::rules::content::ContentRule;

/// The inspection of a frontend's or a backend's sessions (configuration.txt 4.2, "tcp-request
/// content").
#[derive(Debug, Default)]
pub struct Content {
    /// The rules, in order.
    pub rules: Vec<ContentRule>,
    /// `tcp-request inspect-delay`, ms: how long bytes are waited for at most; none or 0 for not at
    /// all.
    pub delay_ms: Option<u32>,
    /// Something that this proxy asks of a session reads an HTTP request: in TCP mode one has to be
    /// looked for among the bytes.
    pub reads_request: bool,
}

impl Content {
    /// The inspection of a proxy; `others_read` says whether what its other lines ask reads an HTTP
    /// request.
    #[must_use]
    pub fn new(
        rules: Vec<ContentRule>,
        delay_ms: Option<u32>,
        acls: &[Acl],
        others_read: bool,
    ) -> Self {
        let reads_request = others_read || rules.iter().any(|rule| rule.reads_request(acls));
        Self {
            rules,
            delay_ms: delay_ms.filter(|ms| *ms > 0),
            reads_request,
        }
    }

    /// Nobody asks anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
