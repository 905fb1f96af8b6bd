//! What a test does with Redis, shared or its own.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::Duration,
};

use orderflow_servers::{Redis, needs};

fn own(settings: &[(&str, &str)]) -> Option<Redis> {
    needs(Redis::with(settings))
}

#[test]
fn commands_are_answered() {
    let Some(redis) = needs(Redis::shared()) else { return };
    assert_eq!(redis.command(&["SET", "commands:a", "two words\r\nand a line"]).unwrap(), "OK");
    assert_eq!(redis.command(&["GET", "commands:a"]).unwrap(), "two words\r\nand a line");
    assert_eq!(redis.command(&["MGET", "commands:a", "commands:b"]).unwrap(), "two words\r\nand a line\n(nil)");
    assert_eq!(redis.command(&["GET", "commands:b"]).unwrap(), "(nil)");
    let error = redis.command(&["INCR", "commands:a"]).unwrap_err().to_string();
    assert!(error.contains("not an integer"), "{error}");
}

#[test]
fn all_handles_of_a_process_are_to_one_server_that_nobody_may_stop() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let again = Redis::shared().unwrap();
    assert_eq!((redis.url(), redis.pid()), (again.url(), again.pid()));
    for refused in [redis.stop(), redis.restart(), redis.kill(), redis.pause(), redis.resume()] {
        assert!(refused.unwrap_err().to_string().contains("Redis::own"));
    }
    assert_eq!(redis.command(&["PING"]).unwrap(), "PONG");
}

#[test]
fn only_who_has_the_password_gets_in_and_only_from_this_machine() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stranger.write_all(b"GET secret\r\n").unwrap();
    let mut answer = [0; 7];
    stranger.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"-NOAUTH");
    assert_eq!(redis.command(&["CONFIG", "GET", "bind"]).unwrap(), "bind\n127.0.0.1");
}

#[cfg(target_os = "linux")]
#[test]
fn root_does_not_run_servers_itself() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let status = std::fs::read_to_string(format!("/proc/{}/status", redis.pid().unwrap())).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    assert_ne!(user.split_whitespace().next(), Some("0"));
}

#[test]
fn a_server_that_was_stopped_comes_back_empty_on_its_port() {
    let Some(redis) = own(&[]) else { return };
    let (port, pid) = (redis.port(), redis.pid());
    for (end, key) in [(Redis::stop as fn(&Redis) -> _, "a"), (Redis::kill, "b")] {
        redis.command(&["SET", key, "1"]).unwrap();
        end(&redis).unwrap();
        end(&redis).unwrap();
        assert_eq!(redis.pid(), None);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it still listens");
        assert_eq!(redis.command(&["PING"]).unwrap_err().to_string(), "the server is stopped");
        redis.start().unwrap();
        assert_eq!(redis.command(&["DBSIZE"]).unwrap(), "0");
    }
    assert_eq!(redis.port(), port);
    assert_ne!(redis.pid(), pid);
    assert!(redis.start().unwrap_err().to_string().contains("running already"));
}

#[test]
fn settings_reach_the_server() {
    let Some(redis) = own(&[("maxmemory", "2mb"), ("maxmemory-policy", "noeviction"), ("port", "1")]) else { return };
    let large = "x".repeat(1 << 20);
    let errors: Vec<_> = (0..8)
        .filter_map(|key| redis.command(&["SET", &key.to_string(), &large]).err())
        .map(|e| e.to_string())
        .collect();
    assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("OOM")), "{errors:?}");
    let Some(redis) = own(&[("appendonly", "yes"), ("appendfsync", "always")]) else { return };
    redis.command(&["SET", "kept", "yes"]).unwrap();
    redis.kill().unwrap();
    redis.start().unwrap();
    assert_eq!(redis.command(&["GET", "kept"]).unwrap(), "yes");
}

#[test]
fn a_setting_that_the_server_refuses_is_shown_with_its_words() {
    let Some(_) = needs(Redis::shared()) else { return };
    let error = Redis::with(&[("maxmemory-policy", "hoard")]).err().unwrap().to_string();
    assert!(error.contains("ended while it started") && error.contains("hoard"), "{error}");
}

#[test]
fn a_paused_server_hangs_and_goes_on_and_can_be_dropped() {
    let Some(redis) = own(&[]) else { return };
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, redis.port())).unwrap();
    redis.pause().unwrap();
    assert!(redis.command(&["PING"]).unwrap_err().to_string().contains("paused"));
    client.write_all(b"PING\r\n").unwrap();
    client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // Unlike `read`, it goes on where a signal interrupts it.
    let waited = client.read_exact(&mut [0]).unwrap_err().kind();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&waited), "{waited}");
    redis.resume().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    client.read_exact(&mut [0]).unwrap();
    redis.pause().unwrap();
    let (dir, port) = (redis.dir(), redis.port());
    drop(redis);
    assert!(!dir.exists());
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}

#[test]
fn a_port_that_somebody_took_meanwhile_is_an_error_at_a_restart() {
    let Some(redis) = own(&[]) else { return };
    redis.stop().unwrap();
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, redis.port())).unwrap();
    let error = redis.start().unwrap_err().to_string();
    assert!(error.to_lowercase().contains("address already in use"), "{error}");
    drop(thief);
    redis.start().unwrap();
}
