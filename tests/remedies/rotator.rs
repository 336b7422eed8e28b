//! How states of the rotator, of what it remembers and of what it publishes are made.

use std::fs::{create_dir_all, remove_file};

use fixture::{ANN, BEN};
use serde_json::json;

use super::logins::{good, without_refresh_token};
use super::patient::Patient;

pub(crate) fn state_directory(it: &mut Patient) {
    good(it);
    create_dir_all(it.file("rotator_state.json/x")).unwrap();
    it.write("rotator_state.json.broken", "{");
}

pub(crate) fn pin_lost(it: &mut Patient) {
    it.put_login(1, ANN);
    it.put_login(2, BEN);
    it.type_in("accounts pin 2");
    remove_file(it.file("auth-2.json")).unwrap();
}

pub(crate) fn waiting(it: &mut Patient, beside: fn(&mut Patient), name: &str) {
    beside(it);
    it.write(name, "");
    it.age(name, 180);
}

pub(crate) fn late(it: &mut Patient, mark: &str) {
    good(it);
    it.said("rotate-once");
    it.age(mark, 3 * 3600);
}

pub(crate) fn never_ran(it: &mut Patient) {
    good(it);
    it.said("rotate-once --init");
    it.age("auth.json", 3 * 3600);
}

/// Ann is served, and Ben could be.
pub(crate) fn served(it: &Patient) {
    it.put_login(1, ANN);
    it.said("rotate-once");
    assert_eq!(it.served(), "acct-ann");
    it.put_login(2, BEN);
}

pub(crate) fn served_parked(it: &mut Patient) {
    served(it);
    it.know("ann", &json!({"parked": {}}));
}

pub(crate) fn served_other_account(it: &mut Patient) {
    served(it);
    it.know("ann", &json!({"came_from": {"account_id": "acct-eve", "user_id": "user-eve"}}));
}

/// Ben was served until his login was deleted.
pub(crate) fn unknown(it: &mut Patient, other: fn(&mut Patient)) {
    it.put_login(2, BEN);
    it.said("rotate-once");
    remove_file(it.file("auth-2.json")).unwrap();
    other(it);
}

pub(crate) fn placeholder(it: &mut Patient, then: fn(&mut Patient)) {
    it.said("rotate-once --init");
    then(it);
}

pub(crate) fn foreign(it: &mut Patient, write: fn(&Patient)) {
    good(it);
    write(it);
}

pub(crate) fn foreign_and_dead(it: &mut Patient) {
    without_refresh_token(it);
    it.write("auth.json", "{\"access");
}

pub(crate) fn codexs_own(it: &Patient) {
    it.write("auth.json", it.login(BEN).to_string());
}
