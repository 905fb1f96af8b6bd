//! What a test does with a server that it shares with other tests.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::{Database, Stop};

#[test]
fn a_database_is_fresh_and_ends_with_its_handle() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let [one, other] = [(); 2].map(|()| postgres.database().unwrap());
    one.psql("CREATE TABLE orders (id int); INSERT INTO orders VALUES (7), (8)").unwrap();
    assert_eq!(one.psql("SELECT id, id + 1 FROM orders ORDER BY id").unwrap(), "7|8\n8|9");
    assert!(other.psql("SELECT id FROM orders").unwrap_err().to_string().contains("does not exist"));
    assert_eq!(one.url(), postgres.url(one.name()));
    let count = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", one.name());
    assert_eq!(postgres.psql(&count).unwrap(), "1");
    // While somebody is still connected to it.
    let sleeper = sleep_in(&one);
    drop(one);
    assert_eq!(postgres.psql(&count).unwrap(), "0");
    assert!(sleeper.join().unwrap().is_err());
}

#[test]
fn a_copy_has_what_its_template_has_and_is_apart_from_it() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let template = postgres.database().unwrap();
    template
        .psql("CREATE TABLE products (id int PRIMARY KEY); INSERT INTO products SELECT generate_series(1, 1000)")
        .unwrap();
    // Tests run at the same time, so copies are made at the same time.
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let copy = postgres.copy_of(&template).unwrap();
                assert_eq!(
                    copy.psql("DELETE FROM products WHERE id > 10; SELECT count(*) FROM products").unwrap(),
                    "10"
                );
            });
        }
    });
    assert_eq!(template.psql("SELECT count(*) FROM products").unwrap(), "1000");
}

#[test]
fn all_handles_of_a_process_are_to_one_server_that_nobody_may_stop() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let again = orderflow_servers::postgres().unwrap();
    assert_eq!((postgres.port(), postgres.pid()), (again.port(), again.pid()));
    for refused in [postgres.stop(Stop::Fast), postgres.restart(), postgres.pause(), postgres.resume()] {
        assert!(refused.unwrap_err().to_string().contains("Postgres::own"));
    }
    assert_eq!(postgres.psql("SELECT 1").unwrap(), "1");
}

#[test]
fn only_who_has_the_password_gets_in_and_only_from_this_machine() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, postgres.port())).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let ask = b"\x00\x03\x00\x00user\0orderflow\0database\0postgres\0\0";
    stranger.write_all(&(ask.len() as u32 + 4).to_be_bytes()).unwrap();
    stranger.write_all(ask).unwrap();
    let mut answer = [0; 9];
    stranger.read_exact(&mut answer).unwrap();
    // AuthenticationSASL: a challenge, where AuthenticationOk would end in 0.
    assert_eq!((answer[0], answer[8]), (b'R', 10));
    assert_eq!(postgres.psql("SHOW listen_addresses; SHOW unix_socket_directories").unwrap(), "127.0.0.1");
}

#[cfg(target_os = "linux")]
#[test]
fn root_does_not_run_servers_itself() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let status = std::fs::read_to_string(format!("/proc/{}/status", postgres.pid().unwrap())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_ne!(field("Uid:").split_whitespace().next(), Some("0"));
    assert_ne!(field("Gid:").split_whitespace().next(), Some("0"));
    if rustix::process::getuid().is_root() {
        assert_eq!(field("Groups:"), "", "root's supplementary groups are dropped");
    }
}

#[test]
fn backends_can_be_ended_a_database_at_a_time() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let [hit, spared] = [(); 2].map(|()| postgres.database().unwrap());
    let sleeper = sleep_in(&hit);
    let spared_sleeper = sleep_in(&spared);
    assert_eq!(postgres.terminate_backends(hit.name()).unwrap(), 1);
    let error = sleeper.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("terminating connection"), "{error}");
    assert_eq!(postgres.terminate_backends(hit.name()).unwrap(), 0);
    assert_eq!(postgres.terminate_backends(spared.name()).unwrap(), 1);
    assert!(spared_sleeper.join().unwrap().is_err());
}

#[test]
fn a_plan_is_measured_and_its_effects_are_undone() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let database = postgres.database().unwrap();
    database.psql("CREATE TABLE orders AS SELECT generate_series(1, 100) AS id").unwrap();
    let plan = database.explain("DELETE FROM orders;").unwrap();
    for part in ["\"Node Type\": \"Seq Scan\"", "\"Actual Rows\": 100", "\"Shared Hit Blocks\""] {
        assert!(plan.contains(part), "{plan}");
    }
    assert_eq!(database.psql("SELECT count(*) FROM orders").unwrap(), "100");
}

#[test]
fn pgbench_runs_against_a_database() {
    let Some(postgres) = orderflow_servers::postgres() else { return };
    let database = postgres.database().unwrap();
    database.pgbench(&["-i", "-q"]).unwrap();
    let report = database.pgbench(&["-S", "-c", "2", "-t", "20"]).unwrap();
    assert!(report.contains("number of transactions actually processed: 40/40"), "{report}");
    assert!(database.pgbench(&["--no-such-option"]).unwrap_err().to_string().contains("no-such-option"));
}

/// Somebody who stays connected to a database; has connected when this returns.
fn sleep_in(database: &Database) -> thread::JoinHandle<anyhow::Result<String>> {
    let (server, name) = (database.server().clone(), database.name().to_owned());
    let sleeping = thread::spawn({
        let (server, sql) = (server.clone(), format!("\\c {name}\nSELECT pg_sleep(60)"));
        move || server.psql(&sql)
    });
    let connected =
        format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event = 'PgSleep'");
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.psql(&connected).unwrap() != "1" {
        assert!(Instant::now() < deadline, "nobody sleeps in {name}");
    }
    sleeping
}
