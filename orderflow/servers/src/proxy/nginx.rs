//! What is nginx's own.

use std::path::PathBuf;

use rustix::process::Signal;

use super::{Kind, within};
use crate::{Missing, programs};

/// What the block `http` says about files; where it says nothing, nginx uses directories that belong to root.
const FILES: [&str; 6] = [
    "access_log",
    "client_body_temp_path",
    "proxy_temp_path",
    "fastcgi_temp_path",
    "uwsgi_temp_path",
    "scgi_temp_path",
];

pub struct Nginx;

impl Kind for Nginx {
    const FILE: &'static str = "nginx.conf";
    const END: &'static str = "TERM";
    const RELOAD: Signal = Signal::HUP;
    const USERS: &'static [&'static str] = &["www-data", "nginx", "nobody"];

    fn program() -> Result<PathBuf, Missing> {
        programs::server("nginx", "nginx")
    }

    fn completed(config: &str) -> String {
        let unnamed = FILES.iter().filter(|name| !config.contains(*name));
        let added = unnamed.map(|name| format!("    {name} {{dir}}/{name};\n")).collect::<Vec<_>>().concat();
        config
            .lines()
            .map(|line| if line.trim() == "http {" { format!("{line}\n{added}") } else { format!("{line}\n") })
            .collect()
    }

    fn checks(dir: &str) -> Vec<String> {
        let mut arguments = Self::serves(dir);
        // Quiet where nothing is wrong.
        arguments.extend(["-t", "-q"].map(str::to_owned));
        arguments
    }

    fn serves(dir: &str) -> Vec<String> {
        let own = format!("daemon off; pid {};", within(dir, "pid"));
        // Until it has read where its errors go, it prints them.
        ["-p", dir, "-c", &within(dir, Self::FILE), "-e", "stderr", "-g", &own].map(str::to_owned).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_says_about_files_stays() {
        let completed = Nginx::completed("events {}\nhttp {\n    access_log off;\n}");
        assert!(completed.contains("http {\n    client_body_temp_path {dir}/client_body_temp_path;\n"), "{completed}");
        assert_eq!(completed.matches("access_log").count(), 1, "{completed}");
    }
}
