//! What continuous integration is told to do can be done: the commands and scenarios that it names are there.

use std::{fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn workflow(name: &str) -> String {
    fs::read_to_string(root().join(".github/workflows").join(name)).unwrap()
}

#[test]
fn the_commands_of_the_workflows_exist() {
    let mut verbs = 0;
    for text in ["check.yml", "nightly.yml"].map(workflow) {
        for rest in text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split_once("run: cargo xtask "))
        {
            let verb = rest.1.split(' ').next().unwrap();
            let help = Command::new(env!("CARGO_BIN_EXE_xtask")).args([verb, "--help"]).output().unwrap();
            assert!(help.status.success(), "cargo xtask {verb}");
            verbs += 1;
        }
    }
    assert!(verbs >= 4, "{verbs}");
    assert!(workflow("check.yml").contains(" .ci/run\n"), "a push runs what everybody runs");
    let nightly = workflow("nightly.yml");
    let list = nightly.split_once("scenario: [").unwrap().1.split(']').next().unwrap();
    let scenarios: Vec<_> = list.split(", ").collect();
    assert_eq!(scenarios, ["stress", "soak"]);
    for scenario in scenarios {
        assert!(root().join(format!("orderflow/load/scenarios/{scenario}.toml")).is_file(), "{scenario}");
    }
}

#[test]
fn workflows_may_only_read_and_take_actions_of_a_known_version() {
    for text in ["check.yml", "nightly.yml"].map(workflow) {
        let permissions = text.split_once("\npermissions:\n").unwrap().1;
        assert!(permissions.starts_with("  contents: read\n\n"), "nothing else is permitted");
        assert_eq!(text.matches("permissions:").count(), 1, "and no job takes more");
        assert!(text.contains("cancel-in-progress: true"));
        for action in text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, action)| action) {
            let (name, version) = action.split_once("@v").unwrap();
            assert!(name.starts_with("actions/") && version.parse::<u32>().is_ok(), "{action}");
        }
        let jobs = text.matches("runs-on:").count();
        assert_eq!(text.matches("timeout-minutes:").count(), jobs, "every job ends");
    }
}
