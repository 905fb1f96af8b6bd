//! The address of a database: what it may be, and how it is shown.

use std::path::{Path, PathBuf};

use super::{Config, Database, InProcess, Secret};

impl Config {
    /// Whether the service has its database to itself: nobody named another, so that it creates, migrates and fills it.
    pub fn embedded(&self) -> bool {
        self.database.url.expose() == embedded(&self.data_dir)
    }

    /// Whether a process that serves also sends notifications.
    pub fn works_in_process(&self) -> bool {
        match self.worker.in_process {
            InProcess::On => true,
            InProcess::Off => false,
            InProcess::Auto => self.embedded(),
        }
    }

    /// The database as it may be shown: `sqlite:.orderflow/orderflow.db`, `postgres://user:***@host/name`.
    pub fn database_shown(&self) -> String {
        mask(self.database.url.expose())
    }

    /// Puts the address of the embedded database where none was given.
    pub(super) fn name_database(&mut self) {
        if self.database.url.expose().is_empty() {
            self.database.url = Secret::from(embedded(&self.data_dir));
        }
    }
}

impl Database {
    /// The address for what needs a connection of its own for longer than a transaction: past the pooler, if there is one.
    pub fn session_url(&self) -> &str {
        let direct = self.direct_url.expose();
        if direct.is_empty() { self.url.expose() } else { direct }
    }
}

/// The address of the database in this directory. A URL may not begin its path with two slashes, or hold a bare `%` or `?`.
fn embedded(data_dir: &Path) -> String {
    let plain: PathBuf = data_dir.components().collect();
    let path = plain.join("orderflow.db").to_string_lossy().replace('%', "%25").replace('?', "%3F");
    // What begins with a colon would be a database in memory.
    format!("sqlite:{}{path}", if path.starts_with(':') { "./" } else { "" })
}

/// Whether a database can be at this address. The error never holds any of it.
pub(super) fn check(url: &str) -> Result<(), String> {
    if url.is_empty() {
        return Ok(());
    }
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err("has no scheme".to_owned());
    };
    match scheme {
        "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
            "" => Err("names no file".to_owned()),
            path if path.starts_with(':') => {
                Err("is a database in memory, which ends with its last connection".to_owned())
            }
            path if path.contains('?') => Err("has options, which a SQLite address cannot have here".to_owned()),
            _ => Ok(()),
        },
        "postgres" | "postgresql" => {
            let end = rest.trim_start_matches('/').find(['/', '?', '#']);
            // The driver would take a password with a bare slash for a host and a name, and show it in its errors.
            let misread = end.is_some_and(|end| rest.trim_start_matches('/')[end..].contains('@'));
            if misread || url.parse::<sqlx::postgres::PgConnectOptions>().is_err() {
                return Err("is no address that the PostgreSQL driver understands \
                     (in a password, @ : / ? # % are written %40 %3A %2F %3F %23 %25)"
                    .to_owned());
            }
            Ok(())
        }
        // What stands before another colon may be part of a password.
        known @ ("mysql" | "mariadb" | "mssql" | "mongodb" | "redis" | "http" | "https" | "file" | "jdbc") => {
            Err(format!("has the scheme {known}"))
        }
        _ => Err("has an unknown scheme".to_owned()),
    }
}

/// The address without its passwords, before its host or among its options.
pub(super) fn mask(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // Up to the last @ there is, so that nothing of a password shows whatever it holds.
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:***@{host}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    match rest.split_once('?') {
        Some((before, options)) => {
            let options: Vec<_> = options.split('&').map(mask_option).collect();
            format!("{scheme}://{before}?{}", options.join("&"))
        }
        None => format!("{scheme}://{rest}"),
    }
}

/// An option is shown if its name is plain, and does not look as if its value were a secret: `%70assword` is one too.
fn mask_option(option: &str) -> String {
    match option.split_once('=') {
        Some((name, _)) if name.contains(['%', '+']) || name.to_lowercase().contains("pass") => format!("{name}=***"),
        _ => option.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_sqlite_or_postgresql() {
        for url in [
            "",
            "sqlite:a/b.db",
            "sqlite://b.db",
            "sqlite:///tmp/b.db",
            "postgres://u:p@h/db",
            "postgresql://h:5433/db",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "orders.db",
            "mysql://h/db",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "postgres://h:port/db",
            "postgres://u:/p@h/db",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_embedded_address_names_the_file_in_the_data_directory_whatever_that_is_called() {
        for dir in [".orderflow", "/var/lib/orderflow", "//tmp/x", "a b", "50%25?mode=ro", ":memory:", "."] {
            let url = embedded(Path::new(dir));
            assert_eq!(check(&url), Ok(()), "{url}");
            let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
            let expected = Path::new(dir).join("orderflow.db");
            let plain = |path: &Path| path.components().filter(|part| part.as_os_str() != ".").collect::<PathBuf>();
            assert_eq!(plain(options.get_filename()), plain(&expected), "{url}");
        }
    }

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        for (url, shown) in [
            ("postgres://u:p@h/db", "postgres://u:***@h/db"),
            ("postgres://u:p@ss:w@h:5433/db", "postgres://u:***@h:5433/db"),
            ("postgres://u@h/db", "postgres://u@h/db"),
            ("postgres://u:p/p@h/db", "postgres://u:***@h/db"),
            ("postgres://h/db?user=u&password=p", "postgres://h/db?user=u&password=***"),
            ("postgres://h/db?%70assword=p", "postgres://h/db?%70assword=***"),
        ] {
            assert_eq!(mask(url), shown);
        }
    }

    proptest! {
        #[test]
        fn no_password_of_an_accepted_address_is_shown(
            user in "[a-z]{1,5}", before in "[ -~]{0,6}", after in "[ -~]{0,6}", host in "[a-z]{1,5}", name in "[a-z/?&=]{0,9}",
        ) {
            let url = format!("postgres://{user}:{before}S3CRET{after}@{host}/{name}");
            match check(&url) {
                Ok(()) => prop_assert!(!mask(&url).contains("S3CRET"), "{}", mask(&url)),
                Err(error) => prop_assert!(!error.contains("S3CRET")),
            }
        }
    }
}
