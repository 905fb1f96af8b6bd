//! Looks up links to sections in the rendered pages, where mdBook has given every heading its id.

use std::{collections::BTreeMap, path::Path};

use catalogue::{Problem, nearest};

use crate::prose::SectionLink;

/// The links whose section does not exist. `files` are the rendered files by address.
pub(crate) fn check(links: &[SectionLink], files: &BTreeMap<String, Vec<u8>>) -> Vec<Problem> {
    let broken = |link: &SectionLink| {
        let page = String::from_utf8_lossy(files.get(&address(&link.page)).map_or(&[], Vec::as_slice));
        let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        if ids.contains(&link.section.as_str()) {
            return None;
        }
        let near = nearest(&link.section, ids.iter().copied().filter(|id| !id.starts_with("mdbook-")))
            .map_or_else(String::new, |near| format!("; did you mean #{near}?"));
        Some(Problem {
            file: Path::new("book/src").join(&link.from),
            line: Some(link.line),
            what: format!("{} has no section #{}{near}", link.page.display(), link.section),
        })
    };
    links.iter().filter_map(broken).collect()
}

/// The address that a page is rendered to, relative to the book's root.
pub(crate) fn address(page: &Path) -> String {
    let page = page.to_string_lossy().replace('\\', "/");
    let stem = page.strip_suffix(".md").unwrap_or(&page);
    match stem.strip_suffix("README") {
        Some(dir) if dir.is_empty() || dir.ends_with('/') => format!("{dir}index.html"),
        _ => format!("{stem}.html"),
    }
}
