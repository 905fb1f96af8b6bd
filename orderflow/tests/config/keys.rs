//! `auth.keys`.

use orderflow::config::{Config, Role};

use crate::{Written, env, faults, set};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

fn table(name: &str, role: &str, sha256: &str) -> String {
    format!("[[auth.keys]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n")
}

#[test]
fn keys_come_from_a_file_and_from_a_variable() {
    let file = Written::new(table("shop", "writer", A) + &table("office", "admin", B));
    let inline = format!(
        r#"[{{ name = "shop", role = "writer", sha256 = "{A}" }}, {{ name = "office", role = "admin", sha256 = "{B}" }}]"#
    );
    for sources in [file.sources(), env(&[("AUTH__KEYS", &inline)]), set(&[("auth.keys", &inline)])] {
        let keys = Config::load(&sources).unwrap().auth.keys;
        let found: Vec<_> = keys.iter().map(|key| (key.name.as_str(), key.role, key.sha256)).collect();
        assert_eq!(found, [("shop", Role::Writer, [0xaa; 32]), ("office", Role::Admin, [0xbb; 32])]);
    }
    assert!(Config::load(&env(&[("AUTH__KEYS", "")])).unwrap().auth.keys.is_empty());
}

#[test]
fn every_fault_of_every_key_is_told_with_its_line() {
    let text = table("", "owner", "abc") + "[[auth.keys]]\nname = \"x\"\nroles = \"admin\"\nsha256 = 5\n";
    let file = Written::new(text);
    let path = file.path();
    let expected = [
        ("[0].name is the text \"\"", 2),
        ("[0].role is the text \"owner\"", 3),
        ("[0].sha256 has 3 characters (its value is not shown)", 4),
        ("[1].role is missing", 5),
        ("[1].roles is no field of a key; role?", 7),
        ("[1].sha256 is a number", 8),
    ];
    let expected = expected.map(|(fault, line)| format!("auth.keys{fault} @ {}:{line}", path.display()));
    assert_eq!(faults(&file.sources()), expected);
}

#[test]
fn two_keys_may_share_neither_name_nor_hash() {
    let name = Written::new(table("shop", "writer", A) + &table("shop", "admin", B));
    assert!(faults(&name.sources())[0].starts_with("auth.keys[1].name is also that of auth.keys[0]"));
    // The same hash, though it is written in another way.
    let hash = Written::new(table("shop", "writer", &A.to_uppercase()) + &table("office", "admin", A));
    assert!(faults(&hash.sources())[0].starts_with("auth.keys[1].sha256 is also that of auth.keys[0]"));
}

#[test]
fn names_hashes_and_the_number_of_keys_have_limits() {
    for (name, sha256, ok) in [
        ("é".repeat(64), A.to_owned(), true),
        ("é".repeat(65), A.to_owned(), false),
        ("a\\tb".to_owned(), A.to_owned(), false),
        ("a".to_owned(), A[1..].to_owned(), false),
        ("a".to_owned(), format!("{A}a"), false),
        ("a".to_owned(), format!("{}g", &A[1..]), false),
        ("a".to_owned(), format!("+{}", &A[1..]), false),
        ("a".to_owned(), "é".repeat(32), false),
    ] {
        let found = faults(&Written::new(table(&name, "writer", &sha256)).sources());
        assert_eq!(found.is_empty(), ok, "{name} {sha256}: {found:?}");
    }
    let many = |count: usize| {
        (0..count).map(|at| table(&format!("k{at}"), "writer", &format!("{at:064x}"))).collect::<String>()
    };
    assert_eq!(faults(&Written::new(many(100)).sources()), [""; 0]);
    assert_eq!(faults(&Written::new(many(101)).sources()).len(), 1);
}
