//! Mails: how they are written, and what becomes of them with each way that a mail server or a disk can fail.

mod answers;
mod smtp;
mod spool;
mod stage;
mod written;
