//! A mail as it is written: RFC 5322, in ASCII throughout.

use lettre::{
    Address, Message,
    message::{
        Mailbox, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{Mail, MailError, Sender};

/// Says that no person wrote it, so that holiday answers stay away (RFC 3834).
const AUTO_SUBMITTED: HeaderName = HeaderName::new_from_ascii_str("Auto-Submitted");

/// The message. Names and subjects are encoded, so that nothing in them can be taken for a header.
pub(super) fn message(mail: &Mail, sender: &Sender) -> Result<Message, MailError> {
    let to = receiver(&mail.address)?;
    let name = Some(mail.name.clone()).filter(|name| !name.is_empty());
    Message::builder()
        .message_id(Some(mail.message_id.clone()))
        .from(sender.mailbox.clone())
        .to(Mailbox::new(name, to))
        .subject(mail.subject.as_str())
        .raw_header(HeaderValue::new(AUTO_SUBMITTED, "auto-generated".to_owned()))
        .singlepart(SinglePart::plain(mail.text.clone()))
        .map_err(|_| MailError::Permanent("it cannot be written as a mail".to_owned()))
}

/// The address, if every mail server can be given it.
fn receiver(address: &str) -> Result<Address, MailError> {
    let sound = address.is_ascii() && !address.contains(|letter: char| letter.is_control() || letter == ' ');
    let parsed = address.parse().ok().filter(|_| sound);
    parsed.ok_or_else(|| MailError::Permanent("the customer's address is none that a mail can go to".to_owned()))
}
