//! The command line as its users meet it: the real program, on a course of its own, with real builds.

mod attacks;
mod authors;
mod bad_input;
#[cfg(target_os = "linux")]
mod budget;
mod class;
mod course;
mod evidence;
mod flow;
#[cfg(unix)]
mod start;
#[cfg(target_os = "linux")]
mod watch;
mod workflows;
