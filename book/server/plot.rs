//! Draws bars and lines as SVG. Colours and type come from the page's style sheet, so that a plot follows the theme;
//! series differ in dash and marker too, so that they can be told apart without colour.

use std::fmt::Write as _;

use catalogue::evidence::{Axis, Bar, Series};

use crate::{
    html::{escape, plain},
    scale::{Scale, figure},
};

const WIDTH: f64 = 640.0;
/// How many series can be told apart; the style sheet has as many colours and dashes.
const STYLES: usize = 6;

/// Opens a drawing with the name and the description that a screen reader is given.
fn open(id: &str, height: f64, title: &str, description: &str) -> String {
    format!(
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n<title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
        plain(title),
        plain(description)
    )
}

fn text(out: &mut String, class: &str, x: f64, y: f64, content: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(content));
}

fn rule(out: &mut String, class: &str, from: [f64; 2], to: [f64; 2]) {
    let ([x1, y1], [x2, y2]) = (from, to);
    let _ =
        writeln!(out, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"></line>");
}

/// Horizontal bars from zero, each under its label.
///
/// # Errors
/// Says what cannot be drawn: no bars, a value below zero or not a number.
pub(crate) fn bars(id: &str, title: &str, unit: &str, bars: &[Bar]) -> Result<String, String> {
    const ROW: f64 = 46.0;
    if bars.is_empty() {
        return Err("there are no bars; give at least one".into());
    }
    if let Some(bar) = bars.iter().find(|bar| !bar.value.is_finite() || bar.value < 0.0) {
        return Err(format!(
            "the bar `{}` has the value {}; bars start at zero and grow from there",
            bar.label, bar.value
        ));
    }
    let scale = Scale::over(bars.iter().map(|bar| bar.value), false, false);
    let bottom = 6.0 + ROW * bars.len() as f64;
    // The longest bar leaves room for its value to its right.
    let x = |value: f64| 1.0 + scale.place(value) * (WIDTH - 92.0);
    let described: Vec<_> = bars.iter().map(|bar| format!("{}: {}", bar.label, figure(bar.value))).collect();
    let mut out = open(id, bottom + 44.0, title, &format!("In {unit}. {}.", described.join("; ")));
    for tick in &scale.ticks {
        rule(&mut out, "grid", [x(*tick), 4.0], [x(*tick), bottom]);
        text(
            &mut out,
            if *tick == 0.0 { "tick start" } else { "tick middle" },
            x(*tick),
            bottom + 17.0,
            &figure(*tick),
        );
    }
    for (i, bar) in bars.iter().enumerate() {
        let top = 6.0 + ROW * i as f64;
        text(&mut out, "label start", 6.0, top + 14.0, &bar.label);
        let (from, to) = (x(0.0), x(bar.value));
        let _ = writeln!(
            out,
            "<rect class=\"bar\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\"></rect>",
            top + 20.0,
            (to - from).max(1.0)
        );
        text(&mut out, "value start", to + 6.0, top + 33.0, &figure(bar.value));
    }
    rule(&mut out, "axis", [x(0.0), 4.0], [x(0.0), bottom]);
    text(&mut out, "axis-label start", 1.0, bottom + 37.0, unit);
    Ok(out + "</svg>")
}

/// Lines over a shared axis, with a legend above them.
///
/// # Errors
/// Says what cannot be drawn: no points, a value that is not a number, zero or less on a logarithmic axis, too many series.
pub(crate) fn lines(id: &str, title: &str, axes: [&Axis; 2], series: &[Series]) -> Result<String, String> {
    const LEFT: f64 = 76.0;
    const RIGHT: f64 = WIDTH - 14.0;
    if series.is_empty() || series.iter().any(|line| line.points.is_empty()) {
        return Err("a series without points cannot be drawn".into());
    }
    if series.len() > STYLES {
        return Err(format!("{} series are more than a reader can tell apart; show at most {STYLES}", series.len()));
    }
    for line in series {
        for (axis, value) in line.points.iter().flat_map(|point| axes.into_iter().zip(*point)) {
            if !value.is_finite() || (axis.log && value <= 0.0) {
                return Err(format!("`{}` has {value} on the axis `{}`, which cannot show it", line.label, axis.label));
            }
        }
    }
    let along = |i: usize| series.iter().flat_map(move |line| line.points.iter().map(move |point| point[i]));
    let across = Scale::over(along(0), axes[0].log, true);
    let up = Scale::over(along(1), axes[1].log, false);
    let (legend, top) = legend(series);
    let bottom = top + 280.0;
    let x = |value: f64| LEFT + across.place(value) * (RIGHT - LEFT);
    let y = |value: f64| bottom - up.place(value) * (bottom - top);

    let mut out = open(id, bottom + 46.0, title, &described(axes, series));
    out.push_str(&legend);
    text(&mut out, "axis-label start", 2.0, top - 16.0, &axes[1].label);
    for tick in &up.ticks {
        rule(&mut out, "grid", [LEFT, y(*tick)], [RIGHT, y(*tick)]);
        text(&mut out, "tick end", LEFT - 8.0, y(*tick) + 4.0, &figure(*tick));
    }
    for tick in &across.ticks {
        rule(&mut out, "grid", [x(*tick), top], [x(*tick), bottom]);
        text(&mut out, "tick middle", x(*tick).min(RIGHT - 8.0), bottom + 18.0, &figure(*tick));
    }
    rule(&mut out, "axis", [LEFT, bottom], [RIGHT, bottom]);
    rule(&mut out, "axis", [LEFT, top], [LEFT, bottom]);
    text(&mut out, "axis-label middle", f64::midpoint(LEFT, RIGHT), bottom + 38.0, &axes[0].label);
    for (i, line) in series.iter().enumerate() {
        let points: Vec<[f64; 2]> = line.points.iter().map(|[a, b]| [x(*a), y(*b)]).collect();
        let path: Vec<_> = points.iter().map(|[a, b]| format!("{a:.1},{b:.1}")).collect();
        let _ = writeln!(out, "<polyline class=\"line s{i}\" points=\"{}\"></polyline>", path.join(" "));
        // Markers on every point of a dense line would be a band; about twelve are enough to tell it by.
        for point in points.iter().step_by(points.len().div_ceil(12)) {
            marker(&mut out, i, *point);
        }
    }
    Ok(out + "</svg>")
}

/// The legend in as many rows as it takes, and where the plot below it may begin.
fn legend(series: &[Series]) -> (String, f64) {
    let mut out = String::new();
    let (mut x, mut y) = (2.0, 16.0);
    for (i, line) in series.iter().enumerate() {
        // SVG does not say how wide a text is before it is drawn; this is generous for a 14 px sans-serif.
        let width = 48.0 + 8.0 * line.label.chars().count() as f64;
        if x > 2.0 && x + width > WIDTH {
            (x, y) = (2.0, y + 24.0);
        }
        rule(&mut out, &format!("line s{i}"), [x, y - 5.0], [x + 28.0, y - 5.0]);
        marker(&mut out, i, [x + 14.0, y - 5.0]);
        text(&mut out, "label start", x + 35.0, y, &line.label);
        x += width;
    }
    (out, y + 50.0)
}

/// The mark of the series `i` around a point: a disc, a square, a triangle, a diamond, a ring, a bar.
fn marker(out: &mut String, i: usize, [x, y]: [f64; 2]) {
    let around = |corners: &[[f64; 2]]| {
        corners.iter().map(|[dx, dy]| format!("{:.1},{:.1}", x + dx, y + dy)).collect::<Vec<_>>().join(" ")
    };
    let corners: &[[f64; 2]] = match i {
        1 => &[[-3.5, -3.5], [3.5, -3.5], [3.5, 3.5], [-3.5, 3.5]],
        2 => &[[0.0, -5.0], [4.5, 3.5], [-4.5, 3.5]],
        3 => &[[0.0, -5.0], [5.0, 0.0], [0.0, 5.0], [-5.0, 0.0]],
        5 => &[[-1.5, -5.5], [1.5, -5.5], [1.5, 5.5], [-1.5, 5.5]],
        _ => {
            let class = if i == 4 { "marker ring" } else { "marker" };
            let _ = writeln!(out, "<circle class=\"{class} s{i}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"></circle>");
            return;
        }
    };
    let _ = writeln!(out, "<polygon class=\"marker s{i}\" points=\"{}\"></polygon>", around(corners));
}

/// What the lines show, for whoever does not see them.
fn described(axes: [&Axis; 2], series: &[Series]) -> String {
    let mut out = format!("{} over {}.", axes[1].label, axes[0].label);
    for line in series {
        if let [[x0, y0], .., [x1, y1]] = line.points[..] {
            let [x0, y0, x1, y1] = [x0, y0, x1, y1].map(figure);
            let _ = write!(out, " {}: from {y0} at {x0} to {y1} at {x1}.", line.label);
        } else if let [[x, y]] = line.points[..] {
            let _ = write!(out, " {}: {} at {}.", line.label, figure(y), figure(x));
        }
    }
    out
}
