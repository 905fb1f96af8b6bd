//! The circuit breaker, by a clock that the tests move.

use std::time::Duration;

use orderflow::{
    metrics::Metrics,
    resilience::{Breaker, Open, Permit, State},
};
use proptest::prelude::*;
use tokio::time::advance;

const REST: Duration = Duration::from_secs(1);
const PROBES: usize = 3;

/// What `/metrics` says of a breaker's state, and of the calls that it refused.
fn shown(metrics: &Metrics) -> (u64, u64) {
    let text = metrics.text();
    let value = |start: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.map_or(0, |value| value.trim().parse().unwrap())
    };
    (value("circuit_state{name=\"redis\"}"), value("circuit_refusals_total{name=\"redis\"}"))
}

fn breaker() -> (Breaker, Metrics) {
    let metrics = Metrics::default();
    (Breaker::new("redis", metrics.clone()), metrics)
}

fn fail(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        breaker.enter().unwrap().failed();
    }
}

/// One that rests no more, with all of its probes under way.
async fn probing() -> (Breaker, Metrics, Vec<Permit>) {
    let (breaker, metrics) = breaker();
    fail(&breaker, 5);
    advance(REST).await;
    let probes = (0..PROBES).map(|_| breaker.enter().unwrap()).collect();
    (breaker, metrics, probes)
}

#[tokio::test(start_paused = true)]
async fn it_opens_at_the_fifth_call_if_half_have_failed_and_says_so() {
    let (breaker, metrics) = breaker();
    assert_eq!(shown(&metrics), (0, 0));
    breaker.enter().unwrap().succeeded();
    breaker.enter().unwrap().succeeded();
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Closed, "four calls say too little");
    fail(&breaker, 1);
    assert_eq!((breaker.state(), shown(&metrics)), (State::Open, (2, 0)));
    for refused in 1..=3 {
        assert_eq!(breaker.enter().unwrap_err(), Open("redis"));
        assert_eq!(shown(&metrics), (2, refused));
    }
}

#[tokio::test(start_paused = true)]
async fn fewer_than_half_failing_leave_it_closed() {
    let (breaker, _) = breaker();
    for _ in 0..200 {
        breaker.enter().unwrap().succeeded();
        breaker.enter().unwrap().succeeded();
        breaker.enter().unwrap().failed();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn failures_of_long_ago_and_calls_that_end_well_open_nothing() {
    let (breaker, _) = breaker();
    fail(&breaker, 4);
    breaker.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), State::Closed, "the fifth call ended well");
    advance(Duration::from_secs(10)).await;
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed, "those before count no more");
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn after_its_rest_so_many_probes_and_no_more_are_under_way_at_once() {
    let (breaker, metrics) = breaker();
    fail(&breaker, 5);
    advance(REST.saturating_sub(Duration::from_millis(1))).await;
    assert!(breaker.enter().is_err());
    advance(Duration::from_millis(1)).await;
    let mut probes: Vec<_> = (0..PROBES).map(|_| breaker.enter().unwrap()).collect();
    assert!(breaker.enter().is_err(), "as many probes as may be are under way");
    assert_eq!((breaker.state(), shown(&metrics)), (State::HalfOpen, (1, 2)));
    probes.pop().unwrap().succeeded();
    probes.push(breaker.enter().expect("a place is free again"));
    assert!(breaker.enter().is_err());
    probes.pop().unwrap().succeeded();
    assert_eq!(breaker.state(), State::HalfOpen, "two say too little");
    probes.pop().unwrap().succeeded();
    assert_eq!((breaker.state(), shown(&metrics).0), (State::Closed, 0));
    let all: Vec<_> = (0..100).map(|_| breaker.enter()).collect();
    assert!(all.iter().all(Result::is_ok), "all are let through");
}

#[tokio::test(start_paused = true)]
async fn one_probe_that_fails_opens_it_again_for_as_long() {
    let (breaker, _, mut probes) = probing().await;
    probes.pop().unwrap().succeeded();
    probes.pop().unwrap().failed();
    assert_eq!(breaker.state(), State::Open);
    advance(REST / 2).await;
    // The third was let through before: how it ends decides nothing any more, neither now nor for the next probes.
    probes.pop().unwrap().succeeded();
    assert!(breaker.enter().is_err());
    advance(REST / 2).await;
    let again: Vec<_> = (0..PROBES).map(|_| breaker.enter().unwrap()).collect();
    assert!(breaker.enter().is_err());
    again.into_iter().for_each(Permit::succeeded);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_frees_its_place_and_counts_for_nothing() {
    let (breaker, _, probes) = probing().await;
    // As when the clients whose requests made these calls go away: they are dropped in the middle.
    for probe in probes {
        let call = async move {
            let _probe = probe;
            std::future::pending::<()>().await;
        };
        assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
    }
    assert_eq!(breaker.state(), State::HalfOpen, "nothing is known of the dependency");
    let again: Vec<_> = (0..PROBES).map(|_| breaker.enter().expect("no place is lost")).collect();
    assert!(breaker.enter().is_err(), "and none is won");
    again.into_iter().for_each(Permit::succeeded);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn cancelled_calls_neither_open_it_nor_outweigh_those_that_fail() {
    let (breaker, _) = breaker();
    for _ in 0..100 {
        drop(breaker.enter().unwrap());
    }
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 4);
    for _ in 0..100 {
        drop(breaker.enter().unwrap());
    }
    assert_eq!(breaker.state(), State::Closed, "four calls say too little");
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_permit_of_an_old_turn_decides_nothing() {
    let (breaker, _) = breaker();
    let old: Vec<_> = (0..50).map(|_| breaker.enter().unwrap()).collect();
    fail(&breaker, 5);
    advance(REST).await;
    let probe = breaker.enter().unwrap();
    let mut old = old.into_iter();
    old.by_ref().take(10).for_each(Permit::failed);
    old.by_ref().take(10).for_each(Permit::succeeded);
    old.by_ref().take(10).for_each(drop);
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.succeeded();
    breaker.enter().unwrap().succeeded();
    breaker.enter().unwrap().succeeded();
    assert_eq!(breaker.state(), State::Closed);
    old.for_each(Permit::failed);
    assert_eq!(breaker.state(), State::Closed);
}

/// What may happen to a breaker.
#[derive(Debug, Clone)]
enum Step {
    Enter,
    End(usize, Ending),
    Wait(u64),
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Well,
    Badly,
    Dropped,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ending = prop_oneof![Just(Ending::Well), Just(Ending::Badly), Just(Ending::Dropped)];
    let step = prop_oneof![
        3 => Just(Step::Enter),
        3 => (any::<usize>(), ending).prop_map(|(which, how)| Step::End(which, how)),
        1 => (0..2_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    /// Whatever happens in whatever sequence: an open one lets nobody through before its rest is over, a half open one at
    /// most three at once, a closed one everybody; and once all goes well again, it closes.
    #[test]
    fn it_keeps_its_promises(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (breaker, metrics) = breaker();
            // Each with the state that it was let through in, and how many changes of state there had been.
            let mut under_way: Vec<(Permit, State, usize)> = vec![];
            let (mut state, mut changes, mut opened) = (State::Closed, 0, tokio::time::Instant::now());
            let mut refused = 0;
            for step in steps {
                match step {
                    Step::Enter => if let Ok(permit) = breaker.enter() {
                            let now = breaker.state();
                            prop_assert_ne!(now, State::Open);
                            if state == State::Open {
                                prop_assert_eq!(now, State::HalfOpen);
                                prop_assert!(opened.elapsed() >= REST);
                                changes += 1;
                            }
                            under_way.push((permit, now, changes));
                            let probes = under_way.iter().filter(|(_, of, at)| *of == State::HalfOpen && *at == changes);
                            prop_assert!(probes.count() <= PROBES);
                    } else {
                            refused += 1;
                            prop_assert_ne!(breaker.state(), State::Closed);
                            if breaker.state() == State::Open {
                                prop_assert!(opened.elapsed() < REST);
                            }
                    },
                    Step::End(which, how) if !under_way.is_empty() => {
                        let (permit, _, at) = under_way.swap_remove(which % under_way.len());
                        match how {
                            Ending::Well => permit.succeeded(),
                            Ending::Badly => permit.failed(),
                            Ending::Dropped => drop(permit),
                        }
                        if at != changes {
                            prop_assert_eq!(breaker.state(), state);
                        } else if breaker.state() != state {
                            changes += 1;
                        }
                    }
                    Step::End(..) => {}
                    Step::Wait(millis) => advance(Duration::from_millis(millis)).await,
                }
                if breaker.state() == State::Open && state != State::Open {
                    opened = tokio::time::Instant::now();
                }
                state = breaker.state();
                let number = match state {
                    State::Closed => 0,
                    State::HalfOpen => 1,
                    State::Open => 2,
                };
                prop_assert_eq!(shown(&metrics), (number, refused));
            }
            drop(under_way);
            advance(REST).await;
            if breaker.state() != State::Closed {
                for _ in 0..PROBES {
                    breaker.enter().unwrap().succeeded();
                }
            }
            prop_assert_eq!(breaker.state(), State::Closed);
            Ok(())
        })?;
    }
}
