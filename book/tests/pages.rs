//! What ends up on a page, and what is refused, with the file and the line that an author has to go to.

mod sample;

use std::path::Path;

use book::{card, figure, site};
use catalogue::Catalogue;
use sample::{course, evidence, write};

fn shown(figure: &str) -> String {
    let root = course();
    write(root.path(), "book/evidence/it.json", &evidence(figure));
    figure::show(&root.path().join("book/evidence"), "it", "it-1", "../").unwrap().html
}

#[test]
fn a_card_is_complete_without_scripts() {
    let root = course();
    let catalogue = Catalogue::read(root.path());
    insta::assert_snapshot!(card::card(catalogue.find("sample").unwrap()));
}

#[test]
fn a_table_says_where_it_comes_from() {
    insta::assert_snapshot!(shown(
        r#"{"kind": "table", "columns": ["What", "Took"], "rows": [["<one>", "1.5 ms"], ["`two`", "20 ms"]]}"#
    ));
}

#[test]
fn bars_start_at_zero() {
    insta::assert_snapshot!(shown(
        r#"{"kind": "bars", "unit": "ms", "bars": [{"label": "before", "value": 1520}, {"label": "after {{#include x}}", "value": 118.2}]}"#
    ));
}

#[test]
fn lines_have_axes_and_a_legend() {
    insta::assert_snapshot!(shown(
        r#"{"kind": "lines", "x": {"label": "load", "log": true}, "y": {"label": "p99, ms"},
            "series": [{"label": "closed", "points": [[10, 1], [100, 2]]}, {"label": "open", "points": [[10, 1], [1000, 95]]}]}"#
    ));
}

#[test]
fn a_picture_can_be_opened_and_is_copied() {
    let root = course();
    write(
        root.path(),
        "book/evidence/it.json",
        &evidence(r#"{"kind": "svg", "file": "flame.svg", "alt": "Mostly \"f\""}"#),
    );
    write(root.path(), "book/evidence/flame.svg", "<svg/>");
    write(root.path(), "book/src/first/chapter.md", "# Chapter\n\n{{#evidence it}}\n");
    let site = site::render(root.path()).unwrap();
    let page = String::from_utf8_lossy(&site.files["first/chapter.html"]);
    assert!(page.contains(r#"<a class="picture" href="../evidence/flame.svg"><img src="../evidence/flame.svg" alt="Mostly &quot;f&quot;""#), "{page}");
    assert_eq!(site.files["evidence/flame.svg"], b"<svg/>");
}

#[test]
fn no_blank_line_ends_a_directives_html_early() {
    let root = course();
    let site = site::render(root.path()).unwrap();
    let page = String::from_utf8_lossy(&site.files["first/chapter.html"]);
    assert!(page.contains("</course-card>") && !page.contains("&lt;/course-card&gt;"), "{page}");
    assert!(page.contains("Closer:  it {{#include}}s."), "{page}");
    let list = String::from_utf8_lossy(&site.files["welcome.html"]);
    assert!(list.contains(r#"href="first/chapter.html#exercise-sample""#), "{list}");
}

#[test]
fn directives_in_code_and_after_a_backslash_are_text() {
    let root = course();
    let text = "# Chapter\n\n```text\n{{#exercise nobody}}\n```\n\n    {{#exercise nobody}}\n\n`{{#exercise nobody}}` \\{{#evidence nothing}}\n";
    write(root.path(), "book/src/first/chapter.md", text);
    let site = site::render(root.path()).unwrap();
    let page = String::from_utf8_lossy(&site.files["first/chapter.html"]);
    assert_eq!(page.matches("{{#exercise nobody}}").count(), 3, "{page}");
    assert!(page.contains(" {{#evidence nothing}}"), "{page}");
}

#[test]
fn pages_ask_nobody_else_for_anything() {
    let root = course();
    let site = site::render(root.path()).unwrap();
    for (name, page) in site.pages() {
        for fetching in ["src=\"http", "src=\"//", "rel=\"stylesheet\" href=\"http", "@import"] {
            assert!(!page.contains(fetching), "{name} has {fetching}");
        }
        assert!(!page.contains("data-live"), "only a served page has a server to ask");
    }
}

/// Every bad page with what its refusal must say.
#[test]
fn bad_pages_are_refused_with_file_line_and_advice() {
    for (text, wanted) in [
        ("{{#exercise sampel}}", "no exercise `sampel`; did you mean `sample`?"),
        ("{{#exercises 7}}", "no exercises are in part `7`; there are parts 1"),
        ("{{#evidence raged}}", "no evidence `raged` (book/evidence/raged.json); did you mean `ragged`?"),
        ("{{#widget burn-rat}}", "no widget `burn-rat`; did you mean `burn-rate`?"),
        ("<burn-rate></burn-rate>", "without scripts <burn-rate> shows nothing; write {{#widget burn-rate}}"),
        ("{{#evidence zzzzzzzz}}", "make it with `cargo xtask evidence`"),
        ("{{#evidence ../it}}", "no evidence `../it`"),
        ("{{#evidence broken}}", "book/evidence/broken.json is not valid evidence: missing field `command` at line 2"),
        ("{{#evidence ragged}}", "book/evidence/ragged.json: row 1 has 1 cells for 2 columns"),
        ("{{#evidence zero}}", "`a` has 0 on the axis `y`, which cannot show it"),
        ("{{#evidence below}}", "the bar `b` has the value -1"),
        ("{{#evidence lost}}", "the picture `flame.svg` is not beside it"),
        ("{{#excercise sample}}", "no directive `excercise`; did you mean `exercise`?"),
        ("{{#playground x.rs}}", "the book runs no code in the browser"),
        ("see {{#exercise sample}}", "a directive stands on a line of its own"),
        ("```rust\nfn f() {}\n```", "a Rust listing is written out here"),
        (
            "```rust,ignore\n{{#include ../../../exercises/1-first/01-sample/src/lib.rs:first}}\nfn g() {}\n```",
            "written out here",
        ),
        ("```\nfn f() {}\n```", "this block does not say what it holds"),
        ("```rust\n{{#include nothing.rs}}\n```", "cannot include `nothing.rs`"),
        (
            "```rust\n{{#include ../../../exercises/1-first/01-sample/src/lib.rs:frist}}\n```",
            "no `ANCHOR: frist`; did you mean `first`?",
        ),
        ("[x](../welcom.md)", "the link ../welcom.md leads to no page that SUMMARY.md lists; did you mean welcome.md?"),
        ("[x](../welcome.html)", "leads to no file in book/src"),
        ("[x](/welcome.md)", "leads nowhere when the book is opened from disk"),
        ("[x](#a-sektion)", "first/chapter.md has no section #a-sektion; did you mean #a-section?"),
        ("[x](../welcome.md#nowhere)", "welcome.md has no section #nowhere"),
        ("![x](https://example.com/x.png)", "is fetched from another host"),
        ("<img src=\"https://example.com/x.png\">", "a page loads nothing of its own"),
    ] {
        let root = course();
        let lines = |points: &str| {
            evidence(&format!(
                r#"{{"kind": "lines", "x": {{"label": "x"}}, "y": {{"label": "y", "log": true}}, "series": [{{"label": "a", "points": {points}}}]}}"#
            ))
        };
        for (name, json) in [
            ("it", lines("[[1, 1]]")),
            ("zero", lines("[[1, 1], [2, 0]]")),
            ("broken", "{\n\"title\": \"x\"}".into()),
            ("ragged", evidence(r#"{"kind": "table", "columns": ["a", "b"], "rows": [["1"]]}"#)),
            ("below", evidence(r#"{"kind": "bars", "unit": "s", "bars": [{"label": "b", "value": -1}]}"#)),
            ("lost", evidence(r#"{"kind": "svg", "file": "flame.svg", "alt": "x"}"#)),
        ] {
            write(root.path(), &format!("book/evidence/{name}.json"), &json);
        }
        write(root.path(), "book/src/first/chapter.md", &format!("# Chapter\n\n## A section\n\n{text}\n"));
        let said = site::render(root.path()).map(|_| ()).expect_err(text).to_string();
        assert!(said.contains(wanted), "{text}\nwas refused with\n{said}\nwhich lacks\n{wanted}");
        // An include stands below the line that opens its block.
        let line = if text.starts_with("```") && text.contains("include") && !text.contains("fn g") { 6 } else { 5 };
        assert!(said.contains(&format!("book/src/first/chapter.md:{line}: ")), "{said}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let root = course();
    write(root.path(), "book/src/first/chapter.md", "# Chapter\n\n{{#exercise a}}\n\n[x](#b)\n\n```rust\nx\n```\n");
    write(root.path(), "book/src/welcome.md", "# Welcome\n\n[x](c.md)\n");
    let said = site::render(root.path()).unwrap_err().to_string();
    let places: Vec<_> = said.lines().filter_map(|line| Some(line.split_once(": ")?.0)).take(4).collect();
    let chapter = "book/src/first/chapter.md";
    assert_eq!(
        places,
        [&format!("{chapter}:3"), &format!("{chapter}:5"), &format!("{chapter}:7"), "book/src/welcome.md:3"]
    );
    assert!(said.ends_with("The book was not built: 4 problems."), "{said}");
}

#[test]
fn an_exercise_that_cannot_be_read_is_named_with_the_reason() {
    let root = course();
    write(root.path(), "exercises/1-first/01-sample/exercise.toml", "title = 1\n");
    write(root.path(), "exercises/1-first/02-other/exercise.toml", sample::EXERCISE);
    let said = site::render(root.path()).unwrap_err().to_string();
    assert!(said.contains("the exercise cannot be read: exercises/1-first/01-sample/exercise.toml:1"), "{said}");
}

#[test]
fn the_book_is_not_written_over_something_else() {
    let root = course();
    let site = site::render(root.path()).unwrap();
    let dest = root.path().join("dest");
    site.write(&dest).unwrap();
    site.write(&dest).unwrap();
    assert!(dest.join("first/chapter.html").is_file());
    let said = site.write(&root.path().join("exercises")).unwrap_err().to_string();
    assert!(
        said.contains("something that is not this book") && Path::new(root.path()).join("exercises/1-first").is_dir()
    );
}

#[test]
fn a_command_with_a_button_reads_and_names_the_usual_address() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let site = site::render(real).unwrap();
    let mut seen = 0;
    for (page, html) in site.pages() {
        for block in html.split("<orderflow-try>").skip(1) {
            let command = block.split("</orderflow-try>").next().unwrap();
            // The button sends a GET without a body or headers to the path that it finds in the command.
            assert_eq!(command.matches("curl ").count(), 1, "{page}: {command}");
            assert!(command.contains("http://127.0.0.1:8080/"), "{page}: {command}");
            for more in [" -X", " -d", " -H", "$"] {
                assert!(!command.contains(more), "{page}: {command}");
            }
            seen += 1;
        }
    }
    assert!(seen > 0, "some page lets its reader try something");
}
