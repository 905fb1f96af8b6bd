//! Lists in parts: by number and by cursor the same rows, each once; and the edges of what may be asked for.

use orderflow::domain::Cursor;
use serde_json::Value;

use crate::{
    on_both_stores,
    service::{ORDERS, Service},
};

on_both_stores! {
    pages_and_cursors_give_every_row_once_and_in_order,
    a_cursor_holds_its_place_while_rows_are_added,
    a_limit_or_page_beyond_its_edge_is_refused,
}

fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// Follows the cursors of a list to its end.
async fn by_cursor(service: &Service, list: &str, limit: usize) -> Vec<i64> {
    let mut all = Vec::new();
    let mut target = format!("{list}limit={limit}");
    loop {
        let page = service.get(&target).await.ok(200);
        let rows = ids(&page);
        all.extend(&rows);
        match page["next_cursor"].as_str() {
            Some(cursor) => {
                assert_eq!(rows.len(), limit, "only the last part is short");
                target = format!("{list}limit={limit}&cursor={cursor}");
            }
            None => return all,
        }
    }
}

/// Counts the pages up until an empty one.
async fn by_number(service: &Service, list: &str, limit: usize) -> Vec<i64> {
    let mut all = Vec::new();
    for page in 1.. {
        let rows = ids(&service.get(&format!("{list}limit={limit}&page={page}")).await.ok(200));
        if rows.is_empty() {
            break;
        }
        all.extend(rows);
    }
    all
}

async fn pages_and_cursors_give_every_row_once_and_in_order(service: Service) {
    let orders: Vec<i64> = (1..=ORDERS).rev().collect();
    // 7 leaves a rest, 50 and 100 do not: then the last part is full, and nothing follows it.
    for (list, limits, expected) in [
        ("/api/products?", [7, 50, 100], (1..=50).collect()),
        ("/api/customers?", [7, 50, 100], (1..=100).collect()),
        ("/api/orders?", [60, 50, 100], orders),
    ] {
        for limit in limits {
            assert_eq!(by_cursor(&service, list, limit).await, expected, "{list} {limit}");
            assert_eq!(by_number(&service, list, limit).await, expected, "{list} {limit}");
        }
    }
    let mut statuses = Vec::new();
    for status in ["pending", "paid", "shipped", "delivered", "cancelled"] {
        let of_status = by_cursor(&service, &format!("/api/orders?status={status}&"), 9).await;
        assert_eq!(by_number(&service, &format!("/api/orders?status={status}&"), 30).await, of_status);
        assert!(of_status.is_sorted_by(|one, next| one > next));
        statuses.extend(of_status);
    }
    statuses.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(statuses, (1..=ORDERS).rev().collect::<Vec<_>>(), "each order has one status");
}

async fn a_cursor_holds_its_place_while_rows_are_added(service: Service) {
    let first = service.get("/api/orders?limit=10").await.ok(200);
    for _ in 0..3 {
        service.send("POST", "/api/orders", crate::service::order(1, &[(1, 1)])).await.ok(201);
    }
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = service.get(&format!("/api/orders?limit=10&cursor={cursor}")).await.ok(200);
    assert_eq!(ids(&second).first(), ids(&first).last().map(|id| id - 1).as_ref());
    assert_eq!(ids(&service.get("/api/orders?limit=1").await.ok(200)), [ORDERS + 3]);
}

async fn a_limit_or_page_beyond_its_edge_is_refused(service: Service) {
    assert_eq!(ids(&service.get("/api/customers").await.ok(200)).len(), 20, "unless given");
    for (query, rows) in [("limit=1", 1), ("limit=100", 100), ("limit=99&page=2", 1), ("page=1000", 0), ("page=01", 20)]
    {
        let page = service.get(&format!("/api/customers?{query}")).await.ok(200);
        assert_eq!(ids(&page).len(), rows, "{query}");
    }
    let end = Cursor::after(i64::MAX).encode();
    assert!(ids(&service.get(&format!("/api/customers?cursor={end}")).await.ok(200)).is_empty());
    for list in ["products", "orders", "customers"] {
        for (name, values) in [
            (
                "limit",
                &["0", "101", "-1", "+1", "1e1", "1.0", "", "ten", "4294967297", "99999999999999999999", "%00", "1%20"]
                    [..],
            ),
            ("page", &["0", "1001", "-1", "4294967297", "", "x", "%EF%BC%91"]),
            (
                "cursor",
                &[
                    "",
                    "x",
                    "AQAAAAAAAAAA",
                    "AgAAAAAAAAAB",
                    "AQAAAAAAAAAB=",
                    "AQAAAAAAAAABAA",
                    "AQ%00AAAAAAAAB",
                    "_____________",
                ],
            ),
        ] {
            for value in values {
                let answer = service.get(&format!("/api/{list}?{name}={value}")).await;
                let message = answer.fault("bad-request", name);
                assert!(message.starts_with("must be a"), "{message}");
            }
        }
        let cursor = Cursor::after(3).encode();
        let both = service.get(&format!("/api/{list}?page=2&cursor={cursor}")).await;
        assert!(both.fault("bad-request", "cursor").contains("cannot be combined with page"));
        let twice = service.get(&format!("/api/{list}?limit=2&limit=2")).await;
        assert_eq!(twice.fault("bad-request", "limit"), "is given twice");
        let unknown = service.get(&format!("/api/{list}?Limit=2")).await;
        assert!(
            unknown.fault("bad-request", "Limit").starts_with("is not a parameter here; there are page, limit, cursor")
        );
    }
    let status = service.get("/api/orders?status=lost").await.fault("bad-request", "status");
    assert_eq!(status, "must be one of pending, paid, shipped, delivered, cancelled");
    for category in ["Kitchen", "a--b", "%FF", "'%20OR%201=1", &"x".repeat(41)] {
        service.get(&format!("/api/products?category={category}")).await.fault("bad-request", "category");
    }
    let all_wrong = service.get("/api/products?limit=0&page=0&category=%2F&what=1").await.problem("bad-request");
    assert_eq!(all_wrong["errors"].as_array().unwrap().len(), 4, "every fault is told at once: {all_wrong}");
    let many = service.get(&format!("/api/products?{}", "a&".repeat(10_000))).await;
    assert_eq!(many.problem("bad-request")["errors"].as_array().unwrap().len(), 10, "but not without end");
}
