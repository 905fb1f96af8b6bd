//! Reading drafts, and changing them from the command line before they are checked.

use std::path::Path;

use super::{BUILT_IN, Draft, Model, ScenarioError, built_in};

/// The largest scenario file, in bytes.
const MAX_FILE: u64 = 1 << 20;

impl Draft {
    /// Reads a scenario from TOML. `file` is what messages call it.
    ///
    /// # Errors
    /// The first thing that is not TOML or not a key of a scenario, with its line. What [`Self::check`] looks at comes later.
    pub fn parse(text: &str, file: &str) -> Result<Self, ScenarioError> {
        let mut draft: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            problem(file, format!("line {line}: {}", error.message().trim_end().replace('\n', " ")))
        })?;
        draft.file = file.into();
        Ok(draft)
    }

    /// The built-in scenario of that name, or else the file at that path.
    ///
    /// # Errors
    /// Neither exists, the file is over 1 MiB, or it cannot be parsed.
    pub fn load(name_or_path: &str) -> Result<Self, ScenarioError> {
        if let Some(text) = built_in(name_or_path) {
            return Self::parse(text, name_or_path);
        }
        let path = Path::new(name_or_path);
        let names = BUILT_IN.map(|(name, _)| name).join(", ");
        let length = std::fs::metadata(path).map_err(|error| {
            problem(name_or_path, format!("no built-in scenario and no file ({error}); built in are {names}"))
        })?;
        if length.len() > MAX_FILE {
            return Err(problem(name_or_path, format!("over {MAX_FILE} bytes, which is the most a scenario may be")));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| problem(name_or_path, format!("cannot be read as text: {error}")))?;
        Self::parse(&text, name_or_path)
    }

    /// Replaces a count.
    ///
    /// # Errors
    /// The scenario has no count of that name.
    pub fn set(&mut self, name: &str, count: u64) -> Result<(), ScenarioError> {
        if let Some(old) = self.counts.get_mut(name) {
            *old = count;
            return Ok(());
        }
        let known: Vec<_> = self.counts.keys().cloned().collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        Err(problem(&self.file, format!("it has no count `{name}`; it has {known}")))
    }

    /// Multiplies every rate, and the `min_rate` threshold with them; in the closed loop the number of users.
    pub fn scale(&mut self, factor: f64) {
        for stage in &mut self.stages {
            for rate in [&mut stage.rate, &mut stage.from, &mut stage.to].into_iter().flatten() {
                *rate *= factor;
            }
        }
        if let Some(users) = &mut self.users {
            *users = ((f64::from(*users) * factor).round() as u32).max(1);
        }
        if let Some(rate) = &mut self.thresholds.min_rate {
            *rate *= factor;
        }
    }

    /// Scales the schedule so that its highest rate is `rate` arrivals a second.
    ///
    /// # Errors
    /// It is a closed loop, which has no rate, or has none above 0 to scale.
    pub fn peak_rate(&mut self, rate: f64) -> Result<(), ScenarioError> {
        if self.model == Model::Closed {
            return Err(problem(&self.file, "a closed loop has no rate to set; --connections sets its users".into()));
        }
        let rates = self.stages.iter().flat_map(|stage| [stage.rate, stage.from, stage.to]);
        let peak = rates.flatten().fold(0.0, f64::max);
        if peak <= 0.0 {
            return Err(problem(&self.file, "no stage has a rate above 0 that could be scaled".into()));
        }
        self.scale(rate / peak);
        Ok(())
    }

    /// Stretches or shortens every stage, and the warm-up, so that all take `seconds`.
    pub fn lasting(&mut self, seconds: f64) {
        let factor = seconds / self.stages.iter().map(|stage| stage.seconds).sum::<f64>();
        self.warmup_seconds *= factor;
        for stage in &mut self.stages {
            stage.seconds *= factor;
        }
    }

    /// Sets the most connections of an open loop, or the users of a closed one.
    pub fn set_connections(&mut self, connections: u32) {
        match self.model {
            Model::Open => self.connections = Some(connections),
            Model::Closed => self.users = Some(connections),
        }
    }
}

fn problem(file: &str, what: String) -> ScenarioError {
    ScenarioError { file: file.into(), problems: vec![what] }
}
