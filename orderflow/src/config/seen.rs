//! The kinds of settings that are about how the service is seen from outside: collectors, Sentry, ratios, names of hosts.

use std::str::FromStr;

use sentry_core::types::Dsn;
use toml::Value;

use super::{
    Secret, database,
    given::{Given, Shape},
    kinds::Kind,
};

/// A number from 0 to 1.
pub(super) struct Ratio;

impl Kind<f64> for Ratio {
    fn allowed(&self) -> String {
        "a number from 0 to 1, such as 0.01".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<f64, String> {
        let number = match &given.value {
            Shape::Number(number) => *number as f64,
            Shape::Fraction(number) => *number,
            Shape::Word(text) => text.parse().map_err(|_| given.is_a())?,
            _ => return Err(given.is_a()),
        };
        if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(given.is_a()) }
    }

    fn show(&self, value: &f64) -> Value {
        Value::Float(*value)
    }
}

/// The address of an OpenTelemetry collector, or nothing.
pub(super) struct Collector;

impl Kind<String> for Collector {
    fn allowed(&self) -> String {
        "http://HOST:PORT or https://HOST:PORT, or empty for none".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<String, String> {
        let text = given.text()?;
        if text.is_empty() {
            return Ok(String::new());
        }
        let url: url::Url = text.parse().map_err(|_| given.is_a())?;
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let sound = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
        if sound && plain && url.fragment().is_none() { Ok(text.to_owned()) } else { Err(given.is_a()) }
    }

    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
}

/// The address of a project at Sentry, or nothing.
pub(super) struct SentryDsn;

impl Kind<Secret> for SentryDsn {
    fn allowed(&self) -> String {
        "https://KEY@HOST/PROJECT, or empty for none".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<Secret, String> {
        let text = given.text().map_err(|_| given.is_a_secret())?;
        if text.is_empty() || Dsn::from_str(text).is_ok() {
            return Ok(Secret::from(text.to_owned()));
        }
        Err("is no address of a project at Sentry (its value is not shown)".to_owned())
    }

    fn show(&self, value: &Secret) -> Value {
        Value::String(masked(value.expose()))
    }

    fn masks(&self, value: &Secret) -> bool {
        masked(value.expose()) != value.expose()
    }
}

/// The address without its key, which stands where other addresses have a user's name.
fn masked(dsn: &str) -> String {
    match (dsn.split_once("://"), dsn.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => database::mask(dsn),
    }
}

/// Names of hosts: a list, or a text with commas between them.
pub(super) struct Hosts {
    /// How many there may be.
    pub(super) most: usize,
}

impl Kind<Vec<String>> for Hosts {
    fn allowed(&self) -> String {
        format!("at most {} names such as ops.example.com, without ports, with commas between them", self.most)
    }

    fn parse(&self, given: &Given) -> Result<Vec<String>, String> {
        let names: Vec<String> = if let Shape::List(items) = &given.value {
            items.iter().map(|item| item.text().map(str::to_lowercase)).collect::<Result<_, _>>()?
        } else {
            let text = given.text()?;
            text.split(',').map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()).collect()
        };
        if names.len() > self.most {
            return Err(format!("are {} names", names.len()));
        }
        let sound = |name: &&String| {
            !name.is_empty()
                && name.len() <= 253
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        match names.iter().find(|name| !sound(name)) {
            Some(odd) => Err(format!("has {odd:?}, which is no name of a host")),
            None => Ok(names),
        }
    }

    fn show(&self, value: &Vec<String>) -> Value {
        Value::String(value.join(","))
    }
}
