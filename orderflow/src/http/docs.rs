//! The description of the API, for programs at `/api/openapi.json` and for people at `/docs`. The page is part of the binary
//! and asks no other host for anything.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{
        HeaderMap, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa_axum::router::OpenApiRouter;

use super::{App, Caching, Representation, openapi};

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");

pub(super) fn routes() -> OpenApiRouter<App> {
    let router = Router::new()
        .route("/api/openapi.json", get(description))
        .route("/docs", get(|| async { file("text/html; charset=utf-8", PAGE) }))
        .route("/docs/page.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route("/docs/page.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }));
    OpenApiRouter::from(router)
}

async fn description(headers: HeaderMap) -> Response {
    static DESCRIPTION: LazyLock<Representation> = LazyLock::new(|| Representation::json(&openapi()));
    DESCRIPTION.answer(&headers, Caching::Revalidate)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Kind;

    #[test]
    fn the_description_says_what_every_kind_of_problem_means_and_where_it_occurs() {
        let description = serde_json::to_value(openapi()).unwrap();
        let kinds = description["x-problems"].as_array().unwrap();
        assert_eq!(kinds.len(), Kind::ALL.len());
        for (described, kind) in kinds.iter().zip(Kind::ALL) {
            assert_eq!(
                (described["word"].as_str(), described["title"].as_str()),
                (Some(kind.word()), Some(kind.title()))
            );
            assert_eq!(described["status"], kind.status().as_u16());
            let meaning = described["meaning"].as_str().unwrap();
            assert!(
                meaning.ends_with('.') && meaning.trim() == meaning && !meaning.contains(kind.title()),
                "{meaning}"
            );
        }
        let answers =
            description["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        let answers = answers.flat_map(|operation| operation["responses"].as_object().unwrap());
        let mut named = 0;
        for (status, answer) in answers {
            for word in answer.get("x-problems").and_then(|words| words.as_array()).into_iter().flatten() {
                let kind = Kind::ALL.iter().find(|kind| kind.word() == word).expect("a kind's word");
                assert_eq!(kind.status().as_str(), status);
                named += 1;
            }
        }
        assert!(named > 0);
    }

    #[test]
    fn the_page_works_behind_a_prefix_and_under_its_own_policy() {
        for attribute in ["href=\"", "src=\""] {
            for address in PAGE.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(!address.starts_with('/') && !address.contains("//"), "{address}");
            }
        }
        for inline in ["<script>", "<style", " style=", " onclick=", " onload="] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
        for file in [SCRIPT, STYLE] {
            assert!(!file.contains("http://") && !file.contains("https://"));
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
