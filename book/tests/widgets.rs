//! The interactive figures in a real browser: their formulas against another way to compute the same, by keyboard and
//! mouse, on a telephone, in every theme, without motion and without scripts.

mod chrome;
mod sample;

use std::fs;

use chrome::{
    Chrome, available,
    look::{CONTRAST, fits},
};
use fantoccini::{
    actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    elements::Element,
    wd::Locator,
};
use sample::{Server, course, write};
use serde_json::{Value, json};
use tempfile::TempDir;

const WIDGETS: [&str; 4] = ["percentile-merge", "queue-wait", "coordinated-omission", "burn-rate"];
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
const RIGHT: &str = "\u{e014}";
const HOME: &str = "\u{e011}";
const END: &str = "\u{e010}";

/// A page with every widget, and a browser that has opened it.
struct Stage {
    chrome: Chrome,
    server: Server,
    _root: TempDir,
}

impl Stage {
    /// None where there is no browser.
    async fn new() -> Option<Self> {
        if !available() {
            return None;
        }
        let root = course();
        let page: String = WIDGETS.iter().map(|name| format!("\n{{{{#widget {name}}}}}\n")).collect();
        write(root.path(), "book/src/first/chapter.md", &format!("# Chapter\n{page}"));
        let server = Server::start(root.path());
        let chrome = Chrome::start().await;
        let stage = Self { chrome, server, _root: root };
        stage.open().await;
        stage
            .chrome
            .until(&format!("return document.querySelectorAll('.widget-status').length === {}", WIDGETS.len()))
            .await;
        Some(stage)
    }

    async fn open(&self) {
        self.chrome.goto(&self.server.url("first/chapter.html")).await;
    }

    /// What an expression over a widget's `formulas` is; infinity is told as text.
    async fn formula(&self, name: &str, expression: &str) -> Value {
        let script = format!(
            "const {{ {} }} = customElements.get('{name}').formulas;
             return JSON.parse(JSON.stringify({expression}, (_, value) => (value === Infinity ? 'infinity' : value)))",
            match name {
                "queue-wait" => "erlangC, queue",
                "burn-rate" => "burnRate, exhaustion, alertAt, ALERTS",
                "percentile-merge" => "percentile, merge, START",
                _ => "finish, closed, open, percentiles",
            }
        );
        self.chrome.js(&script).await
    }

    /// What a widget says in words.
    async fn status(&self, name: &str) -> String {
        let said = self.chrome.js(&format!("return document.querySelector('{name} [role=status]').innerText")).await;
        said.as_str().unwrap().to_owned()
    }

    /// The part of a widget that a selector finds, after it has come into view.
    async fn part(&self, selector: &str) -> Element {
        self.chrome.js(&format!("document.querySelector(`{selector}`).scrollIntoView({{ block: 'center' }})")).await;
        self.chrome.client.find(Locator::Css(selector)).await.unwrap()
    }

    /// Types where the focus is.
    async fn press(&self, keys: &str) {
        self.chrome.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    async fn focused(&self, expression: &str) -> Value {
        self.chrome.js(&format!("const at = document.activeElement; return {expression}")).await
    }
}

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
    let Some(stage) = Stage::new().await else { return };
    let service = 0.01;
    for (servers, utilisation) in [(1, 0.5), (1, 0.8), (1, 0.99), (2, 0.9), (8, 0.3), (64, 0.95), (64, 0.999)] {
        let load = utilisation * servers as f64;
        let rate = load / service;
        let what = format!("{servers} servers at {utilisation}");
        let got = stage.formula("queue-wait", &format!("queue({rate}, {service}, {servers})")).await;
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
    let nobody = stage.formula("queue-wait", "queue(0, 0.01, 4)").await;
    assert_eq!(
        nobody,
        json!({ "load": 0, "waits": 0, "utilisation": 0, "wait": 0, "p99": 0, "time": 0.01, "inLine": 0, "inSystem": 0 })
    );
    near(&stage.formula("queue-wait", "queue(0.999999, 1, 1).wait * 1e-6").await, 0.999999, "almost full");
    for rate in [100, 120] {
        let full = stage.formula("queue-wait", &format!("queue({rate}, 0.01, 1)")).await;
        for endless in ["wait", "p99", "time", "inLine", "inSystem"] {
            assert_eq!(full[endless], json!("infinity"), "{rate}: {endless}");
        }
        assert_eq!(full["waits"], json!(1));
    }
    stage.chrome.stop().await;
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
    let Some(stage) = Stage::new().await else { return };
    let alerts = [(3600.0, 300.0, 14.4), (21_600.0, 1800.0, 6.0), (86_400.0, 7200.0, 3.0), (259_200.0, 21_600.0, 1.0)];
    let known = stage.formula("burn-rate", "ALERTS.map(({ long, short, factor }) => [long, short, factor])").await;
    for (known, (long, short, factor)) in known.as_array().unwrap().iter().zip(alerts) {
        assert_eq!(
            known,
            &json!([long as u64, short as u64, if factor == 14.4 { json!(14.4) } else { json!(factor as u64) }])
        );
    }
    for (objective, errors) in [(0.999, 0.1), (0.999, 1.0), (0.999, 0.0015), (0.99, 0.1), (0.9, 1.0), (0.9999, 0.05)] {
        let (parts, failing) = ((objective * 1e6_f64).round(), (errors * 1e6_f64).round());
        let rate = stage.formula("burn-rate", &format!("burnRate({failing}, {parts})")).await;
        near(&rate, failing / (1e6 - parts), "burn rate");
        let budget = (1e6 - parts) / 1e6;
        let gone = stage.formula("burn-rate", &format!("exhaustion(burnRate({failing}, {parts}))")).await;
        near(&gone, 30.0 * 86_400.0 * budget / errors, "budget gone");
        for (i, (long, short, factor)) in alerts.into_iter().enumerate() {
            let what = format!("{objective}, {errors}, alert {i}");
            let got = stage.formula("burn-rate", &format!("alertAt(burnRate({failing}, {parts}), ALERTS[{i}])")).await;
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
        assert_eq!(stage.formula("burn-rate", &says(errors, objective)).await, json!(fires), "{errors} {objective}");
    }
    assert_eq!(
        stage.formula("burn-rate", "[burnRate(1, 1e6), exhaustion(0), alertAt(Infinity, ALERTS[0]).after]").await,
        json!(["infinity", "infinity", 0])
    );
    stage.chrome.stop().await;
}

/// The smallest of the values that at least so many thousandths of them do not exceed.
fn by_definition(values: &[u64], thousandths: usize) -> Option<u64> {
    let enough =
        |value: u64| values.iter().filter(|other| **other <= value).count() * 1000 >= thousandths * values.len();
    values.iter().copied().filter(|value| enough(*value)).min()
}

#[tokio::test]
async fn a_merged_percentile_is_that_of_all_requests() {
    let Some(stage) = Stage::new().await else { return };
    type Groups = Vec<(u64, usize)>;
    let start: Vec<(u64, usize, usize)> =
        serde_json::from_value(stage.formula("percentile-merge", "START").await).unwrap();
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
            let got = stage.formula("percentile-merge", &format!("merge({}, {}, {of})", json!(a), json!(b))).await;
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
    stage.chrome.stop().await;
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
    let Some(stage) = Stage::new().await else { return };
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
                stage.formula("coordinated-omission", &format!("{run}.map(({{ took }}) => took)")).await,
            )
            .unwrap();
            let wanted = latencies(open, gap, service, stall, period, until);
            assert_eq!(took, wanted, "{run}");
            let percentiles: Vec<u64> = serde_json::from_value(
                stage.formula("coordinated-omission", &format!("percentiles({run}, [500, 990, 999, 1000])")).await,
            )
            .unwrap();
            let defined = [500, 990, 999, 1000].map(|of| by_definition(&wanted, of).unwrap());
            assert_eq!(percentiles, defined, "{run}");
        }
    }
    stage.chrome.stop().await;
}

#[tokio::test]
async fn the_keyboard_changes_what_every_widget_says() {
    let Some(stage) = Stage::new().await else { return };
    stage.chrome.less_motion().await;
    let controls = stage
        .chrome
        .js("return document.querySelectorAll('.widget-control input, .widget-control select').length")
        .await;
    let mut operated = 0;
    let mut pressed = 0;
    stage.chrome.js("document.querySelector('main h1').tabIndex = -1; document.querySelector('main h1').focus()").await;
    while json!(operated) != controls {
        pressed += 1;
        assert!(pressed < 100, "Tab reached {operated} of {controls} controls");
        stage.press(TAB).await;
        if stage.focused("at.matches('.widget-control input, .widget-control select')").await != json!(true) {
            continue;
        }
        operated += 1;
        let name = stage.focused("at.closest('[role=group]').localName").await;
        let name = name.as_str().unwrap();
        let what = format!("{name}: {}", stage.focused("at.labels[0].innerText").await);
        assert_ne!(
            stage.focused("getComputedStyle(at).outlineStyle").await,
            json!("none"),
            "{what} does not show the focus"
        );
        let before = stage.chrome.js(&format!("return document.querySelector('{name}').innerText")).await;
        if stage.focused("at.localName").await == json!("select") {
            stage.press(HOME).await;
        } else {
            stage.press(RIGHT).await;
            let shown = stage
                .focused(
                    "[at.getAttribute('aria-valuetext'), at.parentElement.querySelector('.widget-value').innerText]",
                )
                .await;
            assert!(shown[0] == shown[1] && shown[0] != json!(""), "{what} says {shown}");
        }
        let after = stage.chrome.js(&format!("return document.querySelector('{name}').innerText")).await;
        assert_ne!(before, after, "{what}: a key changes nothing that is shown");
    }
    assert_eq!(stage.chrome.js("return document.getAnimations().length").await, json!(0));
    assert_eq!(stage.chrome.console().await, [""; 0]);
    stage.chrome.stop().await;
}

#[tokio::test]
async fn requests_are_moved_by_key_and_by_mouse() {
    let Some(stage) = Stage::new().await else { return };
    assert_eq!(
        stage.status("percentile-merge").await,
        "The average of both p99s is 640 ms. The p99 of all 200 requests is 450 ms."
    );
    let on = |server: u32| format!("percentile-merge .server:nth-child({server}) button");
    stage.chrome.js(&format!("document.querySelector('{}:last-child').focus()", on(2))).await;
    stage.press(ENTER).await;
    assert_eq!(
        stage.focused("at.getAttribute('aria-label')").await,
        json!("1 × 1,200 ms on server A, move to server B")
    );
    assert_eq!(
        stage.focused("at.closest('.server').innerText.startsWith('Server A: 197 requests')").await,
        json!(true)
    );
    let moved = stage.status("percentile-merge").await;
    assert!(!moved.contains("640") && moved.ends_with("The p99 of all 200 requests is 450 ms."), "{moved}");
    stage.press(" ").await;
    assert!(stage.status("percentile-merge").await.contains("640 ms"), "and back");

    // Dragged by the mouse from one server to the other.
    let from = stage.part(&format!("{}:first-child", on(1))).await;
    let place = stage
        .chrome
        .js(&format!(
            "const middle = (element) => {{ const box = element.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }};
             return [middle(document.querySelector('{}:first-child')), middle(document.querySelectorAll('percentile-merge .server')[1])]",
            on(1)
        ))
        .await;
    let [[x, y], [to_x, to_y]]: [[f64; 2]; 2] = serde_json::from_value(place).unwrap();
    let go = |x: f64, y: f64| PointerAction::MoveTo { duration: None, x: x.round(), y: y.round() };
    let mouse = MouseActions::new("mouse".into())
        .then(go(x, y))
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(go(f64::midpoint(x, to_x), y + 4.0))
        .then(go(to_x, to_y))
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    stage.chrome.client.perform_actions(mouse).await.unwrap();
    assert_eq!(stage.focused("at.getAttribute('aria-label')").await, json!("50 × 20 ms on server B, move to server A"));
    // A drag that ends nowhere changes nothing, and neither does the click that ends it.
    let place = stage
        .chrome
        .js("const box = document.activeElement.getBoundingClientRect(); return [box.x + 5, box.y + 5]")
        .await;
    let [x, y]: [f64; 2] = serde_json::from_value(place).unwrap();
    let mouse = MouseActions::new("mouse".into())
        .then(go(x, y))
        .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
        .then(go(x, y + 20.0))
        .then(go(5.0, 5.0))
        .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
    stage.chrome.client.perform_actions(mouse).await.unwrap();
    assert_eq!(
        stage
            .chrome
            .js("return document.querySelector('percentile-merge .server:nth-child(2)').innerText.split('\\n')[0]")
            .await,
        json!("Server B: 54 requests")
    );
    // A press is a move, and so is the next key after a drag.
    from.click().await.unwrap();
    assert!(stage.status("percentile-merge").await.contains("640 ms"));
    stage.press(ENTER).await;
    assert!(
        stage
            .chrome
            .js("return document.querySelector('percentile-merge').innerText")
            .await
            .as_str()
            .unwrap()
            .contains("Server B: 54")
    );

    stage.part("percentile-merge .widget-actions button:last-child").await.click().await.unwrap();
    assert!(stage.status("percentile-merge").await.contains("640 ms"), "begun again");
    let all = stage
        .chrome
        .js("return document.querySelectorAll('percentile-merge .server:nth-child(2) button').length")
        .await;
    for _ in 0..all.as_u64().unwrap() {
        stage.part(&format!("{}:first-child", on(2))).await.click().await.unwrap();
    }
    let one = stage.status("percentile-merge").await;
    assert_eq!(
        one,
        "All requests are on one server, so there is nothing to average: its p99 is that of all 200, 450 ms."
    );
    assert!(
        stage
            .chrome
            .js("return document.querySelector('percentile-merge svg').getAttribute('aria-label')")
            .await
            .as_str()
            .unwrap()
            .contains("p99 of server B: no requests")
    );
    assert_eq!(stage.chrome.console().await, [""; 0]);
    stage.chrome.stop().await;
}

#[tokio::test]
async fn the_ends_of_every_scale_are_told_in_words() {
    let Some(stage) = Stage::new().await else { return };
    let slide = async |name: &str, label: &str, key: &str| {
        let at = format!(
            "[...document.querySelectorAll('{name} label')].find((label) => label.innerText === '{label}').control"
        );
        stage.chrome.js(&format!("{at}.focus()")).await;
        stage.press(key).await;
        stage.status(name).await
    };
    let none = slide("queue-wait", "Arrival rate", HOME).await;
    assert_eq!(none, "Busy 0 % of the time: a request waits 0 s on average and is answered after 10 ms.");
    let far = slide("queue-wait", "Arrival rate", END).await;
    assert_eq!(far, "More arrives than can be served: the line grows by 9,900 requests every second, without end.");
    let facts =
        stage.chrome.js("return [...document.querySelectorAll('queue-wait dd')].map((value) => value.innerText)").await;
    assert_eq!(
        (&facts[1], &facts[2], &facts[6]),
        (&json!("100 %"), &json!("grows without end"), &json!("grows without end"))
    );
    slide("queue-wait", "Servers", END).await;
    let most = slide("queue-wait", "Mean service time", HOME).await;
    assert!(most.starts_with("Busy 15.6 % of the time: a request waits under 1 µs on average"), "{most}");

    let outage = slide("burn-rate", "Share of requests that fail", END).await;
    assert_eq!(
        outage,
        "A burn rate of 1,000: somebody is paged after 51.8 s, and the budget of 30 days is gone after 43.2 min."
    );
    let perfect = slide("burn-rate", "Objective", END).await;
    assert!(perfect.starts_with("An objective of 100 % has no budget"), "{perfect}");
    let fine = slide("burn-rate", "Share of requests that fail", HOME).await;
    assert_eq!(fine, "Nothing fails, so nothing burns and nobody is told.");

    let calm = slide("coordinated-omission", "Stall", HOME).await;
    assert_eq!(
        calm,
        "The closed load reports a p99 of 2 ms, the open load one of 2 ms. Nobody had to wait with sending, so both saw the same."
    );
    slide("coordinated-omission", "Stall", END).await;
    slide("coordinated-omission", "Service time", END).await;
    let much = slide("coordinated-omission", "Requests meant to be sent", END).await;
    assert!(much.contains("More is due than the server can do"), "{much}");
    assert_eq!(stage.chrome.console().await, [""; 0]);
    stage.chrome.stop().await;
}

#[tokio::test]
async fn widgets_fit_a_telephone_and_stand_out_in_every_theme() {
    let Some(stage) = Stage::new().await else { return };
    let chrome = &stage.chrome;
    chrome.width(360).await;
    for theme in ["light", "rust", "coal", "navy", "ayu"] {
        stage.open().await;
        chrome.js(&format!("localStorage.setItem('mdbook-theme', '{theme}')")).await;
        chrome.client.refresh().await.unwrap();
        chrome.until("return document.querySelectorAll('.widget-drawing svg').length === 4").await;
        // Several servers draw a second line.
        chrome.js("const servers = document.querySelectorAll('queue-wait input')[2]; servers.value = 7; servers.dispatchEvent(new Event('input'))").await;
        fits(chrome, theme).await;
        let cut = "return [...document.querySelectorAll('.widget-drawing')].filter((box) => box.scrollWidth > box.clientWidth || Math.abs(box.firstChild.clientWidth - box.clientWidth) > 1).length";
        assert_eq!(chrome.js(cut).await, json!(0), "{theme}: a drawing is not as wide as there is room");
        let faint = format!(
            "{CONTRAST}
             const computed = (element) => getComputedStyle(element);
             const paints = {{ text: 'fill', rect: 'fill', circle: 'fill', polyline: 'stroke', path: 'stroke' }};
             const stall = document.querySelector('.stall');
             const html = [...document.querySelectorAll('.widget-title, .widget-control *, button, .servers *, .widget-status, .widget-hint, .widget-note, .widget-facts *, .widget-table *')]
                .filter((element) => element.checkVisibility() && !element.matches('option, input') && contrast(element) < 4.5);
             const drawn = [...document.querySelectorAll('.widget-drawing :is(text, .bar, .marker, .line, .dots, .squares)')]
                .map((element) => [element, ratio(rgb(computed(element)[paints[element.localName] ?? 'stroke']), behind(element))])
                .filter(([element, ratio]) => ratio < (element.localName === 'text' ? 4.5 : 3))
                .map(([element]) => element);
             const over = [...document.querySelectorAll('.dots, .squares')].filter((element) => ratio(rgb(computed(element).stroke), rgb(computed(stall).fill)) < 3);
             return [...html, ...drawn, ...over].map((element) => `${{element.localName}} ${{element.getAttribute('class')}} ${{element.textContent.slice(0, 30)}}`)"
        );
        assert_eq!(chrome.js(&faint).await, json!([]), "{theme}: too faint");
    }
    // Words in a drawing keep their size.
    let sizes = "return [...document.querySelectorAll('.widget-drawing text')].every((text) => parseFloat(getComputedStyle(text).fontSize) >= 13 && text.ownerSVGElement.getScreenCTM().a > 0.99)";
    assert_eq!(chrome.js(sizes).await, json!(true));
    assert_eq!(chrome.console().await, [""; 0]);
    stage.chrome.stop().await;
}

#[tokio::test]
async fn every_control_has_a_name_and_nothing_comes_from_elsewhere() {
    let Some(stage) = Stage::new().await else { return };
    for name in WIDGETS {
        let named = format!(
            "const widget = document.querySelector('{name}');
             const controls = [...widget.querySelectorAll('input, select')];
             return [
                document.getElementById(widget.getAttribute('aria-labelledby')).innerText !== '',
                controls.length > 0 && controls.every((control) => control.labels.length === 1),
                widget.querySelectorAll('[role=status]').length,
                widget.querySelector('svg[role=img]').getAttribute('aria-label').length > 20,
                widget.querySelectorAll('figure').length,
             ]"
        );
        assert_eq!(stage.chrome.js(&named).await, json!([true, true, 1, true, 0]), "{name}");
    }
    let ids =
        "const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id); return ids.length - new Set(ids).size";
    assert_eq!(stage.chrome.js(ids).await, json!(0), "an id is used twice");
    let elsewhere = "return performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => !name.startsWith(location.origin))";
    assert_eq!(stage.chrome.js(elsewhere).await, json!([]));
    stage.chrome.stop().await;
}

#[tokio::test]
async fn without_scripts_a_figure_says_what_the_widget_begins_with() {
    let Some(stage) = Stage::new().await else { return };
    let mut begins = Vec::new();
    for name in WIDGETS {
        begins.push(stage.status(name).await);
    }
    stage.chrome.without_scripts().await;
    stage.open().await;
    for (name, status) in WIDGETS.iter().zip(begins) {
        assert_eq!(
            stage.chrome.js(&format!("return !!document.querySelector('{name} [role=status]')")).await,
            json!(false),
            "no script has run"
        );
        let shown = stage
            .chrome
            .js(&format!(
                "const [drawing, words] = document.querySelectorAll('{name} svg, {name} figcaption');
                 return [drawing.checkVisibility() && drawing.getBoundingClientRect().height > 100, words.innerText]"
            ))
            .await;
        assert_eq!(shown[0], json!(true), "{name} shows no figure");
        let words = shown[1].as_str().unwrap();
        let quantities: Vec<_> = status
            .split(' ')
            .map(|word| word.trim_end_matches(['.', ',', ':']))
            .filter(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))
            .collect();
        assert!(!quantities.is_empty(), "{status}");
        for quantity in quantities {
            assert!(
                words.contains(quantity),
                "{name} begins with {quantity:?} in {status:?}, its figure without: {words}"
            );
        }
    }
    assert_eq!(stage.chrome.console().await, [""; 0]);
    stage.chrome.stop().await;
}

#[test]
fn a_widget_is_small() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("theme/widgets");
    let mut scripts = 0;
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let length = entry.metadata().unwrap().len();
        assert!(length < 15_000, "{} has {length} bytes", entry.path().display());
        scripts += usize::from(entry.path().extension().is_some_and(|ending| ending == "js"));
    }
    // One for each, and what they have in common.
    assert_eq!(scripts, WIDGETS.len() + 1);
}
