//! The Secret with the records of the lanes: what is in it, and how it is read, applied and followed at Kubernetes' API.
//!
//! It is one object with a name, so the HTTP client that the other utilities have is enough; docs/architecture.md says what
//! a client for all of Kubernetes would cost.

pub mod content;

mod api;
mod versions;

pub use api::{Api, ApiError};
pub use versions::{Version, Versions};
