//! What the log says of a request that failed: why, under the identifier that its client was given.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use orderflow::telemetry::log::{Form, Lines};
use tracing_subscriber::layer::SubscriberExt;

use crate::watched::{Stage, Trouble};

/// A log that is kept.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// On one thread, so that the log of this test is not that of another.
#[tokio::test]
async fn why_a_request_failed_is_logged_under_its_identifier_and_told_to_nobody() {
    let stage = Stage::with(&[("database.coalesce_reads", "false")]).await;
    let kept = Kept::default();
    let writer = kept.clone();
    let log = Lines::new(Form::Json, move || writer.clone(), &stage.metrics);
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(log));
    for (trouble, status, level, why) in [
        (Trouble::Fails, 503, "WARN", "every database connection was busy"),
        (Trouble::Panics, 500, "ERROR", "a handler panicked"),
    ] {
        stage.store.next(trouble);
        let failed = stage.get("/api/products/7").await;
        assert_eq!(failed.status, status);
        let id = failed.header("x-request-id").unwrap();
        let text = kept.text();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let line =
            lines.iter().find(|line| line["request_id"] == id).unwrap_or_else(|| panic!("{id} is not in {text}"));
        let answered = failed.header("traceresponse").unwrap();
        assert_eq!(line["trace_id"], answered[3..35], "{answered}");
        assert_eq!((line["level"].as_str(), line["status"].as_u64()), (Some(level), Some(status.into())));
        assert_eq!((&line["method"], &line["route"]), (&"GET".into(), &"/api/products/{id}".into()));
        assert!(line["cause"].as_str().unwrap().starts_with(why), "{line}");
        assert!(!String::from_utf8_lossy(&failed.body).contains(why));
    }
    let before = kept.text();
    stage.get("/api/products/7").await.ok(200);
    stage.get("/api/products/999").await.problem("not-found");
    assert_eq!(kept.text(), before, "what went well, or was the client's fault, is not logged");
}
