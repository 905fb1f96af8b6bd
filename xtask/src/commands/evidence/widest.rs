//! What a flamegraph shows, in words, for whoever cannot see it.

/// Functions that are named.
const MOST_NAMED: usize = 8;

/// The functions with the widest boxes of a flamegraph and their shares in percent. Each box has a title of its own, such as
/// `row (224 samples, 39.79%)`.
pub(super) fn boxes(svg: &str) -> Vec<(String, f64)> {
    let mut found: Vec<(String, f64)> = Vec::new();
    for title in svg.split("<title>").skip(1).filter_map(|rest| rest.split("</title>").next()) {
        let Some((name, counts)) = title.rsplit_once(" (") else { continue };
        let share = counts.rsplit_once(", ").and_then(|(_, share)| share.trim_end_matches("%)").parse::<f64>().ok());
        let Some(share) = share.filter(|_| name != "all" && !name.contains("closure")) else { continue };
        let name = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
            .iter()
            .fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, widest)) => *widest = widest.max(share),
            None => found.push((name, share)),
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(MOST_NAMED);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_boxes_of_a_flamegraph_are_named_once() {
        let titles = [
            "all (400 samples, 100%)",
            "(closure#2) (400 samples, 100.00%)",
            "free (20 samples, 5.00%)",
            "row (300 samples, 75.00%)",
            "free (40 samples, 10.00%)",
            "&amp;str as Display (8 samples, 2.00%)",
        ];
        let svg = titles.map(|name| format!("<g><title>{name}</title></g>")).concat();
        let expected = [("row", 75.0), ("free", 10.0), ("&str as Display", 2.0)];
        assert_eq!(boxes(&svg), expected.map(|(name, share)| (name.to_owned(), share)));
    }
}
