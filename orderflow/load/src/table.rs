//! An outcome for a terminal: plain text, at most 100 columns wide with names of up to 40 characters.

use crate::{
    outcome::{Latency, Outcome},
    threshold::Judged,
};

/// The longest name of a route that is shown whole.
const NAME: usize = 40;

/// The whole outcome as lines of text.
pub fn text(outcome: &Outcome) -> String {
    let counts = &outcome.counts;
    let mut out = format!("{} against {}, {:.1} s", outcome.scenario, outcome.target, outcome.seconds);
    if outcome.warmup_seconds > 0.0 {
        out.push_str(&format!(" after {:.1} s of warm-up", outcome.warmup_seconds));
    }
    out.push_str(if outcome.interrupted { " (interrupted)\n" } else { "\n" });
    out.push_str(&format!("{}\n\n", outcome.model_in_words));
    if let Some(offered) = outcome.offered_per_second {
        out.push_str(&format!("offered     {:>12} /s   {} arrivals\n", rate(offered), counts.arrivals));
    }
    out.push_str(&format!(
        "answered    {:>12} /s   {} as expected, of {} sent\n",
        rate(outcome.ok_per_second),
        counts.ok,
        counts.sent
    ));
    let errors: Vec<_> = counts
        .errors
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{} {count}", kind.word()))
        .collect();
    let errors = if errors.is_empty() { "none".into() } else { errors.join(", ") };
    let share = outcome.error_rate.map_or_else(|| "-".into(), |share| format!("{:.3} %", share * 100.0));
    out.push_str(&format!(
        "errors      {share:>12}      {errors}; dropped {}, unfinished {}\n",
        counts.dropped, counts.unfinished
    ));
    out.push_str(&format!(
        "connections {:>12}      opened {}, retried {}\n\n",
        outcome.connections, counts.connects, counts.retries
    ));
    let width = outcome.routes.iter().map(|route| route.name.chars().count()).max().unwrap_or(0).clamp(12, NAME);
    out.push_str(&format!(
        "{:width$} {:>9} {:>7} {:>9} {:>9} {:>9} {:>9}\n",
        "milliseconds", "count", "errors", "p50", "p99", "p99.9", "max"
    ));
    for route in &outcome.routes {
        out.push_str(&row(&short(&route.name), width, route.sent, route.errors.values().sum(), &route.latency));
    }
    let name = if outcome.service.is_some() { "all, from due" } else { "all" };
    out.push_str(&row(name, width, counts.sent, counts.errors_in_all(), &outcome.latency));
    if let Some(service) = &outcome.service {
        out.push_str(&row("all, from send", width, counts.sent, counts.errors_in_all(), service));
    }
    out.push('\n');
    let mut generator = Vec::new();
    if let (Some(p50), Some(p99)) = (outcome.generator.lateness_p50_ms, outcome.generator.lateness_p99_ms) {
        generator.push(format!("lateness p50 {p50:.3} ms, p99 {p99:.3} ms"));
    }
    generator.extend(outcome.generator.cpu.map(|cpu| format!("{:.0} % of a processor", cpu * 100.0)));
    if !generator.is_empty() {
        out.push_str(&format!("generator: {}\n", generator.join("; ")));
    }
    for judged in &outcome.thresholds {
        out.push_str(&format!("{} {}\n", if judged.passed { "pass" } else { "FAIL" }, in_words(judged)));
    }
    for warning in &outcome.warnings {
        out.push_str(&format!("note: {warning}\n"));
    }
    out
}

fn row(name: &str, width: usize, count: u64, errors: u64, times: &Latency) -> String {
    let [p50, p99, p99_9, max] = [times.p50_ms, times.p99_ms, times.p99_9_ms, times.max_ms].map(|ms| {
        // A route without a timed answer has no percentile, which is not the same as one of 0.
        if times.count == 0 { "-".into() } else { ms_text(ms) }
    });
    format!("{name:width$} {count:>9} {errors:>7} {p50:>9} {p99:>9} {p99_9:>9} {max:>9}\n")
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.into();
    }
    name.chars().take(NAME - 3).chain("...".chars()).collect()
}

/// Milliseconds with three significant digits, as many as are measured.
pub(crate) fn ms_text(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// A rate, with a digit behind the point where it says something.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 100.0 { format!("{per_second:.1}") } else { format!("{per_second:.0}") }
}

/// A threshold with its figure: `p95_ms 12.3 (at most 500)`.
pub(crate) fn in_words(judged: &Judged) -> String {
    let measured = judged.measured.map_or_else(|| "nothing measured".into(), figure);
    let side = if matches!(judged.name.as_str(), "min_rate" | "answers") { "at least" } else { "at most" };
    format!("{} {measured} ({side} {})", judged.name, figure(judged.limit))
}

/// A number with up to four digits behind the point, without zeros at the end.
fn figure(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}
