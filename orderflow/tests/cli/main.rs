//! The program itself: what it prints, what status it ends with, and that nothing of it is left.

mod config;
mod database;
mod program;
mod serve;
mod small;
