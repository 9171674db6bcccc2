//! The sitting as a picture: bars of CPU a request, and lines of it against the number of clients.
//!
//! One SVG without any outside resource, readable on a light and on a dark page. Bars are in
//! multiples of the floor, since absolute costs of the scenarios lie two powers of ten apart; the
//! microseconds stand beside each. A bar that would leave the picture ends in a gap and its number
//! tells the rest. Costs against clients are drawn on logarithmic axes for the same reason.

use std::fmt::Write as _;

use crate::measure::Round;
use crate::peers::Kind;
use crate::scenarios::Row;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
/// Where bars begin.
const LEFT: f64 = 150.0;
/// One floor is so wide.
const UNIT: f64 = 240.0;
/// Bars end here, in floors.
const LONGEST: f64 = 2.5;
const BAR: f64 = 18.0;
const BETWEEN: f64 = 14.0;
/// Of the lines.
const PLOT: (f64, f64) = (690.0, 300.0);
const STEPS: [f64; 12] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0,
];
/// Between two names at the ends of lines.
const NAME_HEIGHT: f64 = 20.0;

const STYLE: &str = "\
text { font: 15px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 18px; font-weight: 600; }
.quiet { fill: #59636e; }
.page { fill: #ffffff; }
.value { stroke: #ffffff; stroke-width: 5px; paint-order: stroke; }
.grid { stroke: #d1d9e0; }
.floor-line { stroke: #59636e; stroke-dasharray: 5 4; }
path { stroke-width: 2.5; }
.oneloop { fill: #0969da; stroke: #0969da; }
.haproxy { fill: #d4720b; stroke: #d4720b; }
.nginx { fill: #2c974b; stroke: #2c974b; }
.floor, .splice { fill: #818b98; stroke: #818b98; }
path[class] { fill: none; }
rect[class] { stroke: none; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.quiet { fill: #9198a1; }
.page { fill: #0d1117; }
.value { stroke: #0d1117; }
.grid { stroke: #3d444d; }
.floor-line { stroke: #9198a1; }
.oneloop { fill: #4493f8; stroke: #4493f8; }
.haproxy { fill: #f0883e; stroke: #f0883e; }
.nginx { fill: #3fb950; stroke: #3fb950; }
}
";

/// Scenarios that differ in nothing but their clients.
const BY_CLIENTS: [&str; 4] = ["ka1", "ka64", "ka1000", "ka4000"];
const LINES: [Kind; 4] = [Kind::Oneloop, Kind::Haproxy, Kind::Nginx, Kind::Floor];

/// Text at a place; no text here has a letter that XML would read differently.
fn label(into: &mut String, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
    let _ = writeln!(
        into,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

fn straight(into: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        into,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

/// The picture of these rows.
pub(crate) fn svg(rows: &[Row]) -> String {
    let mut inside = String::new();
    let mut y = MARGIN + 14.0;
    let title = "CPU time a request, in multiples of a relay that parses nothing";
    label(&mut inside, (MARGIN, y), "title", "start", title);
    y += 26.0;
    y = legend(&mut inside, y, rows);
    y = bars(&mut inside, y + 8.0, rows);
    y = lines(&mut inside, y + 36.0, rows);
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height:.0}\" rx=\"8\"/>\n{inside}</svg>\n"
    )
}

fn takes_part(rows: &[Row], kind: Kind) -> bool {
    rows.iter().any(|row| row.entry(kind).is_some())
}

fn legend(into: &mut String, y: f64, rows: &[Row]) -> f64 {
    let mut x = MARGIN;
    let named = [
        (Kind::Oneloop, "oneloop"),
        (Kind::Haproxy, "haproxy"),
        (Kind::Nginx, "nginx"),
        (Kind::Splice, "relay with splice"),
    ];
    for (kind, name) in named {
        if takes_part(rows, kind) {
            let class = kind.name();
            let top = y - 12.0;
            let _ = writeln!(
                into,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"14\" height=\"14\"/>"
            );
            label(into, (x + 20.0, y), "name", "start", name);
            x += 50.0 + 8.0 * name.len() as f64;
        }
    }
    label(into, (x, y), "quiet", "start", "less is better");
    y
}

/// A group of bars for each scenario in which the floor took part; the next free height.
fn bars(into: &mut String, top: f64, rows: &[Row]) -> f64 {
    let mut y = top + 8.0;
    let mut shapes = String::new();
    let mut texts = String::new();
    for row in rows {
        let ratios = row.entries.iter().filter_map(|entry| {
            let ratio = row.ratio(entry, Kind::Floor, Round::cpu_us)?.median;
            (entry.kind != Kind::Floor).then_some((entry, ratio))
        });
        let ratios: Vec<_> = ratios.collect();
        if ratios.is_empty() {
            continue;
        }
        let middle = y + ratios.len() as f64 * BAR / 2.0 + 5.0;
        label(
            &mut texts,
            (LEFT - 12.0, middle),
            "name",
            "end",
            row.scenario.name,
        );
        for (entry, ratio) in ratios {
            let class = entry.kind.name();
            let length = ratio.min(LONGEST) * UNIT;
            let (edge, height) = (y + 1.0, BAR - 2.0);
            let _ = writeln!(
                shapes,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{edge:.1}\" width=\"{length:.1}\" \
                 height=\"{height}\"/>"
            );
            if ratio > LONGEST {
                let gap = LEFT + length - 24.0;
                let _ = writeln!(
                    shapes,
                    "<rect class=\"page\" x=\"{gap:.1}\" y=\"{y:.1}\" width=\"6\" \
                     height=\"{BAR}\"/>"
                );
            }
            let cost = entry.median(Round::cpu_us);
            let digits = if cost < 100.0 { 1 } else { 0 };
            let text = format!("{ratio:.2} ({cost:.digits$} µs)");
            label(
                &mut texts,
                (LEFT + length + 8.0, y + 14.0),
                "value",
                "start",
                &text,
            );
            y += BAR;
        }
        y += BETWEEN;
    }
    if texts.is_empty() {
        label(
            into,
            (MARGIN, y + 8.0),
            "quiet",
            "start",
            "no scenario with the relay",
        );
        return y + 16.0;
    }
    // Over the bars and under what is to be read.
    into.push_str(&shapes);
    let one = LEFT + UNIT;
    straight(into, "floor-line", (one, top), (one, y - 4.0));
    into.push_str(&texts);
    label(into, (one, y + 12.0), "quiet", "middle", "the relay");
    y + 16.0
}

/// Cost against clients, a line for each peer that has at least two points; the next free height.
fn lines(into: &mut String, top: f64, rows: &[Row]) -> f64 {
    let by_clients: Vec<&Row> = rows
        .iter()
        .filter(|row| BY_CLIENTS.contains(&row.scenario.name))
        .collect();
    let points = |kind: Kind| -> Vec<(f64, f64)> {
        let entries = by_clients.iter().filter_map(|row| {
            let cost = row.entry(kind)?.spread(Round::cpu_us)?.median;
            Some((f64::from(row.scenario.clients), cost))
        });
        entries.collect()
    };
    let curves = LINES.map(|kind| (kind, points(kind)));
    let curves: Vec<_> = curves
        .into_iter()
        .filter(|(_, points)| points.len() > 1)
        .collect();
    if curves.is_empty() {
        return top - 36.0;
    }
    let title = "CPU time a request in µs, by the number of keep-alive clients";
    label(into, (MARGIN, top), "title", "start", title);
    let (width, height) = PLOT;
    let (left, top) = (MARGIN + 60.0, top + 20.0);
    let bottom = top + height;
    let costs = || {
        curves
            .iter()
            .flat_map(|(_, points)| points)
            .map(|(_, cost)| *cost)
    };
    let least = costs().fold(f64::MAX, f64::min);
    let most = costs().fold(0.0, f64::max);
    // From the step below the least to the step above the most.
    let from = STEPS.iter().rev().find(|step| **step < least);
    let to = STEPS.iter().find(|step| **step > most);
    let (from, to) = (*from.unwrap_or(&STEPS[0]), *to.unwrap_or(&10_000.0));
    let at_y = |cost: f64| bottom - (cost / from).ln() / (to / from).ln() * height;
    let at_x = |clients: f64| left + clients.ln() / 4_000f64.ln() * width;
    for step in STEPS.iter().filter(|step| (from..=to).contains(*step)) {
        let y = at_y(*step);
        straight(into, "grid", (left, y), (left + width, y));
        label(
            into,
            (left - 10.0, y + 5.0),
            "quiet",
            "end",
            &step.to_string(),
        );
    }
    for row in &by_clients {
        let clients = f64::from(row.scenario.clients);
        let place = (at_x(clients), bottom + 24.0);
        label(
            into,
            place,
            "quiet",
            "middle",
            &row.scenario.clients.to_string(),
        );
    }
    let mut names = Vec::new();
    for (kind, points) in &curves {
        let class = kind.name();
        let mut path = String::new();
        for (number, (clients, cost)) in points.iter().enumerate() {
            let (x, y) = (at_x(*clients), at_y(*cost));
            let step = if number == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            let _ = writeln!(
                into,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
            );
            if number + 1 == points.len() {
                names.push((y, x, *kind, *cost));
            }
        }
        let _ = writeln!(into, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    // Names are moved down where they would lie on each other.
    names.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = f64::MIN;
    for (y, x, kind, cost) in names {
        let y = y.max(free);
        free = y + NAME_HEIGHT;
        let name = if kind == Kind::Floor {
            "the relay"
        } else {
            kind.name()
        };
        let text = format!("{name} {cost:.1}");
        label(into, (x + 12.0, y + 5.0), "value", "start", &text);
    }
    bottom + 32.0
}

/// Finds what would not be well-formed; for the smoke test.
pub(crate) fn check(svg: &str) {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('&'), "{text}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().expect("a name"));
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    let outside = svg.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http") && !outside.contains("url("));
}
