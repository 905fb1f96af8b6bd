//! An OpenTelemetry collector in this process that keeps what it is sent, over gRPC and over HTTP, and the faults that a test
//! may have it show. Needs no program.

mod receive;
mod records;

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{runtime, sync::watch};

use crate::ports;

pub use records::{Collected, CollectedLog, CollectedSpan};

/// What a [`Collector`] does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collects {
    /// It is taken, this long after it has come.
    After(Duration),
    /// It is taken, counted and forgotten: what is measured is then whoever sends it.
    Counts,
    /// It is read and not answered until the behaviour changes.
    Never,
    /// It is read, and its connection is reset.
    Resets,
    /// It is answered by `UNAVAILABLE`, or 503 over HTTP: try again.
    Unavailable,
    /// It is answered by `INVALID_ARGUMENT`, or 400 over HTTP: never try that again.
    Refuses,
}

/// A collector on a free port of 127.0.0.1, without TLS. Clones are handles to the same one; the last handle ends it.
#[derive(Clone)]
pub struct Collector(Arc<Server>);

struct Server {
    port: u16,
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// The thread that listens, and what ends it.
struct Running {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

struct Shared {
    how: watch::Sender<Collects>,
    kept: Mutex<Collected>,
    arrived: Condvar,
}

impl Collector {
    /// One that takes everything at once.
    ///
    /// # Errors
    /// When 127.0.0.1 has no free port.
    pub fn start() -> io::Result<Self> {
        let shared = Shared {
            how: watch::Sender::new(Collects::After(Duration::ZERO)),
            kept: Mutex::default(),
            arrived: Condvar::new(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let server = Server { port, shared: Arc::new(shared), running: Mutex::new(None) };
        *held(&server.running) = Some(server.listen(listener)?);
        Ok(Self(Arc::new(server)))
    }

    /// Its address for either protocol, the same after a stop: `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    /// Changes what is done with whatever comes from now on, and with what hangs.
    pub fn behave(&self, how: Collects) {
        self.0.shared.how.send_replace(how);
    }

    /// What has come so far.
    pub fn collected(&self) -> Collected {
        held(&self.0.shared.kept).clone()
    }

    /// Waits until what has come is enough, and gives it; whatever there is when the time is over.
    pub fn wait_for(&self, enough: impl Fn(&Collected) -> bool, within: Duration) -> Collected {
        let Shared { kept, arrived, .. } = &*self.0.shared;
        let (kept, _) = arrived
            .wait_timeout_while(held(kept), within, |kept| !enough(kept))
            .unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    /// Closes all connections and listens no more. What has come stays. Nothing where it is stopped already.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// Listens again after a stop, on the same port; with the same behaviour. Nothing where it listens.
    ///
    /// # Errors
    /// When somebody has taken the port meanwhile.
    pub fn start_again(&self) -> io::Result<()> {
        let mut running = held(&self.0.running);
        if running.is_none() {
            *running = Some(self.0.listen(TcpListener::bind((Ipv4Addr::LOCALHOST, self.0.port))?)?);
        }
        Ok(())
    }
}

impl Server {
    fn listen(&self, listener: TcpListener) -> io::Result<Running> {
        listener.set_nonblocking(true)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::clone(&self.shared);
        let thread = thread::spawn(move || {
            runtime.block_on(receive::serve(listener, shared, stopped));
            // Connections end with the runtime.
        });
        Ok(Running { stop, thread })
    }

    fn stop(&self) {
        if let Some(Running { stop, thread }) = held(&self.running).take() {
            stop.send_replace(true);
            // A panic of it was told when it happened.
            let _ = thread.join();
            ports::reserve(self.port);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Changes what is kept, and tells those who wait for it.
    fn keep(&self, change: impl FnOnce(&mut Collected)) {
        change(&mut held(&self.kept));
        self.arrived.notify_all();
    }
}

/// What a thread that panicked leaves is in order: nothing here changes in two steps.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
