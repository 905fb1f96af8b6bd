//! What a test does to a server of its own.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    panic, thread,
    time::{Duration, Instant},
};

use orderflow_servers::{Missing, Postgres, Settings, Stop, free_port, needs};

fn own() -> Option<Postgres> {
    needs(Postgres::own(&Settings::default()))
}

/// Asks whether the server speaks TLS, which it answers before anything else: one byte.
fn asks(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(b"\x00\x00\x00\x08\x04\xd2\x16\x2f").unwrap();
    stream
}

fn answers(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_server_that_was_stopped_comes_back_with_its_data_and_port() {
    let Some(postgres) = own() else { return };
    let database = postgres.database().unwrap();
    database.psql("CREATE TABLE orders (id int)").unwrap();
    for (id, how) in [(1, Stop::Fast), (2, Stop::Immediate)] {
        database.psql(&format!("INSERT INTO orders VALUES ({id})")).unwrap();
        let (port, pid) = (postgres.port(), postgres.pid());
        postgres.stop(how).unwrap();
        assert_eq!(postgres.pid(), None);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "{how:?}: it still listens");
        assert_eq!(database.psql("SELECT 1").unwrap_err().to_string(), "the server is stopped");
        postgres.stop(how).unwrap();
        postgres.start().unwrap();
        assert_eq!(postgres.port(), port);
        assert_ne!(postgres.pid(), pid);
        let recovered = std::fs::read_to_string(postgres.dir().join("log")).unwrap().contains("not properly shut down");
        assert_eq!(recovered, how == Stop::Immediate, "{how:?}");
    }
    assert!(postgres.start().unwrap_err().to_string().contains("running already"));
    postgres.restart().unwrap();
    assert_eq!(database.psql("SELECT id FROM orders ORDER BY id").unwrap(), "1\n2");
}

#[test]
fn a_paused_server_hangs_and_goes_on() {
    let Some(postgres) = own() else { return };
    assert!(answers(&mut asks(postgres.port()), Duration::from_secs(30)));
    // A backend that is at work hangs with the rest.
    let worker = thread::spawn({
        let postgres = postgres.clone();
        move || {
            postgres.psql("CREATE TABLE ticks (at timestamptz);\nDO $$ BEGIN LOOP INSERT INTO ticks VALUES (now()); COMMIT; END LOOP; END $$")
        }
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    while !busy(&postgres) {
        assert!(Instant::now() < deadline, "the backend does not work");
    }
    postgres.pause().unwrap();
    postgres.pause().unwrap();
    let mut waiting = asks(postgres.port());
    assert!(!answers(&mut waiting, Duration::from_millis(300)));
    #[cfg(target_os = "linux")]
    assert_eq!(running(postgres.pid().unwrap()), Vec::<String>::new());
    assert!(postgres.psql("SELECT 1").unwrap_err().to_string().contains("paused"));
    postgres.resume().unwrap();
    assert!(answers(&mut waiting, Duration::from_secs(30)));
    postgres.stop(Stop::Fast).unwrap();
    assert!(worker.join().unwrap().is_err());
}

#[test]
fn a_server_that_is_killed_comes_back_with_what_it_had_written() {
    let Some(postgres) = own() else { return };
    let database = postgres.database().unwrap();
    database.psql("CREATE TABLE orders AS SELECT 7 AS id").unwrap();
    let port = postgres.port();
    postgres.pause().unwrap();
    for _ in 0..2 {
        postgres.kill().unwrap();
        assert_eq!(postgres.pid(), None);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it still listens");
    }
    postgres.start().unwrap();
    assert_eq!(database.psql("SELECT id FROM orders").unwrap(), "7");
}

fn busy(postgres: &Postgres) -> bool {
    postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO%'").unwrap() == "1"
}

/// The states of those of a server's processes that are not stopped. One that has ended and that its parent, which is
/// stopped, has not waited for does not run either.
#[cfg(target_os = "linux")]
fn running(server: u32) -> Vec<String> {
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats
        .filter(|stat| {
            let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
            let family = fields[1] == server.to_string() || stat.starts_with(&format!("{server} "));
            family && !["T", "Z"].contains(&fields[0])
        })
        .collect()
}

#[test]
fn a_paused_server_can_be_stopped_and_dropped() {
    let Some(postgres) = own() else { return };
    postgres.pause().unwrap();
    postgres.stop(Stop::Fast).unwrap();
    assert!(postgres.pause().unwrap_err().to_string().contains("does not run"));
    postgres.start().unwrap();
    postgres.pause().unwrap();
    let (dir, port) = (postgres.dir(), postgres.port());
    drop(postgres);
    assert!(!dir.exists());
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}

#[test]
fn a_panic_ends_the_server_and_a_database_keeps_it() {
    let Some(postgres) = own() else { return };
    let (dir, port) = (postgres.dir(), postgres.port());
    let database = postgres.database().unwrap();
    drop(postgres);
    assert_eq!(database.psql("SELECT 1").unwrap(), "1");
    let panicked = panic::catch_unwind(panic::AssertUnwindSafe(move || {
        let _held = database;
        panic::resume_unwind(Box::new("as in a failing test"));
    }));
    assert!(panicked.is_err());
    assert!(!dir.exists());
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}

#[test]
fn settings_reach_the_server() {
    let show = "SELECT name || '=' || setting FROM pg_settings WHERE name IN ('fsync', 'shared_buffers', 'max_connections', \
                'synchronous_commit', 'autovacuum') ORDER BY name";
    let Some(postgres) = own() else { return };
    assert_eq!(
        postgres.psql(show).unwrap(),
        "autovacuum=on\nfsync=off\nmax_connections=200\nshared_buffers=4096\nsynchronous_commit=on"
    );
    drop(postgres);
    let settings = Settings::durable().with("max_connections", "11").with("application_name", "it's");
    let Some(postgres) = needs(Postgres::own(&settings)) else { return };
    assert_eq!(
        postgres.psql(show).unwrap(),
        "autovacuum=on\nfsync=on\nmax_connections=11\nshared_buffers=65536\nsynchronous_commit=on"
    );
    if postgres.psql("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'").unwrap() == "1" {
        let calls = "CREATE EXTENSION pg_stat_statements; SELECT count(*) > 0 FROM pg_stat_statements";
        assert_eq!(postgres.psql(calls).unwrap(), "t");
    }
}

#[test]
fn a_setting_that_the_server_refuses_is_shown_with_its_words() {
    let settings = Settings::default().with("shared_buffers", "a lot");
    let error = match Postgres::own(&settings) {
        Ok(_) => panic!("it started"),
        Err(error) if error.is::<Missing>() => return drop(needs::<Postgres>(Err(error))),
        Err(error) => error.to_string(),
    };
    assert!(error.contains("ended while it started") && error.contains("\"a lot\""), "{error}");
}

#[test]
fn a_port_that_somebody_took_meanwhile_is_an_error_at_a_restart() {
    let Some(postgres) = own() else { return };
    postgres.stop(Stop::Fast).unwrap();
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, postgres.port())).unwrap();
    let error = postgres.start().unwrap_err().to_string();
    assert!(error.contains("could not bind"), "{error}");
    drop(thief);
    postgres.start().unwrap();
}

#[test]
fn a_server_takes_a_reserved_port() {
    // What `free_port` leaves behind must not keep servers from listening: PostgreSQL took one above; this is one of ours.
    let port = free_port().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(listener.local_addr().unwrap().port(), port);
}
