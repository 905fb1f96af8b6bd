//! What is HAProxy's own.

use std::path::PathBuf;

use rustix::process::Signal;

use super::{Kind, within};
use crate::{Missing, programs};

pub struct HaProxy;

impl Kind for HaProxy {
    const FILE: &'static str = "haproxy.cfg";
    const END: &'static str = "TERM";
    const RELOAD: Signal = Signal::USR2;
    const USERS: &'static [&'static str] = &["haproxy", "nobody"];

    fn program() -> Result<PathBuf, Missing> {
        programs::server("haproxy", "haproxy")
    }

    fn completed(config: &str) -> String {
        // It refuses a last line without an end.
        format!("{}\n", config.trim_end())
    }

    fn checks(dir: &str) -> Vec<String> {
        ["-c", "-f", &within(dir, Self::FILE)].map(str::to_owned).to_vec()
    }

    fn serves(dir: &str) -> Vec<String> {
        // In the foreground, whatever the configuration says, and with a master that outlives its workers.
        ["-W", "-db", "-f", &within(dir, Self::FILE), "-p", &within(dir, "pid")].map(str::to_owned).to_vec()
    }
}
