//! Findings and the reports made of them.

use catalogue::{Finding, Gate, Status, number};

fn gate() -> Gate {
    Gate { at_least: Some(5.0), at_most: None, unit: "x the starter's speed".into() }
}

#[test]
fn an_exact_figure_passes_on_its_gate_and_says_what_to_do_beside_it() {
    let gate = Gate { at_least: None, at_most: Some(20.0), unit: "allocations".into() };
    let on = Finding::exact(20.0, &gate, "Advice.");
    assert_eq!((on.status, on.message.as_str()), (Status::Pass, "20 allocations; the gate is at most 20."));
    let beside = Finding::exact(21.0, &gate, "Advice.");
    assert_eq!(
        (beside.status, beside.message.as_str()),
        (Status::Fail, "21 allocations; the gate is at most 20. Advice.")
    );
    assert_eq!(Finding::exact(23_169.0, &gate, "").message, "23,169 allocations; the gate is at most 20.");
}

#[test]
fn an_estimate_is_decided_only_when_its_whole_interval_is_on_one_side() {
    for (interval, expected) in [
        ([5.0, 9.0], Status::Pass),
        ([4.99, 9.0], Status::Inconclusive),
        ([1.0, 5.0], Status::Inconclusive),
        ([1.0, 4.99], Status::Fail),
    ] {
        let finding = Finding::estimated(4.5, interval, &gate(), "Advice.");
        assert_eq!(finding.status, expected, "{interval:?}");
        assert_eq!(finding.message.contains("Advice."), expected == Status::Fail, "{}", finding.message);
        assert!(finding.message.starts_with("4.5 x the starter's speed"), "{}", finding.message);
    }
}

#[test]
fn figures_are_written_for_people() {
    for (value, text) in [
        (0.0, "0"),
        (0.031, "0.031"),
        (0.5, "0.5"),
        (1.5, "1.5"),
        (9.474, "9.47"),
        (15.04, "15.0"),
        (1.001, "1.0"),
        (15.36, "15.4"),
        (123.4, "123"),
        (999.6, "1,000"),
        (1_000.0, "1,000"),
        (23_169.0, "23,169"),
        (-1_234_567.8, "-1,234,568"),
        (f64::INFINITY, "inf"),
    ] {
        assert_eq!(number(value), text);
    }
}
