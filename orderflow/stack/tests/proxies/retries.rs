//! What is sent again when an instance takes a request and does not answer, and what is not.

use crate::{client::ask, front::Front, instance::Instance};

const WIDE: [u32; 3] = [10_000, 10_000, 1_000];
const KEY: &str = "Idempotency-Key: one\r\n";

/// How often a request came to instances of which the first to get it drops it, and the status in the end.
fn after_a_drop(instances: &[Instance], port: u16, line: &str, headers: &str) -> (usize, u16) {
    let count = || instances.iter().map(|instance| instance.seen().len()).sum::<usize>();
    let before = count();
    instances[0].drop_next();
    let status = ask(port, line, headers, "{}").status;
    (count() - before, status)
}

#[test]
fn what_may_be_done_twice_is_sent_again_and_nothing_else() {
    let instances = Instance::three();
    let ports = instances.each_ref().map(|instance| instance.port);
    let Some(front) = Front::of(&ports, WIDE) else { return };
    for (name, [_, _, port]) in front.ports() {
        for (line, headers) in [
            ("GET /api/products", ""),
            ("PUT /api/customers/1", ""),
            ("DELETE /api/customers/1", ""),
            ("POST /api/orders", KEY),
        ] {
            let (times, status) = after_a_drop(&instances, port, line, headers);
            assert_eq!(status, 200, "{name}: {line} {headers}");
            assert_eq!(times, 2, "{name}: {line} {headers} is sent once more");
        }
        // Without a key, and where a key is nothing to the service.
        for (line, headers) in
            [("POST /api/orders", ""), ("POST /api/orders", "Idempotency-Key:\r\n"), ("POST /api/customers", KEY)]
        {
            let (times, status) = after_a_drop(&instances, port, line, headers);
            assert!([502, 503].contains(&status), "{name}: {line} {headers:?} is answered {status}");
            assert_eq!(times, 1, "{name}: {line} {headers:?} must not be sent twice");
        }
    }
}
