//! What is told of the process, its runtime and its pools, against what others say of them.

use std::{fs, io::Read, time::Duration};

use flate2::read::GzDecoder;
use orderflow::{background::Background, metrics::Metrics, ops::watch_delay};

use crate::{
    client::Request,
    process::{Process, until},
};

/// Seconds since 1970.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_is_as_the_system_says() {
    let before = now();
    let process = Process::start(&[], &[]);
    let after = now();
    let number = async |name: &str| process.number(name).await.unwrap_or_else(|| panic!("{name} is not there"));

    let started = number("process_start_time_seconds").await;
    // The system tells its own start in whole seconds.
    assert!((before - 2.0..after + 2.0).contains(&started), "{started} is not between {before} and {after}");

    let used = || {
        let stat = fs::read_to_string(process.proc("stat")).unwrap();
        let mut fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11);
        let mut ticks = || fields.next().unwrap().parse::<f64>().unwrap();
        (ticks() + ticks()) / 100.0
    };
    let (least, told, most) = (used(), number("process_cpu_seconds_total").await, used());
    assert!((least - 0.03..=most + 0.03).contains(&told), "{told} is not between {least} and {most}");

    let status = |name: &str| {
        let status = fs::read_to_string(process.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap()
    };
    until("the threads are as many", async || number("process_threads").await == status("Threads")).await;
    for (name, field) in [("process_resident_memory_bytes", "VmRSS"), ("process_virtual_memory_bytes", "VmSize")] {
        let near = async || (number(name).await / (1024.0 * status(field)) - 1.0).abs() < 0.05;
        until(name, near).await;
    }
    // The connection that asks is open while it asks, and closed when the test looks.
    let files = || fs::read_dir(process.proc("fd")).unwrap().count() as f64;
    until("the open files are as many", async || number("process_open_fds").await == files() + 1.0).await;
    let limits = fs::read_to_string(process.proc("limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let most = line.split_whitespace().next().unwrap();
    assert_eq!(number("process_max_fds").await, most.parse::<f64>().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_the_pools_and_the_cache_are_seen_at_work() {
    let process = Process::start(&[("TOKIO_WORKER_THREADS", "3")], &[("database.max_connections", "5")]);
    let number = async |name: &str| process.number(name).await.unwrap_or_else(|| panic!("{name} is not there"));
    assert_eq!(number("tokio_workers").await, 3.0);
    assert!(number("tokio_alive_tasks").await >= 2.0);
    let (busy, parks) = (number("tokio_busy_seconds_total").await, number("tokio_park_total").await);
    let load = process.load();
    until("the threads were busy", async || number("tokio_busy_seconds_total").await > busy).await;
    until("the threads slept", async || number("tokio_park_total").await > parks).await;
    until("a connection is used", async || number("db_pool_connections{pool=\"readers\",state=\"used\"}").await > 0.0)
        .await;
    load.end().await;
    until("the connections wait", async || {
        number("db_pool_connections{pool=\"readers\",state=\"used\"}").await == 0.0
            && number("db_pool_connections{pool=\"readers\",state=\"idle\"}").await > 0.0
    })
    .await;
    assert_eq!(number("db_pool_max{pool=\"readers\"}").await, 5.0);
    assert_eq!(number("db_pool_max{pool=\"writer\"}").await, 1.0);

    let before = (number("cache_entries").await, number("cache_bytes").await);
    for product in 1..=5 {
        Request::new(process.public, "GET", &format!("/api/products/{product}")).send().await.ok(200);
    }
    until("what is kept is counted", async || {
        number("cache_entries").await >= before.0 + 5.0 && number("cache_bytes").await > before.1
    })
    .await;
    until("the delay is measured", async || number("tokio_scheduling_delay_seconds_count").await > 3.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_numbers_come_in_the_form_that_the_client_takes() {
    let process = Process::start(&[], &[]);
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::new(process.ops, "GET", "/metrics");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.send().await
    };
    let plain = ask(&[]).await;
    assert_eq!(plain.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert_eq!(plain.header("vary"), Some("accept, accept-encoding"));
    assert!(plain.text().ends_with("# EOF\n") && plain.text().matches("# EOF").count() == 1);
    assert!(plain.text().contains("\n# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n"));

    let packed = ask(&[("Accept-Encoding", "gzip, deflate")]).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    assert!(text.ends_with("# EOF\n") && packed.body.len() < text.len() / 3);

    let classic = ask(&[("Accept", "text/plain")]).await;
    assert_eq!(classic.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = classic.text();
    assert!(text.contains("\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "), "{text}");
    assert!(!text.contains("# EOF") && !text.contains("# UNIT") && !text.contains(" # {"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(!series.is_empty() && value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn a_thread_that_is_blocked_makes_the_delay_grow() {
    let metrics = Metrics::default();
    let late = |metrics: &Metrics| {
        let text = metrics.text();
        let count = |series: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(series)).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        let name = "tokio_scheduling_delay_seconds";
        count(&format!("{name}_count")) - count(&format!("{name}_bucket{{le=\"0.25\"}}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut background = Background::default();
        background.spawn(|stop| watch_delay(metrics.clone(), stop));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = late(&metrics);
        // The only thread sleeps six times as long as the task does that measures.
        std::thread::sleep(Duration::from_millis(350));
        until("a late one is seen", async || late(&metrics) > before).await;
        assert!(background.end(Duration::from_secs(30)).await);
    });
}
