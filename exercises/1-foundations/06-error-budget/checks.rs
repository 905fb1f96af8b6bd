//! What correct means for `ErrorBudget`: the answers of an oracle that keeps everything, from little memory.

use std::process::ExitCode;

use error_budget::{ErrorBudget, Objective, Severity};
use harness::{Failed, Outcome, Rng, Trial};

mod incidents;
mod oracle;
mod service;
use oracle::RULES;
use service::{Service, grouped, objective, span, word};

fn main() -> ExitCode {
    harness::checks!()
        .check("even-traffic", even_traffic)
        .check("late-records", late_records)
        .check("uneven-traffic", uneven_traffic)
        .check("no-traffic", no_traffic)
        .check("alerts", incidents::alerts)
        .check("exact-factors", exact_factors)
        .check("bounded-memory", bounded_memory)
        .run()
}

fn even_traffic(t: &mut Trial) -> Outcome {
    for days in [3, 7] {
        let mut service = Service::new(Objective { days, ..objective(&mut t.rng) }, &mut t.rng);
        let requests = t.rng.u64(1_000..5_000);
        let minutes = service.truth.days();
        for _ in 0..minutes {
            let bad = t.rng.u64(..requests / 50);
            service.minute(requests - bad, bad);
        }
        for window in [1, 5, 30, 60, 120, 360, 1_440, 4_320, minutes] {
            let what = format!("{days} days with {requests} requests in each minute");
            service.agrees(&what, window)?;
        }

        // One minute of failures, looked at by windows that just hold it, and that just do not.
        let mut service = Service::new(service.truth.objective, &mut t.rng);
        let spike = t.rng.u64(10..minutes - 10);
        for minute in 0..minutes {
            let bad = if minute == spike { requests } else { 0 };
            service.minute(requests - bad, bad);
        }
        let ago = minutes - spike;
        for window in [ago - 1, ago, ago + 1] {
            let what =
                format!("{requests} requests in each minute, of which only those {} minutes ago failed", ago - 1);
            service.agrees(&what, window)?;
        }
        // The minute that the clock is in changes at its first second.
        for seconds in [0, 59] {
            service.now = service.now / 60 * 60 + seconds;
            service.agrees_on_shares(&format!("asked at second {seconds} of the latest minute"), ago)?;
            service.agrees_on_shares(&format!("asked at second {seconds} of the latest minute"), ago - 1)?;
        }
        service.now += 1;
        service.agrees_on_shares("asked a second after the latest minute has ended", ago)?;
        service.agrees_on_shares("asked a second after the latest minute has ended", ago + 1)?;
    }
    Ok(())
}

fn late_records(t: &mut Trial) -> Outcome {
    let objective = Objective { days: 3, ..objective(&mut t.rng) };
    let mut service = Service::new(objective, &mut t.rng);
    let requests = t.rng.u64(1_000..5_000);
    let (first, minutes) = (service.now / 60, service.truth.days());
    let mut late = Vec::new();
    for minute in first..first + minutes {
        let bad = t.rng.u64(..requests / 50);
        if t.rng.u32(..10) == 0 && minute + 1 < first + minutes {
            late.push((minute, bad));
        } else {
            service.record(minute * 60 + t.rng.u64(..60), requests - bad, bad);
        }
    }
    t.rng.shuffle(&mut late);
    service.now = (first + minutes) * 60 - 1;
    for (i, (minute, bad)) in late.into_iter().enumerate() {
        service.record(minute * 60 + t.rng.u64(..60), requests - bad, bad);
        if i % 40 == 0 {
            let what = format!("a record came {} late", span(service.now / 60 - minute));
            for window in [1, service.now / 60 - minute, service.now / 60 - minute + 1, minutes] {
                service.agrees_on_shares(&what, window.max(1))?;
            }
        }
    }

    let answers = |service: &Service| [1, 60, minutes].map(|window| service.yours.sli(service.now, window));
    let before = answers(&service);
    for too_late in [0, 1, 2_000] {
        let at = (first - too_late).saturating_sub(1) * 60 + 59;
        service.record(at, 0, 1_000_000);
        if answers(&service) != before {
            return Err(Failed::because(format!(
                "The objective is over 3 days. A record that was {} older than the latest minute changed the SLI. It is no \
                 longer asked for, and must not take the place of a minute that is.",
                span(minutes + too_late)
            )));
        }
    }
    let back = service.now - t.rng.u64(1..100_000);
    for window in [1, 60, minutes] {
        let [then, now] = [back, service.now].map(|now| service.yours.sli(now, window));
        t.expect(format!("the SLI of {window} minutes, asked about a moment before the latest record"), then)
            .equals(now)?;
    }

    // The clock of an instance is set to the end of time: what was before is too old at once.
    service.now = u64::MAX;
    service.record(u64::MAX, 999, 1);
    service.agrees_on_shares("the only record of these days is at the last second that there is", minutes)?;
    service.record(u64::MAX - 60, 990, 10);
    service.agrees_on_shares("a late one came for the minute before the last", minutes)
}

fn uneven_traffic(t: &mut Trial) -> Outcome {
    let [few, many] = [t.rng.u64(1..20), t.rng.u64(500_000..1_000_000)];
    let mut service = Service::new(Objective { good_per_million: 999_000, days: 3 }, &mut t.rng);
    service.minute(many, 0);
    service.minute(few, few);
    let what = format!("{} good requests in one minute, {few} bad ones in the next", grouped(many.into()));
    service.agrees(&what, 2)?;

    for _ in 0..4 {
        let mut service = Service::new(objective(&mut t.rng), &mut t.rng);
        let mut other = Service::new(service.truth.objective, &mut t.rng);
        let what = "random traffic, with busy minutes and quiet ones";
        for _ in 0..2_500 {
            let (good, bad) = random_minute(&mut t.rng);
            service.minute(good, bad);
            if t.rng.u32(..4) == 0 {
                other.minute(bad, good);
            }
            // More for the same minute, or for an earlier one.
            if t.rng.u32(..4) == 0 {
                let (good, bad) = random_minute(&mut t.rng);
                let late = if t.rng.bool() { 0 } else { 60 * t.rng.u64(..500) };
                service.record(service.now - late, good, bad);
            }
            if t.rng.u32(..300) == 0 {
                service.agrees(what, t.rng.u64(1..=4_320))?;
            }
        }
        other.agrees("two budgets, recorded into by turns", 500)?;
        for _ in 0..8 {
            service.agrees(what, t.rng.u64(1..=service.truth.days()))?;
        }
        split(t, &service)?;
        more_errors(t, &mut service)?;
    }
    Ok(())
}

/// From 1 to 100,000 requests, where each magnitude is as likely, and some share of them bad.
fn random_minute(rng: &mut Rng) -> (u64, u64) {
    let requests = 100_000_f64.powf(rng.f64()) as u64;
    let share = if rng.u32(..5) == 0 { rng.f64() } else { 0.002 };
    let bad = (0..requests.min(500)).filter(|_| rng.f64() < share).count() as u64 * requests / requests.min(500);
    (requests - bad, bad)
}

/// To record a minute's counts in two parts changes nothing.
fn split(t: &mut Trial, service: &Service) -> Outcome {
    let mut parts = ErrorBudget::new(service.truth.objective);
    for record in &service.truth.records {
        let [good, bad] = [record.good, record.bad].map(|count| t.rng.u64(0..=count));
        parts.record(record.at, good, bad);
        parts.record(record.at, record.good - good, record.bad - bad);
    }
    let whole = &service.yours;
    for window in [1, 30, 2_000] {
        let [one, two] = [whole, &parts].map(|budget| budget.sli(service.now, window).unwrap_or(-1.0));
        t.expect(format!("the SLI of {window} minutes, each record in two parts"), two).within(1e-9, one)?;
    }
    t.expect("the alert, each record in two parts", parts.alert(service.now)).equals(whole.alert(service.now))
}

/// More bad requests never raise what is left.
fn more_errors(t: &mut Trial, service: &mut Service) -> Outcome {
    for _ in 0..20 {
        let (left, alert) = (service.yours.left(service.now), service.yours.alert(service.now));
        let (at, bad) = (service.now - 60 * t.rng.u64(..2_000), t.rng.u64(1..1_000));
        service.record(at, 0, bad);
        t.expect(format!("what is left after {bad} more requests failed"), service.yours.left(service.now))
            .holds(&format!("is at most {left}, as before"), |after| *after <= left + 1e-9 * left.abs().max(1.0))?;
        t.expect(format!("the alert after {bad} more requests failed"), service.yours.alert(service.now))
            .holds(&format!("is at least {alert:?}, as before"), |after| *after >= alert)?;
    }
    Ok(())
}

fn no_traffic(t: &mut Trial) -> Outcome {
    let objective = objective(&mut t.rng);
    let empty = |t: &mut Trial| Service::new(objective, &mut t.rng);
    let shares = |service: &Service, what: &str| {
        [1, 5, 60, 4_320].into_iter().try_for_each(|window| service.agrees(what, window))
    };
    let all = |service: &Service, what: &str| {
        shares(service, what)?;
        service.agrees_on_the_alert(what)
    };
    all(&empty(t), "nothing was ever recorded")?;

    let mut idle = empty(t);
    (0..100).for_each(|_| idle.minute(0, 0));
    all(&idle, "100 idle minutes were recorded, with no request in any")?;

    let mut night = empty(t);
    for minute in 0..30 {
        if minute % 3 == 1 { night.minute(0, 0) } else { night.minute(40, 160) }
    }
    let what = "half an hour in which most requests failed, every third minute idle and recorded with 0 good and 0 bad";
    all(&night, what)?;
    (0..60).for_each(|_| night.minute(0, 0));
    shares(&night, "the same, and then an hour of idle minutes")?;
    night.minute(40, 160);
    all(&night, "the same, and then another minute like the first")?;
    night.now += 7_200;
    shares(&night, "the same, and then two hours in which nothing was recorded")?;

    for (good, bad) in [(1, 0), (0, 1), (0, 9), (0, 10), (1, 10)] {
        let mut only = empty(t);
        // Time may begin at 0, and no window reaches further back.
        only.now = if good == 0 { 0 } else { only.now };
        only.record(only.now, good, bad);
        all(&only, &format!("{good} good and {bad} bad requests are all there ever were"))?;
    }
    for (good, bad) in [(1_000, 0), (1_000_000, 9), (1_000_000, 10)] {
        let mut perfect = Service::new(Objective { good_per_million: 1_000_000, days: 3 }, &mut t.rng);
        perfect.minute(good, bad);
        all(&perfect, &format!("an objective of 100 %, and {bad} of {} requests bad", grouped((good + bad).into())))?;
    }
    Ok(())
}

fn exact_factors(t: &mut Trial) -> Outcome {
    for (number, rule) in RULES.iter().enumerate() {
        for size in ["few", "many", "as many as a u64 holds"] {
            for allowed in [100, 500, 1_000, 5_000, 10_000, 50_000] {
                // Such that the factor is met by a whole number of requests.
                let share = rule.tenths * allowed;
                let least = 10_000_000 / gcd(share, 10_000_000);
                let requests = least
                    * match size {
                        "few" => t.rng.u64(2..100),
                        "many" => 1_000_000_000_000_000 / least + t.rng.u64(..1_000_000),
                        _ => 18_000_000_000_000_000_000 / least - t.rng.u64(..1_000_000),
                    };
                let bad = (u128::from(requests) * u128::from(share) / 10_000_000) as u64;
                for more in [0, 1] {
                    let objective = Objective { good_per_million: 1_000_000 - allowed as u32, days: 3 };
                    let mut service = Service::new(objective, &mut t.rng);
                    // Before that, as many good minutes as keep the rules of longer windows quiet.
                    if let Some(longer) = RULES.get(number + 1).filter(|longer| longer.severity == rule.severity) {
                        let ago = longer.long.minutes * 2 / 3;
                        service.now -= ago * 60;
                        (0..40).for_each(|_| service.minute(requests, 0));
                        service.now += (ago - 40) * 60;
                    }
                    (0..4).for_each(|_| service.minute(requests - bad, bad));
                    service.minute(requests - bad - more, bad + more);
                    let [expected, got] = [service.truth.alert(service.now), service.yours.alert(service.now)];
                    if got == expected {
                        continue;
                    }
                    let (bad, all) = service.truth.sums(service.now, 5);
                    let factor = rule.tenths as f64 / 10.0;
                    let is = if more == 0 { "exactly" } else { "one request more than" };
                    return Err(Failed::because(format!(
                        "With {} % allowed, {} of {} requests in 5 minutes are {is} {factor} times that, as in {}: \
                         expected {}, got {}. Neither the factor nor the share need be a number that an f64 holds, a \
                         quotient is rounded once more, and a sum may be more than a u64 holds. Whole numbers can be \
                         multiplied and compared as they are.",
                        allowed as f64 / 10_000.0,
                        grouped(bad),
                        grouped(all),
                        rule.long.name,
                        word(expected),
                        word(got),
                    )));
                }
            }
        }
    }
    Ok(())
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn bounded_memory(t: &mut Trial) -> Outcome {
    let objective = Objective { good_per_million: 999_000, days: 30 };
    let start = t.rng.u64(1_000_000_000..2_000_000_000);
    let bad = t.rng.u64(1..5);
    let (heap, budget) = harness::heap(|| {
        let mut budget = ErrorBudget::new(objective);
        let mut now = start;
        for records in std::iter::repeat_n(10, 30 * 1_440).chain(std::iter::repeat_n(1, 300 * 1_440)) {
            now += 60;
            (0..records).for_each(|_| budget.record(now, 1_000 - bad, bad));
        }
        budget
    });
    t.measure(
        heap.live_bytes as f64 / 1_024.0,
        "It keeps something for every record, or for every minute since it began. Two counts for each of the 43,200 minutes \
         of 30 days answer everything that can be asked; the others may be forgotten.",
    )?;
    let now = start + 330 * 1_440 * 60;
    for window in [60, 4_320, 30 * 1_440] {
        let sli = budget.sli(now, window).unwrap_or(-1.0);
        t.expect(format!("it is small enough, but after 330 days the SLI of {}", span(window)), sli)
            .within(1e-9, 1.0 - bad as f64 / 1_000.0)?;
    }
    let expected = (bad > 1).then_some(Severity::Ticket);
    t.expect("it is small enough, but after 330 days the alert", budget.alert(now)).equals(expected)
}
