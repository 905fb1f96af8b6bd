//! Composing: a submission's editable files beside the course's own manifest, checks, bench and baseline, as a package
//! that cargo can build. Whatever else a submission holds (a build script, a manifest, checks of its own) is never used.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use catalogue::{Exercise, channel::hex};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::{
    course::{Course, files_below},
    stop::Stop,
    submission::Files,
};

/// What a composed package is built for. Each has builds of its own, since the features differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A verdict: the harness without criterion and libtest.
    Grade,
    /// A criterion report.
    Bench,
    /// A flamegraph and a heap table.
    Profile,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Grade => "grade",
            Self::Bench => "bench",
            Self::Profile => "profile",
        }
    }

    fn harness_features(self) -> &'static [&'static str] {
        match self {
            Self::Grade => &[],
            Self::Bench => &["standalone"],
            Self::Profile => &["profile"],
        }
    }
}

/// A package on disk, ready to be built.
#[derive(Debug)]
pub(crate) struct Composed {
    /// Where it is.
    pub(crate) dir: PathBuf,
    /// Hash of everything that a verdict on it depends on, but for the compiler.
    pub(crate) sources: String,
}

/// The hash that [`compose`] gives these files, without writing anything.
pub(crate) fn sources(course: &Course, exercise: &Exercise, files: &Files) -> Result<String> {
    Ok(hash(&parts(course, exercise, files)?))
}

/// Writes the package. Files that are already as they should be are left alone, so that cargo rebuilds only what changed.
pub(crate) fn compose(
    course: &Course,
    exercise: &Exercise,
    files: &Files,
    variant: &str,
    purpose: Purpose,
) -> Result<Composed> {
    let dir = course.target.join("compose").join(format!("{}-{variant}", purpose.word())).join(&exercise.slug);
    let parts = parts(course, exercise, files)?;
    let manifest = manifest(course, exercise, variant, purpose)?;
    let write = || -> io::Result<()> {
        for stale in files_below(&dir.join("src")) {
            if !files.contains_key(&format!("src/{}", stale.display())) {
                fs::remove_file(dir.join("src").join(stale))?;
            }
        }
        for (path, content) in parts.iter().filter(|(path, _)| !path.starts_with("..")) {
            write_if_changed(&dir.join(path), content)?;
        }
        write_if_changed(&dir.join("Cargo.toml"), manifest.as_bytes())?;
        // The same versions as the course's. Cargo strikes out what this package does not need, so the copy is renewed
        // only when the original changes.
        let lock = fs::read(course.root().join("Cargo.lock"))?;
        if write_if_changed(&dir.join("course.lock"), &lock)? {
            fs::write(dir.join("Cargo.lock"), &lock)?;
        }
        Ok(())
    };
    write().map_err(|error| {
        let next = "Verdicts are built under cargo's target directory: make it writable, or name another with CARGO_TARGET_DIR.";
        Stop::usage(format!("{} cannot be written: {error}", dir.display()), next)
    })?;
    Ok(Composed { sources: hash(&parts), dir })
}

/// Everything that a verdict depends on, by path relative to the package: `..` begins what is not copied into it.
fn parts(course: &Course, exercise: &Exercise, files: &Files) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let dir = course.root().join(&exercise.dir);
    let mut parts = BTreeMap::new();
    for path in files_below(&dir) {
        if path.starts_with("src") || path.starts_with("target") || path == Path::new("Cargo.toml") {
            continue;
        }
        parts.insert(path.clone(), fs::read(dir.join(&path))?);
    }
    for (path, content) in files {
        parts.insert(path.into(), content.clone());
    }
    for shared in ["exercises/src", "exercises/harness/src"] {
        for path in files_below(&course.root().join(shared)) {
            let path = Path::new(shared).join(path);
            let content = fs::read(course.root().join(&path))?;
            parts.insert(Path::new("..").join(path), content);
        }
    }
    for shared in ["Cargo.toml", "Cargo.lock", "exercises/Cargo.toml", "exercises/harness/Cargo.toml"] {
        parts.insert(Path::new("..").join(shared), fs::read(course.root().join(shared))?);
    }
    parts.insert(Path::new("..").join("exercise/Cargo.toml"), fs::read(dir.join("Cargo.toml"))?);
    Ok(parts)
}

/// One hash over paths and contents.
pub(crate) fn hash(parts: &BTreeMap<PathBuf, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (path, content) in parts {
        // Lengths keep the end of one file and the start of the next apart.
        let path = path.to_string_lossy();
        for bytes in [path.as_bytes(), content] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    hex(&hash.finalize())
}

/// The exercise's manifest as that of a workspace of its own.
///
/// Its dependencies, versions and profiles are the course's. The package is named after the variant, because cargo tells
/// builds of one directory apart by package, and two submissions must not overwrite each other's.
fn manifest(course: &Course, exercise: &Exercise, variant: &str, purpose: Purpose) -> Result<String> {
    let read = |path: &Path| -> Result<Table> {
        let text = fs::read_to_string(course.root().join(path)).with_context(|| path.display().to_string())?;
        let parsed = text.parse::<Table>();
        parsed.map_err(|e| Stop::broken(format!("{} is not TOML", path.display()), e.to_string()).into())
    };
    let mut root = read(Path::new("Cargo.toml"))?;
    let mut package = read(&exercise.dir.join("Cargo.toml"))?;
    let broken =
        |what: &str| Stop::broken(format!("{}/Cargo.toml {what}", exercise.dir.display()), "See CONTRIBUTING.md.");

    let mut workspace = Table::new();
    workspace.insert("resolver".into(), "3".into());
    let course_workspace =
        root.get_mut("workspace").and_then(Value::as_table_mut).ok_or_else(|| broken("has no workspace"))?;
    for key in ["package", "dependencies"] {
        workspace.insert(key.into(), course_workspace.remove(key).unwrap_or_else(|| Table::new().into()));
    }
    let dependencies = workspace["dependencies"].as_table_mut().ok_or_else(|| broken("has odd dependencies"))?;
    for (_, dependency) in dependencies.iter_mut() {
        if let Some(path) = dependency.get_mut("path") {
            *path = course.root().join(path.as_str().unwrap_or_default()).to_string_lossy().into_owned().into();
        }
    }
    let mut harness =
        dependencies.get("harness").and_then(Value::as_table).cloned().ok_or_else(|| broken("lacks harness"))?;
    harness.insert("default-features".into(), false.into());
    let features: Vec<Value> = purpose.harness_features().iter().map(|name| (*name).into()).collect();
    harness.insert("features".into(), features.into());

    let name =
        package.get_mut("package").and_then(|package| package.get_mut("name")).ok_or_else(|| broken("has no name"))?;
    *name = format!("{}-{}-{variant}", exercise.slug, purpose.word()).into();
    let lib = package.entry("lib").or_insert_with(|| Table::new().into());
    let lib = lib.as_table_mut().ok_or_else(|| broken("has an odd [lib]"))?;
    lib.insert("name".into(), exercise.slug.replace('-', "_").into());
    if let Some(dev) = package.get_mut("dev-dependencies").and_then(Value::as_table_mut) {
        dev.insert("harness".into(), harness.into());
    }
    // Whatever the manifest says: safe Rust cannot reach around the checks.
    let forbid: Table = toml::from_str("rust.unsafe_code = \"forbid\"").expect("a constant");
    package.insert("lints".into(), forbid.into());
    package.insert("workspace".into(), workspace.into());
    if let Some(profile) = root.remove("profile") {
        package.insert("profile".into(), profile);
    }
    Ok(toml::to_string(&package)?)
}

/// Writes `content` unless the file already holds it, and says whether it did.
fn write_if_changed(path: &Path, content: &[u8]) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(path, content)?;
    Ok(true)
}
