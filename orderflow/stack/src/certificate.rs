//! A certificate for this machine that nobody else trusts, made by openssl.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use orderflow_servers::Missing;
use tempfile::TempDir;

/// A certificate with its key beside it, in a directory that goes with this value.
#[derive(Debug)]
pub struct Certificate {
    dir: TempDir,
}

impl Certificate {
    /// One for localhost and 127.0.0.1.
    ///
    /// # Errors
    /// [`Missing`] where openssl is not installed, and what it says where it fails.
    pub fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("orderflow-tls-").tempdir()?;
        let certificate = dir.path().join("tls.pem");
        let key = dir.path().join("tls.pem.key");
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).stdin(Stdio::null());
        let output = match openssl.output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let how = "On Debian, apt-get install openssl; elsewhere, install it so that PATH leads to it.";
                return Err(Missing { program: "openssl".to_owned(), how: how.to_owned() }.into());
            }
            output => output.context("openssl cannot be run")?,
        };
        ensure!(output.status.success(), "openssl failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        if rustix::process::getuid().is_root() {
            // Then the proxies run as somebody else, and the key of a certificate that nobody trusts is no secret.
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
            fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
        }
        Ok(Self { dir })
    }

    /// The directory, which holds nothing else.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The certificate; its key has `.key` after this.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("tls.pem")
    }
}
