//! Binding listeners, before privileges are dropped.
//!
//! Takes plain descriptions, because `net` knows no configuration, and gives descriptors that
//! `os::Os` takes over. All descriptions are tried, so that a start reports every address that is
//! taken and not only the first; whoever calls decides that one failure ends the start.
//!
//! A unix socket is bound under a temporary name, gets its owner and mode, listens, and is renamed
//! over what stood there once everything else is bound too: no moment exists in which a client
//! finds no socket or one with the wrong mode, and a start that fails leaves the old process
//! reachable. Its file stays behind at the end, as HAProxy's does: a new process may own it by
//! then.
//!
//! A process that follows another takes the other's listeners over ([`bind_or_take`]): the same
//! socket, so that no connection that waits in it is lost, and no moment exists in which nobody
//! listens. What does not fit the description any more is bound anew.
//!
//! Nothing here is on the request path. Rejected: HAProxy's hard link as a way back, which the late
//! rename makes needless.

// Sockets with options before `bind` have no safe door in `std`.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::base::addr::{Address, Endpoint};
use crate::base::outgoing::Incoming;
use crate::net::sockaddr::{self, SockAddr};
use crate::net::tune::{self, bind_to_interface, get as option};

/// What shall listen, and how.
#[derive(Clone, Debug)]
pub struct ListenerSpec {
    /// Where.
    pub endpoint: Endpoint,
    /// `fd@N`: this inherited descriptor instead of a new socket.
    pub inherited: Option<i32>,
    /// Connections that may wait in the kernel.
    pub backlog: u32,
    /// `mode`: permissions of a unix socket's file.
    pub mode: Option<u32>,
    /// `uid`: owner of a unix socket's file.
    pub uid: Option<u32>,
    /// `gid`: group of a unix socket's file.
    pub gid: Option<u32>,
    /// `v6only` (true) or `v4v6` (false, also when absent): whether `[::]` takes IPv4 too.
    pub v6_only: Option<bool>,
    /// `defer-accept`: a TCP connection is taken when its first bytes are there.
    pub defer_accept: bool,
    /// `interface`: only packets that arrive there.
    pub interface: Option<String>,
    /// What the connections that it takes shall have.
    pub incoming: Incoming,
}

impl ListenerSpec {
    /// A listener at an endpoint, without any extra.
    #[must_use]
    pub fn new(endpoint: Endpoint, backlog: u32) -> Self {
        Self {
            endpoint,
            inherited: None,
            backlog,
            mode: None,
            uid: None,
            gid: None,
            v6_only: None,
            defer_accept: false,
            interface: None,
            incoming: Incoming::default(),
        }
    }
}

/// A descriptor that listens, non-blocking and closed on exec.
#[derive(Debug)]
pub struct BoundListener {
    /// The socket.
    pub socket: OwnedFd,
    /// Where it listens in fact: the port is the kernel's choice when it was 0.
    pub endpoint: Endpoint,
    /// Connections that may wait in the kernel, for listening again.
    pub backlog: u32,
    /// What did not work and does not hinder: the interface is missing.
    pub warning: Option<String>,
}

/// Why a listener could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindFailure {
    /// Position in the list that was given.
    pub index: usize,
    /// HAProxy's words, such as `cannot bind socket (Address already in use) for [127.0.0.1:80]`;
    /// they follow `Binding [FILE:LINE] for frontend NAME: `.
    pub text: String,
}

/// The system's text for an error, such as `Address already in use`.
#[must_use]
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Binds and listens on all, or tells every failure.
///
/// # Errors
/// One entry for each listener that could not be made, in the order given. Files of unix sockets
/// are as they were before then.
pub fn bind_all(specs: &[ListenerSpec]) -> Result<Vec<BoundListener>, Vec<BindFailure>> {
    bind_or_take(specs, Vec::new())
}

/// As [`bind_all`], but takes of the sockets `offered` those that listen where a description says;
/// the others are closed.
///
/// # Errors
/// As [`bind_all`].
pub fn bind_or_take(
    specs: &[ListenerSpec],
    offered: Vec<OwnedFd>,
) -> Result<Vec<BoundListener>, Vec<BindFailure>> {
    let mut offered: Vec<Offer> = offered.into_iter().filter_map(Offer::of).collect();
    let mut bound = Vec::with_capacity(specs.len());
    let mut failures = Vec::new();
    let mut renames = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let taken = take(spec, &mut offered);
        let made = taken.map_or_else(|| bind(index, spec, &mut renames), Ok);
        match made {
            Ok(listener) => bound.push(listener),
            Err(text) => failures.push(BindFailure { index, text }),
        }
    }
    if failures.is_empty() {
        for Rename { index, from, to } in &renames {
            if let Err(why) = fs::rename(from, to) {
                let why = error_text(&why);
                let text = format!("cannot rename UNIX socket ({why}) [{}]", to.display());
                failures.push(BindFailure {
                    index: *index,
                    text,
                });
            }
        }
    }
    if failures.is_empty() {
        return Ok(bound);
    }
    for Rename { from, .. } in &renames {
        // Gone already when it was renamed before another one failed.
        drop(fs::remove_file(from));
    }
    Err(failures)
}

/// A listener of another process.
struct Offer {
    socket: OwnedFd,
    endpoint: Endpoint,
    v6_only: bool,
    interface: Option<String>,
}

impl Offer {
    fn of(socket: OwnedFd) -> Option<Self> {
        let descriptor = socket.as_raw_fd();
        let stream = option(descriptor, libc::SOL_SOCKET, libc::SO_TYPE);
        if stream.ok() != Some(libc::SOCK_STREAM) {
            return None;
        }
        let endpoint = match sockaddr::local(descriptor).ok()?.endpoint()? {
            // The kernel knows the name under which it was bound.
            Endpoint::Unix(path) => Endpoint::Unix(without_temporary(&path).into()),
            other => other,
        };
        let v6_only = option(descriptor, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY);
        Some(Self {
            v6_only: v6_only.is_ok_and(|only| only != 0),
            interface: interface_of(descriptor),
            socket,
            endpoint,
        })
    }

    /// Whether it is what the description would make.
    fn fits(&self, spec: &ListenerSpec) -> bool {
        if self.endpoint != spec.endpoint {
            return false;
        }
        match &spec.endpoint {
            Endpoint::Inet(address) => {
                let only = address.is_ipv6() && spec.v6_only == Some(true);
                only == (address.is_ipv6() && self.v6_only) && self.interface == spec.interface
            }
            // Without its file nobody would find it.
            Endpoint::Unix(path) => {
                let path = PathBuf::from(OsString::from_vec(path.to_vec()));
                fs::symlink_metadata(path).is_ok_and(|of| of.file_type().is_socket())
            }
            Endpoint::Abstract(_) => true,
        }
    }
}

/// The path of a unix socket that was bound as `PATH.PID.tmp`.
fn without_temporary(path: &[u8]) -> &[u8] {
    let bare = || {
        let rest = path.strip_suffix(b".tmp")?;
        let dot = rest.iter().rposition(|byte| *byte == b'.')?;
        let (bare, pid) = rest.split_at(dot);
        let pid = pid.strip_prefix(b".")?;
        (!pid.is_empty() && pid.iter().all(u8::is_ascii_digit)).then_some(bare)
    };
    bare().unwrap_or(path)
}

/// Takes what was offered for a description, and gives it what may have changed.
fn take(spec: &ListenerSpec, offered: &mut Vec<Offer>) -> Option<BoundListener> {
    if spec.inherited.is_some() {
        return None;
    }
    let at = offered.iter().position(|offer| offer.fits(spec))?;
    let Offer {
        socket, endpoint, ..
    } = offered.swap_remove(at);
    if let Endpoint::Unix(path) = &endpoint {
        let path = PathBuf::from(OsString::from_vec(path.to_vec()));
        // As it is, it was good enough until now.
        drop(own(&path, spec));
    } else if matches!(endpoint, Endpoint::Inet(_)) {
        set_tcp(&socket, spec);
    }
    // Also one that was paused listens again; a socket that does keeps who waits in it.
    listen(&socket, spec.backlog).ok()?;
    Some(BoundListener {
        socket,
        endpoint,
        backlog: spec.backlog,
        warning: None,
    })
}

/// The interface to which a socket is bound.
fn interface_of(descriptor: i32) -> Option<String> {
    let mut name = [0u8; libc::IFNAMSIZ];
    let mut length = name.len() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_BINDTODEVICE);
    // SAFETY: both pointers are valid for the call, and `length` says how much room there is.
    let code = unsafe {
        libc::getsockopt(
            descriptor,
            level,
            option,
            name.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let name = name.get(..length as usize)?;
    let name = name.split(|byte| *byte == 0).next()?;
    (code == 0 && !name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

/// The last step of a unix socket.
struct Rename {
    /// Position of the listener whose file it is.
    index: usize,
    from: PathBuf,
    to: PathBuf,
}

/// Makes one listener; errors are texts for [`BindFailure`].
fn bind(
    index: usize,
    spec: &ListenerSpec,
    renames: &mut Vec<Rename>,
) -> Result<BoundListener, String> {
    if let Some(descriptor) = spec.inherited {
        return inherit(descriptor, spec);
    }
    match &spec.endpoint {
        Endpoint::Inet(_) => bind_inet(spec),
        Endpoint::Unix(path) => bind_unix(index, spec, path, renames),
        Endpoint::Abstract(_) => bind_abstract(spec),
    }
}

fn bind_inet(spec: &ListenerSpec) -> Result<BoundListener, String> {
    let place = spec.endpoint.address();
    let fail = |what: &str, why: io::Error| inet_failure(what, &why, place);
    let address = SockAddr::new(&spec.endpoint).map_err(|why| fail("cannot bind socket", why))?;
    let socket = open(&address).map_err(|why| fail("cannot create receiving socket", why))?;
    set(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1);
    // Lets a new process bind before the old one ends.
    set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1);
    if address.family() == libc::AF_INET6 {
        let only = i32::from(spec.v6_only == Some(true));
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only);
    }
    let warning = spec.interface.as_deref().and_then(|interface| {
        let why = bind_to_interface(socket.as_raw_fd(), interface).err()?;
        let what = format!("cannot bind receiver to device '{interface}'");
        Some(inet_failure(&what, &why, place))
    });
    bind_socket(&socket, &address).map_err(|why| fail("cannot bind socket", why))?;
    set_tcp(&socket, spec);
    listen(&socket, spec.backlog).map_err(|why| fail("cannot listen to socket", why))?;
    let local = sockaddr::local(socket.as_raw_fd())
        .ok()
        .and_then(|local| local.endpoint());
    let endpoint = local.unwrap_or_else(|| spec.endpoint.clone());
    Ok(BoundListener {
        socket,
        endpoint,
        backlog: spec.backlog,
        warning,
    })
}

fn inet_failure(what: &str, why: &io::Error, place: Address) -> String {
    format!("{what} ({}) for [{place}]", error_text(why))
}

fn bind_unix(
    index: usize,
    spec: &ListenerSpec,
    path: &[u8],
    renames: &mut Vec<Rename>,
) -> Result<BoundListener, String> {
    let to = PathBuf::from(OsString::from_vec(path.to_vec()));
    let fail = |what: &str, why: io::Error| unix_failure(what, &why, &to);
    let what = "cannot bind UNIX socket";
    if fs::symlink_metadata(&to).is_ok_and(|of| of.is_dir()) {
        let why = io::Error::from_raw_os_error(libc::EISDIR);
        return Err(fail(what, why));
    }
    let mut name = path.to_vec();
    name.extend_from_slice(format!(".{}.tmp", std::process::id()).as_bytes());
    let from = PathBuf::from(OsString::from_vec(name.clone()));
    // A process of the same number may have left one.
    drop(fs::remove_file(&from));
    let address = SockAddr::new(&Endpoint::Unix(name.into())).map_err(|why| fail(what, why))?;
    let socket = open(&address).map_err(|why| fail("cannot create receiving socket", why))?;
    bind_socket(&socket, &address).map_err(|why| fail(what, why))?;
    // From here on a failure removes the temporary file: it is in the list.
    renames.push(Rename {
        index,
        from: from.clone(),
        to: to.clone(),
    });
    own(&from, spec).map_err(|(what, why)| fail(what, why))?;
    listen(&socket, spec.backlog).map_err(|why| fail("cannot listen to socket", why))?;
    Ok(BoundListener {
        socket,
        endpoint: spec.endpoint.clone(),
        backlog: spec.backlog,
        warning: None,
    })
}

/// Gives a unix socket's file its owner and mode.
fn own(file: &Path, spec: &ListenerSpec) -> Result<(), (&'static str, io::Error)> {
    if spec.uid.is_some() || spec.gid.is_some() {
        let what = "cannot change UNIX socket ownership";
        chown(file, spec.uid, spec.gid).map_err(|why| (what, why))?;
    }
    if let Some(mode) = spec.mode {
        let what = "cannot change UNIX socket permissions";
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(file, mode).map_err(|why| (what, why))?;
    }
    Ok(())
}

fn unix_failure(what: &str, why: &io::Error, path: &Path) -> String {
    format!("{what} ({}) [{}]", error_text(why), path.display())
}

fn bind_abstract(spec: &ListenerSpec) -> Result<BoundListener, String> {
    // HAProxy prints no name here; ours is more use.
    let place = spec.endpoint.to_string();
    let fail = |what: &str, why: io::Error| format!("{what} ({}) [{place}]", error_text(&why));
    let what = "cannot bind UNIX socket";
    let address = SockAddr::new(&spec.endpoint).map_err(|why| fail(what, why))?;
    let socket = open(&address).map_err(|why| fail("cannot create receiving socket", why))?;
    bind_socket(&socket, &address).map_err(|why| fail(what, why))?;
    listen(&socket, spec.backlog).map_err(|why| fail("cannot listen to socket", why))?;
    Ok(BoundListener {
        socket,
        endpoint: spec.endpoint.clone(),
        backlog: spec.backlog,
        warning: None,
    })
}

/// Takes a listening or bound stream socket over that the process was started with.
fn inherit(descriptor: i32, spec: &ListenerSpec) -> Result<BoundListener, String> {
    let fail = |why: io::Error| {
        format!(
            "cannot use file descriptor '{descriptor}' : {}.",
            error_text(&why)
        )
    };
    let wrong = |number: i32| fail(io::Error::from_raw_os_error(number));
    let local = sockaddr::local(descriptor).map_err(fail)?;
    let endpoint = local.endpoint().ok_or_else(|| wrong(libc::EAFNOSUPPORT))?;
    if option(descriptor, libc::SOL_SOCKET, libc::SO_TYPE).map_err(fail)? != libc::SOCK_STREAM {
        return Err(wrong(libc::EPROTOTYPE));
    }
    // SAFETY: it is an open socket, as just seen, and the configuration says that it is ours.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // SAFETY: no pointer is passed.
    unsafe {
        let flags = libc::fcntl(descriptor, libc::F_GETFL);
        libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK);
        libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    if local.family() != libc::AF_UNIX {
        set_tcp(&socket, spec);
    }
    if option(descriptor, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).map_err(fail)? == 0 {
        listen(&socket, spec.backlog).map_err(fail)?;
    }
    Ok(BoundListener {
        socket,
        endpoint,
        backlog: spec.backlog,
        warning: None,
    })
}

/// Sets what only TCP listeners have.
fn set_tcp(socket: &OwnedFd, spec: &ListenerSpec) {
    // Accepted sockets have it from here, without a call each.
    set(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
    // A second, and so at the first repetition of what the kernel sent.
    let defer = i32::from(spec.defer_accept);
    set(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, defer);
    tune::set_incoming(socket.as_raw_fd(), &spec.incoming, spec.backlog);
}

/// A new stream socket of an address' family.
fn open(address: &SockAddr) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointer is passed.
    let descriptor = done(unsafe { libc::socket(address.family(), kind, 0) })?;
    // SAFETY: just opened, and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn bind_socket(socket: &OwnedFd, address: &SockAddr) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of `address`.
    done(unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr(), address.length()) }).map(drop)
}

fn listen(socket: &OwnedFd, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    // SAFETY: no pointer is passed.
    done(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Sets an option that the kernel has; without it the listener still serves.
fn set(socket: &OwnedFd, level: i32, name: i32, value: i32) {
    tune::set(socket.as_raw_fd(), level, name, &value);
}

/// The result of a system call that says -1.
fn done(code: i32) -> io::Result<i32> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::IntoRawFd as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn inet(address: &str) -> ListenerSpec {
        ListenerSpec::new(Endpoint::Inet(address.parse().unwrap()), 16)
    }

    fn unix(path: &Path) -> ListenerSpec {
        let path = path.as_os_str().to_owned().into_vec();
        ListenerSpec::new(Endpoint::Unix(path.into()), 16)
    }

    fn texts(specs: &[ListenerSpec]) -> Vec<(usize, String)> {
        let failures = bind_all(specs).unwrap_err();
        failures
            .into_iter()
            .map(|failure| (failure.index, failure.text))
            .collect()
    }

    #[test]
    fn every_taken_address_is_reported() {
        // Without SO_REUSEPORT, so that nobody else can bind it.
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let specs = [
            inet(&at.to_string()),
            inet("127.0.0.1:0"),
            inet("203.0.113.7:1"),
        ];
        assert_eq!(
            texts(&specs),
            [
                (
                    0,
                    format!("cannot bind socket (Address already in use) for [{at}]")
                ),
                (
                    2,
                    "cannot bind socket (Cannot assign requested address) for [203.0.113.7:1]"
                        .into()
                ),
            ]
        );
    }

    #[test]
    fn the_kernels_port_is_told() {
        let bound = bind_all(&[inet("127.0.0.1:0")]).unwrap();
        let Endpoint::Inet(at) = &bound[0].endpoint else {
            panic!()
        };
        assert_ne!(at.port(), 0);
        std::net::TcpStream::connect(at).unwrap();
    }

    #[test]
    fn connections_are_taken_late_where_that_is_asked_for() {
        for asked in [false, true] {
            let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut specs = [inet("127.0.0.1:0"), inet("127.0.0.1:0")];
            specs[1].inherited = Some(inherited.into_raw_fd());
            for spec in &mut specs {
                spec.defer_accept = asked;
            }
            for bound in bind_all(&specs).unwrap() {
                let descriptor = bound.socket.as_raw_fd();
                let late = option(descriptor, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT);
                assert_eq!(late.unwrap(), i32::from(asked));
            }
        }
    }

    #[test]
    fn a_missing_interface_is_a_warning() {
        let mut spec = inet("127.0.0.1:0");
        spec.interface = Some("no-such-if0".into());
        let bound = bind_all(&[spec]).unwrap();
        let warning = bound[0].warning.as_deref().unwrap();
        assert!(
            warning.starts_with("cannot bind receiver to device 'no-such-if0' ("),
            "{warning}"
        );
    }

    #[test]
    fn a_unix_socket_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let old = UnixListener::bind(&path).unwrap();
        let mut spec = unix(&path);
        spec.mode = Some(0o640);
        let bound = bind_all(&[spec]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        UnixStream::connect(&path).unwrap();
        old.set_nonblocking(true).unwrap();
        assert!(old.accept().is_err());
        drop(bound);
        assert!(path.exists(), "a new process may own the file");
    }

    #[test]
    fn a_failed_start_leaves_the_old_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let old = UnixListener::bind(&path).unwrap();
        let missing = folder.path().join("none/y.sock");
        let expected = format!(
            "cannot bind UNIX socket (No such file or directory) [{}]",
            missing.display()
        );
        assert_eq!(texts(&[unix(&path), unix(&missing)]), [(1, expected)]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        UnixStream::connect(&path).unwrap();
        old.accept().unwrap();
    }

    #[test]
    fn a_directory_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let expected = format!(
            "cannot bind UNIX socket (Is a directory) [{}]",
            folder.path().display()
        );
        assert_eq!(texts(&[unix(folder.path())]), [(0, expected)]);
    }

    #[test]
    fn an_abstract_name_is_taken_once() {
        let name = format!("oneloop-test-{}", std::process::id());
        let spec = ListenerSpec::new(Endpoint::Abstract(name.as_bytes().into()), 1);
        let _bound = bind_all(std::slice::from_ref(&spec)).unwrap();
        let expected = format!("cannot bind UNIX socket (Address already in use) [abns@{name}]");
        assert_eq!(texts(&[spec]), [(0, expected)]);
    }

    #[test]
    fn inherited_descriptors_are_checked() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listening.local_addr().unwrap();
        let mut spec = inet("0.0.0.0:0");
        spec.inherited = Some(listening.into_raw_fd());
        let bound = bind_all(&[spec.clone()]).unwrap();
        assert_eq!(bound[0].endpoint, Endpoint::Inet(at));
        std::net::TcpStream::connect(at).unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        spec.inherited = Some(file.as_raw_fd());
        let text = &texts(&[spec.clone()])[0].1;
        assert!(
            text.ends_with("' : Socket operation on non-socket."),
            "{text}"
        );
        spec.inherited = Some(999_999);
        assert_eq!(
            texts(&[spec]),
            [(
                0,
                "cannot use file descriptor '999999' : Bad file descriptor.".into()
            )]
        );
    }

    /// What a process gives to the one that follows it.
    fn given(bound: Vec<BoundListener>) -> Vec<OwnedFd> {
        bound.into_iter().map(|one| one.socket).collect()
    }

    fn inode(socket: &OwnedFd) -> u64 {
        let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn listeners_are_taken_by_their_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let chosen = bind_all(&[inet("127.0.0.1:0")]).unwrap().remove(0).endpoint;
        let again = ListenerSpec::new(chosen, 16);
        let specs = [again, unix(&path), inet("127.0.0.1:0")];
        let old = bind_all(&specs).unwrap();
        let Endpoint::Inet(at) = old[0].endpoint else {
            panic!("an address")
        };
        let inodes: Vec<u64> = old.iter().map(|one| inode(&one.socket)).collect();
        // Who waits in the queue of the one is served by the other.
        let _waits = std::net::TcpStream::connect(at).unwrap();
        let mut offered = given(old);
        offered.reverse();
        let new = bind_or_take(&specs, offered).unwrap();
        assert_eq!(inode(&new[0].socket), inodes[0]);
        assert_eq!(inode(&new[1].socket), inodes[1]);
        assert_ne!(
            inode(&new[2].socket),
            inodes[2],
            "nobody asked for that port"
        );
        let listener = TcpListener::from(new.into_iter().next().unwrap().socket);
        listener.accept().unwrap();
    }

    #[test]
    fn a_listener_that_does_not_fit_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let spec = unix(&path);
        let old = bind_all(std::slice::from_ref(&spec)).unwrap();
        fs::remove_file(&path).unwrap();
        let new = bind_or_take(std::slice::from_ref(&spec), given(old)).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(new);

        let mut both = inet("[::]:0");
        let old = bind_all(std::slice::from_ref(&both)).unwrap();
        both.endpoint = old[0].endpoint.clone();
        let was = inode(&old[0].socket);
        both.v6_only = Some(true);
        let new = bind_or_take(&[both], given(old)).unwrap();
        assert_ne!(inode(&new[0].socket), was);
    }

    #[test]
    fn a_paused_listener_listens_again_once_it_is_taken() {
        let old = bind_all(&[inet("127.0.0.1:0")]).unwrap();
        let spec = ListenerSpec::new(old[0].endpoint.clone(), 16);
        let Endpoint::Inet(at) = spec.endpoint else {
            panic!("an address")
        };
        crate::net::os::stop_listening(old[0].socket.as_raw_fd());
        assert!(std::net::TcpStream::connect(at).is_err());
        let _new = bind_or_take(&[spec], given(old)).unwrap();
        std::net::TcpStream::connect(at).unwrap();
    }

    #[test]
    fn the_temporary_name_of_a_unix_socket() {
        for (bound, name) in [
            ("/run/x.sock.123.tmp", "/run/x.sock"),
            ("/run/x.sock", "/run/x.sock"),
            ("/run/x.tmp", "/run/x.tmp"),
            ("/run/x..tmp", "/run/x..tmp"),
            ("/run/x.1a.tmp", "/run/x.1a.tmp"),
        ] {
            assert_eq!(without_temporary(bound.as_bytes()), name.as_bytes());
        }
    }
}
