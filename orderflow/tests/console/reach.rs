//! Who can use the page: with a keyboard, on a telephone, in the dark; and whom it asks.

use serde_json::{Value, json};

use crate::{
    chrome::{Chrome, END, ENTER, LEFT, RIGHT, TAB},
    shop::Shop,
    stand_in::StandIn,
};

/// Contrast as WCAG 2.2 defines it, of a text against the nearest background that is painted.
const FAINT: &str = r"
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = rgba(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    const contrast = (element, colour, ground) => {
        const [a, b] = [light(rgba(colour)), light(behind(ground))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    const faint = (elements, property, least) => elements
        .map((element) => [element, contrast(element, getComputedStyle(element)[property], property === 'color' ? element : element.parentElement)])
        .filter(([element, ratio]) => element.checkVisibility() && ratio < least)
        .map(([element, ratio]) => `${element.tagName} ${element.id || element.getAttribute('class')} ${ratio.toFixed(2)} ${element.textContent.slice(0, 30)}`);
    const texts = [...document.querySelectorAll('body *')]
        .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
        .filter((element) => !element.closest('svg, script, noscript, option, .unseen'));
    return [...faint(texts, 'color', 4.5), ...faint([...document.querySelectorAll('.line')], 'stroke', 3),
        ...faint([...document.querySelectorAll('.track i')], 'backgroundColor', 3)];
";

/// A trace of everything that a waterfall can show, with names that have no room on a telephone.
fn wide() -> Value {
    let long = "unbroken".repeat(12);
    let span = |id: &str, parent: Option<&str>, kind: &str, error: bool| {
        json!({ "span_id": id, "parent_id": parent, "name": format!("{kind} {long}"), "kind": kind, "offset_ms": 1.0,
            "duration_ms": 2.5, "error": error, "attributes": { "db.query.name": long.clone() } })
    };
    json!({ "traces": [{
        "trace_id": "0123456789abcdef".repeat(2), "request_id": long, "name": format!("GET /{long}"), "route": null,
        "status": 503, "started": "2026-11-21T14:00:00.123456Z", "duration_ms": 4.5, "kept": ["slow", "failed"],
        "sampled": true, "spans": [
            span("a", None, "server", false), span("b", Some("a"), "client", false), span("c", Some("b"), "internal", false),
            span("d", Some("a"), "consumer", false), span("e", Some("nobody"), "client", true),
        ],
    }], "kept": {} })
}

fn metrics() -> String {
    let route = "/api/".to_owned() + &"unbroken".repeat(12);
    let labels = format!("method=\"GET\",route=\"{route}\"");
    format!(
        "http_requests_total{{{labels},status=\"200\"}} 123456789\n\
         http_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}} 123456789 # {{trace_id=\"{}\"}} 12.5\n\
         http_requests_in_flight{{route=\"{route}\"}} 99\ndb_pool_max{{pool=\"primary\"}} 16\n\
         db_pool_connections{{pool=\"primary\",state=\"used\"}} 13\njobs_dead 7\n\
         db_queries_total{{statement=\"{}\",outcome=\"ok\"}} 5\n",
        "0123456789abcdef".repeat(2),
        "unbroken".repeat(12),
    )
}

/// Each part of the page, as it is with much in it.
async fn visit(chrome: &Chrome, stand_in: &StandIn, mut look: impl AsyncFnMut(&str)) {
    let trace = format!("#trace={}", "0123456789abcdef".repeat(2));
    let parts = [
        (
            "#overview",
            "return document.querySelectorAll('#routes tbody tr').length > 0 && document.querySelectorAll('#dependencies dt').length > 0",
        ),
        ("#inside", "return document.querySelectorAll('#statements tbody tr').length > 0"),
        ("#profile", "return !document.querySelector('#panel-profile').hidden"),
        (
            trace.as_str(),
            "return document.querySelectorAll('#waterfall li').length === 5 && document.querySelectorAll('#trace-list li').length === 1",
        ),
    ];
    for (fragment, there) in parts {
        chrome.goto("about:blank").await;
        chrome.goto(&stand_in.url(fragment)).await;
        chrome.until(there).await;
        chrome.until("return document.querySelector('#latency svg').hasAttribute('aria-label')").await;
        chrome.js("document.querySelectorAll('#waterfall button').forEach((button) => button.click())").await;
        look(fragment).await;
    }
}

async fn crowded() -> StandIn {
    let stand_in = StandIn::start(&metrics()).await;
    stand_in.says(|says| {
        says.traces = wide();
        says.health["replicas"] = json!([{ "ok": false, "state": "lagging", "critical": false, "lag_ms": 8123.0 }]);
        says.health["broker"] = json!({ "ok": false, "critical": true });
    });
    stand_in
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fits_a_telephone() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, crowded().await);
    chrome.width(360).await;
    visit(&chrome, &stand_in, async |part| {
        let wide = chrome
            .js("return [innerWidth, document.scrollingElement.scrollWidth, ...[...document.querySelectorAll('main *')]
                .filter((element) => element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1)
                .map((element) => element.tagName + ' ' + element.className)]")
            .await;
        let [width, needed, wider @ ..] = wide.as_array().unwrap().as_slice() else { panic!("{wide}") };
        assert_eq!((width, wider), (&json!(360), &[][..]), "{part}");
        assert!(needed.as_u64() <= Some(360), "{part} scrolls sideways: {needed}");
    })
    .await;
    // A trace takes the list's place, and gives it back.
    let list = "return document.querySelector('#trace-list').checkVisibility()";
    assert_eq!(chrome.js(list).await, json!(false));
    chrome.click("#close").await;
    chrome.until(list).await;
    chrome.until("return document.activeElement === document.querySelector('#trace-list a')").await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_stands_out_by_day_and_by_night() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, crowded().await);
    for (theme, bright) in [("light", true), ("dark", false)] {
        chrome.prefer("prefers-color-scheme", theme).await;
        visit(&chrome, &stand_in, async |part| {
            assert_eq!(chrome.js(FAINT).await, json!([]), "{theme} {part}");
            let ground =
                chrome.js("return Number(/[0-9]+/.exec(getComputedStyle(document.body).backgroundColor)[0])").await;
            assert_eq!(ground.as_u64().unwrap() > 128, bright, "{theme} {part}");
        })
        .await;
    }
    chrome.prefer("prefers-reduced-motion", "reduce").await;
    let moves = "return [...document.querySelectorAll('*')].filter((element) => {
        const { transitionDuration, animationName } = getComputedStyle(element);
        return animationName !== 'none' || !/^(0s(, )?)+$/.test(transitionDuration);
    }).length";
    assert_eq!(chrome.js(moves).await, 0);
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyboard_reaches_everything() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, crowded().await);
    chrome.goto(&stand_in.url("")).await;
    chrome.until("return document.querySelectorAll('#routes tbody a').length > 0").await;
    let focus =
        "return document.activeElement.id || document.activeElement.className || document.activeElement.innerText";
    // The first stop leads past the tabs.
    chrome.press(TAB).await;
    assert_eq!(chrome.js(focus).await, "skip");
    assert!(chrome.js("return document.activeElement.getBoundingClientRect().left").await.as_f64().unwrap() >= 0.0);
    chrome.press(ENTER).await;
    assert_eq!(chrome.js(focus).await, "main");
    // It is no address of a part, and the overview is still there.
    assert_eq!(chrome.js("return document.querySelector('#panel-overview').hidden").await, json!(false));

    // Tabs are one stop; arrows go between them, round the end.
    chrome.js("document.querySelector('#tab-overview').focus()").await;
    for (key, tab) in [
        (RIGHT, "traces"),
        (RIGHT, "inside"),
        (LEFT, "traces"),
        (END, "profile"),
        (RIGHT, "overview"),
        (LEFT, "profile"),
    ] {
        chrome.press(key).await;
        assert_eq!(chrome.js(focus).await, format!("tab-{tab}"));
        let open = "return [...document.querySelectorAll('[role=tabpanel]')].filter((panel) => !panel.hidden).map(({ id }) => id)";
        assert_eq!(chrome.js(open).await, json!([format!("panel-{tab}")]));
    }

    // In each part Tab comes to whatever can be used, in order, and what has the focus shows it.
    visit(&chrome, &stand_in, async |part| {
        chrome.js("document.querySelector('#trace-name').blur(); document.querySelector('#main').focus()").await;
        let script = "return [...document.querySelectorAll('#main :is(a, button, input, select, [tabindex=\"0\"])')]
            .filter((element) => element.checkVisibility() && !element.disabled).length";
        let all = chrome.js(script).await.as_u64().unwrap();
        let (mut seen, mut steps) = (0, 0);
        chrome.js("window.seen = new Set()").await;
        while seen < all {
            chrome.press(TAB).await;
            let outline = chrome.js("return getComputedStyle(document.activeElement).outlineStyle").await;
            assert_ne!(outline, "none", "{part}: {}", chrome.js(focus).await);
            let script = "if (document.querySelector('#main').contains(document.activeElement)) seen.add(document.activeElement); return seen.size";
            seen = chrome.js(script).await.as_u64().unwrap();
            steps += 1;
            assert!(steps <= all + 5, "{part}: Tab comes to {seen} of {all}");
        }
    })
    .await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_is_asked() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, shop) = (chrome.await, Shop::open());
    let visit = shop.visited();
    // The browser's own first page is no concern of ours.
    chrome.goto("about:blank").await;
    chrome.asked().await;
    chrome.goto(&shop.console("")).await;
    for part in ["traces", "inside", "profile", "overview"] {
        chrome.click(&format!("#tab-{part}")).await;
        chrome.until("return document.querySelector('#ready').innerText === 'ready'").await;
    }
    chrome.until("return document.querySelectorAll('#routes tbody tr').length > 0").await;
    visit.end().await;
    let asked = chrome.asked().await;
    assert!(asked.iter().any(|address| address.ends_with("/metrics")), "{asked:?}");
    let own = format!("http://{}/", shop.ops);
    let known = [own.as_str(), "data:", "chrome://"];
    let foreign: Vec<_> = asked.iter().filter(|address| !known.iter().any(|own| address.starts_with(own))).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert_eq!(chrome.console().await, [""; 0], "nothing failed, and no policy was broken");
    chrome.stop().await;
}
