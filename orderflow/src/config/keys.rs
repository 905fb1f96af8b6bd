//! The keys that are accepted: `[[auth.keys]]`, a table each.

use std::collections::{BTreeMap, HashMap};

use toml::{Value, de::DeValue};

use super::{
    ApiKey, Role,
    given::{Given, Shape},
    kinds::{Choice, Kind, Wrong},
    problem::nearest,
};
use crate::auth::{from_hex, hex};

const FIELDS: [&str; 3] = ["name", "role", "sha256"];
const ROLES: Choice<Role> = Choice(&[("writer", Role::Writer), ("admin", Role::Admin)]);
/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

impl Role {
    /// `writer` or `admin`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }
}

/// A list of keys with different names and hashes.
pub(super) struct Keys {
    /// How many there may be: a request's key is compared with every one.
    pub(super) most: usize,
}

impl Kind<Vec<ApiKey>> for Keys {
    fn allowed(&self) -> String {
        format!(
            "at most {} tables with name, role and sha256, as `orderflow key` prints them; \
             in a variable or a flag: [{{ name = \"…\", role = \"writer\", sha256 = \"…\" }}]",
            self.most
        )
    }

    fn parse(&self, given: &Given) -> Result<Vec<ApiKey>, String> {
        self.read(given).map_err(|wrong| wrong.into_iter().map(|wrong| wrong.what).collect())
    }

    fn read(&self, given: &Given) -> Result<Vec<ApiKey>, Vec<Wrong>> {
        let parsed;
        let items = match &given.value {
            Shape::List(items) => items,
            Shape::Word(text) => {
                parsed =
                    list(text).ok_or_else(|| vec![Wrong::from("is no list (its value is not shown)".to_owned())])?;
                &parsed
            }
            _ => return Err(vec![given.is_a_secret().into()]),
        };
        if items.len() > self.most {
            return Err(vec![format!("are {} keys", items.len()).into()]);
        }
        let mut keys = Vec::new();
        let mut wrong = Vec::new();
        let mut seen = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            match key(item) {
                Ok(key) => {
                    for (field, value) in [("name", key.name.clone()), ("sha256", hex(&key.sha256))] {
                        if let Some(first) = seen.insert((field, value), at) {
                            wrong.push(Wrong {
                                part: format!("[{at}].{field}"),
                                what: format!("is also that of auth.keys[{first}]"),
                                allowed: Some("one that no other key has".to_owned()),
                                line: item.line,
                            });
                        }
                    }
                    keys.push(key);
                }
                Err(faults) => wrong
                    .extend(faults.into_iter().map(|fault| Wrong { part: format!("[{at}]{}", fault.part), ..fault })),
            }
        }
        if wrong.is_empty() { Ok(keys) } else { Err(wrong) }
    }

    fn show(&self, keys: &Vec<ApiKey>) -> Value {
        let entry = |key: &ApiKey| {
            let fields =
                [("name", key.name.clone()), ("role", key.role.word().to_owned()), ("sha256", hex(&key.sha256))];
            Value::Table(fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect())
        };
        Value::Array(keys.iter().map(entry).collect())
    }
}

/// A list in the notation of a file.
fn list(text: &str) -> Option<Vec<Given>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let parsed = DeValue::parse(text).ok()?;
    match Shape::from_toml(parsed.get_ref(), text) {
        Shape::List(items) => Some(items.into_iter().map(without_lines).collect()),
        _ => None,
    }
}

fn without_lines(given: Given) -> Given {
    let value = match given.value {
        Shape::Table(entries) => {
            Shape::Table(entries.into_iter().map(|(name, entry)| (name, without_lines(entry))).collect())
        }
        other => other,
    };
    Given { line: None, value }
}

/// One key, or everything that is wrong with it.
fn key(given: &Given) -> Result<ApiKey, Vec<Wrong>> {
    let Shape::Table(fields) = &given.value else {
        return Err(vec![Wrong { line: given.line, ..given.is_a_secret().into() }]);
    };
    let mut wrong = Vec::new();
    for (name, entry) in fields.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str())) {
        let hint = nearest(name, FIELDS.into_iter()).map(|near| format!("; {near}?")).unwrap_or_default();
        let what = format!("is no field of a key{hint}");
        wrong.push(Wrong {
            part: format!(".{name}"),
            what,
            allowed: Some("name, role and sha256".to_owned()),
            line: entry.line,
        });
    }
    let name = field(given, fields, "name", "1 to 64 characters, none of them a control character", name, &mut wrong);
    let role = field(given, fields, "role", "writer or admin", |given| ROLES.parse(given), &mut wrong);
    let rule = "64 hexadecimal digits: the SHA-256 of the key, not the key itself";
    let sha256 = field(given, fields, "sha256", rule, sha256, &mut wrong);
    match (name, role, sha256) {
        (Some(name), Some(role), Some(sha256)) if wrong.is_empty() => Ok(ApiKey { name, role, sha256 }),
        _ => Err(wrong),
    }
}

fn field<T>(
    key: &Given,
    fields: &BTreeMap<String, Given>,
    name: &str,
    allowed: &str,
    read: impl Fn(&Given) -> Result<T, String>,
    wrong: &mut Vec<Wrong>,
) -> Option<T> {
    let entry = fields.get(name);
    let what = match entry.map(read) {
        Some(Ok(value)) => return Some(value),
        Some(Err(what)) => what,
        None => "is missing".to_owned(),
    };
    let line = entry.map_or(key.line, |entry| entry.line);
    wrong.push(Wrong { part: format!(".{name}"), what, allowed: Some(allowed.to_owned()), line });
    None
}

fn name(given: &Given) -> Result<String, String> {
    let text = given.text()?;
    let ok = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if ok { Ok(text.to_owned()) } else { Err(given.is_a()) }
}

/// Never shows what was given: it may be a key that was pasted here by mistake.
fn sha256(given: &Given) -> Result<[u8; 32], String> {
    let text = given.text().map_err(|_| given.is_a_secret())?;
    from_hex(text).ok_or_else(|| match text.chars().count() {
        64 => "has a character that is no hexadecimal digit (its value is not shown)".to_owned(),
        count => format!("has {count} characters (its value is not shown)"),
    })
}
