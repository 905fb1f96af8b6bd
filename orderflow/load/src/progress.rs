//! How a run is doing, on standard error: a line that is drawn over when someone watches, nothing but the end otherwise.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use orderflow_load::{Outcome, Snapshot};

/// The progress of one run.
pub(crate) struct Progress {
    bar: ProgressBar,
    watched: bool,
    before: Snapshot,
}

impl Progress {
    /// Draws on standard error if it is a terminal and nobody asked for quiet.
    pub(crate) fn new(name: &str, quiet: bool) -> Self {
        let watched = io::stderr().is_terminal() && !quiet;
        let target = if watched { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        // The template is a constant and valid.
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:24}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        Self { bar, watched, before: Snapshot::default() }
    }

    /// Shows where the run is.
    pub(crate) fn show(&mut self, now: &Snapshot) {
        // Two looks may be in the same instant at the end, which makes no rate.
        let since = now.elapsed.saturating_sub(self.before.elapsed);
        let rate = if since < Duration::from_millis(50) {
            0.0
        } else {
            (now.sent - self.before.sent) as f64 / since.as_secs_f64()
        };
        self.bar.set_length(now.planned.as_millis() as u64);
        self.bar.set_position((now.elapsed.min(now.planned)).as_millis() as u64);
        let mut message = format!(
            "{:.0}/{:.0} s  {rate:.0} req/s  p99 {:.1} ms  {} ok",
            now.elapsed.as_secs_f64(),
            now.planned.as_secs_f64(),
            now.p99_ms,
            now.ok
        );
        for (count, word) in [(now.errors, "errors"), (now.dropped, "dropped")] {
            if count > 0 {
                message.push_str(&format!("  {count} {word}"));
            }
        }
        if now.elapsed > now.planned {
            message.push_str("  (waiting for the last answers)");
        }
        self.bar.set_message(message);
        self.before = *now;
    }

    /// Takes the line away; where nobody watched, says in one line how it went.
    pub(crate) fn end(self, outcome: &Outcome, quiet: bool) {
        self.bar.finish_and_clear();
        if !self.watched && !quiet {
            eprintln!(
                "{}: {} ok, {} errors, {} dropped in {:.1} s; {}",
                outcome.scenario,
                outcome.counts.ok,
                outcome.counts.errors_in_all(),
                outcome.counts.dropped,
                outcome.seconds,
                if outcome.passed() { "thresholds passed" } else { "a threshold failed" }
            );
        }
    }
}
