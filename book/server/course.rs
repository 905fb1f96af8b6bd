//! The preprocessor: puts exercise cards, measured figures and widgets where a page asks for them, and collects
//! everything that is wrong with the prose, so that one build reports it all.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use catalogue::{Catalogue, Problem, nearest};
use mdbook_driver::book::{Book, BookItem};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::{
    anchor, card,
    directive::Directive,
    figure,
    prose::{Page, SectionLink},
    widget,
};

/// What a pass over the pages found out.
#[derive(Debug, Default)]
pub struct Found {
    /// What is wrong, in the order of the pages.
    pub problems: Vec<Problem>,
    /// Links to sections, to be looked up in the rendered pages.
    pub sections: Vec<SectionLink>,
    /// Files that listings are included from.
    pub includes: BTreeSet<PathBuf>,
    /// Files of `book/evidence/` that pages show.
    pub pictures: BTreeSet<String>,
}

/// The course's own preprocessor.
#[derive(Debug)]
pub struct Course {
    catalogue: Catalogue,
    found: Arc<Mutex<Found>>,
}

impl Course {
    /// For the course that `catalogue` read; what is found goes to `found`.
    pub fn new(catalogue: Catalogue, found: Arc<Mutex<Found>>) -> Self {
        Self { catalogue, found }
    }

    /// The page with its directives replaced.
    fn expand(&self, page: &Page, pages: &BTreeSet<PathBuf>, found: &mut Found) -> String {
        let mut out = String::new();
        let mut done = 0;
        for directive in page.directives() {
            match self.render(&directive, page, pages, found) {
                Ok(None) => {}
                Ok(Some(html)) => {
                    out.push_str(&page.text[done..directive.range.start]);
                    out.push_str("\n\n");
                    out.push_str(&html);
                    out.push_str("\n\n");
                    done = directive.range.end;
                }
                Err(what) => {
                    let what = format!("{}: {what}", &page.text[directive.range.clone()]);
                    found.problems.push(page.problem(directive.range.start, what));
                }
            }
        }
        out.push_str(&page.text[done..]);
        out
    }

    /// The HTML for a directive; `None` for mdBook's own.
    fn render(
        &self,
        directive: &Directive<'_>,
        page: &Page,
        pages: &BTreeSet<PathBuf>,
        found: &mut Found,
    ) -> Result<Option<String>, String> {
        let up = "../".repeat(page.path.components().count() - 1);
        let html = match directive.name {
            "include" | "rustdoc_include" | "title" => return Ok(None),
            "playground" => return Err("the book runs no code in the browser; use {{#include}}".into()),
            "exercise" => card::card(self.exercise(directive.argument)?),
            "exercises" => self.list(directive.argument, &up, pages)?,
            "evidence" => {
                let id = format!("{}-{}", directive.argument, directive.range.start);
                let shown = figure::show(&self.catalogue.root.join("book/evidence"), directive.argument, &id, &up)?;
                found.pictures.extend(shown.picture);
                shown.html
            }
            "widget" => widget::show(directive.argument, &format!("widget-{}", directive.range.start))?,
            other => {
                let near = nearest(
                    other,
                    ["exercise", "exercises", "evidence", "widget", "include", "rustdoc_include", "title"],
                )
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                return Err(format!(
                    "there is no directive `{other}`{near} (to show it as text, put a backslash before it)"
                ));
            }
        };
        if !directive.alone_on_line(&page.text) {
            return Err("a directive stands on a line of its own, at its beginning".into());
        }
        Ok(Some(html))
    }

    fn exercise(&self, slug: &str) -> Result<&catalogue::Exercise, String> {
        if let Some(exercise) = self.catalogue.find(slug) {
            return Ok(exercise);
        }
        // An exercise that is there but could not be read deserves the reason rather than a guess at another.
        let unread = |problem: &&Problem| {
            problem.file.components().any(|part| {
                part.as_os_str().to_str().and_then(|dir| dir.split_once('-')).is_some_and(|(_, name)| name == slug)
            })
        };
        if let Some(problem) = self.catalogue.problems.iter().find(unread) {
            return Err(format!("the exercise cannot be read: {problem}"));
        }
        let near = nearest(slug, self.catalogue.slugs()).map(|near| format!("; did you mean `{near}`?"));
        Err(format!(
            "there is no exercise `{slug}`{}",
            near.unwrap_or_else(|| "; `cargo xtask list` shows those there are".into())
        ))
    }

    fn list(&self, argument: &str, up: &str, pages: &BTreeSet<PathBuf>) -> Result<String, String> {
        let of_part = |part: u32| self.catalogue.exercises.iter().filter(move |exercise| exercise.part == part);
        let part = argument.parse().ok().filter(|part| of_part(*part).next().is_some());
        let Some(part) = part else {
            let parts: BTreeSet<_> =
                self.catalogue.exercises.iter().map(|exercise| exercise.part.to_string()).collect();
            let parts: Vec<_> = parts.into_iter().collect();
            return Err(format!("no exercises are in part `{argument}`; there are parts {}", parts.join(", ")));
        };
        let link = |exercise: &catalogue::Exercise| {
            let chapter = Path::new(&exercise.spec.chapter);
            let address = anchor::address(chapter);
            pages.contains(chapter).then(|| format!("{up}{address}#exercise-{}", exercise.slug))
        };
        Ok(card::list(of_part(part), link))
    }
}

impl Preprocessor for Course {
    fn name(&self) -> &'static str {
        "course"
    }

    fn run(&self, ctx: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let src = ctx.root.join(&ctx.config.book.src);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let pages: BTreeSet<PathBuf> = book.chapters().filter_map(|chapter| chapter.source_path.clone()).collect();
        book.for_each_mut(|item| {
            let BookItem::Chapter(chapter) = item else { return };
            let Some(path) = &chapter.source_path else { return };
            let page = Page::new(path, &chapter.content);
            found.problems.extend(page.check_listings());
            let included = page.check_includes(&src, &mut found.includes);
            found.problems.extend(included);
            let linked = page.check_links(&src, &pages, &mut found.sections);
            found.problems.extend(linked);
            chapter.content = self.expand(&page, &pages, &mut found);
        });
        Ok(book)
    }
}
