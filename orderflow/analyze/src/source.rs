//! Where the database is: given, or where OrderFlow would look for it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

const FILE: &str = "orderflow.toml";
const URL: &str = "ORDERFLOW_DATABASE__URL";
/// Past a pooler, which would give figures of whatever connection it lends.
const DIRECT: &str = "ORDERFLOW_DATABASE__DIRECT_URL";

/// A database, and where its address stood.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) options: PgConnectOptions,
    /// What messages call the place where the address was found.
    pub(crate) place: String,
}

/// What of OrderFlow's settings is read here. The rest is its own affair.
#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    database: Database,
}

#[derive(Default, Deserialize)]
struct Database {
    #[serde(default)]
    url: String,
    #[serde(default)]
    direct_url: String,
}

impl Source {
    /// The address that is given, or the environment's, or the file's.
    pub(crate) fn find(given: Option<&str>, file: Option<&Path>) -> Result<Self> {
        if let Some(url) = given {
            return Self::parse(url, "--url".into());
        }
        for name in [DIRECT, URL] {
            if let Some(url) = std::env::var(name).ok().filter(|url| !url.is_empty()) {
                return Self::parse(&url, name.into());
            }
        }
        let named = file.is_some();
        let path = file.unwrap_or(Path::new(FILE));
        if named || path.exists() {
            let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            // The parser's own message quotes the line, which may be the one with the password.
            let Ok(File { database }) = toml::from_str(&text) else {
                bail!("{}: database.url cannot be read from it; `orderflow config` says why", path.display());
            };
            for (key, url) in [("database.direct_url", database.direct_url), ("database.url", database.url)] {
                if !url.is_empty() {
                    return Self::parse(&url, format!("{key} in {}", path.display()));
                }
            }
        }
        bail!(
            "no database is named\nGive --url postgres://USER@HOST/NAME, set {URL}, or put database.url into {FILE}.\n\
             OrderFlow without one keeps its orders in an embedded SQLite, of which there is nothing to analyse."
        )
    }

    /// The error never holds any of the address: what is not understood may be part of a password.
    fn parse(url: &str, place: String) -> Result<Self> {
        if url.starts_with("sqlite:") {
            bail!("{place} names a SQLite database\nOnly PostgreSQL keeps the figures that this looks at.");
        }
        let shape = "\nIt looks like postgres://USER:PASSWORD@HOST:5432/NAME; in a password, @ : / ? # % are written \
                     %40 %3A %2F %3F %23 %25.";
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // The driver would take a password with a bare slash for a host and a name, and show it in its errors.
        if !matches!(scheme, "postgres" | "postgresql") || rest[end..].contains('@') {
            bail!("{place} is no address of a PostgreSQL database{shape}");
        }
        let Ok(options) = url.parse() else { bail!("{place} is no address that the driver understands{shape}") };
        Ok(Self { options, place })
    }

    /// Host, port and name, without user and password.
    pub(crate) fn shown(&self) -> String {
        let options = &self.options;
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        format!("{}:{}/{name}", options.get_host(), options.get_port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for url in [
            "S3CRET",
            "mysql://u:S3CRET@h/db",
            "postgres://u:S3CRET/x@h/db",
            "postgres://u:S3CRET@h:port/db",
            "sqlite:S3CRET.db",
        ] {
            let said = format!("{:#}", Source::find(Some(url), None).unwrap_err());
            assert!(said.starts_with("--url ") && !said.contains("S3CRET"), "{said}");
        }
    }

    #[test]
    fn what_is_shown_has_no_password() {
        let source = Source::find(Some("postgresql://ada:S3CRET@db.example:5433/shop?sslmode=require"), None).unwrap();
        assert_eq!((source.shown(), source.place), ("db.example:5433/shop".to_owned(), "--url".to_owned()));
    }

    #[test]
    fn a_file_says_where_and_past_a_pooler_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let find = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Source::find(None, Some(&path))
        };
        let text = "[http]\nlisten = \"127.0.0.1:80\"\n[database]\nurl = \"postgres://h/pooled\"\n";
        assert_eq!(find(text).unwrap().shown(), "h:5432/pooled");
        let direct = text.to_owned() + "direct_url = \"postgres://h:6000/direct\"\n";
        let found = find(&direct).unwrap();
        assert_eq!(found.shown(), "h:6000/direct");
        assert!(found.place.starts_with("database.direct_url in "), "{}", found.place);
        let said = format!("{:#}", find("[database]\nurl = \"S3CRET").unwrap_err());
        assert!(said.contains("mine.toml") && !said.contains("S3CRET"), "{said}");
        assert!(find("").unwrap_err().to_string().contains("no database is named"));
    }
}
