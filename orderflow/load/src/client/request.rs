//! A request of a scenario made ready for one target: everything that does not vary is put together once.

use std::io::Write as _;

use super::{Failure, Keep, Shape};
use crate::{
    scenario::{Capture, Step, plain},
    target::Target,
    template::Template,
    values::{Draw, Value},
};

/// A request whose bytes only lack what is drawn.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) route: usize,
    pub(crate) shape: Shape,
    head: Template,
    body: Option<Template>,
    expect: Vec<u16>,
    pointer: Option<String>,
}

impl Prepared {
    pub(crate) fn new(step: &Step, target: &Target) -> Self {
        let mut head = Template::default();
        head.push_text(&format!("{} ", step.method));
        head.append(step.path.clone());
        head.push_text(&format!(" HTTP/1.1\r\nHost: {}\r\nUser-Agent: orderflow-load\r\n", target.host));
        if let (true, Some(key)) = (step.auth, &target.key) {
            head.push_text(&format!("Authorization: Bearer {key}\r\n"));
        }
        for (name, value) in &step.headers {
            head.push_text(&format!("{name}: "));
            head.append(value.clone());
            head.push_text("\r\n");
        }
        if step.body.is_some() && !step.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            head.push_text("Content-Type: application/json\r\n");
        }
        match (step.method, &step.body) {
            (_, Some(_)) => head.push_text("Content-Length: "),
            ("POST" | "PUT" | "PATCH", None) => head.push_text("Content-Length: 0\r\n\r\n"),
            _ => head.push_text("\r\n"),
        }
        let (keep, pointer) = match &step.capture {
            None => (Keep::Nothing, None),
            Some(Capture::Location) => (Keep::Location, None),
            Some(Capture::Json(pointer)) => (Keep::Body, Some(pointer.clone())),
        };
        let idempotent = !matches!(step.method, "POST" | "PATCH");
        let shape = Shape { head: step.method == "HEAD", idempotent, keep };
        Self { route: step.route, shape, head, body: step.body.clone(), expect: step.expect.clone(), pointer }
    }

    /// Replaces `out` by the bytes to send. `scratch` saves an allocation for the body.
    pub(crate) fn write(
        &self,
        values: &[Value],
        captured: &[Vec<u8>],
        draw: &mut Draw,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        self.head.write(values, captured, draw, out);
        if let Some(body) = &self.body {
            scratch.clear();
            body.write(values, captured, draw, scratch);
            // Writing to a Vec does not fail.
            let _ = write!(out, "{}\r\n\r\n", scratch.len());
            out.extend_from_slice(scratch);
        }
    }

    pub(crate) fn expects(&self, status: u16) -> bool {
        if self.expect.is_empty() { (200..300).contains(&status) } else { self.expect.contains(&status) }
    }

    /// The id in what was kept of the answer; `None` when the step captures nothing.
    pub(crate) fn capture(&self, kept: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let text = match (self.shape.keep, &self.pointer) {
            (Keep::Location, _) => {
                let location = std::str::from_utf8(kept).unwrap_or_default();
                location.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).map(str::to_owned)
            }
            (Keep::Body, Some(pointer)) => {
                let answer: serde_json::Value = serde_json::from_slice(kept)
                    .map_err(|error| Failure::protocol(format!("the answer to capture from is no JSON: {error}")))?;
                match answer.pointer(pointer) {
                    Some(serde_json::Value::String(text)) => Some(text.clone()),
                    Some(serde_json::Value::Number(number)) => Some(number.to_string()),
                    _ => None,
                }
            }
            _ => return Ok(None),
        };
        // What an answer says goes into the next request, so it must not be able to end a line or a string there.
        match text.filter(|text| plain(text)) {
            Some(text) => Ok(Some(text.into_bytes())),
            None => Err(Failure::protocol("the answer lacks the id to capture, or it is no plain id")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, RequestDraft};

    fn prepared(request: RequestDraft) -> Prepared {
        let scenario = Draft::closed("test", 1).seconds(1.0).journey("j", 1, vec![request]).check().unwrap();
        let target = Target::new("127.0.0.1:80", false).unwrap().with_key("hunter2").unwrap();
        Prepared::new(&scenario.mix.entries[0].1[0], &target)
    }

    fn bytes(request: RequestDraft) -> String {
        let mut out = b"left over".to_vec();
        prepared(request).write(
            &[Value::Unique, Value::Email],
            &[],
            &mut Draw::new(1, 2, 3),
            &mut Vec::new(),
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn requests_are_what_a_server_expects() {
        assert_eq!(
            bytes(RequestDraft::get("/a?b=c")),
            "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: orderflow-load\r\n\r\n"
        );
        let post = bytes(RequestDraft::post("/a", r#"{"k":"{unique}"}"#).header("Idempotency-Key", "{unique}").auth());
        assert_eq!(
            post,
            "POST /a HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: orderflow-load\r\nAuthorization: Bearer hunter2\r\n\
             Idempotency-Key: 0000000000000002-3-1\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n\
             {\"k\":\"0000000000000002-3-2\"}"
        );
        assert!(
            bytes(RequestDraft { method: Some("POST".into()), ..RequestDraft::get("/a") })
                .contains("Length: 0\r\n\r\n")
        );
    }

    #[test]
    fn only_methods_that_may_be_repeated_are() {
        assert!(prepared(RequestDraft::get("/")).shape.idempotent);
        assert!(prepared(RequestDraft::delete("/")).shape.idempotent);
        assert!(prepared(RequestDraft::put("/", "1")).shape.idempotent);
        assert!(!prepared(RequestDraft::post("/", "1")).shape.idempotent);
    }

    #[test]
    fn ids_are_captured_and_only_plain_ones() {
        let json = prepared(RequestDraft::get("/").capture("id", "/a/0"));
        assert_eq!(json.capture(br#"{"a":[17]}"#).unwrap().unwrap(), b"17");
        assert_eq!(json.capture(br#"{"a":["x-1"]}"#).unwrap().unwrap(), b"x-1");
        for hostile in
            [r#"{"a":[]}"#, r#"{"a":["a\r\nb"]}"#, r#"{"a":["\""]}"#, r#"{"a":[{}]}"#, "{", "", r#"{"a":[""]}"#]
        {
            assert!(json.capture(hostile.as_bytes()).is_err(), "{hostile}");
        }
        let mut request = RequestDraft::get("/").capture("id", "/");
        request.capture.as_mut().unwrap().json = None;
        request.capture.as_mut().unwrap().location = true;
        let location = prepared(request);
        assert_eq!(location.capture(b"http://x/api/customers/42?a=/b").unwrap().unwrap(), b"42");
        assert!(location.capture(b"/api/customers/").is_err());
    }

    #[test]
    fn expected_statuses_are_any_success_or_those_listed() {
        let any = prepared(RequestDraft::get("/"));
        assert!(any.expects(200) && any.expects(204) && !any.expects(304) && !any.expects(500));
        let listed = prepared(RequestDraft::get("/").expect(404).expect(304));
        assert!(listed.expects(304) && listed.expects(404) && !listed.expects(200));
    }
}
