//! What lies in `orderflow/deploy` holds together: settings exist, files that are named are there, and each program takes
//! what is written for it.

#[path = "shared/program.rs"]
mod program;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The variables that a template sets.
fn variables(name: &str) -> Vec<(String, String)> {
    let text = read(name);
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_once('=').expect(line)).map(|(name, value)| (name.into(), value.into())).collect()
}

fn orderflow(arguments: &[&str], variables: &[(String, String)]) -> Output {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(program::orderflow());
    command.args(arguments).env_clear().current_dir(place.path());
    command.envs(variables.iter().filter(|(name, _)| name.starts_with("ORDERFLOW_")).cloned()).output().unwrap()
}

/// The names in `${NAME}`, with or without what to say when there is none.
fn names(text: &str) -> BTreeSet<String> {
    let after = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let name = |word: &str| word.split(':').next().unwrap_or_default().to_owned();
    let upper = |word: &String| {
        !word.is_empty() && word.bytes().all(|byte| b"_0123456789".contains(&byte) || byte.is_ascii_uppercase())
    };
    after.map(name).filter(upper).collect()
}

#[test]
fn templates_set_what_the_program_knows_and_nothing_twice() {
    for name in ["development.env.example", "production.env.example"] {
        let variables = variables(name);
        let distinct: BTreeSet<_> = variables.iter().map(|(name, _)| name).collect();
        assert_eq!(distinct.len(), variables.len(), "{name}");
        // The program itself refuses what is no setting, and values that a setting cannot have.
        let output = orderflow(&["config", "--format", "json"], &variables);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_left_open_in_a_file_is_in_the_template_and_the_other_way_round() {
    let files = ["nginx/orderflow.conf", "haproxy/orderflow.cfg", "compose.production.yaml"];
    let open: BTreeSet<_> = files.iter().flat_map(|file| names(&read(file))).collect();
    let set: BTreeSet<_> = variables("production.env.example").into_iter().map(|(name, _)| name).collect();
    let set: BTreeSet<_> = set.into_iter().filter(|name| !name.starts_with("ORDERFLOW_")).collect();
    assert_eq!(open, set);
    let compose = read("compose.production.yaml");
    for name in names(&read("nginx/orderflow.conf")) {
        assert!(compose.contains(&format!("      {name}: ")), "the container of nginx is not told {name}");
    }
}

#[test]
fn a_shutdown_has_the_time_that_its_settings_allow() {
    let output = orderflow(&["config", "--format", "json"], &variables("production.env.example"));
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let seconds = |key: &str| -> u32 {
        let setting = settings.as_array().unwrap().iter().find(|setting| setting["key"] == key).expect(key);
        setting["value"].as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap()
    };
    let needed = seconds("http.drain_notice") + seconds("http.drain_timeout") + 5;
    assert!(seconds("http.drain_notice") >= 3, "the proxies need that long to notice");
    let number = |text: &str, before: &str| -> u32 {
        let rest = text.split(before).nth(1).expect(before);
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    for unit in ["orderflow.service", "orderflow-worker@.service"] {
        assert!(number(&read(&format!("systemd/{unit}")), "TimeoutStopSec=") > needed, "{unit}");
    }
    assert!(number(&read("compose.production.yaml"), "stop_grace_period: ") > needed);
}

#[test]
fn units_are_what_systemd_takes() {
    let place = tempfile::tempdir().unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.arg("verify").arg("--man=no");
    for unit in ["orderflow.service", "orderflow-worker@.service", "orderflow-scheduler.service"] {
        // The program is where it will be, not where it is now.
        let text = read(&format!("systemd/{unit}")).replace("/usr/local/bin/orderflow", "/bin/true");
        fs::write(place.path().join(unit), text).unwrap();
        analyze.arg(place.path().join(unit));
    }
    match analyze.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.trim().is_empty(), "{said}");
        }
        Err(_) => blocked("systemd-analyze"),
    }
}

#[test]
fn scripts_are_posix_and_executable() {
    use std::os::unix::fs::PermissionsExt;
    for name in ["backup.sh", "restore.sh", "container/primary.sh", "container/replica.sh"] {
        let path = deploy().join(name);
        assert!(Command::new("/bin/sh").arg("-n").arg(&path).status().unwrap().success(), "{name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o111, 0o111, "{name}");
    }
}

#[test]
fn compose_files_are_yaml_and_name_files_that_exist() {
    let check = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    for name in ["compose.yaml", "compose.production.yaml"] {
        let python = Command::new("python3").args(["-c", check]).arg(deploy().join(name)).output();
        let Ok(output) = python else { return blocked("python3") };
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("No module named") {
            return blocked("PyYAML");
        }
        assert!(output.status.success(), "{name}: {said}");
        let compose: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for (service, what) in compose["services"].as_object().unwrap() {
            let volumes = what["volumes"].as_array().into_iter().flatten().filter_map(|volume| volume.as_str());
            for file in volumes.filter_map(|volume| volume.strip_prefix("./")?.split(':').next()) {
                assert!(deploy().join(file).is_file(), "{service} mounts {file}");
            }
            let Some(command) = what["healthcheck"]["test"].as_array() else {
                assert!(["collector", "traces"].contains(&service.as_str()), "{service} has no check");
                continue;
            };
            if command[1] == "/usr/local/bin/orderflow" {
                // How it fails where nobody serves: with an answer, and not because it is written wrongly.
                let words: Vec<_> = command[2..].iter().map(|word| word.as_str().unwrap()).collect();
                assert_eq!(orderflow(&words, &[]).status.code(), Some(1), "{service}");
            }
        }
    }
}

fn blocked(program: &str) {
    assert!(std::env::var_os("CI").is_none(), "BLOCKED: {program} is missing");
    eprintln!("blocked: {program} is missing");
}
