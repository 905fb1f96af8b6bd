//! Verdicts on figures: by their budgets, and by what they were before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::{Figure, History, Levels, Limits};

/// A figure of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Of an even number, the lower one of the two in the middle. `None` of nothing.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        Some(Self { median: values[(values.len() - 1) / 2], least, most })
    }
}

/// What a figure amounts to, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Ok,
    /// Within what is asked, and short of what is aimed for.
    OffTarget,
    Warning,
    Failed,
}

/// How a figure stands to earlier measurements on the same machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Before {
    /// The median of their medians.
    pub(super) median: f64,
    /// How many there are.
    pub(super) runs: usize,
    /// How many times worse it is now; below 1 it is better.
    pub(super) worse: f64,
    /// Whether that is beyond the spread of both.
    pub(super) beyond_noise: bool,
}

/// One figure, judged.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Judged {
    pub(super) figure: Figure,
    /// `None` where there was nothing to measure.
    pub(super) value: Option<Spread>,
    pub(super) target: f64,
    pub(super) warn: Option<f64>,
    pub(super) fail: Option<f64>,
    pub(super) before: Option<Before>,
    pub(super) verdict: Verdict,
    /// Why, where it is not that a level was missed.
    pub(super) why: Option<String>,
}

/// Judges what was measured of a scenario. `earlier` are the same figures of earlier measurements, the latest last.
pub(super) fn judge(
    limits: &Limits,
    scenario: &str,
    figures: &BTreeMap<Figure, Option<Spread>>,
    earlier: &[BTreeMap<Figure, Spread>],
) -> Vec<Judged> {
    let judged_here = limits.budget.iter().filter(|(_, levels)| levels.judge_in(scenario));
    judged_here
        .filter_map(|(figure, levels)| {
            let value = *figures.get(figure)?;
            let earlier: Vec<_> = earlier.iter().filter_map(|figures| figures.get(figure).copied()).collect();
            Some(one(*figure, levels, value, &limits.history, &earlier))
        })
        .collect()
}

fn one(figure: Figure, levels: &Levels, value: Option<Spread>, history: &History, earlier: &[Spread]) -> Judged {
    let Levels { target, warn, fail, .. } = *levels;
    let mut judged = Judged { figure, value, target, warn, fail, before: None, verdict: Verdict::Ok, why: None };
    let Some(value) = value else {
        // Nothing measured keeps no limit, and a figure that vanished must not go by unseen.
        judged.verdict = if fail.is_some() { Verdict::Failed } else { Verdict::Warning };
        judged.why = Some("there was nothing to measure".into());
        return judged;
    };
    let missed = |level: Option<f64>| level.is_some_and(|level| !figure.keeps(value.median, level));
    judged.verdict = match () {
        () if missed(fail) => Verdict::Failed,
        () if missed(warn) => Verdict::Warning,
        () if missed(Some(target)) => Verdict::OffTarget,
        () => Verdict::Ok,
    };
    if figure.has_ratio() {
        judged.before = compare(figure, value, earlier);
    }
    if let Some(before) = judged.before.as_ref().filter(|before| before.beyond_noise && before.worse >= history.warn) {
        let enough = before.runs >= history.enough as usize;
        let verdict = if before.worse >= history.fail && enough { Verdict::Failed } else { Verdict::Warning };
        judged.why = Some(format!("{:.2} times worse than before", before.worse));
        judged.verdict = judged.verdict.max(verdict);
    }
    judged
}

/// How `now` stands to `earlier`.
///
/// The spread of earlier measurements is from the median of their leasts to the median of their mosts, and from their least
/// to their greatest median, of which the one farthest off is left out where there are five or more: one bad day does not
/// hide all that comes after it.
fn compare(figure: Figure, now: Spread, earlier: &[Spread]) -> Option<Before> {
    let of = |part: fn(&Spread) -> f64| Spread::of(earlier.iter().map(part).collect());
    let medians = of(|spread| spread.median)?;
    let (mut least, mut most) = (medians.least, medians.most);
    if earlier.len() >= 5 {
        let far = |spread: &Spread| (spread.median - medians.median).abs();
        let mut near: Vec<_> = earlier.to_vec();
        near.sort_by(|a, b| far(a).total_cmp(&far(b)));
        near.pop();
        let near = Spread::of(near.iter().map(|spread| spread.median).collect())?;
        (least, most) = (near.least, near.most);
    }
    least = least.min(of(|spread| spread.least)?.median);
    most = most.max(of(|spread| spread.most)?.median);
    let (worse, beyond_noise) = if figure.higher_is_better() {
        (medians.median / now.median, now.most < least)
    } else {
        (now.median / medians.median, now.least > most)
    };
    // 0 of 0 is no ratio; something of 0 is, but JSON has no infinity.
    worse.is_finite().then_some(Before { median: medians.median, runs: earlier.len(), worse, beyond_noise })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64, noise: f64) -> Spread {
        Spread { median, least: median - noise, most: median + noise }
    }

    fn latency(value: Option<Spread>, earlier: &[Spread]) -> Judged {
        let levels = Levels { target: 300.0, warn: Some(400.0), fail: Some(500.0), scenarios: vec![] };
        let history = History { warn: 1.25, fail: 1.6, runs: 10, enough: 3 };
        one(Figure::P95Ms, &levels, value, &history, earlier)
    }

    fn hits(value: Spread, earlier: &[Spread]) -> Judged {
        let levels = Levels { target: 0.85, warn: Some(0.7), fail: None, scenarios: vec![] };
        let history = History { warn: 1.25, fail: 1.6, runs: 10, enough: 3 };
        one(Figure::CacheHits, &levels, Some(value), &history, earlier)
    }

    #[test]
    fn levels_decide_and_a_level_itself_is_kept() {
        for (median, verdict) in [
            (300.0, Verdict::Ok),
            (301.0, Verdict::OffTarget),
            (401.0, Verdict::Warning),
            (500.0, Verdict::Warning),
            (501.0, Verdict::Failed),
        ] {
            assert_eq!(latency(Some(spread(median, 1.0)), &[]).verdict, verdict, "{median}");
        }
        for (median, verdict) in [(0.85, Verdict::Ok), (0.84, Verdict::OffTarget), (0.69, Verdict::Warning)] {
            assert_eq!(hits(spread(median, 0.01), &[]).verdict, verdict, "{median}");
        }
    }

    #[test]
    fn nothing_measured_keeps_no_limit() {
        assert_eq!(latency(None, &[]).verdict, Verdict::Failed);
    }

    #[test]
    fn a_figure_that_is_worse_than_before_by_more_than_noise_is_told() {
        let steady = [spread(10.0, 0.5); 3];
        let slower = |median, noise| latency(Some(spread(median, noise)), &steady);
        assert_eq!(slower(20.0, 1.0).verdict, Verdict::Failed);
        assert_eq!(slower(20.0, 1.0).before.unwrap().worse, 2.0);
        assert_eq!(slower(14.0, 1.0).verdict, Verdict::Warning);
        assert_eq!(slower(12.0, 0.1).verdict, Verdict::Ok, "less than the ratio");
        assert_eq!(slower(20.0, 9.9).verdict, Verdict::Ok, "its own least is as before");
        assert_eq!(slower(5.0, 0.1).verdict, Verdict::Ok, "faster");
        // Two measurements are not enough to fail.
        assert_eq!(latency(Some(spread(20.0, 1.0)), &steady[..2]).verdict, Verdict::Warning);
        let noisy = [spread(10.0, 12.0), spread(12.0, 12.0), spread(9.0, 12.0)];
        assert_eq!(latency(Some(spread(20.0, 1.0)), &noisy).verdict, Verdict::Ok, "it was like that before, at times");
    }

    #[test]
    fn more_is_better_where_it_is() {
        let steady = [spread(0.95, 0.01); 4];
        assert_eq!(hits(spread(0.95, 0.01), &steady).verdict, Verdict::Ok);
        let fewer = hits(spread(0.75, 0.01), &steady);
        assert_eq!(fewer.verdict, Verdict::Warning, "{fewer:?}");
        assert!(fewer.why.unwrap().starts_with("1.27 times worse"));
    }

    #[test]
    fn one_bad_day_hides_nothing_and_a_bad_week_is_the_new_usual() {
        let mut days = vec![spread(10.0, 0.5); 5];
        days.push(spread(100.0, 0.5));
        assert_eq!(latency(Some(spread(30.0, 1.0)), &days).verdict, Verdict::Failed);
        days.extend([spread(100.0, 0.5); 7]);
        assert_eq!(latency(Some(spread(100.0, 1.0)), &days).verdict, Verdict::Ok);
    }

    #[test]
    fn no_ratio_is_made_of_nothing() {
        let judged = latency(Some(spread(0.0, 0.0)), &[spread(0.0, 0.0); 3]);
        assert_eq!((judged.before, judged.verdict), (None, Verdict::Ok));
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.0);
    }
}
