//! A broker of a test's own, and what a test does to it. The client here speaks just enough AMQP 0-9-1.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use orderflow_servers::{RabbitMq, needs};

const GENEROUS: Duration = Duration::from_mins(1);

/// A connection with one channel that confirms what is published.
struct Client(TcpStream);

impl Client {
    fn connect(server: &RabbitMq) -> Self {
        let url = server.url();
        let (user, rest) = url.strip_prefix("amqp://").unwrap().split_once(':').unwrap();
        let (password, place) = rest.split_once('@').unwrap();
        assert_eq!(place, format!("127.0.0.1:{}/%2f", server.port()));
        let mut client = Self(TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap());
        client.0.set_read_timeout(Some(GENEROUS)).unwrap();
        client.0.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
        assert_eq!(client.method(), (10, 10));
        let login = format!("\0{user}\0{password}");
        let start_ok = [&[0; 4], short("PLAIN").as_slice(), &long(&login), &short("en_US")].concat();
        client.call(0, (10, 11), &start_ok);
        assert_eq!(client.method(), (10, 30));
        client.call(0, (10, 31), &[0, 1, 0, 2, 0, 0, 0, 0]);
        client.call(0, (10, 40), &[short("/"), short(""), vec![0]].concat());
        assert_eq!(client.method(), (10, 41));
        client.call(1, (20, 10), &short(""));
        assert_eq!(client.method(), (20, 11));
        client.call(1, (85, 10), &[0]);
        assert_eq!(client.method(), (85, 11));
        client
    }

    fn declares_durable(&mut self, queue: &str) {
        self.call(1, (50, 10), &[&[0, 0], short(queue).as_slice(), &[2, 0, 0, 0, 0]].concat());
        assert_eq!(self.method(), (50, 11));
    }

    /// Returns when the message is safe.
    fn publishes(&mut self, queue: &str, body: &str) {
        self.call(1, (60, 40), &[&[0, 0], short("").as_slice(), &short(queue), &[0]].concat());
        let size = (body.len() as u64).to_be_bytes();
        // Its only property is the delivery mode: persistent.
        self.frame(2, 1, &[&[0, 60, 0, 0], size.as_slice(), &[0x10, 0, 2]].concat());
        self.frame(3, 1, body.as_bytes());
        assert_eq!(self.method(), (60, 80));
    }

    fn call(&mut self, channel: u16, (class, method): (u16, u16), arguments: &[u8]) {
        self.frame(1, channel, &[&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat());
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = (payload.len() as u32).to_be_bytes();
        self.0.write_all(&[&[kind], channel.to_be_bytes().as_slice(), &size, payload, &[0xce]].concat()).unwrap();
    }

    /// The class and number of the method that comes next.
    fn method(&mut self) -> (u16, u16) {
        let mut head = [0; 11];
        self.0.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 1, "not a method");
        let size = u32::from_be_bytes(head[3..7].try_into().unwrap()) as usize;
        self.0.read_exact(&mut vec![0; size - 4 + 1]).unwrap();
        let number = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        (number(7), number(9))
    }
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn long(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

#[test]
fn a_broker_keeps_what_is_durable_through_its_faults_and_leaves_nothing() {
    let Some(broker) = needs(RabbitMq::own()) else { return };
    let mut client = Client::connect(&broker);
    client.declares_durable("mails");
    client.publishes("mails", "one");

    broker.pause().unwrap();
    assert!(broker.ctl(&["status"]).unwrap_err().to_string().contains("paused"));
    let mut waiting = TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port())).unwrap();
    waiting.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let silence = waiting.read(&mut [0]).unwrap_err().kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    broker.resume().unwrap();
    waiting.set_read_timeout(Some(GENEROUS)).unwrap();
    assert_eq!(waiting.read(&mut [0]).unwrap(), 1);
    client.publishes("mails", "two");

    let (port, pid) = (broker.port(), broker.pid());
    broker.kill().unwrap();
    assert_eq!(broker.pid(), None);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "it still listens");
    assert!(broker.ctl(&["status"]).unwrap_err().to_string().contains("stopped"));
    broker.start().unwrap();
    assert_eq!(broker.port(), port);
    assert_ne!(broker.pid(), pid);
    Client::connect(&broker).publishes("mails", "three");
    broker.restart().unwrap();
    Client::connect(&broker).publishes("mails", "four");
    assert_eq!(broker.queue_depth("mails").unwrap(), Some(4));

    let dir = broker.dir();
    drop(broker);
    assert!(!dir.exists());
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    #[cfg(target_os = "linux")]
    {
        // Whatever it started knows its directory by its environment or its arguments.
        let left = naming(&dir.display().to_string());
        assert!(left.is_empty(), "{left:?}");
    }
}

#[cfg(target_os = "linux")]
fn naming(dir: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let texts = processes.flat_map(|entry| ["cmdline", "environ"].map(|file| std::fs::read(entry.path().join(file))));
    let texts = texts.flatten().map(|text| String::from_utf8_lossy(&text).replace('\0', " "));
    texts.filter(|text| text.contains(dir)).collect()
}

#[test]
fn a_shared_broker_is_one_whose_queues_a_test_may_harm_and_nothing_else() {
    let Some(broker) = needs(RabbitMq::shared()) else { return };
    assert_eq!(RabbitMq::shared().unwrap().pid(), broker.pid());
    for refused in [broker.stop(), broker.kill(), broker.restart(), broker.pause(), broker.resume()] {
        assert!(refused.unwrap_err().to_string().contains("RabbitMq::own"));
    }
    let mut client = Client::connect(&broker);
    client.declares_durable("jobs");
    assert_eq!(broker.queue_depth("jobs").unwrap(), Some(0));
    client.publishes("jobs", "one");
    assert_eq!(broker.queue_depth("jobs").unwrap(), Some(1));
    broker.delete_queue("jobs").unwrap();
    assert_eq!(broker.queue_depth("jobs").unwrap(), None);
    let error = broker.delete_queue("jobs").unwrap_err().to_string();
    assert!(error.contains("rabbitmqctl failed") && error.contains("not found"), "{error}");

    broker.close_connections().unwrap();
    // The server closes the connection by a method, and would wait for its confirmation.
    assert_eq!(client.method(), (10, 50));
    client.call(0, (10, 51), &[]);
    let deadline = Instant::now() + GENEROUS;
    while client.0.read(&mut [0]).is_ok_and(|count| count > 0) {
        assert!(Instant::now() < deadline, "the connection stays");
    }
    Client::connect(&broker).declares_durable("jobs");
}
