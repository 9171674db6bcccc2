//! The answers to requests: what each service of the engine renders.
//!
//! Here is the one place where a service's name becomes code. A service decides its head from the
//! request, and then renders its body in pieces; like a runtime command it reads the engine through
//! a view and hands back the changes that it wants.

use super::{page, prometheus};
use crate::engine::service::{Applet, Inquiry, Opened, PIECE, View};

/// An answer under way.
#[derive(Debug)]
pub enum Page {
    /// The statistics.
    Stats(page::Page),
    /// The metrics for Prometheus.
    Prometheus(prometheus::Exporter),
}

/// Decides the answer to a request.
pub(super) fn open(inquiry: &Inquiry<'_>, policy: &page::Policy, view: &View<'_>) -> Opened<Page> {
    match inquiry.applet {
        Applet::Stats => page::open(inquiry, policy, view).map(Page::Stats),
        Applet::Prometheus => prometheus::open(inquiry).map(Page::Prometheus),
    }
}

/// Appends the next piece of an answer; true while more is to come.
pub(super) fn fill(page: &mut Page, view: &View<'_>, out: &mut Vec<u8>) -> bool {
    match page {
        Page::Stats(page) => page::fill(page, view, out),
        Page::Prometheus(exporter) => exporter.write(view, PIECE, out),
    }
}
