//! What needs the programs for arm64 as well: the images of that architecture, and the archives of both. `scripts/test` runs
//! these last.

mod dist;
mod images;
