//! The p99 of two servers, what averages make of them, and the p99 of all their requests.

use catalogue::evidence::Bar;

use super::{Still, nearest_rank};
use crate::{plot, scale::figure};

/// Groups of equal requests, as (ms, count): what the widget begins with.
const A: [(u32, u32); 7] = [(20, 50), (20, 40), (30, 40), (30, 30), (40, 20), (50, 10), (80, 6)];
const B: [(u32, u32); 4] = [(400, 1), (450, 1), (900, 1), (1200, 1)];

/// The p99 of groups that are sorted by latency.
fn p99(groups: &[(u32, u32)]) -> f64 {
    let rank = nearest_rank(u64::from(count(groups)), 990) as usize;
    let mut each = groups.iter().flat_map(|(ms, count)| (0..*count).map(move |_| *ms));
    f64::from(each.nth(rank - 1).unwrap_or_default())
}

fn count(groups: &[(u32, u32)]) -> u32 {
    groups.iter().map(|(_, count)| count).sum()
}

pub(super) fn still(id: &str) -> Result<Still, String> {
    let all = [&A[..], &B[..]].concat();
    let [of_a, of_b, of_all] = [&A[..], &B[..], &all].map(count);
    let [a, b, truth] = [&A[..], &B[..], &all].map(p99);
    let average = f64::midpoint(a, b);
    let weighted = (a * f64::from(of_a) + b * f64::from(of_b)) / f64::from(of_all);
    let bar = |label: &str, value: f64| Bar { label: label.into(), value };
    let bars = [
        bar("p99 of server A", a),
        bar("p99 of server B", b),
        bar("average of the two", average),
        bar("average, weighted by requests", weighted),
        bar("p99 of all requests", truth),
    ];
    let title = "The p99 of two servers, their averages, and the p99 of all requests";
    let drawing = plot::bars(id, title, "ms", &bars)?;
    let words = format!(
        "Server A has {of_a} requests and a p99 of {} ms, server B has {of_b} and a p99 of {} ms. The average of both p99s is \
         {} ms, weighted by requests {} ms. The p99 of all {of_all} requests is {} ms. Had the same requests gone to other \
         servers, the averages would be different ones, and the p99 of all the same. Percentiles are by nearest rank.",
        figure(a),
        figure(b),
        figure(average),
        figure(weighted),
        figure(truth),
    );
    Ok(Still { title, drawing, words })
}
