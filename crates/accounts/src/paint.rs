//! Colours, where somebody sees them.

use std::io::IsTerminal as _;

/// Whether to paint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    Yes,
    No,
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

impl Paint {
    /// On a terminal, unless `NO_COLOR` is set to something (<https://no-color.org>).
    pub(crate) fn where_seen() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb { Self::Yes } else { Self::No }
    }

    pub(crate) fn with(self, colour: Colour, text: &str) -> String {
        match (self, colour) {
            (Self::No, _) | (_, Colour::Plain) => text.to_owned(),
            (Self::Yes, colour) => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
        }
    }
}
