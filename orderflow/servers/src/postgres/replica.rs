//! A replica of a server: a standby that streams the primary's log, answers reads, and can be made to lag or to take over.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{INITIALISE, Postgres, Server, Stop, USER, begin, keeper};
use crate::process::Process;

/// For a replica to replay what it was sent.
const REPLAY: Duration = Duration::from_mins(1);
/// The log is in pages and the pages in segments; each begins with a header.
const PAGE: u64 = 8 << 10;
const PAGE_HEADER: u64 = 24;
const SEGMENT: u64 = 16 << 20;
const SEGMENT_HEADER: u64 = 40;

/// A running replica. Clones are handles to the same one; the last handle ends it. It outlives its primary.
///
/// It is a server of its own, with the primary's parameters, users and databases.
#[derive(Clone)]
pub struct Replica {
    standby: Postgres,
}

impl Postgres {
    /// A replica of this server, in about a second, as far as the server has come by then. Until it is promoted it follows
    /// asynchronously.
    ///
    /// The server keeps a gigabyte of its log from now on, so that a replica that was stopped can catch up. An orderly stop
    /// waits for replicas to take the rest of the log: a minute for one that is paused.
    ///
    /// # Errors
    /// When the server does not run or writes too little to its log (`wal_level`), and when the replica does not start.
    pub fn replica(&self) -> Result<Replica> {
        let Server { programs, password, parameters, .. } = &*self.server;
        self.psql("ALTER SYSTEM SET wal_keep_size = '1GB'")?;
        self.psql("SELECT pg_reload_conf()")?;
        let mut keeper = keeper()?;
        // By a file that only the servers' user can read; arguments are everybody's.
        keeper.write("passwords", &format!("*:*:*:*:{password}"))?;
        let dir = keeper.dir().display().to_string();
        let file = dir.replace('\\', r"\\").replace('\'', r"\'");
        let options = [
            format!("--dbname=host=127.0.0.1 port={} user={USER} passfile='{file}/passwords'", self.port()),
            format!("--pgdata={dir}/data"),
            "--write-recovery-conf".to_owned(),
            "--wal-method=stream".to_owned(),
            "--checkpoint=fast".to_owned(),
            "--no-sync".to_owned(),
        ];
        keeper.run(&programs.program("pg_basebackup")?, &options, INITIALISE)?;
        // A replica whose primary was gone for a while finds it again soon.
        let parameters = [&parameters[..], &["wal_retrieve_retry_interval=100ms".to_owned()]].concat();
        let launch = begin(&mut keeper, programs, &parameters)?;
        let server = Server {
            programs: programs.clone(),
            password: password.clone(),
            parameters,
            databases: AtomicU32::new(0),
            process: Process::new(keeper, launch),
        };
        Ok(Replica { standby: Postgres { server: Arc::new(server) } })
    }

    /// How far the server's log has come: what was committed before is in a replica that has replayed this
    /// ([`Replica::wait_for`]). In bytes since the server was made.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn wal_position(&self) -> Result<u64> {
        Ok(end_of_record(number(&self.psql("SELECT pg_current_wal_insert_lsn() - '0/0'")?)?))
    }
}

impl Replica {
    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.standby.port()
    }

    /// The address of a database in it: `postgres://user:password@127.0.0.1:port/name`.
    pub fn url(&self, database: &str) -> String {
        self.standby.url(database)
    }

    /// The replica's own directory, which holds `data` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.standby.dir()
    }

    /// The process id of the replica's first process; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.standby.pid()
    }

    /// Runs SQL in one of its databases, as [`Database::psql`](crate::Database::psql) does.
    ///
    /// # Errors
    /// Those of that function; writing is one until the replica is promoted.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.standby.psql_in(database, sql)
    }

    /// How far it has come in the primary's log, as [`Postgres::wal_position`] counts.
    ///
    /// # Errors
    /// When the replica does not answer.
    pub fn replayed(&self) -> Result<u64> {
        number(&self.standby.psql("SELECT pg_last_wal_replay_lsn() - '0/0'")?)
    }

    /// Waits until it has come as far as `position`.
    ///
    /// # Errors
    /// When it has not after a minute, and when it does not answer.
    pub fn wait_for(&self, position: u64) -> Result<()> {
        let deadline = Instant::now() + REPLAY;
        loop {
            // Asked anew each time: one statement that waits would keep what it sees from being replayed over.
            let replayed = self.replayed()?;
            if replayed >= position {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the replica has replayed the log up to {replayed} and not up to {position} within {REPLAY:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the replica lag: it goes on answering, and to receive the log, and replays none of it.
    ///
    /// # Errors
    /// When the replica does not answer or has been promoted.
    pub fn pause_replay(&self) -> Result<()> {
        // Until version 14 the server does not tell when a pause begins; there it is at the next record.
        let wait = "DO $$ BEGIN FOR look IN 1..3000 LOOP \
                    IF current_setting('server_version_num')::int < 140000 THEN RETURN; END IF; \
                    IF pg_get_wal_replay_pause_state() = 'paused' THEN RETURN; END IF; \
                    PERFORM pg_sleep(0.01); END LOOP; RAISE 'the replica goes on replaying'; END $$";
        self.standby.psql(&format!("SELECT pg_wal_replay_pause();\n{wait}")).map(drop)
    }

    /// Lets a replica that lags catch up.
    ///
    /// # Errors
    /// When the replica does not answer or has been promoted.
    pub fn resume_replay(&self) -> Result<()> {
        self.standby.psql("SELECT pg_wal_replay_resume()").map(drop)
    }

    /// Makes it a server that takes writes, and returns when it is one. It follows nobody from then on.
    ///
    /// # Errors
    /// When it does not answer, was promoted before, or has not become one after a minute.
    pub fn promote(&self) -> Result<()> {
        let promoted = self.standby.psql("SELECT pg_promote(true, 60)")?;
        ensure!(promoted == "t", "the replica has not become a primary within a minute");
        Ok(())
    }

    /// Ends the replica; [`Replica::start`] brings it back. See [`Postgres::stop`].
    ///
    /// # Errors
    /// When it does not end within two minutes.
    pub fn stop(&self) -> Result<()> {
        self.standby.stop(Stop::Fast)
    }

    /// Starts a stopped replica again, on the same port and with its data.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start(&self) -> Result<()> {
        self.standby.start()
    }

    /// [`Replica::stop`] and [`Replica::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.standby.restart()
    }

    /// Ends all of the replica's processes by SIGKILL.
    ///
    /// # Errors
    /// When they do not end.
    pub fn kill(&self) -> Result<()> {
        self.standby.kill()
    }

    /// Keeps all of the replica's processes from running: nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.standby.pause()
    }

    /// Lets a paused replica go on.
    ///
    /// # Errors
    /// When its keeper does not answer.
    pub fn resume(&self) -> Result<()> {
        self.standby.resume()
    }
}

fn number(position: &str) -> Result<u64> {
    position.parse().with_context(|| format!("{position:?} is no position in a log"))
}

/// Where the last record ends, given where the next one will begin: the server skips a header for it, and who has replayed
/// the last record has not seen the header.
fn end_of_record(next: u64) -> u64 {
    if next % SEGMENT == SEGMENT_HEADER {
        next - SEGMENT_HEADER
    } else if next % PAGE == PAGE_HEADER {
        next - PAGE_HEADER
    } else {
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_nothing_follows_is_not_waited_for() {
        for (next, end) in [(SEGMENT + 40, SEGMENT), (PAGE + 24, PAGE), (PAGE + 40, PAGE + 40), (PAGE, PAGE), (7, 7)] {
            assert_eq!(end_of_record(next), end, "{next}");
        }
    }
}
