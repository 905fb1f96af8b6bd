//! An answer's body with everything that a client may ask of it: its tags for revalidation, and its compressed forms, each
//! made once.

use std::{
    hash::{DefaultHasher, Hasher},
    io::Write,
    sync::OnceLock,
};

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::Response,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;

use super::weigh;

/// Bodies below this many bytes are sent as they are: they fit one packet either way.
const WORTH_COMPRESSING: usize = 1_024;

/// How a body is encoded on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Brotli,
}

/// How long an answer may be kept by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caching {
    /// By anybody, and used a while longer while a fresh one is fetched. For what is alike for everybody and changes rarely.
    Public,
    /// By anybody, briefly. For totals.
    Brief,
    /// By the client, which asks each time whether it is still true.
    Revalidate,
    /// By nobody. For what is personal.
    Never,
}

impl Caching {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Public => "public, max-age=60, stale-while-revalidate=300",
            Self::Brief => "public, max-age=10",
            Self::Revalidate => "private, no-cache",
            Self::Never => "no-store",
        })
    }
}

/// A JSON body, ready to be sent to any client any number of times.
#[derive(Debug)]
pub struct Representation {
    body: Bytes,
    /// The entity tag of the body as it is: its hash in hexadecimal, in quotes.
    tag: HeaderValue,
    gzip: OnceLock<Bytes>,
    brotli: OnceLock<Bytes>,
}

impl Representation {
    /// Of a value as JSON.
    ///
    /// # Panics
    /// If the value cannot be written as JSON, which the types of this crate all can.
    pub fn json(value: &impl Serialize) -> Self {
        Self::of(serde_json::to_vec(value).expect("domain types are JSON").into())
    }

    /// Of a body that is JSON already.
    pub fn of(body: Bytes) -> Self {
        // Not secret and not shared between versions: instances of one version agree, and that is enough for revalidation.
        let mut hasher = DefaultHasher::new();
        hasher.write(&body);
        let tag = format!("\"{:016x}\"", hasher.finish()).try_into().expect("hexadecimal digits are a header's");
        Self { body, tag, gzip: OnceLock::new(), brotli: OnceLock::new() }
    }

    /// The body as it is.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What it takes in memory, in bytes, its compressed forms included.
    pub fn weight(&self) -> usize {
        let compressed = if self.body.len() < WORTH_COMPRESSING { 0 } else { self.body.len() / 2 };
        size_of::<Self>() + self.body.len() + compressed
    }

    fn encoded(&self, encoding: Encoding) -> Bytes {
        match encoding {
            Encoding::Identity => self.body.clone(),
            Encoding::Gzip => self.gzip.get_or_init(|| gzip(&self.body)).clone(),
            Encoding::Brotli => self.brotli.get_or_init(|| brotli(&self.body)).clone(),
        }
    }

    /// The strong entity tag of one encoding. Each has its own, since their bytes differ.
    fn etag(&self, encoding: Encoding) -> HeaderValue {
        let suffix = match encoding {
            Encoding::Identity => return self.tag.clone(),
            Encoding::Gzip => b"-g\"",
            Encoding::Brotli => b"-b\"",
        };
        let mut tag = [0; 20];
        tag[..17].copy_from_slice(&self.tag.as_bytes()[..17]);
        tag[17..].copy_from_slice(suffix);
        HeaderValue::from_bytes(&tag).expect("hexadecimal digits are a header's")
    }

    /// Whether the client has said that it holds this body, in whatever encoding.
    fn is_held(&self, request: &HeaderMap) -> bool {
        let mut tags =
            request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        tags.any(|tag| {
            let tag = tag.trim();
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
            tag == "*" || opaque.split('-').next().is_some_and(|hash| hash.as_bytes() == &self.tag.as_bytes()[1..17])
        })
    }

    /// The answer to a request with these headers: 200 with the body in the best encoding that the client takes, or 304 if it
    /// has it.
    pub fn answer(&self, request: &HeaderMap, caching: Caching) -> Response {
        let encoding = if self.body.len() < WORTH_COMPRESSING { Encoding::Identity } else { best(request) };
        let held = caching != Caching::Never && self.is_held(request);
        let mut response = Response::new(if held { Body::empty() } else { Body::from(self.encoded(encoding)) });
        if held {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.reserve(12);
        if !held {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            match encoding {
                Encoding::Identity => {}
                Encoding::Gzip => drop(headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
                Encoding::Brotli => drop(headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"))),
            }
        }
        if caching != Caching::Never {
            headers.insert(ETAG, self.etag(encoding));
        }
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(CACHE_CONTROL, caching.header());
        response
    }
}

/// Fast rather than small: an answer that is not cached is compressed for one client.
fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::new(4));
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory takes what is written").into()
}

fn brotli(body: &[u8]) -> Bytes {
    let mut compressed = Vec::with_capacity(body.len() / 4);
    {
        let mut encoder = brotli::CompressorWriter::new(&mut compressed, 4_096, 4, 20);
        encoder.write_all(body).expect("memory takes what is written");
    }
    compressed.into()
}

/// The encoding that the client likes best; among equals brotli, then gzip.
fn best(request: &HeaderMap) -> Encoding {
    let [brotli, gzip, identity] = weigh::encodings(request);
    if brotli > 0.0 && brotli >= gzip && brotli >= identity {
        Encoding::Brotli
    } else if gzip > 0.0 && gzip >= identity {
        Encoding::Gzip
    } else {
        Encoding::Identity
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::ACCEPT_ENCODING;

    use super::*;

    fn accepting(value: &str) -> Encoding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        best(&headers)
    }

    #[test]
    fn the_client_chooses_the_encoding() {
        assert_eq!(best(&HeaderMap::new()), Encoding::Identity);
        assert_eq!(accepting("gzip, deflate, br"), Encoding::Brotli);
        assert_eq!(accepting("gzip;q=1.0, br;q=0.5"), Encoding::Gzip);
        assert_eq!(accepting("br;q=0, gzip"), Encoding::Gzip);
        assert_eq!(accepting("br;q=0, gzip;q=0"), Encoding::Identity);
        assert_eq!(accepting("*"), Encoding::Brotli);
        assert_eq!(accepting("identity, gzip;q=0.1"), Encoding::Identity);
        assert_eq!(accepting("GZIP;q=nonsense"), Encoding::Identity);
    }

    #[test]
    fn the_encodings_of_one_body_have_tags_of_their_own_and_any_of_them_revalidates() {
        let answer = Representation::json(&"x".repeat(2_000));
        let tags = [Encoding::Identity, Encoding::Gzip, Encoding::Brotli].map(|encoding| answer.etag(encoding));
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
        for tag in tags {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, format!("\"other\", W/{}", tag.to_str().unwrap()).parse().unwrap());
            assert_eq!(answer.answer(&headers, Caching::Public).status(), StatusCode::NOT_MODIFIED);
        }
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, "\"0123456789abcdef\"".parse().unwrap());
        assert_eq!(answer.answer(&headers, Caching::Public).status(), StatusCode::OK);
    }

    #[test]
    fn what_is_compressed_comes_back_whole() {
        use std::io::Read;
        let body = "an order, an order, a kingdom for an order; ".repeat(200);
        let (gzipped, brotlied) = (gzip(body.as_bytes()), brotli(body.as_bytes()));
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&gzipped[..]).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, body);
        plain.clear();
        brotli::Decompressor::new(&brotlied[..], 4_096).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, body);
        assert!(gzipped.len() < body.len() / 5 && brotlied.len() < body.len() / 5);
    }
}
