//! What a client has written, it reads: where there are replicas, the answer to a write carries a position in the database's
//! log, the client sends it back with its next requests, by a cookie or a header, and any instance reads what is at least so
//! new.
//!
//! A position is no secret and needs no signature. Made up, it can only be too old, which is the sender's own loss, or too
//! new, which takes the sender's own reads to the primary, where all of them would go without replicas. For others nothing
//! changes: what is read for them is not read any older, and a position that the primary has not reached is not remembered.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap, HeaderName, HeaderValue,
        header::{COOKIE, SET_COOKIE},
        request::Parts,
    },
    response::Response,
};

use utoipa::{
    IntoParams,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};

use super::App;
use crate::store::{Position, SharedStore};

const HEADER: HeaderName = HeaderName::from_static("x-orderflow-position");
const NAME: &str = "orderflow_position";

/// How long a client remembers its writes, beyond the time that a replica may be behind: a replica that has still not replayed
/// them is not read any more.
const MARGIN: Duration = Duration::from_mins(1);

/// What this request's client must see.
#[derive(Clone, Copy)]
pub(super) struct At(pub(super) Position);

impl FromRequestParts<App> for At {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self(if app.replicated { claimed(&parts.headers) } else { Position::START }))
    }
}

impl super::Parts {
    /// The store, for reads of a client who has this position.
    pub(super) fn store_at(&self, At(position): At) -> SharedStore {
        self.store.after(position).unwrap_or_else(|| self.store.clone())
    }

    /// Before a read whose answer is kept where other instances find it, or may have changed because one of them said so. They
    /// say that something has changed and not at which position, so that only the primary has it for certain.
    pub(super) fn heed_others(&self) {
        if self.replicated && !self.config.redis.url.expose().is_empty() {
            self.store.learn(Position::PRIMARY);
        }
    }

    /// Has the answer to a write carry where the write is, if that matters.
    pub(super) fn carry(&self, position: Option<Position>, response: &mut Response) {
        let Some(position) = position else { return };
        let age = (self.config.replicas.max_lag + MARGIN).as_secs();
        let cookie = format!("{NAME}={position}; Path=/api; Max-Age={age}; HttpOnly; SameSite=Lax");
        for (name, value) in [(HEADER, position.to_string()), (SET_COOKIE, cookie)] {
            response
                .headers_mut()
                .append(name, HeaderValue::try_from(value).expect("letters and digits are a header's"));
        }
    }
}

/// What a client may send with a read, for the description of the API.
pub(super) struct Sent;

impl IntoParams for Sent {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let of = |name, place, description| {
            // Anything may be sent: what is no position counts as none.
            let text = ObjectBuilder::new().schema_type(Type::String);
            let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False);
            parameter.schema(Some(text)).description(Some(description)).build()
        };
        let header = "What an answer to a write has told, so that the read sees it; matters where there are replicas. \
                      Anything else counts as nothing.";
        let cookie = "The same, as browsers send it by themselves. The newer of the two counts.";
        vec![of("X-OrderFlow-Position", ParameterIn::Header, header), of(NAME, ParameterIn::Cookie, cookie)]
    }
}

/// The newest position in a request's headers. Whatever is none is as good as nothing.
fn claimed(headers: &HeaderMap) -> Position {
    let text = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok());
    let told = headers.get_all(HEADER).iter().filter_map(text);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(';'));
    let kept = cookies.filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('=')?.parse().ok());
    told.chain(kept).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &str)]) -> Position {
        let line = |&(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        claimed(&lines.iter().map(line).collect())
    }

    #[test]
    fn the_newest_of_what_a_client_sends_counts() {
        let both = [("cookie", "a=b; orderflow_position=1f; c=d"), ("x-orderflow-position", "20")];
        assert_eq!(of(&both), Position::new(0x20));
        assert_eq!(of(&both[..1]), Position::new(0x1f));
        let several = [("cookie", "orderflow_position=1; orderflow_position=3"), ("cookie", "orderflow_position=2")];
        assert_eq!(of(&several), Position::new(3));
        assert_eq!(of(&[("x-orderflow-position", "primary"), ("x-orderflow-position", "5")]), Position::PRIMARY);
    }

    #[test]
    fn garbage_is_as_good_as_nothing() {
        let garbage = [
            ("x-orderflow-position", "-5"),
            ("x-orderflow-position", "1ffffffffffffffff"),
            ("x-orderflow-position", "\u{e9}"),
            ("cookie", "orderflow_position"),
            ("cookie", "orderflow_position=; orderflow_positions=7; my_orderflow_position=8"),
            ("cookie", "orderflow_position=\"9\""),
        ];
        for line in garbage {
            assert_eq!(of(&[line]), Position::START, "{line:?}");
        }
        assert_eq!(of(&garbage), Position::START);
        assert_eq!(of(&[]), Position::START);
    }
}
