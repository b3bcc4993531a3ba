//! The times as a picture, with a row for each event, a mark for each agent, and a logarithmic
//! axis.

use std::fmt::Write as _;

use crate::camera::Kind;
use crate::report::Row;
use crate::stats::{NEVER, Summary, time};

/// Widths and heights in the units of the picture, which a browser shows as pixels.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 262.0;
const RIGHT: f64 = 88.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 78.0;
const LINE: f64 = 17.0;
const GAP: f64 = 14.0;

/// The ends of the axis, as powers of ten of a microsecond: 0.1 ms and 100 s.
const DECADES: [i32; 2] = [2, 8];
const TICKS: [&str; 7] = ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"];

/// Dark on light, or light on dark if the reader's system is dark.
const STYLE: &str = "
text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 }
.small { font-size: 12px; fill: #59636e }
.value { font-size: 12px }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.band { fill: #f6f8fa }
.grid { stroke: #d1d9e0 }
.linkbeat { fill: #0969da; stroke: #0969da }
.curl { fill: #bc4c00; stroke: #bc4c00 }
.reference { fill: #6e7781; stroke: #6e7781 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .ground { fill: #0d1117; stroke: #3d444d }
  .band { fill: #151b23 }
  .grid { stroke: #3d444d }
  .linkbeat { fill: #4493f8; stroke: #4493f8 }
  .curl { fill: #f0883e; stroke: #f0883e }
  .reference { fill: #9198a1; stroke: #9198a1 }
}
";

/// The picture, as SVG.
pub(crate) fn draw(rows: &[Row], caption: &str) -> String {
    let mut shown: Vec<(&Row, Vec<(Kind, Summary)>)> = Vec::new();
    for row in rows {
        let summary = |kind| Some((kind, row.summary(kind)?));
        shown.push((row, Kind::ALL.into_iter().filter_map(summary).collect()));
    }
    let heights = shown.iter().map(|(_, lines)| height(lines.len()));
    let bottom = TOP + heights.sum::<f64>();
    let mut svg = frame(bottom, caption);
    let mut top = TOP;
    for (nth, (row, lines)) in shown.iter().enumerate() {
        let (height, middle) = (height(lines.len()), top + height(lines.len()) / 2.0);
        if nth % 2 == 0 {
            let width = WIDTH - 2.0;
            add(
                &mut svg,
                &format!("<rect class='band' x='1' y='{top}' width='{width}' height='{height}'/>"),
            );
        }
        text(&mut svg, "", LEFT - 14.0, middle + 4.5, "end", row.name);
        top += height;
    }
    grid(&mut svg, bottom);
    let mut top = TOP;
    for (_, lines) in &shown {
        for (nth, (kind, summary)) in lines.iter().enumerate() {
            let nth = u32::try_from(nth).unwrap_or_default();
            mark(&mut svg, *kind, summary, top + (GAP + LINE) / 2.0 + LINE * f64::from(nth));
        }
        top += height(lines.len());
    }
    svg + "</svg>\n"
}

fn height(lines: usize) -> f64 {
    LINE * f64::from(u32::try_from(lines).unwrap_or_default()) + GAP
}

/// Draws everything around the rows.
fn frame(bottom: f64, caption: &str) -> String {
    let height = bottom + BOTTOM;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' \
         role='img' aria-labelledby='title'>\n<title id='title'>Time from an event to the request at the server, \
         of linkbeat and two rivals</title>\n<style>{STYLE}</style>\n"
    );
    let (width, inner) = (WIDTH - 1.0, height - 1.0);
    add(
        &mut svg,
        &format!("<rect class='ground' x='0.5' y='0.5' width='{width}' height='{inner}' rx='6'/>"),
    );
    text(&mut svg, "title", 20.0, 31.0, "start", "From the event to the request at the server");
    let mut x = 20.0;
    for kind in Kind::ALL {
        symbol(&mut svg, kind, x + 6.0, 56.0);
        text(&mut svg, "", x + 18.0, 60.5, "start", kind.title());
        x += 44.0 + 7.2 * f64::from(u32::try_from(kind.title().len()).unwrap_or_default());
    }
    text(&mut svg, "small", x, 60.5, "start", "mark and number: median; thin line: to the maximum");
    text(&mut svg, "small", 20.0, height - 14.0, "start", caption);
    text(
        &mut svg,
        "small",
        (LEFT + WIDTH - RIGHT) / 2.0,
        bottom + 37.0,
        "middle",
        "time, logarithmic",
    );
    svg
}

fn grid(svg: &mut String, bottom: f64) {
    let [first, last] = DECADES;
    for (decade, label) in (first..=last).zip(TICKS) {
        let x = place(10_f64.powi(decade));
        add(svg, &format!("<path class='grid' d='M{x:.1} {TOP}V{bottom:.1}'/>"));
        text(svg, "small", x, bottom + 18.0, "middle", label);
        text(svg, "small", x, TOP - 8.0, "middle", label);
    }
}

/// Draws the median as a symbol with its value, and a line to the maximum.
#[expect(clippy::cast_precision_loss, reason = "a pixel is much wider")]
fn mark(svg: &mut String, kind: Kind, summary: &Summary, y: f64) {
    let end = if summary.max_us == NEVER { WIDTH - RIGHT } else { place(summary.max_us as f64) };
    let x = if summary.median_us == NEVER { end } else { place(summary.median_us as f64) };
    let class = kind.key();
    add(
        svg,
        &format!("<path class='{class}' stroke-width='1.5' d='M{x:.1} {y:.1}H{end:.1}m0 -3v6'/>"),
    );
    symbol(svg, kind, x, y);
    text(svg, "value", end.max(x + 6.0) + 6.0, y + 4.2, "start", &time(summary.median_us));
}

/// Each agent has a form of its own, for readers who cannot distinguish the colours.
fn symbol(svg: &mut String, kind: Kind, x: f64, y: f64) {
    let class = kind.key();
    add(
        svg,
        &match kind {
            Kind::Linkbeat => format!("<circle class='{class}' cx='{x:.1}' cy='{y:.1}' r='5'/>"),
            Kind::Curl => {
                let (x, y) = (x - 4.5, y - 4.5);
                format!("<rect class='{class}' x='{x:.1}' y='{y:.1}' width='9' height='9'/>")
            }
            Kind::Reference => {
                let y = y - 5.5;
                format!("<path class='{class}' d='M{x:.1} {y:.1}l5.5 10h-11z'/>")
            }
        },
    );
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    add(
        svg,
        &format!(
            "<text class='{class}' x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{words}</text>"
        ),
    );
}

fn add(svg: &mut String, element: &str) {
    // Writing to a String cannot fail.
    writeln!(svg, "{element}").ok();
}

/// The position of a time in µs on the axis.
fn place(us: f64) -> f64 {
    let [first, last] = DECADES.map(f64::from);
    let share = ((us.log10() - first) / (last - first)).clamp(0.0, 1.0);
    LEFT + share * (WIDTH - LEFT - RIGHT)
}
