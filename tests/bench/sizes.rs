//! The binaries, beside what they may have.

use crate::report::{Report, Table};
use crate::samples::thousands;

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../sizes.rs"]
mod budgets;

pub(crate) fn measure() -> Report {
    let mut table = Table::new("Binaries, static", &["binary", "bytes", "budget"]);
    for (name, budget) in budgets::BUDGETS {
        table.row([format!("`{name}`"), thousands(budgets::bytes(name)), thousands(budget)]);
    }
    Report { tables: vec![table], ..Report::default() }
}
