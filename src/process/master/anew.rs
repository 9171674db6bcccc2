//! The change of the master's program, with what it keeps.

// `exec` as it is needed has no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::kept::{Kept, VARIABLE};
use crate::net::channel;

/// Becomes the program at the path by which this one was started, with the same arguments. `std`
/// would open the gates for waiting signals before the new program can take them.
pub(super) fn become_anew(kept: &Kept) -> io::Error {
    let Some((program, arguments, environment)) = strings(kept) else {
        return io::ErrorKind::InvalidInput.into();
    };
    for descriptor in kept.descriptors() {
        channel::keep_over_exec(descriptor, true);
    }
    let pointers = |all: &[CString]| {
        let pointers = all.iter().map(|one| one.as_ptr());
        pointers.chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (arguments, environment) = (pointers(&arguments), pointers(&environment));
    // SAFETY: both lists end in a null pointer, and their strings live to the end of the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    let why = io::Error::last_os_error();
    for descriptor in kept.descriptors() {
        channel::keep_over_exec(descriptor, false);
    }
    why
}

/// The program, its arguments and its environment as C has them.
fn strings(kept: &Kept) -> Option<(CString, Vec<CString>, Vec<CString>)> {
    let text = |value: OsString| CString::new(value.into_vec()).ok();
    let program = text(program().into_os_string())?;
    let arguments = std::env::args_os().map(text).collect::<Option<_>>()?;
    let variables = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
    let ours = (VARIABLE.into(), kept.write(std::process::id()).into());
    let variables = variables.chain([ours]).map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        text(name)
    });
    Some((program, arguments, variables.collect::<Option<_>>()?))
}

/// Where the program stands: not where it stood when this process began, since an upgrade puts a
/// new file there.
fn program() -> PathBuf {
    let name = std::env::args_os().next().unwrap_or_default();
    if name.as_bytes().contains(&b'/') {
        return name.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(&name));
    let found = found.filter(|_| !name.is_empty());
    let mut found = found.filter(|file| is_program(file));
    found.next().unwrap_or_else(|| "/proc/self/exe".into())
}

fn is_program(file: &Path) -> bool {
    let Ok(path) = CString::new(file.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: a C string.
    file.is_file() && unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}
