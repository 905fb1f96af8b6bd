//! A test whose server is missing must not look like one that passed.

use std::process::{Command, Output};

use orderflow_servers::{Missing, needs};

#[test]
#[ignore = "run by the other tests here, in a process of its own"]
fn lacks_a_server() {
    let missing = Missing { program: "brokerd".into(), how: "Install a broker.".into() };
    let server = needs::<()>(Err(missing.into()));
    assert_eq!(server, None);
}

fn run(ci: bool) -> Output {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "lacks_a_server", "--ignored"]).env_remove("CI");
    if ci {
        test.env("CI", "true");
    }
    test.output().unwrap()
}

#[test]
fn it_says_so_although_the_harness_captures_output() {
    let output = run(false);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let start = format!("blocked: lacks_a_server ({}:", file!());
    assert!(said.starts_with(&start), "{said}");
    assert!(said.contains("brokerd was found neither in PATH nor in its usual places. Install a broker."), "{said}");
}

#[test]
fn on_continuous_integration_it_fails() {
    let output = run(true);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("BLOCKED: brokerd") && said.contains(file!()), "{said}");
}

#[test]
#[should_panic(expected = "a server cannot be had: it exploded")]
fn a_server_that_is_there_and_fails_is_a_failure_everywhere() {
    needs::<()>(Err(anyhow::anyhow!("it exploded")));
}
