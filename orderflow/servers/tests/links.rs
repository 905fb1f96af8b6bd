//! What a link does to the bytes that it carries, and what it does not.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::{Link, Redis, free_port, needs};

const SOON: Duration = Duration::from_secs(30);

/// A port where each connection is served by `serve` on a thread of its own, until the test's process ends.
fn server(serve: fn(TcpStream) -> io::Result<()>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(stream.unwrap()));
        }
    });
    port
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count])?;
    }
}

fn client(link: &Link) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn sends(stream: &mut TcpStream, byte: u8) {
    stream.write_all(&[byte]).unwrap();
}

fn gets(stream: &mut TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte).map(|()| byte[0])
}

fn silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let nothing = gets(stream).is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    stream.set_read_timeout(Some(SOON)).unwrap();
    nothing
}

fn broken(stream: &mut TcpStream) -> bool {
    gets(stream).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// More than a link and the sockets hold, and nowhere alike.
fn much() -> Vec<u8> {
    (0..4_000_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

/// Sends all, reads until the end, and gives that.
fn there_and_back(link: &Link, bytes: &[u8]) -> Vec<u8> {
    let mut stream = client(link);
    let mut back = Vec::new();
    thread::scope(|scope| {
        let mut sender = stream.try_clone().unwrap();
        scope.spawn(move || {
            sender.write_all(bytes).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut back).unwrap();
    });
    back
}

#[test]
fn all_bytes_arrive_in_order_and_so_does_the_end() {
    let link = Link::to(server(echo)).unwrap();
    let bytes = much();
    assert!(there_and_back(&link, &bytes) == bytes);
    link.delay(Duration::from_millis(5));
    assert!(there_and_back(&link, &bytes) == bytes, "with a delay");
}

#[test]
fn each_byte_is_delayed_and_none_by_the_delay_of_another() {
    let link = Link::to(server(echo)).unwrap();
    let mut stream = client(&link);
    let each_way = Duration::from_millis(200);
    link.delay(each_way);
    let mut sender = stream.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let times = (0..100).map(|number| {
            let sent = Instant::now();
            sends(&mut sender, number);
            thread::sleep(Duration::from_millis(2));
            sent
        });
        times.collect::<Vec<_>>()
    });
    let begin = Instant::now();
    let arrived: Vec<_> = (0..100).map(|number| (gets(&mut stream).unwrap() == number, Instant::now())).collect();
    // One after the other, a hundred delays each way would be 40 seconds.
    assert!(begin.elapsed() < Duration::from_secs(20), "bytes wait for others' delays");
    for (sent, (right, arrived)) in sending.join().unwrap().into_iter().zip(arrived) {
        assert!(right && arrived - sent >= 2 * each_way);
    }
    link.delay(Duration::ZERO);
    sends(&mut stream, 7);
    assert_eq!(gets(&mut stream).unwrap(), 7);
}

#[test]
fn a_cut_breaks_what_is_open_at_both_ends_and_nothing_later() {
    let port = server(|mut stream| {
        let mut word = [0; 4];
        stream.read_exact(&mut word)?;
        let mut out = TcpStream::connect((Ipv4Addr::LOCALHOST, u16::from_be_bytes([word[2], word[3]])))?;
        // Tells what became of the first connection on a second one.
        out.write_all(b".")?;
        let broken = stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        out.write_all(if broken { b"r" } else { b"?" })
    });
    let witness = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let [high, low] = witness.local_addr().unwrap().port().to_be_bytes();
    let link = Link::to(port).unwrap();
    let mut stream = client(&link);
    stream.write_all(&[0, 0, high, low]).unwrap();
    let mut told = witness.accept().unwrap().0;
    told.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(gets(&mut told).unwrap(), b'.');
    // One that the link may not have accepted yet is open too.
    let mut new = client(&link);
    link.cut();
    assert!(broken(&mut stream) && broken(&mut new));
    assert_eq!(gets(&mut told).unwrap(), b'r');
    let mut stream = client(&link);
    stream.write_all(&[0, 0, high, low]).unwrap();
    assert_eq!(gets(&mut witness.accept().unwrap().0).unwrap(), b'.');
}

#[test]
fn a_link_that_refuses_breaks_open_and_new_connections_until_it_does_not() {
    let link = Link::to(server(echo)).unwrap();
    let mut stream = client(&link);
    link.refuse(true);
    assert!(broken(&mut stream));
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).and_then(|mut stream| gets(&mut stream));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionReset);
    link.refuse(false);
    let mut stream = client(&link);
    sends(&mut stream, 7);
    assert_eq!(gets(&mut stream).unwrap(), 7);
}

#[test]
fn a_link_that_hangs_keeps_connections_and_what_is_sent() {
    let link = Link::to(server(echo)).unwrap();
    let mut open = client(&link);
    sends(&mut open, 1);
    assert_eq!(gets(&mut open).unwrap(), 1);
    link.hang(true);
    let mut new = client(&link);
    for stream in [&mut open, &mut new] {
        sends(stream, 2);
        assert!(silent(stream));
    }
    link.hang(false);
    for stream in [&mut open, &mut new] {
        assert_eq!(gets(stream).unwrap(), 2);
    }
}

#[test]
fn a_link_that_hangs_holds_up_who_sends_much() {
    let link = Link::to(server(echo)).unwrap();
    let mut stream = client(&link);
    link.hang(true);
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let bytes = much();
    let mut sent = 0;
    loop {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        assert!(sent < bytes.len(), "all of it was taken");
    }
    link.hang(false);
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert!(back == bytes[..sent]);
}

#[test]
fn a_reply_can_be_lost_after_the_work_is_done() {
    let Some(redis) = needs(Redis::shared()) else { return };
    let link = Link::to(redis.port()).unwrap();
    let url = link.url(&redis.url());
    assert!(url.ends_with(&format!("@127.0.0.1:{}/0", link.port())), "{url}");
    let password = url.trim_start_matches("redis://:").split('@').next().unwrap();
    link.cut_before_reply(b":41\r\n");
    let [mut stream, mut other] = [(); 2].map(|()| client(&link));
    write!(stream, "AUTH {password}\r\nSET links:stock 40\r\n").unwrap();
    assert_eq!([(); 10].map(|()| gets(&mut stream).unwrap()), *b"+OK\r\n+OK\r\n");
    stream.write_all(b"INCR links:stock\r\n").unwrap();
    assert!(broken(&mut stream));
    assert_eq!(redis.command(&["GET", "links:stock"]).unwrap(), "41");
    // Once is enough: neither another connection nor a second try is hit.
    write!(other, "AUTH {password}\r\nDECR links:stock\r\nINCR links:stock\r\n").unwrap();
    assert_eq!([(); 15].map(|()| gets(&mut other).unwrap()), *b"+OK\r\n:40\r\n:41\r\n");
}

#[test]
fn a_pattern_is_found_across_pieces() {
    let port = server(|mut stream| {
        stream.set_nodelay(true)?;
        for piece in ["DO", "NE NOT ", "D", "ON", "E!"] {
            // The client asks for each, so that each comes alone.
            stream.read_exact(&mut [0])?;
            stream.write_all(piece.as_bytes())?;
        }
        stream.read_exact(&mut [0])
    });
    let link = Link::to(port).unwrap();
    link.cut_before_reply(b"DONE!");
    let mut stream = client(&link);
    for piece in [&b"DO"[..], b"NE NOT ", b"D", b"ON"] {
        sends(&mut stream, 0);
        let mut bytes = vec![0; piece.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, piece);
    }
    sends(&mut stream, 0);
    assert!(broken(&mut stream));
}

#[test]
fn hundreds_of_connections_share_a_link() {
    let link = Link::to(server(echo)).unwrap();
    link.delay(Duration::from_millis(10));
    let mut streams: Vec<_> = (0..300).map(|_| client(&link)).collect();
    for round in 0..3 {
        for stream in &mut streams {
            sends(stream, round);
        }
        for stream in &mut streams {
            assert_eq!(gets(stream).unwrap(), round);
        }
    }
    link.cut();
    assert!(streams.iter_mut().all(broken));
}

#[test]
fn where_nobody_listens_connections_break_until_somebody_does() {
    let port = free_port().unwrap();
    let link = Link::to(port).unwrap();
    assert!(broken(&mut client(&link)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut stream = client(&link);
    sends(&mut listener.accept().unwrap().0, 7);
    assert_eq!(gets(&mut stream).unwrap(), 7);
}

#[test]
fn the_last_handle_closes_the_link() {
    let link = Link::to(server(echo)).unwrap();
    let again = link.clone();
    let mut stream = client(&link);
    drop(link);
    sends(&mut stream, 7);
    assert_eq!(gets(&mut stream).unwrap(), 7);
    let port = again.port();
    drop(again);
    assert!(broken(&mut stream));
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
}
