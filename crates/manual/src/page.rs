//! Man pages: what clap knows of a command, and the sections that it does not write.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// What comes before the exit codes in every `--help`.
const EXIT_CODES: &str = "Exit codes:";

/// The pages of all utilities.
pub(crate) struct Book<'a> {
    utilities: &'a [Command],
    date: &'a str,
}

impl<'a> Book<'a> {
    pub(crate) fn of(utilities: &'a [Command], date: &'a str) -> Self {
        Self { utilities, date }
    }

    /// Each page with its name: one for each utility and, as git has it, one for each of its commands.
    pub(crate) fn pages(&self) -> Vec<(String, String)> {
        let mut pages = Vec::new();
        for utility in self.utilities {
            let mut utility =
                utility.clone().disable_help_subcommand(true).subcommand_help_heading("COMMANDS");
            // Gives each command its whole name and the options that it inherits.
            utility.build();
            for command in [&utility].into_iter().chain(utility.get_subcommands()) {
                pages.push((title(command).to_owned(), self.page(&utility, command)));
            }
        }
        pages
    }

    /// The page of a utility, or of one of its commands.
    fn page(&self, utility: &Command, command: &Command) -> String {
        let man = Man::new(with_usage(command))
            .date(self.date)
            .source(concat!("codex-podkit ", env!("CARGO_PKG_VERSION")))
            .manual("codex-podkit");
        let mut page = Vec::new();
        let mut sections = vec![
            Man::render_title,
            Man::render_name_section,
            Man::render_synopsis_section,
            Man::render_description_section,
            Man::render_options_section,
        ];
        if command.has_subcommands() {
            sections.push(Man::render_subcommands_section);
        }
        for section in sections {
            section(&man, &mut page).expect("memory takes what is written");
        }
        let mut rest = Roff::new();
        exit_status(utility, &mut rest);
        self.see_also(utility, command, &mut rest);
        String::from_utf8(page).expect("clap writes text") + &rest.render()
    }

    fn see_also(&self, utility: &Command, command: &Command, page: &mut Roff) {
        let others = self.utilities.iter().map(Command::get_name).filter(|name| *name != utility.get_name());
        let own = [utility.get_name()].into_iter().filter(|name| *name != title(command));
        page.control("SH", ["SEE ALSO"]);
        let list = own.chain(others).flat_map(|name| [roman(", "), bold(name), roman("(1)")]);
        page.text(list.skip(1).collect::<Vec<_>>());
    }
}

fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The synopsis is the usage of `--help`. That of the library lacks the `--` before what is passed on.
fn with_usage(command: &Command) -> Command {
    let usage = command.clone().render_usage().to_string();
    command.clone().override_usage(usage.trim_start_matches("Usage: ").to_owned())
}

/// What `--help` ends with. The exit codes of a utility are those of its commands as well.
fn exit_status(utility: &Command, page: &mut Roff) {
    let text = utility.get_after_help().expect("every --help ends with the exit codes").to_string();
    let (notes, codes) = text.split_once(EXIT_CODES).expect("every --help ends with the exit codes");
    if !notes.trim().is_empty() {
        page.control("SH", ["NOTES"]);
        lines(notes.trim(), page);
    }
    page.control("SH", ["EXIT STATUS"]);
    if codes.starts_with('\n') {
        // The lines of a table are not joined.
        page.control("nf", []);
        lines(codes.trim_matches('\n'), page);
        page.control("fi", []);
    } else {
        lines(codes.trim(), page);
    }
}

fn lines(text: &str, page: &mut Roff) {
    for line in text.lines() {
        page.text([roman(line)]);
    }
}
