//! Earlier measurements: a line of JSON each in `.course/budget/history.jsonl`, the latest last.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use catalogue::{STATE_DIR, write_atomically};
use serde::{Deserialize, Serialize};

use super::{
    judge::Spread,
    limits::{Figure, Shape},
};

/// The version of a line.
const VERSION: u32 = 1;
/// The most lines that are kept.
const KEPT: usize = 500;

/// What was measured of one scenario on one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// Seconds since 1970.
    pub(super) at: u64,
    pub(super) commit: String,
    /// Cores, processor, memory and system; compared as it is.
    pub(super) machine: String,
    pub(super) store: String,
    pub(super) scenario: String,
    /// How it was run. What was run otherwise is not compared.
    pub(super) shape: Shape,
    pub(super) figures: BTreeMap<Figure, Spread>,
}

impl Record {
    pub(super) fn new(place: &Place, store: &str, scenario: &str, shape: Shape) -> Self {
        let Place { at, commit, machine } = place.clone();
        let (store, scenario) = (store.to_owned(), scenario.to_owned());
        Self { version: VERSION, at, commit, machine, store, scenario, shape, figures: BTreeMap::new() }
    }

    fn comparable(&self, other: &Self) -> bool {
        (&self.machine, &self.store, &self.scenario, self.shape)
            == (&other.machine, &other.store, &other.scenario, other.shape)
    }
}

/// When, of what and where is measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) commit: String,
    pub(super) machine: String,
}

/// All that is kept.
pub(super) struct History {
    path: PathBuf,
    records: Vec<Record>,
    /// Lines that could not be read.
    pub(super) damaged: usize,
}

impl History {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(STATE_DIR).join("budget/history.jsonl");
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let read: Vec<_> = lines.map(serde_json::from_str::<Record>).collect();
        let all = read.len();
        let records: Vec<_> = read.into_iter().flatten().filter(|record| record.version == VERSION).collect();
        Ok(Self { path, damaged: all - records.len(), records })
    }

    /// The figures of the latest measurements that `now` can be compared with, at most `runs`.
    pub(super) fn like(&self, now: &Record, runs: u32) -> Vec<BTreeMap<Figure, Spread>> {
        let like: Vec<_> = self.records.iter().filter(|record| record.comparable(now)).collect();
        like[like.len().saturating_sub(runs as usize)..].iter().map(|record| record.figures.clone()).collect()
    }

    /// Adds what was measured. What could not be read is gone then.
    pub(super) fn add(&mut self, records: Vec<Record>) -> Result<()> {
        self.records.extend(records);
        let latest = &self.records[self.records.len().saturating_sub(KEPT)..];
        let lines = latest.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        write_atomically(&self.path, (lines.join("\n") + "\n").as_bytes())
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(machine: &str, store: &str, seconds: f64, median: f64) -> Record {
        let place = Place { at: 1, commit: "0123456789".into(), machine: machine.into() };
        let mut record = Record::new(&place, store, "load", Shape { runs: 3, seconds, peak_rate: None });
        record.figures.insert(Figure::P95Ms, Spread { median, least: median, most: median });
        record
    }

    #[test]
    fn only_the_latest_of_its_kind_are_compared_with() {
        let root = tempfile::tempdir().unwrap();
        let mut history = History::read(root.path()).unwrap();
        let mine = |median| record("here", "SQLite", 20.0, median);
        history
            .add(vec![
                mine(1.0),
                record("there", "SQLite", 20.0, 7.0),
                record("here", "PostgreSQL", 20.0, 7.0),
                record("here", "SQLite", 30.0, 7.0),
                mine(2.0),
                mine(3.0),
            ])
            .unwrap();
        let history = History::read(root.path()).unwrap();
        assert_eq!(history.damaged, 0);
        let medians = |runs| {
            let like = history.like(&mine(0.0), runs);
            like.iter().map(|figures| figures[&Figure::P95Ms].median).collect::<Vec<_>>()
        };
        assert_eq!(medians(10), [1.0, 2.0, 3.0]);
        assert_eq!(medians(2), [2.0, 3.0]);
    }

    #[test]
    fn a_damaged_line_loses_no_other_and_the_file_stays_small() {
        let root = tempfile::tempdir().unwrap();
        let mut history = History::read(root.path()).unwrap();
        history.add(vec![record("here", "SQLite", 20.0, 1.0); KEPT + 5]).unwrap();
        let text = fs::read_to_string(&history.path).unwrap();
        assert_eq!(text.lines().count(), KEPT);
        fs::write(&history.path, text + "{\"version\":1,\"at\"\n\u{0}\n").unwrap();
        let again = History::read(root.path()).unwrap();
        assert_eq!((again.records.len(), again.damaged), (KEPT, 2));
    }
}
