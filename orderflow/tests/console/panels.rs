//! Every panel on a real service under a little load.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    chrome::{Chrome, ENTER, PATIENCE},
    shop::{Shop, ask, ask_with},
};

/// The values of a list of facts by their names.
async fn facts(chrome: &Chrome, list: &str) -> Value {
    let script = format!(
        "return Object.fromEntries([...document.querySelectorAll('{list} > div')]
            .map((row) => [row.querySelector('dt').innerText, row.querySelector('dd').innerText]))"
    );
    chrome.js(&script).await
}

/// Waits until each of these facts has a value with a digit in it.
async fn filled(chrome: &Chrome, list: &str, names: &[&str]) {
    let started = Instant::now();
    loop {
        let shown = facts(chrome, list).await;
        let known = |name: &str| shown[name].as_str().is_some_and(|value| value.contains(|c: char| c.is_ascii_digit()));
        if names.iter().all(|name| known(name)) {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{list} never has all of {names:?}: {shown}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_fills() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, shop) = (chrome.await, Shop::open());
    let visit = shop.visited();
    chrome.goto(&shop.console("")).await;

    chrome.until("return document.querySelector('#ready').innerText === 'ready'").await;
    for signal in ["latency", "traffic", "errors", "saturation"] {
        let value = format!("document.querySelector('#{signal} .value').innerText");
        chrome.until(&format!("return /^[0-9.,]+ ?(µs|ms|s|%|\\/s)$/.test({value})")).await;
        chrome
            .until(&format!("return document.querySelector('#{signal} .line').getAttribute('d').includes('L')"))
            .await;
        assert!(chrome.text(&format!("#{signal} .meaning")).await.len() > 60);
    }
    filled(&chrome, "#latency dl", &["p50", "p95", "Statements, p99"]).await;
    filled(&chrome, "#traffic dl", &["Answered from a cache", "Statements", "Notifications sent"]).await;
    filled(&chrome, "#errors dl", &["4xx answers", "Statements that failed"]).await;
    filled(&chrome, "#saturation dl", &["Requests in flight", "Wait for a connection, p99", "Scheduling delay, p99"])
        .await;
    assert!(facts(&chrome, "#dependencies").await["Database, sqlite"].as_str().unwrap().starts_with("ok, "));

    // The table has what was asked for, and sorts by whatever is clicked.
    let column = |at: usize| {
        format!("[...document.querySelectorAll('#routes tbody tr')].map((row) => row.children[{at}].innerText)")
    };
    for route in ["GET /api/products/{id}", "POST /api/orders", "GET /api/customers/{id}"] {
        chrome.until(&format!("return {}.includes('{route}')", column(0))).await;
    }
    chrome.click("#routes thead th:first-child button").await;
    let names = chrome.js(&format!("return {}", column(0))).await;
    let names: Vec<String> = serde_json::from_value(names).unwrap();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(chrome.js("return document.querySelector('#routes th').getAttribute('aria-sort')").await, "ascending");
    chrome.click("#routes thead th:first-child button").await;
    assert_eq!(chrome.js("return document.querySelector('#routes th').getAttribute('aria-sort')").await, "descending");

    chrome.click("#tab-inside").await;
    filled(&chrome, "#pools", &["Wait, p50", "Wait, p99"]).await;
    filled(&chrome, "#caches", &["Hit ratio", "Hits in memory", "Misses", "Entries", "Memory"]).await;
    filled(&chrome, "#queues", &["Notifications waiting", "Dead letters", "From the outbox", "Sent", "Sending, p99"])
        .await;
    filled(&chrome, "#runtime", &["Workers busy", "Tasks", "Scheduling delay, p50", "Traces begun"]).await;
    filled(
        &chrome,
        "#process",
        &["Processor time, of one", "Resident memory", "Files and sockets", "Threads", "Running for"],
    )
    .await;
    chrome.until("return document.querySelector('#statements tbody').innerText.includes('orders by id')").await;
    chrome.until("return document.querySelectorAll('#slow-statements li').length > 0").await;

    chrome.click("#tab-profile").await;
    chrome.js("document.querySelector('[name=seconds]').value = 1").await;
    chrome.click("#take-cpu").await;
    chrome.until("return document.querySelector('#profile-said').innerText === 'Done.'").await;
    chrome.until("return document.querySelector('#picture img').naturalWidth > 0").await;
    visit.end().await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_found_and_opened() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, shop) = (chrome.await, Shop::open());
    let visit = shop.visited();
    chrome.goto(&shop.console("#traces")).await;
    chrome.until("return document.querySelectorAll('#trace-list a').length > 10").await;
    visit.end().await;
    // A search by route and by status.
    chrome
        .until(
            "return [...document.querySelector('[name=route]').options].some(({ value }) => value === '/api/orders')",
        )
        .await;
    let choose = |name: &str, value: &str| {
        format!(
            "const select = document.querySelector('[name={name}]'); select.value = '{value}'; select.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        )
    };
    let names = |wanted: &str| {
        format!(
            "const names = [...document.querySelectorAll('#trace-list .name')]; return names.length > 0 && names.every((name) => name.innerText === '{wanted}')"
        )
    };
    chrome.js(&choose("route", "/api/orders")).await;
    chrome.until(&names("POST /api/orders")).await;
    chrome.js(&choose("status", "404")).await;
    chrome.until("return document.querySelector('#found').innerText.includes('No trace')").await;
    chrome.js(&choose("route", "/api/customers/{id}")).await;
    chrome.until(&names("GET /api/customers/{id}")).await;
    chrome.js(&choose("status", "")).await;
    chrome.js(&choose("route", "/api/orders/{id}")).await;
    chrome.until(&names("GET /api/orders/{id}")).await;

    // One opens with the keyboard, tells of its parts, and its address opens it again.
    chrome.js("document.querySelector('#trace-list a').focus()").await;
    chrome.press(ENTER).await;
    chrome.until("return document.querySelectorAll('#waterfall li').length > 0").await;
    chrome.until("return document.activeElement.id === 'trace-name'").await;
    assert_eq!(chrome.text("#trace-name").await, "GET /api/orders/{id}");
    let shown = "return [...document.querySelectorAll('#waterfall .name')].map((name) => name.innerText)";
    let spans = chrome.js(shown).await;
    assert_eq!(spans[0], "GET /api/orders/{id}");
    chrome.click("#waterfall button").await;
    chrome.until("return document.querySelector('.attributes').innerText.includes('/api/orders/{id}')").await;
    assert_eq!(chrome.js("return document.querySelector('#waterfall button').ariaExpanded").await, "true");
    let address = chrome.js("return location.href").await;
    chrome.goto("about:blank").await;
    chrome.goto(address.as_str().unwrap()).await;
    chrome.until("return document.querySelectorAll('#waterfall li').length > 0").await;
    assert_eq!(chrome.js(shown).await, spans);
    chrome.click("#close").await;
    chrome.until("return document.querySelector('#trace').hidden && location.hash === '#traces'").await;

    // One that is not kept says so, and an exemplar leads to one that is.
    chrome.goto(&shop.console(&format!("#trace={}", "0123456789abcdef".repeat(2)))).await;
    chrome.until("return document.querySelector('#trace-note').innerText.includes('not kept')").await;
    chrome.goto(&shop.console("#overview")).await;
    chrome.until("return !!document.querySelector('#slow-trace a')").await;
    chrome.click("#slow-trace a").await;
    chrome.until("return document.querySelectorAll('#waterfall li').length > 0").await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_tells_how_it_does() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, shop) = (chrome.await, Shop::open());
    chrome.goto(&shop.console("")).await;
    chrome.until("return ['TTFB', 'FCP', 'LCP'].every((name) => new RegExp(name + '[^\\\\n]*\\\\s+[0-9.]+ (µs|ms|s)').test(document.querySelector('#vitals').innerText))").await;
    // An interaction counts once it took two frames, which not every click does.
    let started = Instant::now();
    while !chrome.text("#vitals > :last-child dd").await.contains("ms") {
        assert!(started.elapsed() < PATIENCE, "no click takes two frames");
        chrome.js("document.querySelector('#tab-inside').addEventListener('click', () => { const until = performance.now() + 40; while (performance.now() < until); }, { once: true })").await;
        chrome.click("#tab-inside").await;
        chrome.click("#tab-overview").await;
    }
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.goto("about:blank").await;
    let started = Instant::now();
    loop {
        let metrics = ask(shop.ops, "GET", "/metrics", "").await.text();
        let told = |vital: &str| metrics.contains(&format!("console_vitals_seconds_count{{vital=\"{vital}\"}} 1\n"));
        if ["TTFB", "FCP", "LCP", "INP"].into_iter().all(told) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "the page never told how it did:\n{metrics}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_no_page_sends_is_refused() {
    let shop = Shop::open();
    let send = async |body: &str| ask(shop.ops, "POST", "/console/vitals", body).await.status;
    assert_eq!(send(r#"{"LCP":0.1}"#).await, 204);
    assert_eq!(send(r#"{"LCP":-1}"#).await, 422);
    assert_eq!(send(r#"{"LCP":1e9}"#).await, 422);
    assert_eq!(send(r#"{"vital":"\"} 1"}"#).await, 422);
    assert_eq!(send("").await, 422);
    assert_eq!(send(&format!("{}{{}}", " ".repeat(600))).await, 413);
    let foreign = ask_with(shop.ops, "POST", "/console/vitals", "Origin: http://elsewhere.example\r\n", r#"{"LCP":1}"#);
    assert_eq!(foreign.await.status, 403);
    let metrics = ask(shop.ops, "GET", "/metrics", "").await.text();
    assert!(metrics.contains("console_vitals_seconds_count{vital=\"LCP\"} 1\n"), "{metrics}");
    assert_eq!(metrics.matches("console_vitals_seconds_count{").count(), 1, "nothing but a vital becomes a label");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_small_and_may_load_nothing_else() {
    let shop = Shop::open();
    let page = ask(shop.ops, "GET", "/console", "").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none';"), "{}", page.head);
    assert!(!page.head.contains("unsafe"), "{}", page.head);
    let mut sent = 0;
    for (path, kind) in orderflow::ops::console::listed() {
        let answer = ask_with(shop.ops, "GET", path, "Accept-Encoding: br, gzip\r\n", "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.head.contains(&format!("content-type: {kind}")), "{path}: {}", answer.head);
        sent += answer.body.len();
    }
    assert!(sent < 40 * 1024, "the page and its files are {sent} bytes");
    let limits: Value = serde_json::from_str(&ask(shop.ops, "GET", "/console/limits", "").await.text()).unwrap();
    assert_eq!((&limits["max_in_flight"], &limits["slow_statement_ms"]), (&json!(1024), &json!(1)));
}
