//! Who is signed in to a wholesale shop, kept in memory so that the database is not asked at every request.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        mpsc::{self, Receiver, Sender},
    },
};

/// What the pages need to know of a customer. It takes the database several queries to put it together.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    pub id: u64,
    pub name: String,
    /// What was agreed with this customer: cents, for each article.
    pub prices: Vec<u32>,
}

/// The sessions that this instance has in memory, in a list from the one asked for last to the next to go.
pub struct Sessions {
    capacity: usize,
    at: HashMap<u64, usize>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    newest: Option<usize>,
    oldest: Option<usize>,
}

struct Slot {
    token: u64,
    /// Nothing when the slot is free.
    session: Option<Arc<Session>>,
    newer: Option<usize>,
    older: Option<usize>,
}

impl Sessions {
    /// Room for `capacity` sessions, which is one at least.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            at: HashMap::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            newest: None,
            oldest: None,
        }
    }

    /// The session of `token`. If it is not in memory, `load` asks the database for its customer.
    ///
    /// A session that is loaded again begins without tabs. Browsers that hear nothing for a minute connect anew.
    pub fn get(&mut self, token: u64, load: impl FnOnce() -> Customer) -> Arc<Session> {
        if let Some(&slot) = self.at.get(&token) {
            self.unlink(slot);
            self.link(slot);
            return self.slots[slot].session.clone().expect("a slot that is in the map is in use");
        }
        let session = Arc::new(Session::new(load()));
        if self.at.len() >= self.capacity
            && let Some(oldest) = self.oldest
        {
            self.sign_out(self.slots[oldest].token);
        }
        let new = Slot { token, session: Some(session.clone()), newer: None, older: None };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = new;
                slot
            }
            None => {
                self.slots.push(new);
                self.slots.len() - 1
            }
        };
        self.at.insert(token, slot);
        self.link(slot);
        session
    }

    /// The customer has signed out: the session is not in memory any more.
    pub fn sign_out(&mut self, token: u64) {
        if let Some(slot) = self.at.remove(&token) {
            self.unlink(slot);
            self.slots[slot].session = None;
            self.free.push(slot);
        }
    }

    /// Puts a slot before all others.
    fn link(&mut self, slot: usize) {
        let before = self.newest.replace(slot);
        self.slots[slot].older = before;
        match before {
            Some(before) => self.slots[before].newer = Some(slot),
            None => self.oldest = Some(slot),
        }
    }

    fn unlink(&mut self, slot: usize) {
        let (newer, older) = (self.slots[slot].newer.take(), self.slots[slot].older.take());
        match newer {
            Some(newer) => self.slots[newer].older = older,
            None => self.newest = older,
        }
        match older {
            Some(older) => self.slots[older].newer = newer,
            None => self.oldest = newer,
        }
    }
}

/// A customer who is signed in, and the tabs of their browser that wait for notices. Whoever holds one may use it,
/// whether it is still in memory for others or not.
pub struct Session {
    pub customer: Customer,
    tabs: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    opened: u64,
    /// Where notices go in, by the number of the tab that takes them out.
    tabs: BTreeMap<u64, Sender<String>>,
}

impl Session {
    fn new(customer: Customer) -> Self {
        Self { customer, tabs: Mutex::default() }
    }

    /// A tab connects. It is open until the connection's task drops it.
    pub fn open_tab(self: &Arc<Self>) -> Arc<Tab> {
        let (sender, notices) = mpsc::channel();
        let mut listeners = self.listeners();
        listeners.opened += 1;
        let number = listeners.opened;
        listeners.tabs.insert(number, sender);
        Arc::new(Tab { number, session: self.clone(), notices: Mutex::new(notices) })
    }

    /// Tells every open tab: "Your order has left our house."
    pub fn notify(&self, notice: &str) {
        // Who cannot be told any more is about to leave the list anyway.
        self.listeners().tabs.retain(|_, tab| tab.send(notice.to_owned()).is_ok());
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.tabs.lock().expect("nobody panics while holding it")
    }
}

/// One tab of a browser, for the task that serves its connection.
pub struct Tab {
    number: u64,
    session: Arc<Session>,
    notices: Mutex<Receiver<String>>,
}

impl Tab {
    /// The id of the customer whose it is. An open tab knows it, whatever has become of the session.
    pub fn customer(&self) -> u64 {
        self.session.customer.id
    }

    /// What it was told since it was last asked, the oldest first.
    pub fn take(&self) -> Vec<String> {
        self.notices.lock().expect("nobody panics while holding it").try_iter().collect()
    }
}

impl Drop for Tab {
    /// The connection is closed, so there is nobody to tell any more.
    fn drop(&mut self) {
        self.session.listeners().tabs.remove(&self.number);
    }
}
