//! Files that are replaced whole and durably or not at all, and that are read up to a bound and without following links.

pub mod atomic;
pub mod draft;
#[cfg(test)]
mod fixture;
mod owner;
pub mod private_file;
mod reserved_file;

pub use atomic::Access;
pub use draft::Draft;
pub use owner::{Owner, current_user};
pub use private_file::{NotRead, PrivateFile};
pub use reserved_file::ReservedFile;
