//! `doctor`: what the course needs on a machine, what is missing, and how to get it.

use std::process::Command;

use anyhow::Result;

use crate::{course::Course, grade::find_program, stop::Exit, term::Paint};

/// Something that the course needs.
struct Part {
    name: &'static str,
    /// Any of these programs will do.
    programs: &'static [&'static str],
    /// What is missing without it.
    purpose: &'static str,
    /// Whether learners need it, or only whoever runs `cargo xtask test`.
    learners: bool,
    debian: &'static str,
    elsewhere: &'static str,
}

const PARTS: [Part; 4] = [
    Part {
        name: "C linker",
        programs: &["cc", "gcc", "clang", "link.exe"],
        purpose: "linking every Rust program",
        learners: true,
        debian: "gcc libc6-dev",
        elsewhere: "macOS: xcode-select --install. Windows: the C++ build tools of Visual Studio",
    },
    Part {
        name: "git",
        programs: &["git", "git.exe"],
        purpose: "naming the commit that evidence was measured at",
        learners: false,
        debian: "git",
        elsewhere: "https://git-scm.com",
    },
    Part {
        name: "Chromium",
        programs: &["chromium", "chromium-browser", "google-chrome"],
        purpose: "testing the book in a real browser",
        learners: false,
        debian: "chromium",
        elsewhere: "https://www.chromium.org",
    },
    Part {
        name: "ChromeDriver",
        programs: &["chromedriver"],
        purpose: "steering that browser",
        learners: false,
        debian: "chromium-driver",
        elsewhere: "the version that belongs to your Chromium",
    },
];

fn found(part: &Part) -> Option<std::path::PathBuf> {
    part.programs.iter().find_map(|program| find_program(program))
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
        complete &= !part.learners;
        packages.push(part.debian);
        let who = if part.learners { "" } else { "; only `cargo xtask test` needs it" };
        line(false, part.learners, &format!("{}, for {}{who}", part.name, part.purpose));
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
    let missing: Vec<_> = PARTS.iter().filter(|part| found(part).is_none()).collect();
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
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    super::start::foreground(&mut install)?;
    Ok(())
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
