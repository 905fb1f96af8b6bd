//! What is alive on the heap while requests are handled, and whether it levels off.

use harness::{Failed, Meter, Outcome};

/// How many requests memory has to level off in, and how many there are in all.
pub(crate) const FIRST: usize = 10_000;
pub(crate) const ALL: usize = 100_000;
/// Articles with an agreed price, which make the 4 KB of a session: tables and lists beside them hardly count.
pub(crate) const ARTICLES: usize = 1_000;
/// What one session may take: what it holds, and half of that again for how it is kept.
const ENOUGH: usize = (4 * ARTICLES + 200) * 3 / 2;

/// Most bytes that were alive at once.
pub(crate) struct Alive {
    in_first: usize,
    in_all: usize,
    /// What may be alive for as many sessions as there were in use.
    pub(crate) enough: usize,
}

/// What is alive while `code` handles its requests, with so many sessions in use, and how many bytes it leaves behind.
pub(crate) fn alive(sessions: usize, code: impl FnOnce(&mut Reader)) -> (Alive, usize) {
    let (heap, [in_first, in_all]) = harness::heap_metered(|meter| {
        let mut reader = Reader { meter, most: [0; 2] };
        code(&mut reader);
        reader.most
    });
    (Alive { in_first, in_all, enough: sessions * ENOUGH }, heap.live_bytes)
}

/// Looks at the heap after every request, so that no moment is a good one for tidying up.
pub(crate) struct Reader<'a> {
    meter: &'a Meter,
    most: [usize; 2],
}

impl Reader<'_> {
    pub(crate) fn reads<R>(&mut self, requests: &[R], mut handle: impl FnMut(&R)) {
        for (i, request) in requests.iter().enumerate() {
            handle(request);
            self.most[1] = self.most[1].max(self.meter.live_bytes());
            if i < FIRST {
                self.most[0] = self.most[1];
            }
        }
    }
}

impl Alive {
    /// In percent.
    pub(crate) fn growth(&self) -> f64 {
        // While a profile is recorded, nothing is counted.
        100.0 * (self.in_all - self.in_first) as f64 / self.in_first.max(1) as f64
    }

    /// Bytes by which each request after the first ones made it grow.
    pub(crate) fn for_each_request(&self) -> usize {
        (self.in_all - self.in_first) / (ALL - FIRST)
    }

    pub(crate) fn was_too_much_at_first(&self) -> bool {
        self.in_first > self.enough
    }

    pub(crate) fn seen(&self) -> String {
        let [first, all] = [self.in_first, self.in_all].map(kib);
        format!("Up to {first} KiB were alive at once at first, and {all} KiB later.")
    }

    /// That it is level is not enough: it may be level far too high.
    pub(crate) fn is_enough(&self, rule: &str) -> Outcome {
        if self.in_all <= self.enough {
            return Ok(());
        }
        Err(Failed::because(format!("{} {} KiB would be plenty. {rule}", self.seen(), kib(self.enough))))
    }
}

/// Bytes in KiB, as messages show them.
pub(crate) fn kib(bytes: usize) -> String {
    grouped(bytes >> 10)
}

/// A number as messages show it: 1234567 is 1,234,567.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
