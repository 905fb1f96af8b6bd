//! A page with every widget, open in a browser.
#![allow(dead_code, reason = "each test target uses a part of this")]

use book::widget::NAMES;
use fantoccini::{elements::Element, wd::Locator};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    chrome::{Chrome, available},
    sample::{Server, course, write},
};

/// A page with every widget, and a browser that has opened it.
pub(crate) struct WidgetPage {
    pub(crate) chrome: Chrome,
    server: Server,
    _root: TempDir,
}

impl WidgetPage {
    /// None where there is no browser.
    pub(crate) async fn new() -> Option<Self> {
        if !available() {
            return None;
        }
        let root = course();
        let page = NAMES.map(|name| format!("{{{{#widget {name}}}}}")).join("\n\n");
        write(root.path(), "book/src/first/chapter.md", &format!("# Chapter\n\n{page}\n"));
        let server = Server::start(root.path());
        let chrome = Chrome::start().await;
        let stage = Self { chrome, server, _root: root };
        stage.open().await;
        stage
            .chrome
            .until(&format!("return document.querySelectorAll('.widget-status').length === {}", NAMES.len()))
            .await;
        Some(stage)
    }

    pub(crate) async fn open(&self) {
        self.chrome.goto(&self.server.url("first/chapter.html")).await;
    }

    /// What an expression over a widget's `formulas` is; infinity is told as text.
    pub(crate) async fn formula(&self, name: &str, expression: &str) -> Value {
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
    pub(crate) async fn status(&self, name: &str) -> String {
        let said = self.chrome.js(&format!("return document.querySelector('{name} [role=status]').innerText")).await;
        said.as_str().unwrap().to_owned()
    }

    /// The part of a widget that a selector finds, after it has come into view.
    pub(crate) async fn part(&self, selector: &str) -> Element {
        self.chrome.js(&format!("document.querySelector(`{selector}`).scrollIntoView({{ block: 'center' }})")).await;
        self.chrome.client.find(Locator::Css(selector)).await.unwrap()
    }

    /// Types where the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.chrome.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    pub(crate) async fn focused(&self, expression: &str) -> Value {
        self.chrome.js(&format!("const at = document.activeElement; return {expression}")).await
    }
}
