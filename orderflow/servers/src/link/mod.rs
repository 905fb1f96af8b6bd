//! A TCP link between a client and a server of this machine, with the faults of networks: delay, silence, connections that
//! break. One thread carries all of its connections.

mod line;
mod relay;

use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use relay::{Change, Relay};

/// A link that is open. Clones are handles to the same one; the last handle closes it with all of its connections.
///
/// It takes connections on a port of its own and makes one to the server for each. What a fault function says holds when
/// it returns.
#[derive(Clone)]
pub struct Link {
    ends: Arc<Ends>,
}

struct Ends {
    port: u16,
    server: u16,
    changes: Sender<Change>,
    bell: UnixStream,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Link {
    /// A link to a port of 127.0.0.1, without faults so far. Nobody needs to listen there yet.
    ///
    /// # Errors
    /// When the machine has no port, descriptor or thread left.
    pub fn to(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = listener.local_addr()?.port();
        let (bell, heard) = UnixStream::pair()?;
        let (changes, changed) = mpsc::channel();
        let relay = Relay::new(listener, port, changed, heard, bell.try_clone()?)?;
        let thread = thread::Builder::new().name(format!("link to {port}")).spawn(move || relay.run())?;
        let ends = Ends { port: own, server: port, changes, bell, thread: Some(thread).into() };
        Ok(Self { ends: Arc::new(ends) })
    }

    /// The port of 127.0.0.1 that clients connect to.
    pub fn port(&self) -> u16 {
        self.ends.port
    }

    /// A server's address with the link's port in place of the server's, so that who uses it goes through the link.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&format!("127.0.0.1:{}", self.ends.server), &format!("127.0.0.1:{}", self.ends.port), 1)
    }

    /// Has bytes take this long in each direction, counted from when each arrives here: the link holds up to a megabyte a
    /// direction of each connection, so that a delay limits throughput no earlier than that. Those that are under way
    /// already take what they would have taken, and none overtakes another. Making a connection is not delayed.
    pub fn delay(&self, each_way: Duration) {
        self.ends.tell(move |relay| relay.delay = each_way);
    }

    /// Resets all connections that are open, at both ends; what is under way on them is lost. New ones are as before.
    pub fn cut(&self) {
        self.ends.tell(Relay::cut);
    }

    /// While on, open connections are cut and new ones are reset at once.
    pub fn refuse(&self, on: bool) {
        self.ends.tell(move |relay| relay.refuse(on));
    }

    /// While on, nothing arrives: connections stay open and can be made, up to a megabyte a direction of each is taken and
    /// kept, and then the sender is held up. When it ends, what was kept goes on its way.
    pub fn hang(&self, on: bool) {
        self.ends.tell(move |relay| relay.hang = on);
    }

    /// Cuts one connection instead of passing on the first bytes from the server that hold `pattern`: the server has done
    /// what it was asked, and the client does not learn so. Once only; a later call replaces an earlier one.
    pub fn cut_before_reply(&self, pattern: &[u8]) {
        let pattern = pattern.to_owned();
        self.ends.tell(move |relay| relay.pattern = Some(pattern));
    }
}

impl Ends {
    /// Has the link's thread make a change, and returns when it has.
    fn tell(&self, change: impl FnOnce(&mut Relay) + Send + 'static) {
        let (done, heard) = mpsc::sync_channel(1);
        let change: Change = Box::new(move |relay| {
            change(relay);
            let _ = done.send(());
        });
        self.changes.send(change).expect("the link's thread has ended");
        self.ring();
        heard.recv().expect("the link's thread has ended");
    }

    fn ring(&self) {
        let _ = (&self.bell).write_all(&[0]);
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.changes.send(Box::new(Relay::end));
        self.ring();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}
