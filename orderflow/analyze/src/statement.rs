//! Texts of statements that may be shown: normalised by PostgreSQL, and masked once more, since what it normalises has gaps.

/// How much of a statement is shown, in characters.
const LONGEST: usize = 400;
/// What PostgreSQL normalises begins with one of these; all else (`CREATE USER … PASSWORD`, `COPY`, `DECLARE`) is kept with
/// its literals.
const NORMALISED: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE"];

/// The statement in one line without comments, every literal a `?`; `None` where it is of a kind that is not normalised, or
/// where one cannot tell what in it is a literal.
///
/// `SELECT … INTO` is kept as it came, and a statement that the server forgot while it ran is too: so what looks like a
/// literal is masked whatever the server has done.
pub(crate) fn masked(text: &str) -> Option<String> {
    // Whether a backslash hides a quote depends on settings of a session that is gone.
    if text.contains('\\') {
        return None;
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            out.push(' ');
        } else if rest.starts_with("/*") {
            rest = past_comment(rest);
            out.push(' ');
        } else if letter == '\'' {
            // The kind of a literal, as in E'…' and X'…', is part of it.
            if out.ends_with(['e', 'E', 'b', 'B', 'x', 'X', 'n', 'N']) && !ends_in_word(&out[..out.len() - 1]) {
                out.pop();
            }
            rest = past_quote(rest, '\'')?;
            out.push('?');
        } else if letter == '"' {
            let after = past_quote(rest, '"')?;
            out.push_str(&rest[..rest.len() - after.len()]);
            rest = after;
        } else if let Some(tag) = dollar_tag(rest).filter(|_| !ends_in_word(&out)) {
            let body = &rest[tag.len()..];
            rest = &body[body.find(tag)? + tag.len()..];
            out.push('?');
        } else if letter.is_ascii_digit() && !ends_in_word(&out) {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            out.push('?');
        } else {
            out.push(if letter.is_whitespace() || letter.is_control() { ' ' } else { letter });
            rest = &rest[letter.len_utf8()..];
        }
    }
    let words = out.split_whitespace().collect::<Vec<_>>().join(" ");
    keyword(&words)?;
    Some(if words.chars().count() > LONGEST { words.chars().take(LONGEST).collect::<String>() + " …" } else { words })
}

/// The first word of a statement if it is one of those that say what it does and nothing else.
pub(crate) fn keyword(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    NORMALISED.into_iter().find(|known| known.eq_ignore_ascii_case(&word))
}

/// Whether a masked statement names a table, given without its schema.
pub(crate) fn names(statement: &str, table: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    statement.match_indices(table).any(|(at, _)| {
        !part(statement[..at].chars().next_back()) && !part(statement[at + table.len()..].chars().next())
    })
}

/// Whether what follows would belong to a name, or to a parameter such as `$1`.
fn ends_in_word(out: &str) -> bool {
    out.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
}

/// What is after the closing quote; two in a row stand for one. `None` where the text was cut before it.
fn past_quote(text: &str, quote: char) -> Option<&str> {
    let mut rest = &text[1..];
    loop {
        let end = rest.find(quote)?;
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => rest = more,
            None => return Some(rest),
        }
    }
}

/// Comments nest.
fn past_comment(text: &str) -> &str {
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return &text[at..];
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    ""
}

/// `$$` or `$name$` at the start of `text`; not `$1`.
fn dollar_tag(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let end = inner.find('$')?;
    let name = &inner[..end];
    let is_name =
        name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| &text[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_normalised_stays_as_it_is() {
        for text in [
            "SELECT id, name FROM products WHERE id = ANY($1) AND x_2 > $2",
            r#"UPDATE "Order 1's" SET a1 = $1"#,
            "(SELECT $1) UNION SELECT $2",
        ] {
            assert_eq!(masked(text).as_deref(), Some(text));
        }
        assert_eq!(masked("select  a\n\tfrom b").as_deref(), Some("select a from b"));
    }

    #[test]
    fn literals_and_comments_are_masked_whatever_the_server_did() {
        for (text, shown) in [
            ("SELECT * INTO t FROM c WHERE name = 'S3CRET'", "SELECT * INTO t FROM c WHERE name = ?"),
            ("SELECT 'it''s S3CRET', 4111111111111111, 0x1F, 1.5e3, .5", "SELECT ?, ?, ?, ?, .?"),
            ("SELECT 1--S3CRET\n+2", "SELECT ? +?"),
            ("/* user S3CRET /* nested */ x */ SELECT $1", "SELECT $1"),
            ("SELECT $$S3CRET$$, $a$S3CRET $$ x$a$, $1", "SELECT ?, ?, $1"),
            ("SELECT X'S3CRET', N'S3CRET', date '2026-01-01'", "SELECT ?, ?, date ?"),
        ] {
            assert_eq!(masked(text).as_deref(), Some(shown));
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_shown_at_all() {
        for text in [
            "CREATE USER ada PASSWORD 'S3CRET'",
            "COPY customers FROM STDIN",
            "SELECT E'a\\' S3CRET', 'x'",
            "SELECT 'S3CRET",
            "SELECT $x$ S3CRET",
            "/* SELECT */ ALTER USER ada PASSWORD 'S3CRET'",
            "",
        ] {
            assert_eq!(masked(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_statement_is_cut_between_letters() {
        let shown = masked(&format!("SELECT {}", "é".repeat(1000))).unwrap();
        assert_eq!(shown.chars().count(), LONGEST + 2);
    }

    #[test]
    fn a_table_is_found_as_a_word() {
        assert!(names("SELECT * FROM public.orders o", "orders"));
        assert!(names("SELECT * FROM \"orders\"", "orders"));
        assert!(!names("SELECT * FROM order_items, reorders, orders2", "orders"));
    }
}
