//! Reads every exercise of a course tree and cross-checks them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Exercise, Problem, Spec, exercise::is_slug};

/// Every exercise of the course, in course order.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The course root: the directory that holds `exercises/` and `book/`.
    pub root: PathBuf,
    /// The exercises that could be read, by part and number.
    pub exercises: Vec<Exercise>,
    /// What is wrong with the others, or with the course as a whole.
    pub problems: Vec<Problem>,
}

impl Catalogue {
    /// Reads the course under `root`. A broken exercise does not hide the others: it becomes a [`Problem`].
    pub fn read(root: &Path) -> Self {
        let mut course = Self { root: root.into(), exercises: Vec::new(), problems: Vec::new() };
        let parts = numbered(&root.join("exercises"));
        if parts.is_empty() {
            course.problems.push(Problem::new("exercises", "no part such as 1-foundations is here"));
        }
        for (part, _, part_dir) in parts {
            for (number, slug, dir) in numbered(&part_dir) {
                let dir = dir.strip_prefix(root).map(Path::to_path_buf).unwrap_or(dir);
                course.read_exercise(part, number, slug, dir);
            }
        }
        course.cross_check();
        course
    }

    fn read_exercise(&mut self, part: u32, number: u32, slug: String, dir: PathBuf) {
        let file = dir.join("exercise.toml");
        let text = match fs::read_to_string(self.root.join(&file)) {
            Ok(text) => text,
            Err(error) => return self.problems.push(Problem::new(file, format!("cannot be read: {error}"))),
        };
        let spec = match Spec::parse(&text, &file) {
            Ok(spec) => spec,
            Err(problem) => return self.problems.push(problem),
        };
        let mut problems = spec.problems(&file);
        if !is_slug(&slug) {
            problems.push(Problem::new(&dir, "a slug is lower-case letters, digits and single hyphens"));
        }
        let mut must_exist = |path: PathBuf, why: &str| {
            if !self.root.join(&path).is_file() {
                problems.push(Problem::new(&file, format!("{} does not exist; {why}", path.display())));
            }
        };
        must_exist(Path::new("book/src").join(&spec.chapter), "`chapter` names a page of the book");
        for file in ["checks.rs", "bench.rs", "Cargo.toml"] {
            must_exist(dir.join(file), "every exercise has it");
        }
        for path in &spec.editable {
            must_exist(dir.join(Exercise::starter(path)), "it keeps the starter of an `editable` file");
        }
        // An exercise with something wrong is still listed when it could be read: a learner can go on with it while
        // `verify` refuses it.
        self.problems.append(&mut problems);
        self.exercises.push(Exercise { slug, part, number, dir, spec });
    }

    fn cross_check(&mut self) {
        for (i, exercise) in self.exercises.iter().enumerate() {
            if let Some(twin) = self.exercises[..i].iter().find(|other| other.slug == exercise.slug) {
                let what =
                    format!("the slug {} is also that of {}; slugs are unique", exercise.slug, twin.dir.display());
                self.problems.push(Problem::new(&exercise.dir, what));
            }
        }
    }

    /// The exercise of that slug.
    pub fn find(&self, slug: &str) -> Option<&Exercise> {
        self.exercises.iter().find(|exercise| exercise.slug == slug)
    }

    /// The slugs, in course order.
    pub fn slugs(&self) -> impl Iterator<Item = &str> {
        self.exercises.iter().map(|exercise| exercise.slug.as_str())
    }
}

/// Directories called `<number>-<name>`, by number.
fn numbered(dir: &Path) -> Vec<(u32, String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (number, rest) = name.split_once('-')?;
            Some((number.parse().ok()?, rest.to_owned(), entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// The candidate nearest to `wanted` by edit distance, when it is near enough to be what was meant.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let part_of_it = wanted.len() >= 3 && candidate.contains(wanted);
            (if part_of_it { 1 } else { distance(wanted, candidate) }, candidate)
        })
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len() / 2)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
