//! A backup of a database in use, and what a restore makes of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

#[path = "shared/program.rs"]
mod program;

#[path = "shared/client.rs"]
mod client;
#[path = "shared/served.rs"]
mod served;

use client::ask;
use orderflow_servers::{Postgres, Settings, needs};
use served::Served;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

/// Runs a script on a server, as libpq's variables name it.
fn run(name: &str, url: &str, arguments: &[&str]) -> Output {
    let rest = url.strip_prefix("postgres://").unwrap();
    let (login, place) = rest.split_once('@').unwrap();
    let ((user, password), (host, database)) = (login.split_once(':').unwrap(), place.split_once('/').unwrap());
    let (host, port) = host.split_once(':').unwrap();
    let mut command = Command::new("/bin/sh");
    command.arg(script(name)).args(arguments).env("PGHOST", host).env("PGPORT", port).env("PGUSER", user);
    command.env("PGPASSWORD", password).env("PGDATABASE", database).env("KEEP", "2").output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_backup_under_load_becomes_the_same_orders_on_another_server() {
    let Some(database) = orderflow_servers::postgres().map(|postgres| postgres.database().unwrap()) else { return };
    let Some(other) = needs(Postgres::own(&Settings::default())) else { return };
    let filled = |words: &[&str]| {
        let mut command = Command::new(program::orderflow());
        let output = command.args(words).env("ORDERFLOW_DATABASE__URL", database.url()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    filled(&["migrate"]);
    filled(&["seed", "--orders", "500"]);
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("backups");
    let target = directory.to_str().unwrap();

    let over = AtomicBool::new(false);
    let backup = thread::scope(|scope| {
        scope.spawn(|| {
            let order = "WITH o AS (INSERT INTO orders (customer_id, status, total_cents) VALUES (1, 'pending', 100) RETURNING id), \
                         i AS (INSERT INTO order_items SELECT id, 1, 1, 1, 100 FROM o) \
                         INSERT INTO outbox (kind, payload) SELECT 'order', jsonb_build_object('id', id) FROM o";
            while !over.load(Ordering::SeqCst) {
                database.psql(order).unwrap();
            }
        });
        let backup = run("backup.sh", database.url(), &[target]);
        over.store(true, Ordering::SeqCst);
        backup
    });
    assert!(backup.status.success(), "{}", said(&backup));
    let backup = PathBuf::from(String::from_utf8(backup.stdout).unwrap().trim());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing but the backup is left");

    let restored = run("restore.sh", &other.url("postgres"), &[backup.to_str().unwrap(), "shop"]);
    assert!(restored.status.success(), "{}", said(&restored));
    let again = run("restore.sh", &other.url("postgres"), &[backup.to_str().unwrap(), "shop"]);
    assert!(!again.status.success() && said(&again).contains("nothing was changed"), "{}", said(&again));

    // The same orders, line by line, as far as the backup goes; and no number of the old server's transactions.
    let query = |url: &str, sql: &str| {
        let output = Command::new("psql").args(["-XAtq", "-d", url, "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let shop = other.url("shop");
    let last = query(&shop, "SELECT max(id) FROM orders");
    let orders = format!(
        "SELECT md5(string_agg(o::text || i::text, ',' ORDER BY o.id, i.line)) FROM orders o \
         JOIN order_items i ON i.order_id = o.id WHERE o.id <= {}",
        last.trim()
    );
    assert_eq!(query(&shop, &orders), query(database.url(), &orders));
    assert_eq!(query(&shop, "SELECT count(*) FROM outbox WHERE xid IS NOT NULL"), "0\n");
    assert!(last.trim().parse::<u32>().unwrap() > 500, "orders came while the backup was taken, or just before");

    // OrderFlow serves from it, without a migration.
    let served = Served::start(&shop);
    let order = ask(served.port, &format!("GET /api/orders/{}", last.trim()), "", "");
    assert_eq!(order.status, 200);
    assert!(order.body.contains(&format!("\"id\":{},", last.trim())), "{}", order.body);
    drop(served);

    // What was damaged is not restored, and leaves no database.
    let mut dump = fs::read(backup.join("dump")).unwrap();
    dump.truncate(dump.len() / 2);
    fs::write(backup.join("dump"), dump).unwrap();
    let damaged = run("restore.sh", &other.url("postgres"), &[backup.to_str().unwrap(), "damaged"]);
    assert!(!damaged.status.success() && said(&damaged).contains("checksums"), "{}", said(&damaged));
    assert_eq!(query(&other.url("postgres"), "SELECT count(*) FROM pg_database WHERE datname = 'damaged'"), "0\n");
}
