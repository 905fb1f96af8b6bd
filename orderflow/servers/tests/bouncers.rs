//! What `PgBouncer` does between clients and their server.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::{PgBouncer, Postgres, Settings, Stop, needs};

fn before_the_shared_server() -> Option<(Postgres, PgBouncer)> {
    let postgres = orderflow_servers::postgres()?;
    let bouncer = needs(PgBouncer::own(&postgres))?;
    Some((postgres, bouncer))
}

#[test]
fn many_clients_share_a_few_connections() {
    let Some((postgres, bouncer)) = before_the_shared_server() else { return };
    let database = postgres.database().unwrap();
    let sql = "SELECT pg_backend_pid(); SELECT pg_sleep(0.1)";
    let clients: Vec<_> = (0..10)
        .map(|_| {
            let (bouncer, name) = (bouncer.clone(), database.name().to_owned());
            thread::spawn(move || bouncer.psql(&name, sql).unwrap())
        })
        .collect();
    let backends: HashSet<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(backends.len() <= 4, "{backends:?}");
    let settings = bouncer.psql("pgbouncer", "SHOW CONFIG").unwrap();
    assert!(settings.contains("pool_mode|transaction"), "{settings}");
}

#[test]
fn it_leads_to_any_database_and_is_at_its_own_address() {
    let Some((postgres, bouncer)) = before_the_shared_server() else { return };
    for database in [(); 2].map(|()| postgres.database().unwrap()) {
        let name = database.name();
        bouncer.psql(name, "BEGIN; CREATE TABLE orders AS SELECT 7 AS id; COMMIT").unwrap();
        assert_eq!(database.psql("SELECT id FROM orders").unwrap(), "7");
        assert_eq!(bouncer.psql(name, "SELECT current_database()").unwrap(), name);
        let ports = [postgres.port(), bouncer.port()].map(|port| format!("@127.0.0.1:{port}/"));
        assert_eq!(bouncer.url(name), database.url().replace(&ports[0], &ports[1]));
    }
    let error = bouncer.psql("no_such_database", "SELECT 1").unwrap_err().to_string();
    assert!(error.contains("no_such_database"), "{error}");
}

#[test]
fn a_client_that_connects_with_options_is_let_in() {
    let Some((_, bouncer)) = before_the_shared_server() else { return };
    let reply = startup(&bouncer, b"options\0-c statement_timeout=2s\0extra_float_digits\x002\0");
    // AuthenticationSASL: a challenge, where AuthenticationOk would end in 0 and an error begin with E.
    assert_eq!((reply[0], reply[8]), (b'R', 10));
}

/// How the answer begins to a client that connects with `parameters`.
fn startup(bouncer: &PgBouncer, parameters: &[u8]) -> [u8; 9] {
    let ask = [b"\x00\x03\x00\x00user\0orderflow\0database\0postgres\0", parameters, b"\0"].concat();
    let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, bouncer.port())).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stranger.write_all(&(ask.len() as u32 + 4).to_be_bytes()).unwrap();
    stranger.write_all(&ask).unwrap();
    let mut reply = [0; 9];
    stranger.read_exact(&mut reply).unwrap();
    reply
}

#[cfg(target_os = "linux")]
#[test]
fn root_does_not_run_servers_itself() {
    let Some((_, bouncer)) = before_the_shared_server() else { return };
    let status = std::fs::read_to_string(format!("/proc/{}/status", bouncer.pid().unwrap())).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert_ne!(user.split_whitespace().next(), Some("0"));
}

#[test]
fn it_comes_back_on_its_port_and_leaves_nothing() {
    let Some((postgres, bouncer)) = before_the_shared_server() else { return };
    let (port, dir) = (bouncer.port(), bouncer.dir());
    assert_eq!(bouncer.psql("postgres", "SELECT 1").unwrap(), "1");
    bouncer.stop().unwrap();
    bouncer.stop().unwrap();
    assert_eq!(bouncer.pid(), None);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it still listens");
    assert_eq!(bouncer.psql("postgres", "SELECT 1").unwrap_err().to_string(), "the server is stopped");
    bouncer.start().unwrap();
    assert_eq!(bouncer.port(), port);
    bouncer.restart().unwrap();
    bouncer.pause().unwrap();
    assert!(bouncer.psql("postgres", "SELECT 1").unwrap_err().to_string().contains("paused"));
    bouncer.resume().unwrap();
    assert_eq!(bouncer.psql("postgres", "SELECT 1").unwrap(), "1");
    drop(bouncer);
    assert!(!dir.exists());
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert_eq!(postgres.psql("SELECT 1").unwrap(), "1");
}

#[test]
fn it_outlasts_an_outage_of_its_server() {
    let Some(postgres) = needs(Postgres::own(&Settings::default())) else { return };
    let Some(bouncer) = needs(PgBouncer::own(&postgres)) else { return };
    assert_eq!(bouncer.psql("postgres", "SELECT 1").unwrap(), "1");
    postgres.stop(Stop::Immediate).unwrap();
    assert!(bouncer.psql("postgres", "SELECT 1").is_err());
    postgres.start().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while bouncer.psql("postgres", "SELECT 1").is_err() {
        assert!(Instant::now() < deadline, "it does not find its server again");
    }
}
