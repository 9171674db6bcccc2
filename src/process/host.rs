//! The machine that a configuration is checked on: files, users, names, environment.
//!
//! [`System`] answers `config::host::Host` from the real machine. It reads; it must never write,
//! set a variable, or keep anything between two questions.
//!
//! Users and groups are asked with `getpwnam_r` and `getgrnam_r`, because they may come from more
//! than `/etc/passwd`. Names are resolved by the C library through `std`, for the same reason.
//! Rejected: reading `/etc/passwd` and `/etc/hosts` ourselves.

// The user database, the group database and the host name have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::ptr;

use crate::config::host::{Host, too_large};

/// Largest record of the user or group database that is read, bytes.
const RECORD_MAX: usize = 1 << 20;

/// The machine that the process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Host for System {
    fn read_file(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        // A pipe without a writer would hold up the opening for as long as it has none.
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let mut contents = Vec::new();
        if file.metadata()?.file_type().is_fifo() {
            let mut first = [0; 4096];
            match file.read(&mut first) {
                Ok(0) => return Err(io::Error::other("nobody writes to this pipe")),
                Ok(length) => contents.extend_from_slice(&first[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        // From here on there is an end to wait for.
        // SAFETY: the descriptor is open, and the call takes a number.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, 0) };
        let room = (most as u64).saturating_add(1);
        file.take(room).read_to_end(&mut contents)?;
        match contents.len() > most {
            true => Err(too_large(most)),
            false => Ok(contents),
        }
    }

    fn list_directory(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // Follows links, as opening the file will.
            if std::fs::metadata(entry.path()).is_ok_and(|of| of.is_file())
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn is_directory(&self, path: &str) -> bool {
        std::fs::metadata(path).is_ok_and(|of| of.is_dir())
    }

    fn open_directory(&self, path: &[u8]) -> Option<String> {
        const ALL_MAY_WRITE: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        let path = std::path::absolute(OsStr::from_bytes(path)).ok()?;
        let mut above = path.ancestors().skip(1).enumerate();
        let open = above.find(|(distance, directory)| {
            let mode = std::fs::metadata(directory).map_or(0, |of| of.mode());
            mode & ALL_MAY_WRITE != 0 && (*distance == 0 || mode & STICKY == 0)
        });
        open.map(|(_, directory)| directory.to_string_lossy().into_owned())
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        let name = CString::new(name).ok()?;
        with_growing_buffer(|buffer| {
            // SAFETY: an all-zero `passwd` is a valid value of that plain C struct.
            let mut record: libc::passwd = unsafe { std::mem::zeroed() };
            let mut found = ptr::null_mut();
            // SAFETY: all pointers are valid for the call and `buffer` for its length; the record
            // is read only when `found` says that it was filled.
            let code = unsafe {
                libc::getpwnam_r(
                    name.as_ptr(),
                    &raw mut record,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    &raw mut found,
                )
            };
            (code, (!found.is_null()).then_some(record.pw_uid))
        })
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        let name = CString::new(name).ok()?;
        with_growing_buffer(|buffer| {
            // SAFETY: an all-zero `group` is a valid value of that plain C struct.
            let mut record: libc::group = unsafe { std::mem::zeroed() };
            let mut found = ptr::null_mut();
            // SAFETY: as in `user_id`.
            let code = unsafe {
                libc::getgrnam_r(
                    name.as_ptr(),
                    &raw mut record,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    &raw mut found,
                )
            };
            (code, (!found.is_null()).then_some(record.gr_gid))
        })
    }

    fn inherits_socket(&self, descriptor: i32) -> io::Result<()> {
        // SAFETY: an all-zero `sockaddr_storage` is a valid value of that plain C struct.
        let mut address: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
        // SAFETY: `address` is valid for `length` bytes; whatever number `descriptor` is, it is
        // only asked about.
        let code =
            unsafe { libc::getsockname(descriptor, (&raw mut address).cast(), &raw mut length) };
        if code == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn hostname(&self) -> String {
        // `HOST_NAME_MAX` is 64 on Linux; one byte more for the zero.
        let mut name = [0u8; 65];
        // SAFETY: the buffer is valid for its length.
        let code = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
        if code != 0 {
            return String::new();
        }
        let end = name
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(name.len());
        String::from_utf8_lossy(&name[..end]).into_owned()
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in (name, 0).to_socket_addrs()? {
            if !addresses.contains(&address.ip()) {
                addresses.push(address.ip());
            }
        }
        if addresses.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(addresses)
    }

    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = std::env::vars_os();
        pairs
            .map(|(name, value)| (name.into_vec(), value.into_vec()))
            .collect()
    }
}

/// Asks with a larger buffer as long as the answer is `ERANGE`.
fn with_growing_buffer<T>(mut ask: impl FnMut(&mut [u8]) -> (i32, Option<T>)) -> Option<T> {
    let mut buffer = vec![0u8; 1024];
    loop {
        match ask(&mut buffer) {
            (libc::ERANGE, _) if buffer.len() < RECORD_MAX => buffer.resize(buffer.len() * 2, 0),
            (libc::EINTR, _) => {}
            (0, found) => return found,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn users_and_groups_of_every_system() {
        assert_eq!(System.user_id("root"), Some(0));
        assert_eq!(System.group_id("root"), Some(0));
        assert_eq!(System.user_id("no-such-user-here"), None);
        assert_eq!(System.group_id("no-such-group-here"), None);
        assert_eq!(System.user_id("nul\0inside"), None);
    }

    #[test]
    fn only_open_sockets_can_be_inherited() {
        use std::os::fd::AsRawFd as _;
        let code = |number| {
            let error = System.inherits_socket(number).unwrap_err();
            error.raw_os_error()
        };
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert!(System.inherits_socket(listener.as_raw_fd()).is_ok());
        let file = tempfile::tempfile().unwrap();
        assert_eq!(code(file.as_raw_fd()), Some(libc::ENOTSOCK));
        assert_eq!(code(i32::MAX), Some(libc::EBADF));
        assert_eq!(code(-1), Some(libc::EBADF));
    }

    #[test]
    fn files_names_and_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b.cfg"), "b").unwrap();
        std::fs::write(folder.path().join("a.cfg"), "a").unwrap();
        std::fs::create_dir(folder.path().join("c.cfg")).unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(System.list_directory(path).unwrap(), ["a.cfg", "b.cfg"]);
        assert!(System.is_directory(path));
        let read = |name: &str, most| System.read_file(&format!("{path}/{name}"), most);
        assert_eq!(read("a.cfg", 1).unwrap(), b"a");
        let missing = read("x", 1).unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT));
        assert!(System.list_directory(&format!("{path}/a.cfg")).is_err());
        let kind = |name: &str, most| read(name, most).unwrap_err().kind();
        assert_eq!(kind("a.cfg", 0), io::ErrorKind::FileTooLarge);
        assert_eq!(kind("c.cfg", 9), io::ErrorKind::IsADirectory);
        assert!(!System.hostname().is_empty());
        assert_eq!(
            System.resolve("127.0.0.1").unwrap(),
            [IpAddr::from([127, 0, 0, 1])]
        );
        assert!(System.environment().iter().any(|(name, _)| name == b"PATH"));
    }

    #[test]
    fn files_without_end_have_one_here() {
        let read = |path: &str| System.read_file(path, 100_000);
        let error = read("/dev/zero").unwrap_err();
        assert_eq!(error.to_string(), "larger than 100000 bytes");
        assert_eq!(read("/dev/null").unwrap(), b"");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe").to_str().unwrap().to_owned();
        let name = CString::new(path.clone()).unwrap();
        // SAFETY: the name ends in a zero byte.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let error = read(&path).unwrap_err();
        assert_eq!(error.to_string(), "nobody writes to this pipe");
        // Longer than what a pipe holds, so that it comes in pieces and is waited for.
        for length in [99_999, 100_001] {
            let target = path.clone();
            let (told, opened) = std::sync::mpsc::channel();
            let writer = std::thread::spawn(move || {
                // Open both ways it waits for no reader, and breaks at none.
                let mut pipe = OpenOptions::new().read(true).write(true).open(target)?;
                told.send(()).unwrap();
                pipe.write_all(&vec![b'x'; length])
            });
            opened.recv().unwrap();
            let contents = read(&path);
            match length {
                99_999 => assert_eq!(contents.unwrap().len(), length),
                _ => assert_eq!(contents.unwrap_err().kind(), io::ErrorKind::FileTooLarge),
            }
            writer.join().unwrap().unwrap();
        }
    }
}
