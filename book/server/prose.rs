//! Reads a page's Markdown for what the course is strict about: listings come from files that compile, included files
//! and linked pages exist, nothing is fetched from another host.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Component, Path, PathBuf},
};

use catalogue::{Problem, nearest};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::{
    directive::{Directive, directives, line_of},
    widget,
};

/// One page of the book.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its file, relative to `book/src`.
    pub path: PathBuf,
    /// Its Markdown.
    pub text: String,
    /// Parts of the text that are code, where directives are text.
    code: Vec<Range<usize>>,
    fences: Vec<Fence>,
    links: Vec<Link>,
    html: Vec<Range<usize>>,
}

#[derive(Debug, Clone)]
struct Fence {
    at: usize,
    language: String,
    content: String,
}

#[derive(Debug, Clone)]
struct Link {
    at: usize,
    to: String,
    image: bool,
}

/// A link to a section, which can only be looked up once the pages are rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionLink {
    /// The page with the link, relative to `book/src`.
    pub from: PathBuf,
    /// Line of the link.
    pub line: usize,
    /// The page that it leads to, relative to `book/src`.
    pub page: PathBuf,
    /// The section's id there.
    pub section: String,
}

impl Page {
    /// Reads the Markdown of a page.
    pub fn new(path: &Path, text: &str) -> Self {
        let mut page = Self {
            path: path.into(),
            text: text.into(),
            code: Vec::new(),
            fences: Vec::new(),
            links: Vec::new(),
            html: Vec::new(),
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_GFM;
        let mut open: Option<Fence> = None;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(info) => {
                            Some(info.split([',', ' ', '\t', '{']).next().unwrap_or_default().to_owned())
                        }
                        CodeBlockKind::Indented => None,
                    };
                    open = language.map(|language| Fence { at: range.start, language, content: String::new() });
                    page.code.push(range);
                }
                Event::Text(text) => {
                    if let Some(fence) = &mut open {
                        fence.content.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => page.fences.extend(open.take()),
                Event::Code(_) => page.code.push(range),
                Event::Start(Tag::Link { dest_url, .. }) => {
                    page.links.push(Link { at: range.start, to: dest_url.into_string(), image: false });
                }
                Event::Start(Tag::Image { dest_url, .. }) => {
                    page.links.push(Link { at: range.start, to: dest_url.into_string(), image: true });
                }
                Event::Html(_) | Event::InlineHtml(_) => page.html.push(range),
                _ => {}
            }
        }
        page
    }

    /// Its file, relative to the course root.
    pub fn file(&self) -> PathBuf {
        Path::new("book/src").join(&self.path)
    }

    /// What is wrong at the byte `offset` of the page.
    pub fn problem(&self, offset: usize, what: impl Into<String>) -> Problem {
        Problem { file: self.file(), line: Some(line_of(&self.text, offset)), what: what.into() }
    }

    /// The directives outside code, without those that a backslash makes text.
    pub fn directives(&self) -> impl Iterator<Item = Directive<'_>> {
        let outside = |at: usize| !self.code.iter().any(|range| range.contains(&at));
        directives(&self.text).into_iter().filter(move |found| !found.escaped && outside(found.range.start))
    }

    /// The path of `relative` to this page, relative to `book/src`.
    fn beside(&self, relative: &str) -> PathBuf {
        normal(&self.path.parent().unwrap_or(Path::new("")).join(relative))
    }

    /// Refuses listings that are not included from a file.
    pub fn check_listings(&self) -> Vec<Problem> {
        let included = |content: &str| {
            let mut lines = content.lines().filter(|line| !line.trim().is_empty()).peekable();
            lines.peek().is_some()
                && lines.all(|line| {
                    matches!(&directives(line)[..], [one] if one.alone_on_line(line)
                        && !one.escaped && matches!(one.name, "include" | "rustdoc_include"))
                })
        };
        let refused = |fence: &&Fence| {
            matches!(fence.language.as_str(), "" | "rust" | "rs" | "rust-norun") && !included(&fence.content)
        };
        let say = |fence: &Fence| {
            let what = if fence.language.is_empty() {
                "this block does not say what it holds; write ```text, ```console, ```sh or ```toml, or include Rust from a file"
            } else {
                "a Rust listing is written out here; include it from a file that compiles: \
                 {{#include ../path/to/file.rs:anchor}} (or tag the block `text` if it is no Rust)"
            };
            self.problem(fence.at, what)
        };
        self.fences.iter().filter(refused).map(say).collect()
    }

    /// Refuses `{{#include}}` of a file or an anchor that does not exist: mdBook itself would only log it. Adds the
    /// files that do to `seen`.
    pub fn check_includes(&self, src: &Path, seen: &mut BTreeSet<PathBuf>) -> Vec<Problem> {
        let mut found = Vec::new();
        let all = directives(&self.text);
        for include in
            all.iter().filter(|d| !d.escaped && matches!(d.name, "include" | "rustdoc_include" | "playground"))
        {
            let (path, part) = include.argument.split_once(':').unwrap_or((include.argument, ""));
            let file = src.join(self.path.parent().unwrap_or(Path::new(""))).join(path);
            let mut refuse = |what: String| found.push(self.problem(include.range.start, what));
            let Ok(content) = fs::read_to_string(&file) else {
                refuse(format!("cannot include `{path}`: no text file is there; the path is relative to this page"));
                continue;
            };
            seen.insert(normal(&file));
            let anchor = part.split(':').next().unwrap_or_default();
            let numbered = anchor.is_empty() || anchor.parse::<usize>().is_ok();
            let anchors: Vec<&str> =
                content.lines().filter_map(|line| Some(line.split_once("ANCHOR: ")?.1.trim())).collect();
            if !numbered && !anchors.contains(&anchor) {
                let near = nearest(anchor, anchors.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
                refuse(format!(
                    "`{path}` has no `ANCHOR: {anchor}`{}",
                    near.unwrap_or_else(|| "; put it and `ANCHOR_END` around the lines".into())
                ));
            }
        }
        found
    }

    /// Refuses links to pages and files that do not exist, and anything fetched from another host. `pages` are all
    /// pages of the book. Links to sections go to `sections`.
    pub fn check_links(&self, src: &Path, pages: &BTreeSet<PathBuf>, sections: &mut Vec<SectionLink>) -> Vec<Problem> {
        let mut found = Vec::new();
        for link in &self.links {
            if link.image && (link.to.contains("://") || link.to.starts_with("//")) {
                let what = format!("the picture {} is fetched from another host; put it beside the page", link.to);
                found.push(self.problem(link.at, what));
            } else if let Err(what) = self.check_link(link, src, pages, sections) {
                found.push(self.problem(link.at, what));
            }
        }
        for range in &self.html {
            let html = &self.text[range.clone()];
            if let Some(name) = widget::NAMES.into_iter().find(|name| html.contains(&format!("<{name}"))) {
                let what = format!(
                    "without scripts <{name}> shows nothing; write {{{{#widget {name}}}}}, which draws a figure for that"
                );
                found.push(self.problem(range.start, what));
            }
            if ["src=\"http", "src=\"//", "<link", "<script"].iter().any(|fetching| html.contains(fetching)) {
                found.push(
                    self.problem(range.start, "a page loads nothing of its own; put scripts and styles in book/theme/"),
                );
            }
        }
        found
    }

    fn check_link(
        &self,
        link: &Link,
        src: &Path,
        pages: &BTreeSet<PathBuf>,
        sections: &mut Vec<SectionLink>,
    ) -> Result<(), String> {
        let to = &link.to;
        if to.contains("://") || to.starts_with("mailto:") {
            return Ok(());
        }
        if to.starts_with('/') {
            return Err(format!(
                "the link {to} starts with a slash, which leads nowhere when the book is opened from disk"
            ));
        }
        let (path, section) = to.split_once('#').map_or((to.as_str(), None), |(path, section)| (path, Some(section)));
        let page = if path.is_empty() { self.path.clone() } else { self.beside(path) };
        let is_page = page.extension().is_some_and(|ending| ending == "md");
        if is_page && !pages.contains(&page) {
            let known: Vec<_> = pages.iter().map(|page| page.to_string_lossy()).collect();
            let near = nearest(&page.to_string_lossy(), known.iter().map(AsRef::as_ref))
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(format!("the link {to} leads to no page that SUMMARY.md lists{near}"));
        }
        if !is_page && !src.join(&page).is_file() {
            return Err(format!("the link {to} leads to no file in book/src; link to pages by their .md file"));
        }
        if let Some(section) = section.filter(|section| is_page && !section.is_empty()) {
            let (from, section) = (self.path.clone(), section.to_owned());
            sections.push(SectionLink { from, line: line_of(&self.text, link.at), page, section });
        }
        Ok(())
    }
}

/// The path without `.` and `..`, which need not exist for that.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if out.components().next_back().is_some_and(|last| matches!(last, Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
