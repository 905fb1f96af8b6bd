//! The page's arithmetic against a reference, and what it makes of counters that begin anew.

use serde_json::{Value, json};

use crate::{chrome::Chrome, stand_in::StandIn};

/// A histogram as Prometheus' `histogram_quantile` takes it, written down once more from its documentation.
fn reference(q: f64, bounds: &[f64], observed: &[f64]) -> Option<f64> {
    if observed.is_empty() {
        return None;
    }
    let at_most = |bound: f64| observed.iter().filter(|value| **value <= bound).count() as f64;
    let rank = q * observed.len() as f64;
    let Some(at) = bounds.iter().position(|bound| at_most(*bound) >= rank && at_most(*bound) > 0.0) else {
        return Some(f64::INFINITY);
    };
    let (start, below) = if at == 0 { (0.0, 0.0) } else { (bounds[at - 1], at_most(bounds[at - 1])) };
    Some(start + (bounds[at] - start) * (rank - below) / (at_most(bounds[at]) - below))
}

/// Bounds and how many were at most that, as the page has them. JSON has no infinity.
fn buckets(bounds: &[f64], observed: &[f64]) -> Value {
    let all = bounds.iter().map(|bound| (json!(bound), observed.iter().filter(|value| *value <= bound).count()));
    all.chain([(json!("+Inf"), observed.len())]).map(|(bound, count)| json!([bound, count])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quantiles_are_those_of_prometheus() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, StandIn::start("").await);
    chrome.goto(&stand_in.url("")).await;
    let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0];
    let spread: Vec<f64> = (1..=1000).map(|n| 0.000_2 * f64::from(n)).collect();
    let cases =
        [vec![], vec![0.0004], vec![0.02; 7], vec![0.0004, 0.0004, 0.5], vec![3.0; 4], vec![0.003, 3.0], spread];
    let quantiles = [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0];
    let given: Value = cases.iter().map(|observed| buckets(&bounds, observed)).collect();
    let found = chrome
        .module(
            "history",
            &json!({ "cases": given, "quantiles": quantiles }),
            "return given.cases.map((buckets) => given.quantiles.map((q) => {
                 const value = module.quantile(q, buckets.map(([bound, count]) => [bound === '+Inf' ? Infinity : bound, count]));
                 return value === Infinity ? 'infinite' : value;
             }))",
        )
        .await;
    for (observed, found) in cases.iter().zip(found.as_array().expect("an array")) {
        for (q, found) in quantiles.iter().zip(found.as_array().unwrap()) {
            match reference(*q, &bounds, observed) {
                None => assert_eq!(*found, Value::Null),
                Some(f64::INFINITY) => assert_eq!(found, "infinite", "{q} of {observed:?}"),
                Some(wanted) => {
                    let found = found.as_f64().unwrap_or_else(|| panic!("{q} of {observed:?}: {found}"));
                    assert!((found - wanted).abs() < 1e-9, "{q}: {found}, not {wanted}");
                }
            }
        }
    }
    // By hand: of 100 in (0, 1] and 100 in (1, 3], the 150th is half way through the second bucket.
    let script = "return [module.quantile(0.75, given), module.quantile(0.25, given)]";
    assert_eq!(chrome.module("history", &json!([[1, 100], [3, 200], [9, 200]]), script).await, json!([2, 0.5]));
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_taken_apart_and_a_fall_is_a_new_start() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, StandIn::start("").await);
    chrome.goto(&stand_in.url("")).await;
    let text = concat!(
        "# HELP a Something.\n# TYPE a histogram\n",
        "a_bucket{route=\"/api/products/{id}\",le=\"0.5\"} 3 # {trace_id=\"4bf9\"} 0.25 1700000000.5\n",
        "a_bucket{route=\"say \\\"}\\\" \\\\ \\n\",le=\"+Inf\"} 1e3\n",
        "b 12.5 1700000000\nno sample\n{} 1\nc +Inf\n# EOF\n"
    );
    let script = "const samples = module.parse(given);
        return ['a_bucket', 'b', 'c'].flatMap((name) => samples.get(name))
            .map(({ series, value, exemplar }) => [series.labels, String(value), exemplar ?? null])";
    assert_eq!(
        chrome.module("openmetrics", &json!(text), script).await,
        json!([
            [{ "route": "/api/products/{id}", "le": "0.5" }, "3",
                { "labels": { "trace_id": "4bf9" }, "value": 0.25, "at": 1_700_000_000.5 }],
            [{ "route": "say \"}\" \\ \n", "le": "+Inf" }, "1000", null],
            [{}, "12.5", null],
            [{}, "Infinity", null],
        ])
    );
    // Scrapes are [a, b, start of the process]; what is counted between them is [a, b, restarted].
    let script = "const scrape = ([a, b, start], n) => {
            const sample = (head, value) => ({ series: { head, labels: {} }, value });
            const samples = new Map([['a_total', [sample('a', a)]], ['b_total', b === null ? [] : [sample('b', b)]],
                ['process_start_time_seconds', [sample('start', start)]]]);
            return { samples, at: n * 2000, wall: n * 2000 };
        };
        return given.map(([before, after]) => {
            const { counted, restarted } = module.step(scrape(before, 1), scrape(after, 2));
            const of = (name) => counted.get(name)?.[0].increase ?? 0;
            return [of('a_total'), of('b_total'), restarted];
        })";
    let pairs = json!([
        [[10, 5, 0], [14, 5, 0]],
        // A series that was not there before began at 0.
        [[10, null, 0], [14, 3, 0]],
        // One counter fell, so all of them began anew, those too that have grown past what they were.
        [[10, 5, 0], [4, 7, 0]],
        // None fell, but the process is another one.
        [[10, 5, 0], [12, 6, 3]],
        // None fell and it is the same.
        [[10, 5, 3], [10, 5, 3.4]],
    ]);
    let counted = chrome.module("history", &pairs, script).await;
    assert_eq!(counted, json!([[4, 0, false], [4, 3, false], [4, 7, true], [12, 6, true], [0, 0, false]]));
    chrome.stop().await;
}

/// What a service tells that answered so many requests of which the last so many failed, each in 20 ms.
fn counted(answered: u32, failed: u32) -> String {
    let well = answered - failed;
    let labels = "method=\"GET\",route=\"/api/stats\"";
    format!(
        "# TYPE http_requests counter\n\
         http_requests_total{{{labels},status=\"200\"}} {well}\nhttp_requests_total{{{labels},status=\"503\"}} {failed}\n\
         http_request_duration_seconds_bucket{{le=\"0.01\",{labels}}} 0\n\
         http_request_duration_seconds_bucket{{le=\"0.03\",{labels}}} {answered}\n\
         http_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}} {answered}\n\
         http_request_duration_seconds_count{{{labels}}} {answered}\n\
         http_requests_in_flight{{route=\"/api/stats\"}} 25\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_show_what_was_counted_and_nothing_where_nothing_was() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, StandIn::start("# EOF\n").await);
    let value = async |signal: &str| chrome.text(&format!("#{signal} .value")).await;
    let shows = |signal: &str, wanted: &str| {
        format!("return document.querySelector('#{signal} .value').innerText === '{wanted}'")
    };
    chrome.goto(&stand_in.url("")).await;
    // Two scrapes without a word about requests.
    chrome.until("return document.querySelectorAll('#dependencies dt').length > 0").await;
    let asked = stand_in.says(|says| says.asked);
    while stand_in.says(|says| says.asked) < asked + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for signal in ["latency", "traffic", "errors", "saturation"] {
        assert_eq!(value(signal).await, "no data", "{signal}");
    }
    // What was counted before the page looked first says nothing of now.
    stand_in.says(|says| says.metrics = counted(1000, 100));
    chrome.until(&shows("saturation", "25%")).await;
    chrome.goto(&stand_in.url("")).await;
    chrome.until(&shows("errors", "no requests")).await;
    assert_eq!((value("traffic").await, value("latency").await), ("0/s".to_owned(), "no requests".to_owned()));
    // 200 more, of which 20 failed, all between 10 and 30 ms.
    stand_in.says(|says| says.metrics = counted(1200, 120));
    chrome.until(&shows("errors", "10%")).await;
    assert_eq!(value("latency").await, "29.8 ms");
    assert_eq!(chrome.text("#errors .about").await, "20 of 200 answered 5xx");
    // It starts anew and answers 50, all well. Neither is a rate negative, nor do the old thousand count again.
    stand_in.says(|says| says.metrics = counted(50, 0));
    chrome.until("return document.querySelector('#notice').innerText.includes('started anew')").await;
    chrome.until("return document.querySelector('#latency .about').innerText === 'p99 of 250 requests' || document.querySelector('#latency .about').innerText === 'p99 of 50 requests'").await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}
