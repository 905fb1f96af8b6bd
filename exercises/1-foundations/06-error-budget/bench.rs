//! What fast means for recording and deciding: a cost that does not grow with what was recorded. Also draws the figures
//! of the chapter.

use std::{
    cell::{OnceCell, RefCell},
    process::ExitCode,
    rc::Rc,
};

use error_budget::{ErrorBudget, Objective, Severity};
use harness::{Rng, Side};

mod designs;
use designs::{detection, incidents, left, spent};

const OBJECTIVE: Objective = Objective { good_per_million: 999_000, days: 3 };
/// Requests of each minute of the history.
const REQUESTS: u64 = 10_000;
/// Minutes of the history.
const MINUTES: u64 = 4_320;
/// How many records one input adds before it asks: few against the history, many against none.
const BATCH: usize = 100;

/// Records a batch for a minute of its own and asks for the alert, after three days in which each minute's requests came in
/// so many records. One budget serves all inputs: to copy it would take longer than to use it.
fn after(records: u64) -> Side<(f64, Option<Severity>)> {
    let prepared = OnceCell::new();
    Side::new(
        move |rng: &mut Rng| {
            // Filled when the first input is made: nothing of the submission runs before it is asked to.
            let used: &Rc<RefCell<(ErrorBudget, u64)>> = prepared.get_or_init(|| {
                let mut budget = ErrorBudget::new(OBJECTIVE);
                for minute in 0..MINUTES {
                    (0..records).for_each(|_| budget.record(minute * 60, REQUESTS / records, 0));
                }
                Rc::new(RefCell::new((budget, MINUTES * 60)))
            });
            // Too few bad ones for any alert: what is timed must not depend on what came before.
            (used.clone(), rng.u64(1_000..2_000), rng.u64(1..100))
        },
        |(used, good, bad)| {
            let (budget, now) = &mut *used.borrow_mut();
            *now += 60;
            for _ in 0..BATCH {
                budget.record(*now, *good, 0);
            }
            budget.record(*now, 0, *bad);
            // The minute has nothing else in it, so its share is the same after any history.
            let share = budget.sli(*now, 1).unwrap_or(-1.0);
            ((share * 1e9).round(), budget.alert(*now))
        },
    )
}

fn main() -> ExitCode {
    harness::bench!()
        .growth(
            "does-not-grow",
            "What is recorded once is looked at again by each question, or by each record that follows. There are 4,320 \
             minutes in the longest window of an alert, and two counts a minute say all about it.",
            after(10),
            after(100),
        )
        .figure("error-budget-detection", "How long until an alert comes, by the share that fails", detection)
        .figure("error-budget-spent", "What has been spent when the alert comes", spent)
        .figure("error-budget-designs", "Five incidents, and what three alerts make of each", incidents)
        .figure("error-budget-left", "What is left of the budget of 30 days", left)
        .run()
}
