//! No room left on the disk of the embedded database: a small file system in memory, which fills up like any other. It is
//! mounted in a namespace that only the service is in, and ends with it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::Ordering,
};

use orderflow_servers::{Missing, needs};
use sqlx::{Connection as _, SqliteConnection, query_scalar};

use crate::{
    client::get,
    load::Load,
    service::{Service, arguments},
    shop::Shop,
    waiting::until,
};

/// The room that there is: for the database, its log at its usual size, and the filler.
const ROOM: &str = "size=16m";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_writes_only_and_they_go_on_when_there_is_room() {
    let mut shop = Shop::embedded();
    let Some(service) = needs(on_a_small_disk(&shop)) else { return };
    let disk = PathBuf::from(format!("{}{}", service.proc("root").display(), shop.dir().display()));
    let file = copy(&disk, shop.dir(), "begin");
    shop = shop.copied(file);
    shop.begin().await;
    let load = Load::start("disk", &shop, &service, 4, 2);
    load.more(30).await;
    fill(&disk.join("filler")).unwrap();
    let refused = || load.tally.refused.load(Ordering::Relaxed);
    let full = until("writes are refused", async || refused() >= 20).await;
    // The log is as large as it may become without room; from then on nothing is placed.
    let read = load.tally.read.load(Ordering::Relaxed);
    for path in ["/healthz/live", "/healthz/ready", "/api/orders?limit=3", "/api/products/49", "/api/orders/77"] {
        assert_eq!(service.ask(&get(path)).await.0.status, 200, "{path}");
    }
    until("readers go on", async || load.tally.read.load(Ordering::Relaxed) > read + 20).await;
    fs::remove_file(disk.join("filler")).unwrap();
    let again = load.more(1).await;
    load.more(30).await;
    let tally = load.tally.clone();
    let sent = load.finish().await;
    service.quiet().await;
    let file = copy(&disk, shop.dir(), "end");
    shop = shop.copied(file);
    let mut file = SqliteConnection::connect(&shop.url()).await.unwrap();
    let verdict: String = query_scalar("PRAGMA integrity_check").fetch_one(&mut file).await.unwrap();
    assert_eq!(verdict, "ok");
    assert_eq!(shop.check(&sent).await, 0);
    println!(
        "disk: full after {full:?}; {} writes refused; the next order {again:?} after there was room; {} orders; slowest \
         answer {:?}",
        tally.refused.load(Ordering::Relaxed),
        sent.len(),
        tally.slowest()
    );
    assert_eq!(tally.broken.load(Ordering::Relaxed), 0);
}

/// The service with its data directory on such a disk.
fn on_a_small_disk(shop: &Shop) -> anyhow::Result<Service> {
    let missing = |how: String| Missing { program: "unshare (a mount of the test's own)".to_owned(), how };
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["sh", "-c", "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"", "sh", ROOM]);
    command.arg(shop.dir()).args(arguments(shop, &[]));
    Service::run(shop, command).map_err(|said| {
        if said.contains("unshare:") || said.contains("mount:") {
            missing(format!("It needs a system that lets this user mount a tmpfs: {}", said.trim())).into()
        } else {
            anyhow::anyhow!("the service did not start: {said}")
        }
    })
}

/// Takes all the room that is left.
fn fill(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = [0; 4096];
    loop {
        match file.write_all(&zeros) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The database as it is on that disk, where this process can open it: SQLite would follow the path out of the namespace.
/// Nothing may be written meanwhile.
fn copy(disk: &Path, to: &Path, name: &str) -> PathBuf {
    let file = to.join(format!("{name}.db"));
    fs::copy(disk.join("orderflow.db"), &file).unwrap();
    fs::copy(disk.join("orderflow.db-wal"), to.join(format!("{name}.db-wal"))).unwrap();
    file
}
