//! What a client likes how well, as its headers say. (RFC 9110, 12.4.2 and 12.5)

use axum::http::{HeaderMap, HeaderName, header::ACCEPT_ENCODING};

/// The names in such a header, in lower case and without other parameters, with their weights.
pub(crate) fn ranges(request: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = (String, f32)> {
    let values = request.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let range = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        (name, weight)
    };
    values.flat_map(|value| value.split(',')).map(range)
}

/// How well the client likes brotli, gzip, and no encoding at all. What it rules out has the weight 0.
pub(super) fn encodings(request: &HeaderMap) -> [f32; 3] {
    let (mut weights, mut rest) = ([None::<f32>; 3], None);
    for (name, weight) in ranges(request, &ACCEPT_ENCODING) {
        match name.as_str() {
            "br" => weights[0] = Some(weight),
            "gzip" | "x-gzip" => weights[1] = Some(weight),
            "identity" => weights[2] = Some(weight),
            "*" => rest = Some(weight),
            _ => {}
        }
    }
    let [brotli, gzip, _] = weights.map(|weight| weight.or(rest).unwrap_or(0.0));
    // What is not mentioned is acceptable as identity unless it was ruled out.
    [brotli, gzip, weights[2].or(rest).unwrap_or(f32::MIN_POSITIVE)]
}

/// Whether the client likes gzip at least as well as no encoding.
pub(crate) fn gzip(request: &HeaderMap) -> bool {
    let [_, gzip, identity] = encodings(request);
    gzip > 0.0 && gzip >= identity
}
