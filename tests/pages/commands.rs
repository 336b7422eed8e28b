//! The commands in the pages are ones that the utilities take.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use fixture::workspace::{SHIPPED, repository, shipped};

use crate::pages::markdown::{Block, pages};
use crate::pages::page;

/// What each command says of itself, asked once.
#[derive(Default)]
struct Helps(BTreeMap<Vec<String>, String>);

impl Helps {
    /// None if there is no such command.
    fn of(&mut self, words: &[&str]) -> Option<&str> {
        let key: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let help = self.0.entry(key).or_insert_with(|| {
            let output = Command::new(shipped(words[0])).args(&words[1..]).arg("--help").output().unwrap();
            if output.status.success() { String::from_utf8(output.stdout).unwrap() } else { String::new() }
        });
        Some(help.as_str()).filter(|help| !help.is_empty())
    }

    /// What is wrong with a command line, if it is one of ours.
    fn judge(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<_> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        let (own, after) = match words.iter().position(|word| *word == "--") {
            Some(at) => (&words[..at], words[at + 1..].join(" ")),
            None => (&words[..], String::new()),
        };
        let Some(name) = own.first().filter(|name| SHIPPED.contains(name)) else {
            // It is kubectl, then, that runs one of ours.
            return if own.first() == Some(&"kubectl") { self.judge(&after) } else { Ok(()) };
        };
        let verb = own.get(1).filter(|word| *name == "accounts" && !word.starts_with('-'));
        let command: Vec<_> = [name].into_iter().chain(verb).copied().collect();
        let help = self.of(&command).ok_or_else(|| format!("no command {command:?}"))?;
        let known: BTreeSet<_> = help
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .filter(|word| word.starts_with("--"))
            .collect();
        for word in own.iter().filter(|word| word.starts_with("--")) {
            let flag = word.split('=').next().unwrap();
            if !known.contains(flag) {
                return Err(format!("{command:?} has no {flag}"));
            }
        }
        // What follows is codex's own for auth-login, and a command for all others.
        if *name == "auth-login" { Ok(()) } else { self.judge(&after) }
    }
}

/// The command lines of a block, each whole.
fn commands(block: &Block) -> Vec<String> {
    let text = block.text.replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    match block.language.as_str() {
        "console" => lines.filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect(),
        "sh" => lines.map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_command_in_a_page_is_one_that_its_utility_takes() {
    let mut helps = Helps::default();
    for page in pages() {
        let lines: Vec<_> = page.blocks().iter().flat_map(commands).chain(page.spans()).collect();
        for command in lines.iter().flat_map(|line| line.split(" | ")) {
            if let Err(why) = helps.judge(command) {
                panic!("{page}: {command}: {why}");
            }
        }
    }
    // The judge judges.
    for wrong in
        ["accounts prak 1", "kubectl exec x -- accounts park --forr 6h", "idle -- rotate-once --inti"]
    {
        assert!(helps.judge(wrong).is_err(), "{wrong}");
    }
    assert!(helps.0.len() > SHIPPED.len() + 8, "{:?}", helps.0.keys());
}

#[test]
fn every_script_in_a_page_is_there() {
    let mut found = 0;
    for page in pages() {
        let lines = page.blocks().into_iter().map(|block| block.text).chain(page.spans());
        let text = lines.collect::<Vec<_>>().join("\n");
        let words = text.split(|c: char| c.is_whitespace() || "\"()".contains(c));
        for script in words.filter(|word| word.starts_with("scripts/")) {
            assert!(repository().join(script).is_file(), "{page}: no {script}");
            found += 1;
        }
    }
    assert!(found > 5);
}

#[test]
fn the_exit_codes_are_those_of_help() {
    let mut helps = Helps::default();
    let rows: Vec<_> = page("docs/scripts.md").rows().collect();
    for name in SHIPPED {
        let help = helps.of(&[name]).unwrap();
        let (_, codes) = help.split_once("Exit codes:").unwrap();
        let number = |word: &str| word.trim_matches(|c: char| c.is_ascii_punctuation()).parse::<u8>().ok();
        let of_help: BTreeSet<_> = codes.split_whitespace().filter_map(number).collect();
        let is_its = |row: &&Vec<String>| row.get(2).is_some_and(|who| who.contains(&format!("`{name}`")));
        let of_page: BTreeSet<_> =
            rows.iter().filter(is_its).flat_map(|row| row[0].split(", ").filter_map(number)).collect();
        assert_eq!(of_page, of_help, "{name}");
    }
}
