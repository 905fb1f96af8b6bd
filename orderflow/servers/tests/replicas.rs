//! A replica follows, lags, fails and takes over.

use std::{
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::{Database, Postgres, Replica, Settings, Stop, needs};

struct Pair {
    primary: Postgres,
    database: Database,
    replica: Replica,
}

/// A server with a table of orders, and a replica of it.
fn pair() -> Option<Pair> {
    let primary = needs(Postgres::own(&Settings::default()))?;
    let database = primary.database().unwrap();
    database.psql("CREATE TABLE orders (id int)").unwrap();
    let replica = primary.replica().unwrap();
    Some(Pair { primary, database, replica })
}

impl Pair {
    fn insert(&self, id: u32) -> u64 {
        self.database.psql(&format!("INSERT INTO orders VALUES ({id})")).unwrap();
        self.primary.wal_position().unwrap()
    }

    fn replicated(&self) -> String {
        self.replica.psql(self.database.name(), "SELECT string_agg(id::text, ',' ORDER BY id) FROM orders").unwrap()
    }
}

#[test]
fn a_replica_follows_and_takes_no_writes() {
    let Some(pair) = pair() else { return };
    for (id, there) in [(1, "1"), (2, "1,2")] {
        let position = pair.insert(id);
        pair.replica.wait_for(position).unwrap();
        assert!(pair.replica.replayed().unwrap() >= position);
        assert_eq!(pair.replicated(), there);
    }
    let error = pair.replica.psql(pair.database.name(), "DELETE FROM orders").unwrap_err().to_string();
    assert!(error.contains("read-only transaction"), "{error}");
    assert_ne!(pair.replica.port(), pair.primary.port());
    let name = pair.database.name();
    assert_eq!(pair.replica.url(name).replace(&format!(":{}/", pair.replica.port()), ""), {
        pair.primary.url(name).replace(&format!(":{}/", pair.primary.port()), "")
    });
    // The next record begins after a header that nobody has written yet.
    pair.primary.psql("SELECT pg_switch_wal()").unwrap();
    pair.replica.wait_for(pair.primary.wal_position().unwrap()).unwrap();
}

#[test]
fn a_replica_that_lags_answers_with_what_was_and_catches_up() {
    let Some(pair) = pair() else { return };
    pair.replica.wait_for(pair.insert(1)).unwrap();
    pair.replica.pause_replay().unwrap();
    let position = pair.insert(2);
    let received = format!("SELECT pg_last_wal_receive_lsn() - '0/0' >= {position}");
    let deadline = Instant::now() + Duration::from_mins(1);
    while pair.replica.psql("postgres", &received).unwrap() != "t" {
        assert!(Instant::now() < deadline, "the log does not reach the replica");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(pair.replica.replayed().unwrap() < position);
    assert_eq!(pair.replicated(), "1");
    pair.replica.resume_replay().unwrap();
    pair.replica.wait_for(position).unwrap();
    assert_eq!(pair.replicated(), "1,2");
}

#[test]
fn a_replica_that_was_gone_catches_up() {
    let Some(pair) = pair() else { return };
    let port = pair.replica.port();
    for (id, end) in [(1, Replica::stop as fn(&Replica) -> _), (2, Replica::kill)] {
        end(&pair.replica).unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it still listens");
        assert_eq!(pair.replica.pid(), None);
        assert_eq!(pair.replica.replayed().unwrap_err().to_string(), "the server is stopped");
        // A log segment or two further.
        pair.primary.psql("SELECT pg_switch_wal()").unwrap();
        let position = pair.insert(id);
        pair.primary.psql("CHECKPOINT").unwrap();
        pair.replica.start().unwrap();
        pair.replica.wait_for(position).unwrap();
    }
    assert_eq!((pair.replicated().as_str(), pair.replica.port()), ("1,2", port));
    pair.replica.pause().unwrap();
    assert!(pair.replica.replayed().unwrap_err().to_string().contains("paused"));
    let position = pair.insert(3);
    pair.replica.resume().unwrap();
    pair.replica.wait_for(position).unwrap();
    // So does one whose primary was gone.
    pair.primary.restart().unwrap();
    let position = pair.insert(4);
    pair.replica.restart().unwrap();
    pair.replica.wait_for(position).unwrap();
    assert_eq!(pair.replicated(), "1,2,3,4");
}

#[test]
fn a_replica_takes_over_and_outlives_its_primary() {
    let Some(pair) = pair() else { return };
    pair.replica.wait_for(pair.insert(1)).unwrap();
    pair.primary.kill().unwrap();
    assert_eq!(pair.replicated(), "1");
    pair.replica.promote().unwrap();
    let Pair { primary, database, replica } = pair;
    let name = database.name().to_owned();
    drop((primary, database));
    assert_eq!(replica.psql(&name, "INSERT INTO orders VALUES (2); SELECT count(*) FROM orders").unwrap(), "2");
    assert!(replica.promote().unwrap_err().to_string().contains("recovery is not in progress"));
    let dir = replica.dir();
    drop(replica);
    assert!(!dir.exists());
}

#[test]
fn a_server_that_does_not_run_or_log_enough_has_no_replica() {
    let settings = Settings::default().with("wal_level", "minimal").with("max_wal_senders", "0");
    let Some(primary) = needs(Postgres::own(&settings)) else { return };
    let error = primary.replica().err().unwrap().to_string();
    assert!(error.contains("pg_basebackup failed") && error.contains("max_wal_senders"), "{error}");
    primary.stop(Stop::Fast).unwrap();
    assert_eq!(primary.replica().err().unwrap().to_string(), "the server is stopped");
}
