//! Asking before what cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use cli::exit::{Exit, Failure, OrExit as _};
use records::text;

/// A question that only a yes answers.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) asked: String,
    /// What to type where there is no terminal to ask on.
    pub(crate) without_terminal: String,
    /// What is said to a no.
    pub(crate) declined: String,
}

impl Question {
    /// Asks on the terminal, and takes nothing but a yes for one.
    pub(crate) fn ask(self) -> Result<(), Failure> {
        if !io::stdin().is_terminal() {
            let error = format!("there is no terminal to ask on: {}", self.without_terminal);
            return Err(Failure::new(Exit::Usage, error));
        }
        let asked = write!(io::stderr(), "{} [y/N] ", text::line(&self.asked));
        let mut answer = String::new();
        asked.and_then(|()| io::stdin().lock().read_line(&mut answer)).or_exit(Exit::Failed)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Exit::Failed, self.declined)),
        }
    }
}
