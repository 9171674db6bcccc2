//! Giving up what the service does not need, in the only order that works.
//!
//! First the file system outside the chroot, then the supplementary groups, the group, the user,
//! and at last the way back. Each step needs the privileges that the later ones take away.
//!
//! A failure has HAProxy's line; a second one names the line of the configuration that asked, which
//! HAProxy leaves to guessing. Nothing here is undone.

// Identities of the process have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::ptr;

use ::log::Level;

use crate::config::model::{Global, Place};
use crate::net::listen::error_text;
use crate::process::daemon::{Failure, Note, failure};
use crate::process::limits::{limit, set_limit};

/// Gives up what the service does not need: the file system outside the chroot, groups, gid, uid,
/// and the way back to any of them.
pub(super) fn drop_privileges(global: &Global, notes: &mut Vec<Note>) -> Result<(), Failure> {
    if let Some((path, place)) = &global.chroot {
        change_root(path).map_err(|why| {
            let text = format!("[haproxy.main()] Cannot chroot({path}).");
            refused(notes, text, &why, place, &format!("chroot {path}"))
        })?;
    }
    if global.dumpable {
        // Another user could not raise a hard limit any more.
        allow_cores();
    }
    if (global.user.is_some() || global.group.is_some()) && !drop_groups() {
        let text = "[haproxy.main()] Failed to drop supplementary groups. Using 'gid'/'group' without 'uid'/'user' is generally useless.";
        notes.push((Level::Warn, text.to_owned()));
    }
    if let Some((id, name, place)) = &global.group {
        // SAFETY: no pointer is passed.
        done(unsafe { libc::setgid(*id) }).map_err(|why| {
            let text = format!("[haproxy.main()] Cannot set gid {id}.");
            refused(notes, text, &why, place, &format!("group {name}"))
        })?;
    }
    if let Some((id, name, place)) = &global.user {
        // SAFETY: no pointer is passed.
        done(unsafe { libc::setuid(*id) }).map_err(|why| {
            let text = format!("[haproxy.main()] Cannot set uid {id}.");
            refused(notes, text, &why, place, &format!("user {name}"))
        })?;
    }
    // Nothing below may start a program or gain a privilege, unless global `insecure-fork-wanted`
    // and `insecure-setuid-wanted` say so, as in HAProxy. Neither can fail where it matters.
    if !global.gains_privileges {
        // SAFETY: numbers only.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    }
    if !global.forks {
        set_limit(libc::RLIMIT_NPROC, 0, 0);
    }
    if !global.dumpable {
        // A core would have clients' bytes in it.
        set_limit(libc::RLIMIT_CORE, 0, 0);
    }
    // Where cores are piped to a program the limit alone does not stop them. The change of the user
    // has cleared this, if there was one.
    let dumpable = libc::c_ulong::from(global.dumpable);
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable, 0, 0, 0) };
    drop_capabilities(global.gains_privileges);
    Ok(())
}

/// Takes the limits off the size of cores, or goes as far as they allow.
fn allow_cores() {
    for resource in [libc::RLIMIT_CORE, libc::RLIMIT_FSIZE] {
        if !set_limit(resource, libc::RLIM_INFINITY, libc::RLIM_INFINITY) {
            let most = limit(resource).rlim_max;
            set_limit(resource, most, most);
        }
    }
}

/// Gives every capability up, also those that root would have: all addresses are bound, and what
/// comes after needs none. Another user has none by now, and then there is nothing to do. Programs
/// may have them again if they may gain privileges.
fn drop_capabilities(for_this_process_only: bool) {
    /// The third version of the call: two halves of 32 bits.
    const VERSION_3: u32 = 0x2008_0522;
    /// More than any kernel has; those it lacks are refused.
    const CAPABILITIES_MAX: libc::c_ulong = 63;
    let lost = match for_this_process_only {
        true => 0,
        false => CAPABILITIES_MAX + 1,
    };
    for capability in 0..lost {
        // SAFETY: numbers only.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: numbers only.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    let header: [u32; 2] = [VERSION_3, 0];
    let none = [0_u32; 6];
    // SAFETY: the kernel reads a header of two words and two sets of three, which are there.
    unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
}

/// HAProxy's line, and ours that names the line which asked.
fn refused(
    notes: &mut Vec<Note>,
    text: String,
    why: &io::Error,
    place: &Place,
    asked: &str,
) -> Failure {
    notes.push((Level::Error, text));
    let hint = match why.raw_os_error() {
        Some(libc::EPERM) => "; it needs the privileges of root",
        _ => "",
    };
    let why = error_text(why);
    failure(
        notes,
        format!("[{}:{}] : '{asked}' : {why}{hint}.", place.file, place.line),
    )
}

fn change_root(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: the path is valid for both calls.
    unsafe {
        done(libc::chroot(path.as_ptr()))?;
        done(libc::chdir(c"/".as_ptr()))
    }
}

/// Leaves all supplementary groups; whether none is left.
fn drop_groups() -> bool {
    // SAFETY: a count of 0 only asks for the number, and an empty list needs no pointer.
    unsafe { libc::getgroups(0, ptr::null_mut()) == 0 || libc::setgroups(0, ptr::null()) == 0 }
}

/// The result of a system call that says -1.
fn done(code: i32) -> io::Result<()> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
