//! Whom the load goes to. A generator must not hit strangers by accident, so only this machine is a target unless it is
//! said otherwise.

use std::{
    fmt,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// How long to try each address when a name has several.
const TRY: Duration = Duration::from_secs(1);

/// A resolved HTTP server, and the key that its writes take.
#[derive(Clone)]
pub struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) key: Option<String>,
}

impl Target {
    /// Resolves `http://HOST[:PORT]`; `http://` and port 80 may be left out.
    ///
    /// # Errors
    /// It is not such a URL, does not resolve, or is not a loopback address while `allow_remote` is off.
    pub fn new(url: &str, allow_remote: bool) -> Result<Self> {
        if url.starts_with("https://") {
            bail!("target {url}: TLS is not spoken here; give the http:// address of the service itself");
        }
        let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)) {
            bail!("target {url}: give it as http://HOST:PORT, without a path");
        }
        let has_port =
            host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok() && !host.ends_with(']'));
        let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let addresses: Vec<SocketAddr> =
            with_port.to_socket_addrs().with_context(|| format!("target {url}: cannot be resolved"))?.collect();
        if let Some(remote) = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())
            && !allow_remote
        {
            bail!(
                "target {url}: {} is not this machine; load hurts, so say --allow-remote if the service is yours",
                remote.ip()
            );
        }
        // `localhost` is two addresses in many places, and a server listens on one of them.
        let answering = || addresses.iter().find(|address| TcpStream::connect_timeout(address, TRY).is_ok());
        let address = if addresses.len() > 1 { answering().or(addresses.first()) } else { addresses.first() };
        let address = *address.with_context(|| format!("target {url}: has no address"))?;
        Ok(Self { address, host: host.into(), key: None })
    }

    /// Sends this key with the requests that want one. It is in no report.
    ///
    /// # Errors
    /// The key is empty or is not visible ASCII, so that no header can hold it.
    pub fn with_key(mut self, key: &str) -> Result<Self> {
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("the key is empty or holds a character that no header can; check --key or ORDERFLOW_API_KEY");
        }
        self.key = Some(key.into());
        Ok(self)
    }

    /// Connects once, to say in plain words that nobody listens before a whole run says it in errors.
    ///
    /// # Errors
    /// The connection was refused or took over a second.
    pub fn reach(&self) -> Result<()> {
        TcpStream::connect_timeout(&self.address, TRY).with_context(|| {
            format!("nothing answers at {self}; start the service, or give its address with --target")
        })?;
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.host)
    }
}

impl fmt::Debug for Target {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_allowed_and_strangers_are_not() {
        for url in ["http://127.0.0.1:8080", "127.8.9.1:1", "http://[::1]:8080/", "http://localhost:9", "127.0.0.1"] {
            assert!(Target::new(url, false).is_ok(), "{url}: {:?}", Target::new(url, false));
        }
        for url in ["http://192.0.2.1:80", "http://[2001:db8::1]:80", "0.0.0.0:80", "http://[::ffff:192.0.2.1]:80"] {
            let error = Target::new(url, false).unwrap_err().to_string();
            assert!(error.contains("--allow-remote"), "{error}");
            assert!(Target::new(url, true).is_ok());
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_what_to_do() {
        for (url, part) in [
            ("https://127.0.0.1", "TLS"),
            ("http://127.0.0.1/api", "without a path"),
            ("http://user@127.0.0.1", "HOST:PORT"),
            ("", "HOST:PORT"),
            ("127.0.0.1:99999", "cannot be resolved"),
        ] {
            let error = Target::new(url, false).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn the_key_is_checked_and_never_shown() {
        let target = Target::new("127.0.0.1:1", false).unwrap().with_key("hunter2").unwrap();
        assert!(!format!("{target:?} {target}").contains("hunter2"));
        assert!(target.clone().with_key("a\r\nb").is_err());
        assert!(target.with_key("").is_err());
    }
}
