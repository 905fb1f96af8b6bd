//! Clients who go away in the middle: of a head, of a body, and while their order is being placed.

use std::time::Duration;

use crate::{
    client::{Connection, get},
    load::Sent,
    outage::{Lock, POOL, ask_for_orders},
    service::Service,
    shop::Shop,
    waiting::until,
};

/// Clients of each kind.
const LEAVING: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_who_go_away_leave_nothing_half_done_and_no_place_taken() {
    let Some(server) = orderflow_servers::postgres() else { return };
    let shop = Shop::postgres(&server).await;
    let service = Service::start(
        &shop,
        &[
            ("http.max_in_flight", &POOL.to_string()),
            ("cache.ttl", "5m"),
            ("http.request_timeout", "1m"),
            ("database.statement_timeout", "50s"),
        ],
    );
    let mut random = fastrand::Rng::with_seed(7);
    let sockets = service.sockets();
    let mut sent = Vec::new();
    for number in 0..LEAVING {
        let order = Sent::random(format!("leaving-{number}"), &mut random);
        let request = order.request(shop.key());
        let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        for part in [random.usize(1..head), random.usize(head + 4..request.len())] {
            Connection::open(service.public).await.unwrap().send(&request[..part]).await.unwrap();
        }
        // In the cache, so that an order that goes through must take it out.
        assert_eq!(service.get(&format!("/api/products/{}", order.lines[0][0])).await.status, 200);
        let mut whole = Connection::open(service.public).await.unwrap();
        whole.send(&request).await.unwrap();
        tokio::time::sleep(Duration::from_micros(random.u64(0..15_000))).await;
        drop(whole);
        sent.push(order);
    }
    // The pool has opened some meanwhile.
    let settled = until("all connections are closed", async || service.sockets() <= sockets + POOL as usize).await;
    service.quiet().await;
    let placed = shop.check(&sent).await;
    println!("leaving: {LEAVING} orders whose clients left at once; {placed} were placed; closed {settled:?} later");
    assert!(placed > 0, "the clients left too early for this test to mean anything");
    exactly_as_many_as_allowed(&shop, &service).await;

    // Whoever asks again is told what became of the order, and no second one is placed.
    for order in &mut sent {
        let (answer, _) = service.ask(&order.request(shop.key())).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        order.receipt = Some(serde_json::from_value(answer.json()).unwrap());
    }
    assert_eq!(shop.check(&sent).await, 0);
    let left = shop.stock().await;
    let mut stale = Vec::new();
    let took = until("the cache shows what is left", async || {
        let mut wrong = 0;
        for (product, left) in &left {
            let shown = service.get(&format!("/api/products/{product}")).await.json();
            wrong += usize::from(shown["stock"] != *left);
        }
        stale.push(wrong);
        wrong == 0
    })
    .await;
    println!("leaving: the cache showed the true stock after {took:?}; at first {} products were stale", stale[0]);
}

/// Proves that no request under way was forgotten: so many are taken on, and one more is refused.
async fn exactly_as_many_as_allowed(shop: &Shop, service: &Service) {
    let mut lock = Lock::take(shop).await;
    let asks: Vec<_> = (0..POOL).map(|_| ask_for_orders(service)).collect();
    lock.wait_for(POOL).await;
    let (refused, took) = service.ask(&get("/api/orders?limit=1")).await;
    assert!(refused.is_problem("overloaded"), "{refused:?}");
    assert_eq!(service.get("/healthz/live").await.status, 200, "a probe is never refused");
    println!("leaving: one request more than allowed was refused in {took:?}");
    lock.release().await;
    for ask in asks {
        assert_eq!(ask.await.unwrap(), 200);
    }
}
