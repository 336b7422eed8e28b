//! `stand-in`: `auth.openai.com` and `chatgpt.com` on loopback, for tests and the demo.
//!
//! `stand-in --listen 127.0.0.1:9000 --approve ann@example.test,ben@example.test --log requests.jsonl`

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use stand_in::{Options, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

const AFTER_HELP: &str = "\
Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 usage

Control, in JSON:
  POST /_control/{approve,approve_next,account,device,oauth_fault,reasoning,refreshable,refusal,sign_in,usage}
  GET  /_control/{codes,grants,requests,usage}";

#[derive(Parser)]
#[command(version, about, after_help = AFTER_HELP)]
struct Args {
    /// Where to listen; loopback only, port 0 for any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,

    /// Who approves the device codes in order, each after one pending poll; the last repeats
    #[arg(long, value_name = "EMAIL,…", value_delimiter = ',')]
    approve: Vec<String>,

    /// Append each request to this file as a line of JSON; no token gets into it
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stand-in: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { listen, approve, log } = args;
    let append = |path: &PathBuf| {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| format!("cannot write the log {}", path.display()))
    };
    let log = log.as_ref().map(append).transpose()?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot await SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot await SIGINT")?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("stand-in: listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = serve(listener, Options { approve, log }) => served.context("cannot serve any longer")?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Anybody who reaches a stand-in can sign in as anybody, so it stays on this machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "not an address with a port, such as 127.0.0.1:9000")?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("not a loopback address; use 127.0.0.1".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
