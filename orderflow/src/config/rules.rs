//! Rules between settings. What a setting may be by itself stands in its own line of the table.

use std::net::SocketAddr;

use super::{Config, Pooler, load::Reader};

/// Reports every rule that the configuration breaks.
pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    let Config { http, ops, redis, database, replicas, .. } = config;
    if http.rate_limit > 0 && http.rate_burst == 0 {
        reader.broken(
            &["http.rate_burst", "http.rate_limit"],
            format!(
                "is at odds: http.rate_limit is {}, http.rate_burst is 0, and so every request would be refused",
                http.rate_limit
            ),
            "http.rate_burst must be at least 1; http.rate_limit = 0 takes the limit away".to_owned(),
        );
    }
    if overlap(http.listen, ops.listen) {
        reader.broken(
            &["ops.listen", "http.listen"],
            format!(
                "is at odds: http.listen is {}, ops.listen is {}, and only one can have the port",
                http.listen, ops.listen
            ),
            "the two listeners must have different ports, or different addresses".to_owned(),
        );
    }
    if http.rate_limit_shared && redis.url.expose().is_empty() {
        reader.broken(
            &["http.rate_limit_shared", "redis.url"],
            "is at odds: http.rate_limit_shared is true, and redis.url names no server".to_owned(),
            "redis.url must name a server, or http.rate_limit_shared be false".to_owned(),
        );
    }
    if database.pooler == Pooler::Transaction && database.direct_url.expose().is_empty() {
        reader.broken(
            &["database.direct_url", "database.pooler"],
            "is at odds: database.pooler is transaction, and database.direct_url names no way past it, which migrations need"
                .to_owned(),
            "database.direct_url must be the address of the PostgreSQL server itself".to_owned(),
        );
    }
    let postgres = database.url.expose().starts_with("postgres");
    let needs = [
        ("replicas.urls", !replicas.urls.is_empty()),
        ("database.direct_url", !database.direct_url.expose().is_empty()),
        ("database.pooler", database.pooler != Pooler::None),
    ];
    for (key, _) in needs.into_iter().filter(|(_, set)| *set && !postgres) {
        reader.broken(
            &[key, "database.url"],
            format!("is at odds: {key} is given, and database.url names no PostgreSQL server"),
            format!("database.url must begin with postgres://, or {key} be left out"),
        );
    }
}

/// Whether the system would refuse the second of the two.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    // `[::]` takes IPv4 too; `0.0.0.0` takes no IPv6.
    let covers = |all: std::net::IpAddr, ip: std::net::IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    one.port() != 0 && one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_overlap_where_the_system_says_so() {
        for (one, other, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.1:8081", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("127.0.0.1:8080", "127.0.0.2:8080", false),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "[::]:8080", true),
            ("0.0.0.0:8080", "[::1]:8080", false),
        ] {
            let [a, b] = [one, other].map(|text| text.parse().unwrap());
            assert_eq!((overlap(a, b), overlap(b, a)), (expected, expected), "{one} and {other}");
        }
    }
}
