//! The services of oneloop's own that answer requests: the statistics page, and what
//! `http-request use-service` names.
//!
//! A rule only names one; the engine asks its `Service` for the answer. To add one: a variant, its
//! row in `NAMED`, and what `admin::web` renders for it. A name without a row is refused as one
//! that HAProxy does not know either.

/// A service that answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applet {
    /// The statistics page and its other forms (`stats uri`).
    Stats,
    /// The metrics for Prometheus.
    Prometheus,
}

/// The services that `http-request use-service` may name.
const NAMED: &[(&[u8], Applet)] = &[(b"prometheus-exporter", Applet::Prometheus)];

impl Applet {
    /// The service of a name.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        let found = NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, applet)| *applet)
    }

    /// It reads the body of a POST before it answers.
    #[must_use]
    pub fn reads_body(self) -> bool {
        match self {
            Self::Stats => true,
            Self::Prometheus => false,
        }
    }
}
