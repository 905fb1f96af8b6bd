//! A database of a test's own, which ends with its handle.

use std::{io::Write, sync::atomic::Ordering, thread};

use anyhow::{Context, Result};

use super::Postgres;

/// A database, dropped with this handle even while connections to it are open. Keeps its server running.
pub struct Database {
    server: Postgres,
    name: String,
    url: String,
}

impl Postgres {
    /// A fresh, empty database.
    ///
    /// # Errors
    /// When the server does not run or refuses.
    pub fn database(&self) -> Result<Database> {
        self.create("")
    }

    /// A copy of `template` with its tables and rows, for what takes long to fill. Nobody may be connected to the
    /// template meanwhile, so close the pool that filled it first.
    ///
    /// # Errors
    /// When somebody is connected to the template, and when the server does not run.
    pub fn copy_of(&self, template: &Database) -> Result<Database> {
        self.create(&format!(" TEMPLATE {}", template.name))
            .with_context(|| format!("{} cannot be copied; is a connection to it still open?", template.name))
    }

    fn create(&self, how: &str) -> Result<Database> {
        let number = self.server.databases.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("orderflow_{number}");
        self.psql(&format!("CREATE DATABASE {name}{how}"))?;
        Ok(Database { url: self.url(&name), name, server: self.clone() })
    }
}

impl Database {
    /// Its address: `postgres://user:password@127.0.0.1:port/name`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name, unique in its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server that it is in.
    pub fn server(&self) -> &Postgres {
        &self.server
    }

    /// Runs SQL (one statement or many, each its own transaction) by psql and gives what it prints: a row a line, columns
    /// parted by `|`, nothing else. psql's own commands, a line each, work too.
    ///
    /// # Errors
    /// At the first statement that fails, with the server's message; and after a minute.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.server.psql_in(&self.name, sql)
    }

    /// How the server executes a statement: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)`. The statement is executed, and its
    /// effects are rolled back.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn explain(&self, statement: &str) -> Result<String> {
        self.psql(&format!("BEGIN; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}\n; ROLLBACK;"))
    }

    /// Runs pgbench against it, for instance `&["-i", "-s", "1"]` and then `&["-S", "-c", "8", "-T", "5"]`, and gives its
    /// report (which `-i` prints to standard error, so that it gives none).
    ///
    /// # Errors
    /// When pgbench is [`Missing`](crate::Missing), fails, or runs for more than 15 minutes.
    pub fn pgbench(&self, arguments: &[&str]) -> Result<String> {
        self.server.pgbench_in(&self.name, arguments)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Of a server that is stopped or paused it goes with the server's directory.
        if self.server.server.process.answers().is_ok()
            && let Err(error) = self.server.psql(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
            && !thread::panicking()
        {
            let _ = writeln!(std::io::stderr(), "database {} stays until its server ends: {error:#}", self.name);
        }
    }
}
