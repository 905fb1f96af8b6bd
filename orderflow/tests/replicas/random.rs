//! Several clients write and read at random at two instances while the replica is held up and let go again.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use tokio::time::sleep;

use crate::{
    client::{Answer, send},
    stage::{Stage, order},
};

const CLIENTS: u64 = 6;
const STEPS: usize = 120;
const SEED: u64 = 0x0d0e_0a0d;

/// A client that believes in what it has written.
struct Client {
    number: u64,
    random: Rng,
    instances: [SocketAddr; 2],
    /// As a browser keeps it, or a header of its own.
    position: Option<String>,
    by_cookie: bool,
    orders: Vec<String>,
    /// Each customer's path and name; none once deleted.
    customers: Vec<(String, Option<String>)>,
    named: u32,
}

impl Client {
    async fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let to = self.instances[self.random.usize(..2)];
        let position = self.position.clone().unwrap_or_default();
        let cookie = format!("theme=dark; orderflow_position={position}");
        let header = if self.by_cookie { ("Cookie", cookie.as_str()) } else { ("X-OrderFlow-Position", &*position) };
        let answer = send(to, method, path, &[header], body).await;
        if let Some(position) = answer.header("x-orderflow-position") {
            self.position = Some(position.to_owned());
        }
        answer
    }

    fn name(&mut self) -> (String, String) {
        self.named += 1;
        let name = format!("Customer {} of {}", self.named, self.number);
        let body = format!(r#"{{"name":"{name}","email":"c{}.{}@random.test"}}"#, self.number, self.named);
        (name, body)
    }

    async fn step(&mut self) {
        match self.random.u8(..10) {
            0 | 1 => {
                let placed = self.send("POST", "/api/orders", &order(&[(1 + self.number.cast_signed(), 1)])).await;
                placed.is(201);
                self.orders.push(placed.header("location").unwrap().to_owned());
            }
            2 => {
                let (name, body) = self.name();
                let created = self.send("POST", "/api/customers", &body).await;
                created.is(201);
                self.customers.push((created.header("location").unwrap().to_owned(), Some(name)));
            }
            3 if !self.customers.is_empty() => {
                let index = self.random.usize(..self.customers.len());
                let path = self.customers[index].0.clone();
                let (name, body) = self.name();
                if self.customers[index].1.is_some() {
                    self.send("PUT", &path, &body).await.is(200);
                    self.customers[index].1 = Some(name);
                }
            }
            4 if !self.customers.is_empty() => {
                let index = self.random.usize(..self.customers.len());
                let path = self.customers[index].0.clone();
                let status = if self.customers[index].1.take().is_some() { 204 } else { 404 };
                self.send("DELETE", &path, "").await.is(status);
            }
            5 if !self.orders.is_empty() => {
                let list = self.send("GET", "/api/orders?limit=100", "").await.is(200);
                let last = self.orders.last().unwrap();
                let has = |order: &serde_json::Value| *last == format!("/api/orders/{}", order["id"]);
                // The clients write far fewer than a page since.
                let found = list["items"].as_array().unwrap().iter().any(has);
                let newest = list["items"][0]["id"].as_i64().unwrap();
                let own: i64 = last.rsplit('/').next().unwrap().parse().unwrap();
                assert!(found || newest >= own + 90, "{last} is not in a list up to {newest}");
            }
            6 | 7 if !self.orders.is_empty() => {
                let path = self.random.choice(&self.orders).unwrap().clone();
                self.send("GET", &path, "").await.is(200);
            }
            _ if !self.customers.is_empty() => {
                let (path, name) = self.random.choice(&self.customers).unwrap().clone();
                let read = self.send("GET", &path, "").await;
                match name {
                    Some(name) => assert_eq!(read.is(200)["name"], name, "{path}"),
                    None => drop(read.is(404)),
                }
            }
            _ => drop(self.send("GET", "/api/products/1", "").await.is(200)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_reads_behind_its_own_writes() {
    let Some(stage) = Stage::with(2).await else { return };
    let instances = [stage.instance(&[]).await, stage.instance(&[]).await];
    let clients = (0..CLIENTS).map(|number| {
        let mut client = Client {
            number,
            random: Rng::with_seed(SEED + number),
            instances: [instances[0].public, instances[1].public],
            position: None,
            by_cookie: number % 2 == 0,
            orders: Vec::new(),
            customers: Vec::new(),
            named: 0,
        };
        tokio::spawn(async move {
            for _ in 0..STEPS {
                client.step().await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let done = Arc::new(AtomicBool::new(false));
    let (replicas, over, mut random) = (stage.replicas.clone(), Arc::clone(&done), Rng::with_seed(SEED));
    let trouble = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            let replica = replicas[random.usize(..2)].clone();
            let held_up = random.bool();
            let change = move || if held_up { replica.pause_replay() } else { replica.resume_replay() };
            tokio::task::spawn_blocking(change).await.unwrap().unwrap();
            sleep(Duration::from_millis(random.u64(20..200))).await;
        }
    });
    for client in clients {
        client.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    trouble.await.unwrap();
    let mut counts = [0; 2];
    for instance in &instances {
        counts[0] += instance.by_replica().await;
        counts[1] += instance.fallbacks("behind").await;
    }
    println!("{} reads by replicas, {} by the primary since the replicas were behind", counts[0], counts[1]);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
