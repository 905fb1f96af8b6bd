//! A server of the tests: a thread a connection, and a function that answers. It ends, with all of its threads, on drop.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use orderflow_load::{Draft, Options, Outcome, Target, run};

/// One request as it came.
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) fields: String,
    pub(crate) body: String,
    /// How many came before it, on all connections.
    pub(crate) number: u64,
}

/// Whether the connection goes on.
#[derive(PartialEq)]
pub(crate) enum Then {
    Keep,
    Close,
}

type Handler = dyn Fn(&Request, &mut TcpStream) -> Then + Send + Sync;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    accept: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request, &mut TcpStream) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, streams) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<TcpStream>>>::default());
        let (stopped, kept, handler) =
            (stop.clone(), streams.clone(), Arc::<Handler>::from(Box::new(handler) as Box<Handler>));
        let accept = thread::spawn(move || {
            let numbers = Arc::new(AtomicU64::new(0));
            let mut connections = Vec::new();
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                kept.lock().unwrap().push(stream.try_clone().unwrap());
                let (handler, numbers) = (handler.clone(), numbers.clone());
                connections.push(thread::spawn(move || serve(stream, &*handler, &numbers)));
            }
            for connection in connections {
                let _ = connection.join();
            }
        });
        Self { address, stop, streams, accept: Some(accept) }
    }

    /// Runs `draft` against it.
    pub(crate) fn load(&self, draft: &Draft, options: &Options) -> Outcome {
        let target = Target::new(&self.address.to_string(), false).unwrap().with_key("hunter2").unwrap();
        run(&draft.check().unwrap(), &target, options, &mut |_| {}).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; then those that read.
        let _ = TcpStream::connect(self.address);
        for stream in self.streams.lock().unwrap().iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accept) = self.accept.take() {
            let _ = accept.join();
        }
    }
}

fn serve(mut stream: TcpStream, handler: &Handler, numbers: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let mut input = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if !matches!(input.read_line(&mut line), Ok(1..)) {
            return;
        }
        let (mut fields, mut length) = (String::new(), 0);
        while !fields.ends_with("\r\n\r\n") && fields != "\r\n" {
            let before = fields.len();
            if !matches!(input.read_line(&mut fields), Ok(1..)) {
                return;
            }
            if let Some(value) = fields[before..].strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        if input.read_exact(&mut body).is_err() {
            return;
        }
        let line = line.trim_end().trim_end_matches(" HTTP/1.1").into();
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let request = Request { line, fields, body: String::from_utf8(body).unwrap(), number };
        if handler(&request, &mut stream) == Then::Close {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// Answers with a status and a body.
pub(crate) fn answer(stream: &mut TcpStream, status: u16, body: &str) -> Then {
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    match stream.write_all(answer.as_bytes()) {
        Ok(()) => Then::Keep,
        Err(_) => Then::Close,
    }
}
