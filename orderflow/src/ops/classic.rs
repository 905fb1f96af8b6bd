//! Prometheus' older text format, for tools that read no other. It has no exemplars and no units, and calls counters by the
//! names of their samples.

use std::fmt::Write;

/// The same numbers in the older format.
pub(super) fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // The comments of a family, kept back until its type says what it is called.
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let ending = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                let _ = writeln!(text, "# HELP {name}{ending} {help}");
            }
            let kind = if kind == "unknown" { "untyped" } else { kind };
            let _ = writeln!(text, "# TYPE {name}{ending} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(without_exemplar(line));
            text.push('\n');
        }
    }
    text
}

/// A sample up to its exemplar. No label value of ours has what stands before one.
fn without_exemplar(line: &str) -> &str {
    line.split_once(" # {").map_or(line, |(sample, _)| sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_called_as_their_samples_are_and_exemplars_go() {
        let given = "# HELP hits Answers.\n# TYPE hits counter\nhits_total{level=\"a\"} 1 # {trace_id=\"0a\"} 1.0\n\
            # HELP wait_seconds How long.\n# TYPE wait_seconds histogram\n# UNIT wait_seconds seconds\n\
            wait_seconds_bucket{le=\"+Inf\"} 2 # {trace_id=\"0b\"} 0.5 1.5\nwait_seconds_count 2\n# EOF\n";
        assert_eq!(
            classic(given),
            "# HELP hits_total Answers.\n# TYPE hits_total counter\nhits_total{level=\"a\"} 1\n\
            # HELP wait_seconds How long.\n# TYPE wait_seconds histogram\n\
            wait_seconds_bucket{le=\"+Inf\"} 2\nwait_seconds_count 2\n"
        );
    }
}
