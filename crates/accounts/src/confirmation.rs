//! Confirmation of what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use cli::exit::{Exit, Failure, OrExit as _};
use records::text;

/// A question to which only a yes is consent.
#[derive(Clone, Debug)]
pub(crate) struct Confirmation {
    pub(crate) question: String,
    /// What to type where there is no terminal to ask on.
    pub(crate) without_terminal: String,
    /// What is printed after any other answer.
    pub(crate) declined: String,
}

impl Confirmation {
    pub(crate) fn ask(self) -> Result<(), Failure> {
        if !io::stdin().is_terminal() {
            let error = format!("there is no terminal to ask on: {}", self.without_terminal);
            return Err(Failure::new(Exit::Usage, error));
        }
        let asked = write!(io::stderr(), "{} [y/N] ", text::line(&self.question));
        let mut answer = String::new();
        asked.and_then(|()| io::stdin().lock().read_line(&mut answer)).or_exit(Exit::Failed)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Exit::Failed, self.declined)),
        }
    }
}
