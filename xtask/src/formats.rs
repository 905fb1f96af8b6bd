//! Reports for other programs: JSON, JUnit XML, CSV, and one HTML page for a class.

use std::fmt::Write;

use anyhow::Result;
use catalogue::{CheckReport, Report, Run, Status};
use clap::ValueEnum;

/// The shape in which verdicts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a person.
    Human,
    /// Everything, by exercises/schema/report.schema.json.
    Json,
    /// For continuous integration.
    Junit,
    /// One line for each exercise of each submission.
    Csv,
    /// One page that needs nothing else.
    Html,
}

/// The run in a format that programs read. [`Format::Human`] is not one of them, and gives nothing.
pub(crate) fn render(run: &Run, format: Format) -> Result<String> {
    Ok(match format {
        Format::Human => String::new(),
        Format::Json => serde_json::to_string_pretty(run)? + "\n",
        Format::Junit => junit(run)?,
        Format::Csv => csv(run)?,
        Format::Html => html(run)?,
    })
}

/// Escapes text for XML and HTML, and leaves out the control characters that XML has no way to write.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // A colour of the compiler's: the escape, a bracket, and everything up to the letter that ends it.
            '\u{1b}' => {
                letters.by_ref().find(char::is_ascii_alphabetic);
            }
            '\n' | '\t' => out.push(letter),
            control if control.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

fn explanation(report: &Report, check: &CheckReport) -> String {
    report.build_error.as_ref().map_or_else(|| check.message.clone(), |error| format!("{} {error}", check.message))
}

fn junit(run: &Run) -> Result<String> {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"course\">\n");
    for report in &run.reports {
        let count = |wanted: &[Status]| report.checks.iter().filter(|check| wanted.contains(&check.status)).count();
        writeln!(
            out,
            "  <testsuite name=\"{}: {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
            escape(&report.submission),
            escape(&report.slug),
            report.checks.len(),
            count(&[Status::Fail, Status::Inconclusive]),
            count(&[Status::Error, Status::Limit, Status::Blocked]),
            count(&[Status::Skipped]),
            report.seconds
        )?;
        for check in &report.checks {
            write!(out, "    <testcase classname=\"{}\" name=\"{}\"", escape(&report.slug), escape(&check.name))?;
            let element = match check.status {
                Status::Pass => None,
                Status::Skipped => Some("skipped"),
                Status::Fail | Status::Inconclusive => Some("failure"),
                Status::Error | Status::Limit | Status::Blocked => Some("error"),
            };
            match element {
                None => writeln!(out, "/>")?,
                Some(element) => {
                    let message = escape(&explanation(report, check));
                    let kind = check.status.word();
                    writeln!(out, ">\n      <{element} type=\"{kind}\" message=\"{message}\"/>\n    </testcase>")?;
                }
            }
        }
        out += "  </testsuite>\n";
    }
    out += "</testsuites>\n";
    Ok(out)
}

/// A field of RFC 4180. One that a spreadsheet would take for a formula gets an apostrophe before it.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn csv(run: &Run) -> Result<String> {
    let mut out = String::from("submission,exercise,status,points,max_points,not_passed,seconds,seed\r\n");
    for report in &run.reports {
        let open = report.checks.iter().filter(|check| check.status != Status::Pass);
        let open: Vec<_> = open.map(|check| format!("{} ({})", check.name, check.status.word())).collect();
        write!(
            out,
            "{},{},{},{},{},{},{:.3},{}\r\n",
            field(&report.submission),
            field(&report.slug),
            report.status.word(),
            report.points,
            report.max_points,
            field(&open.join("; ")),
            report.seconds,
            report.seed
        )?;
    }
    Ok(out)
}

/// A table with a row for each submission and a column for each exercise; each cell opens to its checks.
fn html(run: &Run) -> Result<String> {
    let mut slugs: Vec<&str> = Vec::new();
    let mut submissions: Vec<&str> = Vec::new();
    for report in &run.reports {
        if !slugs.contains(&report.slug.as_str()) {
            slugs.push(&report.slug);
        }
        if !submissions.contains(&report.submission.as_str()) {
            submissions.push(&report.submission);
        }
    }
    let mut out = String::from(include_str!("class.html"));
    out += "<table>\n<thead><tr><th scope=\"col\">Submission</th><th scope=\"col\">Points</th>";
    for slug in &slugs {
        write!(out, "<th scope=\"col\">{}</th>", escape(slug))?;
    }
    out += "</tr></thead>\n<tbody>\n";
    for submission in submissions {
        let of = || run.reports.iter().filter(|report| report.submission == submission);
        let sum = |points: fn(&Report) -> u32| of().map(points).sum::<u32>();
        let (points, most) = (sum(|report| report.points), sum(|report| report.max_points));
        write!(out, "<tr><th scope=\"row\">{}</th><td>{points} of {most}</td>", escape(submission))?;
        for slug in &slugs {
            match of().find(|report| report.slug == *slug) {
                Some(report) => cell(&mut out, report)?,
                None => out += "<td>not graded</td>",
            }
        }
        out += "</tr>\n";
    }
    out += "</tbody>\n</table>\n</main>\n</html>\n";
    Ok(out)
}

fn cell(out: &mut String, report: &Report) -> Result<()> {
    let word = report.status.word();
    write!(
        out,
        "<td class=\"{word}\"><details><summary>{} of {} <b>{word}</b></summary><ul>",
        report.points, report.max_points
    )?;
    for check in &report.checks {
        let status = check.status.word();
        write!(out, "<li><b>{status}</b> {}", escape(&check.title))?;
        if !check.message.is_empty() {
            write!(out, "<br>{}", escape(&check.message))?;
        }
        *out += "</li>";
    }
    *out += "</ul>";
    if let Some(error) = &report.build_error {
        write!(out, "<pre>{}</pre>", escape(error))?;
    }
    write!(out, "<p>Seed {}</p></details></td>", report.seed)?;
    Ok(())
}
