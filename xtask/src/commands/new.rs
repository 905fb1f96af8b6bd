//! `new` and `schema`: for authors. A new exercise is small but whole, so that `verify` holds from the first minute and
//! every later fault is the author's latest change.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use catalogue::Exercise;

use crate::{
    commands::start::foreground,
    compile::cargo,
    course::Course,
    stop::{Exit, Stop},
};

/// What a new exercise is made of: the file below its directory, and the text.
const EXERCISE: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../../templates/Cargo.toml.in")),
    ("exercise.toml", include_str!("../../templates/exercise.toml.in")),
    ("src/lib.rs", include_str!("../../templates/starter.rs.in")),
    ("baseline.rs", include_str!("../../templates/starter.rs.in")),
    ("checks.rs", include_str!("../../templates/checks.rs.in")),
    ("bench.rs", include_str!("../../templates/bench.rs.in")),
];

/// The same for its directory under `solutions/`.
const SOLUTION: [(&str, &str); 12] = [
    ("src/lib.rs", include_str!("../../templates/solution.rs.in")),
    ("why.md", include_str!("../../templates/why.md.in")),
    ("right/loop/src/lib.rs", include_str!("../../templates/right_loop.rs.in")),
    ("right/loop/right.toml", "how = \"A loop where the solution has iterators.\"\n"),
    ("right/fold/src/lib.rs", include_str!("../../templates/right_fold.rs.in")),
    ("right/fold/right.toml", "how = \"The sum is carried along by hand.\"\n"),
    ("right/mask/src/lib.rs", include_str!("../../templates/right_mask.rs.in")),
    ("right/mask/right.toml", "how = \"No branch: odd values are multiplied by nothing.\"\n"),
    ("wrong/half-fix/src/lib.rs", include_str!("../../templates/half_fix.rs.in")),
    (
        "wrong/half-fix/wrong.toml",
        "why = \"The half-fix: room is made beforehand, so that the Vecs do not grow.\"\n\
         expect = \"allocations\"\n\
         says = \"Each `collect` makes a Vec\"\n",
    ),
    ("wrong/cheat/src/lib.rs", include_str!("../../templates/cheat.rs.in")),
    (
        "wrong/cheat/wrong.toml",
        "why = \"The cheat: only the first values are looked at.\"\n\
         expect = \"same-sums\"\n\
         says = \"the sum over 1000 values\"\n",
    ),
];

pub(crate) fn run(course: &Course, part: &str, slug: &str) -> Result<Exit> {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if !slug.starts_with(|first: char| first.is_ascii_lowercase()) || !slug.chars().all(plain) || slug.ends_with('-') {
        return Err(Stop::usage(format!("{slug} is no slug"), "Use lower-case letters, digits and hyphens.").into());
    }
    if let Some(taken) = course.catalogue.find(slug) {
        let what = format!("there is an exercise named {slug} already: {}", taken.dir.display());
        return Err(Stop::usage(what, "Slugs are unique in the whole course.").into());
    }
    let part = part_dir(course, part)?;
    let taken = course.catalogue.exercises.iter().filter(|exercise| exercise.dir.parent() == Some(Path::new(&part)));
    let number = taken.map(|exercise| exercise.number).max().unwrap_or(0) + 1;
    let dir = Path::new(&part).join(format!("{number:02}-{slug}"));
    let section =
        part.rsplit('/').next().and_then(|name| name.split_once('-')).map_or("part", |(_, name)| name).to_owned();
    let chapter = format!("{section}/{slug}.md");

    let fill =
        |text: &str| text.replace("SLUG", slug).replace("CRATE", &slug.replace('-', "_")).replace("CHAPTER", &chapter);
    let spec = catalogue::Spec::parse(&fill(EXERCISE[1].1), Path::new("exercise.toml"))?;
    let exercise = Exercise { slug: slug.into(), part: 0, number, dir: dir.clone(), spec };
    let write = |path: &Path, text: &str| -> Result<()> {
        let path = course.root().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    for (path, text) in EXERCISE {
        write(&dir.join(path), &fill(text))?;
    }
    for (path, text) in SOLUTION {
        write(&exercise.solution_dir().join(path), &fill(text))?;
    }
    write(&Path::new("book/src").join(&chapter), &fill(include_str!("../../templates/chapter.md.in")))?;
    let summary = course.root().join("book/src/SUMMARY.md");
    let text = fs::read_to_string(&summary).with_context(|| summary.display().to_string())?;
    fs::write(&summary, with_chapter(&text, &section, slug))?;

    println!("{} holds a small exercise that works. Make it yours:", dir.display());
    println!("  the starter    {}/src/lib.rs, and the same in baseline.rs", dir.display());
    println!("  the checks     checks.rs, bench.rs, and their points and gates in exercise.toml");
    println!("  the solution   {}", exercise.solution_dir().display());
    println!("  the chapter    book/src/{chapter}");
    println!("  then           cargo xtask verify {slug}");
    Ok(Exit::Pass)
}

/// `exercises/2-scaling` for `2`, `2-scaling` or a part that is new.
fn part_dir(course: &Course, part: &str) -> Result<String> {
    let parts = fs::read_dir(course.root().join("exercises"))?.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = parts.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    names.sort();
    if let Some(name) = names.iter().find(|name| *name == part || name.split_once('-').is_some_and(|(n, _)| n == part))
    {
        return Ok(format!("exercises/{name}"));
    }
    match part.split_once('-') {
        Some((number, name)) if number.parse::<u32>().is_ok() && !name.is_empty() && !name.contains(['/', '.']) => {
            Ok(format!("exercises/{part}"))
        }
        _ => {
            let next = format!("The parts: {}. A new one is named like them, for example 2-scaling.", names.join(", "));
            Err(Stop::usage(format!("there is no part {part}"), next).into())
        }
    }
}

/// The table of contents with a line for the chapter after the last of its section.
fn with_chapter(summary: &str, section: &str, slug: &str) -> String {
    let line = format!("- [{slug}]({section}/{slug}.md)");
    let mut lines: Vec<&str> = summary.trim_end().lines().collect();
    let heading = format!("\n# {section}\n");
    match lines.iter().rposition(|line| line.contains(&format!("({section}/"))) {
        Some(last) => lines.insert(last + 1, &line),
        None => lines.extend([heading.as_str(), line.as_str()]),
    }
    lines.join("\n") + "\n"
}

/// Writes the JSON Schemas. Their generator is no part of xtask, whose first build it would lengthen.
pub(crate) fn schema(course: &Course) -> Result<Exit> {
    let mut generate = cargo();
    generate
        .args(["run", "--quiet", "--profile", "course", "--package", "catalogue", "--features", "schema"])
        .args(["--example", "schema", "--target-dir"])
        .arg(&course.target)
        .current_dir(course.root());
    Ok(if foreground(&mut generate)? { Exit::Pass } else { Exit::Broken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chapter_is_listed_after_the_last_of_its_section() {
        let summary = "# Summary\n\n- [a](one/a.md)\n- [b](one/b.md)\n\n# two\n\n- [c](two/c.md)\n";
        assert!(with_chapter(summary, "one", "new").contains("(one/b.md)\n- [new](one/new.md)\n\n# two"));
        assert!(with_chapter(summary, "three", "new").ends_with("(two/c.md)\n\n# three\n\n- [new](three/new.md)\n"));
    }
}
