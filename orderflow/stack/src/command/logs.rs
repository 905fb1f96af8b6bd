//! `logs`: what the parts have printed last.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail};

use crate::{containers, state::Place};

/// As much of a log's end is read, in bytes.
const MOST: u64 = 1 << 20;

pub(super) fn run(place: &Place, part: Option<&str>, lines: usize) -> Result<ExitCode> {
    if containers::up_already(place) {
        return containers::logs(part, lines);
    }
    let Some(state) = place.read()? else { bail!("the stack is not up") };
    if let Some(name) = part
        && !state.parts.iter().any(|part| part.name == name)
    {
        let names: Vec<_> = state.parts.iter().map(|part| part.name.as_str()).collect();
        bail!("no part is named {name}; there are {}", names.join(", "));
    }
    let wanted = state.parts.iter().filter(|other| part.is_none_or(|name| other.name == name));
    for part in wanted {
        let Some(log) = &part.log else { continue };
        let text = end(log).with_context(|| format!("cannot read {}", log.display()))?;
        println!("== {}: {}", part.name, log.display());
        let all: Vec<_> = text.lines().collect();
        for line in &all[all.len().saturating_sub(lines)..] {
            println!("{line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn end(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
