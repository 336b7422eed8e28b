//! No binary has outgrown its budget.

use fixture::workspace::SHIPPED;
use support::budgets::{BUDGETS, bytes};

/// What is wrong with a size, if anything is.
fn verdict(name: &str, bytes: u64, budget: u64) -> Result<(), String> {
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

#[test]
fn no_binary_outgrows_its_budget_or_could_grow_by_a_tenth_unseen() {
    assert_eq!(BUDGETS.map(|(name, _)| name), SHIPPED, "each has a budget");
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
