//! What a comparison found, and how it is printed.

use serde::Serialize;

use crate::measure::{Run, Spread};

/// A bound on a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// No less than this.
    AtLeast(f64),
    /// No more than this.
    AtMost(f64),
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }
}

/// One figure of one comparison.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// What was compared.
    pub(crate) what: String,
    /// What the figure is: a ratio to the peer, or an amount with its unit.
    pub(crate) figure: &'static str,
    /// The figure; of several runs the median of their ratios.
    pub(crate) value: Spread,
    /// Ours alone, where the figure is a ratio.
    pub(crate) ours: Option<Spread>,
    /// The peer's alone, where there is one.
    pub(crate) peer: Option<Spread>,
    /// What `ours` and `peer` are counted in.
    pub(crate) unit: &'static str,
    /// What the figure should be.
    pub(crate) bound: Bound,
    /// Whether it is.
    pub(crate) holds: bool,
}

impl Finding {
    /// The ratio of throughputs.
    pub(crate) fn throughput(what: &str, runs: &[(Run, Run)], bound: Bound) -> Self {
        Self::ratio(what, "x throughput", "requests/s", runs, |run| run.per_second, bound)
    }

    /// The ratio of 99th percentiles.
    pub(crate) fn p99(what: &str, runs: &[(Run, Run)], bound: Bound) -> Self {
        Self::ratio(what, "x p99", "ms", runs, |run| run.p99_ms, bound)
    }

    fn ratio(
        what: &str,
        figure: &'static str,
        unit: &'static str,
        runs: &[(Run, Run)],
        of: impl Fn(&Run) -> f64,
        bound: Bound,
    ) -> Self {
        let value = Spread::of(runs.iter().map(|(ours, peer)| of(ours) / of(peer)));
        Self {
            what: what.to_owned(),
            figure,
            value,
            ours: Some(Spread::of(runs.iter().map(|(ours, _)| of(ours)))),
            peer: Some(Spread::of(runs.iter().map(|(_, peer)| of(peer)))),
            unit,
            bound,
            holds: bound.holds(value.median),
        }
    }

    /// A ratio that was taken elsewhere, with both sides.
    pub(crate) fn beside(
        what: &str,
        figure: &'static str,
        value: Spread,
        unit: &'static str,
        [ours, peer]: [Spread; 2],
        bound: Bound,
    ) -> Self {
        let holds = bound.holds(value.median);
        Self { what: what.to_owned(), figure, value, ours: Some(ours), peer: Some(peer), unit, bound, holds }
    }

    /// An amount on its own.
    pub(crate) fn amount(what: &str, unit: &'static str, value: Spread, bound: Bound) -> Self {
        let holds = bound.holds(value.median);
        Self { what: what.to_owned(), figure: unit, value, ours: None, peer: None, unit, bound, holds }
    }
}

/// A number with as many digits as are worth reading.
fn short(number: f64) -> String {
    match number.abs() {
        0.0..10.0 => format!("{number:.2}"),
        10.0..1_000.0 => format!("{number:.1}"),
        _ => {
            let digits = format!("{number:.0}");
            let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
            groups.join(",")
        }
    }
}

/// For people.
pub(crate) fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let verdict = if finding.holds { "ok    " } else { "MISSED" };
        let bound = match finding.bound {
            Bound::AtLeast(bound) => format!("at least {}", short(bound)),
            Bound::AtMost(bound) => format!("at most {}", short(bound)),
        };
        let Spread { median, least, most } = finding.value;
        text.push_str(&format!("{verdict}  {}\n", finding.what));
        let (median, least, most) = (short(median), short(least), short(most));
        text.push_str(&format!("        {median} {} ({least} to {most}), {bound}", finding.figure));
        if let (Some(ours), Some(peer)) = (finding.ours, finding.peer) {
            text.push_str(&format!("; {} against {} {}", short(ours.median), short(peer.median), finding.unit));
        }
        text.push('\n');
    }
    text
}
