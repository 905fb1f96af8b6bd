//! Who is signed in to a wholesale shop, kept in memory so that the database is not asked at every request.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// What the pages need to know of a customer. It takes the database several queries to put it together.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    pub id: u64,
    pub name: String,
    /// What was agreed with this customer: cents, for each article.
    pub prices: Vec<u32>,
}

/// The sessions that this instance has in memory. When one has to go, a few are drawn at random, and of them the one that
/// was idle longest goes.
pub struct Sessions {
    capacity: usize,
    /// How many times a session was asked for.
    asked: u64,
    at: HashMap<u64, usize>,
    kept: Vec<Kept>,
    random: u64,
}

struct Kept {
    token: u64,
    session: Arc<Session>,
    /// The value of `asked` when it was last asked for.
    last: u64,
}

impl Sessions {
    /// Room for `capacity` sessions, which is one at least.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            asked: 0,
            at: HashMap::new(),
            kept: Vec::new(),
            random: 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// The session of `token`. If it is not in memory, `load` asks the database for its customer.
    ///
    /// A session that is loaded again begins without tabs. Browsers that hear nothing for a minute connect anew.
    pub fn get(&mut self, token: u64, load: impl FnOnce() -> Customer) -> Arc<Session> {
        self.asked += 1;
        if let Some(at) = self.at.get(&token) {
            let kept = &mut self.kept[*at];
            kept.last = self.asked;
            return kept.session.clone();
        }
        let session = Arc::new(Session::new(load()));
        if self.kept.len() >= self.capacity {
            let drawn: [usize; 8] = std::array::from_fn(|_| self.draw());
            let idle_longest = drawn.into_iter().min_by_key(|at| self.kept[*at].last);
            self.remove(idle_longest.expect("eight were drawn"));
        }
        self.at.insert(token, self.kept.len());
        self.kept.push(Kept { token, session: session.clone(), last: self.asked });
        session
    }

    /// The customer has signed out: the session is not in memory any more.
    pub fn sign_out(&mut self, token: u64) {
        if let Some(at) = self.at.get(&token) {
            self.remove(*at);
        }
    }

    fn remove(&mut self, at: usize) {
        let gone = self.kept.swap_remove(at);
        self.at.remove(&gone.token);
        if let Some(moved) = self.kept.get(at) {
            self.at.insert(moved.token, at);
        }
    }

    /// The place of any session, by Marsaglia's xorshift.
    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % self.kept.len() as u64) as usize
    }
}

/// A customer who is signed in, and the tabs of their browser that wait for notices. Whoever holds one may use it,
/// whether it is still in memory for others or not.
pub struct Session {
    pub customer: Customer,
    tabs: Mutex<Vec<Arc<Tab>>>,
}

impl Session {
    fn new(customer: Customer) -> Self {
        Self { customer, tabs: Mutex::default() }
    }

    /// A tab connects. It is open until the connection's task drops it.
    pub fn open_tab(self: &Arc<Self>) -> Arc<Tab> {
        let tab = Arc::new(Tab { customer: self.customer.id, notices: Mutex::default() });
        self.open().push(tab.clone());
        tab
    }

    /// Tells every open tab: "Your order has left our house."
    pub fn notify(&self, notice: &str) {
        for tab in self.open().iter() {
            tab.notices().push(notice.to_owned());
        }
    }

    /// The tabs, without those that only this list still has: their connections are closed.
    fn open(&self) -> MutexGuard<'_, Vec<Arc<Tab>>> {
        let mut tabs = self.tabs.lock().expect("nobody panics while holding it");
        tabs.retain(|tab| Arc::strong_count(tab) > 1);
        tabs
    }
}

/// One tab of a browser, for the task that serves its connection.
pub struct Tab {
    /// All that it needs to know of its session.
    customer: u64,
    notices: Mutex<Vec<String>>,
}

impl Tab {
    /// The id of the customer whose it is. An open tab knows it, whatever has become of the session.
    pub fn customer(&self) -> u64 {
        self.customer
    }

    /// What it was told since it was last asked, the oldest first.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.notices())
    }

    fn notices(&self) -> MutexGuard<'_, Vec<String>> {
        self.notices.lock().expect("nobody panics while holding it")
    }
}
