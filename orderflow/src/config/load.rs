//! From the places where settings are given to one checked configuration: defaults, then a file, then the environment, then
//! the command line, each over those before it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, Effective, Problem, Problems, SECTIONS, SETTINGS, Setting, Source,
    given::{Given, Shape, line},
    kinds::Kind,
    problem::nearest,
    rules,
    table::{Table, variable},
};

/// What the environment variables of the service begin with.
pub(super) const PREFIX: &str = "ORDERFLOW_";
/// The file that is read if it is there and none is named.
const FILE: &str = "orderflow.toml";

/// Where settings are given. None at all gives the defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file, which must exist.
    pub file: Option<PathBuf>,
    /// Environment variables. Those that do not begin with `ORDERFLOW_` are left alone.
    pub env: Vec<(String, String)>,
    /// Flags of the command line; of two for one setting the later holds.
    pub flags: Vec<Flag>,
}

/// A setting from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as it was written, for messages: `--listen`, `--set http.listen`.
    pub name: String,
    /// The setting: `http.listen`.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Flag {
    /// `--set KEY=VALUE`.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        let key = key.into();
        Self { name: format!("--set {key}"), key, value: value.into() }
    }
}

impl Sources {
    /// Those of this process: the named file or else `orderflow.toml` in the working directory if there is one, the
    /// environment, and these flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let file = file.or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.exists()));
        // What is not UTF-8 becomes U+FFFD here, and is refused when it is read.
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let env = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self { file, env: env.filter(|(name, _)| name.starts_with(PREFIX)).collect(), flags }
    }
}

/// A configuration that also knows where each setting came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every setting as it was given, and where.
    pub effective: Vec<Effective>,
}

impl Loaded {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// With every fault there is.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        let mut layers = Layers::default();
        if let Some(path) = &sources.file {
            layers.file(path);
        }
        sources.env.iter().for_each(|(name, value)| layers.variable(name, value));
        sources.flags.iter().for_each(|flag| layers.flag(flag));

        let mut reader = Reader { values: &layers.values, problems: layers.problems, bad: BTreeSet::new() };
        let mut config = Config::read(&mut reader);
        rules::check(&config, &mut reader);
        if !reader.problems.is_empty() {
            // As whoever mends them meets them.
            reader.problems.sort_by_key(|problem| match problem.source {
                Source::File(_, line) => (0, line),
                Source::Env(_) => (1, None),
                Source::Flag(_) => (2, None),
                Source::Default => (3, None),
            });
            return Err(Problems(reader.problems));
        }
        let source = |key: &str| layers.values.get(key).map_or(Source::Default, |(_, source)| source.clone());
        let effective = config.effective(&source);
        config.name_database();
        Ok(Self { config, effective })
    }
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// With every fault there is.
    pub fn load(sources: &Sources) -> Result<Self, Problems> {
        Loaded::load(sources).map(|loaded| loaded.config)
    }
}

/// What was given for each setting last, and what was given for none.
#[derive(Default)]
struct Layers {
    values: BTreeMap<String, (Given, Source)>,
    problems: Vec<Problem>,
}

impl Layers {
    fn file(&mut self, path: &Path) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let allowed =
                    format!("--config must name a file that can be read; without it ./{FILE} is taken, if it is there");
                return self.problem(
                    "",
                    format!("cannot be read: {error}"),
                    allowed,
                    Source::File(path.to_owned(), None),
                );
            }
        };
        let (parsed, errors) = DeTable::parse_recoverable(&text);
        let mut garbled = BTreeSet::new();
        for error in errors {
            let at = error.span().map(|span| line(&text, span.start));
            // One slip often makes several errors of one line; the first says what it was.
            if garbled.insert(at) {
                let allowed = "must be TOML: [section], then lines such as name = \"text\" or name = 10".to_owned();
                let wrong = format!("is not TOML: {}", error.message());
                self.problem("", wrong, allowed, Source::File(path.to_owned(), at));
            }
        }
        let span = parsed.span();
        let root = Shape::from_toml(Spanned::new(span, DeValue::Table(parsed.into_inner())).get_ref(), &text);
        let Shape::Table(entries) = root else { return };
        for (name, entry) in entries {
            let source = |given: &Given| Source::File(path.to_owned(), given.line);
            let is_section = SECTIONS.iter().any(|(section, _)| *section == name);
            match entry.value {
                Shape::Table(fields) if is_section => {
                    for (field, given) in fields {
                        if !garbled.contains(&given.line) {
                            let source = source(&given);
                            self.value(format!("{name}.{field}"), given, source);
                        }
                    }
                }
                _ if garbled.contains(&entry.line) => {}
                _ if is_section => {
                    let allowed = format!("must be a table: a line [{name}], and its settings below it");
                    self.problem(&name, "is not a table".to_owned(), allowed, source(&entry));
                }
                _ => {
                    let source = source(&entry);
                    self.value(name, entry, source);
                }
            }
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        let Some(rest) = name.strip_prefix(PREFIX) else { return };
        let key = rest.to_lowercase().replace("__", ".");
        if !is_known(&key) && is_of_a_service_link(rest) {
            return;
        }
        let source = Source::Env(name.to_owned());
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return self.problem(&key, "is not UTF-8".to_owned(), "must be UTF-8".to_owned(), source);
        }
        self.value(key, Given::word(value), source);
    }

    fn flag(&mut self, flag: &Flag) {
        self.value(flag.key.clone(), Given::word(&flag.value), Source::Flag(flag.name.clone()));
    }

    fn value(&mut self, key: String, given: Given, source: Source) {
        if is_known(&key) {
            self.values.insert(key, (given, source));
        } else {
            let hint = hint(&key, &source);
            self.problem(&key, "is no setting".to_owned(), hint, source);
        }
    }

    fn problem(&mut self, key: &str, wrong: String, allowed: String, source: Source) {
        self.problems.push(Problem { key: key.to_owned(), wrong, allowed, source });
    }
}

fn is_known(key: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key == key)
}

/// Whether Kubernetes sets this variable, in every pod beside a service that is called `orderflow`: `ORDERFLOW_PORT`,
/// `ORDERFLOW_SERVICE_HOST`, `ORDERFLOW_PORT_8080_TCP_ADDR` and the like.
fn is_of_a_service_link(rest: &str) -> bool {
    let is = |stem: &str| rest == stem || rest.strip_prefix(stem).is_some_and(|rest| rest.starts_with('_'));
    is("PORT") || is("SERVICE_PORT") || rest == "SERVICE_HOST"
}

/// What may have been meant by a key that is no setting.
fn hint(key: &str, source: &Source) -> String {
    let written = |key: &str| if matches!(source, Source::Env(_)) { variable(key) } else { key.to_owned() };
    let sections = || SECTIONS.iter().map(|(section, _)| *section);
    let (section, name) = key.split_once('.').unwrap_or(("", key));
    // In its own section first: there even a distant name is more likely than a near one elsewhere.
    let siblings = SETTINGS.iter().map(Setting::section_and_name).filter(|(other, _)| *other == section);
    if let Some(near) = nearest(name, siblings.map(|(_, name)| name)) {
        let near = if section.is_empty() { near.to_owned() } else { format!("{section}.{near}") };
        return format!("did you mean {}?", written(&near));
    }
    if let Some(near) = nearest(key, SETTINGS.iter().map(|setting| setting.key).chain(sections())) {
        return format!("did you mean {}?", written(near));
    }
    let of_section: Vec<_> = SETTINGS.iter().filter(|setting| setting.section_and_name().0 == section).collect();
    if section.is_empty() || of_section.is_empty() {
        return format!(
            "the sections are {}; `orderflow config` lists every setting",
            sections().collect::<Vec<_>>().join(", ")
        );
    }
    let names: Vec<_> = of_section.iter().map(|setting| setting.section_and_name().1).collect();
    format!("the settings of {section} are {}", names.join(", "))
}

/// Hands out what was given, and collects what is wrong with it.
pub(super) struct Reader<'a> {
    values: &'a BTreeMap<String, (Given, Source)>,
    problems: Vec<Problem>,
    bad: BTreeSet<&'static str>,
}

impl Reader<'_> {
    /// The value of a setting. One that cannot be read is reported, and its default taken for it.
    pub(super) fn take<T>(&mut self, key: &'static str, kind: &impl Kind<T>) -> T {
        if let Some((given, source)) = self.values.get(key) {
            match kind.read(given) {
                Ok(value) => return value,
                Err(faults) => {
                    self.bad.insert(key);
                    self.problems.extend(faults.into_iter().map(|fault| Problem {
                        key: format!("{key}{}", fault.part),
                        wrong: fault.what,
                        allowed: format!("must be {}", fault.allowed.unwrap_or_else(|| kind.allowed())),
                        source: match source {
                            Source::File(path, line) => Source::File(path.clone(), fault.line.or(*line)),
                            other => other.clone(),
                        },
                    }));
                }
            }
        }
        let default = SETTINGS.iter().find(|setting| setting.key == key).map_or("", |setting| setting.default);
        kind.read(&Given::word(default)).expect("every default is allowed, as a test proves")
    }

    /// Reports a rule between settings as a fault of the first of them that somebody set, unless one is bad by itself.
    pub(super) fn broken(&mut self, keys: &[&'static str], wrong: String, allowed: String) {
        if keys.iter().any(|key| self.bad.contains(key)) {
            return;
        }
        let set = keys.iter().find_map(|key| self.values.get(*key).map(|(_, source)| (*key, source.clone())));
        let (key, source) = set.unwrap_or((keys[0], Source::Default));
        self.problems.push(Problem { key: key.to_owned(), wrong, allowed, source });
    }
}
