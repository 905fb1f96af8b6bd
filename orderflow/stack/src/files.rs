//! The proxies' files of `orderflow/deploy`, filled in.

use anyhow::{Result, bail, ensure};

/// The whole configuration of nginx.
pub const NGINX: &str = include_str!("../../deploy/nginx/orderflow.conf");
/// The whole configuration of `HAProxy`.
pub const HAPROXY: &str = include_str!("../../deploy/haproxy/orderflow.cfg");

/// What a file calls its first instance; the lines of the others differ in the number.
const FIRST: &str = "${INSTANCE_1}";
/// How many instances a file names by itself.
const NAMED: usize = 3;

/// A file for as many instances as there are: the line of the first stands for all of them.
pub fn for_instances(file: &str, count: usize) -> String {
    let of_others = |line: &str| (2..=NAMED).any(|number| line.contains(&format!("${{INSTANCE_{number}}}")));
    let mut lines = String::new();
    for line in file.lines().filter(|line| !of_others(line)) {
        if !line.contains(FIRST) {
            lines.push_str(line);
            lines.push('\n');
            continue;
        }
        for number in 1..=count {
            let address = format!("${{INSTANCE_{number}}}");
            let line = line.replace(FIRST, &address).replace("instance1", &format!("instance{number}"));
            lines.push_str(&line);
            lines.push('\n');
        }
    }
    lines
}

/// Puts a value in the place of each `${NAME}`, where a name is upper-case letters, digits and underscores.
///
/// # Errors
/// When the file has a name that there is no value for.
pub fn filled_in(file: &str, values: &[(String, String)]) -> Result<String> {
    let mut text = String::new();
    let mut rest = file;
    while let Some((before, after)) = rest.split_once("${") {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else { bail!("a ${{ has no end") };
        if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && !name.is_empty()
        {
            let value = values.iter().find(|(known, _)| known == name);
            ensure!(value.is_some(), "nothing is known of ${{{name}}}");
            text.push_str(value.map_or("", |(_, value)| value));
        } else {
            // In a comment that says how it is written, for instance.
            text.push_str("${");
            text.push_str(name);
            text.push('}');
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// What both files are filled in with.
#[derive(Debug, Clone)]
pub struct Places {
    /// The public addresses of the instances, `127.0.0.1:8080`.
    pub instances: Vec<String>,
    /// Ports of 127.0.0.1 for plain HTTP, TLS, and programs on this machine.
    pub nginx: [u16; 3],
    /// The same for `HAProxy`.
    pub haproxy: [u16; 3],
    /// The path of the certificate.
    pub certificate: String,
    /// Requests a second, requests at once, and connections of one client.
    pub limits: [u32; 3],
}

impl Places {
    fn values(&self) -> Vec<(String, String)> {
        let here = |port: u16| format!("127.0.0.1:{port}");
        let mut values = vec![
            ("HTTP_LISTEN", here(self.nginx[0])),
            ("HTTPS_LISTEN", here(self.nginx[1])),
            ("INTERNAL_LISTEN", here(self.nginx[2])),
            ("HAPROXY_HTTP_LISTEN", here(self.haproxy[0])),
            ("HAPROXY_HTTPS_LISTEN", here(self.haproxy[1])),
            ("HAPROXY_INTERNAL_LISTEN", here(self.haproxy[2])),
            ("TLS_CERTIFICATE", self.certificate.clone()),
            ("CLIENT_RATE", self.limits[0].to_string()),
            ("CLIENT_BURST", self.limits[1].to_string()),
            ("CLIENT_CONNECTIONS", self.limits[2].to_string()),
            // What `orderflow_servers` puts in the place of {dir} is the server's own directory.
            ("ACCESS_LOG", "{dir}/access.log".to_owned()),
            ("ERROR_LOG", "stderr".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Vec<_>>();
        let instances = (1..).zip(&self.instances);
        values.extend(instances.map(|(number, address)| (format!("INSTANCE_{number}"), address.clone())));
        values
    }

    fn with_url(&self, file: &str, port: u16) -> Result<String> {
        let mut values = self.values();
        values.push(("PUBLIC_URL".to_owned(), format!("https://localhost:{port}")));
        filled_in(&for_instances(file, self.instances.len()), &values)
    }

    /// The configuration of nginx.
    ///
    /// # Errors
    /// When the file has a name that is not known here.
    pub fn nginx(&self) -> Result<String> {
        self.with_url(NGINX, self.nginx[1])
    }

    /// The configuration of `HAProxy`.
    ///
    /// # Errors
    /// When the file has a name that is not known here.
    pub fn haproxy(&self) -> Result<String> {
        self.with_url(HAPROXY, self.haproxy[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_in_and_nothing_else() {
        let values = [("PORT".to_owned(), "80".to_owned())];
        assert_eq!(filled_in("a ${PORT} $uri \"${PORT}\" ${name}", &values).unwrap(), "a 80 $uri \"80\" ${name}");
        assert_eq!(filled_in("${OTHER}", &values).unwrap_err().to_string(), "nothing is known of ${OTHER}");
    }

    #[test]
    fn there_are_as_many_lines_as_instances() {
        let file = "a\nserver instance1 ${INSTANCE_1} track b/instance1\nserver instance2 ${INSTANCE_2}\n\
                    server instance3 ${INSTANCE_3}\nz\n";
        let two = "a\nserver instance1 ${INSTANCE_1} track b/instance1\nserver instance2 ${INSTANCE_2} track b/instance2\nz\n";
        assert_eq!(for_instances(file, 2), two);
        assert_eq!(for_instances(file, 1).lines().count(), 3);
        for file in [NGINX, HAPROXY] {
            assert_eq!(
                for_instances(file, NAMED).trim_end(),
                file.trim_end(),
                "three instances are what the file names"
            );
        }
    }
}
