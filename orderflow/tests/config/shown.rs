//! What `orderflow config` and the example file show.

use orderflow::config::{self, Effective, Loaded, Sources};

use crate::{Written, env};

fn values(effective: &[Effective]) -> Vec<(&str, String)> {
    effective.iter().map(|one| (one.setting.key, one.value.to_string())).collect()
}

#[test]
fn the_example_file_is_current_and_says_what_holds_without_it() {
    let example = include_str!("../../orderflow.toml.example");
    assert!(
        example == config::example(),
        "orderflow.toml.example is out of date: `cargo run -p orderflow -- config --example > orderflow/orderflow.toml.example`"
    );
    let defaults = Loaded::load(&Sources::default()).unwrap();
    for one in &defaults.effective {
        let value = one.value.as_str().map_or_else(|| one.value.to_string(), str::to_owned);
        assert!(value == one.setting.default || one.setting.key == "auth.keys", "{} is {value}", one.setting.key);
    }
    let read = Written::new(example).load().unwrap();
    assert_eq!(values(&read.effective), values(&defaults.effective));
    let longest = example.lines().map(|line| line.chars().count()).max();
    assert!(longest <= Some(110), "{longest:?}");
}

#[test]
fn what_is_shown_can_be_read_back() {
    let plain = "data_dir = 'a \"b\\'\n[http]\nlisten = '[::1]:1'\nrequest_timeout = '59m'\nmax_body_bytes = 1000\n";
    let keys = "[[auth.keys]]\nname = \"a\\u0022 # ]\"\nrole = \"admin\"\nsha256 = \"";
    let file = Written::new(format!("{plain}{keys}{}\"\n", "1f".repeat(32)));
    let first = file.load().unwrap();
    let again = Written::new(config::toml(&first.effective)).load().unwrap();
    assert_eq!(values(&again.effective), values(&first.effective));
    assert_eq!(config::toml(&again.effective).lines().count(), config::toml(&first.effective).lines().count());
    assert_eq!(again.config.auth.keys[0].sha256, [0x1f; 32]);
}

#[test]
fn a_secret_is_masked_and_not_read_back() {
    let loaded = Loaded::load(&env(&[("DATABASE__URL", "postgres://u:hunter2@h/db")])).unwrap();
    let text = config::toml(&loaded.effective);
    assert!(!text.contains("hunter2"));
    let line = "# url = \"postgres://u:***@h/db\"  # from ORDERFLOW_DATABASE__URL; a secret, which is not shown\n";
    assert!(text.contains(line), "{text}");
    assert!(Written::new(&text).load().unwrap().config.embedded(), "it is a comment");
    let json: serde_json::Value = serde_json::from_str(&config::json(&loaded.effective)).unwrap();
    let url = json.as_array().unwrap().iter().find(|one| one["key"] == "database.url").unwrap();
    assert_eq!(url["value"], "postgres://u:***@h/db");
    assert_eq!((url["masked"].as_bool(), url["source"].as_str()), (Some(true), Some("ORDERFLOW_DATABASE__URL")));

    let plain = Loaded::load(&env(&[("DATABASE__URL", "postgres://u@h/db")])).unwrap();
    assert!(config::toml(&plain.effective).contains("\nurl = \"postgres://u@h/db\"  # from ORDERFLOW_DATABASE__URL\n"));
}
