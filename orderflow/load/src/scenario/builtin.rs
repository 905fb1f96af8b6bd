//! The scenarios that the program carries.

/// Name and text of every built-in scenario.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("smoke", include_str!("../../scenarios/smoke.toml")),
    ("load", include_str!("../../scenarios/load.toml")),
    ("stress", include_str!("../../scenarios/stress.toml")),
    ("spike", include_str!("../../scenarios/spike.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
    ("crud", include_str!("../../scenarios/crud.toml")),
];

/// The text of the built-in scenario of that name.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
