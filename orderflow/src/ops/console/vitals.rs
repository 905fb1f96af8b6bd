//! What the console in a browser says of itself when it is left.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

use crate::http::{App, Kind, Problem};

/// The largest report, in bytes. One has four numbers.
const MOST: usize = 512;
/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time that is believed, in seconds: no page takes longer that somebody looks at.
const LONGEST: f64 = 600.0;

/// Each vital that is known, in seconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "UPPERCASE")]
struct Vitals {
    lcp: Option<f64>,
    inp: Option<f64>,
    fcp: Option<f64>,
    ttfb: Option<f64>,
}

/// Takes a report in. It is all taken, or none of it.
pub(super) async fn take(State(app): State<App>, request: Request) -> Result<StatusCode, Problem> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Kind::NotJson).field("Content-Type", "must be application/json"));
    }
    let body = Limited::new(request.into_body(), MOST).collect();
    let body = tokio::time::timeout(PATIENCE, body).await.map_err(|_| Problem::new(Kind::RequestTimeout))?;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Problem::new(Kind::TooLarge).detail(format!("At most {MOST} bytes are taken."))
        } else {
            Problem::new(Kind::BadRequest).detail("The body could not be read to its end.")
        }
    })?;
    for (vital, seconds) in parse(&body.to_bytes())? {
        app.metrics.console_vitals.get_or_create(&[("vital", vital)]).observe(seconds);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn parse(body: &[u8]) -> Result<Vec<(&'static str, f64)>, Problem> {
    let wrong = |field: &str, why: &str| Problem::new(Kind::InvalidBody).field(field, why);
    let vitals: Vitals = serde_json::from_slice(body)
        .map_err(|_| wrong("body", "must be an object of LCP, INP, FCP and TTFB, each in seconds or left out"))?;
    let Vitals { lcp, inp, fcp, ttfb } = vitals;
    let all = [("LCP", lcp), ("INP", inp), ("FCP", fcp), ("TTFB", ttfb)];
    let known: Vec<_> = all.into_iter().filter_map(|(name, seconds)| Some((name, seconds?))).collect();
    match known.iter().find(|(_, seconds)| !(0.0..=LONGEST).contains(seconds)) {
        Some((name, _)) => Err(wrong(name, "must be from 0 to 600 seconds")),
        None if known.is_empty() => Err(wrong("body", "must have one of LCP, INP, FCP and TTFB at least")),
        None => Ok(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_taken_whole_or_not_at_all() {
        assert_eq!(parse(br#"{"LCP":0.25,"INP":null}"#).unwrap(), [("LCP", 0.25)]);
        assert_eq!(parse(br#"{"TTFB":0,"FCP":600,"INP":0.008}"#).unwrap().len(), 3);
        for bad in [
            &b"{}"[..],
            b"[]",
            b"LCP",
            br#"{"LCP":"0.1"}"#,
            br#"{"LCP":-0.1}"#,
            br#"{"LCP":600.5}"#,
            br#"{"LCP":1e999}"#,
            br#"{"LCP":0.1,"CLS":0.1}"#,
            br#"{"LCP":0.1,"LCP":0.2}"#,
            br#"{"LCP":0.1}{}"#,
        ] {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
