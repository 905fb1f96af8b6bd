//! What the widgets compute, in the browser that computes it, against another way to the same numbers: the balance of a
//! queue, bisection over the windows of an alert, percentiles by their definition, the clock of a server's working time.

mod chrome;
mod sample;
mod widget_page;

use serde_json::{Value, json};
use widget_page::WidgetPage;

#[track_caller]
fn near(shown: &Value, wanted: f64, what: &str) {
    let shown = shown.as_f64().unwrap_or_else(|| panic!("{what}: {shown} is no number"));
    assert!((shown - wanted).abs() <= 1e-9 * wanted.abs().max(1e-9), "{what}: {shown} instead of {wanted}");
}

/// The chance of each number of requests in an M/M/c system, summed up from the balance between neighbours.
fn chances(servers: usize, load: f64) -> Vec<f64> {
    let mut chances = vec![1.0];
    for n in 1.. {
        let next = chances[n - 1] * load / n.min(servers) as f64;
        chances.push(next);
        if n > servers && next < 1e-22 {
            break;
        }
    }
    let sum: f64 = chances.iter().rev().sum();
    chances.iter().map(|chance| chance / sum).collect()
}

#[tokio::test]
async fn waiting_is_what_the_balance_of_arrivals_and_departures_says() {
    let Some(page) = WidgetPage::new().await else { return };
    let service = 0.01;
    for (servers, utilisation) in [(1, 0.5), (1, 0.8), (1, 0.99), (2, 0.9), (8, 0.3), (64, 0.95), (64, 0.999)] {
        let load = utilisation * servers as f64;
        let rate = load / service;
        let what = format!("{servers} servers at {utilisation}");
        let got = page.formula("queue-wait", &format!("queue({rate}, {service}, {servers})")).await;
        let chances = chances(servers, load);
        let expected =
            |of: &dyn Fn(usize) -> f64| chances.iter().enumerate().rev().map(|(n, chance)| of(n) * chance).sum::<f64>();
        near(&got["utilisation"], utilisation, &what);
        near(&got["waits"], expected(&|n| f64::from(u8::from(n >= servers))), &what);
        let in_line = expected(&|n| n.saturating_sub(servers) as f64);
        let in_system = expected(&|n| n as f64);
        near(&got["inLine"], in_line, &what);
        near(&got["inSystem"], in_system, &what);
        near(&got["wait"], in_line / rate, &what);
        near(&got["time"], in_system / rate, &what);
        if utilisation < 0.96 {
            // Whoever finds n others waits until n - servers + 1 have left. The chance that fewer leave by then.
            let departures = got["p99"].as_f64().unwrap() * servers as f64 / service;
            let (mut fewer, mut exactly, mut longer) = (0.0, (-departures).exp(), 0.0);
            for (left, chance) in chances[servers..].iter().enumerate() {
                fewer += exactly;
                exactly *= departures / (left + 1) as f64;
                longer += chance * fewer;
            }
            // Where less than one in a hundred waits at all, the p99 of the wait is zero.
            let waits: f64 = chances[servers..].iter().sum();
            if waits > 0.01 { near(&json!(longer), 0.01, &what) } else { assert!(departures.abs() < 1e-12, "{what}") }
        }
    }
    let nobody = page.formula("queue-wait", "queue(0, 0.01, 4)").await;
    assert_eq!(
        nobody,
        json!({ "load": 0, "waits": 0, "utilisation": 0, "wait": 0, "p99": 0, "time": 0.01, "inLine": 0, "inSystem": 0 })
    );
    near(&page.formula("queue-wait", "queue(0.999999, 1, 1).wait * 1e-6").await, 0.999_999, "almost full");
    for rate in [100, 120] {
        let full = page.formula("queue-wait", &format!("queue({rate}, 0.01, 1)")).await;
        for endless in ["wait", "p99", "time", "inLine", "inSystem"] {
            assert_eq!(full[endless], json!("infinity"), "{rate}: {endless}");
        }
        assert_eq!(full["waits"], json!(1));
    }
    page.chrome.stop().await;
}

/// The first moment at which a condition holds that holds ever after, to a microsecond; none if it does not at `end`.
fn first(end: f64, holds: &dyn Fn(f64) -> bool) -> Option<f64> {
    let (mut no, mut yes) = (0.0, end);
    if !holds(end) {
        return None;
    }
    while yes - no > 1e-7 {
        let middle = f64::midpoint(no, yes);
        if holds(middle) { yes = middle } else { no = middle }
    }
    Some(yes)
}

#[tokio::test]
async fn alerts_fire_when_both_of_their_windows_burn() {
    let Some(page) = WidgetPage::new().await else { return };
    let alerts = [(3600.0, 300.0, 14.4), (21_600.0, 1800.0, 6.0), (86_400.0, 7200.0, 3.0), (259_200.0, 21_600.0, 1.0)];
    let known = page.formula("burn-rate", "ALERTS.map(({ long, short, factor }) => [long, short, factor])").await;
    for (known, (long, short, factor)) in known.as_array().unwrap().iter().zip(alerts) {
        assert_eq!(
            known,
            &json!([long as u64, short as u64, if factor == 14.4 { json!(14.4) } else { json!(factor as u64) }])
        );
    }
    for (objective, errors) in [(0.999, 0.1), (0.999, 1.0), (0.999, 0.0015), (0.99, 0.1), (0.9, 1.0), (0.9999, 0.05)] {
        let (parts, failing) = ((objective * 1e6_f64).round(), (errors * 1e6_f64).round());
        let rate = page.formula("burn-rate", &format!("burnRate({failing}, {parts})")).await;
        near(&rate, failing / (1e6 - parts), "burn rate");
        let budget = (1e6 - parts) / 1e6;
        let gone = page.formula("burn-rate", &format!("exhaustion(burnRate({failing}, {parts}))")).await;
        near(&gone, 30.0 * 86_400.0 * budget / errors, "budget gone");
        for (i, (long, short, factor)) in alerts.into_iter().enumerate() {
            let what = format!("{objective}, {errors}, alert {i}");
            let got = page.formula("burn-rate", &format!("alertAt(burnRate({failing}, {parts}), ALERTS[{i}])")).await;
            let share = |after: f64, window: f64| errors * (after / window).min(1.0);
            let burns = |after: f64, window: f64| share(after, window) > factor * budget * (1.0 + 1e-12);
            let fires = first(long, &|after| burns(after, long) && burns(after, short));
            assert_eq!(got["fires"], json!(fires.is_some()), "{what}");
            let Some(fires) = fires else {
                assert_eq!((&got["after"], &got["spent"]), (&json!("infinity"), &json!(0)), "{what}");
                continue;
            };
            let close = |key: &str, wanted: f64| {
                let shown = got[key].as_f64().unwrap();
                assert!((shown - wanted).abs() < 1e-5, "{what}: {key} is {shown} instead of {wanted}");
            };
            close("after", fires);
            close("spent", fires * errors / budget / (30.0 * 86_400.0));
            // From the end of the errors on, they leave the short window.
            close("clears", first(short, &|after| errors * (1.0 - after / short) <= factor * budget).unwrap());
        }
    }
    let says = |errors: u32, objective: u32| {
        format!("ALERTS.map((alert) => alertAt(burnRate({errors}, {objective}), alert).fires)")
    };
    for (errors, objective, fires) in [
        // No errors, and no budget.
        (0, 999_000, [false; 4]),
        (0, 1_000_000, [false; 4]),
        (1, 1_000_000, [true; 4]),
        // Exactly at a factor is not above it.
        (14_400, 999_000, [false, true, true, true]),
        (14_401, 999_000, [true; 4]),
        (1_000, 999_000, [false; 4]),
        // The lowest objective that anything can page at by the first alert.
        (1_000_000, 930_600, [true; 4]),
        (1_000_000, 930_500, [false, true, true, true]),
    ] {
        assert_eq!(page.formula("burn-rate", &says(errors, objective)).await, json!(fires), "{errors} {objective}");
    }
    assert_eq!(
        page.formula("burn-rate", "[burnRate(1, 1e6), exhaustion(0), alertAt(Infinity, ALERTS[0]).after]").await,
        json!(["infinity", "infinity", 0])
    );
    page.chrome.stop().await;
}

/// Requests as (ms, count).
type Groups = Vec<(u64, usize)>;

/// The smallest of the values that at least so many thousandths of them do not exceed.
fn by_definition(values: &[u64], thousandths: usize) -> Option<u64> {
    let enough =
        |value: u64| values.iter().filter(|other| **other <= value).count() * 1000 >= thousandths * values.len();
    values.iter().copied().filter(|value| enough(*value)).min()
}

#[tokio::test]
async fn a_merged_percentile_is_that_of_all_requests() {
    let Some(page) = WidgetPage::new().await else { return };
    let start: Vec<(u64, usize, usize)> =
        serde_json::from_value(page.formula("percentile-merge", "START").await).unwrap();
    let dealt = |of: &dyn Fn(usize) -> bool| -> [Groups; 2] {
        let on = |server: bool| {
            start.iter().enumerate().filter(|(i, _)| of(*i) == server).map(|(_, &(ms, count, _))| (ms, count)).collect()
        };
        [on(false), on(true)]
    };
    let cases = [
        dealt(&|i| start[i].2 == 1),
        dealt(&|i| i % 2 == 1),
        dealt(&|_| false),
        dealt(&|_| true),
        [vec![(7, 1)], vec![(7, 1), (9, 99)]],
        [vec![(100, 980)], vec![(1000, 20)]],
        [vec![(100, 980)], vec![(1000, 1), (100, 19)]],
        [vec![], vec![]],
    ];
    let each = |groups: &Groups| -> Vec<u64> { groups.iter().flat_map(|(ms, count)| vec![*ms; *count]).collect() };
    for [a, b] in &cases {
        for of in [500, 900, 990, 1000] {
            let got = page.formula("percentile-merge", &format!("merge({}, {}, {of})", json!(a), json!(b))).await;
            let what = format!("p{of} of {a:?} and {b:?}");
            let servers = [a, b].map(each);
            let wanted = servers.each_ref().map(|values| by_definition(values, of));
            assert_eq!([&got["a"], &got["b"]], wanted.each_ref().map(|value| json!(value)).each_ref(), "{what}");
            assert_eq!(got["all"], json!(by_definition(&servers.concat(), of)), "{what}");
            let known: Vec<_> = wanted
                .iter()
                .zip(&servers)
                .filter_map(|(value, values)| Some(((*value)? as f64, values.len() as f64)))
                .collect();
            if known.is_empty() {
                assert_eq!((&got["average"], &got["weighted"]), (&Value::Null, &Value::Null));
                continue;
            }
            let count: f64 = known.iter().map(|(_, count)| count).sum();
            near(&got["average"], known.iter().map(|(value, _)| value).sum::<f64>() / known.len() as f64, &what);
            near(&got["weighted"], known.iter().map(|(value, many)| value * many).sum::<f64>() / count, &what);
        }
    }
    page.chrome.stop().await;
}

/// Latencies in microseconds, by another road than the widget's: on the clock of the server's working time, which stands
/// still during stalls, a request is done `service` after its turn has come.
fn latencies(open: bool, gap: u64, service: u64, stall: u64, period: u64, until: u64) -> Vec<u64> {
    let working = period - stall;
    let worked = |at: u64| at / period * working + (at % period).min(working);
    let reached = |work: u64| (work - 1) / working * period + (work - 1) % working + 1;
    let (mut at, mut busy, mut took) = (0, 0, Vec::new());
    while at < until {
        busy = worked(at).max(busy) + service;
        let done = reached(busy);
        took.push(done - at);
        at = if open { at + gap } else { done.max(at + gap) };
    }
    took
}

#[tokio::test]
async fn both_loads_see_what_a_server_that_stands_still_does_to_them() {
    let Some(page) = WidgetPage::new().await else { return };
    for (gap, service, stall, period) in [
        (10_000, 2_000, 1_000_000, 10_000_000),
        (10_000, 2_000, 0, 5_000_000),
        (4_000, 3_000, 500_000, 5_000_000),
        // Exactly as much as it can do, and more.
        (10_000, 8_000, 1_000_000, 5_000_000),
        (10_000, 20_000, 700_000, 5_000_000),
        (200_000, 500, 4_000_000, 5_000_000),
    ] {
        let until = 3 * period;
        for open in [false, true] {
            let load = if open { "open" } else { "closed" };
            let run = format!("{load}({gap}, {service}, {{ stall: {stall}, period: {period} }}, {until})");
            let took: Vec<u64> = serde_json::from_value(
                page.formula("coordinated-omission", &format!("{run}.map(({{ took }}) => took)")).await,
            )
            .unwrap();
            let wanted = latencies(open, gap, service, stall, period, until);
            assert_eq!(took, wanted, "{run}");
            let percentiles: Vec<u64> = serde_json::from_value(
                page.formula("coordinated-omission", &format!("percentiles({run}, [500, 990, 999, 1000])")).await,
            )
            .unwrap();
            let defined = [500, 990, 999, 1000].map(|of| by_definition(&wanted, of).unwrap());
            assert_eq!(percentiles, defined, "{run}");
        }
    }
    page.chrome.stop().await;
}
