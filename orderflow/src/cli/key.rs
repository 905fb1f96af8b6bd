//! `orderflow key`: a new API key, and what accepts it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use orderflow::{
    auth::{NewKey, hex},
    config::Role,
};

#[derive(Args)]
pub(super) struct Options {
    /// Whose key it is, for logs: 1 to 64 characters
    #[arg(long, default_value = "client", value_parser = name)]
    name: String,
    /// What it allows
    #[arg(long, value_enum, default_value = "writer")]
    role: Allowed,
}

#[derive(Clone, Copy, ValueEnum)]
enum Allowed {
    /// To place orders, and to create and change customers
    Writer,
    /// All of that, and to delete customers
    Admin,
}

fn name(text: &str) -> Result<String, &'static str> {
    let ok = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if ok { Ok(text.to_owned()) } else { Err("must have 1 to 64 characters, none of them a control character") }
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let role = match options.role {
        Allowed::Writer => Role::Writer,
        Allowed::Admin => Role::Admin,
    };
    let key = NewKey::random()?;
    let accepted = key.accepted_as(&options.name, role);
    super::print(&format!(
        "{}\n\n\
         # That is the key. It is shown this once and kept nowhere; send it as `Authorization: Bearer KEY`.\n\
         # These lines at the end of orderflow.toml accept it:\n\
         [[auth.keys]]\n\
         name = {}\n\
         role = \"{}\"\n\
         sha256 = \"{}\"\n",
        key.plain(),
        toml::Value::String(accepted.name),
        accepted.role.word(),
        hex(&accepted.sha256),
    ))
}
