//! What the supervisor tells everybody else: the state, written to its file with every change.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Result;
use orderflow_servers::Missing;

use crate::state::{Access, Health, Part, Phase, Place, State};

pub(super) struct Board {
    place: Place,
    state: Mutex<State>,
}

impl Board {
    pub(super) fn new(place: Place) -> Result<Self> {
        let state = State {
            pid: std::process::id(),
            version: String::new(),
            phase: Phase::Starting,
            problem: String::new(),
            missing: Vec::new(),
            parts: Vec::new(),
            access: Access::default(),
        };
        place.write(&state)?;
        Ok(Self { place, state: state.into() })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn version(&self, version: String) {
        self.change(|state| state.version = version);
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.change(|state| state.phase = phase);
    }

    pub(super) fn access(&self, change: impl FnOnce(&mut Access)) {
        self.change(|state| change(&mut state.access));
    }

    /// Nothing will run. Programs that are missing are listed apart from what else went wrong.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        self.change(|state| {
            state.phase = Phase::Failed;
            state.problem = format!("{error:#}");
        });
    }

    pub(super) fn missing(&self, missing: &[Missing]) {
        self.change(|state| state.missing = missing.iter().map(ToString::to_string).collect());
    }

    /// A part that is being started.
    pub(super) fn part(&self, name: &str, address: String, log: Option<PathBuf>) {
        let part = Part {
            name: name.to_owned(),
            address,
            health: Health::Starting,
            detail: String::new(),
            restarts: 0,
            pid: None,
            log,
        };
        self.change(|state| {
            state.parts.retain(|other| other.name != name);
            state.parts.push(part);
        });
    }

    pub(super) fn update(&self, name: &str, change: impl FnOnce(&mut Part)) {
        self.change(|state| {
            if let Some(part) = state.parts.iter_mut().find(|part| part.name == name) {
                change(part);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.held();
        let before = state.clone();
        change(&mut state);
        // A full disk must not end what runs; whoever reads sees what was written last.
        if *state != before
            && let Err(error) = self.place.write(&state)
        {
            eprintln!("{error:#}");
        }
    }

    /// Each change is one step, so that a thread that panicked leaves it in order.
    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
