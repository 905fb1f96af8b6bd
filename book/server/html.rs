//! Text on its way into a page: escaped, on one line, and safe from the Markdown and the directives around it.

/// `text` as HTML text or attribute value. Line breaks become spaces, since a blank line would end an HTML block of
/// Markdown, and braces become references, since mdBook would read `{{#include}}` in it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.trim().chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '{' => out.push_str("&#123;"),
            '}' => out.push_str("&#125;"),
            '\n' | '\r' | '\t' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// Like [`escape`], with words between backticks as code: all the Markdown that an `exercise.toml` uses.
pub fn prose(text: &str) -> String {
    let mut out = String::new();
    let parts: Vec<&str> = text.trim().split('`').collect();
    // An odd number of backticks leaves the last one without a partner: it stays a backtick.
    let paired = if parts.len().is_multiple_of(2) { parts.len() - 1 } else { parts.len() };
    for (i, part) in parts.iter().enumerate() {
        // `escape` trims, which would join words across a code span; guard the space at either end.
        let inner = escape(&format!("|{part}|"));
        let inner = &inner[1..inner.len() - 1];
        match (i % 2 == 1, i < paired) {
            (true, true) => out.extend(["<code>", inner, "</code>"]),
            (_, false) => out.extend(["`", inner]),
            (false, true) => out.push_str(inner),
        }
    }
    out
}

/// Like [`prose`], for places that hold no elements, such as attributes.
pub fn plain(text: &str) -> String {
    escape(&text.replace('`', ""))
}

/// `1 point`, `2 points`.
pub fn counted(count: u32, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_can_end_the_html_around_it() {
        assert_eq!(
            escape("<a b=\"c\">&'d'\n\n{{#include e}}"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&#39;d&#39;  &#123;&#123;#include e&#125;&#125;"
        );
    }

    #[test]
    fn backticks_become_code() {
        assert_eq!(prose("use `Vec<u8>` or `x`."), "use <code>Vec&lt;u8&gt;</code> or <code>x</code>.");
        assert_eq!(prose("a ` b"), "a ` b");
        assert_eq!(prose("`a` and ` b"), "<code>a</code> and ` b");
    }
}
