//! The published schemas agree with the types, and with the files they describe.
#![cfg(feature = "schema")]

use std::{fs, path::Path};

use catalogue::Catalogue;

#[test]
fn the_published_schemas_are_those_of_the_types() {
    for (name, schema) in catalogue::schema::all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(published, format!("{schema:#}\n"), "run `cargo xtask schema` and commit what it writes");
    }
}

#[test]
fn every_exercise_toml_keeps_to_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let [(_, schema), _] = catalogue::schema::all();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let course = Catalogue::read(root);
    assert!(!course.exercises.is_empty());
    for exercise in &course.exercises {
        let text = fs::read_to_string(root.join(&exercise.dir).join("exercise.toml")).unwrap();
        let mut value = serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", exercise.slug);
        value["minuets"] = 5.into();
        assert!(!validator.is_valid(&value), "an unknown key is refused by the schema too");
    }
}
