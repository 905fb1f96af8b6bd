//! One run of a load, and several in turn.

use anyhow::{Result, ensure};
use orderflow_load::{Draft, Options, Target, run};
use serde::Serialize;

/// What one run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Answers a second.
    pub(crate) per_second: f64,
    /// The 99th percentile of latency, in milliseconds.
    pub(crate) p99_ms: f64,
}

/// Runs a load once. An answer other than the expected one makes the figure worthless, so it is an error.
pub(crate) fn load(draft: &Draft, url: &str, key: Option<&str>) -> Result<Run> {
    let mut target = Target::new(url, false)?;
    if let Some(key) = key {
        target = target.with_key(key)?;
    }
    let outcome = run(&draft.clone().check()?, &target, &Options::default(), &mut |_| {})?;
    let errors = outcome.counts.errors_in_all() + outcome.counts.dropped;
    ensure!(
        errors == 0 && outcome.counts.ok > 0,
        "{errors} of {} requests to {url} failed: {:?}",
        outcome.counts.sent,
        outcome.generator.examples
    );
    Ok(Run { per_second: outcome.ok_per_second, p99_ms: outcome.latency.p99_ms })
}

/// The middle of several figures, and how far they lie apart.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    /// The median.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) most: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let median =
            if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) };
        Self { median, least: figures[0], most: figures[figures.len() - 1] }
    }
}

/// Runs of two sides in turn; which goes first alternates, so that neither always finds the machine as the other left it.
pub(crate) fn alternate(
    rounds: usize,
    mut ours: impl FnMut() -> Result<Run>,
    mut peer: impl FnMut() -> Result<Run>,
) -> Result<Vec<(Run, Run)>> {
    (0..rounds)
        .map(|round| {
            if round % 2 == 0 {
                let ours = ours()?;
                Ok((ours, peer()?))
            } else {
                let peer = peer()?;
                Ok((ours()?, peer))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_the_median_and_the_ends() {
        let odd = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!([odd.median, odd.least, odd.most].map(|figure| figure.to_string()), ["2", "1", "3"]);
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median.to_string(), "2.5");
    }

    #[test]
    fn who_goes_first_alternates() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(Run { per_second: 1.0, p99_ms: 1.0 })
            }
        };
        assert_eq!(alternate(3, side('o'), side('p')).unwrap().len(), 3);
        assert_eq!(*order.borrow(), "oppoop");
    }
}
