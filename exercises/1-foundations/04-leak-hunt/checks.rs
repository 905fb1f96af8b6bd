//! What correct means for `Sessions`: every request has its answer, and memory for what is in use only.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    process::ExitCode,
    sync::Arc,
};

use harness::{Failed, Outcome, Trial};
use leak_hunt as yours;
use yours::{Session, Sessions, Tab};

mod alive;
mod figures;
mod inputs;
mod requests;
use alive::{ALL, ARTICLES, alive, grouped, kib};
use inputs::{CAPACITY, customer};

fn main() -> ExitCode {
    harness::checks!()
        .check("sessions", sessions)
        .check("notices", notices)
        .check("hit-ratio", hit_ratio)
        .check("idle-sessions", idle_sessions)
        .check("closed-tabs", closed_tabs)
        .compared(
            "leak-hunt-live",
            "What is alive while 100,000 requests come in, a fifth of which open a tab and close it again",
            &["breaks-the-cycle-only", "evicts-only"],
            figures::live,
        )
        .figure("leak-hunt-resident", "What is alive, and what the kernel counts", figures::resident)
        .run()
}

fn sessions(t: &mut Trial) -> Outcome {
    fn moves_between_threads<T: Send>() {}
    moves_between_threads::<(Sessions, Arc<Session>, Arc<Tab>)>();

    for capacity in [1, 2, 10, 64] {
        let mut sessions = Sessions::new(capacity);
        let known: Vec<u64> = (0..capacity.div_ceil(2)).map(|_| t.rng.u64(..)).collect();
        // What the database would say; a customer who has signed out may come back with other prices.
        let mut prices: HashMap<u64, usize> = HashMap::new();
        let mut signed_in = HashSet::new();
        for _ in 0..40 * capacity {
            let token = known[t.rng.usize(..known.len())];
            if t.rng.u32(..10) == 0 {
                sessions.sign_out(token);
                signed_in.remove(&token);
                *prices.entry(token).or_default() += 1;
                continue;
            }
            let mut loaded = false;
            let now = customer!(yours, token, *prices.entry(token).or_default());
            let session = sessions.get(token, || {
                loaded = true;
                now.clone()
            });
            t.expect(format!("the customer of token {token}"), &session.customer).equals(&now)?;
            if !loaded && !signed_in.contains(&token) {
                return Err(Failed::because(format!(
                    "The session of token {token} was answered from memory though it had signed out, or had never been \
                     loaded."
                )));
            }
            signed_in.insert(token);
        }
    }

    // More than there is room for, each used for longer than it is kept.
    for capacity in [1, 2, 7] {
        let mut sessions = Sessions::new(capacity);
        let tokens: Vec<u64> = (0..60).map(|_| t.rng.u64(..)).collect();
        let mut held = VecDeque::new();
        for _ in 0..300 {
            let token = tokens[t.rng.usize(..tokens.len())];
            held.push_back((token, sessions.get(token, || customer!(yours, token, 3))));
            if held.len() > 30 {
                held.pop_front();
            }
            for (token, session) in &held {
                let expected = customer!(yours, *token, 3);
                t.expect("the customer of a session that a request still holds", &session.customer)
                    .equals(&expected)?;
            }
        }
    }
    Ok(())
}

fn notices(t: &mut Trial) -> Outcome {
    let (token, other) = (t.rng.u64(..), t.rng.u64(..));
    let mut sessions = Sessions::new(8);
    let mut get = |token| sessions.get(token, || customer!(yours, token, 3));
    let first = get(token).open_tab();
    let elsewhere = get(other).open_tab();
    get(token).notify("packed");
    let second = get(token).open_tab();
    let closed = get(token).open_tab();
    get(token).notify("sent");
    drop(closed);
    get(token).notify("delivered");
    get(other).notify("paid");
    t.expect("what the first tab was told", first.take())
        .equals(["packed", "sent", "delivered"].map(String::from).into())?;
    t.expect("what a tab was told that opened later", second.take())
        .equals(["sent", "delivered"].map(String::from).into())?;
    t.expect("what another customer's tab was told", elsewhere.take()).equals(vec!["paid".into()])?;
    t.expect("what the first tab was told since", first.take()).equals(vec![])?;
    get(token).notify("returned");
    t.expect("what it was told then", first.take()).equals(vec!["returned".into()])?;

    // Tabs that come and go, held against a list of what each should hear.
    let session = get(token);
    let mut open: Vec<(Arc<Tab>, Vec<String>)> = Vec::new();
    for i in 0..400 {
        match t.rng.u32(..4) {
            0 => open.push((session.open_tab(), Vec::new())),
            1 if !open.is_empty() => drop(open.swap_remove(t.rng.usize(..open.len()))),
            2 if !open.is_empty() => {
                let (count, at) = (open.len(), t.rng.usize(..open.len()));
                let (tab, expected) = &mut open[at];
                t.expect(format!("what one of {count} open tabs was told"), tab.take())
                    .equals(std::mem::take(expected))?;
            }
            _ => {
                let notice = format!("notice {i}");
                session.notify(&notice);
                open.iter_mut().for_each(|(_, expected)| expected.push(notice.clone()));
            }
        }
    }

    // A tab may be open for hours, and its session long gone.
    let mut sessions = Sessions::new(2);
    let mut open = |token| sessions.get(token, || customer!(yours, token, 3)).open_tab();
    let tab = open(token);
    (0..20).for_each(|_| drop(open(t.rng.u64(..))));
    let signed_out = open(other);
    sessions.sign_out(other);
    for (what, tab, token) in [("was given up for others", tab, token), ("has signed out", signed_out, other)] {
        let (seen, expected) = (tab.customer(), inputs::id(token));
        if seen != expected {
            return Err(Failed::because(format!(
                "An open tab, whose session {what}, says that it belongs to customer {seen} instead of {expected}. A tab \
                 needs to know whose it is for as long as it is open, so it has to own that; it is the list of tabs that \
                 can do without owning them."
            )));
        }
    }
    Ok(())
}

fn hit_ratio(t: &mut Trial) -> Outcome {
    for capacity in [1, 2, 10, CAPACITY] {
        let mut sessions = Sessions::new(capacity);
        let half: Vec<u64> = (0..capacity.div_ceil(2)).map(|_| t.rng.u64(..)).collect();
        let mut loaded = HashSet::new();
        for _ in 0..20 * capacity {
            let token = half[t.rng.usize(..half.len())];
            let mut twice = false;
            sessions.get(token, || {
                twice = !loaded.insert(token);
                customer!(yours, token, 3)
            });
            if twice {
                return Err(Failed::because(format!(
                    "There is room for {capacity} sessions, {} were in use, and one of them was loaded a second time. \
                     Somebody has to own a session between two requests: an `Arc` in the map does, a `Weak` does not.",
                    loaded.len()
                )));
            }
        }
    }

    let tokens = requests::requests(&mut t.rng, CAPACITY, ALL);
    let mut sessions = Sessions::new(CAPACITY);
    let mut loads = 0;
    for &token in &tokens {
        sessions.get(token, || {
            loads += 1;
            customer!(yours, token, 3)
        });
    }
    let best = fewest_loads(&tokens);
    if loads * 2 <= best * 3 {
        return Ok(());
    }
    let ratio = |loads: usize| 100.0 * (1.0 - loads as f64 / ALL as f64);
    Err(Failed::because(format!(
        "The hit ratio has fallen to {:.1} %: of {} requests, {} had to ask the database. If the session that was idle \
         longest had gone each time, it would be {:.1} %, with {} questions. Which session goes matters. To empty the whole \
         map when it is full throws out whoever is ordering just now, and all of them are loaded again.",
        ratio(loads),
        grouped(ALL),
        grouped(loads),
        ratio(best),
        grouped(best)
    )))
}

/// How often the database is asked if always the session that was idle longest goes. Far too slow for a real cache.
fn fewest_loads(tokens: &[u64]) -> usize {
    let mut latest_first: Vec<u64> = Vec::new();
    let mut loads = 0;
    for token in tokens {
        match latest_first.iter().position(|kept| kept == token) {
            Some(at) => latest_first[..=at].rotate_right(1),
            None => {
                loads += 1;
                latest_first.truncate(CAPACITY - 1);
                latest_first.insert(0, *token);
            }
        }
    }
    loads
}

fn idle_sessions(t: &mut Trial) -> Outcome {
    let tokens = requests::requests(&mut t.rng, CAPACITY, ALL);
    let (alive, _) = alive(CAPACITY, |reader| {
        let mut sessions = Sessions::new(CAPACITY);
        reader.reads(&tokens, |token| drop(sessions.get(*token, || customer!(yours, *token, ARTICLES))));
    });
    let why = if alive.for_each_request() > 100 {
        "Nobody opened a tab and nobody signed out: people close their browser and are gone. Who lets go of their sessions? \
         Something can still reach every one of them, so for the compiler all is well. `HashMap::with_capacity` asks for \
         room, and is no limit."
    } else if alive.was_too_much_at_first() {
        AT_ANY_TIME
    } else {
        "It is too little to be sessions, which hold 4 KB each. What is kept beside them, such as the order in which they \
         were asked for, needs a bound as well: one entry for each session, not one for each request."
    };
    t.measure(alive.growth(), &format!("{} {why}", alive.seen()))?;
    alive.is_enough(AT_ANY_TIME)
}

const AT_ANY_TIME: &str = "There may be no more than `capacity` sessions after any request, and the heap was looked at after \
                           each, not only after 10,000 and 100,000.";

fn closed_tabs(t: &mut Trial) -> Outcome {
    const CUSTOMERS: usize = 100;
    let visits = requests::visits(&mut t.rng, CUSTOMERS, ALL);
    let (alive, left) = alive(CUSTOMERS, |reader| {
        let mut sessions = Sessions::new(CAPACITY);
        // The latest tabs are open, the others closed.
        let mut open: VecDeque<(u64, Arc<Tab>)> = VecDeque::with_capacity(64);
        reader.reads(&visits, |visit| {
            if let Some(left) = visit.left {
                open.retain(|(token, _)| *token != left);
                sessions.sign_out(left);
            }
            let session = sessions.get(visit.token, || customer!(yours, visit.token, ARTICLES));
            if visit.opens_tab {
                open.push_back((visit.token, session.open_tab()));
            }
            if visit.notice {
                session.notify("Your order has left our house.");
            }
            if open.len() > 30
                && let Some((_, tab)) = open.pop_front()
            {
                tab.take();
            }
        });
    });
    let why = if left > alive.enough / 4 {
        format!(
            "When the store itself was dropped, {} KiB stayed behind that nobody can reach: the session's list owns the tab, \
             the tab owns the session, and each waits for the other to go first. `Drop for Tab` would take it off the list, \
             but runs when the last `Arc<Tab>` goes, and the list has that.",
            kib(left)
        )
    } else {
        "All of it went when the store was dropped, so something in there still held it: the list of a customer who stays \
         has an entry for every tab that was ever open. A dead `Weak` is an entry too, and keeps the block that its tab was \
         in."
            .to_owned()
    };
    t.measure(
        alive.growth(),
        &format!(
            "{} There were never more than {CUSTOMERS} customers signed in, and 30 tabs open. {why}",
            alive.seen()
        ),
    )?;
    alive.is_enough("Tabs that are closed may take nothing, and sessions that have signed out neither.")
}
