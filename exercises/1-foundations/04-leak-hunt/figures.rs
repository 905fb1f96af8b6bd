//! The figures of the chapter about what is alive, which only this binary knows: its allocator counts.

use harness::{
    Rng,
    evidence::{Axis, Figure, Series},
};
use leak_hunt as yours;
use yours::Sessions;

use crate::{
    alive::{ALL, ARTICLES},
    inputs::{CAPACITY, customer},
    requests,
};

const MIB: f64 = (1 << 20) as f64;

fn lines(x: &str, series: Vec<Series>) -> Figure {
    let axis = |label: &str| Axis { label: label.into(), log: false };
    Figure::Lines { x: axis(x), y: axis("MiB"), series }
}

/// Customers who come, open a tab now and then, and leave without signing out: both leaks at once.
pub(crate) fn live() -> Figure {
    let mut rng = Rng::with_seed(1);
    let tokens = requests::requests(&mut rng, CAPACITY, ALL);
    // Room for the points is asked for before anything counts.
    let mut points = Vec::with_capacity(ALL);
    harness::heap_metered(|meter| {
        let mut sessions = Sessions::new(CAPACITY);
        for (i, token) in tokens.iter().enumerate() {
            let session = sessions.get(*token, || customer!(yours, *token, ARTICLES));
            if rng.u32(..5) == 0 {
                drop(session.open_tab());
            }
            if i % 2_000 == 0 {
                points.push([i as f64, meter.live_bytes() as f64 / MIB]);
            }
        }
    });
    lines("requests", vec![Series { label: "alive".into(), points }])
}

/// Twenty thousand customers sign in, nine in ten sign out, and as many sign in again. There is room for all of them.
pub(crate) fn resident() -> Figure {
    const CUSTOMERS: u64 = 20_000;
    let mut series =
        ["alive", "resident"].map(|label| Series { label: label.into(), points: Vec::with_capacity(1_000) });
    harness::heap_metered(|meter| {
        let mut sessions = Sessions::new(CUSTOMERS as usize * 2);
        let before = resident_bytes();
        let mut steps = 0;
        let mut step = || {
            if steps % 1_000 == 0 {
                let resident = resident_bytes().saturating_sub(before);
                for (series, bytes) in series.iter_mut().zip([meter.live_bytes(), resident]) {
                    series.points.push([f64::from(steps) / 1_000.0, bytes as f64 / MIB]);
                }
            }
            steps += 1;
        };
        let come = |sessions: &mut Sessions, token| {
            sessions.get(token, || customer!(yours, token, ARTICLES));
        };
        for token in 0..CUSTOMERS {
            come(&mut sessions, token);
            step();
        }
        for token in (0..CUSTOMERS).filter(|token| token % 10 != 0) {
            sessions.sign_out(token);
            step();
        }
        for token in CUSTOMERS..CUSTOMERS * 19 / 10 {
            come(&mut sessions, token);
            step();
        }
    });
    lines("thousand customers who signed in, out, and in again", series.into())
}

/// What the kernel says that this process has in RAM; nothing where there is no Linux to say it.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}
