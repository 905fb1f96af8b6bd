//! Which route a request is for, as the few words that metrics and traces know it by: whatever a client asks for, there are no
//! more of them than this table has.

use std::sync::LazyLock;

use axum::http::Method;

/// What stands for every path that no route has, and for every method beside those below.
const OTHER: &str = "other";

/// The paths of all routes. What is fixed comes before what takes anything in the same place.
const PATHS: [&str; 16] = [
    "/api/products/{id}",
    "/api/products",
    "/api/orders/stream",
    "/api/orders/{id}",
    "/api/orders",
    "/api/customers/{id}",
    "/api/customers",
    "/api/stats",
    "/healthz",
    "/healthz/ready",
    "/healthz/live",
    "/api/openapi.json",
    "/docs",
    "/docs/page.css",
    "/docs/page.js",
    OTHER,
];

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", OTHER];

/// A method and a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    method: u8,
    path: u8,
}

impl Route {
    /// How many there are.
    pub const COUNT: usize = METHODS.len() * PATHS.len();

    /// Of a request. Whether the route has the method does not matter.
    pub fn of(method: &Method, path: &str) -> Self {
        let method = match *method {
            Method::GET => 0,
            Method::POST => 1,
            Method::PUT => 2,
            Method::DELETE => 3,
            Method::HEAD => 4,
            Method::OPTIONS => 5,
            Method::PATCH => 6,
            _ => METHODS.len() - 1,
        };
        let path = PATHS.iter().position(|template| is_like(path, template)).unwrap_or(PATHS.len() - 1);
        Self { method: method as u8, path: path as u8 }
    }

    /// The method, or `other`.
    pub fn method(self) -> &'static str {
        METHODS[usize::from(self.method)]
    }

    /// The route's path with `{id}` for an identifier, or `other`.
    pub fn path(self) -> &'static str {
        PATHS[usize::from(self.path)]
    }

    /// Both, with a space between.
    pub fn name(self) -> &'static str {
        static NAMES: LazyLock<Vec<String>> =
            LazyLock::new(|| Route::all().map(|route| format!("{} {}", route.method(), route.path())).collect());
        &NAMES[self.index()]
    }

    /// Its number, from 0 to below [`Route::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.method) * PATHS.len() + usize::from(self.path)
    }

    /// All that there are, by their number.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |method| (0..PATHS.len() as u8).map(move |path| Self { method, path });
        (0..METHODS.len() as u8).flat_map(of)
    }
}

/// As axum has it: an identifier is anything but nothing, up to the next slash, and nothing is decoded.
fn is_like(path: &str, template: &str) -> bool {
    match template.strip_suffix("{id}") {
        None => path == template,
        Some(start) => path.strip_prefix(start).is_some_and(|id| !id.is_empty() && !id.contains('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_a_number_of_its_own() {
        assert_eq!(Route::all().count(), Route::COUNT);
        for (number, route) in Route::all().enumerate() {
            assert_eq!(route.index(), number);
            let method = Method::from_bytes(route.method().as_bytes()).unwrap();
            assert_eq!(Route::of(&method, &route.path().replace("{id}", "1")), route);
        }
    }

    #[test]
    fn methods_of_others_are_one() {
        for method in ["TRACE", "CONNECT", "BREW", "get", "other", "PROPFIND"] {
            let route = Route::of(&Method::from_bytes(method.as_bytes()).unwrap(), "/api/stats");
            assert_eq!((route.method(), route.path()), (OTHER, "/api/stats"));
        }
    }
}
