//! Running a client program to its end, within a bound.

use std::{
    env,
    io::{Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// Runs a command with `input` on its standard input and gives its standard output. An error holds its standard error.
pub(crate) fn output(command: &mut Command, input: &str, within: Duration) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("{name} cannot be run"))?;
    let mut stdin = child.stdin.take().context("standard input is a pipe")?;
    let input = input.to_owned();
    // A program that ends before it has read its input says why itself.
    std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let stdout = reader(child.stdout.take().context("standard output is a pipe")?);
    let stderr = reader(child.stderr.take().context("standard error is a pipe")?);
    // Both ends are closed when the program has ended, and not before.
    let Ok(printed) = stdout.recv_timeout(within) else {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{name} did not end within {within:?}");
    };
    let status = child.wait()?;
    let complaint = stderr.recv_timeout(within).unwrap_or_default();
    if !status.success() {
        bail!("{name} failed ({status}): {}", complaint.trim());
    }
    Ok(printed)
}

fn reader(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        sender.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// Takes the environment's word out of where PostgreSQL's programs connect to and how.
pub(crate) fn without_postgres_variables(command: &mut Command) {
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_is_fed_read_and_held_to_its_time() {
        let long = "x".repeat(1 << 20);
        assert_eq!(output(&mut shell("cat"), &long, Duration::from_secs(20)).unwrap(), long);
        let error = output(&mut shell("echo why >&2; exit 3"), "", Duration::from_secs(20)).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
        let error = output(&mut shell("exec sleep 60"), "", Duration::from_millis(50)).unwrap_err().to_string();
        assert_eq!(error, "/bin/sh did not end within 50ms");
    }
}
