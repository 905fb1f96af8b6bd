//! Who calls, as their API key says.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};

use super::{
    App,
    problem::{Kind, Problem},
};
use crate::config::Role;

/// Somebody with a key that allows writing.
pub(super) struct Writer {
    /// The name of the key.
    pub(super) name: String,
}

/// Somebody with a key that allows everything.
pub(super) struct Admin;

impl FromRequestParts<App> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        key(&parts.headers, app, Role::Writer).map(|name| Self { name })
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        key(&parts.headers, app, Role::Admin).map(|_| Self)
    }
}

/// Whose key these headers present, if it allows what is needed.
///
/// # Errors
/// If there is no key, it is unknown, or its role is too low.
pub(crate) fn key(headers: &HeaderMap, app: &App, needed: Role) -> Result<String, Problem> {
    let wrong = |why: &str| Problem::new(Kind::Unauthorized).field("Authorization", why);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| wrong("must be there: Bearer, a space, and an API key"))?;
    if values.next().is_some() {
        return Err(wrong("is given twice"));
    }
    let text = value.to_str().unwrap_or_default();
    let key =
        text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
    let key = key.ok_or_else(|| wrong("must be Bearer, a space, and an API key"))?;
    let (name, role) = app.keys.verify(key).ok_or_else(|| wrong("is not a key that this service knows"))?;
    if role < needed {
        return Err(Problem::new(Kind::Forbidden).detail("This needs a key with the role admin."));
    }
    Ok(name.to_owned())
}
