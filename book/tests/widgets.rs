//! The interactive figures in a real browser: by keyboard and mouse, on a telephone, in every theme, without motion and
//! without scripts. What they compute is in `widget_formulas.rs`.

mod chrome;
mod sample;
mod widget_page;

use std::fs;

use book::widget::NAMES;
use chrome::look::{CONTRAST, fits};
use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use serde_json::json;
use widget_page::WidgetPage;

const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";
const RIGHT: &str = "\u{e014}";
const HOME: &str = "\u{e011}";
const END: &str = "\u{e010}";

#[tokio::test]
async fn the_keyboard_changes_what_every_widget_says() {
    let Some(page) = WidgetPage::new().await else { return };
    page.chrome.less_motion().await;
    let controls = page
        .chrome
        .js("return document.querySelectorAll('.widget-control input, .widget-control select').length")
        .await;
    let mut operated = 0;
    let mut pressed = 0;
    page.chrome.js("document.querySelector('main h1').tabIndex = -1; document.querySelector('main h1').focus()").await;
    while json!(operated) != controls {
        pressed += 1;
        assert!(pressed < 100, "Tab reached {operated} of {controls} controls");
        page.press(TAB).await;
        if page.focused("at.matches('.widget-control input, .widget-control select')").await != json!(true) {
            continue;
        }
        operated += 1;
        let name = page.focused("at.closest('[role=group]').localName").await;
        let name = name.as_str().unwrap();
        let what = format!("{name}: {}", page.focused("at.labels[0].innerText").await);
        assert_ne!(
            page.focused("getComputedStyle(at).outlineStyle").await,
            json!("none"),
            "{what} does not show the focus"
        );
        let before = page.chrome.js(&format!("return document.querySelector('{name}').innerText")).await;
        if page.focused("at.localName").await == json!("select") {
            page.press(HOME).await;
        } else {
            page.press(RIGHT).await;
            let shown = page
                .focused(
                    "[at.getAttribute('aria-valuetext'), at.parentElement.querySelector('.widget-value').innerText]",
                )
                .await;
            assert!(shown[0] == shown[1] && shown[0] != json!(""), "{what} says {shown}");
        }
        let after = page.chrome.js(&format!("return document.querySelector('{name}').innerText")).await;
        assert_ne!(before, after, "{what}: a key changes nothing that is shown");
    }
    assert_eq!(page.chrome.js("return document.getAnimations().length").await, json!(0));
    assert_eq!(page.chrome.console().await, [""; 0]);
    page.chrome.stop().await;
}

#[tokio::test]
async fn requests_are_moved_by_key_and_by_mouse() {
    let Some(page) = WidgetPage::new().await else { return };
    assert_eq!(
        page.status("percentile-merge").await,
        "The average of both p99s is 640 ms. The p99 of all 200 requests is 450 ms."
    );
    let on = |server: u32| format!("percentile-merge .server:nth-child({server}) button");
    page.chrome.js(&format!("document.querySelector('{}:last-child').focus()", on(2))).await;
    page.press(ENTER).await;
    assert_eq!(
        page.focused("at.getAttribute('aria-label')").await,
        json!("1 × 1,200 ms on server A, move to server B")
    );
    assert_eq!(page.focused("at.closest('.server').innerText.startsWith('Server A: 197 requests')").await, json!(true));
    let moved = page.status("percentile-merge").await;
    assert!(!moved.contains("640") && moved.ends_with("The p99 of all 200 requests is 450 ms."), "{moved}");
    page.press(" ").await;
    assert!(page.status("percentile-merge").await.contains("640 ms"), "and back");
    let seen =
        page.chrome.js("return document.querySelector('percentile-merge .servers + .widget-hint').innerText").await;
    // Without its slowest request the p99 of B is 900 ms; that of A, which now has 197, is still 80 ms.
    let wanted = "So far the average was 490 to 640 ms, weighted 92.3 to 102 ms. The p99 of all stayed at 450 ms: they are the same requests.";
    assert_eq!(seen, json!(wanted));

    // Dragged by the mouse from one server to the other.
    let from = page.part(&format!("{}:first-child", on(1))).await;
    let place = page
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
    page.chrome.client.perform_actions(mouse).await.unwrap();
    assert_eq!(page.focused("at.getAttribute('aria-label')").await, json!("50 × 20 ms on server B, move to server A"));
    // A drag that ends nowhere changes nothing, and neither does the click that ends it.
    let place = page
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
    page.chrome.client.perform_actions(mouse).await.unwrap();
    assert_eq!(
        page.chrome
            .js("return document.querySelector('percentile-merge .server:nth-child(2)').innerText.split('\\n')[0]")
            .await,
        json!("Server B: 54 requests")
    );
    // A press is a move, and so is the next key after a drag.
    from.click().await.unwrap();
    assert!(page.status("percentile-merge").await.contains("640 ms"));
    page.press(ENTER).await;
    assert!(
        page.chrome
            .js("return document.querySelector('percentile-merge').innerText")
            .await
            .as_str()
            .unwrap()
            .contains("Server B: 54")
    );

    page.part("percentile-merge .widget-actions button:last-child").await.click().await.unwrap();
    assert!(page.status("percentile-merge").await.contains("640 ms"), "begun again");
    let all =
        page.chrome.js("return document.querySelectorAll('percentile-merge .server:nth-child(2) button').length").await;
    for _ in 0..all.as_u64().unwrap() {
        page.part(&format!("{}:first-child", on(2))).await.click().await.unwrap();
    }
    let one = page.status("percentile-merge").await;
    assert_eq!(
        one,
        "All requests are on one server, so there is nothing to average: its p99 is that of all 200, 450 ms."
    );
    assert!(
        page.chrome
            .js("return document.querySelector('percentile-merge svg').getAttribute('aria-label')")
            .await
            .as_str()
            .unwrap()
            .contains("p99 of server B: no requests")
    );
    assert_eq!(page.chrome.console().await, [""; 0]);
    page.chrome.stop().await;
}

#[tokio::test]
async fn the_ends_of_every_scale_are_told_in_words() {
    let Some(page) = WidgetPage::new().await else { return };
    let slide = async |name: &str, label: &str, key: &str| {
        let at = format!(
            "[...document.querySelectorAll('{name} label')].find((label) => label.innerText === '{label}').control"
        );
        page.chrome.js(&format!("{at}.focus()")).await;
        page.press(key).await;
        page.status(name).await
    };
    let none = slide("queue-wait", "Arrival rate", HOME).await;
    assert_eq!(none, "Busy 0 % of the time: a request waits 0 s on average and is answered after 10 ms.");
    let far = slide("queue-wait", "Arrival rate", END).await;
    assert_eq!(far, "More arrives than can be served: the line grows by 9,900 requests every second, without end.");
    let facts =
        page.chrome.js("return [...document.querySelectorAll('queue-wait dd')].map((value) => value.innerText)").await;
    assert_eq!((&facts[1], &facts[2], &facts[6]), (&json!("100 %"), &json!("without end"), &json!("without end")));
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
    assert_eq!(page.chrome.console().await, [""; 0]);
    page.chrome.stop().await;
}

#[tokio::test]
async fn widgets_fit_a_telephone_and_stand_out_in_every_theme() {
    let Some(page) = WidgetPage::new().await else { return };
    let chrome = &page.chrome;
    chrome.width(360).await;
    for theme in ["light", "rust", "coal", "navy", "ayu"] {
        page.open().await;
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
    page.chrome.stop().await;
}

#[tokio::test]
async fn every_control_has_a_name_and_nothing_comes_from_elsewhere() {
    let Some(page) = WidgetPage::new().await else { return };
    for name in NAMES {
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
        assert_eq!(page.chrome.js(&named).await, json!([true, true, 1, true, 0]), "{name}");
    }
    let ids =
        "const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id); return ids.length - new Set(ids).size";
    assert_eq!(page.chrome.js(ids).await, json!(0), "an id is used twice");
    let elsewhere = "return performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => !name.startsWith(location.origin))";
    assert_eq!(page.chrome.js(elsewhere).await, json!([]));
    page.chrome.stop().await;
}

#[tokio::test]
async fn without_scripts_a_figure_says_what_the_widget_begins_with() {
    let Some(page) = WidgetPage::new().await else { return };
    let mut begins = Vec::new();
    for name in NAMES {
        begins.push(page.status(name).await);
    }
    page.chrome.without_scripts().await;
    page.chrome.width(360).await;
    page.open().await;
    fits(&page.chrome, "a page without scripts").await;
    let faint = format!(
        "{CONTRAST}
         const words = [...document.querySelectorAll('.widget-figure p')].filter((element) => contrast(element) < 4.5);
         const drawn = [...document.querySelectorAll('.widget-figure text')]
            .filter((element) => ratio(rgb(getComputedStyle(element).fill), behind(element)) < 4.5);
         return [...words, ...drawn].map((element) => element.textContent)"
    );
    assert_eq!(page.chrome.js(&faint).await, json!([]), "too faint");
    for (name, status) in NAMES.iter().zip(begins) {
        assert_eq!(
            page.chrome.js(&format!("return !!document.querySelector('{name} [role=status]')")).await,
            json!(false),
            "no script has run"
        );
        let shown = page
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
    assert_eq!(page.chrome.console().await, [""; 0]);
    page.chrome.stop().await;
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
    assert_eq!(scripts, NAMES.len() + 1);
}
