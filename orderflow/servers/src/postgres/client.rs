//! Asking a server by PostgreSQL's own clients: psql for assertions, pgbench for comparisons.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};

use super::{Postgres, USER};
use crate::bounded;

/// For one call of psql.
const SQL: Duration = Duration::from_mins(1);
/// For one run of pgbench.
const BENCH: Duration = Duration::from_mins(15);

impl Postgres {
    /// Runs SQL in the database `postgres`, as [`Database::psql`](super::Database::psql) does in its own.
    ///
    /// # Errors
    /// Those of that function.
    pub fn psql(&self, sql: &str) -> Result<String> {
        self.psql_in("postgres", sql)
    }

    /// Ends all connections to a database but the caller's own, and waits until there is none; gives how many. Under load
    /// there is always another one, so this is for databases that nobody is using.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn terminate_backends(&self, database: &str) -> Result<u32> {
        let others = format!("FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()", text(database));
        let ended: u32 = self.psql(&format!("SELECT count(pg_terminate_backend(pid)) {others}"))?.parse()?;
        // Within one statement pg_stat_activity shows one moment, unless its snapshot is cleared.
        let wait = format!(
            "DO $$ BEGIN FOR look IN 1..500 LOOP PERFORM pg_stat_clear_snapshot(); \
             IF NOT EXISTS (SELECT {others}) THEN RETURN; END IF; PERFORM pg_sleep(0.02); END LOOP; \
             RAISE 'connections to % have not ended', '{}'; END $$",
            text(database)
        );
        self.psql(&wait)?;
        Ok(ended)
    }

    pub(crate) fn psql_in(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql =
            self.client("psql", &["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", database])?;
        let output = bounded::output(&mut psql, sql, SQL)?;
        Ok(output.trim_end().to_owned())
    }

    pub(crate) fn pgbench_in(&self, database: &str, arguments: &[&str]) -> Result<String> {
        let mut pgbench = self.client("pgbench", arguments)?;
        bounded::output(pgbench.arg(database), "", BENCH)
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        {
            let keeper = self.server.keeper();
            ensure!(keeper.server().is_some(), "the server is stopped");
            ensure!(!keeper.frozen(), "the server is paused, so {program} would wait in vain");
        }
        let mut command = Command::new(self.server.programs.program(program)?);
        bounded::without_postgres_variables(&mut command);
        // The password by the environment, which only the same user can read; arguments are everybody's.
        command.env("PGPASSWORD", &self.server.password).env("PGCONNECT_TIMEOUT", "30").env("LC_ALL", "C");
        command.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-U", USER]).args(arguments);
        Ok(command)
    }
}

/// A string inside single quotes of SQL.
fn text(word: &str) -> String {
    word.replace('\'', "''")
}
