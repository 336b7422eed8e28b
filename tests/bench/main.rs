//! Measures the utilities beside their peers, on one machine in one run.
//!
//! `scripts/bench` builds and installs what it needs; without that it says what is missing.

#![expect(clippy::unwrap_used, reason = "a measurement ends at what it does not expect")]
#![expect(clippy::cast_precision_loss, reason = "nothing here needs 52 bits")]

mod as_pid_1;
mod caps;
mod chart;
mod cold_start;
mod failover;
mod growth;
mod images;
mod load;
mod process;
mod report;
mod samples;
mod signal;
mod sizes;
mod volume;

use std::fs;

use clap::{Parser, ValueEnum};
use fixture::workspace::repository;

use crate::report::{Report, aims, fill_in};

/// Measures the utilities beside their peers and writes docs/benchmarks.md with its chart
#[derive(Debug, Parser)]
struct Args {
    /// Measure only these, and print the figures without writing them
    sections: Vec<Section>,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Section {
    /// Binaries and their budgets
    Sizes,
    /// Programs that wait as PID 1
    #[value(name = "as-pid-1")]
    AsPid1,
    /// From start to exit
    ColdStart,
    /// From a signal to the record
    Signal,
    /// More accounts, many rotations
    Growth,
    /// LiteLLM under load
    Load,
    /// An account that is refused, as an agent notices it
    Failover,
    /// Usage that grows up to the caps
    Caps,
    /// Images and containers
    Images,
}

impl Section {
    fn measure(self) -> Report {
        match self {
            Self::Sizes => sizes::measure(),
            Self::AsPid1 => as_pid_1::measure(),
            Self::ColdStart => cold_start::measure(),
            Self::Signal => signal::measure(),
            Self::Growth => growth::measure(),
            Self::Load => load::measure(),
            Self::Failover => failover::measure(),
            Self::Caps => caps::measure(),
            Self::Images => images::measure(),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }
}

fn main() {
    let args = Args::parse();
    let is_whole = args.sections.is_empty();
    let sections = if is_whole { Section::value_variants().to_vec() } else { args.sections };
    let measured: Vec<_> = sections
        .into_iter()
        .map(|section| {
            eprintln!("measuring: {}", section.name());
            let report = section.measure();
            report.tables.iter().for_each(|table| println!("{}", table.text()));
            (section, report)
        })
        .collect();
    let aims = aims(measured.iter().flat_map(|(_, report)| &report.aims));
    println!("{}", aims.text());
    if is_whole {
        let path = repository().join("docs/benchmarks.md");
        let mut document = fs::read_to_string(&path).unwrap();
        let aims = Report { tables: vec![aims], ..Report::default() };
        document = fill_in(&document, "machine", &machine());
        document = fill_in(&document, "aims", &aims.markdown());
        for (section, report) in &measured {
            document = fill_in(&document, &section.name(), &report.markdown());
        }
        fs::write(path, document).unwrap();
        let series = measured.iter().flat_map(|(_, report)| &report.series);
        chart::draw(&repository().join("docs/benchmarks.svg"), &series.collect::<Vec<_>>());
        println!("written: docs/benchmarks.md and docs/benchmarks.svg");
    }
}

/// What was measured on.
fn machine() -> String {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = file("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cpus = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = file("/proc/sys/kernel/osrelease");
    let debian = file("/etc/debian_version");
    format!(
        "Measured on {cpus} × {}, Linux {}, Debian {}.",
        model.trim_start_matches([':', ' ', '\t']),
        kernel.trim().split('-').next().unwrap(),
        debian.trim()
    )
}
