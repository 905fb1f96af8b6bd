//! Reads a profile as `profile.proto` describes it, and insists that everything in it refers to something.

use std::{collections::HashMap, io::Read};

use flate2::read::GzDecoder;

/// A profile as a tool would show it.
#[derive(Debug)]
pub(crate) struct Profile {
    /// What the numbers are: kind and unit.
    pub(crate) measures: Vec<(String, String)>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) period: (String, String),
    pub(crate) every: u64,
    pub(crate) duration: u64,
    pub(crate) started: u64,
    pub(crate) comments: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    /// Functions, the innermost first.
    pub(crate) functions: Vec<String>,
    pub(crate) values: Vec<i64>,
    pub(crate) labels: Vec<(String, String)>,
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message.
struct Fields<'a>(Vec<(u64, Value<'a>)>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number ends before its message does");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number has more than ten bytes");
}

impl<'a> Fields<'a> {
    fn of(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Number(varint(&mut bytes)),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Value::Bytes(value)
                }
                other => panic!("profile.proto has no field of the wire type {other}"),
            };
            fields.push((key >> 3, value));
        }
        Self(fields)
    }

    fn number(&self, field: u64) -> u64 {
        self.numbers(field).first().copied().unwrap_or(0)
    }

    fn numbers(&self, field: u64) -> Vec<u64> {
        let mut numbers = Vec::new();
        for (_, value) in self.0.iter().filter(|(other, _)| *other == field) {
            match *value {
                Value::Number(number) => numbers.push(number),
                Value::Bytes(mut packed) => {
                    while !packed.is_empty() {
                        numbers.push(varint(&mut packed));
                    }
                }
            }
        }
        numbers
    }

    fn all(&self, field: u64) -> Vec<&'a [u8]> {
        let bytes = |value: &Value<'a>| match value {
            Value::Bytes(bytes) => *bytes,
            Value::Number(_) => panic!("field {field} is no message"),
        };
        self.0.iter().filter(|(other, _)| *other == field).map(|(_, value)| bytes(value)).collect()
    }

    fn messages(&self, field: u64) -> Vec<Fields<'a>> {
        self.all(field).into_iter().map(Fields::of).collect()
    }
}

/// Reads a compressed profile.
pub(crate) fn profile(compressed: &[u8]) -> Profile {
    let mut bytes = Vec::new();
    GzDecoder::new(compressed).read_to_end(&mut bytes).expect("gzip");
    let profile = Fields::of(&bytes);
    let strings: Vec<_> = profile.all(6).into_iter().map(|s| std::str::from_utf8(s).expect("UTF-8")).collect();
    assert_eq!(strings[0], "", "the first string is empty");
    let string = |number: u64| strings[number as usize].to_owned();
    let measure = |fields: &Fields| (string(fields.number(1)), string(fields.number(2)));
    let functions: HashMap<_, _> =
        profile.messages(5).iter().map(|function| (function.number(1), string(function.number(2)))).collect();
    let mut places = HashMap::new();
    for place in profile.messages(4) {
        let lines: Vec<_> = place.messages(4).iter().map(|line| functions[&line.number(1)].clone()).collect();
        assert!(places.insert(place.number(1), lines).is_none() && place.number(1) != 0);
    }
    let measures: Vec<_> = profile.messages(1).iter().map(measure).collect();
    let samples = profile.messages(2).into_iter().map(|sample| {
        let functions = sample.numbers(1).into_iter().flat_map(|place| places[&place].clone()).collect();
        let values: Vec<_> = sample.numbers(2).into_iter().map(u64::cast_signed).collect();
        assert_eq!(values.len(), measures.len());
        let labels = sample.messages(3).iter().map(measure).collect();
        Sample { functions, values, labels }
    });
    Profile {
        samples: samples.collect(),
        measures,
        period: measure(&profile.messages(11)[0]),
        every: profile.number(12),
        duration: profile.number(10),
        started: profile.number(9),
        comments: profile.numbers(13).into_iter().map(string).collect(),
    }
}
