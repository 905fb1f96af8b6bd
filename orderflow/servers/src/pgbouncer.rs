//! `PgBouncer`: a pool of connections between many clients and one PostgreSQL server, which has a few connections for a
//! transaction at a time each.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;

use crate::{
    keeper::Keeper,
    postgres::Postgres,
    process::{Launch, Process},
    programs,
    user::User,
};

/// How many connections to a database of the server all clients share.
const POOL: u32 = 4;

/// A running `PgBouncer`. Clones are handles to the same one; the last handle ends it. Keeps its server running.
///
/// It listens on 127.0.0.1 only and wants the server's user and password, leads to any database of the server, and pools
/// transactions: 4 connections a database for up to 500 clients, each of which waits for one for up to 5 seconds. What a client sets for its session is not for the next
/// transaction, and the `options` that it connects with are passed over.
#[derive(Clone)]
pub struct PgBouncer {
    bouncer: Arc<Bouncer>,
}

struct Bouncer {
    /// Before the server, which would otherwise wait for its connections.
    process: Process,
    postgres: Postgres,
}

impl PgBouncer {
    /// One of the caller's own before a server.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) where `pgbouncer` is not installed; else what keeps it from starting, with the end of its
    /// log.
    pub fn own(postgres: &Postgres) -> Result<Self> {
        let program = programs::server("pgbouncer", "pgbouncer")?;
        let mut keeper = Keeper::new(User::instead_of_root(&["postgres", "nobody"])?.as_ref(), "TERM")?;
        let (user, password) = postgres.login();
        keeper.write("users", &format!("\"{user}\" \"{password}\"\n"))?;
        let launch = Launch::on_free_port(&mut keeper, |keeper, port| {
            let dir = keeper.dir().display().to_string();
            keeper.write("pgbouncer.ini", &configuration(&dir, port, user, postgres.port()))?;
            let arguments = vec![format!("{dir}/pgbouncer.ini")];
            Ok(Launch { program: program.clone(), arguments, ports: vec![port], ready: Box::new(ready) })
        })?;
        let process = Process::new(keeper, launch);
        Ok(Self { bouncer: Arc::new(Bouncer { process, postgres: postgres.clone() }) })
    }

    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.bouncer.process.port()
    }

    /// The address of a database of the server by way of it: `postgres://user:password@127.0.0.1:port/name`.
    pub fn url(&self, database: &str) -> String {
        self.bouncer.postgres.url_by(self.port(), database)
    }

    /// Its own directory, which holds `pgbouncer.ini` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.bouncer.process.dir()
    }

    /// Its process id; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.bouncer.process.pid()
    }

    /// Runs SQL by way of it, as [`Database::psql`](crate::Database::psql) does without; and in the database `pgbouncer`
    /// its own commands, for instance `SHOW POOLS`.
    ///
    /// # Errors
    /// Those of that function.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.bouncer.process.answers()?;
        self.bouncer.postgres.psql_by(self.port(), database, sql)
    }

    /// Ends it at once, with all connections; [`PgBouncer::start`] brings it back. Nothing where it is stopped already. By
    /// SIGKILL, since it has nothing to save, and newer versions wait for their clients when they are asked to end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self) -> Result<()> {
        self.bouncer.process.kill()
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start(&self) -> Result<()> {
        self.bouncer.process.start()
    }

    /// [`PgBouncer::stop`] and [`PgBouncer::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Keeps it from running: connections stay open and are even made, and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.bouncer.process.pause()
    }

    /// Lets it go on. Nothing where it is not paused.
    ///
    /// # Errors
    /// When its keeper does not answer.
    pub fn resume(&self) -> Result<()> {
        self.bouncer.process.resume()
    }
}

fn configuration(dir: &str, port: u16, user: &str, server: u16) -> String {
    // By default it tries a server again after 15 seconds, and lets a client wait for two minutes.
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {dir}/users\n\
         admin_users = {user}\n\
         pool_mode = transaction\n\
         default_pool_size = {POOL}\n\
         max_client_conn = 500\n\
         ignore_startup_parameters = extra_float_digits,options\n\
         server_login_retry = 1\n\
         query_wait_timeout = 5\n"
    )
}

/// Whether this process, and not one before it, has written that it is up, which it does when it listens.
fn ready(keeper: &Keeper) -> bool {
    let Some(pid) = keeper.server() else { return false };
    keeper.log().contains(&format!("[{}] LOG process up", pid.as_raw_nonzero()))
}
