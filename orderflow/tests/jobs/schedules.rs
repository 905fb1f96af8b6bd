//! Crash schedules: orders are placed, relayed and told while everybody crashes at calls that a seed chooses, and starts
//! anew with empty memory. Afterwards each order is there once and its customer was told; a customer was told twice only
//! where a crash lay between the mail and its record.
//!
//! `ORDERFLOW_SCHEDULE=<seed>` runs one schedule.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use orderflow::{
    background::{Background, Stop},
    config::Database,
    domain::{CustomerId, Fingerprint, IdempotencyKey},
    jobs::{Settings, SharedJobs, Source, Wake, Worker},
    mail::Sender,
    metrics::Metrics,
    resilience::Backoff,
    store::Backend,
};

use crate::{
    crashing::{Call, Crash, CrashingJobs, CrashingMailer, Held, History, Life, When},
    stage::{LONG, Stage, order, until},
    working::{config, settings},
};

/// How many orders are placed in a schedule.
const ORDERS: u64 = 5;
/// Tiny, and yet more than anything takes that is alive.
const LEASE: Duration = Duration::from_millis(250);

/// What schedules have come to.
#[derive(Default)]
struct Totals {
    crashes: BTreeMap<(Call, When), u32>,
    takeovers: usize,
    repeats: usize,
    overruns: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_two_hundred_schedules_on_sqlite() {
    let template = Stage::sqlite().await;
    let ada = template.customer("ada").await;
    // The last to close brings everything into the one file.
    template.store.close().await;
    let file = template.dir.path().join("orders.db");
    let database = template.database.clone();
    let one = |seed| {
        let (file, database) = (file.clone(), database.clone());
        async move { schedule(seed, &copy(database, &file).await, ada).await }
    };
    let totals = run(0..200, 16, one).await;
    covered(&totals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_thirty_schedules_on_postgresql() {
    // A database takes longer to make than a schedule, so that a few are used again and again.
    let lanes = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..3 {
        let Some(stage) = Stage::postgresql().await else { return };
        let ada = stage.customer("ada").await;
        lanes.lock().unwrap().push((stage, ada));
    }
    let one = |seed| {
        let lanes = Arc::clone(&lanes);
        async move {
            let (stage, ada) = lanes.lock().unwrap().pop().expect("there are as many lanes as run at once");
            let totals = schedule(seed, &stage, ada).await;
            stage.sql("TRUNCATE orders, order_items, idempotency_keys, outbox, notifications, dead_letters").await;
            lanes.lock().unwrap().push((stage, ada));
            totals
        }
    };
    run(1000..1030, 3, one).await;
}

async fn copy(mut database: Database, file: &Path) -> Stage {
    // In memory, if there is such a place: the power does not fail here, and two hundred files that wait for one disk do.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let copied = dir.path().join("orders.db");
    fs::copy(file, &copied).unwrap();
    database.url = format!("sqlite:{}", copied.display()).into();
    let backend = Backend::connect(&database, dir.path()).await.unwrap();
    Stage { store: backend.store(), jobs: backend.jobs(), database, dir, postgres: None }
}

/// Runs schedules, some at once, or the one that is asked for.
async fn run<F>(seeds: std::ops::Range<u64>, at_once: usize, one: impl Fn(u64) -> F) -> Totals
where
    F: Future<Output = Totals> + Send + 'static,
{
    let asked: Option<u64> = std::env::var("ORDERFLOW_SCHEDULE").ok().map(|seed| seed.parse().unwrap());
    let seeds: Vec<u64> = seeds.filter(|seed| asked.is_none_or(|asked| asked == *seed)).collect();
    let began = std::time::Instant::now();
    let count = seeds.len();
    let all = stream::iter(seeds).map(|seed| {
        let schedule = one(seed);
        async move {
            let ended = tokio::spawn(schedule).await;
            ended.unwrap_or_else(|_| panic!("schedule {seed} failed; ORDERFLOW_SCHEDULE={seed} runs it alone"))
        }
    });
    let all = all.buffer_unordered(at_once);
    let totals = all
        .fold(Totals::default(), async |mut sum, one| {
            for (point, count) in one.crashes {
                *sum.crashes.entry(point).or_default() += count;
            }
            sum.takeovers += one.takeovers;
            sum.repeats += one.repeats;
            sum.overruns += one.overruns;
            sum
        })
        .await;
    let Totals { crashes, takeovers, repeats, overruns } = &totals;
    println!("schedules: {count} in {:?}; crashes {crashes:?}", began.elapsed());
    println!("schedules: {takeovers} takeovers, {repeats} mails twice, {overruns} leases ran out on the living");
    totals
}

/// Every crash point was met, and the crash that makes a repeat unavoidable has made some.
fn covered(totals: &Totals) {
    if std::env::var_os("ORDERFLOW_SCHEDULE").is_some() {
        return;
    }
    for call in [Call::Place, Call::Relay, Call::Claim, Call::Send, Call::Settle] {
        for when in [When::Before, When::After] {
            assert!(totals.crashes.contains_key(&(call, when)), "nobody has crashed {when:?} {call:?}");
        }
    }
    assert!(totals.repeats > 0 && totals.takeovers > totals.repeats);
}

fn crashes(random: &mut fastrand::Rng, calls: &[Call], most: usize) -> Vec<Crash> {
    let count = random.usize(..=most);
    let one = |_| Crash {
        call: calls[random.usize(..calls.len())],
        when: if random.bool() { When::Before } else { When::After },
        nth: random.u32(1..=3),
    };
    (0..count).map(one).collect()
}

/// One schedule, from its seed.
async fn schedule(seed: u64, stage: &Stage, ada: CustomerId) -> Totals {
    let mut random = fastrand::Rng::with_seed(seed);
    let history = Arc::new(History::default());
    let mut actors = Background::default();
    let (jobs, store) = (stage.jobs.clone(), stage.store.clone());

    let plan = crashes(&mut random, &[Call::Place], 2);
    let placing = place(store, ada, plan, history.clone());
    let plan = crashes(&mut random, &[Call::Relay], 2);
    actors.spawn(|stop| relay(jobs.clone(), plan, history.clone(), stop));
    for _ in 0..2 {
        let plan = crashes(&mut random, &[Call::Relay, Call::Claim, Call::Send, Call::Settle], 3);
        let (refuses, seed) = (if random.bool() { 10 } else { 0 }, random.u64(..));
        actors.spawn(|stop| work(jobs.clone(), plan, (refuses, seed), history.clone(), stop));
    }
    placing.await;
    until("everybody is told", async || {
        let told = history.accepted.lock().unwrap().iter().map(|(id, _)| id.clone()).collect::<HashSet<_>>().len();
        told == ORDERS as usize && stage.jobs.backlog().await.unwrap().queued == 0
    })
    .await;
    assert!(actors.end(LONG).await, "an actor did not end");
    check(stage, ada, &history).await
}

/// Places every order under its key, until it has the receipt; who crashed has none, and does not know.
async fn place(store: orderflow::store::SharedStore, ada: CustomerId, plan: Vec<Crash>, history: Arc<History>) {
    let mut placed = 0;
    let mut plan = plan.into_iter();
    while placed < ORDERS {
        let life = Life::new(&history, plan.next());
        let living = async {
            while placed < ORDERS {
                let key: IdempotencyKey = format!("order-{placed}").parse().unwrap();
                life.before(Call::Place).await;
                let draft = order(ada);
                store.place_order(&draft, Some((&key, Fingerprint::of(&draft)))).await.unwrap();
                life.after(Call::Place, true).await;
                placed += 1;
            }
        };
        tokio::select! {
            () = living => {}
            () = life.died() => {}
        }
    }
}

async fn relay(jobs: SharedJobs, plan: Vec<Crash>, history: Arc<History>, mut stop: Stop) {
    for crash in plan.into_iter().map(Some).chain([None]) {
        let life = Life::new(&history, crash);
        let crashing = CrashingJobs { inner: jobs.clone(), life: life.clone() };
        let living = async {
            loop {
                orderflow::jobs::JobStore::relay(&crashing, 2).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = living => {}
            () = life.died() => {}
            () = stop.wait() => return,
        }
    }
}

async fn work(jobs: SharedJobs, plan: Vec<Crash>, mail: (u32, u64), history: Arc<History>, mut stop: Stop) {
    let (refuses, seed) = mail;
    let settings = Settings {
        concurrency: 2,
        max_attempts: 100,
        backoff: Backoff { base: Duration::from_millis(5), most: Duration::from_millis(20) },
        lease: LEASE,
        poll: Duration::from_millis(10),
        ..settings()
    };
    for crash in plan.into_iter().map(Some).chain([None]) {
        let life = Life::new(&history, crash);
        let mailer = CrashingMailer { life: life.clone(), refuses, random: Mutex::new(fastrand::Rng::with_seed(seed)) };
        let worker = Worker::new(
            Arc::new(CrashingJobs { inner: jobs.clone(), life: life.clone() }),
            Arc::new(mailer),
            Sender::new(&config().mail).unwrap(),
            Metrics::default(),
            Wake::default(),
            settings,
        );
        let mut running = Background::default();
        running.spawn(|stop| worker.run(Source::Table, stop));
        tokio::select! {
            () = life.died() => continue,
            () = stop.wait() => {}
        }
        tokio::select! {
            // It may still come to the call at which it is to crash.
            () = life.died() => {}
            ended = running.end(LONG) => assert!(ended, "a worker did not end"),
        }
        return;
    }
}

/// Compares what is in the database with what really happened.
async fn check(stage: &Stage, ada: CustomerId, history: &History) -> Totals {
    let orders = i64::try_from(ORDERS).unwrap();
    for table in ["orders", "outbox WHERE published_at IS NOT NULL", "outbox", "notifications"] {
        assert_eq!(stage.count(table).await, orders, "{table}");
    }
    assert_eq!(stage.count("dead_letters").await, 0);
    assert_eq!(stage.count("notifications WHERE state = 'sent' AND claim IS NULL").await, orders);
    let first = stage.ask("SELECT min(id) FROM orders").await;
    let gaps = stage.ask("SELECT max(id) FROM orders").await - first + 1;
    let expected: HashSet<_> =
        (first..first + gaps).map(|id| format!("<order-{id}.{ada}@orderflow.example>")).collect();

    let crashes = history.crashes.lock().unwrap().clone();
    let crashed: HashSet<_> = crashes.iter().map(|(life, ..)| *life).collect();
    let settled: HashSet<_> = history.settled.lock().unwrap().iter().copied().collect();
    let mut totals = Totals::default();
    for (_, call, when) in &crashes {
        *totals.crashes.entry((*call, *when)).or_default() += 1;
    }

    let claims = history.claims.lock().unwrap();
    assert_eq!(claims.len(), ORDERS as usize, "each notification was taken up");
    let lease = i64::try_from(LEASE.as_micros()).unwrap();
    for (id, held) in claims.iter() {
        let mut held = held.clone();
        held.sort_by_key(|held| (held.attempt, held.answered));
        assert!(!held[0].maybe_sent, "the first claim of {id:?} is nobody's second");
        for pair in held.windows(2) {
            let [before, after]: &[Held; 2] = pair.try_into().unwrap();
            let recorded = settled.contains(&(*id, before.claim));
            assert_eq!(after.maybe_sent, !recorded, "{id:?}: {before:?} then {after:?}");
            if recorded {
                continue;
            }
            // Taken over: its lease had ended.
            assert!(after.answered.micros() - before.asked.micros() >= lease, "{id:?}: {before:?} then {after:?}");
            totals.takeovers += 1;
            totals.overruns += usize::from(!crashed.contains(&before.life));
        }
    }

    let mut times: HashMap<String, Vec<usize>> = HashMap::new();
    for (message_id, life) in history.accepted.lock().unwrap().iter() {
        assert!(expected.contains(message_id), "{message_id} is no order's");
        times.entry(message_id.clone()).or_default().push(*life);
    }
    assert_eq!(times.len(), ORDERS as usize, "somebody was told nothing");
    for lives in times.values() {
        totals.repeats += lives.len() - 1;
        // Whoever sent it before another did has crashed, or was so slow that its lease ran out.
        let living = lives[..lives.len() - 1].iter().filter(|life| !crashed.contains(life)).count();
        assert!(living <= totals.overruns, "a repeat without a crash: {lives:?}, crashed {crashed:?}");
    }
    let maybe: usize = claims.values().flatten().filter(|held| held.maybe_sent).count();
    assert!(totals.repeats <= maybe, "{} repeats, of which {maybe} were foreseen", totals.repeats);
    totals
}
