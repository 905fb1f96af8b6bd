//! From a request to the domain's types. What cannot be parsed is answered by a problem that names the part.

use std::{borrow::Cow, str::FromStr};

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    http::{
        HeaderMap,
        header::{CONTENT_TYPE, HeaderName},
        request::Parts,
    },
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::{
    App,
    edge::Arriving,
    problem::{FieldError, Kind, Problem},
};
use crate::domain::{Invalid, Object, Start, Window};

/// The most characters of a name that are repeated to the client that made it up.
const MAX_ECHO: usize = 100;
/// The most faults of a query that are told at once: an answer should not outgrow its request.
const MAX_ERRORS: usize = 10;

/// The identifier at the end of a path.
pub(super) struct Id<T>(pub(super) T);

impl<T: FromStr<Err = Invalid>> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let wrong = |why: String| Problem::new(Kind::BadRequest).field("id", why);
        let params =
            RawPathParams::from_request_parts(parts, app).await.map_err(|_| wrong("must be UTF-8".to_owned()))?;
        let (_, text) = params.iter().next().ok_or_else(|| wrong("is missing".to_owned()))?;
        text.parse().map(Self).map_err(|Invalid(why)| wrong(why))
    }
}

/// The parameters of a query, each at most once, none that the route does not know.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Takes a request's query apart; `known` are the names that the route has.
    pub(crate) fn of(parts: &Parts, known: &[&str]) -> Self {
        let mut query = Self { pairs: Vec::new(), errors: Vec::new() };
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let why = if !known.contains(&&*name) {
                Cow::from(format!("is not a parameter here; there are {}", known.join(", ")))
            } else if query.pairs.iter().any(|(other, _)| *other == name) {
                Cow::from("is given twice")
            } else {
                query.pairs.push((name.into_owned(), value.into_owned()));
                continue;
            };
            query.errors.push(FieldError { field: shortened(&name), message: why.into_owned() });
            if query.errors.len() == MAX_ERRORS {
                break;
            }
        }
        query
    }

    /// The parameter of this name. What is wrong with it is kept for [`Query::done`].
    pub(crate) fn get<T: FromStr<Err = Invalid>>(&mut self, name: &str) -> Option<T> {
        let (_, text) = self.pairs.iter().find(|(other, _)| other == name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(Invalid(message)) => {
                self.errors.push(FieldError { field: name.to_owned(), message });
                None
            }
        }
    }

    /// The window that `page`, `limit` and `cursor` describe.
    pub(super) fn window(&mut self) -> Window {
        let (page, cursor, limit) = (self.get("page"), self.get("cursor"), self.get("limit"));
        if page.is_some() && cursor.is_some() {
            let message = "cannot be combined with page: a cursor says where to start".to_owned();
            self.errors.push(FieldError { field: "cursor".to_owned(), message });
        }
        let start = cursor.map_or_else(|| Start::Page(page.unwrap_or_default()), Start::After);
        Window { start, limit: limit.unwrap_or_default() }
    }

    /// Ends parsing.
    ///
    /// # Errors
    /// All that was wrong with the query.
    pub(crate) fn done(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::new(Kind::BadRequest).fields(self.errors)) }
    }
}

/// The only value of a header. `None` if it is not there.
///
/// # Errors
/// If it is there twice or is not what it should be.
pub(super) fn header<T: FromStr<Err = Invalid>>(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &str,
) -> Result<Option<T>, Problem> {
    let wrong = |why: &str| Problem::new(Kind::BadRequest).field(shown, why);
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong("is given twice"));
    }
    let text = value.to_str().map_err(|_| wrong("must be visible ASCII characters"))?;
    text.parse().map(Some).map_err(|Invalid(why)| wrong(&why))
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &App) -> Result<Self, Problem> {
        let arriving = request.extensions_mut().remove::<Arriving>();
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(Kind::NotJson).field("Content-Type", "must be application/json"));
        }
        let limit = app.config.http.max_body_bytes;
        let body = Limited::new(request.into_body(), limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Problem::new(Kind::TooLarge).detail(format!("At most {limit} bytes are taken."))
            } else {
                Problem::new(Kind::BadRequest).detail("The body could not be read to its end.")
            }
        })?;
        if let Some(arriving) = arriving {
            arriving.arrived();
        }
        let body = body.to_bytes();
        let mut deserializer = serde_json::Deserializer::from_slice(&body);
        let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| refusal(&error))?;
        deserializer.end().map_err(|_| malformed("something follows the end of the JSON value"))?;
        Ok(Self(value))
    }
}

fn malformed(why: &str) -> Problem {
    Problem::new(Kind::BadRequest).field("body", why)
}

/// Syntax is a bad request; JSON that is not what is wanted is content that is not acceptable.
fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if !inner.is_data() {
        return malformed(&format!("is not JSON (line {}, column {})", inner.line(), inner.column()));
    }
    let path = error.path().to_string();
    let path = if path == "." { "" } else { &path };
    // serde_json appends where in the text it was, which the field says better.
    let message = inner.to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
    let (field, message) = told(path, message);
    Problem::new(Kind::InvalidBody).field(shortened(&field), message)
}

/// serde's message in a client's words: without what was sent, which may be long or secret, and without the names of types.
fn told(path: &str, message: &str) -> (String, String) {
    let of = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let named = |start: &str| message.strip_prefix(start).and_then(|rest| rest.strip_suffix('`'));
    if let Some(name) = named("missing field `") {
        return (of(name), "is missing".to_owned());
    }
    if let Some(name) = named("duplicate field `") {
        return (of(name), "is given twice".to_owned());
    }
    let field = if path.is_empty() { "body".to_owned() } else { path.to_owned() };
    let message = match message.rsplit_once(", expected ") {
        Some((start, known)) if start.starts_with("unknown field ") => {
            format!("is not a field here; there are {known}")
        }
        Some((start, "i64")) if start.starts_with("invalid ") => "must be a whole number that fits 64 bits".to_owned(),
        Some((start, wanted)) if start.starts_with("invalid ") => {
            format!("must be {}", if wanted == "a sequence" { "an array" } else { wanted })
        }
        _ => message.to_owned(),
    };
    (field, message)
}

/// What a client made up, as far as it is worth repeating.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(MAX_ECHO) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
