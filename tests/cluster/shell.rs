//! A person's shell, in which they type what a page says.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use fixture::workspace::{binaries, repository, tool};
use support::podman::text_of;
use tempfile::TempDir;

use crate::installed::Namespace;

/// The first block in this language of a page's section.
pub(crate) fn block(page: &str, heading: &str, language: &str) -> String {
    let page = fs::read_to_string(repository().join("docs").join(page)).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// One in a directory of its own, with the utilities and the chart in it. `kubectl` and `helm` are in the person's namespace
/// of the cluster.
pub(crate) struct Shell {
    home: TempDir,
}

impl Shell {
    pub(crate) fn of<Node>(cluster: &Namespace<Node>) -> Self {
        let shell = Self { home: tempfile::tempdir().unwrap() };
        let (script, name) = (repository().join("scripts/cluster"), cluster.name());
        shell.has("kubectl", &format!("{} kubectl --namespace {name}", script.display()));
        let (python, helm) = (tool("chart/bin/python"), repository().join("tests/tools/release.py"));
        let helm = format!("{} {} typed", python.display(), helm.display());
        shell.has("helm", &format!("{} run env NAMESPACE={name} {helm}", script.display()));
        symlink(repository().join("charts"), shell.directory().join("charts")).unwrap();
        shell
    }

    /// A program that is this command, with more arguments.
    fn has(&self, program: &str, command: &str) {
        let program = self.directory().join(program);
        fs::write(&program, format!("#!/bin/sh\nexec {command} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn directory(&self) -> &Path {
        self.home.path()
    }

    /// What the first commands of a page's section say.
    pub(crate) fn types(&self, page: &str, heading: &str) -> String {
        let path = format!("{}:{}:/usr/bin:/bin", self.directory().display(), binaries().display());
        let mut shell = Command::new("sh");
        shell.args(["-euc", &block(page, heading, "sh")]).current_dir(self.directory()).env("PATH", path);
        text_of(&shell.output().unwrap())
    }
}
