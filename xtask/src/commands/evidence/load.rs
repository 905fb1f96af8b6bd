//! What OrderFlow costs and gains beside its bare peer, and as several processes beside one, as tables for the book.

use std::process::Stdio;

use anyhow::{Context, Result};
use catalogue::{evidence::Figure, number};
use serde::Deserialize;

use crate::{commands::load, course::Course, interrupt::Group};

/// As the comparison prints it.
#[derive(Deserialize)]
struct Finding {
    what: String,
    figure: String,
    value: Spread,
    ours: Option<Spread>,
    peer: Option<Spread>,
    unit: String,
    bound: Bound,
}

#[derive(Deserialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Runs every comparison of a set, which takes some minutes, and gives the table, where the two sides have these names. A
/// figure that misses its bound is in it too.
pub(super) fn measure(course: &Course, set: &str, sides: [&str; 2]) -> Result<Figure> {
    let mut command = load::compare(course, &["--set", set, "--format", "json"].map(str::to_owned))?;
    let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let output = group.child.stdout.take().context("the output is a pipe")?;
    let findings: Vec<Finding> =
        serde_json::from_reader(output).context("the comparison gave no figures; its own message is above")?;
    group.child.wait()?;
    let columns = ["", "measured", "least to most", sides[0], sides[1], "bound"].map(String::from).to_vec();
    Ok(Figure::Table { columns, rows: findings.iter().map(row).collect() })
}

fn row(finding: &Finding) -> Vec<String> {
    let Finding { what, figure, value, unit, .. } = finding;
    let side = |side: &Option<Spread>| {
        side.as_ref().map_or_else(String::new, |side| format!("{} {unit}", number(side.median)))
    };
    let bound = match finding.bound {
        Bound::AtLeast(bound) => format!("at least {}", number(bound)),
        Bound::AtMost(bound) => format!("at most {}", number(bound)),
    };
    vec![
        what.clone(),
        format!("{} {figure}", number(value.median)),
        format!("{} to {}", number(value.least), number(value.most)),
        side(&finding.ours),
        side(&finding.peer),
        bound,
    ]
}
