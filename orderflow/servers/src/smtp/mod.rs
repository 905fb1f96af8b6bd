//! A mail server in this process that keeps what it is sent, and the faults that a test may have it show. Needs no program.

mod mail;
mod session;

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::ports;

pub use mail::Mail;

/// Each connection has a thread; a client that opens more is told to come back.
const CONNECTIONS: usize = 256;
/// For what takes microseconds, on a machine that is busy beyond reason.
const SOON: Duration = Duration::from_secs(20);

/// What a [`Sink`] does with the mail that it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Each message is accepted, this long after its end has come.
    Accept {
        /// The time that the server takes for a message.
        after: Duration,
    },
    /// Each message is answered by 451, try again, at its end.
    Temporary,
    /// Each message is answered by 550, never, at its end.
    Permanent,
    /// New connections are greeted by 421 and closed; open ones are answered so at their next command. (That nobody listens
    /// at all is [`Sink::stop`].)
    RefuseConnections,
    /// Connections are made, and nothing is answered until the behaviour changes.
    Hang,
    /// Each message is accepted and kept, and the connection is closed without the answer, so that the sender cannot know.
    AcceptThenDrop,
}

/// A mail server on a free port of 127.0.0.1, without TLS and without a login. Clones are handles to the same one; the last
/// handle ends it.
#[derive(Clone)]
pub struct Sink {
    server: Arc<Server>,
}

struct Server {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    /// The behaviour, or whether the server runs, has changed.
    changed: Condvar,
    arrived: Condvar,
}

struct State {
    how: Behaviour,
    /// How many times the server was stopped: what belongs to an earlier run is over.
    stops: u64,
    mails: Vec<Mail>,
    message_ids: HashSet<String>,
    connections: HashMap<u64, TcpStream>,
    connected: u64,
}

impl Sink {
    /// A server that accepts everything at once.
    ///
    /// # Errors
    /// When 127.0.0.1 has no free port.
    pub fn start() -> io::Result<Self> {
        let state = State {
            how: Behaviour::Accept { after: Duration::ZERO },
            stops: 0,
            mails: Vec::new(),
            message_ids: HashSet::new(),
            connections: HashMap::new(),
            connected: 0,
        };
        let shared = Shared { state: state.into(), changed: Condvar::new(), arrived: Condvar::new() };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let server =
            Server { port: listener.local_addr()?.port(), shared: Arc::new(shared), acceptor: Mutex::new(None) };
        *held(&server.acceptor) = Some(server.accept(listener));
        Ok(Self { server: Arc::new(server) })
    }

    /// The port of 127.0.0.1 that it listens on, the same after a stop.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Its address: `smtp://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.server.port)
    }

    /// Changes what is done with whatever comes from now on, on open connections too. A message that waits for its
    /// [`Behaviour::Accept`] keeps waiting.
    pub fn behave(&self, how: Behaviour) {
        held(&self.server.shared.state).how = how;
        self.server.shared.changed.notify_all();
    }

    /// The mails accepted so far, in order, with those that came twice.
    pub fn mails(&self) -> Vec<Mail> {
        held(&self.server.shared.state).mails.clone()
    }

    /// The mails accepted since the last call, in order, and forgets them: for a server that runs for long.
    pub fn take(&self) -> Vec<Mail> {
        let mut state = held(&self.server.shared.state);
        state.message_ids.clear();
        std::mem::take(&mut state.mails)
    }

    /// Waits until mails with `count` different Message-IDs have been accepted, and gives the first of each; fewer when the
    /// time is over.
    pub fn wait_for(&self, count: usize, within: Duration) -> Vec<Mail> {
        let Shared { state, arrived, .. } = &*self.server.shared;
        let (state, _) = arrived
            .wait_timeout_while(held(state), within, |state| state.message_ids.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        let mut seen = HashSet::new();
        state.mails.iter().filter(|mail| seen.insert(&mail.message_id)).cloned().collect()
    }

    /// Closes all connections and listens no more. What was accepted stays. Nothing where it is stopped already.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// Listens again after a stop, on the same port; with the same behaviour. Nothing where it listens.
    ///
    /// # Errors
    /// When somebody has taken the port meanwhile.
    pub fn start_again(&self) -> io::Result<()> {
        let mut acceptor = held(&self.server.acceptor);
        if acceptor.is_none() {
            *acceptor = Some(self.server.accept(TcpListener::bind((Ipv4Addr::LOCALHOST, self.server.port))?));
        }
        Ok(())
    }
}

impl Server {
    /// Takes connections in a thread until the server is stopped.
    fn accept(&self, listener: TcpListener) -> JoinHandle<()> {
        let shared = self.shared.clone();
        let run = held(&shared.state).stops;
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over(run) {
                    return;
                }
                match stream {
                    Ok(stream) => connected(&shared, run, stream),
                    // Without file descriptors, say. It will have some again.
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                }
            }
        })
    }

    fn stop(&self) {
        let Some(acceptor) = held(&self.acceptor).take() else { return };
        let mut state = held(&self.shared.state);
        state.stops += 1;
        for stream in state.connections.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let deadline = Instant::now() + SOON;
        while !acceptor.is_finished() && Instant::now() < deadline {
            // It waits for a connection, so it gets one.
            drop(TcpStream::connect_timeout(&address, Duration::from_millis(100)));
            thread::sleep(Duration::from_millis(1));
        }
        ports::reserve(self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Has a connection served by a thread of its own.
fn connected(shared: &Arc<Shared>, run: u64, mut stream: TcpStream) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut state = held(&shared.state);
    if state.connections.len() >= CONNECTIONS {
        let _ = stream.write_all(b"421 too many connections\r\n");
        return;
    }
    state.connected += 1;
    let number = state.connected;
    state.connections.insert(number, copy);
    drop(state);
    let shared = shared.clone();
    thread::spawn(move || {
        // A client that goes away is its own affair.
        let _ = session::serve(&shared, run, &stream);
        // The copy keeps the connection open, so both go.
        let _ = stream.shutdown(Shutdown::Both);
        held(&shared.state).connections.remove(&number);
    });
}

impl Shared {
    fn over(&self, run: u64) -> bool {
        held(&self.state).stops != run
    }

    /// How to behave, as soon as that is anything but hanging; `None` when the server is stopped.
    fn behaviour(&self, run: u64) -> Option<Behaviour> {
        let hangs = |state: &mut State| state.stops == run && state.how == Behaviour::Hang;
        let state = self.changed.wait_while(held(&self.state), hangs).unwrap_or_else(PoisonError::into_inner);
        (state.stops == run).then_some(state.how)
    }

    /// Keeps a mail when `after` is over; whether the server still ran then.
    fn accept(&self, run: u64, mut mail: Mail, after: Duration) -> bool {
        let mut state = held(&self.state);
        if !after.is_zero() {
            state = self
                .changed
                .wait_timeout_while(state, after, |state| state.stops == run)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if state.stops != run {
            return false;
        }
        mail.accepted = Instant::now();
        state.message_ids.insert(mail.message_id.clone());
        state.mails.push(mail);
        self.arrived.notify_all();
        true
    }
}

/// What a thread that panicked leaves is in order: nothing here changes in two steps.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
