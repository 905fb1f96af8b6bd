//! A preprocessor that takes the indentation away which listings bring along from where they were included.

use anyhow::Result;
use mdbook_driver::book::{Book, BookItem};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

/// Runs when listings are in the text.
#[derive(Debug)]
pub(crate) struct Dedent;

impl Preprocessor for Dedent {
    fn name(&self) -> &'static str {
        "dedent"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> Result<Book> {
        book.for_each_mut(|item| {
            if let BookItem::Chapter(chapter) = item {
                chapter.content = dedent(&chapter.content);
            }
        });
        Ok(book)
    }
}

/// The text with every fenced block of Rust moved to the left as far as all of its lines go.
fn dedent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        out.push_str(line);
        if !line.starts_with("```rust") {
            continue;
        }
        // A fence that is not closed ends with the page.
        let mut block = Vec::new();
        let mut end = None;
        for line in lines.by_ref() {
            if line.starts_with("```") {
                end = Some(line);
                break;
            }
            block.push(line);
        }
        let indentation = |line: &&str| line.len() - line.trim_start_matches(' ').len();
        let common = block.iter().filter(|line| !line.trim().is_empty()).map(indentation).min().unwrap_or(0);
        for line in block {
            out.push_str(if line.trim().is_empty() { "\n" } else { &line[common..] });
        }
        out.push_str(end.unwrap_or_default());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::dedent;

    #[test]
    fn a_listing_moves_as_a_whole_and_the_rest_stays() {
        let text = "    indented\n\n```rust\n    fn f() {\n\n        g();\n    }\n```\n\n```text\n    as it is\n```\n";
        let moved = "    indented\n\n```rust\nfn f() {\n\n    g();\n}\n```\n\n```text\n    as it is\n```\n";
        assert_eq!(dedent(text), moved);
        assert_eq!(dedent(moved), moved);
        assert_eq!(dedent("```rust\n  a\n b"), "```rust\n a\nb");
        assert_eq!(dedent("```rust\n```\n"), "```rust\n```\n");
    }
}
