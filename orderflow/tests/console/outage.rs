//! What the page does while the service is away, hangs, or says no.

use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::{
    chrome::{Chrome, PATIENCE},
    shop::Shop,
    stand_in::StandIn,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_away_is_said_to_be_and_comes_back() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, mut shop) = (chrome.await, Shop::open());
    let visit = shop.visited();
    chrome.goto(&shop.console("")).await;
    let busy = "return /^[0-9.,]+\\/s$/.test(document.querySelector('#traffic .value').innerText)
        && document.querySelector('#traffic .value').innerText !== '0/s'";
    chrome.until(busy).await;
    visit.end().await;
    shop.close();
    chrome.until("return document.body.classList.contains('stale')").await;
    let banner = chrome.text("#stale").await;
    assert!(banner.contains("No answer: it cannot be reached") && banner.contains("ago"), "{banner}");
    assert!(chrome.text("#notice").await.contains("does not answer"));
    // What was known stays, and looks old.
    let kept = chrome.text("#traffic .value").await;
    assert!(kept.ends_with("/s"), "{kept}");
    assert_eq!(chrome.js("return getComputedStyle(document.querySelector('.signals')).filter").await, "grayscale(1)");
    // While nobody answers, the page's clock goes on.
    chrome.until(&format!("return document.querySelector('#stale').innerText !== {banner:?}")).await;

    shop.reopen();
    chrome.until("return !document.body.classList.contains('stale') && document.querySelector('#stale').hidden").await;
    assert!(!chrome.text("#notice").await.contains("does not answer"));
    let visit = shop.visited();
    chrome.until(busy).await;
    visit.end().await;
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_hangs_is_asked_one_question_at_a_time_and_a_hidden_page_asks_none() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, StandIn::start("up 1\n").await);
    chrome.goto(&stand_in.url("#traces")).await;
    chrome.until("return document.querySelector('#ready').innerText === 'ready'").await;
    stand_in.says(|says| says.hangs = true);
    chrome.until("return document.querySelector('#stale').innerText.includes('took longer than 5 s')").await;
    // A reader who is impatient does not make it worse.
    for _ in 0..5 {
        chrome.click("#tab-inside").await;
        chrome.click("#tab-traces").await;
    }
    stand_in.says(|says| says.hangs = false);
    chrome.until("return document.querySelector('#stale').hidden").await;
    assert_eq!(stand_in.says(|says| says.most_at_once), 1);

    let hide = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    chrome.js(&hide(true)).await;
    // Whatever was asked before is answered by the time that three more looks would have been.
    let mut asked = stand_in.says(|says| says.asked);
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(6)).await;
        let now = stand_in.says(|says| says.asked);
        if now == asked {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "a hidden page goes on asking");
        asked = now;
    }
    chrome.js(&hide(false)).await;
    while stand_in.says(|says| says.asked) == asked {
        assert!(started.elapsed() < 2 * PATIENCE, "a page that is seen again asks nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(chrome.console().await, [""; 0]);
    chrome.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flamegraph_is_shown_or_said_why_not() {
    let Some(chrome) = Chrome::wanted() else { return };
    let (chrome, stand_in) = (chrome.await, StandIn::start("up 1\n").await);
    chrome.goto(&stand_in.url("#profile")).await;
    chrome.until("return document.querySelector('[name=seconds]').max === '20'").await;
    chrome.click("#take-cpu").await;
    chrome.until("return document.querySelector('#picture img')?.naturalWidth === 1200").await;
    chrome.until("return document.querySelector('#profile-said').innerText === 'Done.'").await;
    assert_eq!(chrome.js("return document.querySelector('#picture a').download").await, "orderflow-cpu.svg");
    assert_eq!(chrome.console().await, [""; 0]);

    let busy = r#"{"title":"Another is being taken","status":409}"#.to_owned();
    stand_in.says(|says| says.profile = (StatusCode::CONFLICT, busy));
    chrome.click("#take-cpu").await;
    chrome.until("return document.querySelector('#profile-said').innerText.includes('One at a time')").await;
    let refused = r#"{"title":"The request is malformed","detail":"Not now.","status":400}"#.to_owned();
    stand_in.says(|says| says.profile = (StatusCode::BAD_REQUEST, refused));
    chrome.click("#take-cpu").await;
    chrome.until("return document.querySelector('#profile-said').innerText === 'There is none: The request is malformed. Not now.'").await;
    assert_eq!(
        chrome.js("return document.querySelector('#picture img')?.naturalWidth").await,
        1200,
        "the last one stays"
    );
    chrome.stop().await;
}
