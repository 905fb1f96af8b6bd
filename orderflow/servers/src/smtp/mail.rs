//! What was sent: a message as RFC 5322 has it, as far as tests ask.

use std::time::Instant;

/// A mail that a [`Sink`](super::Sink) has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The field Message-ID without its angle brackets, which are not part of it; empty where there is none.
    pub message_id: String,
    /// The field To, as it is.
    pub to: String,
    /// The field From, as it is.
    pub from: String,
    /// Header and body as they were meant: lines end in CRLF, and dots that the transfer added are gone.
    pub data: String,
    /// When it was accepted, just before the sender was told.
    pub accepted: Instant,
}

impl Mail {
    pub(super) fn parsed(data: &[u8]) -> Self {
        let data = String::from_utf8_lossy(data).into_owned();
        let message_id = field(&data, "Message-ID");
        let message_id = message_id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(&message_id);
        Self {
            message_id: message_id.to_owned(),
            to: field(&data, "To"),
            from: field(&data, "From"),
            data,
            accepted: Instant::now(),
        }
    }
}

/// The first field of that name in the header, its lines joined; empty where there is none.
fn field(message: &str, name: &str) -> String {
    let mut header = message.lines().take_while(|line| !line.is_empty());
    let first = header.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim_end().eq_ignore_ascii_case(name).then_some(value)
    });
    let mut value = first.unwrap_or_default().trim().to_owned();
    if first.is_some() {
        for folded in header.take_while(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(folded.trim());
        }
    }
    value.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_the_header_alone() {
        let mail = Mail::parsed(
            b"From: Shop <shop@example.org>\r\nTO: a@example.org,\r\n\tb@example.org\r\nmessage-id:\r\n <7.1@example.org>\r\n\
              Subject: To: nobody\r\n\r\nTo: somebody\r\n",
        );
        assert_eq!(mail.message_id, "7.1@example.org");
        assert_eq!(mail.to, "a@example.org, b@example.org");
        assert_eq!(mail.from, "Shop <shop@example.org>");
        let bare = Mail::parsed(b"Subject: none\r\n\r\nMessage-ID: <x>\r\nFrom: x");
        assert_eq!((bare.message_id.as_str(), bare.from.as_str()), ("", ""));
    }
}
