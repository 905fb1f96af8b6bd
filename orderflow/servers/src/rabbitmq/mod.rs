//! RabbitMQ: a node with a directory of its own, and the faults that a test may inject into it.

mod programs;

use std::{
    net::{Ipv4Addr, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{
    bounded,
    keeper::Keeper,
    ports,
    process::{self, Launch, Process},
    user::User,
};
use programs::{Node, Programs};

/// rabbitmqctl starts an Erlang of its own for each call, which takes about a second.
const CTL: Duration = Duration::from_mins(1);
const USER: &str = "orderflow";

/// A running RabbitMQ server. Clones are handles to the same one; the last handle ends it.
///
/// It listens on 127.0.0.1 only, for one administrator with a random password. No plugins.
#[derive(Clone)]
pub struct RabbitMq {
    server: Arc<Server>,
}

struct Server {
    ctl: PathBuf,
    node: Node,
    user: Option<User>,
    password: String,
    process: Process,
    /// Its epmd, which is dropped after the server and not stopped with it.
    _names: Process,
}

impl RabbitMq {
    /// A server of the caller's own, in five to ten seconds.
    ///
    /// # Errors
    /// [`Missing`](crate::Missing) where RabbitMQ is not installed; else what keeps it from starting, with the end of its
    /// log.
    pub fn own() -> Result<Self> {
        Ok(Self { server: Arc::new(Server::new()?) })
    }

    /// The server that all callers in this process share, to be kept apart by the queues' names; it runs until the process
    /// ends.
    ///
    /// # Errors
    /// Those of [`RabbitMq::own`]; a second call gives the first one's error and does not try again.
    pub fn shared() -> Result<Self> {
        static SHARED: OnceLock<Result<RabbitMq>> = OnceLock::new();
        process::once(&SHARED, || {
            let server = Server::new()?;
            let process = server.process.shared("RabbitMq::own");
            Ok(Self { server: Arc::new(Server { process, ..server }) })
        })
    }

    /// The port of 127.0.0.1 that it listens on, the same after a restart.
    pub fn port(&self) -> u16 {
        self.server.node.amqp
    }

    /// The address of its virtual host `/`: `amqp://user:password@127.0.0.1:port/%2f`.
    pub fn url(&self) -> String {
        format!("amqp://{USER}:{}@127.0.0.1:{}/%2f", self.server.password, self.port())
    }

    /// The server's own directory, which holds `data` and `log`.
    pub fn dir(&self) -> PathBuf {
        self.server.process.dir()
    }

    /// The process id of the server; `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.server.process.pid()
    }

    /// Runs rabbitmqctl against this node and gives what it prints, without headings. Takes about a second.
    ///
    /// # Errors
    /// When the server is stopped or paused, when rabbitmqctl fails, and after a minute.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        self.server.process.answers()?;
        self.tool(&self.server.ctl, arguments)
    }

    /// Runs rabbitmq-diagnostics against this node, whatever state it is in, and gives what it prints. Takes about a second.
    ///
    /// # Errors
    /// When rabbitmq-diagnostics says that something is wrong, and after a minute.
    pub fn diagnostics(&self, arguments: &[&str]) -> Result<String> {
        self.tool(&self.server.ctl.with_file_name("rabbitmq-diagnostics"), arguments)
    }

    fn tool(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        let dir = self.dir();
        command.env_clear().envs(self.server.node.environment(&dir)).current_dir("/").arg("--silent").args(arguments);
        if let Some(user) = self.server.user {
            command.uid(user.uid).gid(user.gid);
        }
        Ok(bounded::output(&mut command, "", CTL)?.trim_end().to_owned())
    }

    /// How many messages a queue holds: those that wait and those that were delivered and not acknowledged yet. `None`
    /// where there is no such queue.
    ///
    /// # Errors
    /// Those of [`RabbitMq::ctl`].
    pub fn queue_depth(&self, name: &str) -> Result<Option<u64>> {
        let queues = self.ctl(&["list_queues", "name", "messages"])?;
        let mut queues = queues.lines().filter_map(|line| line.rsplit_once('\t'));
        let messages = queues.find(|(queue, _)| *queue == name).map(|(_, messages)| messages.parse());
        messages.transpose().with_context(|| format!("rabbitmqctl gave no number for {name}"))
    }

    /// Deletes a queue with its messages and under its consumers.
    ///
    /// # Errors
    /// Where there is no such queue, and those of [`RabbitMq::ctl`].
    pub fn delete_queue(&self, name: &str) -> Result<()> {
        self.ctl(&["delete_queue", name]).map(drop)
    }

    /// Closes all connections that are open at this moment, as an operator would: clients are told the reason.
    ///
    /// # Errors
    /// Those of [`RabbitMq::ctl`].
    pub fn close_connections(&self) -> Result<()> {
        self.ctl(&["close_all_connections", "closed by a test"]).map(drop)
    }

    /// Ends the server in an orderly way; its data stay, and [`RabbitMq::start`] brings it back. Nothing where it is stopped
    /// already. A paused server is resumed first, since it could not end otherwise.
    ///
    /// # Errors
    /// When the server is shared, or does not end within two minutes.
    pub fn stop(&self) -> Result<()> {
        self.server.process.stop(Signal::TERM)
    }

    /// Starts a stopped server again, on the same port and with its durable queues.
    ///
    /// # Errors
    /// When it runs already, or does not start; then with the end of its log.
    pub fn start(&self) -> Result<()> {
        self.server.process.start()
    }

    /// [`RabbitMq::stop`] and [`RabbitMq::start`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start()
    }

    /// Ends the server by SIGKILL, as when its machine is lost; [`RabbitMq::start`] brings it back with what it had written.
    /// Nothing where it is stopped already.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn kill(&self) -> Result<()> {
        self.server.process.kill()
    }

    /// Keeps all of the server's processes from running: connections stay open and are even made, and nothing answers.
    ///
    /// # Errors
    /// When the server is shared or does not run.
    pub fn pause(&self) -> Result<()> {
        self.server.process.pause()
    }

    /// Lets a paused server go on. Nothing where it is not paused.
    ///
    /// # Errors
    /// When the server is shared.
    pub fn resume(&self) -> Result<()> {
        self.server.process.resume()
    }
}

impl Server {
    fn new() -> Result<Self> {
        let Programs { server, ctl, epmd } = Programs::find()?;
        let user = User::instead_of_root(&["rabbitmq", "nobody"])?;
        let mut names = Keeper::new(user.as_ref(), "KILL")?;
        let epmd = Launch::on_free_port(&mut names, |_, port| {
            let arguments = ["-port", &port.to_string(), "-address", "127.0.0.1"].map(str::to_owned).to_vec();
            let ready = move |_: &Keeper| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            Ok(Launch { program: epmd.clone(), arguments, ports: vec![port], ready: Box::new(ready) })
        })?;
        let names = Process::new(names, epmd);
        let mut keeper = Keeper::new(user.as_ref(), "KILL")?;
        let password = process::secret()?;
        keeper.write(".erlang.cookie", &process::secret()?)?;
        keeper.write("enabled_plugins", "[].")?;
        let mut node = Node { amqp: 0, distribution: 0, epmd: names.port() };
        let launch = Launch::on_free_port(&mut keeper, |keeper, port| {
            node = Node { amqp: port, distribution: ports::free_port()?, ..node };
            keeper.write("rabbitmq.conf", &configuration(port, &password))?;
            Ok(launch(&server, keeper.dir(), node))
        })
        .context("RabbitMQ cannot be started")?;
        let process = Process::new(keeper, launch);
        Ok(Self { ctl, node, user, password, process, _names: names })
    }
}

fn launch(server: &Path, dir: &Path, node: Node) -> Launch {
    let mut arguments = vec!["-i".to_owned()];
    arguments.extend(node.environment(dir).into_iter().map(|(name, value)| format!("{name}={value}")));
    arguments.push(server.display().to_string());
    Launch {
        program: "/usr/bin/env".into(),
        arguments,
        ports: vec![node.amqp, node.distribution],
        ready: Box::new(move |keeper| ready(keeper, node.amqp)),
    }
}

fn configuration(port: u16, password: &str) -> String {
    format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\n\
         default_user = {USER}\n\
         default_pass = {password}\n\
         log.file = false\n\
         log.console = true\n\
         log.console.level = warning\n\
         vm_memory_high_watermark.absolute = 512MB\n\
         disk_free_limit.absolute = 1MB\n"
    )
}

/// Whether the server says that all of it is up, and listens, which it does a little earlier.
fn ready(keeper: &Keeper, port: u16) -> bool {
    // The log holds earlier starts too, and none of them listens any more.
    let log = keeper.log();
    let latest = log.rsplit("Starting broker").next().unwrap_or_default();
    latest.contains("completed with") && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
