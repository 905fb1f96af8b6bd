//! The parts that requests are made up from: good ones, ones at an edge, and ones that are broken.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

/// A word that means something to the service.
fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "page",
        "limit",
        "cursor",
        "category",
        "status",
        "kitchen",
        "hand-tools",
        "paid",
        "lost",
        "0",
        "1",
        "2",
        "100",
        "101",
        "1000",
        "1001",
        "-1",
        "+1",
        "01",
        "1e3",
        "1e400",
        "1.0",
        "NaN",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "AQAAAAAAAAAC",
        "AQAAAAAAAAAA",
        "%00",
        "%FF",
        "%",
        "%2",
        "%E2%82%AC",
        "..",
        "%2e%2e",
        "%2F",
        "'%20OR%201=1",
        "%F0%9F%A6%80",
        "null",
        "true",
        "",
        "+",
        "a;b",
    ])
    .prop_map(str::to_owned)
}

/// Text that may stand in an address.
fn noise() -> impl Strategy<Value = String> {
    "[!$&-;=@-Z_a-z~%?]{0,12}"
}

/// A query, without its question mark.
pub(crate) fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![4 => word(), 1 => noise()];
    let value = prop_oneof![4 => word(), 1 => noise()];
    vec((name, prop_oneof![Just("="), Just(""), Just("==")], value), 0..5).prop_map(|pairs| {
        pairs.into_iter().map(|(name, sign, value)| name + sign + &value).collect::<Vec<_>>().join("&")
    })
}

/// What follows `/api/products/` and the like.
pub(crate) fn segment() -> impl Strategy<Value = String> {
    prop_oneof![4 => word(), 1 => "[!$&-;=@-Z_a-z~%]{0,12}", 1 => "[1-9][0-9]{0,25}"]
}

/// Any JSON, numbers at their edges included.
fn json_value() -> impl Strategy<Value = Value> {
    let numbers = vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(1000),
        json!(1001),
        json!(1.0),
        json!(1e300),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
    ];
    let texts =
        vec!["", "1", "a@example.com", "2000-02-30", "\0", "\u{feff}", "é\u{301}🦀", " x ", "'; DROP TABLE orders; --"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(numbers),
        prop::sample::select(texts).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((field(), inner), 0..5).prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    let known = vec!["customer_id", "items", "product_id", "quantity", "name", "email", "birthday"];
    prop_oneof![8 => prop::sample::select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

/// A good order or customer.
fn good() -> impl Strategy<Value = Value> {
    let order =
        (1..120_i64, prop::collection::btree_map(1..55_i64, 1..1_002_i64, 1..6)).prop_map(|(customer, lines)| {
            let lines: Vec<_> =
                lines.iter().map(|(id, quantity)| json!({"product_id": id, "quantity": quantity})).collect();
            json!({"customer_id": customer, "items": lines})
        });
    let customer =
        ("[A-Za-zé ]{1,20}", "[a-z.]{1,8}@[a-z-]{1,8}\\.com", prop::option::of("(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]"));
    let customer =
        customer.prop_map(|(name, email, birthday)| json!({"name": name, "email": email, "birthday": birthday}));
    prop_oneof![order, customer]
}

/// The bytes of a body: a good one, one with a value exchanged, added or taken away, any JSON, and any of these with some
/// bytes changed or cut off.
pub(crate) fn body() -> impl Strategy<Value = Vec<u8>> {
    let changed =
        (good(), field(), prop::option::of(json_value()), any::<bool>()).prop_map(|(mut body, field, value, deep)| {
            let deep = deep && body["items"][0].is_object();
            let place = if deep { &mut body["items"][0] } else { &mut body };
            let fields = place.as_object_mut().expect("an object");
            match value {
                Some(value) => drop(fields.insert(field, value)),
                None => drop(fields.remove(&field)),
            }
            body
        });
    let value = prop_oneof![2 => good(), 4 => changed, 1 => json_value()];
    (value, prop::option::weighted(0.3, (any::<prop::sample::Index>(), vec(any::<u8>(), 0..4), any::<bool>())))
        .prop_map(|(value, change)| {
            let mut bytes = value.to_string().into_bytes();
            if let Some((at, new, cut)) = change {
                let at = at.index(bytes.len());
                let end = if cut { bytes.len() } else { (at + new.len()).min(bytes.len()) };
                bytes.splice(at..end, new);
            }
            bytes
        })
}

/// A header that the service reads, with a value that it may or may not like. No line ends, no NUL: those end in hyper.
pub(crate) fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names = vec![
        "Authorization",
        "Idempotency-Key",
        "X-Request-Id",
        "If-None-Match",
        "Accept-Encoding",
        "Content-Type",
        "Accept",
        "X-Forwarded-For",
        "Cookie",
        "Range",
    ];
    let known = prop::sample::select(vec![
        "Bearer of_shop",
        "Bearer ",
        "Basic YTpi",
        "application/json",
        "application/json; charset=utf-16",
        "text/plain",
        "*",
        "W/\"0\"",
        "\"",
        "\"a\", *",
        "gzip;q=",
        "br;q=1.5, gzip;q=NaN",
        "identity;q=0, *;q=0",
        "gzip;q=-1",
        ",,,;;;",
        "bytes=0-1",
        "1.2.3.4, ::1",
        "",
    ]);
    let value = prop_oneof![
        2 => known.prop_map(|value| value.as_bytes().to_vec()),
        1 => vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t')], 0..300),
    ];
    (prop::sample::select(names).prop_map(str::to_owned), value)
}
