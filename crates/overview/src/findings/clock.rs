//! Whether this clock agrees with the clocks that dated files and tokens.

use crate::bounds::CLOCKS_DIFFER;
use crate::finding::{Finding, Id};
use crate::observed::Observed;

pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    let now = observed.overview.now;
    let latest = now.plus(CLOCKS_DIFFER);
    let files = observed.examined.iter().flat_map(|examined| &examined.from_the_future);
    let files = files.filter(|(_, time)| *time > latest);
    let files = files.map(|(path, time)| format!("{} was written {time}", path.display()));
    let tokens = observed
        .files
        .iter()
        .filter_map(|file| Some((file.slot, file.issued.filter(|time| *time > latest)?)));
    let tokens = tokens.map(|(slot, time)| format!("the token of {slot} was made {time}"));
    let differs = |what: String| {
        let message = format!("{what}, and it is {now} here: this clock is behind, or that one ahead");
        Finding::new(Id::ClockDiffers, message)
            .advise("compare date -u here and on the other nodes, and look at their NTP")
    };
    files.chain(tokens).map(differs).collect()
}
