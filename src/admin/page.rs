//! The statistics as an answer to a request (`stats uri`): the page for people, and the forms of
//! `show stat` for programs.
//!
//! What follows the first `;` of the target says which form and which rows are wanted. The rows are
//! those of the runtime socket; who does not see addresses there does not see them here, unless
//! `stats show-legends` says so.

use std::borrow::Cow;

use super::field::Form;
use super::stat;
use crate::config::model::{AccessLevel, ProxyId, Statistics};
use crate::engine::service::{Inquiry, Opened, PIECE, View};

/// An answer under way.
#[derive(Debug)]
pub struct Page {
    request: stat::Request,
    cursor: stat::Cursor,
}

/// What a target asks for after its first `;`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wish {
    form: Form,
    up: bool,
    no_maint: bool,
    no_refresh: bool,
}

impl Wish {
    fn of(target: &[u8]) -> Self {
        let mut wish = Self::default();
        for word in target.split(|byte| *byte == b';').skip(1) {
            match word {
                b"csv" => wish.form = Form::Plain,
                b"json" => wish.form = Form::Json,
                b"typed" => wish.form = Form::Typed,
                b"up" => wish.up = true,
                b"no-maint" => wish.no_maint = true,
                b"norefresh" => wish.no_refresh = true,
                _ => {}
            }
        }
        wish
    }
}

/// The page's lines of a proxy.
fn settings<'a>(proxy: ProxyId, view: &View<'a>) -> Option<&'a Statistics> {
    let proxy = view.config.proxies.get(proxy.0 as usize)?;
    proxy.stats.as_deref()
}

/// Decides the answer to a request.
pub(super) fn open(asked: &Inquiry<'_>, view: &View<'_>) -> Opened<Page> {
    let wish = Wish::of(asked.target);
    let settings = settings(asked.proxy, view);
    let legends = settings.is_some_and(|settings| settings.shows_legends);
    let content_type = match wish.form {
        Form::Json => "application/json",
        Form::Plain | Form::Typed => "text/plain",
    };
    let mut fields = vec![
        ("cache-control", Cow::Borrowed("no-cache")),
        ("content-type", Cow::Borrowed(content_type)),
    ];
    if let Some(refresh) = settings.and_then(|settings| settings.refresh)
        && !wish.no_refresh
    {
        fields.push(("refresh", Cow::Owned(refresh.to_string())));
    }
    let request = stat::Request {
        form: wish.form,
        up: wish.up,
        no_maint: wish.no_maint,
        level: match legends {
            true => AccessLevel::Admin,
            false => AccessLevel::User,
        },
        ..stat::Request::default()
    };
    Opened {
        status: 200,
        fields,
        page: Some(Page {
            request,
            cursor: stat::Cursor::default(),
        }),
        commands: Vec::new(),
    }
}

/// Appends the next piece of an answer; true while more is to come.
pub(super) fn fill(page: &mut Page, view: &View<'_>, out: &mut Vec<u8>) -> bool {
    stat::show_part(&page.request, view, &mut page.cursor, PIECE, out)
}
