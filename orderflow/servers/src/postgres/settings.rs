//! A server's parameters, as in postgresql.conf.

use std::collections::BTreeMap;

/// The parameters that a server is started with. Those that are not named here keep PostgreSQL's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    parameters: BTreeMap<String, String>,
}

impl Default for Settings {
    /// For tests: nothing is flushed to the disk, so that data survive a crash of the server and not one of the machine;
    /// 32 MB of shared buffers, 200 connections.
    fn default() -> Self {
        let settings =
            Self { parameters: BTreeMap::new() }.with("max_connections", "200").with("shared_buffers", "32MB");
        settings.with("fsync", "off").with("full_page_writes", "off")
    }
}

impl Settings {
    /// For measurements: as in production, each commit is on the disk before it is confirmed; 512 MB of shared buffers,
    /// 200 connections.
    pub fn durable() -> Self {
        let settings = Self::default().with("shared_buffers", "512MB").with("synchronous_commit", "on");
        settings.with("fsync", "on").with("full_page_writes", "on")
    }

    /// Sets one parameter, for instance `.with("statement_timeout", "2s")`. Where the server is found and how one logs in
    /// (`listen_addresses`, `port`, `unix_socket_directories`, `ssl`) is not for settings: those are overridden.
    pub fn with(mut self, parameter: &str, value: &str) -> Self {
        self.parameters.insert(parameter.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn names(&self, parameter: &str) -> bool {
        self.parameters.contains_key(parameter)
    }

    /// Each as `name=value`.
    pub(crate) fn parameters(&self) -> Vec<String> {
        self.parameters
            .iter()
            .filter(|(name, _)| *name != "port")
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }
}
