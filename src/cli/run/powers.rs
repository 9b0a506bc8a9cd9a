//! Capabilities with which root would get around namespaces and Landlock.

use std::io;

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set};

/// Reading other processes (`/proc/PID/environ` is open to `PERFMON` even where tracing is denied), the kernel and raw
/// devices, and opening files by their number.
const TAKEN: [CapabilitySet; 8] = [
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::PERFMON,
    CapabilitySet::BPF,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::MKNOD,
    CapabilitySet::DAC_READ_SEARCH,
];

/// Takes them from the command, where we are root: one that isn't loses all it may have when it starts (capabilities(7)).
pub(super) fn give_up() -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    for capability in TAKEN {
        // A kernel that doesn't know one doesn't have it.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    Ok(())
}
