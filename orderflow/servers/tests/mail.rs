//! What the mail sink takes, and the faults that it shows.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use orderflow_servers::{Behaviour, Sink};

const AT_ONCE: Behaviour = Behaviour::Accept { after: Duration::ZERO };
const GENEROUS: Duration = Duration::from_mins(1);

/// A mail client that says one line at a time.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(sink: &Sink) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, sink.port())).unwrap();
        stream.set_read_timeout(Some(GENEROUS)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn greeted(sink: &Sink) -> Self {
        let mut client = Self::connect(sink);
        assert!(client.answer().starts_with("220 "));
        assert!(client.says("HELO shop").starts_with("250 "));
        client
    }

    /// The last line of an answer; empty at the connection's end.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).is_err() || line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    fn says(&mut self, line: &str) -> String {
        let _ = self.0.get_mut().write_all(format!("{line}\r\n").as_bytes());
        self.answer()
    }

    /// Up to the message itself, which may then be sent.
    fn offers(&mut self) {
        assert_eq!(self.says("MAIL FROM:<shop@example.org> BODY=8BITMIME"), "250 ok");
        assert_eq!(self.says("RCPT TO:<customer@example.org>"), "250 ok");
        assert!(self.says("DATA").starts_with("354 "));
    }

    /// Gives the answer to the message's end.
    fn sends(&mut self, message: &str) -> String {
        self.offers();
        self.says(&format!("{message}\r\n."))
    }

    fn closed(&mut self) -> bool {
        // By FIN or by RST.
        !matches!(self.0.read(&mut [0]), Ok(1))
    }
}

fn mail(id: &str) -> String {
    format!("From: shop@example.org\r\nTo: customer@example.org\r\nMessage-ID: <{id}@example.org>\r\n\r\nThank you.")
}

#[test]
fn a_mail_is_kept_as_it_was_meant() {
    let sink = Sink::start().unwrap();
    assert_eq!(sink.url(), format!("smtp://127.0.0.1:{}", sink.port()));
    let mut client = Client::connect(&sink);
    assert!(client.answer().starts_with("220 "));
    client.0.get_mut().write_all(b"EHLO shop\r\n").unwrap();
    let mut lines = [(); 3].map(|()| String::new());
    for line in &mut lines {
        client.0.read_line(line).unwrap();
    }
    assert_eq!(lines, ["250-localhost\r\n", "250-8BITMIME\r\n", "250 SIZE 10485760\r\n"]);
    let body = "To: not me\r\n..hidden\r\n...\r\nGr\u{fc}\u{df}e\n.\nstill the same mail";
    let sent = format!("To: Ann <ann@example.org>\r\nFrom: Shop <shop@example.org>\r\nMessage-Id: <1@x>\r\n\r\n{body}");
    assert_eq!(client.sends(&sent), "250 kept");
    let mails = sink.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        [&mails[0].message_id, &mails[0].to, &mails[0].from],
        ["1@x", "Ann <ann@example.org>", "Shop <shop@example.org>"]
    );
    assert!(
        mails[0].data.ends_with("\r\n.hidden\r\n..\r\nGr\u{fc}\u{df}e\n.\nstill the same mail\r\n"),
        "{:?}",
        mails[0]
    );
    assert!(client.says("QUIT").starts_with("221 ") && client.closed());
}

#[test]
fn commands_out_of_order_are_refused() {
    let sink = Sink::start().unwrap();
    let mut client = Client::greeted(&sink);
    for (line, code) in [
        ("RCPT TO:<a@example.org>", "503"),
        ("DATA", "503"),
        ("MAIL TO:<a@example.org>", "501"),
        ("mail from:<> size=99999999", "552"),
        ("mail from:<>", "250"),
        ("MAIL FROM:<>", "503"),
        ("DATA", "503"),
        ("RCPT TO:a@example.org", "501"),
        ("RSET", "250"),
        ("RCPT TO:<a@example.org>", "503"),
        ("NOOP", "250"),
        ("STARTTLS", "502"),
    ] {
        assert_eq!(client.says(line).get(..3), Some(code), "{line}");
    }
    assert_eq!(client.sends(&mail("in-order")), "250 kept");
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn a_message_beyond_the_size_is_refused_and_the_connection_stays() {
    let sink = Sink::start().unwrap();
    let mut client = Client::greeted(&sink);
    let line = format!("{}\r\n", "x".repeat(998));
    assert_eq!(client.sends(&line.repeat(11 << 10)), "552 too large");
    assert_eq!(client.sends(&mail("small")), "250 kept");
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn a_mail_that_is_refused_is_not_kept() {
    let sink = Sink::start().unwrap();
    let mut client = Client::greeted(&sink);
    for (how, code) in [(Behaviour::Temporary, "451"), (Behaviour::Permanent, "550"), (AT_ONCE, "250")] {
        sink.behave(how);
        assert_eq!(client.sends(&mail(code)).get(..3), Some(code));
    }
    let ids: Vec<_> = sink.mails().into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids, ["250@example.org"]);
}

#[test]
fn connections_are_refused_and_open_ones_are_sent_away() {
    let sink = Sink::start().unwrap();
    let mut open = Client::greeted(&sink);
    sink.behave(Behaviour::RefuseConnections);
    assert!(open.says("NOOP").starts_with("421 ") && open.closed());
    let mut new = Client::connect(&sink);
    assert!(new.answer().starts_with("421 ") && new.closed());
    sink.behave(AT_ONCE);
    assert_eq!(Client::greeted(&sink).sends(&mail("welcome")), "250 kept");
}

#[test]
fn a_sink_that_hangs_answers_nothing_and_goes_on() {
    let sink = Sink::start().unwrap();
    let mut open = Client::greeted(&sink);
    sink.behave(Behaviour::Hang);
    open.0.get_mut().write_all(b"NOOP\r\n").unwrap();
    let mut new = Client::connect(&sink);
    for client in [&mut open, &mut new] {
        client.0.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(client.0.read(&mut [0]).is_err(), "it answered");
        client.0.get_ref().set_read_timeout(Some(GENEROUS)).unwrap();
    }
    sink.behave(AT_ONCE);
    assert_eq!(open.answer(), "250 ok");
    assert!(new.answer().starts_with("220 "));
    // One that hangs can be stopped.
    sink.behave(Behaviour::Hang);
    open.0.get_mut().write_all(b"NOOP\r\n").unwrap();
    sink.stop();
    assert!(open.closed() && new.closed());
}

#[test]
fn a_mail_whose_answer_is_lost_comes_twice_and_counts_once() {
    let sink = Sink::start().unwrap();
    sink.behave(Behaviour::AcceptThenDrop);
    let mut client = Client::greeted(&sink);
    assert_eq!(client.sends(&mail("twice")), "");
    assert!(client.closed());
    assert_eq!(sink.mails().len(), 1);
    sink.behave(AT_ONCE);
    let mut client = Client::greeted(&sink);
    assert_eq!(client.sends(&mail("twice")), "250 kept");
    assert_eq!(sink.mails().len(), 2);
    assert_eq!(sink.wait_for(2, Duration::from_millis(50)).len(), 1);
    let sender = thread::spawn(move || client.sends(&mail("once")));
    let ids: Vec<_> = sink.wait_for(2, GENEROUS).into_iter().map(|mail| mail.message_id).collect();
    assert_eq!(ids, ["twice@example.org", "once@example.org"]);
    assert_eq!(sender.join().unwrap(), "250 kept");
}

#[test]
fn a_slow_sink_accepts_late() {
    let sink = Sink::start().unwrap();
    let after = Duration::from_millis(150);
    sink.behave(Behaviour::Accept { after });
    let mut client = Client::greeted(&sink);
    let begun = Instant::now();
    assert_eq!(client.sends(&mail("late")), "250 kept");
    assert!(sink.mails()[0].accepted - begun >= after);
    // What waits when the server stops is lost, and its sender is not told otherwise.
    sink.behave(Behaviour::Accept { after: GENEROUS });
    client.offers();
    client.0.get_mut().write_all(format!("{}\r\n.\r\n", mail("lost")).as_bytes()).unwrap();
    sink.stop();
    assert_eq!(client.answer(), "");
    assert_eq!(sink.mails().len(), 1);
}

#[test]
fn a_sink_that_was_stopped_comes_back_on_its_port() {
    let sink = Sink::start().unwrap();
    for round in 1..=3 {
        let mut client = Client::greeted(&sink);
        assert_eq!(client.sends(&mail(&round.to_string())), "250 kept");
        sink.stop();
        sink.stop();
        assert!(client.closed());
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, sink.port())).is_err(), "it still listens");
        sink.start_again().unwrap();
        sink.start_again().unwrap();
        assert_eq!(sink.mails().len(), round);
    }
    let (port, handle) = (sink.port(), sink.clone());
    drop(sink);
    assert_eq!(Client::greeted(&handle).says("NOOP"), "250 ok");
    drop(handle);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the last handle has not ended it");
}

#[test]
fn many_connections_lose_and_mix_nothing() {
    let (clients, each) = (20, 150);
    let sink = Sink::start().unwrap();
    thread::scope(|scope| {
        for number in 0..clients {
            let sink = &sink;
            scope.spawn(move || {
                let mut client = Client::greeted(sink);
                for at in 0..each {
                    assert_eq!(client.sends(&mail(&format!("{number}-{at}"))), "250 kept");
                }
            });
        }
    });
    let mails = sink.mails();
    let ids: HashSet<_> = mails.iter().map(|mail| &mail.message_id).collect();
    assert_eq!((mails.len(), ids.len()), (clients * each, clients * each));
    assert!(mails.is_sorted_by_key(|mail| mail.accepted));
}
