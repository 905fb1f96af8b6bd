//! A machine of which everything is known: how long a run takes, how its clock ticks, when it is interrupted and how its
//! pace changes. What a bench finds out on it depends on the seed, and on nothing that the real machine does meanwhile.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use harness::Rng;

/// In nanoseconds, like every time in here.
const MS: f64 = 1e6;

pub(crate) struct Machine {
    /// Since it was switched on.
    time: Cell<f64>,
    /// The clock shows whole ticks only.
    tick: f64,
    /// What it takes to read the clock.
    reading: f64,
    /// `None` where a bench has the processor for itself.
    others: Option<Others>,
}

/// What else the machine does.
struct Others {
    rng: RefCell<Rng>,
    next_interruption: Cell<f64>,
    /// The pace falls to 1 / 1.6 of its best and recovers, once in this time.
    period: f64,
}

impl Machine {
    /// Nobody else is there, and the clock is exact and costs nothing.
    pub(crate) fn quiet() -> Self {
        Self { time: Cell::new(0.0), tick: 1.0, reading: 0.0, others: None }
    }

    /// Its clock ticks ten million times a second, and takes a while to read.
    pub(crate) fn coarse() -> Self {
        Self { tick: 100.0, reading: 40.0, ..Self::quiet() }
    }

    /// Once in 10 ms on average others have the processor, for 0.1 to 50 ms; and the pace drifts, as it does when a
    /// processor gets warm or shares its caches.
    pub(crate) fn busy(rng: &mut Rng) -> Self {
        let period = (60.0 + 90.0 * rng.f64()) * MS;
        let others = Others {
            next_interruption: Cell::new(10.0 * MS * exponential(rng)),
            period,
            rng: RefCell::new(rng.fork()),
        };
        let time = Cell::new(0.0);
        Self { time, others: Some(others), ..Self::coarse() }
    }

    /// What the clock shows.
    pub(crate) fn now(&self) -> Duration {
        self.run(self.reading);
        Duration::from_nanos(((self.time.get() / self.tick).floor() * self.tick) as u64)
    }

    /// Runs something that takes so long at the best pace.
    pub(crate) fn run(&self, nanos: f64) {
        let Some(others) = &self.others else {
            self.time.update(|time| time + nanos);
            return;
        };
        let mut time = self.time.get();
        let phase = (time / others.period).fract();
        time += nanos * (1.0 + 1.2 * phase.min(1.0 - phase));
        while time > others.next_interruption.get() {
            let mut rng = others.rng.borrow_mut();
            // From 0.1 to 50 ms, short ones more often: each tenfold length is as likely as the next.
            time += 0.1 * MS * 500_f64.powf(rng.f64());
            others.next_interruption.set(time + 10.0 * MS * exponential(&mut rng));
        }
        self.time.set(time);
    }
}

/// Waiting times between events that do not know of each other, 1 on average.
fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}
