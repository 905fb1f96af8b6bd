//! Tests that need a program which few machines have. It is found, or built by Go; where neither can be, `test` leaves the
//! step out unless it is asked for.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::{start, test::in_course};
use crate::{course::Course, grade::find_program, stop::Stop};

/// A program, and what it is needed for.
pub(super) struct Tool {
    /// The step of `cargo xtask test`, and the test target.
    pub(super) step: &'static str,
    program: &'static str,
    /// The variable that tells the tests where it is.
    variable: &'static str,
    /// Where whoever has no Go can get it.
    home: &'static str,
    /// Go's arguments, which put it into the directory where they are run, or into GOBIN.
    go: &'static [&'static str],
    /// What it is to be made of, below the root of the course.
    config: Option<&'static str>,
}

pub(super) const K6: Tool = Tool {
    step: "k6",
    program: "k6",
    variable: "K6",
    home: "https://grafana.com/docs/k6",
    go: &["install", "go.k6.io/k6@v1.0.0"],
    config: None,
};

pub(super) const COLLECTOR: Tool = Tool {
    step: "collector",
    program: "otelcol",
    variable: "OTELCOL",
    home: "https://opentelemetry.io/docs/collector",
    go: &["run", "go.opentelemetry.io/collector/cmd/builder@v0.160.0"],
    config: Some("orderflow/deploy/observability/collector-build.yaml"),
};

impl Tool {
    /// Runs the tests that need it.
    pub(super) fn test(&self, course: &Course) -> Result<bool> {
        let program = self.program(course).map_or_else(|| self.build(course), Ok)?;
        let mut command =
            in_course(course, &["test", "--profile", "course", "--package", "orderflow", "--test", self.step]);
        start::foreground(command.env(self.variable, program))
    }

    /// In PATH, where Go puts what it installs, or where it was built before.
    pub(super) fn program(&self, course: &Course) -> Option<PathBuf> {
        let go = std::env::var_os("GOPATH").map(PathBuf::from);
        let go = go.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join("go")));
        let places = go.map(|go| go.join("bin")).into_iter().chain([self.built(course)]);
        find_program(self.program).or_else(|| places.map(|place| place.join(self.program)).find(|path| path.is_file()))
    }

    fn built(&self, course: &Course) -> PathBuf {
        course.target.join("tools").join(self.step)
    }

    fn build(&self, course: &Course) -> Result<PathBuf> {
        let Self { program, home, .. } = self;
        if find_program("go").is_none() {
            let next = format!("Install it from {home}, or Go from https://go.dev, which builds it.");
            return Err(Stop::usage(format!("{program} is missing, and Go, which could build it, is too"), next).into());
        }
        println!("building {program}: go {}", self.go.join(" "));
        // Absolute, which Go insists on.
        let built = std::path::absolute(self.built(course))?;
        fs::create_dir_all(&built).with_context(|| built.display().to_string())?;
        let mut go = Command::new("go");
        go.args(self.go).env("GOBIN", &built).current_dir(&built);
        if let Some(config) = self.config {
            go.arg("--config").arg(std::path::absolute(course.root().join(config))?);
        }
        let path = built.join(program);
        if !start::foreground(&mut go)? || !path.is_file() {
            return Err(Stop::usage(format!("{program} cannot be built"), "Go's message above says why.").into());
        }
        Ok(path)
    }
}
