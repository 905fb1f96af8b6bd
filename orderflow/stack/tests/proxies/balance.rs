//! Who gets a request.

use std::thread;

use crate::{
    client::{Client, ask},
    front::Front,
    instance::{Instance, Manner},
};

const WIDE: [u32; 3] = [10_000, 10_000, 1_000];

#[test]
fn an_instance_that_is_busy_gets_nothing_while_others_are_idle() {
    let ports = |instances: &[Instance]| instances.iter().map(|instance| instance.port).collect::<Vec<_>>();
    let first = Instance::three();
    let Some(front) = Front::of(&ports(&first), WIDE) else { return };
    for (name, [_, _, port]) in front.ports() {
        let busy = &first[0];
        let before = busy.seen().len();
        busy.be(Manner::Holds);
        // One request after the other, until the first instance has one.
        let mut held = None;
        for _ in 0..12 {
            let mut client = Client::to(port).unwrap();
            let all = || first.iter().map(|instance| instance.seen().len()).sum::<usize>();
            let count = all();
            client.send("GET /", "", "").unwrap();
            while all() == count {
                thread::yield_now();
            }
            if busy.seen().len() > before {
                held = Some(client);
                break;
            }
            assert_eq!(client.answer().unwrap().status, 200);
        }
        let mut held = held.unwrap_or_else(|| panic!("{name} leaves an instance out"));
        for _ in 0..30 {
            assert_eq!(ask(port, "GET /", "", "").status, 200, "{name}");
        }
        assert_eq!(busy.seen().len(), before + 1, "{name} does not go by connections");
        busy.be(Manner::Answers);
        assert_eq!(held.answer().unwrap().status, 200, "{name}");
    }
}
