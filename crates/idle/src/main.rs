//! The start of `idle`. Every container in a cluster pays for it, so it costs no more than that of a C program.
//!
//! The first three measures below are for that, the fourth is for correctness. Each of the three has the cost that an
//! instance would have without it; with all of them it has 48 KiB of private memory and waits 0.7 ms after `execve`.
//!
//! 1. **A fixed address, and no tables that become read-only: 28 KiB and 50 µs.** `scripts/build` links this program
//!    alone with `relocation-model=static`, so that there are no relocations to write at the start, and with
//!    `relro-level=off`, so that all that it writes lies side by side. In return its addresses are known and its tables
//!    can be written, which is acceptable because it reads nothing from a network and holds no secret.
//! 2. **libc calls [`main`] itself: 8 KiB, 60 µs and a tenth of the file.** Rust's own start reads `/proc/self/maps`
//!    and prepares for an overflow of the stack. What else it does is done here: the command line comes from libc,
//!    because musl passes it to `main` only, and [`Signals::block`] takes care of SIGPIPE.
//! 3. **Without arguments there is no parser: 18 KiB and 40 µs.** Most containers give none, and what the parser
//!    allocates would stay with each of them.
//! 4. **Signals are blocked before anything else.** For PID 1 the kernel drops a SIGTERM that is neither handled nor
//!    blocked.

#![no_main]

use std::ffi::{CStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStringExt as _;

use anyhow::Context as _;
use idle::{Job, Signals};

#[expect(unsafe_code, reason = "no other function of this name is linked")]
// SAFETY: it has the signature that libc calls, and is called once.
#[unsafe(no_mangle)]
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
            idle::report(&format_args!("{error:#}"));
            1
        }
    }
}

fn run(words: impl ExactSizeIterator<Item = OsString>) -> anyhow::Result<u8> {
    let signals = Signals::block().context("cannot take over signals")?;
    if words.len() <= 1 {
        return idle::stay_alive(&signals);
    }
    match Job::parse(words).unwrap_or_else(|error| error.exit()) {
        None => idle::stay_alive(&signals),
        Some(job) => idle::run_job(job, &signals),
    }
}
