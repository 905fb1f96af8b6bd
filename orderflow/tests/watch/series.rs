//! However many paths and names clients think of, the numbers stay as many as they are.

use std::collections::BTreeSet;

use crate::{client::Client, fleet::Fleet};

const PATHS: u32 = 10_000;
const AGENTS: u32 = 1_000;

/// The series of the instance, without their values.
fn series(fleet: &Fleet) -> BTreeSet<String> {
    let text = Client::new(fleet.instance.ops).ask("GET", "/metrics", "Accept: text/plain\r\n", "").body;
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

fn paths(client: &mut Client, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        let path = match number % 4 {
            0 => format!("/{number}"),
            1 => format!("/api/products/{}", 1_000_000 + number),
            2 => format!("/api/orders/x{number}"),
            _ => format!("/api/stats/{number}?{number}={number}"),
        };
        let status = client.get(&path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

fn agents(client: &mut Client, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        let headers =
            format!("User-Agent: agent {number}\r\nX-Forwarded-For: 10.0.{}.{}\r\n", number / 256, number % 256);
        assert_eq!(client.ask("GET", "/api/stats", &headers, "").status, 200);
    }
}

pub(crate) fn strangers_make_none(fleet: &Fleet) {
    let mut client = fleet.client();
    paths(&mut client, 0..8);
    agents(&mut client, 0..2);
    let before = series(fleet);
    assert!(before.len() > 300, "{} series", before.len());
    paths(&mut client, 8..PATHS);
    agents(&mut client, 2..AGENTS);
    let after = series(fleet);
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "new series: {new:#?}");
    assert_eq!(after.len(), before.len());
}
