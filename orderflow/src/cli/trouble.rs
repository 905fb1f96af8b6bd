//! What a command says when it failed: what, why, and what to do about it.

use std::io;

use orderflow::{
    config::Problems,
    store::{ConnectError, MigrateError, StoreError, seed::SeedError},
};

/// The error, its causes, and advice where there is some to give.
pub(super) fn explain(error: &anyhow::Error) -> String {
    if error.is::<Problems>() {
        return format!("{error}\n\n`orderflow config --example` prints every setting with its default.");
    }
    let mut text = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let said = cause.to_string();
        // Some errors repeat their cause in their own words.
        if last.contains(&said) {
            continue;
        }
        text += &if text.is_empty() { said.clone() } else { format!("\n  because {said}") };
        last = said;
    }
    match error.chain().find_map(advice) {
        Some(advice) => format!("{text}\n\n{advice}"),
        None => text,
    }
}

fn advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match connect_error(cause) {
        Some(ConnectError::Unreachable(StoreError::Busy)) => {
            return Some("It has no connection left. Close some, or raise its max_connections.");
        }
        Some(ConnectError::Unreachable(_)) => {
            return Some(
                "See that it runs, and that database.url (--database-url, ORDERFLOW_DATABASE__URL) has its host, port, user and\n\
                 password. Without any, the service keeps a database of its own and needs no server.",
            );
        }
        Some(ConnectError::Directory(..)) => {
            return Some(
                "The embedded database is in data_dir (--set data_dir=…, ORDERFLOW_DATA_DIR), a directory that the service\n\
                 makes if it may.",
            );
        }
        _ => {}
    }
    let cause = cause.downcast_ref::<io::Error>()?;
    match cause.kind() {
        io::ErrorKind::AddrInUse => Some(
            "For example: `orderflow --listen 127.0.0.1:8081` for the API, `--ops-listen 127.0.0.1:9465` for operators; port 0\n\
             takes any free one. `ss -ltnp` shows who has a port.",
        ),
        io::ErrorKind::AddrNotAvailable => {
            Some("This machine has no such address. 127.0.0.1 is there always, 0.0.0.0 means every one.")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
            "Run it as a user who may, or choose a place or port that it may use: `--set data_dir=…`, `--listen …`.",
        ),
        _ => None,
    }
}

/// The failure to open a database, which others carry without being a link of the chain themselves.
fn connect_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a ConnectError> {
    match (cause.downcast_ref(), cause.downcast_ref()) {
        (Some(MigrateError::Connect(error)), _) | (_, Some(SeedError::Connect(error))) => Some(error),
        _ => cause.downcast_ref(),
    }
}
