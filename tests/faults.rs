//! `rotate-once` under faults: killed anywhere, on a volume that fails anywhere or forgets, with an issuer, gateways,
//! proxies and a backend that misbehave, beside others that write, with clocks that jumped, in a crowd. What must hold
//! after each of them is told once, in `judge`.
//!
//! Each suite prints its figures: `cargo test -p end-to-end faults -- --nocapture`.

mod apart;
mod backup;
mod clocks;
mod crowd;
mod dice;
mod errors;
mod figures;
mod forgotten;
mod gateway;
mod gateways;
mod hostile;
mod irreplaceable;
mod issuer;
mod judge;
mod killed;
mod meanwhile;
mod proxies;
mod refused;
mod restored;
mod scenario;
mod trace;
mod volume;
