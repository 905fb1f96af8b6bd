//! The thread of a link. It waits for all sockets at once, so that hundreds of connections cost no threads, and for the
//! time when the next piece is due, which `poll` keeps to a fraction of a millisecond.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::sockopt::set_socket_linger,
};

use super::line::{Broken, Line};

/// A server whose queue of connections is full lets one wait.
const CONNECT: Duration = Duration::from_secs(10);
const BUFFER: usize = 1 << 16;

/// What a handle asks of the link's thread.
pub(super) type Change = Box<dyn FnOnce(&mut Relay) + Send>;

pub(super) struct Relay {
    listener: TcpListener,
    server: u16,
    changes: Receiver<Change>,
    /// A byte comes in when there is a change or a connection to the server.
    heard: UnixStream,
    bell: UnixStream,
    /// Clients that wait for their connection to the server, by a number.
    waiting: HashMap<u64, TcpStream>,
    accepted: u64,
    made: (Sender<Made>, Receiver<Made>),
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) hang: bool,
    pub(super) pattern: Option<Vec<u8>>,
    refuse: bool,
    end: bool,
}

/// A client's number, and its connection to the server.
type Made = (u64, io::Result<TcpStream>);

struct Connection {
    client: TcpStream,
    server: TcpStream,
    up: Line,
    down: Line,
}

/// What a thread that waits is told about.
#[derive(Clone, Copy)]
enum Source {
    Bell,
    Listener,
    Client(usize),
    Server(usize),
}

impl Relay {
    pub(super) fn new(
        listener: TcpListener,
        server: u16,
        changes: Receiver<Change>,
        heard: UnixStream,
        bell: UnixStream,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        Ok(Self {
            listener,
            server,
            changes,
            heard,
            bell,
            waiting: HashMap::new(),
            accepted: 0,
            made: mpsc::channel(),
            connections: Vec::new(),
            buffer: vec![0; BUFFER],
            delay: Duration::ZERO,
            hang: false,
            pattern: None,
            refuse: false,
            end: false,
        })
    }

    pub(super) fn run(mut self) {
        while !self.end {
            if !self.hang {
                let now = Instant::now();
                self.connections.retain_mut(|connection| connection.give(now));
            }
            // Connections come first: what the others bring about changes their numbers.
            for (source, flags) in self.wait() {
                match source {
                    Source::Client(number) => self.serve(number, true, flags),
                    Source::Server(number) => self.serve(number, false, flags),
                    Source::Bell => self.answer_bell(),
                    Source::Listener => self.accept(),
                }
            }
        }
        self.cut();
    }

    pub(super) fn end(&mut self) {
        self.end = true;
    }

    pub(super) fn refuse(&mut self, on: bool) {
        self.refuse = on;
        if on {
            self.cut();
        }
    }

    pub(super) fn cut(&mut self) {
        // To a client a connection is open before it is accepted here.
        self.accept();
        self.waiting.drain().for_each(|(_, client)| reset(client));
        self.connections.drain(..).for_each(Connection::cut);
    }

    fn wait(&self) -> Vec<(Source, PollFlags)> {
        let mut sources = Vec::with_capacity(2 + 2 * self.connections.len());
        let mut sockets = Vec::with_capacity(sources.capacity());
        for (number, connection) in self.connections.iter().enumerate() {
            let Connection { client, server, up, down } = connection;
            for (source, socket, from, to) in
                [(Source::Client(number), client, up, down), (Source::Server(number), server, down, up)]
            {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, from.takes());
                flags.set(PollFlags::OUT, to.blocked() && !self.hang);
                // One that nothing is wanted of is left out, since poll would tell of its end again and again.
                if !flags.is_empty() {
                    sources.push(source);
                    sockets.push(PollFd::new(socket, flags));
                }
            }
        }
        sources.extend([Source::Bell, Source::Listener]);
        sockets.extend([PollFd::new(&self.heard, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)]);
        let lines = self.connections.iter().flat_map(|connection| [&connection.up, &connection.down]);
        let due = if self.hang { None } else { lines.filter_map(Line::due).min() };
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        match poll(&mut sockets, left.and_then(|left| Timespec::try_from(left).ok()).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("the link's sockets cannot be waited for: {error}"),
        }
        let told = sources.into_iter().zip(sockets.iter().map(PollFd::revents));
        told.filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn serve(&mut self, number: usize, client: bool, flags: PollFlags) {
        let Connection { client: near, server: far, up, down } = &mut self.connections[number];
        let broken = PollFlags::ERR | PollFlags::HUP;
        let (from, to, socket) = if client { (up, down, near) } else { (down, up, far) };
        if flags.intersects(PollFlags::OUT | broken) {
            to.unblock();
        }
        if flags.intersects(PollFlags::IN | broken) && from.takes() {
            let pattern = if client { &mut None } else { &mut self.pattern };
            from.take(socket, &mut self.buffer, self.delay, pattern);
        }
    }

    fn answer_bell(&mut self) {
        // Emptied first: a ring that comes later is for something that may not be seen below.
        while matches!(self.heard.read(&mut self.buffer), Ok(count) if count > 0) {}
        while let Ok((number, server)) = self.made.1.try_recv() {
            match (self.waiting.remove(&number), server) {
                // One that cannot be set up is broken already, and is closed.
                (Some(client), Ok(server)) => self.connections.extend(Connection::new(client, server)),
                (Some(client), Err(_)) => reset(client),
                (None, Ok(server)) => reset(server),
                (None, Err(_)) => {}
            }
        }
        while let Ok(change) = self.changes.try_recv() {
            change(self);
        }
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((client, _)) if self.refuse => reset(client),
                Ok((client, _)) => self.connect(client),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                // Out of descriptors, most likely: let some connection end before this is tried again.
                Err(_) => return thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Connects to the server on a thread of its own, since a server that hangs may let that wait.
    fn connect(&mut self, client: TcpStream) {
        self.accepted += 1;
        let (number, server, made) = (self.accepted, self.server, self.made.0.clone());
        let Ok(mut bell) = self.bell.try_clone() else { return reset(client) };
        let connecting = move || {
            let server = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, server).into(), CONNECT);
            let _ = made.send((number, server));
            let _ = bell.write_all(&[0]);
        };
        match thread::Builder::new().name("link's connection".to_owned()).spawn(connecting) {
            Ok(_) => drop(self.waiting.insert(number, client)),
            Err(_) => reset(client),
        }
    }
}

impl Connection {
    fn new(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        for socket in [&client, &server] {
            socket.set_nonblocking(true)?;
            // The sender has decided already what goes together.
            socket.set_nodelay(true)?;
        }
        Ok(Self { client, server, up: Line::new(), down: Line::new() })
    }

    /// Passes on what is due; whether the connection goes on.
    fn give(&mut self, now: Instant) -> bool {
        let given = self.up.give(&self.server, now).and_then(|()| self.down.give(&self.client, now));
        if let Err(Broken) = given {
            linger(&self.client);
            linger(&self.server);
        }
        given.is_ok() && !(self.up.ended() && self.down.ended())
    }

    fn cut(self) {
        reset(self.client);
        reset(self.server);
    }
}

fn reset(socket: TcpStream) {
    linger(&socket);
}

/// Has a socket end by a reset when it is closed.
fn linger(socket: &TcpStream) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}
