//! Reading the log of measurements that a learner keeps: rounds as TOML, and what is wrong with them, by line and field.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

const FILE: &str = "src/measurements.toml";

/// One round of the log. What is empty or 0 is yet to be written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Round {
    pub(crate) line: usize,
    pub(crate) step: Option<usize>,
    pub(crate) hypothesis: bool,
    pub(crate) share: Option<f64>,
    pub(crate) before: Option<f64>,
    pub(crate) after: Option<f64>,
}

/// A round in which nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Complete {
    pub(crate) number: usize,
    pub(crate) line: usize,
    pub(crate) step: usize,
    /// Percent of the whole when the round began.
    pub(crate) share: f64,
    /// The step's time before and after, in whatever unit.
    pub(crate) times: [f64; 2],
}

impl Complete {
    pub(crate) fn times_as_fast(&self) -> f64 {
        self.times[0] / self.times[1]
    }
}

/// The round, if nothing of it is missing.
pub(crate) fn whole(number: usize, round: &Round) -> Option<Complete> {
    let Round { line, step, hypothesis, share, before, after } = *round;
    let complete = Complete { number, line, step: step?, share: share?, times: [before?, after?] };
    hypothesis.then_some(complete)
}

/// What a round lacks, in words.
pub(crate) fn lacks(number: usize, round: &Round) -> Option<String> {
    let Round { line, step, hypothesis, share, before, after } = *round;
    let fields = [
        ("step", step.is_some()),
        ("hypothesis", hypothesis),
        ("share", share.is_some()),
        ("before", before.is_some()),
        ("after", after.is_some()),
    ];
    let missing: Vec<&str> = fields.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    match missing[..] {
        [] => None,
        [_, _, _, _, _] => Some(format!("Round {number} ({FILE}, line {line}) is not written yet.")),
        _ => Some(format!("Round {number} ({FILE}, line {line}) still lacks {}.", missing.join(", "))),
    }
}

/// What each field of a round holds.
const FIELDS: [(&str, &str); 5] = [
    ("step", "the name of the step, in quotes"),
    ("hypothesis", "in quotes, a sentence: why the step takes long, and what you expect of the change"),
    ("share", "what the step has of the whole when the round begins, in percent: a number above 0 and below 100"),
    ("before", "the step's time before the change: a number above 0, without a unit"),
    ("after", "the step's time after the change, in the unit of `before`: a number above 0"),
];

/// Reads the log. The error says what is wrong with it, on which line, and what should stand there.
pub(crate) fn read(text: &str, steps: &[&str]) -> Result<Vec<Round>, String> {
    let line = |span: Range<usize>| 1 + text[..span.start.min(text.len())].matches('\n').count();
    let at = |span: Range<usize>, what: &str| format!("{FILE}, line {}: {what}", line(span));
    let table = DeTable::parse(text).map_err(|error| {
        let what = format!("this is not TOML: {}.", error.message().replace('\n', " "));
        at(error.span().unwrap_or_default(), &what)
    })?;
    let heading = "each round begins with a line `[[round]]`, and its fields stand below that.";
    for (key, _) in table.get_ref() {
        if key.get_ref() != "round" {
            return Err(at(key.span(), &format!("`{}` is not known here; {heading}", key.get_ref())));
        }
    }
    let expected = format!("write {}, one for each of the steps {}.", steps.len(), steps.join(", "));
    let Some(rounds) = table.get_ref().get("round") else {
        return Err(format!("{FILE} holds no round; {expected}"));
    };
    let all = rounds.get_ref().as_array().filter(|all| all.iter().all(|round| round.get_ref().is_table()));
    let all = all.ok_or_else(|| at(rounds.span(), heading))?;
    let mut read: Vec<Round> = Vec::new();
    for (i, round) in all.iter().enumerate() {
        let fields = round.get_ref().as_table().expect("it was looked at above");
        let parsed = read_round(i + 1, line(round.span()), fields, steps)
            .map_err(|(span, what)| at(span.unwrap_or_else(|| round.span()), &what))?;
        if let (Some(step), Some(first)) =
            (parsed.step, read.iter().position(|earlier| earlier.step.is_some() && earlier.step == parsed.step))
        {
            let what = format!(
                "round {} is about {}, as round {} is. Each step has one round: if you came back to it, `before` is from \
                 the first time and `after` from the last.",
                i + 1,
                steps[step],
                first + 1
            );
            return Err(at(round.span(), &what));
        }
        read.push(parsed);
    }
    if read.len() != steps.len() {
        return Err(format!("{FILE} holds {} rounds; {expected}", read.len()));
    }
    Ok(read)
}

type Fault = (Option<Range<usize>>, String);

fn read_round(number: usize, line: usize, fields: &DeTable, steps: &[&str]) -> Result<Round, Fault> {
    for (key, _) in fields {
        if !FIELDS.iter().any(|(name, _)| *name == key.get_ref().as_ref()) {
            let names = FIELDS.map(|(name, _)| name).join(", ");
            let what = format!("`{}` is no field of a round; these are: {names}.", key.get_ref());
            return Err((Some(key.span()), what));
        }
    }
    let mut round = Round { line, ..Round::default() };
    for (name, holds) in FIELDS {
        let value: &Spanned<DeValue> =
            fields.get(name).ok_or_else(|| (None, format!("round {number} lacks `{name}`. Write {holds}.")))?;
        let wrong = |what: &str| (Some(value.span()), format!("`{name}` of round {number} {what}. Write {holds}."));
        let text = value.get_ref().as_str();
        match (name, text) {
            ("step", Some("")) => {}
            ("step", Some(step)) => {
                let known = steps.iter().position(|known| *known == step);
                let what = format!("is \"{step}\"; the steps are {}", steps.join(", "));
                round.step = Some(known.ok_or_else(|| wrong(&what))?);
            }
            ("hypothesis", Some(text)) => {
                let words = text.split_whitespace().count();
                if (1..5).contains(&words) {
                    return Err(wrong("is too short to be proved wrong"));
                }
                round.hypothesis = words > 0;
            }
            ("step" | "hypothesis", None) => return Err(wrong(&format!("is of type {}, not text", kind(value)))),
            (_, Some(_)) => return Err(wrong("is text, not a number")),
            (_, None) => {
                let figure = figure(value.get_ref())
                    .ok_or_else(|| wrong(&format!("is of type {}, not a number", kind(value))))?;
                if !figure.is_finite() || figure < 0.0 || (name == "share" && figure >= 100.0) {
                    return Err(wrong(&format!("is {figure}")));
                }
                let slot = match name {
                    "share" => &mut round.share,
                    "before" => &mut round.before,
                    _ => &mut round.after,
                };
                *slot = Some(figure).filter(|figure| *figure > 0.0);
            }
        }
    }
    Ok(round)
}

fn kind(value: &Spanned<DeValue>) -> &'static str {
    value.get_ref().type_str()
}

fn figure(value: &DeValue) -> Option<f64> {
    if let Some(float) = value.as_float() {
        return float.as_str().parse().ok();
    }
    let whole = value.as_integer().filter(|whole| whole.radix() == 10)?;
    whole.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [&str; 2] = ["read", "sort"];

    fn round(step: &str, share: &str, before: &str, after: &str) -> String {
        let hypothesis = "It looks for each row in all the others.";
        format!(
            "[[round]]\nstep = \"{step}\"\nhypothesis = \"{hypothesis}\"\nshare = {share}\nbefore = {before}\nafter = {after}\n"
        )
    }

    #[test]
    fn a_log_is_read_and_may_have_rounds_that_are_yet_to_come() {
        let empty = "[[round]]\nstep = \"\"\nhypothesis = \"\"\nshare = 0\nbefore = 0\nafter = 0.0\n";
        let rounds = read(&(round("sort", "80", "1_200.5", "6") + empty), &STEPS).unwrap();
        let first = whole(1, &rounds[0]).unwrap();
        assert_eq!((first.line, first.step, first.share, first.times), (1, 1, 80.0, [1200.5, 6.0]));
        assert_eq!((whole(2, &rounds[1]), lacks(1, &rounds[0])), (None, None));
        assert_eq!(lacks(2, &rounds[1]).unwrap(), "Round 2 (src/measurements.toml, line 7) is not written yet.");
        let half = read(&(round("sort", "80", "7", "0") + empty), &STEPS).unwrap();
        assert_eq!(lacks(1, &half[0]).unwrap(), "Round 1 (src/measurements.toml, line 1) still lacks after.");
    }

    #[test]
    fn a_malformed_log_is_refused_with_line_field_and_what_to_write() {
        let good = round("sort", "80", "7", "1");
        let with = |from: &str, to: &str| round("read", "20", "7", "1") + &good.replace(from, to);
        for (text, says) in [
            (String::new(), "src/measurements.toml holds no round; write 2, one for each of the steps read, sort."),
            (good.clone(), "holds 1 rounds; write 2"),
            (with("after = 1", "after = "), "line 12: this is not TOML"),
            (with("after = 1", "after = 1\nafter = 2"), "line 13: this is not TOML: duplicate key"),
            (with("[[round]]", "[[rounds]]"), "line 7: `rounds` is not known here; each round begins with"),
            ("round = 3".into(), "line 1: each round begins with a line `[[round]]`"),
            (
                with("after = 1\n", ""),
                "line 7: round 2 lacks `after`. Write the step's time after the change, in the unit",
            ),
            (with("after", "atfer"), "line 12: `atfer` is no field of a round; these are: step, hypothesis, share"),
            (
                with("before = 7", "before = \"7 ms\""),
                "line 11: `before` of round 2 is text, not a number. Write the step's",
            ),
            (with("before = 7", "before = [7]"), "line 11: `before` of round 2 is of type array, not a number"),
            (with("before = 7", "before = 0x7"), "line 11: `before` of round 2 is of type integer, not a number"),
            (with("before = 7", "before = nan"), "line 11: `before` of round 2 is NaN. Write"),
            (with("before = 7", "before = -7"), "line 11: `before` of round 2 is -7. Write"),
            (
                with("share = 80", "share = 100"),
                "line 10: `share` of round 2 is 100. Write what the step has of the whole",
            ),
            (
                with("step = \"sort\"", "step = 2"),
                "line 8: `step` of round 2 is of type integer, not text. Write the name",
            ),
            (
                with("\"sort\"", "\"sorting\""),
                "line 8: `step` of round 2 is \"sorting\"; the steps are read, sort. Write",
            ),
            (with("\"sort\"", "\"read\""), "line 7: round 2 is about read, as round 1 is. Each step has one round"),
            (with("It looks for each row in all the others.", "slow"), "line 9: `hypothesis` of round 2 is too short"),
        ] {
            let fault = read(&text, &STEPS).expect_err(says);
            assert!(fault.contains(says), "{fault}\ninstead of\n{says}");
        }
    }
}
