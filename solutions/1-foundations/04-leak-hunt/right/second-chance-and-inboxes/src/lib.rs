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

/// The sessions that this instance has in memory, in a ring. A hand goes round it: a session that was asked for since the
/// hand last came by is passed over once, and the first that was not is the one that goes.
pub struct Sessions {
    capacity: usize,
    at: HashMap<u64, usize>,
    ring: Vec<Place>,
    hand: usize,
}

struct Place {
    token: u64,
    session: Arc<Session>,
    asked_for: bool,
}

impl Sessions {
    /// Room for `capacity` sessions, which is one at least.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), at: HashMap::new(), ring: Vec::new(), hand: 0 }
    }

    /// The session of `token`. If it is not in memory, `load` asks the database for its customer.
    ///
    /// A session that is loaded again begins without tabs. Browsers that hear nothing for a minute connect anew.
    pub fn get(&mut self, token: u64, load: impl FnOnce() -> Customer) -> Arc<Session> {
        if let Some(at) = self.at.get(&token) {
            let place = &mut self.ring[*at];
            place.asked_for = true;
            return place.session.clone();
        }
        let session = Arc::new(Session::new(load()));
        let place = Place { token, session: session.clone(), asked_for: false };
        if self.ring.len() < self.capacity {
            self.at.insert(token, self.ring.len());
            self.ring.push(place);
            return session;
        }
        while std::mem::take(&mut self.ring[self.hand].asked_for) {
            self.hand = (self.hand + 1) % self.ring.len();
        }
        let gone = std::mem::replace(&mut self.ring[self.hand], place);
        self.at.remove(&gone.token);
        self.at.insert(token, self.hand);
        self.hand = (self.hand + 1) % self.ring.len();
        session
    }

    /// The customer has signed out: the session is not in memory any more.
    pub fn sign_out(&mut self, token: u64) {
        let Some(at) = self.at.remove(&token) else { return };
        self.ring.swap_remove(at);
        if let Some(moved) = self.ring.get(at) {
            self.at.insert(moved.token, at);
        }
        if self.hand >= self.ring.len() {
            self.hand = 0;
        }
    }
}

/// A customer who is signed in, and where notices for the tabs of their browser are put. Whoever holds one may use it,
/// whether it is still in memory for others or not.
pub struct Session {
    pub customer: Customer,
    inboxes: Mutex<Vec<Arc<Inbox>>>,
}

/// Notices that nobody has taken yet. It knows of no session and of no tab.
type Inbox = Mutex<Vec<String>>;

impl Session {
    fn new(customer: Customer) -> Self {
        Self { customer, inboxes: Mutex::default() }
    }

    /// A tab connects. It is open until the connection's task drops it.
    pub fn open_tab(self: &Arc<Self>) -> Arc<Tab> {
        let inbox = Arc::new(Inbox::default());
        self.open().push(inbox.clone());
        Arc::new(Tab { session: self.clone(), inbox })
    }

    /// Tells every open tab: "Your order has left our house."
    pub fn notify(&self, notice: &str) {
        for inbox in self.open().iter() {
            inbox.lock().expect("nobody panics while holding it").push(notice.to_owned());
        }
    }

    /// The inboxes, without those that only this list still has: their tabs are closed.
    fn open(&self) -> MutexGuard<'_, Vec<Arc<Inbox>>> {
        let mut inboxes = self.inboxes.lock().expect("nobody panics while holding it");
        inboxes.retain(|inbox| Arc::strong_count(inbox) > 1);
        inboxes
    }
}

/// One tab of a browser, for the task that serves its connection.
pub struct Tab {
    session: Arc<Session>,
    inbox: Arc<Inbox>,
}

impl Tab {
    /// The id of the customer whose it is. An open tab knows it, whatever has become of the session.
    pub fn customer(&self) -> u64 {
        self.session.customer.id
    }

    /// What it was told since it was last asked, the oldest first.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.inbox.lock().expect("nobody panics while holding it"))
    }
}
