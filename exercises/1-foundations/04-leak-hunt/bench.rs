//! What fast means for `Sessions`: a request takes no longer because there are more sessions in memory.

use std::{cell::RefCell, process::ExitCode, rc::Rc};

use harness::{Rng, Side};
use leak_hunt as yours;
use yours::Sessions;

mod inputs;
use inputs::{CAPACITY, customer};

/// How many requests one input has. Half of them are of new customers, each of whom takes the place of another.
const BATCH: usize = 200;
/// After so many a shop is closed and a new one opened, so that one that leaks takes some megabytes and no more.
const BATCHES: usize = 400;

/// Room for so many sessions, all of it in use, and the tokens that were asked for last.
struct Shop {
    sessions: Sessions,
    latest: Vec<u64>,
    batches: usize,
}

impl Shop {
    fn open(rng: &mut Rng, capacity: usize) -> Rc<RefCell<Self>> {
        let mut sessions = Sessions::new(capacity);
        let mut latest: Vec<u64> = (0..capacity).map(|_| rng.u64(..)).collect();
        for &token in &latest {
            sessions.get(token, || customer!(yours, token, 3));
        }
        latest.drain(..capacity - BATCH / 2);
        Rc::new(RefCell::new(Self { sessions, latest, batches: 0 }))
    }
}

/// A batch of requests to a shop that goes on from one input to the next, as shops do.
fn requests(capacity: usize) -> Side<usize> {
    let open: RefCell<Option<Rc<RefCell<Shop>>>> = RefCell::default();
    Side::new(
        move |rng| {
            let mut open = open.borrow_mut();
            if open.as_ref().is_some_and(|shop| shop.borrow().batches == BATCHES) {
                *open = None;
            }
            let shop = open.get_or_insert_with(|| Shop::open(rng, capacity));
            shop.borrow_mut().batches += 1;
            let new: Vec<u64> = (0..BATCH / 2).map(|_| rng.u64(..)).collect();
            let known = std::mem::replace(&mut shop.borrow_mut().latest, new.clone());
            (shop.clone(), known.into_iter().zip(new).collect::<Vec<_>>())
        },
        |(shop, tokens)| {
            let sessions = &mut shop.borrow_mut().sessions;
            let mut right = 0;
            for (known, new) in tokens {
                for token in [*known, *new] {
                    let session = sessions.get(token, || customer!(yours, token, 3));
                    right += usize::from(session.customer.id == inputs::id(token));
                }
            }
            right
        },
    )
}

fn main() -> ExitCode {
    harness::bench!()
        .growth(
            "no-search",
            "Whatever looks at every session to find the one that was idle longest takes ten times as long with ten times \
             as many, and does so at every new customer. Keep them in the order in which they would go, and move the one \
             that was asked for: then the next to go is always at the end.",
            requests(2 * CAPACITY),
            requests(20 * CAPACITY),
        )
        .run()
}
