//! How a mail is written, read back by the receiver.

use base64::{Engine, prelude::BASE64_STANDARD};
use orderflow::mail::Mail;
use orderflow_servers::Sink;

use crate::stage::{mail, smtp};

/// What a field says, its encoded words (RFC 2047) decoded.
fn decoded(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, encoded)) = rest.split_once("=?utf-8?b?") {
        let (word, after) = encoded.split_once("?=").unwrap();
        // The space between two encoded words is none.
        if !(before.trim().is_empty() && !text.is_empty()) {
            text += before;
        }
        text += std::str::from_utf8(&BASE64_STANDARD.decode(word).unwrap()).unwrap();
        rest = after;
    }
    text + rest
}

/// The names of the header's fields, and what the one of that name says.
fn header(data: &str, name: &str) -> (Vec<String>, String) {
    let (header, _) = data.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
    let fields: Vec<_> = unfolded.split("\r\n").map(|line| line.split_once(": ").unwrap()).collect();
    let value = fields.iter().find(|(found, _)| *found == name).map(|(_, value)| decoded(value)).unwrap_or_default();
    (fields.iter().map(|(name, _)| (*name).to_owned()).collect(), value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_or_subject_becomes_a_header_or_another_receiver() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[("mail.from", "Café \"Shop\" <orders@shop.example>")]);
    let names = [
        "Zoë Ångström".to_owned(),
        "O'Brien, \"The\" <eve@example.com>".to_owned(),
        "Eve\r\nBcc: all@example.com\r\n\r\nhello".to_owned(),
        "=?utf-8?b?RXZl?= (comment) \\".to_owned(),
        "李小龍 ".repeat(20).trim().to_owned(),
        "x".repeat(120),
        String::new(),
    ];
    for (number, name) in names.iter().enumerate() {
        let mail = Mail { name: name.clone(), subject: name.clone(), ..mail(number) };
        mailer.send(&mail).await.unwrap();
    }
    let mails = sink.mails();
    assert_eq!(mails.len(), names.len());
    for (number, (mail, name)) in mails.iter().zip(&names).enumerate() {
        assert!(mail.data.is_ascii(), "{}", mail.data);
        assert!(mail.data.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])), "{}", mail.data);
        let (mut fields, subject) = header(&mail.data, "Subject");
        fields.sort_unstable();
        let expected = [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To",
        ];
        assert_eq!(fields, expected, "{}", mail.data);
        assert_eq!(mail.message_id, format!("order-{number}.7@orderflow.example"));
        let (_, to) = header(&mail.data, "To");
        assert!(
            to.ends_with(&format!("ada{number}@example.com")) || to.ends_with(&format!("<ada{number}@example.com>"))
        );
        if !name.contains(['\r', '\\', '"']) {
            assert_eq!(subject, *name);
            assert!(to.contains(name.as_str()), "{to}");
        }
        assert!(header(&mail.data, "From").1.ends_with(" <orders@shop.example>"), "{}", mail.from);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_arrives_as_it_was() {
    let sink = Sink::start().unwrap();
    let mailer = smtp(&sink.url(), &[]);
    let text = "Dear Ada,\n\n.\n..two\nFrom here\n.\n\nKind regards\n";
    mailer.send(&Mail { text: text.to_owned(), ..mail(1) }).await.unwrap();
    let data = &sink.mails()[0].data;
    let (_, body) = data.split_once("\r\n\r\n").unwrap();
    assert_eq!(header(data, "Content-Type").1, "text/plain; charset=utf-8");
    assert_eq!(body.replace("\r\n", "\n").trim_end(), text.trim_end());
}
