//! How large each binary may be, and that none has outgrown it.

use crate::workspace::shipped;

/// Bytes each shipped binary may have on x86-64 with glibc. A size is not a time: CI holds to it.
///
/// Room for a twentieth, so that a tenth more never passes unnoticed; whoever makes a binary larger says why in
/// `docs/benchmarks.md` and raises its budget here, and lowers it where one became smaller.
pub(crate) const BUDGETS: [(&str, u64); 6] = [
    ("accounts", 3_890_000),
    ("accounts-serve", 2_300_000),
    ("auth-login", 2_130_000),
    ("idle", 1_275_000),
    ("rotate-once", 3_800_000),
    ("seed-codex-config", 1_710_000),
];

/// What is wrong with a size, if anything is.
pub(crate) fn verdict(name: &str, bytes: u64, budget: u64) -> Result<(), String> {
    if bytes > budget {
        return Err(format!("{name} has {bytes} bytes, and its budget is {budget}"));
    }
    if bytes * 11 / 10 <= budget {
        return Err(format!(
            "{name} has {bytes} bytes and could grow by a tenth unseen: lower its budget of {budget}"
        ));
    }
    Ok(())
}

pub(crate) fn bytes(name: &str) -> u64 {
    std::fs::metadata(shipped(name)).unwrap().len()
}

#[test]
fn no_binary_outgrows_its_budget_or_could_grow_by_a_tenth_unseen() {
    assert_eq!(BUDGETS.map(|(name, _)| name), crate::workspace::SHIPPED, "each has a budget");
    let wrong: Vec<_> =
        BUDGETS.iter().filter_map(|(name, budget)| verdict(name, bytes(name), *budget).err()).collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_binary_that_grows_by_a_tenth_is_found_out() {
    for (name, budget) in BUDGETS {
        let grown = bytes(name) * 11 / 10;
        assert!(verdict(name, grown, budget).unwrap_err().contains("its budget is"), "{name}");
    }
}
