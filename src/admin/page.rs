//! The statistics as an answer to a request (`stats uri`): the page for people, and the forms of
//! `show stat` for programs.
//!
//! What follows `stats uri` in the target says which form and which rows are wanted, in HAProxy's
//! words. The rows are those of the runtime socket; who does not see addresses there does not see
//! them here, unless `stats show-legends` says so.
//!
//! The page is one document: no other is asked for, and its policy lets nothing run but its own
//! style sheet and script, which it names by their digests. It can be read without the script. What
//! the script adds it takes from the JSON form; the page is never loaded again by itself.

mod digest;
mod post;
mod table;

use std::borrow::Cow;

use super::field::Form;
use super::stat;
use crate::base::version::VERSION;
use crate::config::model::{AccessLevel, Mode, ProxyId, Statistics};
use crate::engine::service::{Inquiry, Opened, PIECE, Posted, View};
use post::Code;
use table::{Shape, Style, escape};

const TOP: &str = include_str!("page/top.html");
const BOTTOM: &str = include_str!("page/bottom.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// The longest `scope=` that is looked at, and the shortest, bytes.
const SCOPE_LENGTHS: std::ops::RangeInclusive<usize> = 2..=20;

/// What the page may do, worked out once.
#[derive(Debug)]
pub struct Policy(String);

impl Default for Policy {
    fn default() -> Self {
        let style = digest::sha256_base64(STYLE.as_bytes());
        let script = digest::sha256_base64(SCRIPT.as_bytes());
        Self(format!(
            "default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; \
             connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        ))
    }
}

/// An answer under way.
#[derive(Debug)]
pub struct Page {
    request: stat::Request,
    cursor: stat::Cursor,
    /// The page for people, and what of it has been written.
    html: Option<Html>,
}

#[derive(Debug)]
struct Html {
    proxy: ProxyId,
    wish: Wish,
    admin: bool,
    begun: bool,
    /// The table that is open, by its proxy's number.
    table: Option<(u32, Shape)>,
}

/// What a target asks for behind `stats uri`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wish {
    form: Option<Form>,
    schema: bool,
    up: bool,
    no_maint: bool,
    no_refresh: bool,
    /// The code of an action (`;st=`).
    code: Option<String>,
    scope: Option<String>,
}

impl Wish {
    fn of(rest: &[u8]) -> Self {
        let text = String::from_utf8_lossy(rest);
        let has = |word: &str| text.contains(word);
        let after = |word: &str| text.split_once(word).map(|(_, after)| after);
        let scope = after(";scope=").or_else(|| after("?scope="));
        let scope = scope.map(|text| text.split([';', '&']).next().unwrap_or_default());
        let fits = |text: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
            SCOPE_LENGTHS.contains(&text.len()) && text.chars().all(plain)
        };
        Self {
            form: match () {
                () if has(";csv") => Some(Form::Plain),
                () if has(";json") => Some(Form::Json),
                () if has(";typed") => Some(Form::Typed),
                () => None,
            },
            schema: has(";json-schema"),
            up: has(";up"),
            no_maint: has(";no-maint"),
            no_refresh: has(";norefresh"),
            code: after(";st=").map(|text| text.chars().take(4).collect()),
            scope: scope.filter(fits).map(str::to_ascii_lowercase),
        }
    }

    /// What the target of a redirect keeps. As in HAProxy, that is not `;no-maint`, and
    /// `;norefresh` only where there is a refresh.
    fn kept(&self, refreshes: bool) -> String {
        let mut text = String::new();
        text.push_str(if self.up { ";up" } else { "" });
        let quiet = refreshes && self.no_refresh;
        text.push_str(if quiet { ";norefresh" } else { "" });
        if let Some(scope) = &self.scope {
            text.push_str("?scope=");
            text.push_str(scope);
        }
        text
    }
}

/// The page's lines of a proxy.
fn settings<'a>(proxy: ProxyId, view: &View<'a>) -> Option<&'a Statistics> {
    let proxy = view.config.proxies.get(proxy.0 as usize)?;
    proxy.stats.as_deref()
}

/// Decides the answer to a request.
pub(super) fn open(inquiry: &Inquiry<'_>, policy: &Policy, view: &View<'_>) -> Opened<Page> {
    let Some(settings) = settings(inquiry.proxy, view) else {
        return Opened::empty(404);
    };
    let rest = inquiry.target.get(settings.uri.len()..).unwrap_or_default();
    let wish = Wish::of(rest);
    let (code, commands) = match inquiry.body {
        Posted::Not => return show(inquiry, settings, wish, policy),
        _ if !inquiry.admin => (Code::Denied, Vec::new()),
        Posted::TooLong => (Code::TooLong, Vec::new()),
        Posted::Whole(body) => post::run(body, settings.scope.as_deref(), view),
    };
    let kept = wish.kept(settings.refresh.is_some());
    let (uri, code) = (&settings.uri, code.word());
    Opened {
        status: 303,
        fields: vec![
            ("cache-control", Cow::Borrowed("no-cache")),
            ("content-type", Cow::Borrowed("text/plain")),
            ("content-length", Cow::Borrowed("0")),
            ("location", Cow::Owned(format!("{uri};st={code}{kept}"))),
        ],
        page: None,
        commands,
    }
}

fn show(inquiry: &Inquiry<'_>, settings: &Statistics, wish: Wish, policy: &Policy) -> Opened<Page> {
    if wish.schema {
        return Opened::empty(404);
    }
    let content_type = match wish.form {
        None => "text/html",
        Some(Form::Json) => "application/json",
        Some(Form::Plain | Form::Typed) => "text/plain",
    };
    let mut fields = vec![
        ("cache-control", Cow::Borrowed("no-cache")),
        ("content-type", Cow::Borrowed(content_type)),
    ];
    match settings.refresh.filter(|_| !wish.no_refresh) {
        Some(refresh) if wish.form.is_some() => {
            fields.push(("refresh", Cow::Owned(refresh.to_string())));
        }
        _ => {}
    }
    if wish.form.is_none() {
        fields.push(("content-security-policy", Cow::Owned(policy.0.clone())));
        fields.push(("x-content-type-options", Cow::Borrowed("nosniff")));
        fields.push(("referrer-policy", Cow::Borrowed("same-origin")));
    }
    let request = stat::Request {
        form: wish.form.unwrap_or_default(),
        up: wish.up,
        no_maint: wish.no_maint,
        scope: settings.scope.clone(),
        names: wish.scope.clone(),
        level: match settings.shows_legends {
            true => AccessLevel::Admin,
            false => AccessLevel::User,
        },
        ..stat::Request::default()
    };
    let html = wish.form.is_none().then_some(Html {
        proxy: inquiry.proxy,
        wish,
        admin: inquiry.admin,
        begun: false,
        table: None,
    });
    Opened {
        status: 200,
        fields,
        page: Some(Page {
            request,
            cursor: stat::Cursor::default(),
            html,
        }),
        commands: Vec::new(),
    }
}

/// Appends the next piece of an answer; true while more is to come.
pub(super) fn fill(page: &mut Page, view: &View<'_>, out: &mut Vec<u8>) -> bool {
    let Some(html) = &mut page.html else {
        return stat::show_part(&page.request, view, &mut page.cursor, PIECE, out);
    };
    let Some(settings) = settings(html.proxy, view) else {
        return false;
    };
    let style = Style {
        post: html.admin.then_some(&*settings.uri),
        modules: settings.shows_modules,
    };
    if !std::mem::replace(&mut html.begun, true) {
        top(settings, html, view, out);
    }
    while out.len() < PIECE {
        let Some(row) = page.cursor.next(&page.request, view) else {
            if let Some((_, shape)) = html.table.take() {
                table::end(&style, shape, out);
            }
            bottom(settings, html, out);
            return false;
        };
        let open = html.table.filter(|(proxy, _)| *proxy == row.proxy);
        let shape = match open {
            Some((_, shape)) => shape,
            None => {
                if let Some((_, shape)) = html.table.take() {
                    table::end(&style, shape, out);
                }
                let shape = shape(row.proxy, view);
                table::begin(&row, shape, &style, out);
                shape
            }
        };
        html.table = Some((row.proxy, shape));
        table::row(&row, shape, &style, out);
    }
    true
}

/// What the table of a proxy is about.
fn shape(number: u32, view: &View<'_>) -> Shape {
    let mut proxies = view.config.proxies.iter();
    let proxy = proxies.find(|proxy| proxy.number == number);
    Shape {
        front: proxy.is_some_and(|proxy| proxy.is_frontend),
        back: proxy.is_some_and(|proxy| proxy.is_backend),
        http: proxy.is_some_and(|proxy| proxy.mode == Mode::Http),
        servers: proxy.is_some_and(|proxy| !view.roster.members(proxy.id).is_empty()),
    }
}

fn escaped(text: &str) -> Cow<'static, str> {
    let mut out = Vec::new();
    escape(text, &mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Writes a file of the page with its `{{names}}` replaced by HTML.
fn template(file: &str, values: &[(&str, Cow<'_, str>)], out: &mut Vec<u8>) {
    let mut rest = file;
    while let Some((before, after)) = rest.split_once("{{") {
        out.extend_from_slice(before.as_bytes());
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        out.extend_from_slice(value.map_or(&[][..], |(_, value)| value.as_bytes()));
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
}

fn top(settings: &Statistics, html: &Html, view: &View<'_>, out: &mut Vec<u8>) {
    let node = match &settings.node {
        Some(Some(node)) => node.as_str(),
        Some(None) => view.limits.node.as_str(),
        None => "oneloop",
    };
    let wish = &html.wish;
    let kept = wish.kept(settings.refresh.is_some());
    let live = Wish {
        no_refresh: true,
        ..wish.clone()
    };
    let no_maint = if wish.no_maint { ";no-maint" } else { "" };
    let live = format!(";json{no_maint}{}", live.kept(true));
    let uri = &settings.uri;
    let version = match settings.hides_version {
        true => String::new(),
        false => format!("version {VERSION}, "),
    };
    let up_s = view.now.ms.saturating_sub(view.limits.started.0) / 1000;
    let facts = format!(
        "{version}process {}, up for <span id=\"up\" data-s=\"{up_s}\">{}</span>, at most {} \
         connections{}",
        view.limits.pid,
        table::span(i64::try_from(up_s).unwrap_or(i64::MAX)),
        view.limits.maxconn,
        if view.stopping { ", stopping" } else { "" },
    );
    let description = settings
        .description
        .as_ref()
        .map(|text| format!("<p>{}</p>\n", escaped(text)));
    let refresh = settings.refresh.filter(|_| !html.wish.no_refresh);
    let refresh = refresh.map(|seconds| {
        format!("<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>\n")
    });
    let values = [
        ("node", escaped(node)),
        ("facts", Cow::Owned(facts)),
        ("description", Cow::Owned(description.unwrap_or_default())),
        ("refresh", Cow::Owned(refresh.unwrap_or_default())),
        ("style", Cow::Borrowed(STYLE)),
        ("live", escaped(&format!("{uri}{live}"))),
        ("post", escaped(&format!("{uri}{kept}"))),
        ("result", Cow::Owned(result(html.wish.code.as_deref()))),
    ];
    template(TOP, &values, out);
}

/// What became of an action, in words.
fn result(code: Option<&str>) -> String {
    let Some(code) = code else {
        return String::new();
    };
    let (bad, text) = match code {
        "DONE" => (false, "Done."),
        "NONE" => (false, "Nothing has changed."),
        "PART" => (true, "Done in part: some servers are not known."),
        "ERRP" => (
            true,
            "Not done: the action, the backend or all of the servers are not known.",
        ),
        "EXCD" => (true, "Not done: too many servers at once. Choose fewer."),
        "DENY" => (true, "Denied."),
        _ => (true, "It is not known what became of that."),
    };
    let class = if bad { "note bad" } else { "note" };
    format!("<p class=\"{class}\" role=\"status\">{text}</p>\n")
}

fn bottom(settings: &Statistics, html: &Html, out: &mut Vec<u8>) {
    let scope = match &html.wish.scope {
        Some(scope) => format!("?scope={scope}"),
        None => String::new(),
    };
    let (up, no_maint) = (html.wish.up, html.wish.no_maint);
    let mut links = String::new();
    for (shown, text, more) in [
        (up || no_maint, "All servers", ""),
        (!up, "Only servers that are up", ";up"),
        (!no_maint, "Without maintenance", ";no-maint"),
        (true, "CSV", ";csv;norefresh"),
        (true, "JSON", ";json;norefresh"),
    ] {
        if shown {
            let target = escaped(&format!("{}{more}{scope}", settings.uri)).into_owned();
            links.push_str(&format!("<a href=\"{target}\">{text}</a>\n"));
        }
    }
    let values = [
        ("links", Cow::Owned(links)),
        ("script", Cow::Borrowed(SCRIPT)),
    ];
    template(BOTTOM, &values, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes() {
        let cases: [(&str, Wish); 6] = [
            ("", Wish::default()),
            (
                ";csv;norefresh",
                Wish {
                    form: Some(Form::Plain),
                    no_refresh: true,
                    ..Wish::default()
                },
            ),
            (
                "?x;up;json;no-maint",
                Wish {
                    form: Some(Form::Json),
                    up: true,
                    no_maint: true,
                    ..Wish::default()
                },
            ),
            (
                ";st=DONEX;up",
                Wish {
                    code: Some("DONE".to_owned()),
                    up: true,
                    ..Wish::default()
                },
            ),
            (
                ";csvx?scope=Web&y",
                Wish {
                    form: Some(Form::Plain),
                    scope: Some("web".to_owned()),
                    ..Wish::default()
                },
            ),
            (";scope=b", Wish::default()),
        ];
        for (rest, wish) in cases {
            assert_eq!(Wish::of(rest.as_bytes()), wish, "{rest}");
        }
    }

    #[test]
    fn the_page_without_data_is_small_and_asks_for_nothing() {
        let all = [TOP, BOTTOM, STYLE, SCRIPT].concat();
        assert!(all.len() < 30_000, "{} bytes", all.len());
        for outside in ["http://", "https://", "//cdn", "@import", "url("] {
            let own = all.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(outside), "{outside}");
        }
        // The script stands in the page as it is digested.
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
