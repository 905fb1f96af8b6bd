//! OrderFlow's own processes: how they are started, and what they are told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{kept::Plan, state::Place};

/// Longer than a shutdown takes by these settings: the notice, the drain, and what runs beside requests.
const GRACE: Duration = Duration::from_secs(20);

pub(super) struct OrderFlow {
    place: Place,
    program: PathBuf,
}

/// A key for the API.
pub(super) struct Key {
    pub(super) plain: String,
    /// What accepts it, as `auth.keys` has it in a variable.
    pub(super) accepted: String,
}

impl OrderFlow {
    pub(super) fn new(place: &Place, program: &Path) -> Self {
        Self { place: place.clone(), program: program.to_owned() }
    }

    /// What it says its version is.
    pub(super) fn version(&self) -> Result<String> {
        Ok(self.run(&["--version"], &[])?.trim().to_owned())
    }

    /// A new key with every right.
    pub(super) fn key(&self) -> Result<Key> {
        let said = self.run(&["key", "--name", "stack", "--role", "admin"], &[])?;
        let plain = said.lines().next().context("`orderflow key` printed nothing")?.to_owned();
        let fields: Vec<_> = said.lines().filter(|line| line.contains(" = ")).collect();
        Ok(Key { plain, accepted: format!("[{{ {} }}]", fields.join(", ")) })
    }

    /// Makes the schema, and fills it with orders.
    pub(super) fn fill(&self, database: &str, orders: u32) -> Result<()> {
        let variables = [("ORDERFLOW_DATABASE__URL", database)];
        self.run(&["migrate"], &variables)?;
        if orders > 0 {
            self.run(&["seed", "--orders", &orders.to_string()], &variables)?;
        }
        Ok(())
    }

    /// Runs a command to its end: what it printed.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(variables.iter().copied());
        command.current_dir(self.place.join("data")).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("{} cannot be run", self.program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`orderflow {}` failed: {}", arguments.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A process that is to run on and on.
    pub(super) fn plan(&self, name: &str, command: &str, mut variables: Vec<(String, String)>) -> Result<Plan> {
        let directory = self.place.join("data").join(name);
        fs::create_dir_all(&directory)?;
        variables.push(("ORDERFLOW_DATA_DIR".into(), directory.display().to_string()));
        Ok(Plan {
            keeper: std::env::current_exe()?,
            program: self.program.clone(),
            arguments: vec![command.to_owned()],
            variables,
            directory,
            log: self.place.join("logs").join(format!("{name}.log")),
            grace: GRACE,
        })
    }
}
