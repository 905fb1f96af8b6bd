//! A configuration as people and programs read it.

use serde_json::json;

use super::{Effective, Loaded, SECTIONS, Sources};

/// The widest line of the example's comments, in characters.
const WIDTH: usize = 100;

/// A file with every setting and where it came from, which gives the same configuration when it is read. A setting with a
/// secret in it is a comment, and masked.
pub fn toml(settings: &[Effective]) -> String {
    let mut out = String::new();
    let mut last = "";
    for Effective { setting, value, masked, source } in settings {
        let (section, name) = setting.section_and_name();
        if section != last {
            out += &format!("\n[{section}]\n");
            last = section;
        }
        // A file's name may hold a line break, which would end the comment.
        let source = source.to_string().replace(char::is_control, "?");
        let (hidden, note) = if *masked { ("# ", "; a secret, which is not shown") } else { (absent(value), "") };
        out += &format!("{hidden}{name} = {value}  # from {source}{note}\n");
    }
    out
}

/// The same as JSON: an array of objects with `key`, `value`, `masked`, `source` and `default`.
pub fn json(settings: &[Effective]) -> String {
    let entry = |Effective { setting, value, masked, source }: &Effective| {
        let (source, default) = (source.to_string(), setting.default);
        json!({ "key": setting.key, "value": value, "masked": masked, "source": source, "default": default })
    };
    let entries: serde_json::Value = settings.iter().map(entry).collect();
    format!("{entries:#}\n")
}

/// A file that sets every setting to its default, and says what it means and what it may be.
pub fn example() -> String {
    let mut out = String::from(
        "# Every setting of OrderFlow with its default. What is left out keeps it.\n\
         #\n\
         # A variable overrides the file, and a flag overrides both: http.listen is ORDERFLOW_HTTP__LISTEN in the\n\
         # environment, and --set http.listen=… on the command line. `orderflow config` shows what holds, and why.\n",
    );
    let defaults = Loaded::load(&Sources::default()).expect("the defaults are a configuration, as a test proves");
    let mut last = "";
    for Effective { setting, value, .. } in defaults.effective {
        let (section, name) = setting.section_and_name();
        out.push('\n');
        if section != last {
            let about = SECTIONS.iter().find(|(other, _)| *other == section).map_or("", |(_, about)| about);
            comment(&mut out, about);
            out += &format!("[{section}]\n\n");
            last = section;
        }
        comment(&mut out, setting.doc);
        comment(&mut out, &format!("Must be {}.", setting.allowed()));
        out += &format!("{}{name} = {value}\n", absent(&value));
    }
    out
}

/// What makes a comment of a list that is empty: a table of it that somebody adds further down would clash with it.
fn absent(value: &::toml::Value) -> &'static str {
    if value.as_array().is_some_and(Vec::is_empty) { "# " } else { "" }
}

/// Adds a text as comment lines.
fn comment(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count() + 1;
        if width == 0 || width + length > WIDTH {
            out.push_str(if width == 0 { "#" } else { "\n#" });
            width = 1;
        }
        out.push(' ');
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}
