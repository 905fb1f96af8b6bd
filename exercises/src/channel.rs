//! How a process that runs a submission reports what it found.
//!
//! The runner writes one [`Brief`] to the process's standard input; the harness reads it before any code of the
//! submission runs. Each finding then goes to standard output as one record: a mark, a JSON body, and a code over the
//! record's number and body (HMAC-SHA-256) under the brief's one-time key. What the submission prints itself stands
//! between the records and is output, never a finding: it does not know the key, cannot repeat a record (the numbers
//! count up), and cannot leave one out (the reader is told how many there were).
//!
//! The bound of this: the key is in the memory of the process that runs the submission. Safe Rust cannot reach it
//! through the language, but a program that reads its own memory through the operating system could.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{Finding, Spec};

/// Starts a record; a control character, so that a line of text does not look like one by accident.
const MARK: char = '\u{1e}';

/// What a graded process is told before it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Brief {
    /// One-time key, in hexadecimal.
    pub key: String,
    /// Seed for every random input of this run.
    pub seed: u64,
    /// Time that a timed check may sample in the usual case, in milliseconds; five times this is the most.
    pub budget_ms: u64,
    /// The names of the checks to run, in order.
    pub checks: Vec<String>,
    /// What the exercise says of them.
    pub spec: Spec,
}

/// What a graded process says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// A check begins; the time allowed for it counts from here.
    Start(String),
    /// A check ended.
    End(String, Finding),
    /// All checks were run.
    Done,
}

/// Numbers and signs records on one side, and checks them on the other.
#[derive(Debug, Clone)]
pub struct Seal {
    key: String,
    next: u64,
}

impl Seal {
    /// A seal for one process; both sides start with the same key.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), next: 0 }
    }

    fn mac(&self, body: &str) -> Hmac<Sha256> {
        // HMAC takes a key of any length, so this cannot fail.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(&self.next.to_le_bytes());
        mac.update(body.as_bytes());
        mac
    }

    /// The record as it goes on the wire. It begins with a line break, since the submission may have printed half a line.
    pub fn write(&mut self, record: &Record) -> String {
        let body = serde_json::to_string(record).expect("a record is plain data");
        let code = hex(&self.mac(&body).finalize().into_bytes());
        self.next += 1;
        format!("\n{MARK}{code} {body}\n")
    }

    /// Reads one line. `None` when it is no record of ours: then it is output.
    pub fn read(&mut self, line: &str) -> Option<Record> {
        let (code, body) = line.strip_prefix(MARK)?.split_once(' ')?;
        self.mac(body).verify_slice(&unhex(code)?).ok()?;
        self.next += 1;
        serde_json::from_str(body).ok()
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
