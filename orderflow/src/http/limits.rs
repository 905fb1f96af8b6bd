//! How much is taken on: from one client, and in all.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::http::{HeaderMap, Method};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::config;

/// The rate at which one client may ask. (Generic cell rate algorithm.)
pub(super) struct ClientRate {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    trust_forwarded_for: bool,
}

impl ClientRate {
    pub(super) fn new(settings: &config::Http) -> Self {
        let rate = NonZeroU32::new(settings.rate_limit);
        let limiter = rate.map(|rate| {
            let burst = NonZeroU32::new(settings.rate_burst).unwrap_or(NonZeroU32::MIN);
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limiter, trust_forwarded_for: settings.trust_forwarded_for }
    }

    /// Counts a request. An error holds the whole seconds after which the client may ask again.
    pub(super) fn admit(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), u64> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let client = if self.trust_forwarded_for { forwarded_for(headers).unwrap_or(peer) } else { peer };
        limiter.check_key(&network(client)).map_err(|refused| {
            let wait = refused.wait_time_from(limiter.clock().now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }

    /// Forgets clients that have not asked for so long that they might as well be new.
    pub(super) fn forget_idle(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

/// The address that the nearest proxy saw: the last one, since a client can send any before it.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse().ok()
}

/// What one client is known by. Whoever has an IPv6 address has 2^64 of them, so the network counts.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What a request asks for, as far as it matters to how many may ask at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Many rows, or totals over all of them.
    List,
    /// A change.
    Write,
    /// One thing, or something that no database is asked for.
    Other,
}

impl Group {
    /// By method and path, without a look at the routes: a path that none has is refused quickly, whatever its group.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD => match path {
                "/api/products" | "/api/orders" | "/api/customers" | "/api/stats" => Self::List,
                _ => Self::Other,
            },
            Method::OPTIONS => Self::Other,
            _ => Self::Write,
        }
    }
}

/// How many requests are worked on at once.
pub(super) struct InFlight {
    now: AtomicUsize,
    max: usize,
}

/// One of them, for as long as this lives.
pub(super) struct Slot<'a>(&'a InFlight);

impl InFlight {
    pub(super) fn new(max: usize) -> Self {
        Self { now: AtomicUsize::new(0), max }
    }

    /// A slot, or nothing where all are taken: waiting would only move the queue to where nobody sees it.
    pub(super) fn enter(&self) -> Option<Slot<'_>> {
        let before = self.now.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(self);
        (before < self.max).then_some(slot)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_back_when_it_is_dropped_and_a_refusal_takes_none() {
        let limit = InFlight::new(2);
        let (first, second) = (limit.enter(), limit.enter());
        assert!(first.is_some() && second.is_some());
        for _ in 0..10 {
            assert!(limit.enter().is_none());
        }
        drop(first);
        assert!(limit.enter().is_some());
    }

    #[test]
    fn every_route_is_in_its_group() {
        let description = serde_json::to_value(crate::http::openapi()).unwrap();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
                let name = operation["operationId"].as_str().unwrap();
                let expected = match name.split('_').next().unwrap() {
                    "list" => Group::List,
                    "place" | "create" | "replace" | "delete" => Group::Write,
                    _ if name == "read_stats" => Group::List,
                    _ => Group::Other,
                };
                assert_eq!(Group::of(&method, &path.replace("{id}", "1")), expected, "{name}");
            }
        }
    }

    #[test]
    fn clients_are_told_apart_by_address_and_ipv6_by_network() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(parse("2001:db8:1:2:3:4:5:6")), network(parse("2001:db8:1:2::9")));
        assert_ne!(network(parse("2001:db8:1:2::1")), network(parse("2001:db8:1:3::1")));
        assert_eq!(network(parse("::ffff:10.0.0.1")), parse("10.0.0.1"));
        assert_ne!(network(parse("10.0.0.1")), network(parse("10.0.0.2")));
    }

    #[test]
    fn only_the_last_forwarded_address_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(forwarded_for(&headers), None);
        headers.append("x-forwarded-for", "1.1.1.1, 2.2.2.2".parse().unwrap());
        headers.append("x-forwarded-for", "3.3.3.3, 4.4.4.4".parse().unwrap());
        assert_eq!(forwarded_for(&headers), Some("4.4.4.4".parse().unwrap()));
        headers.append("x-forwarded-for", "nobody".parse().unwrap());
        assert_eq!(forwarded_for(&headers), None);
    }
}
