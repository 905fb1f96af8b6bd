//! What fast means for `Sessions`: a request takes no longer because there are more sessions in memory.

use std::{cell::RefCell, process::ExitCode, rc::Rc};

use harness::Side;
use leak_hunt as yours;
use yours::Sessions;

mod inputs;
use inputs::{CAPACITY, customer};

/// How many requests one input has. Half of them are of new customers, each of whom takes the place of another.
const BATCH: usize = 200;

/// Room for so many sessions, all of it in use, and the tokens that were asked for last.
struct Shop {
    sessions: Sessions,
    latest: Vec<u64>,
}

/// A batch of requests to a shop that goes on from one input to the next, as shops do.
fn requests(capacity: usize) -> Side<usize> {
    let shop: RefCell<Option<Rc<RefCell<Shop>>>> = RefCell::default();
    Side::new(
        move |rng| {
            let mut made = shop.borrow_mut();
            let shop = made.get_or_insert_with(|| {
                let mut sessions = Sessions::new(capacity);
                let latest: Vec<u64> = (0..capacity).map(|_| rng.u64(..)).collect();
                for &token in &latest {
                    sessions.get(token, || customer!(yours, token, 3));
                }
                Rc::new(RefCell::new(Shop { sessions, latest: latest[capacity - BATCH / 2..].to_vec() }))
            });
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
