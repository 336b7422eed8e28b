//! Files that are replaced whole and durably or not at all, and read with a bound and without following links.

pub mod atomic;
pub mod draft;
mod owner;
pub mod private_file;

pub use atomic::Access;
pub use draft::Draft;
pub use owner::{Owner, user};
pub use private_file::{NotRead, PrivateFile};
