//! The timed checks of one exercise: gates for the verdict, criterion reports and flamegraphs for the learner.

use std::{hint::black_box, path::Path, process::ExitCode, time::Duration};

use catalogue::{Finding, Gate, Kind, Spec, Status, evidence::Figure};
use fastrand::Rng;

use crate::{
    Outcome, Report, Step, Trial,
    clock::Clock,
    graded,
    log::Log,
    paired,
    side::{Amount, Side, pair},
    suite::{self, Check},
};

/// Draws one figure for the book.
type Draw = fn() -> Figure;
/// Runs code that a page of the book shows, on inputs from a seed.
type Example = fn(u64);
type Timed = Box<dyn Fn(&Gate, u64, Duration) -> Finding>;

struct Entry {
    name: &'static str,
    verdict: Timed,
    /// Runs the learner's code once with about this many inputs.
    learner: Box<dyn Fn(u64, usize)>,
    #[cfg(feature = "standalone")]
    criterion: Box<dyn Fn(&mut criterion::Criterion)>,
}

/// The timed checks of one exercise, by name.
pub struct Bench {
    spec: Spec,
    entries: Vec<Entry>,
    log: Option<(&'static str, Log)>,
    accuracies: Vec<(&'static str, Check)>,
    reports: Vec<Report>,
    figures: Vec<(&'static str, &'static str, Draw)>,
    examples: Vec<(&'static str, Example)>,
}

impl Bench {
    #[doc(hidden)]
    pub fn new(exercise_toml: &str) -> Self {
        Self {
            spec: suite::read(exercise_toml),
            entries: Vec::new(),
            log: None,
            accuracies: Vec::new(),
            reports: Vec::new(),
            figures: Vec::new(),
            examples: Vec::new(),
        }
    }

    /// Defines the check of kind `speed` that `exercise.toml` lists under `name`: the baseline's time divided by the
    /// submission's, on the same inputs, whose results must be equal. `advice` follows the figures when it fails.
    pub fn speed<O: PartialEq + 'static>(
        self,
        name: &'static str,
        advice: &'static str,
        baseline: Side<O>,
        yours: Side<O>,
    ) -> Self {
        self.entry(
            name,
            advice,
            ["baseline", "yours"],
            [baseline, yours],
            [Clock::Thread, Clock::Process],
            |[baseline, yours]| baseline / yours,
        )
    }

    /// Defines the check of kind `growth` that `exercise.toml` lists under `name`: the submission's time on inputs ten
    /// times the size, divided by its time on the smaller ones. The two sides' results must be equal, so they return
    /// something that does not depend on the size.
    pub fn growth<O: PartialEq + 'static>(
        self,
        name: &'static str,
        advice: &'static str,
        small: Side<O>,
        ten_times: Side<O>,
    ) -> Self {
        self.entry(name, advice, ["10 n", "n"], [ten_times, small], [Clock::Process; 2], |[ten_times, small]| {
            ten_times / small
        })
    }

    fn entry<O: PartialEq + 'static>(
        mut self,
        name: &'static str,
        advice: &'static str,
        labels: [&'static str; 2],
        sides: [Side<O>; 2],
        clocks: [Clock; 2],
        ratio: fn([f64; 2]) -> f64,
    ) -> Self {
        self.listed(name, Kind::timed);
        // Only criterion's report names the sides.
        #[cfg(not(feature = "standalone"))]
        let _ = labels;
        let sides = std::rc::Rc::new(sides);
        let [for_verdict, for_learner] = [sides.clone(), sides.clone()];
        self.entries.push(Entry {
            name,
            verdict: Box::new(move |gate, seed, budget| {
                verdict(&for_verdict, clocks, ratio, gate, seed, budget, advice)
            }),
            learner: Box::new(move |seed, inputs| {
                black_box((for_learner[1].time)(seed, Amount::once(inputs), Clock::Stopped));
            }),
            #[cfg(feature = "standalone")]
            criterion: Box::new(move |criterion| {
                let mut group = criterion.benchmark_group(name);
                for (label, side) in labels.iter().zip(&*sides) {
                    group.bench_function(*label, |bencher| (side.criterion)(bencher));
                }
            }),
        });
        self
    }

    /// Defines the check of kind `measurements` that `exercise.toml` lists under `name`: `log` is what the learner wrote
    /// into src/measurements.toml, one round for each of `steps`, and is compared with measuring them again.
    pub fn measurements(mut self, name: &'static str, log: &'static str, steps: Vec<Step>) -> Self {
        self.listed(name, |kind| kind == Kind::Measurements);
        self.log = Some((name, Log::new(log, steps)));
        self
    }

    /// Adds code that a page of the book shows. `cargo xtask evidence` draws its flamegraph when a page asks for
    /// `SLUG-flamegraph-NAME`.
    pub fn example(mut self, name: &'static str, run: Example) -> Self {
        self.examples.push((name, run));
        self
    }

    /// Defines the check of kind `accuracy` that `exercise.toml` lists under `name`: the submission measures something
    /// whose truth the check knows, and the check says by [`Trial::measure`] how far off it was. It is run here, where no
    /// counting allocator is in the way. A machine that is too noisy to know the truth is
    /// [inconclusive](crate::Failed::inconclusive).
    pub fn accuracy(
        mut self,
        name: &'static str,
        check: impl Fn(&mut Trial) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.listed(name, |kind| kind == Kind::Accuracy);
        self.accuracies.push((name, Box::new(check)));
        self
    }

    fn listed(&self, name: &str, is: impl Fn(Kind) -> bool) {
        let listed = self.spec.check(name).filter(|check| is(check.kind));
        assert!(listed.is_some(), "exercise.toml lists no such check named {name}");
    }

    /// Adds criterion benches that decide nothing; `cargo xtask bench` runs them with the others.
    pub fn report(mut self, report: Report) -> Self {
        self.reports.push(report);
        self
    }

    /// Adds a figure for the book, made from the submission's code when `cargo xtask evidence` asks for it.
    pub fn figure(mut self, name: &'static str, title: &'static str, draw: Draw) -> Self {
        self.figures.push((name, title, draw));
        self
    }

    /// Runs them as the process's arguments ask.
    pub fn run(self) -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["--graded"] => graded::serve(|brief, name| {
                let budget = Duration::from_millis(brief.budget_ms);
                if let Some((_, log)) = self.log.as_ref().filter(|(defined, _)| *defined == name) {
                    return Some(graded::guarded(|| log.verdict(brief.seed, budget)));
                }
                if let Some((_, check)) = self.accuracies.iter().find(|(defined, _)| *defined == name) {
                    return Some(suite::run_one(&brief.spec, name, check, brief.seed));
                }
                let entry = self.entries.iter().find(|entry| entry.name == name)?;
                let gate = brief.spec.check(name)?.gate.as_ref()?;
                Some(graded::guarded(|| (entry.verdict)(gate, brief.seed, budget)))
            }),
            ["--figures"] => {
                let figures: Vec<_> = self.figures.iter().map(|(name, title, draw)| (name, title, draw())).collect();
                println!("{}", serde_json::to_string(&figures).expect("a figure is plain data"));
                ExitCode::SUCCESS
            }
            ["--profile", file] => self.profile(Path::new(file)),
            ["--once"] => self.once(),
            ["--profile", file, example] => self.profile_example(Path::new(file), example),
            _ => self.standalone(),
        }
    }

    /// Runs the learner's side of the first timed check under a sampling profiler.
    fn profile(&self, file: &Path) -> ExitCode {
        let Some(entry) = self.entries.first() else {
            eprintln!("no check of this exercise compares your code's time with another");
            return ExitCode::FAILURE;
        };
        flamegraph(file, |seed| (entry.learner)(seed, 8))
    }

    /// Runs code that the book shows under a sampling profiler.
    fn profile_example(&self, file: &Path, name: &str) -> ExitCode {
        let Some((_, run)) = self.examples.iter().find(|(example, _)| *example == name) else {
            eprintln!("bench.rs defines no example {name}");
            return ExitCode::FAILURE;
        };
        flamegraph(file, run)
    }

    /// Runs the learner's side of the first timed check once, for a program that watches from outside.
    fn once(&self) -> ExitCode {
        let Some(entry) = self.entries.first() else {
            eprintln!("this exercise has no timed check");
            return ExitCode::FAILURE;
        };
        (entry.learner)(1, 1);
        ExitCode::SUCCESS
    }

    #[cfg(feature = "standalone")]
    fn standalone(self) -> ExitCode {
        // `cargo test` runs benches too, and asks them to be quick about it; criterion then runs each once.
        let mut criterion = criterion::Criterion::default().configure_from_args();
        if let Some((_, log)) = &self.log
            && !std::env::args().any(|argument| argument == "--test" || argument == "--list")
        {
            println!("{}", log.table());
        }
        for entry in &self.entries {
            (entry.criterion)(&mut criterion);
        }
        for report in &self.reports {
            report.run(&mut criterion);
        }
        criterion.final_summary();
        ExitCode::SUCCESS
    }

    #[cfg(not(feature = "standalone"))]
    fn standalone(self) -> ExitCode {
        // Only the other build has criterion.
        let _ = self.reports;
        graded::explain()
    }
}

fn verdict<O: PartialEq + 'static>(
    sides: &[Side<O>; 2],
    clocks: [Clock; 2],
    ratio: fn([f64; 2]) -> f64,
    gate: &Gate,
    seed: u64,
    budget: Duration,
    advice: &str,
) -> Finding {
    let amount = Amount::once(sides[0].inputs_a_sample(clocks[0], seed));
    let mut rng = Rng::with_seed(seed);
    let mut differs = false;
    let estimate = paired::sample(
        budget,
        |swapped| {
            let (times, results) = pair(sides, clocks, rng.u64(..), [amount; 2], swapped);
            differs |= results[0] != results[1];
            ratio(times)
        },
        |estimate| estimate.interval.map(|end| gate.admits(end)).windows(2).all(|ends| ends[0] == ends[1]),
    );
    if differs {
        let message = "While it was timed, a result differed from the baseline's on the same input. Speed counts only for \
                       right answers: run the other checks with this input in mind, and do not keep results between calls.";
        return Finding::new(Status::Fail, message);
    }
    Finding::estimated(estimate.median, estimate.interval, gate, advice)
}

/// Samples `run`, which is called with one seed after the other.
#[cfg(all(unix, feature = "profile"))]
fn flamegraph(file: &Path, run: impl Fn(u64)) -> ExitCode {
    let until = |end| {
        let mut seed = 0;
        while std::time::Instant::now() < end {
            run(seed);
            seed += 1;
        }
    };
    match crate::flamegraph::draw(file, until) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("no flamegraph: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(all(unix, feature = "profile")))]
fn flamegraph(_: &Path, _: impl Fn(u64)) -> ExitCode {
    eprintln!("no flamegraph: this build has no profiler, or the system has none that works");
    ExitCode::FAILURE
}
