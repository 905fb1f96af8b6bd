//! A mail as it is written: RFC 5322, in ASCII throughout.

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
    },
};

use super::{Mail, MailError, Sender};

/// Says that no person wrote it, so that holiday answers stay away (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// The message. Names and subjects are encoded, so that nothing in them can be taken for a header.
pub(super) fn message(mail: &Mail, sender: &Sender) -> Result<Message, MailError> {
    let to = receiver(&mail.address)?;
    // The library panics at a line's end in a name.
    let name = Some(one_line(&mail.name)).filter(|name| !name.is_empty());
    Message::builder()
        .message_id(Some(mail.message_id.clone()))
        .from(sender.mailbox.clone())
        .to(Mailbox::new(name, to))
        .subject(one_line(&mail.subject))
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|_| MailError::Permanent("it cannot be written as a mail".to_owned()))
}

/// The address, if every mail server can be given it.
fn receiver(address: &str) -> Result<Address, MailError> {
    let sound = address.is_ascii() && !address.contains(|letter: char| letter.is_control() || letter == ' ');
    let parsed = address.parse().ok().filter(|_| sound);
    parsed.ok_or_else(|| MailError::Permanent("the customer's address is none that a mail can go to".to_owned()))
}

/// A text without what would end a line or steer whoever shows it.
pub(super) fn one_line(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    letters.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
