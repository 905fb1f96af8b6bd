//! A flamegraph of the learner's code: sampled by pprof, cut to what the learner wrote and called, drawn by inferno.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use pprof::flamegraph::{
    Options,
    color::{BasicPalette, Palette, StrokeColor},
};

const FOR: Duration = Duration::from_secs(3);
/// Samples a second; a prime, so as not to beat with anything periodic.
const FREQUENCY: i32 = 997;
/// Pixels.
const WIDTH: usize = 760;

/// Samples `run`, which goes on until the instant it is given, and draws where the time went.
pub(crate) fn draw(file: &Path, run: impl FnOnce(Instant)) -> Result<(), Box<dyn Error>> {
    // The unwinder itself must not be interrupted by a sample, and the vdso has no tables to unwind by. The allocator and
    // memmove, which pprof's documentation would leave out too, are half of what there is to see.
    let profiler =
        pprof::ProfilerGuardBuilder::default().frequency(FREQUENCY).blocklist(&["libgcc", "vdso"]).build()?;
    run(Instant::now() + FOR);
    let report = profiler.report().build()?;
    let mut stacks: BTreeMap<String, isize> = BTreeMap::new();
    for (stack, count) in &report.data {
        // pprof has the innermost frame first. It joins samples by the functions that were called; what was inlined into
        // one is then that of whichever sample came first, and would mislead, so it is left out.
        let called = stack.frames.iter().rev().filter_map(|symbols| symbols.last());
        let names: Vec<_> = called.map(|symbol| plain(&symbol.name())).collect();
        // What prepares and drops the inputs is not what the learner asked about, and neither is what calls the learner's
        // code.
        if names.iter().any(|name| name.contains("prepare_all") || name.contains("discard_all")) {
            continue;
        }
        let first = names.iter().rposition(|name| name.starts_with("harness::")).map_or(0, |last| last + 1);
        if first < names.len() {
            *stacks.entry(names[first..].join(";")).or_default() += count;
        }
    }
    let lines: Vec<_> = stacks.iter().map(|(stack, count)| format!("{stack} {count}")).collect();
    let mut options = look();
    pprof::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), File::create(file)?)?;
    Ok(())
}

/// As wide as a page of the book, so that the names in the boxes are not shrunk. Black letters stand out from every shade of
/// this palette by 4.5 to 1, which they do not from the usual red. The same name has the same colour in each picture.
fn look() -> Options<'static> {
    let mut options = Options::default();
    options.title = "Where the time goes".into();
    options.count_name = "samples".into();
    options.image_width = Some(WIDTH);
    options.frame_height = 18;
    options.colors = Palette::Basic(BasicPalette::Orange);
    options.bgcolors = "#ffffff".parse().ok();
    // An edge for each box: neighbours may have much the same colour. Dark, so that a box of one sample is seen.
    options.stroke_color = "#7a3d00".parse().unwrap_or(StrokeColor::None);
    options.deterministic = true;
    options
}

/// A function's name without type arguments: `core::fmt::write` and `Vec::push` say enough, and fit into a box.
fn plain(name: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_u32;
    let mut before = ' ';
    for letter in name.chars() {
        match letter {
            // `<T as Trait>::method` at the start of a name or a path is a name, not an argument; keep what is in it.
            '<' if out.is_empty() => {}
            '<' => depth += 1,
            '>' if before == '-' => {}
            '>' => depth = depth.saturating_sub(1),
            // A semicolon would end the frame.
            ';' => {}
            letter if depth == 0 => out.push(letter),
            _ => {}
        }
        before = letter;
    }
    out.replace("::::", "::").trim_end_matches("::").to_owned()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_are_cut_to_what_fits_into_a_box() {
        for (name, expected) in [
            ("allocation_budget::row", "allocation_budget::row"),
            ("alloc::vec::Vec<T,A>::push", "alloc::vec::Vec::push"),
            ("core::iter::Map<I,fn(u8) -> u8>::fold", "core::iter::Map::fold"),
            (
                "<alloc::string::String as core::fmt::Write>::write_str",
                "alloc::string::String as core::fmt::Write::write_str",
            ),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
