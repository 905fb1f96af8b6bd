//! Which function an address is in, as the symbol tables of the program and its libraries say. They know neither lines nor
//! functions that became part of others, and are there also where everything else was stripped.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use jemalloc_pprof::Mapping;
use pprof::Symbol;

/// The tables that were needed so far.
pub(super) struct Symbols<'a> {
    mappings: &'a [Mapping],
    tables: HashMap<&'a Path, Vec<Function>>,
}

struct Function {
    start: u64,
    size: u64,
    name: String,
}

impl<'a> Symbols<'a> {
    /// Of what is mapped there.
    pub(super) fn of(mappings: &'a [Mapping]) -> Self {
        Self { mappings, tables: HashMap::new() }
    }

    /// The function at an address, and the file that it came from; the file's name and the address in it, if its tables do
    /// not know.
    pub(super) fn name(&mut self, address: usize) -> (String, PathBuf) {
        let inside = |mapping: &&Mapping| (mapping.memory_start..mapping.memory_end).contains(&address);
        let Some(mapping) = self.mappings.iter().find(inside) else {
            return (format!("{address:#x}"), PathBuf::new());
        };
        let at = (address - mapping.memory_start + mapping.memory_offset) as u64;
        let path = mapping.pathname.as_path();
        // A file that cannot be read has no functions that anybody knows.
        let table = self.tables.entry(path).or_insert_with(|| functions(path).unwrap_or_default());
        let before = table.partition_point(|function| function.start <= at);
        let found = before.checked_sub(1).map(|last| &table[last]).filter(|found| at - found.start < found.size);
        let name = found.map_or_else(
            || format!("{}+{at:#x}", path.file_name().unwrap_or_default().to_string_lossy()),
            |Function { name, .. }| {
                Symbol { name: Some(name.clone().into_bytes()), addr: None, lineno: None, filename: None }.name()
            },
        );
        (name, path.to_owned())
    }
}

/// A file of the format ELF, of 64 bits, least byte first, which are all that are looked into.
struct Elf(File);

const SYMBOLS: u64 = 2;
const DYNAMIC_SYMBOLS: u64 = 11;
const FUNCTION: u64 = 2;

impl Elf {
    fn read(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        // A table cannot be longer than its file.
        if length > self.0.metadata()?.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length as usize];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

/// A number of some bytes, the least first; 0 beyond the end.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Every function that a file has a name for, in the sequence of their addresses.
fn functions(path: &Path) -> io::Result<Vec<Function>> {
    let elf = Elf(File::open(path)?);
    let head = elf.read(0, 64)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let (sections, size, count) = (number(&head, 40, 8), number(&head, 58, 2), number(&head, 60, 2));
    let sections = elf.read(sections, size * count)?;
    let sections: Vec<_> = sections.chunks(size.max(64) as usize).collect();
    let content = |section: &[u8]| elf.read(number(section, 24, 8), number(section, 32, 8));
    let mut functions = Vec::new();
    for section in &sections {
        if !matches!(number(section, 4, 4), SYMBOLS | DYNAMIC_SYMBOLS) {
            continue;
        }
        let Some(strings) = sections.get(number(section, 40, 4) as usize) else { continue };
        let (symbols, strings) = (content(section)?, content(strings)?);
        for symbol in symbols.chunks_exact(24) {
            let (start, size) = (number(symbol, 8, 8), number(symbol, 16, 8));
            if u64::from(symbol[4] & 15) != FUNCTION || size == 0 {
                continue;
            }
            let name = strings.get(number(symbol, 0, 4) as usize..).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            functions.push(Function { start, size, name: String::from_utf8_lossy(name).into_owned() });
        }
    }
    functions.sort_unstable_by_key(|function| function.start);
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_functions_of_this_program_are_found_by_their_addresses() {
        let this = std::env::current_exe().unwrap();
        let table = functions(&this).unwrap();
        let known = table.iter().find(|function| function.name.contains("symbols") && function.name.contains("number"));
        let known = known.expect("the function `number` of this file");
        let mapping = Mapping {
            memory_start: 0x10_0000,
            memory_end: usize::MAX,
            memory_offset: 0,
            file_offset: 0,
            pathname: this.clone(),
            build_id: None,
        };
        let mappings = [mapping];
        let mut symbols = Symbols::of(&mappings);
        for at in [known.start, known.start + known.size - 1] {
            let (name, file) = symbols.name(0x10_0000 + at as usize);
            assert_eq!((name.as_str(), &file), ("orderflow::ops::symbols::number", &this));
        }
        assert_eq!(symbols.name(1), ("0x1".to_owned(), PathBuf::new()));
        let (unknown, _) = symbols.name(0x10_0000);
        assert!(unknown.ends_with("+0x0"), "the head of a file is no function: {unknown}");
    }

    #[test]
    fn what_is_no_program_has_no_functions() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for content in
            [&b""[..], b"#!/bin/sh", &[0; 64], b"\x7fELF\x02\x01\x01\0 and then nothing that makes sense........."]
        {
            std::fs::write(file.path(), content).unwrap();
            assert!(functions(file.path()).map_or(true, |functions| functions.is_empty()));
        }
    }
}
