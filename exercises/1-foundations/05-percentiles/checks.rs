//! What correct means for `Recorder` and `Summary`: true percentiles, of one instance and of all together, from little
//! memory.

use std::{fmt, process::ExitCode};

use harness::{Failed, Outcome, Rng, Trial};
use percentiles::{Recorder, Summary};

mod inputs;
use inputs::{HOUR, log_normal};

fn main() -> ExitCode {
    harness::checks!()
        .check("one-instance", one_instance)
        .check("edges", edges)
        .check("merge-order", merge_order)
        .check("merged", merged)
        .check("bounded-memory", bounded_memory)
        .run()
}

fn one_instance(t: &mut Trial) -> Outcome {
    let rng = &mut t.rng;
    let mut many = |draw: &dyn Fn(&mut Rng) -> u64| (0..10_000).map(|_| draw(rng)).collect();
    let cases: [(&str, Vec<u64>); 7] = [
        ("100 latencies of 10, 20, 30 .. 1,000 ms", (1..=100).map(|i| i * 10_000).collect()),
        ("uniform latencies up to 2 s", many(&|rng| rng.u64(1..=2_000_000))),
        ("latencies up to 200 us", many(&|rng| rng.u64(1..=200))),
        ("log-normal latencies around 20 ms", many(&|rng| log_normal(rng, 20_000.0, 1.0))),
        (
            "latencies of which 3 % missed the cache",
            many(&|rng| {
                let median = if rng.u32(..100) < 3 { 900_000.0 } else { 2_000.0 };
                log_normal(rng, median, 0.2)
            }),
        ),
        ("latencies from 1 us to an hour", many(&any_magnitude)),
        ("10,000 times the same latency", vec![rng.u64(1_000..HOUR); 10_000]),
    ];
    for (what, latencies) in cases {
        let recorder = recorded(&latencies);
        let sorted = sorted(latencies);
        for q in [0.0, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0] {
            near(recorder.percentile(q), exact(&sorted, q)).map_err(|seen| {
                Failed::because(format!(
                    "{what}: {} {seen}. One recorder answers within 1 % of the exact value plus 1 us, whatever it \
                     recorded.",
                    name(q)
                ))
            })?;
        }
    }
    Ok(())
}

fn edges(t: &mut Trial) -> Outcome {
    let empty = Recorder::new();
    t.expect("the count of an empty recorder", Grouped(empty.count())).equals(Grouped(0))?;
    t.expect("the p50 of an empty recorder", empty.percentile(0.5).map(Grouped)).equals(None)?;
    t.expect("the p50 of its summary", empty.summary().percentile(0.5).map(Grouped)).equals(None)?;
    let nothing = Summary::merge(&[]);
    t.expect("the count of no summaries merged", Grouped(nothing.count())).equals(Grouped(0))?;
    t.expect("the p99 of no summaries merged", nothing.percentile(0.99).map(Grouped)).equals(None)?;
    let empties = Summary::merge(&[nothing, empty.summary()]);
    t.expect("the p99 of two empty summaries merged", empties.percentile(0.99).map(Grouped)).equals(None)?;

    for (recorded_as, micros) in [
        (1, 0),
        (1, 1),
        (2, 2),
        (127, 127),
        (128, 128),
        (123_456_789, 123_456_789),
        (HOUR - 1, HOUR - 1),
        (HOUR, HOUR),
        (HOUR, HOUR + 1),
        (HOUR, u64::MAX),
    ] {
        let one = recorded(&[micros]);
        let merged = Summary::merge(&[one.summary(), Recorder::new().summary()]);
        let only = us(micros);
        t.expect(format!("the count after {only} was recorded"), Grouped(one.count())).equals(Grouped(1))?;
        t.expect("the count of its summary, merged with an empty one", Grouped(merged.count())).equals(Grouped(1))?;
        for q in [f64::NAN, f64::NEG_INFINITY, -0.5, 0.0, 0.5, 0.99, 1.0, 1.5, f64::INFINITY] {
            for (whose, answer) in [("recorder", one.percentile(q)), ("summary", merged.percentile(q))] {
                near(answer, recorded_as).map_err(|seen| {
                    Failed::because(format!("only {only} was recorded: percentile({q}) of the {whose} {seen}"))
                })?;
            }
        }
    }

    // No answer is asked between the two latencies here, so this holds at any accuracy.
    let two = recorded(&[5, u64::MAX]);
    for (q, expected) in [(f64::NAN, 5), (-1.0, 5), (0.0, 5), (1.0, HOUR), (2.0, HOUR)] {
        near(two.percentile(q), expected).map_err(|seen| {
            Failed::because(format!("5 us and more than an hour were recorded: percentile({q}) {seen}"))
        })?;
    }
    Ok(())
}

fn merge_order(t: &mut Trial) -> Outcome {
    let mut instance = |requests, median| {
        let latencies: Vec<u64> = (0..requests).map(|_| log_normal(&mut t.rng, median, 0.5)).collect();
        recorded(&latencies).summary()
    };
    let [a, b, c] = [instance(2_000, 20_000.0), instance(300, 300_000.0), instance(1, 3_000_000.0)];
    let empty = Recorder::new().summary();
    let merge = |summaries: &[&Summary]| Summary::merge(&summaries.iter().copied().cloned().collect::<Vec<_>>());
    let at_once = merge(&[&a, &b, &c]);
    for (how, other) in [
        ("c, a and b", merge(&[&c, &a, &b])),
        ("a and b first, then c", merge(&[&merge(&[&a, &b]), &c])),
        ("b and c first, then a", merge(&[&a, &merge(&[&b, &c])])),
        ("a, b and c with empty ones between", merge(&[&empty, &a, &empty, &b, &merge(&[&empty, &c])])),
    ] {
        t.expect(format!("the count of {how}"), Grouped(other.count())).equals(Grouped(2_301))?;
        for q in [0.5, 0.9, 0.99, 0.999] {
            let [same, answer] = [&at_once, &other].map(|summary| summary.percentile(q).unwrap_or(0));
            // Either of them may be off by 1 % plus 1 us.
            if same.abs_diff(answer) as f64 > 0.02 * same as f64 + 2.0 {
                return Err(Failed::because(format!(
                    "Instances a, b and c, with 2,000, 300 and 1 requests: merged at once their {} is {}, but {} when \
                     merged as {how}. The dashboard merges instances to regions and regions to the fleet, so the order \
                     must not matter.",
                    name(q),
                    us(same),
                    us(answer),
                )));
            }
        }
    }
    Ok(())
}

fn merged(t: &mut Trial) -> Outcome {
    let slow = t.rng.u32(850..1_000);
    let fleets: [(&str, &[(usize, u32)]); 4] = [
        // What each instance served, and its median in milliseconds.
        (
            "one slow instance, 2 % of the requests",
            &[(4_900, 100), (4_900, 100), (4_900, 100), (4_900, 100), (400, slow)],
        ),
        ("five instances alike", &[(2_000, 20); 5]),
        ("instances of all sizes, one idle", &[(10, 5), (1_000, 80), (8_990, 2), (0, 20)]),
        ("a fleet of one", &[(10_000, 20)]),
    ];
    for (what, fleet) in fleets {
        let mut all = Vec::new();
        let mut instances = Vec::new();
        for (requests, median) in fleet {
            let latencies: Vec<u64> =
                (0..*requests).map(|_| log_normal(&mut t.rng, f64::from(*median) * 1_000.0, 0.3)).collect();
            instances.push(recorded(&latencies));
            all.extend(latencies);
        }
        let all = sorted(all);
        let summaries: Vec<Summary> = instances.iter().map(Recorder::summary).collect();
        let merged = Summary::merge(&summaries);
        let requests = Grouped(all.len() as u64);
        t.expect(format!("{what}: the count of all together"), Grouped(merged.count())).equals(requests)?;
        for q in [0.99, 0.5, 0.75, 0.9, 0.95, 0.999, 0.0, 1.0] {
            near(merged.percentile(q), exact(&all, q)).map_err(|seen| {
                let each: Vec<String> =
                    instances.iter().map(|instance| instance.percentile(q).map_or("none".into(), us)).collect();
                Failed::because(format!(
                    "{what}: {} of the {requests} requests together {seen}. The instances' own are {}. No arithmetic on those \
                     gives the fleet's: they say nothing of how many requests of each instance are slower than a given \
                     latency. Ship what can be added.",
                    name(q),
                    each.join(", "),
                ))
            })?;
        }
    }
    Ok(())
}

fn bounded_memory(t: &mut Trial) -> Outcome {
    // Ascending, so that a recorder that keeps them in order is not kept waiting.
    let latencies = sorted((0..100_000).map(|_| any_magnitude(&mut t.rng)).collect());
    let (heap, (recorder, summary)) = harness::heap(|| {
        let recorder = recorded(&latencies);
        let summary = recorder.summary();
        (recorder, summary)
    });
    t.measure(
        heap.live_bytes as f64 / 1_024.0,
        "It keeps something for every request, and a busy instance has a hundred thousand in ten seconds. Within 1 %, \
         there are fewer than 2,000 latencies from 1 us to an hour that differ: how often each occurred is enough.",
    )?;
    const ASKED: [f64; 6] = [0.5, 0.1, 0.25, 0.75, 0.9, 0.99];
    for q in ASKED {
        near(recorder.percentile(q), exact(&latencies, q)).map_err(|seen| {
            Failed::because(format!(
                "It is small enough, but after 100,000 latencies, shortest first, {} of the recorder {seen}. Every latency \
                 counts, the first as much as the last.",
                name(q)
            ))
        })?;
    }
    for q in ASKED {
        near(summary.percentile(q), exact(&latencies, q)).map_err(|seen| {
            Failed::because(format!(
                "It is small enough, and the recorder is right, but {} of its summary {seen}. A summary answers for any \
                 percentile, so all that the recorder knows has to be shipped, not some answers chosen beforehand.",
                name(q)
            ))
        })?;
    }
    Ok(())
}

/// A latency from a microsecond to an hour, where each doubling is as likely as any other.
fn any_magnitude(rng: &mut Rng) -> u64 {
    ((HOUR as f64).powf(rng.f64()) as u64).clamp(1, HOUR)
}

/// The exact percentile: the smallest of the `sorted` latencies that at least `q` of them do not exceed.
fn exact(sorted: &[u64], q: f64) -> u64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

fn recorded(latencies: &[u64]) -> Recorder {
    let mut recorder = Recorder::new();
    for &micros in latencies {
        recorder.record(micros);
    }
    recorder
}

fn sorted(mut latencies: Vec<u64>) -> Vec<u64> {
    latencies.sort_unstable();
    latencies
}

/// Whether `answer` differs from `exact` by at most 1 % of it plus 1 us; if not, what was seen, as the end of a sentence.
fn near(answer: Option<u64>, exact: u64) -> Result<(), String> {
    let Some(answer) = answer else {
        return Err(format!("is {}, and the answer None", us(exact)));
    };
    let error = answer.abs_diff(exact) as f64;
    if error <= 0.01 * exact as f64 + 1.0 {
        return Ok(());
    }
    let too = if answer > exact { "long" } else { "short" };
    let factor = answer.max(exact) as f64 / answer.min(exact).max(1) as f64;
    let off = match factor {
        ..2.0 => format!("{:.1} % too {too}", 100.0 * error / exact as f64),
        ..10.0 => format!("too {too} by a factor of {factor:.1}"),
        _ => format!("too {too} by a factor of {}", Grouped(factor.round() as u64)),
    };
    Err(format!("is {}, and the answer {}: {off}", us(exact), us(answer)))
}

/// 0.999 is p99.9.
fn name(q: f64) -> String {
    format!("p{}", q * 100.0)
}

fn us(micros: u64) -> String {
    format!("{} us", Grouped(micros))
}

/// A number as messages show it: 1234567 is 1,234,567.
#[derive(Clone, Copy, PartialEq)]
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let digits = self.0.to_string();
        let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
        f.write_str(&groups.join(","))
    }
}

impl fmt::Debug for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
