//! Renders the whole book into memory. What is served is replaced at once or not at all, and there is no path on disk
//! that a request could reach.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use catalogue::{Catalogue, Problem};
use mdbook_driver::{
    MDBook,
    builtin_preprocessors::{IndexPreprocessor, LinkPreprocessor},
    config::Config,
};

use crate::{
    anchor,
    course::{Course, Found},
    dedent::Dedent,
};

/// The rendered book.
#[derive(Debug, Default)]
pub struct Site {
    /// Content by address, relative to the book's root: `foundations/percentiles.html`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Files outside `book/` that pages include.
    pub includes: BTreeSet<PathBuf>,
    /// Changes with the content: a page that was loaded from another build knows that it is stale.
    pub build: String,
}

/// Everything that is wrong with the prose.
#[derive(Debug)]
pub struct Faults(Vec<Problem>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        write!(f, "The book was not built: {}.", crate::html::counted(count, "problem"))
    }
}

impl std::error::Error for Faults {}

/// The directory, at or above `from`, that holds the course.
///
/// # Errors
/// When there is none; says how to name it.
pub fn course_root(from: &Path) -> Result<PathBuf> {
    let is_course = |dir: &&Path| dir.join("book/book.toml").is_file() && dir.join("exercises").is_dir();
    match from.ancestors().find(is_course) {
        Some(root) => Ok(root.into()),
        None => bail!(
            "no course is at or above {}: there is no directory with book/book.toml and exercises/; name it with --root",
            from.display()
        ),
    }
}

/// Renders the course under `root`.
///
/// # Errors
/// Every problem of the prose at once, as [`Faults`]; otherwise whatever mdBook or the file system says.
pub fn render(root: &Path) -> Result<Site> {
    let book_dir = root.join("book");
    let out = tempfile::tempdir().context("no temporary directory for the rendered book")?;
    let mut config = Config::from_disk(book_dir.join("book.toml")).context("book/book.toml cannot be read")?;
    config.build.build_dir = out.path().into();
    // mdBook would list a missing page as an empty one.
    config.build.create_missing = false;
    // The default ones come first unless they are put in by hand, and what a directive's line is has to be known
    // before listings are included.
    config.build.use_default_preprocessors = false;
    let found = Arc::new(Mutex::new(Found::default()));
    let mut book = MDBook::load_with_config(&book_dir, config).context("book/src cannot be read")?;
    book.with_preprocessor(Course::new(Catalogue::read(root), Arc::clone(&found)))
        .with_preprocessor(LinkPreprocessor::new())
        .with_preprocessor(Dedent)
        .with_preprocessor(IndexPreprocessor::new());
    book.build().context("the book cannot be rendered")?;

    let mut files = BTreeMap::new();
    collect(out.path(), "", &mut files).context("the rendered book cannot be read back")?;
    let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    found.problems.extend(anchor::check(&found.sections, &files));
    if !found.problems.is_empty() {
        found.problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        return Err(Faults(found.problems).into());
    }
    for name in &found.pictures {
        let file = book_dir.join("evidence").join(name);
        let content = fs::read(&file).with_context(|| format!("book/evidence/{name} cannot be read"))?;
        files.insert(format!("evidence/{name}"), content);
    }
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    Ok(Site { files, includes: found.includes, build: format!("{:016x}", hasher.finish()) })
}

fn collect(dir: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn is_page(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "html")
}

impl Site {
    /// The rendered pages: address and HTML.
    pub fn pages(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let pages = self.files.iter().filter(|(name, _)| is_page(name));
        pages.map(|(name, content)| (name.as_str(), String::from_utf8_lossy(content)))
    }

    /// Tells the pages that they are served, and as which build: only then do they ask for the learner's state. Pages on
    /// disk, or hosted as plain files, have nobody to ask.
    #[must_use]
    pub fn live(mut self) -> Self {
        for (name, content) in &mut self.files {
            if !is_page(name) {
                continue;
            }
            let html = String::from_utf8_lossy(content);
            *content = html.replacen("<html ", &format!("<html data-live=\"{}\" ", self.build), 1).into_bytes();
        }
        self
    }

    /// Writes the book below `dest`, which is emptied first when it holds an earlier one.
    ///
    /// # Errors
    /// When `dest` holds something else, or cannot be written.
    pub fn write(&self, dest: &Path) -> Result<()> {
        if dest.join("toc.html").is_file() {
            fs::remove_dir_all(dest).with_context(|| format!("cannot empty {}", dest.display()))?;
        } else if fs::read_dir(dest).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} holds something that is not this book; name an empty directory with --dest", dest.display());
        }
        for (name, content) in &self.files {
            let file = dest.join(name);
            let dir = file.parent().unwrap_or(dest);
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}
