//! Refuses requests that name another host: a page elsewhere could otherwise have its own name resolve to this machine
//! and read the learner's work through the reader's browser (DNS rebinding).

/// Whether a request with this `Host` header is for the server at `port` of this machine.
pub(crate) fn is_ours(header: Option<&str>, port: u16) -> bool {
    let Some(header) = header else { return false };
    let (name, given) = match header.rsplit_once(':') {
        // The colons of `[::1]` are part of the name.
        Some((name, given)) if !given.ends_with(']') => (name, Some(given)),
        _ => (header, None),
    };
    let port_is_ours = given.map_or(port == 80, |given| given.parse() == Ok(port));
    port_is_ours && (name == "127.0.0.1" || name == "[::1]" || name.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn only_the_names_of_this_machine_with_the_right_port_are_ours() {
        for header in ["127.0.0.1:8000", "localhost:8000", "LocalHost:8000", "[::1]:8000"] {
            assert!(is_ours(Some(header), 8000), "{header}");
        }
        for header in ["127.0.0.1", "127.0.0.1:8001", "evil.example:8000", "localhost.evil.example:8000", "[::1]", ""] {
            assert!(!is_ours(Some(header), 8000), "{header}");
        }
        assert!(!is_ours(None, 8000));
    }
}
