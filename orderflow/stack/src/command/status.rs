//! `status`: every part, where it is and how it is.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    containers,
    state::{Health, Place, State},
};

pub(super) fn run(place: &Place, json: bool) -> Result<ExitCode> {
    if containers::up_already(place) {
        return containers::status(json);
    }
    let state = if place.is_taken()? { place.read()? } else { None };
    let Some(state) = state else {
        if json {
            println!("null");
        } else {
            println!("The stack is not up. `cargo xtask stack up` starts it.");
        }
        return Ok(ExitCode::FAILURE);
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&state)?);
    } else {
        print!("{}", text(&state));
    }
    Ok(if state.healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(state: &State) -> String {
    let mut text = format!("{}, supervisor {}\n", state.version, state.pid);
    for part in &state.parts {
        let health = match part.health {
            Health::Starting => "starting",
            Health::Healthy => "healthy",
            Health::Unhealthy => "UNHEALTHY",
        };
        let pid = part.pid.map(|pid| format!("{pid:>8}")).unwrap_or_default();
        let mut line = format!("{:<11} {health:<9} {pid:>8}  {}", part.name, part.address);
        if part.restarts > 0 {
            line += &format!("  restarts: {}", part.restarts);
        }
        if !part.detail.is_empty() {
            line += &format!("  ({})", part.detail);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
