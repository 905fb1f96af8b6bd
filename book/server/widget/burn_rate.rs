//! From an error rate and an objective to the burn rate and the time until an alert fires.

use catalogue::evidence::{Axis, Series};

use super::{Still, time};
use crate::{plot, scale::figure};

const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
const PERIOD: f64 = 30.0 * DAY;
/// What the widget begins with: millionths of the requests that succeed, and that fail.
const START: (f64, f64) = (999_000.0, 100_000.0);
/// Name, long window, factor: the SRE workbook's. The short window, a twelfth, is always full of errors sooner.
const ALERTS: [(&str, f64, f64); 4] = [
    ("page, 1 h and 5 min", HOUR, 14.4),
    ("page, 6 h and 30 min", 6.0 * HOUR, 6.0),
    ("ticket, 1 d and 2 h", DAY, 3.0),
    ("ticket, 3 d and 6 h", 3.0 * DAY, 1.0),
];

pub(super) fn still(id: &str) -> Result<Still, String> {
    let (objective, errors) = START;
    let budget = 1e6 - objective;
    // Shares of errors from 0.1 % to 100 %, in millionths, evenly apart on the logarithmic axis.
    let shares: Vec<f64> = (0..=30).map(|n| 1e3 * 10_f64.powf(f64::from(n) / 10.0)).collect();
    let line = |label: &str, least: f64, after: &dyn Fn(f64) -> f64| {
        let burning = shares.iter().map(|share| (share, share / budget)).filter(|(_, burn)| *burn > least);
        Series { label: label.into(), points: burning.map(|(share, burn)| [share / 1e4, after(burn) / 60.0]).collect() }
    };
    let mut series: Vec<Series> =
        ALERTS.iter().map(|(name, long, factor)| line(name, *factor, &|burn| long * factor / burn)).collect();
    series.push(line("budget gone", 0.0, &|burn| PERIOD / burn));
    let axis = |label: &str| Axis { label: label.into(), log: true };
    let title = "When an alert fires, by the share of requests that fail, for an objective of 99.9 %";
    let [x, y] = [axis("requests that fail, %"), axis("after the errors began, minutes")];
    let drawing = plot::lines(id, title, [&x, &y], &series)?;

    let burn = errors / budget;
    let (_, long, factor) = ALERTS[0];
    let words = format!(
        "With an objective of {} % the budget is {} % of the requests. If {} % fail, the burn rate is {}: somebody is paged after \
         {}, and the budget of 30 days is gone after {}. An alert fires when its long and its short window both burn faster than \
         its factor: {} for an hour and 5 minutes, {} for 6 hours and 30 minutes, {} for a day and 2 hours, {} for 3 days and 6 \
         hours. Below its factor it never does, where its line ends. The errors begin all at once and stay as they are.",
        objective / 1e4,
        figure(budget / 1e4),
        figure(errors / 1e4),
        figure(burn),
        time(long * factor / burn),
        time(PERIOD / burn),
        figure(ALERTS[0].2),
        figure(ALERTS[1].2),
        figure(ALERTS[2].2),
        figure(ALERTS[3].2),
    );
    Ok(Still { title, drawing, words })
}
