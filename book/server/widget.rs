//! Interactive figures: `{{#widget name}}` is a custom element of `book/theme/widgets/`, and inside it a figure and
//! words for readers without JavaScript. They are computed here, from the same formulas and for the values that the
//! element begins with, so that no number in them was typed.

mod burn_rate;
mod coordinated_omission;
mod percentile_merge;
mod queue_wait;

use catalogue::nearest;

use crate::{
    html::{escape, plain},
    scale::figure,
};

/// The widgets there are.
pub const NAMES: [&str; 4] = ["percentile-merge", "queue-wait", "coordinated-omission", "burn-rate"];

/// What stands in for a widget where no script runs.
struct Still {
    title: &'static str,
    /// An SVG.
    drawing: String,
    /// What the drawing shows, with the numbers.
    words: String,
}

/// The element `name` with its still. `id` is unique on the page.
///
/// # Errors
/// Names the widgets there are when `name` is none of them; says what cannot be drawn.
pub fn show(name: &str, id: &str) -> Result<String, String> {
    let still = match name {
        "percentile-merge" => percentile_merge::still(id),
        "queue-wait" => queue_wait::still(id),
        "coordinated-omission" => coordinated_omission::still(id),
        "burn-rate" => burn_rate::still(id),
        _ => {
            let near = nearest(name, NAMES)
                .map_or_else(|| format!("there are {}", NAMES.join(", ")), |near| format!("did you mean `{near}`?"));
            Err(format!("there is no widget `{name}`; {near}"))
        }
    };
    let Still { title, drawing, words } = still?;
    Ok(format!(
        "<{name}>\n<figure class=\"widget-figure\">\n<div class=\"scroll\" role=\"group\" aria-label=\"{}\" tabindex=\"0\">\n\
         {drawing}\n</div>\n<figcaption><p class=\"caption\">{}</p>\n<p>{}</p>\n<p class=\"origin\">Computed when the book was \
         built. With JavaScript the values can be changed here.</p></figcaption>\n</figure>\n</{name}>\n",
        plain(title),
        escape(title),
        escape(&words),
    ))
}

/// A duration as a reader takes it in: `40 ms`, `51.8 s`, `8.64 min`, `7.2 h`, `30 days`.
fn time(seconds: f64) -> String {
    let (size, unit) = match seconds {
        ..1.0 => (0.001, "ms"),
        ..100.0 => (1.0, "s"),
        ..6000.0 => (60.0, "min"),
        ..259_200.0 => (3600.0, "h"),
        _ => (86_400.0, "days"),
    };
    format!("{} {unit}", figure(seconds / size))
}

/// The place of a percentile, in thousandths, among `count` sorted values, counted from 1: the nearest rank.
fn nearest_rank(count: u64, thousandths: u64) -> u64 {
    (count * thousandths).div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let shown = [0.04, 51.84, 518.4, 25_920.0, 2_592_000.0].map(time);
        assert_eq!(shown, ["40 ms", "51.8 s", "8.64 min", "7.2 h", "30 days"]);
    }

    #[test]
    fn a_rank_is_rounded_up_and_never_before_the_first() {
        let ranks =
            [(10, 990), (100, 990), (1000, 999), (1, 500), (200, 990)].map(|(count, of)| nearest_rank(count, of));
        assert_eq!(ranks, [10, 99, 999, 1, 198]);
    }

    #[test]
    fn every_widget_has_a_still() {
        for name in NAMES {
            let html = show(name, "x").unwrap();
            assert!(html.starts_with(&format!("<{name}>\n")) && html.contains("<svg "), "{html}");
            assert!(!html.contains("\n\n"), "a blank line would end the HTML in Markdown: {html}");
        }
    }

    #[test]
    fn an_unknown_widget_is_told_of_a_near_one() {
        assert!(show("burn-rat", "x").unwrap_err().contains("did you mean `burn-rate`?"));
        assert!(show("zzzzzzzzz", "x").unwrap_err().contains("there are percentile-merge, "));
    }
}
