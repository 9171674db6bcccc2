//! What checking a configuration asks of the machine, as a trait.
//!
//! The parser turns text into a `Config`; where the text names a file, a user, a host or the
//! environment, it asks a [`Host`]. `process::host::System` is the real one. [`Fake`] answers from
//! maps, so that configuration tests and fuzzing see the same machine everywhere and touch nothing.
//! The trait lives here because `config` must not know `process`.
//!
//! A `Host` must never change anything: the environment is read once, and what `setenv` does to it
//! stays a value of the parser. Rejected: asking `std` from the parser, which makes fuzzing read
//! whatever path it invents.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The largest configuration and the largest file of patterns, bytes. Some files have no end.
pub const FILE_BYTES_MAX: usize = 256 << 20;

/// The machine, as far as a configuration may ask about it.
pub trait Host {
    /// The whole content of a file (configuration, `errorfile`, ACL patterns) of at most `most`
    /// bytes. A pipe is read to its end, but nobody is waited for who might begin to write to it.
    ///
    /// # Errors
    /// What opening or reading it said, `FileTooLarge` when there is more; messages print its text.
    fn read_file(&self, path: &str, most: usize) -> io::Result<Vec<u8>>;

    /// The names (without the path) of the regular files of a directory, in byte order: `-f DIR`.
    ///
    /// # Errors
    /// `NotADirectory` when it is not one, or what reading it said.
    fn list_directory(&self, path: &str) -> io::Result<Vec<String>>;

    /// Whether a directory stands at this path: `-f` may name one.
    fn is_directory(&self, path: &str) -> bool;

    /// A directory above this path that lets anybody take the place of what stands at the path: the
    /// one it is in when all may write there, or one further up when all may write there and its
    /// files belong to nobody (no sticky bit).
    fn open_directory(&self, path: &[u8]) -> Option<String> {
        let _ = path;
        None
    }

    /// The id of a user by name; `None` when there is no such user.
    fn user_id(&self, name: &str) -> Option<u32>;

    /// The id of a group by name; `None` when there is no such group.
    fn group_id(&self, name: &str) -> Option<u32>;

    /// Whether an inherited descriptor (`fd@N`) is an open socket.
    ///
    /// # Errors
    /// Why it is none: `EBADF`, `ENOTSOCK`.
    fn inherits_socket(&self, descriptor: i32) -> io::Result<()>;

    /// The machine's name as `gethostname(2)` tells it.
    fn hostname(&self) -> String;

    /// The addresses of a host name, in the order in which the system's resolver prefers them;
    /// never an empty list.
    ///
    /// # Errors
    /// The resolver's reason.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;

    /// The environment that the process was started with.
    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)>;
}

/// A machine made of maps, for tests and fuzzing.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    /// Files by path. A directory exists when a file stands below it.
    pub files: BTreeMap<String, Vec<u8>>,
    /// User ids by name.
    pub users: BTreeMap<String, u32>,
    /// Group ids by name.
    pub groups: BTreeMap<String, u32>,
    /// The sockets that the process inherited.
    pub sockets: Vec<i32>,
    /// The machine's name.
    pub name: String,
    /// Addresses by host name.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// The environment.
    pub variables: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Fake {
    /// A machine named `machine` with the users and groups `root` (0) and `haproxy` (1000), the
    /// host `localhost`, no file and no variable.
    #[must_use]
    pub fn new() -> Self {
        let ids = BTreeMap::from([("root".to_owned(), 0), ("haproxy".to_owned(), 1000)]);
        let loopback = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Self {
            files: BTreeMap::new(),
            users: ids.clone(),
            groups: ids,
            sockets: Vec::new(),
            name: "machine".to_owned(),
            hosts: BTreeMap::from([("localhost".to_owned(), loopback)]),
            variables: BTreeMap::new(),
        }
    }

    /// The same machine with one more file.
    #[must_use]
    pub fn with_file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// The files directly below a directory, as names.
    fn below(&self, path: &str) -> Vec<String> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let names = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(&prefix));
        names
            .filter(|rest| !rest.contains('/'))
            .map(str::to_owned)
            .collect()
    }
}

/// The error for a file that is larger than allowed.
pub(crate) fn too_large(most: usize) -> io::Error {
    let text = format!("larger than {most} bytes");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

impl Host for Fake {
    fn read_file(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(content) if content.len() > most => Err(too_large(most)),
            Some(content) => Ok(content.clone()),
            // `ENOENT`, so that the text is the system's.
            None => Err(io::Error::from_raw_os_error(2)),
        }
    }

    fn list_directory(&self, path: &str) -> io::Result<Vec<String>> {
        if self.files.contains_key(path) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        match self.below(path) {
            names if names.is_empty() => Err(io::Error::from_raw_os_error(2)),
            names => Ok(names),
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        !self.below(path).is_empty()
    }

    fn user_id(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied()
    }

    fn group_id(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied()
    }

    fn inherits_socket(&self, descriptor: i32) -> io::Result<()> {
        if self.sockets.contains(&descriptor) {
            return Ok(());
        }
        // `EBADF`, so that the text is the system's.
        Err(io::Error::from_raw_os_error(9))
    }

    fn hostname(&self) -> String {
        self.name.clone()
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self
            .hosts
            .get(name)
            .filter(|addresses| !addresses.is_empty());
        found.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn environment(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = self.variables.iter();
        pairs
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_answers_from_its_maps() {
        let host = Fake::new()
            .with_file("/etc/b.cfg", "b")
            .with_file("/etc/a.cfg", "a")
            .with_file("/etc/errors/503.http", "c");
        assert_eq!(host.read_file("/etc/a.cfg", 1).unwrap(), b"a");
        assert_eq!(
            host.read_file("/etc/a.cfg", 0).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        assert_eq!(
            host.read_file("/etc/x", 9).unwrap_err().raw_os_error(),
            Some(2)
        );
        assert_eq!(host.list_directory("/etc/").unwrap(), ["a.cfg", "b.cfg"]);
        assert!(host.is_directory("/etc/errors") && !host.is_directory("/etc/a.cfg"));
        assert!(host.list_directory("/etc/a.cfg").is_err());
        assert_eq!(
            (host.user_id("haproxy"), host.user_id("nobody")),
            (Some(1000), None)
        );
        assert_eq!(host.resolve("localhost").unwrap()[0], Ipv4Addr::LOCALHOST);
        assert!(host.resolve("nowhere").is_err());
    }
}
