//! An analysis for people, and numbers as people read them.

use crate::analysis::{Analysis, Severity};

/// The findings, the worst first, then the slowest statements.
pub(crate) fn text(analysis: &Analysis) -> String {
    let mut out = format!("{}, {}\n", analysis.database, analysis.server);
    out += &match analysis.statistics_reset_seconds {
        Some(seconds) => format!("counted since the statistics were reset {} ago\n", duration(seconds)),
        None => {
            format!("counted since the server was started {} ago, or longer\n", duration(analysis.server_up_seconds))
        }
    };
    for finding in &analysis.findings {
        let word = match finding.severity {
            Severity::Critical => "CRITICAL",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        out += &format!("\n{word:<8}  {}: {}\n", finding.check, plain(&finding.subject));
        out += &format!("          {}\n", plain(&finding.evidence));
        out += &format!("          -> {}\n", plain(&finding.advice));
    }
    for left in &analysis.not_checked {
        out += &format!("\nnot seen  {}: {}\n          -> {}\n", left.check, plain(&left.why), plain(&left.remedy));
    }
    if let Some(statements) = analysis.statements.as_ref().filter(|statements| !statements.is_empty()) {
        out += "\nwhere the time goes\n     total      mean       calls        rows  share  statement\n";
        for one in statements {
            out += &format!(
                "{:>10}{:>10}{:>12}{:>12}{:>7}  {}\n",
                duration(one.total_ms / 1e3),
                duration(one.mean_ms / 1e3),
                count(one.calls as f64),
                count(one.rows as f64),
                percent(one.share),
                plain(&one.text)
            );
        }
    }
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "none was asked for".to_owned(), percent);
    let (tables, indexes) = (ratio(analysis.cache.tables.ratio), ratio(analysis.cache.indexes.ratio));
    out += &format!("\npages in shared_buffers: tables {tables}, indexes {indexes}\n");
    out + &verdict(analysis)
}

fn verdict(analysis: &Analysis) -> String {
    let (checks, left) = (analysis.checked.len(), analysis.not_checked.len());
    let found = |severity| analysis.findings.iter().filter(|finding| finding.severity == severity).count();
    let (critical, warnings, notes) = (found(Severity::Critical), found(Severity::Warning), found(Severity::Note));
    let notes = if notes == 0 { String::new() } else { format!(", {notes} to note") };
    let mut out = match (analysis.healthy, critical + warnings) {
        (true, _) => format!("healthy: {checks} checks found nothing wrong{notes}\n"),
        (false, 0) => format!("{checks} checks found nothing wrong{notes}"),
        (false, _) => format!("{checks} checks found {critical} critical, {warnings} warnings{notes}"),
    };
    if left > 0 {
        out += &format!("; {left} could not be made");
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Names and messages come from the database and from whoever connects to it: nothing in them may steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The same for a message of several lines.
pub(crate) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n       ")
}

/// Three digits and a unit: `1.25 ms`, `3.5 min`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        ..0.001 => format!("{:.0} us", seconds * 1e6),
        ..1.0 => format!("{} ms", digits(seconds * 1e3)),
        ..120.0 => format!("{} s", digits(seconds)),
        ..7_200.0 => format!("{} min", digits(seconds / 60.0)),
        ..172_800.0 => format!("{} h", digits(seconds / 3_600.0)),
        _ => format!("{} d", digits(seconds / 86_400.0)),
    }
}

pub(crate) fn bytes(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut at = 0;
    let mut amount = bytes;
    while amount >= 1024.0 && at + 1 < units.len() {
        amount /= 1024.0;
        at += 1;
    }
    format!("{} {}", digits(amount), units[at])
}

/// Pages of 8 KiB as bytes.
pub(crate) fn pages(pages: f64) -> String {
    bytes(pages * 8_192.0)
}

/// Rounded down where it would else claim to be all.
pub(crate) fn percent(share: f64) -> String {
    let tenths = (share * 1_000.0).round();
    let tenths = if share < 1.0 { tenths.min(999.0) } else { tenths };
    format!("{:.1} %", tenths / 10.0)
}

/// A whole number with its thousands parted.
pub(crate) fn count(number: f64) -> String {
    if number < 10.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn digits(number: f64) -> String {
    match number {
        ..10.0 => format!("{number:.2}"),
        ..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_have_their_units() {
        assert_eq!(
            [0.000_25, 0.0125, 1.5, 300.0, 86_400.0, 1e6].map(duration),
            ["250 us", "12.5 ms", "1.50 s", "5.00 min", "24.0 h", "11.6 d"]
        );
        assert_eq!([12.0, 2_048.0, 5e9].map(bytes), ["12.0 B", "2.00 KiB", "4.66 GiB"]);
        assert_eq!([0.0, 0.5, 0.9999, 1.0].map(percent), ["0.0 %", "50.0 %", "99.9 %", "100.0 %"]);
        assert_eq!([0.0, 0.5, 12.4, 1_234_567.0].map(count), ["0", "0.5", "12", "1,234,567"]);
    }

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc"), "a [31mb c");
    }
}
