//! Whom servers run as. PostgreSQL refuses to run as root, so where root runs the tests, somebody else runs the server.

use std::process::Command;

use anyhow::{Context, Result};

/// A user whom a server is run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// Nobody else (`None`) unless this process is root's; then the first of `names` that the machine knows.
    pub(crate) fn instead_of_root(names: &[&str]) -> Result<Option<Self>> {
        if !rustix::process::getuid().is_root() {
            return Ok(None);
        }
        let known = names.iter().find_map(|name| Some(Self { uid: id("-u", name)?, gid: id("-g", name)? }));
        known.map(Some).with_context(|| {
            format!("root cannot run this server, and none of these users exists: {}. Add one.", names.join(", "))
        })
    }
}

fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
