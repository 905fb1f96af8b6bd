//! A PostgreSQL server to throw away: prints the address of an empty database in it and the server's directory, and ends it
//! upon Ctrl-C or at the end of its input. With `--durable` it is set up as for measurements.

use std::io::Read;

use anyhow::{Result, bail};
use orderflow_servers::{Postgres, Settings};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let settings = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Settings::default(),
        ["--durable"] => Settings::durable(),
        _ => bail!("the only argument is --durable, not {}", arguments.join(" ")),
    };
    let postgres = Postgres::own(&settings)?;
    let database = postgres.database()?;
    println!("{}\n{}", database.url(), postgres.dir().display());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
