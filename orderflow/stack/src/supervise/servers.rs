//! The servers that OrderFlow uses, and the proxies in front of it.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow};
use orderflow_servers::{HaProxy, Missing, Nginx, Postgres, RabbitMq, Redis, Replica, Settings, Sink};

use super::{board::Board, mails, orderflow::OrderFlow, watch::Watch};
use crate::{certificate::Certificate, files::Places, probe::Probe, state::Health};

/// The database's name.
const DATABASE: &str = "orderflow";
/// How often accepted mails become files.
const MAILS: Duration = Duration::from_millis(200);

pub(super) struct Servers {
    /// The primary's address, with its password.
    pub(super) database: String,
    postgres: Postgres,
    replica: Replica,
    redis: Redis,
    rabbitmq: RabbitMq,
    sink: Sink,
    nginx: Nginx,
    haproxy: HaProxy,
    places: Places,
    certificate: Certificate,
}

/// What threads are waited for.
type Started<T> = mpsc::Receiver<Result<T>>;

impl Servers {
    /// Starts all of them, side by side. Of programs that this machine lacks the board has the whole list.
    pub(super) fn start(
        board: &Arc<Board>,
        orderflow: &OrderFlow,
        orders: u32,
        certificate: Result<Certificate>,
        places: &(dyn Fn(String) -> Places + Sync),
    ) -> Result<Self> {
        thread::scope(|scope| {
            let database = background(scope, || databases(board, orderflow, orders));
            let redis = background(scope, || {
                board.part("redis", String::new(), None);
                let redis = Redis::own()?;
                up(board, "redis", format!("redis://127.0.0.1:{}", redis.port()), Some(redis.dir()));
                Ok(redis)
            });
            let rabbitmq = background(scope, || {
                board.part("rabbitmq", String::new(), None);
                let rabbitmq = RabbitMq::own()?;
                up(board, "rabbitmq", format!("amqp://127.0.0.1:{}", rabbitmq.port()), Some(rabbitmq.dir()));
                Ok(rabbitmq)
            });
            let proxies = background(scope, || {
                board.part("nginx", String::new(), None);
                board.part("haproxy", String::new(), None);
                let certificate = certificate?;
                let places = places(certificate.path().display().to_string());
                let nginx = Nginx::start(&places.nginx()?).inspect(|nginx| {
                    up(board, "nginx", format!("https://localhost:{}", places.nginx[1]), Some(nginx.dir()));
                });
                let haproxy = HaProxy::start(&places.haproxy()?).inspect(|haproxy| {
                    up(board, "haproxy", format!("https://localhost:{}", places.haproxy[1]), Some(haproxy.dir()));
                });
                Ok((places, certificate, nginx, haproxy))
            });
            let sink = Sink::start()?;
            board.part("mail", sink.url(), None);
            up(board, "mail", sink.url(), None);
            let mut lacking = Lacking::default();
            let (database, redis) = (lacking.of(wait(&database)), lacking.of(wait(&redis)));
            let (rabbitmq, proxies) = (lacking.of(wait(&rabbitmq)), lacking.of(wait(&proxies)));
            let proxies = proxies.map(|(places, certificate, nginx, haproxy)| {
                (places, certificate, lacking.of(nginx), lacking.of(haproxy))
            });
            let all = (database, redis, rabbitmq, proxies);
            let (
                Some((postgres, replica)),
                Some(redis),
                Some(rabbitmq),
                Some((places, certificate, Some(nginx), Some(haproxy))),
            ) = all
            else {
                return Err(lacking.error(board));
            };
            let database = postgres.url(DATABASE);
            Ok(Self { database, postgres, replica, redis, rabbitmq, sink, nginx, haproxy, places, certificate })
        })
    }

    /// What each process of OrderFlow is told.
    pub(super) fn variables(&self, keys: &str) -> Vec<(String, String)> {
        [
            ("DATABASE__URL", self.database.clone()),
            ("REPLICAS__URLS", self.replica.url(DATABASE)),
            ("REDIS__URL", self.redis.url()),
            ("QUEUE__BROKER", self.rabbitmq.url()),
            ("MAIL__SMTP_URL", self.sink.url()),
            ("WORKER__IN_PROCESS", "off".to_owned()),
            ("SCHEDULER__INTERVAL", "5s".to_owned()),
            ("AUTH__KEYS", keys.to_owned()),
            ("HTTP__TRUST_FORWARDED_FOR", "true".to_owned()),
            // A load generator is one client.
            ("HTTP__RATE_LIMIT", "0".to_owned()),
            // As long as the proxies need to notice.
            ("HTTP__DRAIN_NOTICE", "3s".to_owned()),
            ("HTTP__DRAIN_TIMEOUT", "10s".to_owned()),
            ("LOG__FORMAT", "json".to_owned()),
        ]
        .map(|(name, value)| (format!("ORDERFLOW_{name}"), value))
        .into()
    }

    /// Watches each. They end with what is returned.
    pub(super) fn watch(self, board: &Arc<Board>) -> Vec<Watch> {
        let Self { postgres, replica, redis, rabbitmq, sink, nginx, haproxy, places, certificate, .. } = self;
        /// Watches a server by its port; `start` is how it is started again.
        macro_rules! watched {
            ($name:literal, $server:ident, $port:expr, $start:ident) => {{
                let (port, other) = ($port, $server.clone());
                Watch::server(board, $name, Probe::Connects(port), move || other.pid(), move || $server.$start())
            }};
        }
        let port = sink.url().rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default();
        let directory = board.place().join("mails");
        vec![
            watched!("postgres", postgres, postgres.port(), start),
            watched!("replica", replica, replica.port(), start),
            watched!("redis", redis, redis.port(), start),
            watched!("rabbitmq", rabbitmq, rabbitmq.port(), start),
            Watch::repeated(board, "mail", Probe::Connects(port), MAILS, {
                let mut kept = 0;
                move || mails::keep(&sink, &directory, &mut kept)
            }),
            watched!("haproxy", haproxy, places.haproxy[2], start_again),
            {
                let (port, other) = (places.nginx[2], nginx.clone());
                // The last one to end has the certificate.
                let again = move || {
                    let _ = &certificate;
                    nginx.start_again()
                };
                Watch::server(board, "nginx", Probe::Connects(port), move || other.pid(), again)
            },
        ]
    }
}

/// The primary with orders in it, and a replica of that.
fn databases(board: &Board, orderflow: &OrderFlow, orders: u32) -> Result<(Postgres, Replica)> {
    board.part("postgres", String::new(), None);
    board.part("replica", String::new(), None);
    let postgres = Postgres::own(&Settings::default().with("max_connections", "300"))?;
    // Statements are counted, where the system has what counts them, so that `db analyze` can tell of slow ones.
    postgres.psql(&format!(
        "CREATE DATABASE {DATABASE};\n\\connect {DATABASE}\n\
         SELECT format('CREATE EXTENSION %I', name) FROM pg_available_extensions WHERE name = 'pg_stat_statements' \\gexec"
    ))?;
    orderflow.fill(&postgres.url(DATABASE), orders)?;
    up(board, "postgres", format!("postgres://127.0.0.1:{}/{DATABASE}", postgres.port()), Some(postgres.dir()));
    let replica = postgres.replica()?;
    up(board, "replica", format!("postgres://127.0.0.1:{}/{DATABASE}", replica.port()), Some(replica.dir()));
    Ok((postgres, replica))
}

fn up(board: &Board, name: &str, address: String, dir: Option<std::path::PathBuf>) {
    board.update(name, |part| {
        part.address = address;
        part.health = Health::Healthy;
        part.log = dir.map(|dir| dir.join("log"));
    });
}

fn background<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> Result<T> + Send + 'scope,
) -> Started<T> {
    let (sender, receiver) = mpsc::channel();
    scope.spawn(move || {
        let _ = sender.send(work());
    });
    receiver
}

fn wait<T>(started: &Started<T>) -> Result<T> {
    started.recv().unwrap_or_else(|_| Err(anyhow!("a server's start was broken off")))
}

/// Programs that are missing, and the first error of another kind.
#[derive(Default)]
struct Lacking {
    missing: Vec<Missing>,
    error: Option<anyhow::Error>,
}

impl Lacking {
    fn of<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(error) => match error.downcast::<Missing>() {
                Ok(missing) => self.missing.push(missing),
                Err(error) => {
                    self.error.get_or_insert(error);
                }
            },
        }
        None
    }

    fn error(self, board: &Board) -> anyhow::Error {
        board.missing(&self.missing);
        match (self.missing.into_iter().next(), self.error) {
            (Some(missing), _) => missing.into(),
            (None, error) => error.unwrap_or_else(|| anyhow!("a server was not started")),
        }
    }
}
