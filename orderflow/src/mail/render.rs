//! From a notification to the mail that tells it.

use serde_json::Value;

use super::{Mail, MailError, Sender, message::one_line};
use crate::jobs::{Claimed, Kind};

/// The mail for a notification. The same notification gives the same mail.
///
/// # Errors
/// [`MailError::Permanent`] if there is nobody to tell any more, or the notification lacks what its text is made of.
pub fn render(claimed: &Claimed, sender: &Sender) -> Result<Mail, MailError> {
    let Some((name, address)) = &claimed.customer else {
        return Err(MailError::Permanent("the customer is gone".to_owned()));
    };
    let name = one_line(name);
    let (subject, body) = match claimed.kind {
        Kind::Order => order(&claimed.payload)?,
        Kind::Birthday => birthday(claimed)?,
        Kind::Reminder => reminder(&claimed.payload)?,
    };
    let signature = sender.signature();
    Ok(Mail {
        message_id: message_id(claimed, sender.host()),
        text: format!("Dear {name},\n\n{body}\n\nKind regards\n{signature}\n"),
        name,
        address: address.clone(),
        subject,
    })
}

fn order(payload: &Value) -> Result<(String, String), MailError> {
    let (order, total) = (number(payload, "order_id")?, amount(number(payload, "total_cents")?));
    let body = format!(
        "Thank you for your order {order}. It comes to {total}.\n\n\
         We will write again if it is not paid in time."
    );
    Ok((format!("Your order {order}"), body))
}

fn birthday(claimed: &Claimed) -> Result<(String, String), MailError> {
    let (year, customer) = (number(&claimed.payload, "year")?, claimed.customer_id);
    let body = format!(
        "Happy birthday! As a present, here is a voucher for your next order:\n\n    \
         BIRTHDAY-{year}-{customer}"
    );
    Ok(("Happy birthday".to_owned(), body))
}

fn reminder(payload: &Value) -> Result<(String, String), MailError> {
    let (order, total) = (number(payload, "order_id")?, amount(number(payload, "total_cents")?));
    let body = format!(
        "Your order {order} over {total} is not paid yet. Please pay it, so that we can send it.\n\n\
         If you have paid in the meantime, there is nothing left to do."
    );
    Ok((format!("Your order {order} is not paid yet"), body))
}

fn number(payload: &Value, name: &str) -> Result<i64, MailError> {
    let missing = || MailError::Permanent(format!("the notification has no {name}, which its text needs"));
    payload.get(name).and_then(Value::as_i64).ok_or_else(missing)
}

/// An amount of cents, as `12.05`.
fn amount(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

fn message_id(claimed: &Claimed, host: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let occasion: String = claimed.occasion.chars().map(plain).collect();
    format!("<{occasion}.{}@{host}>", claimed.customer_id)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{config::Sources, jobs::NotificationId};

    fn claimed(kind: Kind, occasion: &str, payload: Value) -> Claimed {
        Claimed {
            id: NotificationId(1),
            claim: 1,
            customer_id: 5.try_into().unwrap(),
            customer: Some(("Ada Lovelace".to_owned(), "ada@example.com".to_owned())),
            occasion: occasion.to_owned(),
            kind,
            payload,
            attempt: 1,
            maybe_sent: false,
            trace: None,
        }
    }

    fn sender() -> Sender {
        Sender::new(&crate::config::Loaded::load(&Sources::default()).unwrap().config.mail).unwrap()
    }

    #[test]
    fn each_kind_has_its_text() {
        for (kind, occasion, payload, id, subject, in_text) in [
            (
                Kind::Order,
                "order:17",
                json!({"order_id": 17, "customer_id": 5, "total_cents": 120_005}),
                "<order-17.5@orderflow.example>",
                "Your order 17",
                "It comes to 1200.05.",
            ),
            (
                Kind::Birthday,
                "birthday:2026",
                json!({"year": 2026}),
                "<birthday-2026.5@orderflow.example>",
                "Happy birthday",
                "BIRTHDAY-2026-5",
            ),
            (
                Kind::Reminder,
                "reminder:17",
                json!({"order_id": 17, "total_cents": 5}),
                "<reminder-17.5@orderflow.example>",
                "Your order 17 is not paid yet",
                "over 0.05 is",
            ),
        ] {
            let claimed = claimed(kind, occasion, payload);
            let mail = render(&claimed, &sender()).unwrap();
            assert_eq!((mail.message_id.as_str(), mail.subject.as_str()), (id, subject));
            assert!(mail.text.starts_with("Dear Ada Lovelace,\n\n") && mail.text.contains(in_text), "{}", mail.text);
            assert!(mail.text.ends_with("\n\nKind regards\nOrderFlow\n"), "{}", mail.text);
            assert_eq!((mail.name.as_str(), mail.address.as_str()), ("Ada Lovelace", "ada@example.com"));
            assert_eq!(render(&claimed, &sender()).unwrap(), mail);
        }
    }

    #[test]
    fn a_name_stays_on_its_line() {
        let mut claimed = claimed(Kind::Birthday, "birthday:2026", json!({"year": 2026}));
        claimed.customer = Some((" Eve\r\nBcc: all@example.com\t\u{7}".to_owned(), "eve@example.com".to_owned()));
        let mail = render(&claimed, &sender()).unwrap();
        assert_eq!(mail.name, "Eve Bcc: all@example.com");
        assert!(mail.text.starts_with("Dear Eve Bcc: all@example.com,\n"), "{}", mail.text);
    }

    #[test]
    fn what_cannot_be_told_is_refused_for_good_without_a_name() {
        let mut gone = claimed(Kind::Order, "order:17", json!({"order_id": 17, "total_cents": 1}));
        gone.customer = None;
        for claimed in [gone, claimed(Kind::Order, "order:17", json!({"order_id": 17})), {
            claimed(Kind::Birthday, "birthday:2026", json!({"year": "2026"}))
        }] {
            let MailError::Permanent(why) = render(&claimed, &sender()).unwrap_err() else { panic!("{claimed:?}") };
            assert!(!why.contains("Ada") && !why.contains('@'), "{why}");
        }
    }
}
