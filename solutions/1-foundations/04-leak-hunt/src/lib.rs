//! Who is signed in to a wholesale shop, kept in memory so that the database is not asked at every request.

use std::{
    collections::{BTreeMap, HashMap},
    mem, ptr,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

/// What the pages need to know of a customer. It takes the database several queries to put it together.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    pub id: u64,
    pub name: String,
    /// What was agreed with this customer: cents, for each article.
    pub prices: Vec<u32>,
}

// ANCHOR: sessions
/// The sessions that this instance has in memory, `capacity` at most.
pub struct Sessions {
    capacity: usize,
    /// How many times a session was asked for.
    asked: u64,
    by_token: HashMap<u64, Kept>,
    /// Tokens by when they were last asked for: the first is the next to go.
    by_age: BTreeMap<u64, u64>,
}

struct Kept {
    session: Arc<Session>,
    /// The value of `asked` then.
    last: u64,
}

impl Sessions {
    /// Room for `capacity` sessions, which is one at least.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), asked: 0, by_token: HashMap::new(), by_age: BTreeMap::new() }
    }

    /// The session of `token`. If it is not in memory, `load` asks the database for its customer.
    ///
    /// A session that is loaded again begins without tabs. Browsers that hear nothing for a minute connect anew.
    pub fn get(&mut self, token: u64, load: impl FnOnce() -> Customer) -> Arc<Session> {
        self.asked += 1;
        let session = match self.by_token.get_mut(&token) {
            Some(kept) => {
                self.by_age.remove(&kept.last);
                kept.last = self.asked;
                kept.session.clone()
            }
            None => {
                let session = Arc::new(Session::new(load()));
                self.make_room();
                self.by_token.insert(token, Kept { session: session.clone(), last: self.asked });
                session
            }
        };
        self.by_age.insert(self.asked, token);
        session
    }

    /// Before one more comes in.
    fn make_room(&mut self) {
        if self.by_token.len() >= self.capacity
            && let Some((_, idle_longest)) = self.by_age.pop_first()
        {
            self.by_token.remove(&idle_longest);
        }
    }

    /// The customer has signed out: the session is not in memory any more.
    pub fn sign_out(&mut self, token: u64) {
        if let Some(kept) = self.by_token.remove(&token) {
            self.by_age.remove(&kept.last);
        }
    }
}
// ANCHOR_END: sessions

// ANCHOR: tabs
/// A customer who is signed in, and the tabs of their browser that wait for notices. Whoever holds one may use it,
/// whether it is still in memory for others or not.
pub struct Session {
    pub customer: Customer,
    /// The connections own their tabs. This list only knows where they are.
    tabs: Mutex<Vec<Weak<Tab>>>,
}

impl Session {
    fn new(customer: Customer) -> Self {
        Self { customer, tabs: Mutex::default() }
    }

    /// A tab connects. It is open until the connection's task drops it.
    pub fn open_tab(self: &Arc<Self>) -> Arc<Tab> {
        let tab = Arc::new(Tab { session: self.clone(), notices: Mutex::default() });
        self.tabs().push(Arc::downgrade(&tab));
        tab
    }

    /// Tells every open tab: "Your order has left our house."
    pub fn notify(&self, notice: &str) {
        // Collected first: one of these may be the last `Arc` of its tab by now, and its `drop` needs the list.
        let open: Vec<Arc<Tab>> = self.tabs().iter().filter_map(Weak::upgrade).collect();
        for tab in open {
            tab.notices().push(notice.to_owned());
        }
    }

    fn tabs(&self) -> MutexGuard<'_, Vec<Weak<Tab>>> {
        self.tabs.lock().expect("nobody panics while holding it")
    }
}

/// One tab of a browser, for the task that serves its connection.
pub struct Tab {
    session: Arc<Session>,
    notices: Mutex<Vec<String>>,
}

impl Tab {
    /// The id of the customer whose it is. An open tab knows it, whatever has become of the session.
    pub fn customer(&self) -> u64 {
        self.session.customer.id
    }

    /// What it was told since it was last asked, the oldest first.
    pub fn take(&self) -> Vec<String> {
        mem::take(&mut self.notices())
    }

    fn notices(&self) -> MutexGuard<'_, Vec<String>> {
        self.notices.lock().expect("nobody panics while holding it")
    }
}

impl Drop for Tab {
    /// The connection is closed, so there is nobody to tell any more.
    fn drop(&mut self) {
        self.session.tabs().retain(|tab| !ptr::eq(tab.as_ptr(), self));
    }
}
// ANCHOR_END: tabs
