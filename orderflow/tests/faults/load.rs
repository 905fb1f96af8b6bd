//! Clients in a closed loop: writers who repeat an order under its key until they have an answer, and keep every receipt,
//! and readers.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    client::{Answer, Connection, get, post},
    service::Service,
    shop::Shop,
    waiting::{PATIENCE, until},
};

/// The products that the load orders; a shop has more, for tests that need quiet ones.
pub(crate) const ORDERED: std::ops::RangeInclusive<i64> = 1..=30;
/// The most orders that one writer places.
const MOST: usize = 5_000;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// An order that was sent at least once.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) key: String,
    pub(crate) customer: i64,
    /// Product and quantity.
    pub(crate) lines: Vec<[i64; 2]>,
    /// What its sender was told, once it was.
    pub(crate) receipt: Option<Receipt>,
}

/// What these tests read of a receipt.
#[derive(Debug, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) id: i64,
    pub(crate) total_cents: i64,
}

impl Sent {
    /// A random order of one to four lines.
    pub(crate) fn random(key: String, random: &mut fastrand::Rng) -> Self {
        let mut products: Vec<i64> = ORDERED.collect();
        random.shuffle(&mut products);
        products.truncate(random.usize(1..=4));
        let lines = products.into_iter().map(|product| [product, random.i64(1..=3)]).collect();
        Self { key, customer: random.i64(1..=40), lines, receipt: None }
    }

    /// The bytes that place it.
    pub(crate) fn request(&self, api_key: &str) -> Vec<u8> {
        let line = |[product, quantity]: &[i64; 2]| format!(r#"{{"product_id":{product},"quantity":{quantity}}}"#);
        let lines: Vec<_> = self.lines.iter().map(line).collect();
        post(api_key, &self.key, &format!(r#"{{"customer_id":{},"items":[{}]}}"#, self.customer, lines.join(",")))
    }
}

/// What the clients met.
#[derive(Default)]
pub(crate) struct Tally {
    /// Receipts.
    pub(crate) placed: AtomicU64,
    /// Answers to readers.
    pub(crate) read: AtomicU64,
    /// Problem documents of status 503.
    pub(crate) refused: AtomicU64,
    /// Connections that ended under a request, or were not to be had.
    pub(crate) broken: AtomicU64,
    /// The longest that an answer took, in microseconds.
    slowest: AtomicU64,
}

impl Tally {
    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest.load(Ordering::Relaxed))
    }
}

/// The clients.
pub(crate) struct Load {
    pub(crate) tally: Arc<Tally>,
    to: watch::Sender<SocketAddr>,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<Sent>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts them. `name` begins their keys.
    pub(crate) fn start(name: &str, shop: &Shop, service: &Service, writers: usize, readers: usize) -> Self {
        let (to, address) = watch::channel(service.public);
        let (tally, stop) = (Arc::<Tally>::default(), Arc::<AtomicBool>::default());
        let client = || Client { address: address.clone(), connection: None, tally: tally.clone(), stop: stop.clone() };
        let writer = |number: usize| tokio::spawn(client().write(format!("{name}-{number}"), shop.key().to_owned()));
        let reader = |number: usize| tokio::spawn(client().read(number as u64));
        let (writers, readers) = ((0..writers).map(writer).collect(), (0..readers).map(reader).collect());
        Self { tally, to, stop, writers, readers }
    }

    /// Sends clients to another service from now on.
    pub(crate) fn turn_to(&self, service: &Service) {
        self.to.send_replace(service.public);
    }

    /// Waits until so many more orders were placed, and gives how long that took.
    pub(crate) async fn more(&self, orders: u64) -> Duration {
        let wanted = self.tally.placed.load(Ordering::Relaxed) + orders;
        let enough = async || {
            assert!(self.writers.iter().all(|writer| !writer.is_finished()), "a writer has given up");
            self.tally.placed.load(Ordering::Relaxed) >= wanted
        };
        until("more orders are placed", enough).await
    }

    /// Lets every writer have the answer that it waits for, and gives what they sent.
    pub(crate) async fn finish(self) -> Vec<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sent = Vec::new();
        for writer in self.writers {
            sent.extend(writer.await.unwrap());
        }
        for reader in self.readers {
            reader.await.unwrap();
        }
        sent
    }
}

/// One of them.
struct Client {
    address: watch::Receiver<SocketAddr>,
    connection: Option<Connection>,
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
}

impl Client {
    async fn write(mut self, name: String, api_key: String) -> Vec<Sent> {
        let mut random = fastrand::Rng::with_seed(name.bytes().map(u64::from).sum());
        let mut all = Vec::new();
        while !self.stop.load(Ordering::Relaxed) && all.len() < MOST {
            let mut sent = Sent::random(format!("{name}-{}", all.len()), &mut random);
            let answer = self.persist(&sent.request(&api_key)).await;
            assert_eq!(answer.status, 201, "an order was answered by {answer:?}");
            sent.receipt = Some(serde_json::from_value(answer.json()).unwrap());
            all.push(sent);
            self.tally.placed.fetch_add(1, Ordering::Relaxed);
        }
        all
    }

    async fn read(mut self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        while !self.stop.load(Ordering::Relaxed) {
            let path = match random.u8(..4) {
                0 => "/api/orders?limit=5".to_owned(),
                1 => format!("/api/orders/{}", random.u8(1..=200)),
                2 => format!("/api/products/{}", random.i64(ORDERED)),
                _ => format!("/api/customers/{}", random.u8(1..=40)),
            };
            let answer = self.persist(&get(&path)).await;
            assert_eq!(answer.status, 200, "{path} was answered by {answer:?}");
            self.tally.read.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The answer that is not "try again", which 503 and a broken connection are.
    async fn persist(&mut self, request: &[u8]) -> Answer {
        let began = Instant::now();
        loop {
            match self.ask(request).await {
                Ok(answer) if answer.status == 503 => {
                    let known = ["unavailable", "overloaded"].iter().any(|word| answer.is_problem(word));
                    assert!(known, "{answer:?}");
                    self.tally.refused.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => return answer,
                Err(error) => {
                    assert_ne!(error.kind(), io::ErrorKind::TimedOut, "a request was left without an answer");
                    self.tally.broken.fetch_add(1, Ordering::Relaxed);
                }
            }
            assert!(began.elapsed() < PATIENCE, "no answer in {PATIENCE:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        let began = Instant::now();
        let address = *self.address.borrow();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(address).await?,
        };
        let answer = connection.ask(request).await?;
        if !answer.closes() {
            self.connection = Some(connection);
        }
        self.tally.slowest.fetch_max(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        Ok(answer)
    }
}
