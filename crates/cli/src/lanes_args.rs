//! The flag that says how many lanes there are.

use clap::Args;
use records::LaneCount;
use records::lane::NotALane;

/// How many lanes there are.
#[derive(Clone, Debug, Args)]
pub struct LanesArgs {
    /// How many accounts serve at once, from 1 to 16: each has a record of its own, lane-1.json and so on
    #[arg(long, global = true, value_name = "COUNT", env = "CODEX_LANES", default_value = "1", value_parser = lanes)]
    lanes: OptionalLanes,
}

/// A number of lanes, or `None` for the default: charts set variables without a value.
type OptionalLanes = Option<LaneCount>;

fn lanes(text: &str) -> Result<OptionalLanes, NotALane> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

impl LanesArgs {
    /// The number.
    #[must_use]
    pub fn count(&self) -> LaneCount {
        self.lanes.unwrap_or_default()
    }
}
