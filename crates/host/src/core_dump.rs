//! What the kernel would write of a process that dies: its memory, with the tokens and keys in it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Keeps the memory of this process out of core dumps, and that of the programs that it starts out of files. A program that
/// collects dumps is not bound by the limit, so this process is not dumpable at all. Users who are not root can then neither
/// read its memory nor its environment, even where they are the ones who run it.
pub fn leave_no_core() {
    let limit = Rlimit {
        current: Some(0),
        ..getrlimit(Resource::Core)
    };
    // Neither fails for a process and its own limit; nothing could be done about it either.
    let _ = setrlimit(Resource::Core, limit);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
