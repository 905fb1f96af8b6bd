//! Line plots as inline SVG: 400 units wide, so that the text is as large as the page's on a phone and larger elsewhere.

use crate::table::ms_text;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// How numbers become places.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    /// In proportion, from 0 or another start.
    Linear { from: f64, to: f64 },
    /// By powers of ten.
    Log { from: f64, to: f64 },
}

impl Scale {
    /// From 0 to a round number that is at least `most`.
    pub(crate) fn up_to(most: f64) -> Self {
        let step = step(most.max(1e-9));
        Self::Linear { from: 0.0, to: (most.max(1e-9) / step).ceil() * step }
    }

    /// Whole powers of ten around what is above 0.
    pub(crate) fn log(least: f64, most: f64) -> Self {
        let from = 10_f64.powf(least.max(1e-6).log10().floor());
        Self::Log { from, to: 10_f64.powf(most.max(from).log10().ceil()).max(from * 10.0) }
    }

    /// The place of `value`, 0 to 1.
    fn at(&self, value: f64) -> f64 {
        let place = match self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => (value.max(*from) / from).log10() / (to / from).log10(),
        };
        place.clamp(0.0, 1.0)
    }

    /// Where lines are drawn across the plot.
    fn ticks(&self) -> Vec<f64> {
        match self {
            Self::Linear { from, to } => {
                let step = step(to - from);
                (0..=((to - from) / step).round() as u32).map(|n| from + f64::from(n) * step).collect()
            }
            Self::Log { from, to } => {
                let decades = (to / from).log10().round() as i32;
                (0..=decades).map(|n| from * 10_f64.powi(n)).collect()
            }
        }
    }
}

/// A step of 1, 2 or 5 times a power of ten that divides `length` into three to seven.
fn step(length: f64) -> f64 {
    let power = 10_f64.powf((length / 3.0).log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|n| n * power).find(|step| length / step >= 3.0).unwrap_or(power)
}

/// One line of a plot. A gap in what was measured is a gap in the line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// A variable of the style sheet.
    pub(crate) colour: &'static str,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

/// A plot with its caption, its key and its text for whoever does not see it.
#[derive(Debug)]
pub(crate) struct Plot<'a> {
    /// Starts the ids of its elements.
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) unit: &'a str,
    /// What the plot shows, in a sentence with the figures that matter.
    pub(crate) words: String,
    pub(crate) across: &'a str,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    /// Places with names along the bottom, when its ticks would not do.
    pub(crate) named: Vec<(f64, String)>,
    pub(crate) lines: Vec<Line>,
}

impl Plot<'_> {
    /// The plot as a `<figure>`.
    pub(crate) fn html(&self) -> String {
        let Self { id, title, unit, words, across, .. } = self;
        let mut svg = String::new();
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in self.y.ticks() {
            let y = self.y_at(tick);
            svg.push_str(&format!(
                r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                LEFT - 5.0,
                y + 4.0,
                label(tick)
            ));
        }
        let across_ticks = if self.named.is_empty() {
            self.x.ticks().into_iter().map(|tick| (tick, label(tick))).collect()
        } else {
            self.named.clone()
        };
        for (tick, name) in across_ticks {
            let x = self.x_at(tick);
            svg.push_str(&format!(
                r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{TOP}" y2="{bottom}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
                bottom + 15.0
            ));
        }
        svg.push_str(&format!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{across}</text>"#,
            f64::midpoint(LEFT, right),
            HEIGHT - 4.0
        ));
        let mut key = String::new();
        for line in &self.lines {
            svg.push_str(&self.draw(line));
            let dashed = if line.dashed { r#" class="dashed""# } else { "" };
            key.push_str(&format!(r#"<li><i{dashed} style="color:var(--{})"></i>{}</li>"#, line.colour, line.name));
        }
        format!(
            r#"<figure><figcaption>{title} <span>{unit}</span></figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}</title><desc id="{id}-d">{words}</desc>{svg}</svg><ul class="key">{key}</ul></figure>
"#
        )
    }

    fn x_at(&self, value: f64) -> f64 {
        LEFT + self.x.at(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y_at(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.at(value) * (HEIGHT - BOTTOM - TOP)
    }

    fn draw(&self, line: &Line) -> String {
        let (mut path, mut dots) = (String::new(), String::new());
        let values: Vec<_> = line.points.iter().map(|(x, y)| y.map(|y| (self.x_at(*x), self.y_at(y)))).collect();
        for (at, place) in values.iter().enumerate() {
            let Some((x, y)) = place else { continue };
            let before = at > 0 && values[at - 1].is_some();
            let after = values.get(at + 1).is_some_and(Option::is_some);
            path.push_str(&format!("{}{x:.1} {y:.1}", if before { 'L' } else { 'M' }));
            if !before && !after {
                // A line of one point is no line.
                dots.push_str(&format!(
                    r#"<circle cx="{x:.1}" cy="{y:.1}" r="2.5" style="fill:var(--{})"/>"#,
                    line.colour
                ));
            }
        }
        let dashes = if line.dashed { r#" stroke-dasharray="5 4""# } else { "" };
        format!(r#"<path d="{path}" style="stroke:var(--{})"{dashes}/>{dots}"#, line.colour)
    }
}

/// A number beside an axis.
fn label(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        value if value >= 1e6 => format!("{}M", trimmed(value / 1e6)),
        value if value >= 10_000.0 => format!("{}k", trimmed(value / 1e3)),
        value if value >= 1.0 => trimmed(value),
        _ => ms_text(value).trim_end_matches('0').into(),
    }
}

fn trimmed(value: f64) -> String {
    format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_and_have_a_few_ticks() {
        for most in [0.003, 0.9, 1.0, 7.3, 19.0, 99.0, 101.0, 6000.0, 123_456.0] {
            let scale = Scale::up_to(most);
            let ticks = scale.ticks();
            assert!((4..=9).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(*ticks.last().unwrap() >= most * 0.999_999 && ticks[0] == 0.0, "{most}: {ticks:?}");
        }
        assert_eq!(Scale::log(0.3, 70.0), Scale::Log { from: 0.1, to: 100.0 });
        assert_eq!(Scale::log(5.0, 5.0).ticks().len(), 2);
        assert_eq!(["0", "0.5", "2.5", "500", "20k", "1M"], [0.0, 0.5, 2.5, 500.0, 2e4, 1e6].map(label)[..]);
    }

    #[test]
    fn gaps_stay_gaps_and_single_points_are_dots() {
        let line = |points| Line { name: "a", colour: "p50", dashed: false, points };
        let plot = |points| {
            let (x, y) = (Scale::up_to(4.0), Scale::up_to(4.0));
            let (words, lines) = (String::new(), vec![line(points)]);
            Plot { id: "a", title: "a", unit: "", words, across: "", x, y, named: vec![], lines }.html()
        };
        let html = plot(vec![(0.0, Some(1.0)), (1.0, Some(1.0)), (2.0, None), (3.0, Some(2.0))]);
        let path = html.split("<path d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1));
        assert_eq!(html.matches("<circle").count(), 1);
    }
}
