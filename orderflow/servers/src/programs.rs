//! Where a server's programs are: in PATH, or in the places where distributions keep what they leave out of it.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

/// A program that a server needs and that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The program's name, without a directory.
    pub program: String,
    /// How to get it: a sentence for the reader of a test's output.
    pub how: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, how } = self;
        write!(f, "{program} was found neither in PATH nor in its usual places. {how}")
    }
}

impl std::error::Error for Missing {}

/// The directories of PATH, then those that `patterns` match; a pattern may hold one `*`, and of what it matches the newest
/// version comes first.
pub(crate) fn places(patterns: &[&str]) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(patterns.iter().flat_map(|pattern| expanded(pattern))).collect()
}

/// The first of `places` where all of `programs` are, resolved: next to where a link leads are the program's companions.
pub(crate) fn together(programs: &[&str], places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().find_map(|place| {
        let all: Vec<_> = programs.iter().map_while(|program| place.join(program).canonicalize().ok()).collect();
        let home = all.first()?.parent()?.to_owned();
        (all.len() == programs.len() && programs.iter().all(|program| home.join(program).is_file())).then_some(home)
    })
}

/// The directories that servers are in and that a user's PATH may lack: Debian's, and Homebrew's on both kinds of Mac.
const SERVERS: [&str; 6] =
    ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/sbin", "/opt/homebrew/bin"];

/// A server's program, which Debian has in `package`.
pub(crate) fn server(program: &str, package: &str) -> Result<PathBuf, Missing> {
    let found = places(&SERVERS).into_iter().map(|place| place.join(program)).find(|path| path.is_file());
    found.ok_or_else(|| Missing {
        program: program.to_owned(),
        how: format!("On Debian, apt-get install {package}; elsewhere, install it so that PATH leads to it."),
    })
}

fn expanded(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    // The star stands for a part of one name: `/opt/x@*/bin` is the directory /opt, `x@`, and what follows.
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let (suffix, rest) = after.split_once('/').unwrap_or((after, ""));
    let Ok(entries) = Path::new(&format!("{parent}/")).read_dir() else { return Vec::new() };
    let mut names: Vec<_> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_prefix(prefix).is_some_and(|end| end.ends_with(suffix)))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse(version(name)));
    names.iter().map(|name| Path::new(parent).join(name).join(rest)).collect()
}

/// The numbers in a name, so that 9.6 comes before 15.
fn version(name: &str) -> Vec<u32> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["pg@9.6", "pg@15", "pg@9.10", "other"] {
            fs::create_dir_all(root.path().join(name).join("bin")).unwrap();
        }
        let found = expanded(&format!("{}/pg@*/bin", root.path().display()));
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
        assert_eq!(names, ["pg@15/bin", "pg@9.10/bin", "pg@9.6/bin"].map(Path::new));
        assert!(expanded("/no/such/*/bin").is_empty());
    }

    #[test]
    fn a_missing_server_is_named_with_its_package() {
        let said = server("no-such-serverd", "no-such-package").unwrap_err().to_string();
        assert!(said.contains("no-such-serverd was") && said.contains("apt-get install no-such-package"), "{said}");
    }

    #[test]
    fn a_place_with_half_of_the_programs_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let places = ["half", "links", "whole"].map(|name| root.path().canonicalize().unwrap().join(name));
        for place in &places {
            fs::create_dir(place).unwrap();
        }
        for program in ["initdb", "postgres"] {
            fs::write(places[2].join(program), "").unwrap();
            std::os::unix::fs::symlink(places[2].join(program), places[1].join(program)).unwrap();
        }
        fs::write(places[0].join("postgres"), "").unwrap();
        let found = |places: &[PathBuf]| together(&["initdb", "postgres"], places);
        assert_eq!(found(&places[..1]), None);
        assert_eq!(found(&places), Some(places[2].clone()), "a link leads to the program's own directory");
    }
}
