//! What a client is told when a request fails: an RFC 9457 problem document, which never says how the inside is made.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, extensions::Extensions};

use crate::store::{Refused, StoreError};

/// Every kind of problem: what it means, the word that names it in its `type`, its status and its title.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+ $kind:ident = $word:literal, $status:ident, $title:literal;)*) => {
        /// A kind of problem: one for each thing that a client could do about it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $meaning])+ $kind,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The word that its `type` ends in.
            pub fn word(self) -> &'static str {
                match self { $(Self::$kind => $word),* }
            }

            /// The status that it comes with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),* }
            }

            /// What it is, in a few words that do not vary.
            pub fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),* }
            }

            /// What it means and what to do about it, for whoever meets it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => concat!($($meaning),+)),* }.trim()
            }
        }
    };
}

kinds! {
    /// The request's syntax, path, query or headers are wrong. `errors` names each part; the same request fails again.
    BadRequest = "bad-request", BAD_REQUEST, "The request is malformed";
    /// The body is JSON, but not what is wanted, or breaks a rule. `errors` names the fields, such as `items[0].quantity`.
    InvalidBody = "invalid-body", UNPROCESSABLE_ENTITY, "The request's content is not acceptable";
    /// There is no key, or it is not one that this service knows. Send `Authorization: Bearer` and a key.
    Unauthorized = "unauthorized", UNAUTHORIZED, "A valid API key is needed";
    /// The key is known and does not allow this: its role is too low.
    Forbidden = "forbidden", FORBIDDEN, "The API key does not allow this";
    /// No route has this path, or nothing has this identifier, or no longer.
    NotFound = "not-found", NOT_FOUND, "There is no such thing";
    /// The path exists, with other methods, which the header `Allow` lists.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The resource does not have this method";
    /// The operators' listener is asked under a name that is not its own: `ops.hosts` lists the names it has beside `localhost`
    /// and addresses.
    Misdirected = "misdirected", MISDIRECTED_REQUEST, "This listener does not have that name";
    /// A page of another origin asks the operators' listener for something, in somebody's browser. It is for people and
    /// programs, not for pages of others.
    Foreign = "foreign-origin", FORBIDDEN, "Pages of other origins may not ask this";
    /// A profile is being taken, and a process can take one at a time. `Retry-After` says when that one ends.
    ProfileTaken = "profile-taken", CONFLICT, "Another profile is being taken";
    /// The process was not built or started so that it could take this profile. `detail` says what to change.
    NoProfile = "no-profile", NOT_IMPLEMENTED, "This process cannot take such a profile";
    /// The request took longer to arrive than the service waits, which is `http.request_timeout` for the whole of it.
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The request did not arrive in time";
    /// No two customers share an address. Nothing was written.
    EmailTaken = "email-taken", CONFLICT, "Another customer has this e-mail address";
    /// Less is left of a product than was ordered, and `errors` says which. Nothing was taken from stock, and the idempotency
    /// key is still unused.
    OutOfStock = "out-of-stock", CONFLICT, "There is not enough in stock";
    /// An earlier order was placed with this key, and it said something else. Make up a new key for a new order.
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another order";
    /// The body is larger than `http.max_body_bytes`. It was not read to its end.
    TooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "The request's body is too large";
    /// The header `Content-Type` must be `application/json`.
    NotJson = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The request's body must be application/json";
    /// This client asks more often than `http.rate_limit` and `http.rate_burst` allow. `Retry-After` says when to ask again.
    RateLimited = "rate-limited", TOO_MANY_REQUESTS, "Too many requests";
    /// More requests are under way than `http.max_in_flight`, or more lists, writes or streams than there may be of them, so
    /// this one was refused before any work was done. Try again after `Retry-After`.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "The service is at its limit";
    /// The database is away, full or too slow. A write may have happened all the same: repeat it with its idempotency key.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service cannot do this at the moment";
    /// A fault of the service. Its log has the cause, under the identifier that `X-Request-Id` gives.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
}

/// What a route's description says of its failures: a type of responses for each list of kinds.
macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident)*;)*) => {
        $($(#[$doc])*
        pub(super) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
                describe(&[Kind::BadRequest, Kind::RateLimited, Kind::Overloaded, Kind::Unavailable $(, Kind::$kind)*])
            }
        })*
    };
}

failures! {
    /// How listing fails.
    ListFailures:;
    /// How reading one thing fails.
    ReadFailures: NotFound;
    /// How placing an order fails.
    PlaceFailures: Unauthorized RequestTimeout OutOfStock TooLarge NotJson InvalidBody KeyReused;
    /// How adding a customer fails.
    CreateFailures: Unauthorized RequestTimeout EmailTaken TooLarge NotJson InvalidBody;
    /// How replacing a customer fails.
    ReplaceFailures: Unauthorized NotFound RequestTimeout EmailTaken TooLarge NotJson InvalidBody;
    /// How deleting a customer fails.
    DeleteFailures: Unauthorized Forbidden NotFound;
}

/// Where the description of the API names kinds: all of them with what they mean, and those of an answer by their words.
const KINDS: &str = "x-problems";

/// Every kind, for the description of the API: it is what their `type` leads to.
pub(super) fn described_kinds() -> Extensions {
    let kinds = Kind::ALL.iter().map(|kind| {
        serde_json::json!({
            "word": kind.word(),
            "status": kind.status().as_u16(),
            "title": kind.title(),
            "meaning": kind.meaning(),
        })
    });
    Extensions::from_iter([(KINDS, kinds.collect::<serde_json::Value>())])
}

/// One response for each status, which names the kinds that come with it.
fn describe(kinds: &[Kind]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let mut by_status = BTreeMap::<String, Vec<Kind>>::new();
    for kind in kinds {
        by_status.entry(kind.status().as_str().to_owned()).or_default().push(*kind);
    }
    let described = by_status.into_iter().map(|(status, kinds)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let titles: Vec<_> = kinds.iter().map(|kind| kind.title()).collect();
        let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
        let response = ResponseBuilder::new()
            .description(format!("{}.", titles.join(", or: ")))
            .extensions(Some(Extensions::from_iter([(KINDS, words)])));
        (status, RefOr::T(response.content("application/problem+json", content).build()))
    });
    described.collect()
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Where: a field of the body such as `items[0].quantity`, or a parameter or header by its name.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A failed request.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    /// Seconds after which another try may help.
    retry_after: Option<u64>,
    cause: Option<Cause>,
}

/// What went wrong inside, for the log and never for the client.
#[derive(Debug, Clone)]
pub(super) struct Cause(pub(super) String);

/// The document, as it is sent.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// What kind of problem this is; the address leads to its description.
    #[serde(rename = "type")]
    #[schema(example = "/docs#not-found")]
    kind: String,
    /// The kind in a few words.
    title: &'a str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'a str>,
    /// Which parts of the request were wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// Of this kind, with nothing to add.
    pub fn new(kind: Kind) -> Self {
        Self { kind, detail: None, errors: Vec::new(), retry_after: None, cause: None }
    }

    /// With what was wrong this time.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With a part of the request that was wrong.
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError { field: field.into(), message: message.into() });
        self
    }

    /// With the parts of the request that were wrong.
    pub fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// With the seconds after which another try may help.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            kind: format!("/docs#{}", self.kind.word()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.as_deref(),
            errors: &self.errors,
        };
        let body = serde_json::to_vec(&document).expect("a problem document is JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.kind.status();
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"orderflow\""));
        }
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::EmailTaken => Self::new(Kind::EmailTaken).field("email", detail),
            Refused::UnknownCustomer(_) => Self::new(Kind::InvalidBody).field("customer_id", detail),
            Refused::UnknownProduct(_) | Refused::TotalTooLarge => Self::new(Kind::InvalidBody).field("items", detail),
            Refused::OutOfStock { .. } => Self::new(Kind::OutOfStock).field("items", detail),
            Refused::KeyReused => Self::new(Kind::KeyReused).field("Idempotency-Key", detail),
        }
    }
}

impl From<&StoreError> for Problem {
    /// The cause goes to the log, with the request's identifier, and only the kind to the client.
    fn from(error: &StoreError) -> Self {
        let problem = match error {
            StoreError::Refused(refused) => return refused.clone().into(),
            StoreError::Busy | StoreError::TimedOut | StoreError::Unavailable(_) | StoreError::Full(_) => {
                Self::new(Kind::Unavailable).detail("The database gave no answer in time.").retry_after(1)
            }
            StoreError::Internal(_) | StoreError::Corrupt(_) => Self::new(Kind::Internal),
        };
        Self { cause: Some(Cause(error.told())), ..problem }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<Arc<StoreError>> for Problem {
    fn from(error: Arc<StoreError>) -> Self {
        Self::from(&*error)
    }
}
