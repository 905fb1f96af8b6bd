//! Waiting in line by utilisation, for servers with a common line: M/M/1 and M/M/c.

use catalogue::evidence::{Axis, Series};

use super::{Still, time};
use crate::{plot, scale::figure};

/// What the widget begins with: requests a second, seconds each, servers.
const START: (f64, f64, u32) = (80.0, 0.010, 1);

/// The share of arrivals that find all `servers` busy (Erlang C); `load` of them are busy on average.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let refused = (1..=servers).fold(1.0, |refused, n| load * refused / (f64::from(n) + load * refused));
    refused / (1.0 - load / f64::from(servers) * (1.0 - refused))
}

/// The mean wait in service times.
fn wait(servers: u32, utilisation: f64) -> f64 {
    erlang_c(servers, utilisation * f64::from(servers)) / (f64::from(servers) * (1.0 - utilisation))
}

pub(super) fn still(id: &str) -> Result<Still, String> {
    let line = |servers: u32| Series {
        label: if servers == 1 { "1 server".into() } else { format!("{servers} servers") },
        points: (0..=90).map(|percent| [f64::from(percent), wait(servers, f64::from(percent) / 100.0)]).collect(),
    };
    let axis = |label: &str| Axis { label: label.into(), log: false };
    let title = "Mean wait over utilisation, by the number of servers";
    let [x, y] = [axis("utilisation, %"), axis("mean wait, in service times")];
    let drawing = plot::lines(id, title, [&x, &y], &[1, 4, 16, 64].map(line))?;

    let (rate, service, servers) = START;
    let utilisation = rate * service / f64::from(servers);
    let waits = wait(servers, utilisation) * service;
    let words = format!(
        "One server that needs {} for a request on average, and gets {} requests a second, is busy {} % of the time. A request \
         waits {} on average and is answered after {}. Little's law: {}/s × {} = {} requests are there at a time. With more \
         servers and one line before them all, waiting begins later, and then rises more steeply. Arrivals are taken to be \
         independent (Poisson) and service times exponential.",
        time(service),
        figure(rate),
        figure(100.0 * utilisation),
        time(waits),
        time(waits + service),
        figure(rate),
        time(waits + service),
        figure(rate * (waits + service)),
    );
    Ok(Still { title, drawing, words })
}
