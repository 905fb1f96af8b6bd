//! The configured mailer, and mails to give it.

use std::{path::Path, sync::Arc};

use orderflow::{
    config::{Config, Flag, Sources},
    mail::{Mail, Mailer, SetupError, mailer},
};

/// A mailer with these settings and a data directory.
pub(crate) fn configured(dir: &Path, settings: &[(&str, &str)]) -> Result<Arc<dyn Mailer>, SetupError> {
    let base = [("data_dir", dir.to_str().expect("UTF-8")), ("mail.timeout", "60s")];
    let flags = base.iter().chain(settings).map(|(key, value)| Flag::set(*key, *value)).collect();
    let config = Config::load(&Sources { flags, ..Sources::default() }).unwrap_or_else(|problems| panic!("{problems}"));
    mailer(&config)
}

/// A mailer that uses this server.
pub(crate) fn smtp(url: &str, settings: &[(&str, &str)]) -> Arc<dyn Mailer> {
    let all: Vec<_> = [("mail.smtp_url", url)].iter().chain(settings).copied().collect();
    configured(Path::new("unused"), &all).unwrap()
}

/// The mail of this number.
pub(crate) fn mail(number: usize) -> Mail {
    Mail {
        message_id: format!("<order-{number}.7@orderflow.example>"),
        name: "Ada Lovelace".to_owned(),
        address: format!("ada{number}@example.com"),
        subject: format!("Your order {number}"),
        text: "Dear Ada Lovelace,\n\nThank you.\n".to_owned(),
    }
}
