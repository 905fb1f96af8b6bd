//! An instance that a test plays: it takes note of what it is asked, and does as it was told.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::client::PATIENCE;

/// What an instance does with requests other than probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers 200.
    Answers,
    /// Takes the request, and answers when its manner changes.
    Holds,
    /// Begins a stream with one event, and sends a second when its manner changes.
    Streams,
}

/// A request as it came: its line and its headers.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }
}

#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) port: u16,
    shared: Arc<(Mutex<State>, Condvar)>,
    /// How many more requests are taken and not answered, by this instance and those that were started with it.
    drops: Arc<AtomicUsize>,
}

struct State {
    manner: Manner,
    seen: Vec<Seen>,
}

impl Instance {
    /// Serves until the process ends.
    pub(crate) fn start() -> Self {
        Self::beside(Arc::default())
    }

    pub(crate) fn three() -> [Self; 3] {
        let drops = Arc::<AtomicUsize>::default();
        [(); 3].map(|()| Self::beside(Arc::clone(&drops)))
    }

    /// The next request to this instance or one of its companions is taken, and its connection closed without an answer.
    pub(crate) fn drop_next(&self) {
        self.drops.store(1, Ordering::SeqCst);
    }

    fn beside(drops: Arc<AtomicUsize>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { manner: Manner::Answers, seen: Vec::new() };
        let instance = Self { port, shared: Arc::new((state.into(), Condvar::new())), drops };
        let server = instance.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        instance
    }

    pub(crate) fn be(&self, manner: Manner) {
        self.state().manner = manner;
        self.shared.1.notify_all();
    }

    /// The requests so far, without probes.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, count: usize) {
        let (_state, timeout) =
            self.shared.1.wait_timeout_while(self.state(), PATIENCE, |state| state.seen.len() < count).unwrap();
        assert!(!timeout.timed_out(), "{count} requests have not come");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    /// The manner, as soon as it is not this one.
    fn no_longer(&self, manner: Manner) {
        drop(self.shared.1.wait_while(self.state(), |state| state.manner == manner).unwrap());
    }

    fn serve(&self, mut out: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(out.try_clone().ok()?);
        loop {
            let seen = read(&mut reader)?;
            let probe = seen.line.starts_with("GET /healthz/ready");
            let mut manner = Manner::Answers;
            if !probe {
                let mut state = self.state();
                manner = state.manner;
                state.seen.push(seen);
                drop(state);
                self.shared.1.notify_all();
                let take = |left: usize| left.checked_sub(1);
                if self.drops.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                    return None;
                }
            }
            match manner {
                Manner::Holds => self.no_longer(Manner::Holds),
                Manner::Answers => {}
                Manner::Streams => {
                    let head =
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
                    write!(out, "{head}d\r\ndata: first\n\n\r\n").ok()?;
                    self.no_longer(Manner::Streams);
                    write!(out, "e\r\ndata: second\n\n\r\n0\r\n\r\n").ok()?;
                    continue;
                }
            }
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: kept\r\n\r\nok").ok()?;
        }
    }
}

/// A whole request; `None` when there is none any more.
fn read(from: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = || {
        let mut line = String::new();
        (from.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let seen = Seen { line: first, headers };
    let length = seen.all("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(seen)
}
