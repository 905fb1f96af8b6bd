//! The configuration: what holds over what, what is refused, and what a fault says.

mod faults;
mod keys;
mod layers;
mod limits;
mod shown;
mod used;

use std::{fs, path::PathBuf};

use orderflow::config::{Config, Flag, Loaded, Problems, Sources};
use tempfile::TempDir;

/// Settings from variables, by their names without `ORDERFLOW_`.
fn env(variables: &[(&str, &str)]) -> Sources {
    let env = variables.iter().map(|(name, value)| (format!("ORDERFLOW_{name}"), (*value).to_owned()));
    Sources { env: env.collect(), ..Sources::default() }
}

/// Settings from `--set`.
fn set(flags: &[(&str, &str)]) -> Sources {
    Sources { flags: flags.iter().map(|(key, value)| Flag::set(*key, *value)).collect(), ..Sources::default() }
}

/// A file that is there as long as this is.
struct Written {
    dir: TempDir,
}

impl Written {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("orderflow.toml"), text).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("orderflow.toml")
    }

    fn sources(&self) -> Sources {
        Sources { file: Some(self.path()), ..Sources::default() }
    }

    fn load(&self) -> Result<Loaded, Problems> {
        Loaded::load(&self.sources())
    }
}

/// The faults, one line each: `http.listen is "x" @ ORDERFLOW_HTTP__LISTEN`.
fn faults(sources: &Sources) -> Vec<String> {
    match Config::load(sources) {
        Ok(_) => Vec::new(),
        Err(Problems(problems)) => {
            problems.iter().map(|problem| format!("{} {} @ {}", problem.key, problem.wrong, problem.source)).collect()
        }
    }
}
