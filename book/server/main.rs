//! `book build` writes the book to disk, `book serve` shows it in a browser. Exit codes: 0 done, 2 usage (a port that
//! is taken is one), 3 the book itself is broken.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result};
use book::{orderflow::Place, serve, site};
use clap::{Parser, Subcommand};

/// The course as a book.
#[derive(Debug, Parser)]
#[command(name = "book", version)]
struct Args {
    /// The course: the directory that holds book/ and exercises/ [default: the nearest one at or above this directory]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write the book as pages that open from disk
    Build {
        /// Where to [default: book/dist in the course]
        #[arg(long, value_name = "DIR")]
        dest: Option<PathBuf>,
    },
    /// Serve the book on this machine, with your own verdicts in it
    Serve {
        /// The port [default: the first free one from 8000]
        #[arg(long)]
        port: Option<u16>,
        /// Open it in the browser
        #[arg(long)]
        open: bool,
        /// Stop when standard input ends: with whoever started this, however that ends
        #[arg(long, hide = true)]
        until_input_ends: bool,
        /// Build OrderFlow into this target directory of cargo, and serve it under /orderflow/
        #[arg(long, hide = true, value_name = "TARGET_DIR")]
        orderflow: Option<PathBuf>,
    },
}

/// An error with the exit code that goes with it.
struct Failure(u8, anyhow::Error);

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, error)) => {
            eprintln!("{error:#}");
            ExitCode::from(code)
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let usage = |error| Failure(2, error);
    let broken = |error| Failure(3, error);
    let here = args.root.map_or_else(env::current_dir, Ok).context("the current directory is gone").map_err(usage)?;
    let here = here.canonicalize().with_context(|| format!("{} is not there", here.display())).map_err(usage)?;
    let root = site::course_root(&here).map_err(usage)?;
    match args.what {
        What::Build { dest } => {
            let dest = dest.unwrap_or_else(|| root.join("book/dist"));
            site::render(&root).map_err(broken)?.write(&dest).map_err(usage)?;
            println!("Built {}", dest.join("index.html").display());
            Ok(())
        }
        What::Serve { port, open, until_input_ends, orderflow } => {
            let runtime = tokio::runtime::Runtime::new().context("no threads for the server").map_err(usage)?;
            runtime.block_on(async {
                // The port comes first: it fails at once, the book takes a moment.
                let listener = serve::bind(port).await.map_err(usage)?;
                let address = listener.local_addr().context("the socket has no address").map_err(usage)?;
                let stop = stopped(until_input_ends).map_err(usage)?;
                let site = site::render(&root).map_err(broken)?;
                announce(&format!("http://{address}"), open).map_err(usage)?;
                let orderflow = orderflow.map(|target| Place { root: root.clone(), target });
                serve::serve(&root, site, listener, orderflow, stop).await.map_err(usage)
            })
        }
    }
}

/// Says where the book is, on a line that other programs read too.
fn announce(address: &str, open: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Book  {address}")?;
    out.flush()?;
    if open && let Err(error) = open_browser(address) {
        eprintln!("No browser could be opened ({error}); open {address} yourself.");
    }
    Ok(())
}

fn open_browser(address: &str) -> io::Result<()> {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        let mut command = Command::new("cmd");
        command.args(["/C", "start", ""]);
        command
    } else {
        Command::new("xdg-open")
    };
    let mut child = command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // Somebody has to take its exit status, and a browser may run for hours.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// Done when the process is asked to end. Listens from now on, not from when it is first awaited.
fn stopped(until_input_ends: bool) -> Result<impl Future<Output = ()> + Send + 'static> {
    let (ended, input_ended) = tokio::sync::oneshot::channel::<()>();
    if until_input_ends {
        // A thread of its own: a read from standard input cannot be cancelled.
        std::thread::spawn(move || {
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            drop(ended);
        });
    } else {
        // Never dropped, so that nobody is told.
        std::mem::forget(ended);
    }
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    #[cfg(unix)]
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    #[cfg(not(unix))]
    let asked = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(async {
        tokio::select! {
            () = asked => {}
            _ = input_ended => {}
        }
    })
}
