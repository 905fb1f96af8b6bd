//! Asking a server by PostgreSQL's own clients: psql for assertions, pgbench for comparisons.

use std::{process::Command, time::Duration};

use anyhow::Result;

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

    /// Ends all connections that a database has at this moment but the caller's own, and waits until they have ended; gives
    /// how many. New ones may be there by then.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn terminate_backends(&self, database: &str) -> Result<u32> {
        let pids = self.psql(&format!(
            "SELECT array_agg(pid) FROM (SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = '{}' AND pid <> pg_backend_pid()) AS ended",
            text(database)
        ))?;
        if pids.is_empty() {
            return Ok(0);
        }
        // Within one statement pg_stat_activity shows one moment, unless its snapshot is cleared.
        self.psql(&format!(
            "DO $$ BEGIN FOR look IN 1..500 LOOP PERFORM pg_stat_clear_snapshot(); \
             IF NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY('{pids}')) THEN RETURN; END IF; \
             PERFORM pg_sleep(0.02); END LOOP; RAISE 'connections to % have not ended', '{}'; END $$",
            text(database)
        ))?;
        Ok(pids.split(',').count() as u32)
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
        self.server.process.answers()?;
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
