//! The kinds of settings that are about what instances share: other servers' addresses, names, mailboxes.

use std::path::PathBuf;

use redis::IntoConnectionInfo;
use time::UtcOffset;
use toml::Value;

use super::{
    Secret, database,
    given::{Given, Shape},
    kinds::Kind,
};

/// An address of one scheme or another, or nothing.
fn address(given: &Given, schemes: &[&str]) -> Result<Secret, String> {
    let text = given.text().map_err(|_| given.is_a_secret())?;
    if text.is_empty() {
        return Ok(Secret::from(String::new()));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("has no scheme (its value is not shown)".to_owned());
    };
    if !schemes.contains(&scheme) {
        return Err("has an unknown scheme (its value is not shown)".to_owned());
    }
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if host.is_empty() || host.starts_with(['/', ':', '?']) {
        return Err("names no host (its value is not shown)".to_owned());
    }
    let url: url::Url = text.parse().map_err(
        |_| "is no address (its value is not shown; in a password, @ : / ? # % are written %40 %3A %2F %3F %23 %25)",
    )?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host (its value is not shown)".to_owned());
    }
    Ok(Secret::from(text.to_owned()))
}

/// The address of a Redis server that its client understands, or nothing.
fn redis_address(given: &Given, schemes: &[&str]) -> Result<Secret, String> {
    let address = address(given, schemes)?;
    if address.expose().is_empty() {
        return Ok(address);
    }
    // The client takes a number below zero, and each connection would fail.
    let sound = address.expose().into_connection_info().is_ok_and(|info| info.redis_settings().db() >= 0);
    if sound {
        return Ok(address);
    }
    Err("is no address that the Redis client understands, perhaps for a database that is no number (its value is not \
         shown; in a password, @ : / ? # % are written %40 %3A %2F %3F %23 %25)"
        .to_owned())
}

macro_rules! address {
    ($(#[doc = $doc:literal])* $name:ident, $parse:ident, $schemes:expr, $allowed:literal) => {
        $(#[doc = $doc])*
        pub(super) struct $name;

        impl Kind<Secret> for $name {
            fn allowed(&self) -> String {
                $allowed.to_owned()
            }

            fn parse(&self, given: &Given) -> Result<Secret, String> {
                $parse(given, $schemes)
            }

            fn show(&self, value: &Secret) -> Value {
                Value::String(database::mask(value.expose()))
            }

            fn masks(&self, value: &Secret) -> bool {
                database::mask(value.expose()) != value.expose()
            }
        }
    };
}

address!(
    /// The address of a Redis server, or nothing.
    RedisUrl,
    redis_address,
    &["redis"],
    "redis://:PASSWORD@HOST:PORT/DATABASE, or empty for none"
);
address!(
    /// The address of a RabbitMQ server, or nothing.
    BrokerUrl,
    address,
    &["amqp"],
    "amqp://USER:PASSWORD@HOST:PORT/VHOST, or empty for none"
);
address!(
    /// The address of a mail server, or nothing.
    SmtpUrl,
    address,
    &["smtp", "smtps"],
    "smtp://USER:PASSWORD@HOST:PORT or smtps://, or empty for the spool directory"
);

/// Addresses of PostgreSQL servers: a list, or a text with commas between them.
pub(super) struct Replicas {
    /// How many there may be.
    pub(super) most: usize,
}

impl Kind<Vec<Secret>> for Replicas {
    fn allowed(&self) -> String {
        format!("at most {} addresses such as postgres://USER:PASSWORD@HOST/NAME, with commas between them", self.most)
    }

    fn parse(&self, given: &Given) -> Result<Vec<Secret>, String> {
        let texts: Vec<String> = if let Shape::List(items) = &given.value {
            let text = |item: &Given| item.text().map(str::to_owned).map_err(|_| item.is_a_secret());
            items.iter().map(text).collect::<Result<_, _>>()?
        } else {
            let text = given.text().map_err(|_| given.is_a_secret())?;
            text.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect()
        };
        if texts.len() > self.most {
            return Err(format!("are {} addresses", texts.len()));
        }
        let url = |text: String| {
            database::check(&text)?;
            if text.starts_with("postgres") { Ok(Secret::from(text)) } else { Err("is not PostgreSQL's".to_owned()) }
        };
        texts.into_iter().map(url).collect()
    }

    fn show(&self, value: &Vec<Secret>) -> Value {
        let urls: Vec<_> = value.iter().map(|url| database::mask(url.expose())).collect();
        Value::String(urls.join(","))
    }

    fn masks(&self, value: &Vec<Secret>) -> bool {
        value.iter().any(|url| database::mask(url.expose()) != url.expose())
    }
}

/// The longest name, in characters.
const LONGEST_NAME: usize = 100;

/// A name that other servers know something by.
pub(super) struct Name;

impl Kind<String> for Name {
    fn allowed(&self) -> String {
        format!("1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores")
    }

    fn parse(&self, given: &Given) -> Result<String, String> {
        let text = given.text()?;
        let sound = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let ok = (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(sound);
        if ok { Ok(text.to_owned()) } else { Err(given.is_a()) }
    }

    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
}

/// A directory, or nothing.
pub(super) struct MaybeFolder;

impl Kind<PathBuf> for MaybeFolder {
    fn allowed(&self) -> String {
        "a directory; one that does not exist is made".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<PathBuf, String> {
        given.text().map(PathBuf::from)
    }

    fn show(&self, value: &PathBuf) -> Value {
        Value::String(value.to_string_lossy().into_owned())
    }
}

/// Whom a mail is from: an address, with a name before it or not.
pub(super) struct Mailbox;

impl Kind<String> for Mailbox {
    fn allowed(&self) -> String {
        "an address such as OrderFlow <orders@example.com>".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<String, String> {
        let text = given.text()?;
        text.parse::<lettre::message::Mailbox>().map_err(|_| given.is_a())?;
        Ok(text.to_owned())
    }

    fn show(&self, value: &String) -> Value {
        Value::String(value.clone())
    }
}

/// The distance from UTC, in whole minutes.
pub(super) struct Offset;

impl Kind<UtcOffset> for Offset {
    fn allowed(&self) -> String {
        "a signed distance to UTC of at most 14 hours, such as +02:00 or -03:30".to_owned()
    }

    fn parse(&self, given: &Given) -> Result<UtcOffset, String> {
        let text = given.text()?;
        offset(text).ok_or_else(|| given.is_a())
    }

    fn show(&self, value: &UtcOffset) -> Value {
        let minutes = value.whole_minutes();
        let sign = if minutes < 0 { '-' } else { '+' };
        Value::String(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60))
    }
}

fn offset(text: &str) -> Option<UtcOffset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |digits: &str| {
        let sound = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if sound { digits.parse::<u8>().ok() } else { None }
    };
    let (hours, minutes) = (i32::from(two(hours)?), i32::from(two(minutes)?));
    let seconds = (hours * 60 + minutes) * 60;
    if minutes > 59 || seconds > 14 * 3600 {
        return None;
    }
    UtcOffset::from_whole_seconds(sign * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_signed_and_has_four_digits() {
        for (text, seconds) in [("+00:00", 0), ("-03:30", -12_600), ("+14:00", 50_400), ("-14:00", -50_400)] {
            assert_eq!(offset(text).map(UtcOffset::whole_seconds), Some(seconds), "{text}");
        }
        for text in ["", "00:00", "+2:00", "+14:01", "+02:60", "+0200", "++2:00", "Z"] {
            assert_eq!(offset(text), None, "{text}");
        }
    }
}
