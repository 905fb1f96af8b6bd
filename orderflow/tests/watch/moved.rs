//! A family that is declared and that nothing ever moves is a defect.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    client::Client,
    fleet::{Fleet, until_none},
};

/// Families that the story does not move, and the suite that does.
const ELSEWHERE: [(&str, &str); 5] = [
    // A budget that is used up takes a hundred failures on end.
    ("retries_denied", "tests/resilience/retry.rs"),
    // A worker has to be killed in the middle of sending.
    ("mail_repeats_possible", "tests/jobs/killed.rs"),
    // Somebody else has to write into the queue.
    ("broker_rejected", "tests/broker/messages.rs"),
    // A client has to be slower than all others, for long.
    ("event_streams_dropped", "tests/events/edge.rs"),
    // Tasks wait there for so short a time that nobody need ever see one.
    ("tokio_global_queue_depth", "src/ops/runtime.rs"),
];

/// Whether a sample is one of a family that another suite moves.
pub(crate) fn elsewhere(sample: &str) -> bool {
    ELSEWHERE.iter().any(|(family, _)| sample.strip_suffix("_total").unwrap_or(sample) == *family)
}

/// The sample of each family that tells whether it was moved.
fn samples(fleet: &Fleet) -> BTreeSet<String> {
    let mut samples = BTreeSet::new();
    for process in [&fleet.instance, &fleet.worker, &fleet.scheduler] {
        let text = Client::new(process.ops).get("/metrics").body;
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            samples.insert(match kind {
                "counter" => format!("{name}_total"),
                "histogram" => format!("{name}_count"),
                "gauge" => name.to_owned(),
                kind => panic!("{name} is a {kind}"),
            });
        }
    }
    assert!(samples.len() > 50, "only {} families were found", samples.len());
    samples
}

pub(crate) fn every_family_has_moved(fleet: &Fleet) {
    until_none("nothing has moved these families", || {
        let moved = |sample: &String| fleet.shows(&format!("max(max_over_time({sample}[30m])) > 0"));
        samples(fleet).into_iter().filter(|sample| !elsewhere(sample) && !moved(sample)).collect()
    });
}

#[test]
fn what_the_story_leaves_out_is_moved_by_the_suite_that_is_named() {
    for (family, suite) in ELSEWHERE {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(suite));
        let text = text.unwrap_or_else(|error| panic!("{suite}: {error}"));
        // Where tests stand beside the code, only they count: a family's name is in the code that declares it.
        let text = text.split_once("#[cfg(test)]").map_or(&*text, |(_, tests)| tests);
        let told = text.lines().any(|line| line.contains(family) && !line.trim_start().starts_with("//"));
        assert!(told, "{suite} does not look at {family}");
    }
}
