//! The sealed channel: what was written is read back, and nothing else is taken for a record.

use catalogue::{
    Finding, Status,
    channel::{Record, Seal},
};
use proptest::prelude::*;

fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty()).collect()
}

#[test]
fn records_are_read_once_and_in_order() {
    let (mut writer, mut reader) = (Seal::new("key"), Seal::new("key"));
    let records = [
        Record::Start("a".into()),
        Record::End("a".into(), Finding::new(Status::Fail, "two\nlines, a \u{1e} and \"quotes\"")),
        Record::Done,
    ];
    let wire: Vec<_> = records.iter().map(|record| writer.write(record)).collect();
    for (record, text) in records.iter().zip(&wire) {
        let [line] = lines(text)[..] else { panic!("{text}") };
        assert_eq!(reader.read(line).as_ref(), Some(record));
        assert_eq!(reader.read(line), None, "a record that is repeated is none");
    }
}

#[test]
fn a_record_that_was_left_out_stops_all_that_follow() {
    let (mut writer, mut reader) = (Seal::new("key"), Seal::new("key"));
    let [first, second] = [Record::Start("a".into()), Record::Done].map(|record| writer.write(&record));
    assert_eq!(reader.read(lines(&second)[0]), None);
    assert!(reader.read(lines(&first)[0]).is_some());
}

proptest! {
    #[test]
    fn nothing_else_is_a_record(line in ".*", code in "[0-9a-f]{64}", body in ".*") {
        let mut reader = Seal::new("key");
        prop_assert_eq!(reader.read(&line), None);
        let forged = format!("\u{1e}{code} {body}");
        prop_assert_eq!(reader.read(&forged), None);
        prop_assert_eq!(reader.read(&format!("\u{1e}é{code} \"done\"")), None);
    }

    #[test]
    fn another_key_or_a_changed_letter_is_refused(key in "[a-z]{1,20}", at in 0_usize..40) {
        let text = Seal::new(key.clone()).write(&Record::End("check".into(), Finding::new(Status::Fail, "x".repeat(40))));
        let line = lines(&text)[0];
        prop_assert!(Seal::new(key.clone()).read(line).is_some());
        prop_assert_eq!(Seal::new(key.clone() + "x").read(line), None);
        let mut changed: Vec<char> = line.chars().collect();
        let place = changed.len() - 1 - at;
        changed[place] = if changed[place] == 'y' { 'z' } else { 'y' };
        prop_assert_eq!(Seal::new(key).read(&changed.into_iter().collect::<String>()), None);
    }
}
