//! What a page says of exercises: the card of one, the table of a part's. Complete without JavaScript; `course.js`
//! adds the reader's verdicts when the book is served.

use std::fmt::Write as _;

use catalogue::{CheckSpec, Exercise, Kind, Need};

use crate::html::{counted, escape, prose};

/// From the first hint to the last.
const HINTS: [&str; 3] = ["vague", "closer", "plain"];

/// The card of one exercise.
pub fn card(exercise: &Exercise) -> String {
    let Exercise { slug, part, number, spec, .. } = exercise;
    let mut out = String::new();
    let facts = format!("{} · {}", counted(spec.minutes, "minute"), counted(spec.max_points(), "point"));
    let id = format!("exercise-{slug}");
    // A paragraph with the role of a heading: a real one would be listed among the chapter's sections by mdBook.
    let _ = write!(
        out,
        "<course-card data-slug=\"{slug}\">\n\
         <section class=\"card\" aria-labelledby=\"{id}\">\n\
         <div class=\"card-head\"><p class=\"card-kind\">Exercise {part}.{number}</p>\
         <p class=\"card-title\" id=\"{id}\" role=\"heading\" aria-level=\"3\">{title}</p>\
         <p class=\"card-facts\">{facts}</p></div>\n\
         <p class=\"card-lesson\">{lesson}</p>\n\
         <p class=\"card-state\" role=\"status\" hidden></p>\n\
         <ul class=\"checks\">\n",
        title = prose(&spec.title),
        lesson = prose(&spec.lesson),
    );
    for check in &spec.checks {
        let _ = writeln!(
            out,
            "<li class=\"check\" data-check=\"{name}\"><span class=\"mark\" aria-hidden=\"true\"></span>\
             <div><p class=\"check-title\">{title}</p><p class=\"check-facts\">{points} · {gate}</p></div></li>",
            name = escape(&check.name),
            title = prose(&check.title),
            points = counted(check.points, "point"),
            gate = prose(&decided(check)),
        );
    }
    out.push_str("</ul>\n<dl class=\"card-how\">\n");
    let files: Vec<_> = spec
        .editable
        .iter()
        .map(|file| format!("<code>{}</code>", escape(&exercise.dir.join(file).to_string_lossy())))
        .collect();
    let _ = writeln!(out, "<div><dt>Edit</dt><dd>{}</dd></div>", files.join("<br>"));
    let _ = writeln!(out, "<div><dt>Check</dt><dd><code class=\"command\">cargo xtask check {slug}</code></dd></div>");
    if !spec.needs.is_empty() {
        let needs: Vec<_> = spec.needs.iter().map(|need| server(*need)).collect();
        let _ = writeln!(out, "<div><dt>Needs</dt><dd>{}</dd></div>", needs.join(", "));
    }
    out.push_str("</dl>\n<div class=\"hints\">\n");
    for (i, (hint, degree)) in spec.hints.iter().zip(HINTS).enumerate() {
        let _ = writeln!(
            out,
            "<details><summary>Hint {} <span class=\"degree\">{degree}</span></summary><p>{}</p></details>",
            i + 1,
            prose(hint)
        );
    }
    out.push_str("</div>\n</section>\n</course-card>");
    out
}

/// How a check is decided, in words.
fn decided(check: &CheckSpec) -> String {
    let how = match check.kind {
        Kind::Correctness => return "right or not".into(),
        Kind::Measurements => return "what you wrote down is measured again".into(),
        Kind::Answer => return "what you wrote down is true or not".into(),
        Kind::Allocations => "counted",
        Kind::Speed => "timed against the starter",
        Kind::Growth => "cost at ten times the size",
        Kind::Accuracy => "what yours measures, compared with the truth",
    };
    match &check.gate {
        Some(gate) => format!("{how}: {gate}"),
        None => how.into(),
    }
}

fn server(need: Need) -> &'static str {
    match need {
        Need::Postgresql => "PostgreSQL",
        Need::Redis => "Redis",
        Need::Rabbitmq => "RabbitMQ",
        Need::Prometheus => "Prometheus",
    }
}

/// The table of a part's exercises. `link` gives the address of an exercise's chapter, when that is a page of the book.
pub fn list<'a>(exercises: impl Iterator<Item = &'a Exercise>, link: impl Fn(&Exercise) -> Option<String>) -> String {
    let mut out = String::from(
        "<course-list>\n<div class=\"scroll\" role=\"group\" aria-label=\"Exercises\" tabindex=\"0\"><table class=\"exercises\">\n\
         <thead><tr><th scope=\"col\">Exercise</th><th scope=\"col\" class=\"figure\">Minutes</th>\
         <th scope=\"col\" class=\"figure\">Points</th><th scope=\"col\" class=\"live\" hidden>You</th></tr></thead>\n<tbody>\n",
    );
    for exercise in exercises {
        let title = prose(&exercise.spec.title);
        let title = match link(exercise) {
            Some(address) => format!("<a href=\"{}\">{title}</a>", escape(&address)),
            None => title,
        };
        let _ = writeln!(
            out,
            "<tr data-slug=\"{}\"><th scope=\"row\">{}.{} {title}</th><td class=\"figure\">{}</td><td class=\"figure\">{}</td>\
             <td class=\"live\" hidden></td></tr>",
            exercise.slug,
            exercise.part,
            exercise.number,
            exercise.spec.minutes,
            exercise.spec.max_points()
        );
    }
    out.push_str("</tbody>\n</table></div>\n</course-list>");
    out
}
