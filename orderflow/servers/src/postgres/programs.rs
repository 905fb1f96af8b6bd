//! Where PostgreSQL's programs are. All are taken from one directory, so that client and server are of one version, and so
//! that a distribution's wrappers, which heed the machine's own clusters, are not used.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{Missing, programs};

/// Outside PATH: Debian, the packages of postgresql.org for RPM systems, Homebrew on both kinds of Mac, EDB, Postgres.app.
const PLACES: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Library/PostgreSQL/*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

#[derive(Debug, Clone)]
pub(crate) struct Programs {
    home: PathBuf,
}

impl Programs {
    pub(crate) fn find() -> Result<Self, Missing> {
        let mut places = programs::places(&PLACES);
        if programs::together(&["initdb", "postgres"], &places).is_none() {
            places.extend(told());
        }
        Self::among(&places)
    }

    fn among(places: &[PathBuf]) -> Result<Self, Missing> {
        let home = programs::together(&["initdb", "postgres"], places).ok_or_else(|| missing("postgres"))?;
        Ok(Self { home })
    }

    /// One of the programs beside the server.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, Missing> {
        let path = self.home.join(name);
        if path.is_file() { Ok(path) } else { Err(missing(name)) }
    }
}

/// The directory that `pg_config` names, wherever that program comes from.
fn told() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(Path::new(String::from_utf8(output.stdout).ok()?.trim()).to_owned())
}

fn missing(program: &str) -> Missing {
    let how = "It comes with PostgreSQL's server: on Debian, apt-get install postgresql. `cargo xtask doctor` says how to \
               get it elsewhere.";
    Missing { program: program.to_owned(), how: how.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_how_to_get_it() {
        let empty = tempfile::tempdir().unwrap();
        let said = Programs::among(&[empty.path().to_owned()]).unwrap_err().to_string();
        for part in ["postgres was found neither", "apt-get install postgresql", "cargo xtask doctor"] {
            assert!(said.contains(part), "{said}");
        }
        let home = Programs { home: empty.path().to_owned() };
        assert_eq!(home.program("pgbench").unwrap_err().program, "pgbench");
    }
}
