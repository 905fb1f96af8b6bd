//! Mail servers that answer one command by something else than yes.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use orderflow::mail::{Mail, MailError};

use crate::stage::{mail, smtp};

/// A server that answers the commands that begin so, and all others as one that takes everything. It serves one connection
/// after the other until nobody connects any more, which is when the test ends.
fn server(command: &'static str, answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            // A client that goes away is its own affair.
            let _ = serve(stream, command, answer);
        }
    });
    format!("smtp://shop:s%20e+c%26ret@{address}")
}

fn serve(mut stream: TcpStream, command: &str, answer: &str) -> std::io::Result<()> {
    write!(stream, "{}\r\n", if command == "greeting" { answer } else { "220 here" })?;
    let mut message = false;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let usual = match line.split([' ', ':']).next().unwrap_or_default() {
            _ if message && line != "." => continue,
            "." => "250 kept",
            "EHLO" => "250-here\r\n250 AUTH PLAIN",
            // NUL shop NUL password, in base64.
            "AUTH" if line == "AUTH PLAIN AHNob3AAcyBlK2MmcmV0" => "235 welcome",
            "AUTH" => "535 wrong",
            "DATA" => "354 go on",
            _ => "250 yes",
        };
        let said = if line.starts_with(command) { answer } else { usual };
        message = said.starts_with("354");
        write!(stream, "{said}\r\n")?;
    }
    Ok(())
}

async fn told(command: &'static str, answer: &'static str) -> Result<(), MailError> {
    smtp(&server(command, answer), &[]).send(&mail(1)).await
}

#[tokio::test]
async fn what_is_about_the_receiver_or_the_mail_is_for_good() {
    told("nothing", "").await.unwrap();
    for (command, answer, what) in [
        ("RCPT", "550 5.1.1 <ada1@example.com>: no such mailbox", "refuses the receiver (550)"),
        ("DATA", "554 no valid recipients", "refuses the mail (554)"),
        (".", "552 Ada Lovelace has no room for this", "refuses the mail (552)"),
    ] {
        let expected = MailError::Permanent(format!("the mail server {what}"));
        assert_eq!(told(command, answer).await, Err(expected), "{command}");
    }
}

#[tokio::test]
async fn what_is_about_the_moment_or_the_configuration_passes() {
    for (command, answer, what) in [
        ("greeting", "554 go away", "takes no mail (554)"),
        ("EHLO", "421 closing", "takes no mail (421)"),
        ("AUTH", "535 5.7.8 wrong password for shop", "refuses the login (535)"),
        ("MAIL", "550 5.7.1 orders@orderflow.example may not", "refuses mail.from (550)"),
        ("RCPT", "450 <ada1@example.com> is greylisted", "refuses the receiver (450)"),
        ("RCPT", "530 5.7.0 log in first", "refuses the receiver (530)"),
        ("DATA", "250 what", "did not ask for the mail (250)"),
        (".", "452 no room", "refuses the mail (452)"),
    ] {
        let expected = MailError::Temporary(format!("the mail server {what}"));
        assert_eq!(told(command, answer).await, Err(expected), "{command}");
    }
    let Err(MailError::Temporary(why)) = told("greeting", "HTTP/1.1 400 Bad Request").await else { panic!() };
    assert!(why.starts_with("the mail server cannot be talked to: "), "{why}");
}

#[tokio::test]
async fn what_cannot_be_a_mail_is_told_before_anybody_is_asked() {
    let mailer = smtp("smtp://127.0.0.1:1", &[]);
    for address in ["nobody", "zoë@example.com", "a@example.com>\r\nRCPT TO:<b@example.com", "a b@example.com", ""] {
        let mail = Mail { address: address.to_owned(), ..mail(1) };
        let Err(MailError::Permanent(why)) = mailer.send(&mail).await else { panic!("{address:?}") };
        assert_eq!(why, "the customer's address is none that a mail can go to");
    }
}
