//! The mail server: what it accepts becomes a file.

use std::{fs, path::Path};

use orderflow_servers::{Mail, Sink};

/// Writes what has come since the last call, a file each, named by its number and its Message-ID.
pub(super) fn keep(sink: &Sink, directory: &Path, kept: &mut u64) {
    for mail in sink.take() {
        *kept += 1;
        if let Err(error) = fs::write(directory.join(name(*kept, &mail)), &mail.data) {
            eprintln!("a mail cannot be kept: {error}");
        }
    }
}

fn name(number: u64, mail: &Mail) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".-@".contains(letter) { letter } else { '_' };
    let id: String = mail.message_id.chars().take(100).map(plain).collect();
    format!("{number:06}-{id}.eml")
}
