//! The page about OrderFlow in a real browser: how it stands, and the reader's own requests.
#![cfg(unix)]

mod beside;
mod chrome;
mod sample;

use std::fs;

use beside::{STAYS, Stage};
use chrome::{Chrome, available};
use sample::{Server, course, write};
use serde_json::json;

const PAGE: &str = "# Tour\n\n<orderflow-state>\n\n*Nothing is known.*\n\n</orderflow-state>\n\n<orderflow-try>\n\n\
    ```console\ncurl 'http://127.0.0.1:8080/api/products/7?a=1'\n```\n\n</orderflow-try>\n";

fn line(words: &str) -> String {
    format!("return document.querySelector('orderflow-state').innerText.includes('{words}')")
}

#[tokio::test]
async fn a_page_follows_orderflow_and_calls_it() {
    if !available() {
        return;
    }
    let root = course();
    write(root.path(), "book/src/first/chapter.md", PAGE);
    let stage = Stage::new(root, STAYS);
    let (server, _) = stage.serve();
    let chrome = Chrome::start().await;
    chrome.width(360).await;
    chrome.goto(&server.url("first/chapter.html")).await;
    chrome.until(&line("is being built")).await;
    stage.allow_build();
    let address = format!("127.0.0.1:{}", stage.upstream.port);
    chrome.until(&line(&address)).await;
    // Its port is not the usual one, and the command is to work as it is shown.
    let command = chrome.js("return document.querySelector('orderflow-try code').textContent").await;
    assert_eq!(command, json!(format!("curl 'http://{address}/api/products/7?a=1'\n")));

    let mut pressed = 0;
    while chrome.js("return document.activeElement.matches('.try button')").await != json!(true) {
        pressed += 1;
        assert!(pressed < 60, "Tab does not reach the button");
        chrome.client.active_element().await.unwrap().send_keys("\u{e004}").await.unwrap();
    }
    chrome.client.active_element().await.unwrap().send_keys("\u{e007}").await.unwrap();
    let result = |words: &str| format!("return document.querySelector('.try .result').innerText.includes('{words}')");
    chrome.until(&result("200 OK")).await;
    assert!(stage.upstream.asked().starts_with("GET /api/products/7?a=1 HTTP/1.1"));
    for words in ["cache-control: public, max-age=60", "\"id\": 7", " ms"] {
        assert_eq!(chrome.js(&result(words)).await, json!(true), "{words}");
    }
    chrome.js("document.querySelectorAll('.try button')[1].click()").await;
    chrome.until(&result("304 Not Modified")).await;
    assert!(stage.upstream.asked().to_lowercase().contains("if-none-match: \"tag\""));
    let widths = "const text = document.getElementById('mdbook-content'); return text.scrollWidth <= text.clientWidth";
    assert_eq!(chrome.js(widths).await, json!(true), "an answer makes the page scroll sideways");
    assert_eq!(chrome.console().await, [""; 0]);

    let pid = fs::read_to_string(stage.path("pid")).unwrap();
    assert!(std::process::Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
    chrome.until(&line("does not run: it has ended")).await;
    chrome.stop().await;
}

#[tokio::test]
async fn without_orderflow_the_page_keeps_to_its_commands() {
    if !available() {
        return;
    }
    let root = course();
    write(root.path(), "book/src/first/chapter.md", PAGE);
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.goto(&server.url("first/chapter.html")).await;
    chrome.until("return document.readyState === 'complete' && !!document.querySelector('.try')").await;
    let shown =
        "return [document.querySelector('orderflow-state').innerText.trim(), document.querySelector('.try').hidden]";
    assert_eq!(chrome.js(shown).await, json!(["Nothing is known.", true]));
    chrome.stop().await;
}
