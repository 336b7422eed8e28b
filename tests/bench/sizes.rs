//! The binaries, beside what they may have.

use support::budgets::{BUDGETS, bytes};

use crate::report::{Report, Table};
use crate::samples::thousands;

pub(crate) fn measure() -> Report {
    let mut table = Table::new("Binaries, static", &["binary", "bytes", "budget"]);
    for (name, budget) in BUDGETS {
        table.row([format!("`{name}`"), thousands(bytes(name)), thousands(budget)]);
    }
    Report { tables: vec![table], ..Report::default() }
}
