//! The scheduler and the workers, with a mail sink that stands for somebody's mail server.

use std::{
    collections::HashMap,
    process::Stdio,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use orderflow_load::{Draft, RequestDraft, ValueDraft};
use orderflow_servers::{Behaviour, Mail, Sink};

use crate::{
    cases::{Filled, Setting},
    finding::{Bound, Finding},
    measure::{Spread, load},
    process::Program,
};

/// Customers whose birthday is on one day.
const BIRTHDAYS: u64 = 10_000;
/// A day that none of the example customers was born on would do as well; those who were are part of the count.
const DAY: &str = "2026-03-14";
/// How long the sink takes to accept a mail.
const ACCEPTS_AFTER: Duration = Duration::from_millis(5);
/// How many mails one worker sends in a run, and ten of them: about as long.
const ONE: u64 = 1_000;
const TEN: u64 = 10_000;
const WORKERS: u64 = 10;
/// Orders a second, and how many customers they come from.
const ORDERS: f64 = 200.0;
const CUSTOMERS: u64 = 2_000;
const PRODUCTS: u64 = 1_000;
/// Much longer than any of it takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A day on which so many customers more have their birthday.
fn celebrated(setting: &Setting) -> Result<Filled> {
    let filled = Filled::example(setting)?;
    filled.database().psql(&format!(
        "INSERT INTO customers (name, email, birthday) \
         SELECT 'Customer ' || n, 'birthday-' || n || '@example.com', date '1980-03-14' FROM generate_series(1, {BIRTHDAYS}) n; \
         VACUUM ANALYZE customers"
    ))?;
    Ok(filled)
}

/// One look of the scheduler at a day, from the start of its process to its end. Gives seconds and what was enqueued.
fn enqueue(setting: &Setting, filled: &Filled) -> Result<(f64, f64)> {
    let database = filled.database();
    database.psql("TRUNCATE notifications, dead_letters, scheduler_progress")?;
    let mut scheduler = filled.command(setting, &[("ops.listen", "127.0.0.1:0")]);
    scheduler.args(["scheduler", "--once", "--date", DAY]).stdout(Stdio::null());
    let began = Instant::now();
    let status = scheduler.status()?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "orderflow scheduler failed; its own message is above");
    let count: f64 = database.psql("SELECT count(*) FROM notifications WHERE kind = 'birthday'")?.trim().parse()?;
    ensure!(count >= BIRTHDAYS as f64, "only {count} birthdays were enqueued");
    Ok((seconds, count))
}

pub(crate) fn birthdays(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = celebrated(setting)?;
    let runs = (0..setting.rounds).map(|_| enqueue(setting, &filled)).collect::<Result<Vec<_>>>()?;
    let what = "10,000 birthdays found and enqueued, by a scheduler that starts, looks and ends";
    let seconds = Spread::of(runs.iter().map(|(seconds, _)| *seconds));
    let rate = Spread::of(runs.iter().map(|(seconds, count)| count / seconds));
    Ok(vec![
        Finding::amount(what, "s", seconds, Bound::AtMost(3.0)),
        Finding::amount("the same, a second", "notifications/s", rate, Bound::AtLeast(3_000.0)),
    ])
}

/// Sends so many birthday mails by one process with so many workers. Gives mails a second, from the first to the last.
fn send(setting: &Setting, filled: &Filled, workers: u64, mails: u64) -> Result<f64> {
    enqueue(setting, filled)?;
    filled.database().psql(&format!(
        "DELETE FROM notifications WHERE id NOT IN (SELECT id FROM notifications ORDER BY id LIMIT {mails}); \
         VACUUM ANALYZE notifications"
    ))?;
    let sink = Sink::start()?;
    sink.behave(Behaviour::Accept { after: ACCEPTS_AFTER });
    let _worker = worker(setting, filled, workers, &sink)?;
    let sent = sink.wait_for(mails as usize, PATIENCE);
    ensure!(sent.len() == mails as usize, "{} of {mails} mails came within {PATIENCE:?}", sent.len());
    let (first, last) = (sent.iter().map(|mail| mail.accepted).min(), sent.iter().map(|mail| mail.accepted).max());
    let took = last.zip(first).context("there are mails")?;
    Ok((mails - 1) as f64 / (took.0 - took.1).as_secs_f64())
}

fn worker(setting: &Setting, filled: &Filled, workers: u64, sink: &Sink) -> Result<Program> {
    let url = sink.url();
    let mut worker = filled.command(setting, &[("ops.listen", "127.0.0.1:0"), ("mail.smtp_url", &url)]);
    worker.args(["worker", "--concurrency", &workers.to_string()]);
    Program::start(worker)
}

pub(crate) fn workers(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = celebrated(setting)?;
    let (mut ones, mut tens) = (Vec::new(), Vec::new());
    for round in 0..setting.rounds {
        // Who goes first alternates.
        for ten in [round % 2 == 0, round % 2 != 0] {
            if ten {
                tens.push(send(setting, &filled, WORKERS, TEN)?);
            } else {
                ones.push(send(setting, &filled, 1, ONE)?);
            }
        }
    }
    let ratio = Spread::of(ones.iter().zip(&tens).map(|(one, ten)| ten / one));
    let what = "mails from ten workers in one process against one, to a sink that takes 5 ms for each";
    Ok(vec![
        Finding::beside(
            what,
            "x throughput",
            ratio,
            "mails/s",
            [Spread::of(tens.clone()), Spread::of(ones)],
            Bound::AtLeast(9.5),
        ),
        Finding::amount("the ten alone", "mails/s", Spread::of(tens), Bound::AtLeast(1_500.0)),
    ])
}

pub(crate) fn delivery(setting: &Setting) -> Result<Vec<Finding>> {
    let filled = Filled::example(setting)?;
    let key = filled.accept_a_key()?;
    let service = filled.serve(setting, &[])?;
    let sink = Sink::start()?;
    sink.behave(Behaviour::Accept { after: ACCEPTS_AFTER });
    let _worker = worker(setting, &filled, WORKERS, &sink)?;
    // The sink's clock only counts on, and the database's is that of the machine.
    let (then, clock) = (Instant::now(), SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?);
    let (mut p95, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds {
        let before: u64 = filled.database().psql("SELECT coalesce(max(id), 0) FROM orders")?.trim().parse()?;
        load(&orders(setting), &service.url, Some(&key))?;
        let placed = filled
            .database()
            .psql(&format!("SELECT id, extract(epoch FROM placed_at) FROM orders WHERE id > {before}"))?;
        let placed: HashMap<u64, f64> = placed
            .lines()
            .filter_map(|line| line.split_once('|'))
            .map(|(id, at)| Ok((id.parse()?, at.parse()?)))
            .collect::<Result<_>>()?;
        let mails = wait_for_all(&sink, &placed)?;
        let mut took: Vec<f64> =
            mails.iter().map(|(order, mail)| (clock + (mail.accepted - then)).as_secs_f64() - placed[order]).collect();
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
        p95.push(at(0.95));
        p99.push(at(0.99));
    }
    let what = "order accepted to mail taken by the sink, 200 orders a second, 95th percentile";
    Ok(vec![
        Finding::amount(what, "s", Spread::of(p95), Bound::AtMost(0.5)),
        Finding::amount("the same, 99th percentile", "s", Spread::of(p99), Bound::AtMost(1.0)),
    ])
}

fn orders(setting: &Setting) -> Draft {
    Draft::open("orders", 32)
        .rate(2.0 + setting.seconds, ORDERS)
        .value("product", ValueDraft::Uniform { from: 1, to: PRODUCTS.into() })
        .value("customer", ValueDraft::Uniform { from: 1, to: CUSTOMERS.into() })
        .request(
            RequestDraft::post(
                "/api/orders",
                r#"{"customer_id":{customer},"items":[{"product_id":{product},"quantity":1}]}"#,
            )
            .header("Idempotency-Key", "{unique}")
            .auth()
            .expect(201),
        )
}

/// The mail of each of these orders, once all have come. The order's number is the first one in the Message-ID.
fn wait_for_all(sink: &Sink, placed: &HashMap<u64, f64>) -> Result<HashMap<u64, Mail>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut mails = HashMap::new();
        for mail in sink.mails() {
            let digits: String =
                mail.message_id.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
            if let Ok(order) = digits.parse()
                && placed.contains_key(&order)
            {
                mails.entry(order).or_insert(mail);
            }
        }
        if mails.len() == placed.len() {
            return Ok(mails);
        }
        ensure!(Instant::now() < deadline, "{} of {} orders were told within {PATIENCE:?}", mails.len(), placed.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}
