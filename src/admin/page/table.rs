//! The tables of the statistics page: one for each proxy, a row for its frontend, each server and
//! its backend.
//!
//! Every number stands in an element that names its column of `show stat`, so that the page's
//! script can renew it from the JSON; how it is written is decided here and in the script alike.
//! Whatever comes from a configuration or from a check is escaped, here and nowhere else.
//! On narrow screens a row becomes a card; the roles keep it a table for those who listen.

use std::io::Write as _;

use crate::admin::column::{COLUMNS, Column};
use crate::admin::field::Value;
use crate::admin::stat::{Kind, Row};

/// How the page is written for one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style<'a> {
    /// The client may change servers; forms go here.
    pub(super) post: Option<&'a str>,
    /// `stats show-modules`.
    pub(super) modules: bool,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Thousands, millions...
    Count,
    /// The same of 1024.
    Bytes,
    /// Seconds as days, hours, minutes.
    Span,
    /// As it is.
    Plain,
}

impl Form {
    const fn letter(self) -> &'static str {
        match self {
            Self::Count => "n",
            Self::Bytes => "b",
            Self::Span => "t",
            Self::Plain => "",
        }
    }
}

/// What a column of the page shows: its name, where it is there, and the columns of `show stat` in
/// it with their forms.
struct Shown {
    name: &'static str,
    place: Place,
    parts: &'static [(Column, Form)],
    /// From this part on, more than 0 is bad.
    hot: usize,
}

/// Which tables have a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Everywhere,
    /// Those in HTTP mode.
    Http,
    /// Those with a backend.
    Back,
    /// `stats show-modules`.
    Modules,
}

const fn shown(
    name: &'static str,
    place: Place,
    hot: usize,
    parts: &'static [(Column, Form)],
) -> Shown {
    Shown {
        name,
        place,
        parts,
        hot,
    }
}

const NEVER: usize = usize::MAX;

/// The columns after name and state.
#[rustfmt::skip]
const SHOWN: &[Shown] = &[
    shown("Sessions", Place::Everywhere, NEVER, &[
        (Column::Scur, Form::Count), (Column::Smax, Form::Count), (Column::Slim, Form::Count),
    ]),
    shown("Rate", Place::Everywhere, NEVER, &[
        (Column::Rate, Form::Count), (Column::RateMax, Form::Count),
    ]),
    shown("Total", Place::Everywhere, NEVER, &[(Column::Stot, Form::Count)]),
    shown("Bytes in / out", Place::Everywhere, NEVER, &[
        (Column::Bin, Form::Bytes), (Column::Bout, Form::Bytes),
    ]),
    shown("2xx / 3xx / 4xx / 5xx", Place::Http, 3, &[
        (Column::Hrsp2xx, Form::Count), (Column::Hrsp3xx, Form::Count),
        (Column::Hrsp4xx, Form::Count), (Column::Hrsp5xx, Form::Count),
    ]),
    shown("Errors", Place::Everywhere, 0, &[
        (Column::Ereq, Form::Count), (Column::Econ, Form::Count), (Column::Eresp, Form::Count),
    ]),
    shown("Denied", Place::Everywhere, NEVER, &[
        (Column::Dreq, Form::Count), (Column::Dresp, Form::Count),
    ]),
    shown("Retries", Place::Back, NEVER, &[
        (Column::Wretr, Form::Count), (Column::Wredis, Form::Count),
    ]),
    shown("Queue", Place::Back, NEVER, &[
        (Column::Qcur, Form::Count), (Column::Qmax, Form::Count), (Column::Qlimit, Form::Count),
    ]),
    shown("Time, ms", Place::Back, NEVER, &[
        (Column::Qtime, Form::Plain), (Column::Ctime, Form::Plain),
        (Column::Rtime, Form::Plain), (Column::Ttime, Form::Plain),
    ]),
    shown("Weight", Place::Back, NEVER, &[(Column::Weight, Form::Plain)]),
    shown("Active / backup", Place::Back, NEVER, &[
        (Column::Act, Form::Plain), (Column::Bck, Form::Plain),
    ]),
    shown("Downs", Place::Back, NEVER, &[
        (Column::Chkdown, Form::Count), (Column::Downtime, Form::Span),
    ]),
    shown("HTTP/1", Place::Modules, NEVER, &[
        (Column::H1OpenConnections, Form::Count), (Column::H1TotalStreams, Form::Count),
    ]),
];

/// What a table is about, which decides its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// It accepts.
    pub(super) front: bool,
    /// It has servers.
    pub(super) back: bool,
    /// `mode http`.
    pub(super) http: bool,
    /// There are servers to choose from.
    pub(super) servers: bool,
}

impl Shape {
    fn columns(self, style: &Style<'_>) -> impl Iterator<Item = &'static Shown> {
        let modules = style.modules;
        SHOWN.iter().filter(move |shown| match shown.place {
            Place::Everywhere => true,
            Place::Http => self.http,
            Place::Back => self.back,
            Place::Modules => modules,
        })
    }

    const fn word(self) -> &'static str {
        match (self.front, self.back) {
            (true, true) => "listen",
            (true, false) => "frontend",
            _ => "backend",
        }
    }
}

/// Begins the table of a row's proxy.
pub(super) fn begin(row: &Row<'_>, shape: Shape, style: &Style<'_>, out: &mut Vec<u8>) {
    let iid = text(row, Column::Iid);
    let kind = shape.word();
    out.extend_from_slice(b"<article tabindex=\"-1\" id=\"p");
    out.extend_from_slice(iid.as_bytes());
    out.extend_from_slice(b"\" data-iid=\"");
    out.extend_from_slice(iid.as_bytes());
    drop(write!(out, "\" data-kind=\"{kind}\" data-name=\""));
    escape(&text(row, Column::Pxname), out);
    out.extend_from_slice(b"\"><div class=\"row\"><h2>");
    escape(&text(row, Column::Pxname), out);
    drop(write!(
        out,
        "</h2><span class=\"tag\">{kind}</span><span class=\"tag\">"
    ));
    escape(&text(row, Column::Mode), out);
    out.extend_from_slice(b"</span></div>");
    if let Some(post) = style.post {
        out.extend_from_slice(b"<form method=\"post\" action=\"");
        escape(post, out);
        drop(write!(
            out,
            "\"><input type=\"hidden\" name=\"b\" value=\"#{iid}\">"
        ));
    }
    out.extend_from_slice(b"<div class=\"scroll\"><table role=\"table\"><caption class=\"quiet\">");
    escape(&text(row, Column::Pxname), out);
    out.extend_from_slice(b"</caption><thead role=\"rowgroup\"><tr role=\"row\">");
    let header = |name: &str, class: &str, out: &mut Vec<u8>| {
        drop(write!(
            out,
            "<th scope=\"col\" role=\"columnheader\"{class}>{name}</th>"
        ));
    };
    header("Name", "", out);
    header("State", "", out);
    if style.post.is_some() && shape.back {
        header("Change", " class=\"js do\"", out);
    }
    for shown in shape.columns(style) {
        let about = shown.parts.iter().filter_map(|(column, _)| {
            let field = COLUMNS.get(*column as usize)?;
            Some(field.about)
        });
        let about = about.collect::<Vec<_>>().join("; ");
        header(shown.name, &format!(" title=\"{about}\""), out);
    }
    out.extend_from_slice(b"</tr></thead><tbody role=\"rowgroup\">");
}

/// One row.
pub(super) fn row(row: &Row<'_>, shape: Shape, style: &Style<'_>, out: &mut Vec<u8>) {
    let name = text(row, Column::Svname);
    let sum = match row.kind {
        Kind::Server | Kind::Listener => "",
        Kind::Frontend | Kind::Backend => " sum",
    };
    drop(write!(
        out,
        "<tr role=\"row\" class=\"s-{}{sum}\" data-k=\"{}.{}.{}\" data-name=\"",
        state(&text(row, Column::Status)),
        text(row, Column::Iid),
        text(row, Column::Type),
        text(row, Column::Sid),
    ));
    escape(&name, out);
    out.extend_from_slice(b"\"><th scope=\"row\" role=\"rowheader\">");
    let shown = match row.kind {
        Kind::Frontend => "Frontend",
        Kind::Backend => "Backend",
        Kind::Server | Kind::Listener => &name,
    };
    if style.post.is_some() && row.kind == Kind::Server {
        out.extend_from_slice(b"<label><input type=\"checkbox\" name=\"s\" value=\"");
        escape(&name, out);
        out.extend_from_slice(b"\">");
        escape(shown, out);
        out.extend_from_slice(b"</label>");
    } else {
        escape(shown, out);
    }
    for column in [Column::Addr, Column::Algo] {
        let more = text(row, column);
        if !more.is_empty() {
            out.extend_from_slice(b"<small>");
            escape(&more, out);
            out.extend_from_slice(b"</small>");
        }
    }
    out.extend_from_slice(
        b"</th><td role=\"cell\" data-l=\"State\"><span class=\"pill\" data-f=\"status\">",
    );
    escape(&text(row, Column::Status), out);
    out.extend_from_slice(b"</span>");
    if !row.value(Column::Lastchg).is_empty() {
        out.extend_from_slice(b"<small class=\"in\">for ");
        number(row, Column::Lastchg, Form::Span, false, out);
        out.extend_from_slice(b"</small>");
    }
    if !row.value(Column::CheckStatus).is_empty() {
        out.extend_from_slice(b"<small><span data-f=\"check_status\">");
        escape(&text(row, Column::CheckStatus), out);
        out.extend_from_slice(b"</span> <span data-f=\"last_chk\">");
        escape(&text(row, Column::LastChk), out);
        out.extend_from_slice(b"</span></small>");
    }
    out.extend_from_slice(b"</td>");
    if style.post.is_some() && shape.back {
        out.extend_from_slice(b"<td role=\"cell\" class=\"js do\"></td>");
    }
    for shown in shape.columns(style) {
        cell(row, shown, out);
    }
    out.extend_from_slice(b"</tr>");
}

fn cell(row: &Row<'_>, shown: &Shown, out: &mut Vec<u8>) {
    let parts = shown.parts.iter().enumerate();
    let mut parts = parts
        .filter(|(_, (column, _))| !row.value(*column).is_empty())
        .peekable();
    if parts.peek().is_none() {
        out.extend_from_slice(b"<td role=\"cell\" class=\"none\"></td>");
        return;
    }
    drop(write!(out, "<td role=\"cell\" data-l=\"{}\">", shown.name));
    let mut between: &[u8] = b"";
    for (at, (column, form)) in parts {
        out.extend_from_slice(between);
        between = b" / ";
        number(row, *column, *form, at >= shown.hot, out);
    }
    out.extend_from_slice(b"</td>");
}

/// One value, with what the script needs to renew it.
fn number(row: &Row<'_>, column: Column, form: Form, hot: bool, out: &mut Vec<u8>) {
    let value = match row.value(column) {
        Value::U32(number) => i64::from(*number),
        Value::S32(number) => i64::from(*number),
        Value::U64(number) => i64::try_from(*number).unwrap_or(i64::MAX),
        Value::Empty | Value::Micros(_) | Value::Text(_) => 0,
    };
    let field = COLUMNS.get(column as usize).map_or("", |field| field.name);
    drop(write!(out, "<span data-f=\"{field}\""));
    if form != Form::Plain {
        drop(write!(out, " data-u=\"{}\"", form.letter()));
    }
    if hot {
        out.extend_from_slice(b" data-h");
        if value > 0 {
            out.extend_from_slice(b" class=\"hot\"");
        }
    }
    out.push(b'>');
    out.extend_from_slice(spell(form, value).as_bytes());
    out.extend_from_slice(b"</span>");
}

/// A number as the page writes it.
fn spell(form: Form, value: i64) -> String {
    match form {
        Form::Plain => value.to_string(),
        Form::Count => scaled(value, 1000),
        Form::Bytes => format!("{}B", scaled(value, 1024)),
        Form::Span => span(value),
    }
}

fn scaled(mut value: i64, base: i64) -> String {
    let mut names = ["", " k", " M", " G", " T"].into_iter();
    let mut name = names.next().unwrap_or_default();
    while value >= base.saturating_mul(10)
        && let Some(next) = names.next()
    {
        value = value.checked_div(base).unwrap_or_default();
        name = next;
    }
    format!("{value}{name}")
}

/// Seconds in their two largest units.
pub(super) fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    if seconds < 0 {
        return "never".to_owned();
    }
    let mut units = UNITS
        .iter()
        .skip_while(|(size, _)| *size > 1 && seconds < *size);
    let Some((size, name)) = units.next() else {
        return String::new();
    };
    let whole = seconds.checked_div(*size).unwrap_or_default();
    let left = seconds.checked_rem(*size).unwrap_or_default();
    match units.next() {
        Some((size, next)) if left >= *size => {
            let rest = left.checked_div(*size).unwrap_or_default();
            format!("{whole}{name} {rest}{next}")
        }
        _ => format!("{whole}{name}"),
    }
}

/// Ends a table.
pub(super) fn end(style: &Style<'_>, shape: Shape, out: &mut Vec<u8>) {
    const ACTIONS: [(&str, &str); 9] = [
        ("ready", "Ready"),
        ("drain", "Drain"),
        ("maint", "Maintenance"),
        ("hrunn", "Health: up"),
        ("hnolb", "Health: stopping"),
        ("hdown", "Health: down"),
        ("dhlth", "Checks: off"),
        ("ehlth", "Checks: on"),
        ("shutdown", "End sessions"),
    ];
    out.extend_from_slice(b"</tbody></table></div>");
    if style.post.is_some() {
        if shape.servers {
            out.extend_from_slice(
                b"<div class=\"row\" role=\"group\" aria-label=\"Chosen servers\"><label class=\"js\">\
                  <input type=\"checkbox\" data-all>All</label><span class=\"soft\">Chosen servers:</span>",
            );
            for (value, name) in ACTIONS {
                drop(write!(
                    out,
                    "<button name=\"action\" value=\"{value}\">{name}</button>"
                ));
            }
            out.extend_from_slice(b"</div>");
        }
        out.extend_from_slice(b"</form>");
    }
    out.extend_from_slice(b"</article>\n");
}

/// What a status is shown as; the script says the same.
fn state(status: &str) -> &'static str {
    let begins = |words: &[&str]| words.iter().any(|word| status.starts_with(word));
    if status == "UP" || begins(&["OPEN", "no check"]) {
        "up"
    } else if begins(&["DOWN"]) {
        "down"
    } else if begins(&["MAINT", "PAUSED", "STOP"]) {
        "off"
    } else {
        "warn"
    }
}

fn text(row: &Row<'_>, column: Column) -> String {
    let mut out = Vec::new();
    row.value(column).write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends a text so that no byte of it means anything to HTML.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            0..=8 | 11..=31 | 127 => out.extend_from_slice("\u{fffd}".as_bytes()),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_page_writes_them() {
        for (form, value, expected) in [
            (Form::Count, 0, "0"),
            (Form::Count, 9_999, "9999"),
            (Form::Count, 10_000, "10 k"),
            (Form::Count, 12_345_678, "12 M"),
            (Form::Count, i64::MAX, "9223372 T"),
            (Form::Bytes, 10_239, "10239B"),
            (Form::Bytes, 10_240, "10 kB"),
            (Form::Span, -1, "never"),
            (Form::Span, 0, "0s"),
            (Form::Span, 59, "59s"),
            (Form::Span, 61, "1m 1s"),
            (Form::Span, 3600, "1h"),
            (Form::Span, 3660, "1h 1m"),
            (Form::Span, 90_000, "1d 1h"),
            (Form::Plain, 12_345, "12345"),
        ] {
            assert_eq!(spell(form, value), expected, "{form:?} {value}");
        }
    }

    #[test]
    fn nothing_of_a_text_is_html() {
        let mut out = Vec::new();
        escape("<a href='x' b=\"&\">\u{1}é", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;\u{fffd}é"
        );
    }

    #[test]
    fn states() {
        for (status, expected) in [
            ("UP", "up"),
            ("UP 2/3", "warn"),
            ("OPEN", "up"),
            ("no check", "up"),
            ("DOWN 1/2", "down"),
            ("DRAIN", "warn"),
            ("MAINT (via b/s)", "off"),
            ("STOP", "off"),
        ] {
            assert_eq!(state(status), expected, "{status}");
        }
    }
}
