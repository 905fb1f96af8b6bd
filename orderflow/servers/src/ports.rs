//! Ports that are free, and stay so until the server that they are for has taken them.

use std::{
    io,
    net::{Ipv4Addr, TcpListener, TcpStream},
};

/// A free port of 127.0.0.1.
///
/// Between the moment when a free port is found and the moment when a server listens on it, the system may give it to
/// somebody else. To prevent that, this function makes one connection on the port and closes it from the server's side:
/// for the next minute the system gives that port to nobody who asks for just any, and still lets a server have it that
/// asks for this one with `SO_REUSEADDR`, as servers on Unix do. A program that asks for this very port still gets it.
///
/// # Errors
/// When 127.0.0.1 has no free port.
pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    linger(&listener)?;
    Ok(port)
}

/// Keeps the port of a server that has stopped from being given away, as [`free_port`] does; nothing when it is taken.
pub(crate) fn reserve(port: u16) {
    if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        let _ = linger(&listener);
    }
}

fn linger(listener: &TcpListener) -> io::Result<()> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    // Whoever closes first keeps the port in TIME_WAIT.
    drop(listener.accept()?);
    drop(client);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ports_are_distinct_and_can_be_listened_on() {
        let ports: Vec<_> = (0..200).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
    #[cfg(target_os = "linux")]
    #[test]
    fn a_free_port_lingers_so_that_the_system_gives_it_to_nobody_else() {
        let port = free_port().unwrap();
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let lingers = |line: &str| {
            let mut fields = line.split_whitespace().skip(1);
            // The local address, the remote one, and the state: 6 is TIME_WAIT.
            fields.next().is_some_and(|local| local.ends_with(&format!(":{port:04X}"))) && fields.nth(1) == Some("06")
        };
        assert_eq!(sockets.lines().filter(|line| lingers(line)).count(), 1);
    }
}
