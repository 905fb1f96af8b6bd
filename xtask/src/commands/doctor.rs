//! `doctor`: what the course needs on a machine, what is missing, and how to get it.

use std::{
    cmp::Reverse,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{course::Course, grade::find_program, stop::Exit, term::Paint};

/// Something that the course needs.
struct Part {
    name: &'static str,
    /// Any of these programs will do.
    programs: &'static [&'static str],
    /// Directories outside PATH where they may be; a name that ends in `*` stands for all versions, the newest first.
    places: &'static [&'static str],
    /// What is missing without it.
    purpose: &'static str,
    need: Need,
    debian: &'static str,
    elsewhere: &'static str,
}

/// Who needs a part.
#[derive(Clone, Copy)]
enum Need {
    /// Whoever learns here.
    Everyone,
    /// Whoever runs `cargo xtask test`.
    Tests,
    /// Whoever asks for what this command measures. No test fails without it.
    Command(&'static str),
}

const PARTS: [Part; 13] = [
    Part {
        name: "C linker",
        programs: &["cc", "gcc", "clang", "link.exe"],
        places: &[],
        purpose: "linking every Rust program",
        need: Need::Everyone,
        debian: "gcc libc6-dev",
        elsewhere: "macOS: xcode-select --install. Windows: the C++ build tools of Visual Studio",
    },
    Part {
        name: "git",
        programs: &["git", "git.exe"],
        places: &[],
        purpose: "naming the commit that evidence was measured at",
        need: Need::Tests,
        debian: "git",
        elsewhere: "https://git-scm.com",
    },
    Part {
        name: "Chromium",
        programs: &["chromium", "chromium-browser", "google-chrome"],
        places: &[],
        purpose: "testing the book in a real browser",
        need: Need::Tests,
        debian: "chromium",
        elsewhere: "https://www.chromium.org",
    },
    Part {
        name: "ChromeDriver",
        programs: &["chromedriver"],
        places: &[],
        purpose: "steering that browser",
        need: Need::Tests,
        debian: "chromium-driver",
        elsewhere: "the version that belongs to your Chromium",
    },
    Part {
        name: "PostgreSQL",
        // The server, and not psql: distributions keep it out of PATH, and the other programs are beside it.
        programs: &["postgres"],
        places: &[
            "/usr/lib/postgresql/*/bin",
            "/usr/pgsql-*/bin",
            "/opt/homebrew/opt/postgresql@*/bin",
            "/usr/local/opt/postgresql@*/bin",
            "/Library/PostgreSQL/*/bin",
            "/Applications/Postgres.app/Contents/Versions/*/bin",
        ],
        purpose: "testing OrderFlow on the database that it runs on in production",
        need: Need::Tests,
        debian: "postgresql",
        elsewhere: "Fedora: dnf install postgresql-server postgresql-contrib. macOS: brew install postgresql@17",
    },
    Part {
        name: "PgBouncer",
        programs: &["pgbouncer"],
        places: &SERVERS,
        purpose: "testing OrderFlow behind a pool that its instances share",
        need: Need::Tests,
        debian: "pgbouncer",
        elsewhere: "Fedora: dnf install pgbouncer. macOS: brew install pgbouncer",
    },
    Part {
        name: "Redis",
        programs: &["redis-server"],
        places: &SERVERS,
        purpose: "testing OrderFlow's shared cache and its outages",
        need: Need::Tests,
        debian: "redis-server",
        elsewhere: "Fedora: dnf install redis. macOS: brew install redis",
    },
    Part {
        name: "RabbitMQ",
        programs: &["rabbitmq-server"],
        places: &[
            "/usr/lib/rabbitmq/bin",
            "/usr/sbin",
            "/opt/homebrew/opt/rabbitmq/sbin",
            "/usr/local/opt/rabbitmq/sbin",
        ],
        purpose: "testing OrderFlow's queues and their outages",
        need: Need::Tests,
        debian: "rabbitmq-server",
        elsewhere: "Fedora: dnf install rabbitmq-server. macOS: brew install rabbitmq",
    },
    Part {
        name: "nginx",
        programs: &["nginx"],
        places: &SERVERS,
        purpose: "testing OrderFlow behind a proxy",
        need: Need::Tests,
        debian: "nginx",
        elsewhere: "Fedora: dnf install nginx. macOS: brew install nginx",
    },
    Part {
        name: "HAProxy",
        programs: &["haproxy"],
        places: &SERVERS,
        purpose: "testing OrderFlow behind a load balancer",
        need: Need::Tests,
        debian: "haproxy",
        elsewhere: "Fedora: dnf install haproxy. macOS: brew install haproxy",
    },
    Part {
        name: "Prometheus",
        // The package has promtool too, which checks what it reads.
        programs: &["prometheus"],
        places: &SERVERS,
        purpose: "testing OrderFlow's numbers, its dashboards and its alerts",
        need: Need::Tests,
        debian: "prometheus",
        elsewhere: "Fedora: dnf install golang-github-prometheus. macOS: brew install prometheus",
    },
    Part {
        name: "Alertmanager",
        // Its tool comes with it; another program is called alertmanager on Debian.
        programs: &["amtool"],
        places: &SERVERS,
        purpose: "testing whom OrderFlow's alerts reach",
        need: Need::Tests,
        debian: "prometheus-alertmanager",
        elsewhere: "https://prometheus.io/download, both programs of it in PATH",
    },
    Part {
        name: "Valgrind",
        programs: &["valgrind"],
        places: &[],
        purpose: "counting cache lines",
        need: Need::Command("cargo xtask profile SLUG --cache"),
        debian: "valgrind",
        elsewhere: "Fedora: dnf install valgrind. There is none for Windows, nor for a recent macOS",
    },
];

/// Where servers are that a user's PATH may lack: Debian's place, and Homebrew's on both kinds of Mac.
const SERVERS: [&str; 5] =
    ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin", "/opt/homebrew/bin"];

/// Debian creates a database cluster when it installs PostgreSQL, unless this file says otherwise.
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";
/// Debian starts a server when it installs one, unless this program forbids it.
const SERVICES: &str = "/usr/sbin/policy-rc.d";

fn found(part: &Part) -> Option<PathBuf> {
    let on_path = part.programs.iter().find_map(|program| find_program(program));
    on_path.or_else(|| {
        let places = part.places.iter().flat_map(|place| versions(place));
        places
            .flat_map(|place| part.programs.iter().map(move |program| place.join(program)))
            .find(|path| path.is_file())
    })
}

/// The directories that a place with a `*` stands for, the newest version first.
fn versions(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once("*/") else { return vec![PathBuf::from(place)] };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let mut names: Vec<_> = Path::new(parent)
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_by_key(|name| {
        let numbers = name.split(|letter: char| !letter.is_ascii_digit());
        Reverse(numbers.filter_map(|digits| digits.parse().ok()).collect::<Vec<u32>>())
    });
    names.iter().map(|name| Path::new(parent).join(name).join(after)).collect()
}

pub(crate) fn run(course: &Course) -> Result<Exit> {
    let paint = Paint::stdout();
    let mut complete = true;
    let line = |ok: bool, needed: bool, what: &str| {
        let word = match (ok, needed) {
            (true, _) => paint.green("  found"),
            (false, true) => paint.red("missing"),
            (false, false) => paint.dim("missing"),
        };
        println!("{word}  {what}");
    };
    let rustc = Command::new("rustc").arg("--version").output();
    let version = rustc.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let new_enough =
        version.split([' ', '.']).nth(2).and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| minor >= 95);
    line(new_enough, true, &format!("{version} (1.95 or newer is needed)"));
    complete &= new_enough;
    let mut packages = Vec::new();
    for part in &PARTS {
        if let Some(path) = found(part) {
            line(true, true, &format!("{}: {}", part.name, path.display()));
            continue;
        }
        let (needed, who) = match part.need {
            Need::Everyone => (true, String::new()),
            Need::Tests => (false, "; only `cargo xtask test` needs it".into()),
            Need::Command(command) => (false, format!("; only `{command}` needs it")),
        };
        complete &= !needed;
        packages.push(part.debian);
        line(false, needed, &format!("{}, for {}{who}", part.name, part.purpose));
        println!("         Debian: apt-get install {}. Elsewhere: {}.", part.debian, part.elsewhere);
    }
    for exercise in course.exercises()? {
        for need in &exercise.spec.needs {
            let program = need.program();
            line(find_program(program).is_some(), true, &format!("{program}, for {}", exercise.slug));
        }
    }
    for problem in &course.catalogue.problems {
        line(false, true, &format!("the course's own files: {problem}"));
        complete = false;
    }
    if !packages.is_empty() {
        println!("\nOn Debian, all of it: apt-get install {}", packages.join(" "));
    }
    Ok(Exit::passed(complete))
}

/// Installs what tests need and this machine lacks, where that is allowed: on continuous integration, as root, on Debian.
/// Elsewhere tests that lack something say so themselves.
pub(crate) fn provide() -> Result<()> {
    let missing: Vec<_> = PARTS
        .iter()
        .filter(|part| matches!(part.need, Need::Everyone | Need::Tests) && found(part).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|part| part.debian).collect();
    if std::env::var_os("CI").is_none() || find_program("apt-get").is_none() || !is_root() {
        let names: Vec<_> = missing.iter().map(|part| part.name).collect();
        println!("missing here: {}; `cargo xtask doctor` says how to get it", names.join(", "));
        return Ok(());
    }
    println!("installing {}", names.join(" "));
    let mut update = Command::new("apt-get");
    super::start::foreground(update.args(["update", "-qq"]))?;
    if names.contains(&"postgresql") {
        unless_decided(CLUSTERS, "create_main_cluster = false\n")?;
    }
    let _forbidden = Forbidden::services()?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    super::start::foreground(&mut install)?;
    Ok(())
}

/// Keeps Debian from starting what it installs, until this is dropped: tests start servers of their own, and one of the
/// system's would keep running beside them.
struct Forbidden {
    ours: bool,
}

impl Forbidden {
    fn services() -> Result<Self> {
        // 101 is the answer "not allowed".
        let this = Self { ours: unless_decided(SERVICES, "#!/bin/sh\nexit 101\n")? };
        if this.ours {
            super::start::foreground(Command::new("chmod").args(["755", SERVICES]))?;
        }
        Ok(this)
    }
}

impl Drop for Forbidden {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(SERVICES)
        {
            println!("{SERVICES}, which keeps services from being started, cannot be removed: {error}");
        }
    }
}

/// Writes one of the system's files; whether it did. Where the file exists already, somebody has decided otherwise.
fn unless_decided(path: &str, content: &str) -> Result<bool> {
    let file = Path::new(path);
    if file.exists() {
        return Ok(false);
    }
    file.parent().map_or(Ok(()), fs::create_dir_all).with_context(|| format!("the directory of {path}"))?;
    fs::write(file, content).with_context(|| format!("{path} cannot be written"))?;
    Ok(true)
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_system_that_is_there_stays_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("new/policy");
        let path = file.to_str().unwrap();
        assert!(unless_decided(path, "ours").unwrap());
        assert!(!unless_decided(path, "ours again").unwrap());
        assert_eq!(fs::read_to_string(file).unwrap(), "ours");
    }

    #[test]
    fn the_newest_version_outside_the_path_is_found_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["server@9.6", "server@15", "server@9.10", "client@17"] {
            fs::create_dir_all(root.path().join(name).join("bin")).unwrap();
        }
        let found = versions(&format!("{}/server@*/bin", root.path().display()));
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, ["server@15/bin", "server@9.10/bin", "server@9.6/bin"].map(Path::new));
        assert_eq!(versions("/opt/x/bin"), [Path::new("/opt/x/bin")]);
        assert!(versions("/no/such/*/bin").is_empty());
    }
}
