//! Keeping tokens out of core dumps.

/// Keeps this process's memory, tokens and all, out of core dumps and from other processes of its user.
pub fn keep_out() {
    // Where the kernel refuses, the tokens are as safe as in any other program.
    let _ = nix::sys::prctl::set_dumpable(false);
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
}
