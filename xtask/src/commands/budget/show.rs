//! What a budget came to: for people, for programs, and as Markdown for a summary.

use catalogue::number;
use serde::Serialize;

use super::{
    history::Place,
    judge::{Judged, Verdict},
    limits::{Figure, Shape},
    measure::Original,
};
use crate::term::Paint;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) place: Place,
    pub(super) verdict: Verdict,
    pub(super) rows: Vec<Row>,
    /// What was left out, and why; and what else a reader should know.
    pub(super) notes: Vec<String>,
}

/// A scenario on a store.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) scenario: String,
    pub(super) store: &'static str,
    pub(super) shape: Shape,
    pub(super) original: Original,
    /// Seconds that each run took, warm-up included.
    pub(super) seconds: f64,
    /// Earlier measurements that this one is compared with.
    pub(super) earlier: usize,
    pub(super) figures: Vec<Judged>,
    pub(super) warnings: Vec<String>,
}

impl Row {
    /// How it was run, and how that differs from the scenario's own file.
    fn how(&self) -> String {
        let Self { shape, original, .. } = self;
        let runs = if shape.runs == 1 { "1 run".to_owned() } else { format!("median of {} runs", shape.runs) };
        let rate = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!(" at up to {}/s", number(rate)));
        let own = format!("the scenario itself has {} s{}", number(original.seconds), rate(original.peak_rate));
        let asked = shape.peak_rate.or(original.peak_rate);
        format!("{runs} of {} s{}; {own}", number(self.seconds), rate(asked))
    }

    fn earlier(&self) -> String {
        match self.earlier {
            0 => "no earlier measurement on this machine to compare with".to_owned(),
            1 => "compared with 1 earlier measurement on this machine".to_owned(),
            many => format!("compared with {many} earlier measurements on this machine"),
        }
    }
}

impl Judged {
    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::OffTarget => "off target",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
        }
    }

    fn measured(&self) -> String {
        match &self.value {
            Some(value) => {
                let show = |value| show(self.figure, value);
                format!("{} ({} to {})", show(value.median), show(value.least), show(value.most))
            }
            None => "nothing".to_owned(),
        }
    }

    fn levels(&self) -> String {
        let side = if self.figure.higher_is_better() { "at least" } else { "at most" };
        let mut text = format!("target {side} {}", show(self.figure, self.target));
        for (word, level) in [("warns", self.warn), ("fails", self.fail)] {
            if let Some(level) = level {
                let beyond = if self.figure.higher_is_better() { "below" } else { "above" };
                text += &format!(", {word} {beyond} {}", show(self.figure, level));
            }
        }
        text
    }

    fn ratio(&self) -> String {
        self.before.as_ref().map_or_else(String::new, |before| {
            let noise = if before.beyond_noise { "" } else { ", within noise" };
            format!("{:.2}x as bad as before{noise}", before.worse)
        })
    }
}

/// What a figure is called.
fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::P95Ms => "p95",
        Figure::P99Ms => "p99",
        Figure::ErrorRate => "errors",
        Figure::Throughput => "throughput",
        Figure::CacheHits => "cache hits",
        Figure::DatabaseCache => "database cache",
    }
}

/// A figure with its unit.
fn show(figure: Figure, value: f64) -> String {
    match figure {
        Figure::P95Ms | Figure::P99Ms if value < 10.0 => format!("{value:.2} ms"),
        Figure::P95Ms | Figure::P99Ms => format!("{value:.0} ms"),
        Figure::Throughput => format!("{value:.0}/s"),
        Figure::ErrorRate => format!("{:.2} %", value * 100.0),
        Figure::CacheHits | Figure::DatabaseCache => format!("{:.1} %", value * 100.0),
    }
}

/// The last line of each form.
fn conclusion(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "within budget",
        Verdict::OffTarget => "within budget; a target was missed",
        Verdict::Warning => "within budget, with warnings",
        Verdict::Failed => "over budget",
    }
}

pub(super) fn text(report: &Report, paint: Paint) -> String {
    let Place { commit, machine, .. } = &report.place;
    let mut out = format!("OrderFlow at {commit} on {machine}\n");
    for row in &report.rows {
        out += &format!("\n{}  {}\n", paint.bold(&format!("{} on {}", row.scenario, row.store)), row.how());
        for judged in &row.figures {
            let word = format!("{:<10}", judged.word());
            let word = match judged.verdict {
                Verdict::Ok => paint.green(&word),
                Verdict::Failed => paint.red(&word),
                Verdict::OffTarget | Verdict::Warning => paint.bold(&word),
            };
            out += &format!("  {word}  {:<14}  {:<34}  {}", name(judged.figure), judged.measured(), judged.levels());
            let ratio = judged.ratio();
            if !ratio.is_empty() {
                out += &format!("; {ratio}");
            }
            if let Some(why) = &judged.why {
                out += &format!("\n              {why}");
            }
            out.push('\n');
        }
        out += &format!("              {}\n", paint.dim(&row.earlier()));
        for warning in &row.warnings {
            out += &format!("  note        {warning}\n");
        }
    }
    for note in &report.notes {
        out += &format!("\nnote: {note}\n");
    }
    out + &format!("\n{}\n", conclusion(report.verdict))
}

pub(super) fn markdown(report: &Report) -> String {
    let Place { commit, machine, .. } = &report.place;
    let mut out = format!("## OrderFlow's budget: {}\n\n`{commit}` on {}\n", conclusion(report.verdict), cell(machine));
    for row in &report.rows {
        out += &format!("\n### {} on {}\n\n{}; {}.\n\n", row.scenario, row.store, row.how(), row.earlier());
        out += "| | figure | measured | budget | before |\n|---|---|---|---|---|\n";
        for judged in &row.figures {
            let word = if judged.verdict == Verdict::Failed { "**FAILED**" } else { judged.word() };
            let before = judged.why.clone().unwrap_or_else(|| judged.ratio());
            let cells = [name(judged.figure), &judged.measured(), &judged.levels(), &before].map(cell).join(" | ");
            out += &format!("| {word} | {cells} |\n");
        }
        for warning in &row.warnings {
            out += &format!("\n{}\n", cell(warning));
        }
    }
    for note in &report.notes {
        out += &format!("\n{}\n", cell(note));
    }
    out
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;")
}
