//! Colours, for terminals only.

use std::io::IsTerminal as _;

/// Whether anything is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colouring {
    On,
    Off,
}

/// The colours of a state, as terminals number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Blue = 34,
}

impl Colouring {
    /// On a terminal, unless `NO_COLOR` is set to something (<https://no-color.org>).
    pub(crate) fn of_stdout() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb { Self::On } else { Self::Off }
    }

    pub(crate) fn apply(self, colour: Colour, text: &str) -> String {
        match (self, colour) {
            (Self::Off, _) | (_, Colour::Plain) => text.to_owned(),
            (Self::On, colour) => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
        }
    }
}
