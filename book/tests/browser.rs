//! The real book in a real browser: headless Chromium under chromedriver, on a copy of the course, so that the
//! learner's own state is neither shown nor touched.

mod chrome;
mod sample;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use catalogue::{Catalogue, Status};
use chrome::{
    Chrome, available,
    look::{CONTRAST, fits},
};
use sample::{Server, copy, verdict};
use serde_json::json;
use tempfile::TempDir;

/// A copy of the course that this crate is part of.
fn real_course() -> TempDir {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let root = tempfile::tempdir().unwrap();
    // Listings are included from any of these that are there.
    for part in ["book", "exercises", "solutions", "orderflow", "playbooks", "xtask"] {
        if real.join(part).is_dir() {
            copy(&real.join(part), &root.path().join(part));
        }
    }
    root
}

/// Addresses of all pages of the book.
fn pages(root: &Path) -> Vec<String> {
    let site = book::site::render(root).unwrap();
    let of_prose = |name: &str| name != "404.html" && name != "toc.html";
    let pages: Vec<String> = site.pages().map(|(name, _)| name.to_owned()).filter(|name| of_prose(name)).collect();
    assert!(pages.len() > 1);
    pages
}

/// An exercise with a card, and the page that has it.
fn card(root: &Path) -> (String, String) {
    let site = book::site::render(root).unwrap();
    let shown = |slug: &str| {
        let wanted = format!("<course-card data-slug=\"{slug}\"");
        let (page, _) = site.pages().find(|(_, html)| html.contains(&wanted))?;
        Some((slug.to_owned(), page.to_owned()))
    };
    Catalogue::read(root).slugs().find_map(shown).expect("some page of the book has the card of an exercise")
}

#[tokio::test]
async fn a_card_shows_a_verdict_as_it_is_made() {
    if !available() {
        return;
    }
    let root = real_course();
    let (slug, page) = card(root.path());
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.goto(&server.url(&page)).await;
    let state = |word: &str| {
        format!(
            "const line = document.querySelector('course-card[data-slug=\"{slug}\"] .card-state'); return !line.hidden && line.innerText.includes('{word}')"
        )
    };
    chrome.until(&state("Not started")).await;
    // A mark on the page tells whether it is still the one that was loaded.
    chrome.js("window.unreloaded = true").await;
    verdict(root.path(), &slug, true, Status::Skipped, "");
    chrome.until(&state("Checking, 0 of")).await;
    let turning = "return getComputedStyle(document.querySelector('.card-state .turn')).animationName";
    assert_eq!(chrome.js(turning).await, json!("turn"));
    chrome.less_motion().await;
    assert_eq!(chrome.js(turning).await, json!("none"));
    verdict(root.path(), &slug, false, Status::Fail, "Each `+` made a <new> String.\n  - a   b\n  +  a b\nSo.");
    chrome.until(&state("Not passed yet, 0 of")).await;
    let shown = chrome.js("return document.querySelector('.check-verdict').innerText").await;
    assert!(shown.as_str().unwrap().contains("Each + made a <new> String."), "{shown}");
    let rows = chrome.js("return document.querySelector('.check-verdict pre').textContent").await;
    assert_eq!(rows, json!("  - a   b\n  +  a b"));
    assert_eq!(chrome.js("return document.querySelector('.checks').getAttribute('aria-live')").await, json!("polite"));
    verdict(root.path(), &slug, false, Status::Pass, "");
    chrome.until(&state("Passed, ")).await;
    chrome
        .until("return [...document.querySelectorAll('.check .mark')].every((mark) => mark.dataset.shape === 'pass')")
        .await;
    assert_eq!(chrome.js("return window.unreloaded").await, json!(true), "verdicts need no reload");
    fs::remove_dir_all(root.path().join(catalogue::STATE_DIR)).unwrap();
    chrome.until(&state("Not started")).await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test]
async fn an_edit_reloads_and_a_bad_one_says_why() {
    if !available() {
        return;
    }
    let root = real_course();
    let (_, page) = card(root.path());
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.goto(&server.url(&page)).await;
    let file = root.path().join("book/src").join(page.replace(".html", ".md"));
    let before = fs::read_to_string(&file).unwrap();
    chrome.until("return !document.querySelector('.card-state').hidden").await;
    fs::write(&file, format!("{before}\n\n{{{{#exercise nobody}}}}\n")).unwrap();
    chrome
        .until("return document.querySelector('.course-bar')?.innerText.includes('no exercise `nobody`') === true")
        .await;
    fs::write(&file, format!("{before}\n\nMended and edited.\n")).unwrap();
    chrome
        .until(
            "return document.body.innerText.includes('Mended and edited.') && !document.querySelector('.course-bar')",
        )
        .await;
    chrome.stop().await;
}

#[tokio::test]
async fn a_page_outlives_its_server() {
    if !available() {
        return;
    }
    let root = real_course();
    let (slug, page) = card(root.path());
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.goto(&server.url(&page)).await;
    chrome.until("return !document.querySelector('.card-state').hidden").await;
    let port = server.port;
    drop(server);
    chrome
        .until("return document.querySelector('.course-bar')?.innerText.includes('cargo xtask start') === true")
        .await;
    verdict(root.path(), &slug, false, Status::Pass, "");
    let _server = Server::start_at(root.path(), port);
    chrome.until("return !document.querySelector('.course-bar') && document.querySelector('.card-state').innerText.includes('Passed')").await;
    chrome.stop().await;
}

#[tokio::test]
async fn the_keyboard_reaches_and_opens_a_hint() {
    if !available() {
        return;
    }
    let root = real_course();
    let (_, page) = card(root.path());
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.goto(&server.url(&page)).await;
    chrome.until("return !document.querySelector('.card-state').hidden").await;
    let mut pressed = 0;
    while chrome.js("return document.activeElement.matches('.hints summary')").await != json!(true) {
        pressed += 1;
        assert!(pressed < 200, "Tab does not reach the hints");
        chrome.client.active_element().await.unwrap().send_keys("\u{e004}").await.unwrap();
    }
    assert_eq!(chrome.js("return document.activeElement.parentElement.open").await, json!(false));
    let outline = chrome.js("return getComputedStyle(document.activeElement).outlineStyle").await;
    assert_ne!(outline, json!("none"), "what has the focus must show it");
    chrome.client.active_element().await.unwrap().send_keys("\u{e007}").await.unwrap();
    chrome.until("return document.activeElement.parentElement.open && document.activeElement.nextElementSibling.offsetHeight > 0").await;
    // The table of contents, which mdBook leaves out of the keyboard's reach.
    chrome.js("document.getElementById('mdbook-sidebar-toggle').focus()").await;
    let open = "return document.getElementById('mdbook-sidebar-toggle-anchor').checked";
    let before = chrome.js(open).await;
    chrome.client.active_element().await.unwrap().send_keys("\u{e007}").await.unwrap();
    assert_ne!(chrome.js(open).await, before);
    chrome.stop().await;
}

#[tokio::test]
async fn every_page_fits_a_telephone_without_errors() {
    if !available() {
        return;
    }
    let root = real_course();
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.width(360).await;
    for page in pages(root.path()) {
        chrome.goto(&server.url(&page)).await;
        fits(&chrome, &page).await;
        assert_eq!(chrome.console().await, [""; 0], "{page}");
    }
    chrome.stop().await;
}

#[tokio::test]
async fn text_stands_out_in_every_theme() {
    if !available() {
        return;
    }
    let root = real_course();
    let (slug, page) = card(root.path());
    verdict(root.path(), &slug, false, Status::Fail, "Count `first`.");
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    let faint = format!(
        "{CONTRAST}
         return [...document.querySelectorAll('main *, .chapter a, .menu-title')]
            .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
            .filter((element) => element.checkVisibility() && !element.closest('svg'))
            .filter((element) => contrast(element) < 4.5)
            .map((element) => `${{element.className || element.tagName}} ${{contrast(element).toFixed(2)}} ${{element.textContent.slice(0, 40)}}`)"
    );
    for (theme, dark) in [("light", false), ("rust", false), ("coal", true), ("navy", true), ("ayu", true)] {
        chrome.goto(&server.url(&page)).await;
        chrome.js(&format!("localStorage.setItem('mdbook-theme', '{theme}')")).await;
        chrome.client.refresh().await.unwrap();
        chrome.until("return !!document.querySelector('.check-verdict')").await;
        let background =
            chrome.js(&format!("{CONTRAST} return luminance(behind(document.querySelector('main')))")).await;
        assert_eq!(background.as_f64().unwrap() < 0.1, dark, "{theme}: the background's luminance is {background}");
        assert_eq!(chrome.js(&faint).await, json!([]), "{theme}: text that is too faint");
        // The page with listings and data, whose colours are the highlighter's.
        chrome.goto(&server.url("service/tour.html")).await;
        chrome
            .until("return !!document.querySelector('.hljs-comment') && !!document.querySelector('.hljs-attr')")
            .await;
        assert_eq!(chrome.js(&faint).await, json!([]), "{theme}: code that is too faint");
    }
    chrome.stop().await;
}

#[tokio::test]
async fn figures_fit_a_telephone_and_stand_out() {
    if !available() {
        return;
    }
    let root = sample::course();
    let lines = r#"{"kind": "lines", "x": {"label": "load", "log": true}, "y": {"label": "p99"}, "series": ["#
        .to_owned()
        + &["a", "b", "c", "d", "e", "f"]
            .map(|label| format!(r#"{{"label": "{label}", "points": [[10, 1], [1000, 9]]}}"#))
            .join(",")
        + "]}";
    let wide = format!(r#"{{"kind": "table", "columns": ["a", "b"], "rows": [["{0}", "{0}"]]}}"#, "unbroken".repeat(9));
    let mut page = String::from("# Chapter\n");
    for (name, figure) in [
        ("lines", lines.as_str()),
        ("table", wide.as_str()),
        ("bars", r#"{"kind": "bars", "unit": "ms", "bars": [{"label": "a", "value": 3}]}"#),
        ("picture", r#"{"kind": "svg", "file": "wide.svg", "alt": "wide"}"#),
    ] {
        sample::write(root.path(), &format!("book/evidence/{name}.json"), &sample::evidence(figure));
        page.extend(["\n{{#evidence ", name, "}}\n"]);
    }
    // As inferno draws them: the script makes frames of a flamegraph clickable.
    let picture = r##"<svg xmlns="http://www.w3.org/2000/svg" width="1200" height="90" onload="init()">
        <script><![CDATA[function init() { document.documentElement.setAttribute("data-live", "yes"); }]]></script>
        <rect width="1200" height="90" fill="#eee"/></svg>"##;
    sample::write(root.path(), "book/evidence/wide.svg", picture);
    sample::write(root.path(), "book/src/first/chapter.md", &page);
    let server = Server::start(root.path());
    let chrome = Chrome::start().await;
    chrome.width(360).await;
    for theme in ["light", "rust", "coal", "navy", "ayu"] {
        chrome.goto(&server.url("first/chapter.html")).await;
        chrome.js(&format!("localStorage.setItem('mdbook-theme', '{theme}')")).await;
        chrome.client.refresh().await.unwrap();
        chrome.until("return document.querySelector('.picture img').naturalWidth === 1200").await;
        fits(&chrome, "a page of figures").await;
        // Text needs 4.5 to 1, the shapes that carry the values 3 to 1.
        let faint = chrome
            .js(&format!(
                "{CONTRAST}
                 const drawn = (selector, property, least) => [...document.querySelectorAll(selector)]
                    .map((element) => [element, ratio(rgb(getComputedStyle(element)[property]), behind(element))])
                    .filter(([, ratio]) => ratio < least)
                    .map(([element, ratio]) => `${{element.getAttribute('class')}} ${{ratio.toFixed(2)}}`);
                 return [...drawn('.plot text', 'fill', 4.5), ...drawn('.plot .line', 'stroke', 3), ...drawn('.plot .bar', 'fill', 3)]"
            ))
            .await;
        assert_eq!(faint, json!([]), "{theme}: drawn too faintly");
    }
    assert_eq!(chrome.js("return document.querySelectorAll('.plot').length").await, json!(2));
    chrome.goto(&server.url("evidence/wide.svg")).await;
    chrome.until("return document.documentElement.getAttribute('data-live') === 'yes'").await;
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test]
async fn the_book_opens_from_disk() {
    if !available() {
        return;
    }
    let root = real_course();
    let dest: PathBuf = root.path().join("pages");
    let built = Command::new(env!("CARGO_BIN_EXE_book"))
        .arg("--root")
        .arg(root.path())
        .arg("build")
        .arg("--dest")
        .arg(&dest)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let chrome = Chrome::start().await;
    for page in pages(root.path()) {
        chrome.goto(&format!("file://{}", dest.join(&page).display())).await;
        chrome
            .until("return document.readyState === 'complete' && document.querySelectorAll('.chapter a').length > 1")
            .await;
        assert_eq!(chrome.console().await, [""; 0], "{page}");
    }
    let (slug, page) = card(root.path());
    chrome.goto(&format!("file://{}", dest.join(&page).display())).await;
    let card = format!("return document.querySelector('course-card[data-slug=\"{slug}\"]').innerText");
    let text = chrome.js(&card).await;
    assert!(text.as_str().unwrap().contains(&format!("cargo xtask check {slug}")), "{text}");
    assert_eq!(
        chrome.js("return document.querySelector('.card-state').hidden").await,
        json!(true),
        "nobody is asked for verdicts"
    );
    chrome.goto(&format!("file://{}?search={slug}", dest.join(&page).display())).await;
    chrome.until("return document.querySelectorAll('#mdbook-searchresults li').length > 0").await;
    chrome.stop().await;
}
