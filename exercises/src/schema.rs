//! JSON Schemas (draft 2020-12) for the files that other programs read and write. `cargo xtask schema` writes them to
//! `exercises/schema/`, and a test holds the files there equal to these types.

use serde_json::Value;

/// Every schema with the name of its file.
pub fn all() -> [(&'static str, Value); 2] {
    [
        ("exercise.schema.json", schemars::schema_for!(crate::Spec).into()),
        ("report.schema.json", schemars::schema_for!(crate::Run).into()),
    ]
}
