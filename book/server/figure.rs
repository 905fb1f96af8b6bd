//! Measured figures on a page: `book/evidence/<name>.json` as a table, a plot or a picture, over a caption that says
//! where, when and how it was measured.

use std::{fmt::Write as _, fs, path::Path};

use catalogue::{
    evidence::{Evidence, Figure, Series},
    nearest,
};

use crate::{
    html::{escape, plain, prose},
    plot, scale,
};

/// A figure ready for the page.
#[derive(Debug)]
pub struct Shown {
    /// Its HTML.
    pub html: String,
    /// The file beside the JSON that it shows, to be copied beside the pages.
    pub picture: Option<String>,
}

/// Points beyond which a table of a plot's values would bury the page.
const MOST_LISTED: usize = 120;

/// Reads and draws the evidence called `name` from `dir`. `id` is unique on the page; `up` leads from the page to the
/// book's root, as in `../`.
///
/// # Errors
/// Says what is wrong with the name or the file, where in it, and what to do.
pub fn show(dir: &Path, name: &str, id: &str, up: &str) -> Result<Shown, String> {
    let evidence = read(dir, name)?;
    let wrong = |what: String| format!("book/evidence/{name}.json: {what}");
    let mut picture = None;
    let mut after = String::new();
    let body = match &evidence.figure {
        Figure::Table { columns, rows } => table(columns, rows, &evidence.title).map_err(wrong)?,
        Figure::Bars { unit, bars } => {
            scrolling(&plot::bars(id, &evidence.title, unit, bars).map_err(wrong)?, &evidence.title)
        }
        Figure::Lines { x, y, series } => {
            after = values([&x.label, &y.label], series);
            scrolling(&plot::lines(id, &evidence.title, [x, y], series).map_err(wrong)?, &evidence.title)
        }
        Figure::Svg { file, alt } => {
            if !plain_name(file) || !dir.join(file).is_file() {
                return Err(wrong(format!(
                    "the picture `{file}` is not beside it in book/evidence/; run `cargo xtask evidence`"
                )));
            }
            if alt.trim().is_empty() {
                return Err(wrong("`alt` is empty; say what the picture shows, for whoever cannot see it".into()));
            }
            let address = escape(&format!("{up}evidence/{file}"));
            picture = Some(file.clone());
            // Inside <img> a picture is inert; the link opens the same file, where a flamegraph can be clicked through. On a
            // telephone it keeps a width at which its letters can be read, and scrolls.
            let image =
                format!("<a class=\"picture\" href=\"{address}\"><img src=\"{address}\" alt=\"{}\"></a>", escape(alt));
            scrolling(&image, &evidence.title)
                + &format!(
                    "<p class=\"picture-link\"><a href=\"{address}\">Open the picture by itself</a> to click through it and \
                     to search in it.</p>\n"
                )
        }
    };
    let html = format!("<figure class=\"evidence\">\n{body}{}</figure>\n{after}", caption(&evidence));
    Ok(Shown { html, picture })
}

fn read(dir: &Path, name: &str) -> Result<Evidence, String> {
    let file = dir.join(format!("{name}.json"));
    if !plain_name(name) || !file.is_file() {
        let mut names: Vec<String> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
            .collect();
        names.sort();
        let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("; did you mean `{near}`?"));
        return Err(format!(
            "there is no evidence `{name}` (book/evidence/{name}.json){}",
            near.unwrap_or_else(|| "; make it with `cargo xtask evidence`".into())
        ));
    }
    let text =
        fs::read_to_string(&file).map_err(|error| format!("book/evidence/{name}.json cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| {
        format!("book/evidence/{name}.json is not valid evidence: {error}; make it anew with `cargo xtask evidence`")
    })
}

/// A file name without a way out of its directory.
fn plain_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':'])
}

/// A box that scrolls sideways by itself, reachable by keyboard, so that the page never has to.
fn scrolling(content: &str, label: &str) -> String {
    format!("<div class=\"scroll\" role=\"group\" aria-label=\"{}\" tabindex=\"0\">\n{content}\n</div>\n", plain(label))
}

/// The first column names the row; a column of figures is set flush right.
fn table(columns: &[String], rows: &[Vec<String>], label: &str) -> Result<String, String> {
    if let Some(i) = rows.iter().position(|row| row.len() != columns.len()) {
        return Err(format!("row {} has {} cells for {} columns", i + 1, rows[i].len(), columns.len()));
    }
    let numeric = |column: usize| {
        column > 0
            && rows
                .iter()
                .all(|row| row[column].trim().starts_with(|c: char| c.is_ascii_digit() || "+-−<>~–".contains(c)))
    };
    let class = |column: usize| if numeric(column) { " class=\"figure\"" } else { "" };
    let mut out = String::from("<table>\n<thead><tr>");
    for (i, column) in columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(i), prose(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let (open, close) = if i == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            let _ = write!(out, "<{open}{}>{}</{close}>", class(i), prose(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>");
    Ok(scrolling(&out, label))
}

/// The plotted values as a table behind a fold: for reading them exactly, and for reading them at all without the plot.
fn values([x, y]: [&str; 2], series: &[Series]) -> String {
    if series.iter().map(|line| line.points.len()).sum::<usize>() > MOST_LISTED {
        return String::new();
    }
    let columns = ["Series".to_owned(), x.to_owned(), y.to_owned()];
    let rows: Vec<_> = series
        .iter()
        .flat_map(|line| {
            line.points.iter().map(|point| vec![line.label.clone(), scale::figure(point[0]), scale::figure(point[1])])
        })
        .collect();
    let table = table(&columns, &rows, "The values of the plot").unwrap_or_default();
    format!("<details class=\"values\"><summary>The values</summary>\n{table}</details>\n")
}

fn caption(evidence: &Evidence) -> String {
    format!(
        "<figcaption><p class=\"caption\">{}</p>\n<p class=\"origin\">Measured {}, commit <code>{}</code>, with \
         <code>{}</code>, on {}.</p></figcaption>\n",
        prose(&evidence.title),
        escape(&evidence.date),
        escape(&evidence.commit),
        escape(&evidence.command),
        escape(evidence.machine.trim().trim_end_matches('.'))
    )
}
