//! `watch`: the verdict on every save, in this terminal.

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    path::PathBuf,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use catalogue::{Exercise, Progress, Report};
use crossterm::{
    cursor, event,
    event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute, terminal,
};
use indicatif::ProgressBar;
use notify::{RecursiveMode, Watcher};

use crate::{
    commands::{check, learner},
    course::Course,
    grade::Options,
    interrupt, show, state,
    stop::{Exit, Stop},
    term::{Paint, meter, width},
};

/// Saving a file can be several steps; the verdict waits for the last of them.
const SETTLE: Duration = Duration::from_millis(60);
/// How often the files are looked at besides, since events do not arrive from every file system.
const LOOK: Duration = Duration::from_millis(500);

enum Message {
    Key(KeyEvent),
    Saved,
    /// Another command is checking; this one's turn comes after it.
    Waiting,
    Graded(Box<Result<Report>>),
}

/// Raw mode for as long as this lives, whatever ends it.
struct RawTerminal;

impl RawTerminal {
    fn enter() -> Result<Self> {
        terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
        let _ = execute!(stdout(), cursor::Show);
        println!();
    }
}

pub(crate) fn run(course: &Course, slug: Option<&str>) -> Result<Exit> {
    let exercise = match slug {
        Some(slug) => course.exercise(slug)?,
        None => check::next(course)?,
    };
    if !stdin().is_terminal() || !stdout().is_terminal() {
        let next = "Run it in a terminal, or use `cargo xtask check`, which needs none.";
        return Err(Stop::usage("watch draws on a terminal, and this is none", next).into());
    }
    let (sender, messages) = mpsc::channel();
    let _watcher = watch_files(course, sender.clone());
    let keys = sender.clone();
    // Not waited for at the end: when the terminal goes away, a read from it may never return.
    thread::spawn(move || read_keys(&keys));
    let _terminal = RawTerminal::enter()?;
    thread::scope(|scope| {
        let mut screen = Screen {
            course,
            exercise,
            report: None,
            failure: None,
            note: None,
            seen: Vec::new(),
            running: false,
            asked: None,
        };
        let mut start = |exercise: &'_ Exercise| {
            let (sender, slug) = (sender.clone(), exercise.slug.clone());
            scope.spawn(move || {
                let options = Options { colour: Paint::stdout().on(), ..Options::default() };
                let waiting = || drop(sender.send(Message::Waiting));
                let alone = state::one_at_a_time_or(course, waiting);
                // The screen has its own words for what is going on; a spinner would be drawn across them.
                let bar = ProgressBar::hidden();
                let report = alone.and_then(|_alone| check::judge(course, course.exercise(&slug)?, options, &bar));
                // The screen may have been left meanwhile.
                let _ = sender.send(Message::Graded(Box::new(report)));
            });
        };
        let outcome = screen.follow(&messages, &mut start);
        // A verdict that is still being made is not waited for.
        interrupt::raise();
        outcome
    })
}

/// Events from the file system. Where it has none to give, looking at the files does the work alone.
fn watch_files(course: &Course, sender: Sender<Message>) -> Option<notify::RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            let _ = sender.send(Message::Saved);
        }
    };
    let mut watcher = notify::recommended_watcher(tell).ok()?;
    watcher.watch(&course.root().join("exercises"), RecursiveMode::Recursive).ok()?;
    Some(watcher)
}

fn read_keys(sender: &Sender<Message>) {
    while let Ok(event) = event::read() {
        if let Event::Key(key) = event
            && key.kind == KeyEventKind::Press
            && sender.send(Message::Key(key)).is_err()
        {
            return;
        }
    }
}

struct Screen<'a> {
    course: &'a Course,
    exercise: &'a Exercise,
    report: Option<Report>,
    /// Why there is no verdict, when the fault is not the learner's.
    failure: Option<String>,
    /// What a key brought up: a hint, the list, the way to the solution.
    note: Option<String>,
    /// Size and time of each editable file when the verdict on screen was begun.
    seen: Vec<Option<(u64, SystemTime)>>,
    running: bool,
    /// A question that the next key answers.
    asked: Option<char>,
}

impl<'a> Screen<'a> {
    fn follow(&mut self, messages: &Receiver<Message>, start: &mut dyn FnMut(&'a Exercise)) -> Result<Exit> {
        self.begin(start)?;
        loop {
            if interrupt::check().is_err() {
                return Ok(Exit::Interrupted);
            }
            match messages.recv_timeout(LOOK) {
                Ok(Message::Key(key)) => {
                    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                    if control_c || (key.code == KeyCode::Char('q') && self.asked.is_none()) {
                        return Ok(Exit::Pass);
                    }
                    // Keys pressed while a verdict is made are not kept for later: what they meant may have changed.
                    if let (KeyCode::Char(letter), false) = (key.code, self.running) {
                        self.key(letter, start)?;
                    }
                }
                // What was saved is looked at below, as it is when no event arrives.
                Ok(Message::Saved) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Waiting) => {
                    self.note = Some("Waiting for another check to finish.\n".into());
                    self.draw()?;
                    self.note = None;
                }
                Ok(Message::Graded(report)) => {
                    self.running = false;
                    (self.report, self.failure) = match *report {
                        Ok(report) => (Some(report), None),
                        Err(error) => (None, Some(format!("{error:#}"))),
                    };
                    self.draw()?;
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Pass),
            }
            if !self.running && self.look() != self.seen {
                self.settle();
                self.note = None;
                self.begin(start)?;
            }
        }
    }

    fn begin(&mut self, start: &mut dyn FnMut(&'a Exercise)) -> Result<()> {
        self.seen = self.look();
        self.running = true;
        self.asked = None;
        self.draw()?;
        start(self.exercise);
        Ok(())
    }

    fn look(&self) -> Vec<Option<(u64, SystemTime)>> {
        let files = self.exercise.spec.editable.iter().map(|path| self.path(path));
        files.map(|path| path.metadata().ok().and_then(|meta| Some((meta.len(), meta.modified().ok()?)))).collect()
    }

    /// Waits until the files have stayed as they are for a moment: saving may empty a file before it fills it.
    fn settle(&self) {
        let mut before = self.look();
        loop {
            thread::sleep(SETTLE);
            let now = self.look();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn path(&self, editable: &str) -> PathBuf {
        self.course.root().join(&self.exercise.dir).join(editable)
    }

    fn key(&mut self, letter: char, start: &mut dyn FnMut(&'a Exercise)) -> Result<()> {
        let slug = self.exercise.slug.clone();
        if self.asked.take() == Some('r') {
            if letter == 'y' {
                // What is on screen is redrawn by the new verdict; the words of `reset` would be lost under it.
                learner::reset(self.course, &slug)?;
                self.note = Some("The starter is back; your version is kept in .course/reset.\n".into());
                return self.begin(start);
            }
            self.note = None;
            return self.draw();
        }
        match letter {
            'n' => {
                let exercises = self.course.exercises()?;
                let at = exercises.iter().position(|exercise| exercise.slug == slug).unwrap_or(0);
                self.exercise = &exercises[(at + 1) % exercises.len()];
                (self.report, self.note) = (None, None);
                return self.begin(start);
            }
            'h' => self.note = Some(learner::next_hint(self.course, &slug)?),
            's' => {
                self.note = Some(match learner::open_solution(self.course, &slug, false) {
                    Ok(dir) => format!("Solution  {}/src/lib.rs\nWhy       {0}/why.md\n", dir.display()),
                    Err(error) => match error.downcast_ref::<Stop>() {
                        Some(stop) => format!("{}. {}\n", stop.what, stop.next),
                        None => return Err(error),
                    },
                });
            }
            'l' => self.note = Some(self.list()?),
            'r' => {
                self.asked = Some('r');
                self.note = Some(format!("Put the starter of {slug} back? Your version is kept aside. y/n\n"));
            }
            ' ' | 'c' => return self.begin(start),
            _ => return Ok(()),
        }
        self.draw()
    }

    fn list(&self) -> Result<String> {
        let progress = state::read(self.course);
        let mut out = String::new();
        for exercise in self.course.exercises()? {
            let mark = if passed(&progress, exercise) { "passed" } else { "open" };
            let here = if exercise.slug == self.exercise.slug { ">" } else { " " };
            out += &format!("{here} {mark:<7} {}\n", exercise.slug);
        }
        Ok(out)
    }

    /// The screen, from the top: verdict, what a key brought up, done, solution, progress, file, keys.
    fn draw(&self) -> Result<()> {
        let paint = Paint::stdout();
        let slug = &self.exercise.slug;
        let mut text = String::new();
        if self.running {
            text += &format!("{}  checking\n\n", paint.bold(slug));
        } else if let Some(report) = &self.report {
            text += &show::report(report, self.exercise, paint, width());
            text.push('\n');
        } else if let Some(failure) = &self.failure {
            text += &format!("{}  {failure}\n\n", paint.red("no verdict"));
        }
        if let Some(note) = &self.note {
            text += &format!("{note}\n");
        }
        if !self.running && self.report.as_ref().is_some_and(Report::passed) {
            text += &format!("{}  n goes on to the next exercise\n", paint.green("Done."));
            text += &format!("Solution and why: {}\n\n", self.exercise.solution_dir().display());
        }
        let (progress, exercises) = (state::read(self.course), self.course.exercises()?);
        let done = exercises.iter().filter(|exercise| passed(&progress, exercise)).count();
        let bar = meter(done as u32, exercises.len() as u32, 30);
        text += &format!("Progress {bar} {done}/{}\n", exercises.len());
        text += &format!("Current  {}\n\n", self.path("src/lib.rs").display());
        let keys = [("n", "ext"), ("h", "int"), ("l", "ist"), ("s", "olution"), ("r", "eset"), ("q", "uit")];
        let keys: Vec<_> = keys.iter().map(|(key, rest)| format!("{}:{key}{rest}", paint.bold(key))).collect();
        text += &keys.join("  ");
        let mut out = stdout().lock();
        execute!(
            out,
            terminal::Clear(terminal::ClearType::All),
            terminal::Clear(terminal::ClearType::Purge),
            cursor::MoveTo(0, 0)
        )?;
        // In raw mode a line feed does not return the carriage.
        write!(out, "{}", text.replace('\n', "\r\n"))?;
        out.flush()?;
        Ok(())
    }
}

fn passed(progress: &Progress, exercise: &Exercise) -> bool {
    progress.exercises.get(&exercise.slug).is_some_and(|standing| standing.passed.is_some())
}
