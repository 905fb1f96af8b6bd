//! Where RabbitMQ's programs are, and the environment that they are run in: nothing of the machine's own broker in it.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::{Missing, programs};

/// The scripts themselves, and not Debian's wrappers in PATH, which insist on the user rabbitmq: Debian, Homebrew on both
/// kinds of Mac, the archive for any Unix.
const PLACES: [&str; 5] = [
    "/usr/lib/rabbitmq/bin",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/rabbitmq_server-*/sbin",
];
const ERLANG: [&str; 4] =
    ["/usr/lib/erlang/bin", "/usr/lib/erlang/erts-*/bin", "/opt/homebrew/opt/erlang/bin", "/usr/local/opt/erlang/bin"];

#[derive(Debug)]
pub(super) struct Programs {
    pub(super) server: PathBuf,
    pub(super) ctl: PathBuf,
    /// Erlang's name service, by which programs find a node's port.
    pub(super) epmd: PathBuf,
}

impl Programs {
    pub(super) fn find() -> Result<Self, Missing> {
        Self::among(&programs::places(&PLACES), &programs::places(&ERLANG))
    }

    fn among(places: &[PathBuf], erlang: &[PathBuf]) -> Result<Self, Missing> {
        let scripts = ["rabbitmq-server", "rabbitmqctl", "rabbitmq-env"];
        let home = programs::together(&scripts, places).ok_or_else(|| missing("rabbitmq-server"))?;
        let epmd = programs::together(&["epmd"], erlang).ok_or_else(|| missing("epmd"))?;
        Ok(Self { server: home.join(scripts[0]), ctl: home.join(scripts[1]), epmd: epmd.join("epmd") })
    }
}

fn missing(program: &str) -> Missing {
    let how = "It comes with RabbitMQ: on Debian, apt-get install rabbitmq-server. `cargo xtask doctor` says how to get it \
               elsewhere.";
    Missing { program: program.to_owned(), how: how.to_owned() }
}

/// A node, as its server and its tools must agree on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Where its clients connect to; names it too.
    pub(super) amqp: u16,
    /// Where its tools connect to.
    pub(super) distribution: u16,
    /// Where its epmd is. Each server has one of its own, since Erlang leaves the one that it starts behind.
    pub(super) epmd: u16,
}

impl Node {
    /// All variables of the environment that its programs have.
    pub(super) fn environment(self, dir: &Path) -> Vec<(&'static str, String)> {
        let Self { amqp, distribution, epmd } = self;
        let within = |name: &str| dir.join(name).display().to_string();
        // One thread that computes, since several servers share few cores; and the distribution for this machine only.
        let modest = "+S 1:1 +SDcpu 1:1 +A 1 -kernel inet_dist_use_interface {127,0,0,1}";
        vec![
            ("PATH", env::var("PATH").unwrap_or_default()),
            // Where the cookie is that lets its tools in.
            ("HOME", dir.display().to_string()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("ERL_EPMD_PORT", epmd.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_FLAGS", "-start_epmd false".to_owned()),
            // Not a file, so that the machine's own is not read.
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_NODENAME", format!("orderflow-{amqp}@localhost")),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_CONFIG_FILE", within("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", within("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", within("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", within("data")),
            ("RABBITMQ_LOG_BASE", within("data")),
            ("RABBITMQ_PID_FILE", within("pid")),
            // The script then becomes the server, instead of waiting for it.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", modest.to_owned()),
            ("RABBITMQ_CTL_ERL_ARGS", modest.to_owned()),
            // Any free port, not one of ten.
            ("RABBITMQ_CTL_DIST_PORT_MIN", "0".to_owned()),
            ("RABBITMQ_CTL_DIST_PORT_MAX", "0".to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_how_to_get_it() {
        let empty = tempfile::tempdir().unwrap();
        let said = Programs::among(&[empty.path().to_owned()], &[]).unwrap_err().to_string();
        for part in ["rabbitmq-server was found neither", "apt-get install rabbitmq-server", "cargo xtask doctor"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
