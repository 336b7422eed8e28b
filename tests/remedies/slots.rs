//! How states of the files in slots are made.

use std::os::unix::fs::symlink;

use fixture::{ANN, BEN};

use super::patient::Patient;

pub(crate) fn broken(it: &mut Patient, content: &str) {
    broken_in(it, 2, content);
    it.openai.approve_next(BEN);
}

pub(crate) fn broken_in(it: &Patient, slot: u32, content: &str) {
    it.write(&format!("auth-{slot}.json"), content);
}

pub(crate) fn variable_broken(it: &mut Patient) {
    it.set("OPENAI_CODEX_ACCESS_TOKEN_7", "{\"tokens\": {}}");
    it.openai.approve_next(ANN);
}

pub(crate) fn linked(it: &mut Patient) {
    it.write("elsewhere", it.login(BEN).to_string());
    symlink("elsewhere", it.file("auth-2.json")).unwrap();
}

pub(crate) fn too_open(it: &mut Patient) {
    it.put_login(1, ANN);
    it.set_mode("auth-1.json", 0o644);
}

pub(crate) fn too_open_and_broken(it: &mut Patient) {
    broken_in(it, 1, "{");
    it.set_mode("auth-1.json", 0o644);
}
