//! PID 1 that keeps a container alive and, given a command, runs it on time or when a file appears.
//!
//! ```text
//! idle
//! idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once
//! ```
//!
//! One thread and no signal handlers: signals are blocked and read from a descriptor, so nothing here can
//! be interrupted half-way.

#![cfg_attr(not(test), no_main)]

mod args;
mod command;
mod keep;
mod schedule;
mod signals;
mod wake;

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt as _;

use anyhow::Context;

use crate::signals::Signals;

/// As libc calls it. Rust's own start reads `/proc/self/maps` and prepares for an overflow of the stack, which would
/// cost every container a tenth of its memory, and of the time until it runs.
#[cfg_attr(not(test), expect(unsafe_code, reason = "no other function of this name is linked"))]
// SAFETY: it has the signature that libc calls, and is called once.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    let words = (0..usize::try_from(count).unwrap_or(0)).map(|n| {
        #[expect(unsafe_code, reason = "the command line is libc's")]
        // SAFETY: libc gives as many pointers to strings, which stay for as long as the program runs.
        let word = unsafe { CStr::from_ptr(*words.add(n)) };
        OsString::from_vec(word.to_bytes().to_vec())
    });
    match run(words) {
        Ok(code) => c_int::from(code),
        Err(error) => {
            keep::report(&format_args!("{error:#}"));
            1
        }
    }
}

fn run(words: impl ExactSizeIterator<Item = OsString>) -> anyhow::Result<u8> {
    // Before all else: for PID 1 the kernel drops a SIGTERM that finds no handler, instead of keeping it.
    let signals = Signals::block().context("cannot take over signals")?;

    match args::job(words) {
        None => keep::alive(&signals),
        Some(job) => keep::running(job, &signals),
    }
}
