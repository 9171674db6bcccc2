//! Sending log messages without ever waiting.
//!
//! A datagram target (unix path or UDP) is an unconnected socket opened at start; its address goes
//! with every message. So a syslog that was restarted is found again by its path, also inside a
//! chroot. A batch leaves in one `sendmmsg(2)` per `MESSAGES_MAX` messages.
//!
//! `stdout`, `stderr` and `fd@N` are shared with other processes, so they never get `O_NONBLOCK`:
//! sockets are written with `MSG_DONTWAIT`, anything else is asked with `poll(2)` first and then
//! gets at most `PIPE_PIECE` bytes, which a pipe that polls writable takes at once. The rest of a
//! message that went out in part is kept and goes first the next time, so that lines never mix.
//!
//! It must never block, retry by itself, or drop: the engine decides and counts.

// `sendmmsg`, `poll` and writes to descriptors that we do not own have no safe door in `std`.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use crate::base::addr::Endpoint;
use crate::net::sockaddr::SockAddr;
use crate::net::{LogBatch, Stop};

/// Messages in one `sendmmsg`; the arrays stand on the stack.
const MESSAGES_MAX: usize = 64;
/// Bytes that a writable pipe takes without blocking (`PIPE_BUF` on Linux).
const PIPE_PIECE: usize = 4096;

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogSpec {
    /// A unix datagram socket or a UDP address.
    Datagram(Endpoint),
    /// A descriptor that is open already: 1, 2 or `fd@N`.
    Descriptor(i32),
}

/// An open log target.
#[derive(Debug)]
pub struct LogTarget {
    way: Way,
    /// What is left of a message that went out in part.
    rest: Vec<u8>,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Datagram { socket, .. } => write!(f, "Datagram({})", socket.as_raw_fd()),
            Self::Stream(descriptor) => write!(f, "Stream({descriptor})"),
            Self::File(descriptor) => write!(f, "File({descriptor})"),
            Self::Other(descriptor) => write!(f, "Other({descriptor})"),
        }
    }
}

/// How a target is written to.
enum Way {
    /// Our own socket, and where each message goes.
    Datagram { socket: OwnedFd, to: Box<SockAddr> },
    /// A socket that we share.
    Stream(i32),
    /// A regular file: always ready.
    File(i32),
    /// A pipe, a terminal, a device.
    Other(i32),
}

impl LogTarget {
    /// Opens a target. To be done before `chroot` and before privileges are dropped.
    ///
    /// # Errors
    /// When descriptors are out, or a path is too long. A descriptor that is not open fails with
    /// each message, as HAProxy has it.
    pub fn open(spec: &LogSpec) -> io::Result<Self> {
        let way = match spec {
            LogSpec::Datagram(endpoint) => {
                let to = Box::new(SockAddr::new(endpoint)?);
                let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
                // SAFETY: no pointer is passed.
                let descriptor = unsafe { libc::socket(to.family(), kind, 0) };
                if descriptor < 0 {
                    return Err(io::Error::last_os_error());
                }
                // SAFETY: just opened, and owned by nobody else.
                let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
                Way::Datagram { socket, to }
            }
            LogSpec::Descriptor(descriptor) => Way::shared(*descriptor),
        };
        Ok(Self {
            way,
            rest: Vec::new(),
        })
    }

    /// Sends the messages of a batch from message `from` on; returns how many are gone.
    ///
    /// # Errors
    /// As [`crate::net::Net::send_log`].
    pub(crate) fn send(&mut self, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        if from >= batch.ends.len() {
            return Ok(0);
        }
        match &self.way {
            Way::Datagram { socket, to } => send_datagrams(socket.as_raw_fd(), to, batch, from),
            Way::Stream(_) | Way::File(_) | Way::Other(_) => self.write_messages(batch, from),
        }
    }

    /// Looks anew at what a shared descriptor is: a daemon's `stdout` becomes `/dev/null`.
    pub(crate) fn look_again(&mut self) {
        if let Way::Stream(descriptor) | Way::File(descriptor) | Way::Other(descriptor) = self.way {
            self.way = Way::shared(descriptor);
        }
    }

    /// Writes as many messages as go at once to a shared descriptor.
    fn write_messages(&mut self, batch: &LogBatch, from: usize) -> Result<usize, Stop> {
        if !self.rest.is_empty() {
            let written = self.way.write(&self.rest)?;
            self.rest.drain(..written);
            if !self.rest.is_empty() {
                return Err(Stop::Blocked);
            }
        }
        let mut at = start(batch, from);
        let mut next = from;
        while next < batch.ends.len() {
            let written = match self.way.write(&batch.bytes[at..]) {
                Ok(written) => written,
                Err(stop) if next == from => return Err(stop),
                Err(_) => break,
            };
            at += written;
            // Whole messages are gone; one cut in two is gone as well, its rest waits here.
            while next < batch.ends.len() && batch.ends[next] as usize <= at {
                next += 1;
            }
            if next < batch.ends.len() && start(batch, next) < at {
                self.rest
                    .extend_from_slice(&batch.bytes[at..batch.ends[next] as usize]);
                next += 1;
                break;
            }
        }
        Ok(next - from)
    }
}

/// Where a message of a batch begins.
fn start(batch: &LogBatch, message: usize) -> usize {
    if message == 0 {
        0
    } else {
        batch.ends[message - 1] as usize
    }
}

impl Way {
    /// How a descriptor must be written to.
    fn shared(descriptor: i32) -> Self {
        // SAFETY: an all-zero `stat` is a valid value of that plain C struct.
        let mut about: libc::stat = unsafe { zeroed() };
        // SAFETY: `about` is valid for the call, and stays zero if it fails.
        unsafe { libc::fstat(descriptor, &raw mut about) };
        match about.st_mode & libc::S_IFMT {
            libc::S_IFSOCK => Self::Stream(descriptor),
            libc::S_IFREG => Self::File(descriptor),
            _ => Self::Other(descriptor),
        }
    }

    /// Writes some bytes to a shared descriptor without waiting.
    fn write(&self, bytes: &[u8]) -> Result<usize, Stop> {
        let (descriptor, piece) = match self {
            Self::Datagram { .. } => return Err(Stop::Failed(libc::EINVAL)),
            Self::Stream(descriptor) => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: the pointer is valid for the length given.
                let sent =
                    unsafe { libc::send(*descriptor, bytes.as_ptr().cast(), bytes.len(), flags) };
                return sent_or_stop(sent);
            }
            Self::File(descriptor) => (*descriptor, bytes.len()),
            Self::Other(descriptor) => {
                if !writable(*descriptor) {
                    return Err(Stop::Blocked);
                }
                (*descriptor, bytes.len().min(PIPE_PIECE))
            }
        };
        // SAFETY: the pointer is valid for the length given.
        sent_or_stop(unsafe { libc::write(descriptor, bytes.as_ptr().cast(), piece) })
    }
}

/// Whether a write would go now, or fail now.
fn writable(descriptor: i32) -> bool {
    let mut asked = libc::pollfd {
        fd: descriptor,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid `pollfd`, and no waiting.
    unsafe { libc::poll(&raw mut asked, 1, 0) > 0 }
}

/// The result of a write as the engine wants it.
fn sent_or_stop(sent: isize) -> Result<usize, Stop> {
    usize::try_from(sent).map_err(|_| last_stop())
}

/// Why the last call did nothing: a full queue is `Blocked`, also when the kernel says `ENOBUFS`.
fn last_stop() -> Stop {
    match io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
    {
        libc::EAGAIN | libc::EINTR | libc::ENOBUFS => Stop::Blocked,
        number => Stop::Failed(number),
    }
}

/// Sends messages as datagrams, `MESSAGES_MAX` a call.
fn send_datagrams(
    socket: i32,
    to: &SockAddr,
    batch: &LogBatch,
    from: usize,
) -> Result<usize, Stop> {
    let mut next = from;
    while next < batch.ends.len() {
        let asked = (batch.ends.len() - next).min(MESSAGES_MAX);
        match send_some(socket, to, batch, next, asked) {
            Ok(sent) => {
                next += sent;
                if sent < asked {
                    break;
                }
            }
            Err(stop) if next == from => return Err(stop),
            Err(_) => break,
        }
    }
    Ok(next - from)
}

/// One `sendmmsg` of `count` messages.
fn send_some(
    socket: i32,
    to: &SockAddr,
    batch: &LogBatch,
    from: usize,
    count: usize,
) -> Result<usize, Stop> {
    // Only as many as are used are written: clearing all costs more than a short batch.
    let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; MESSAGES_MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MESSAGES_MAX];
    for (n, (piece, header)) in pieces.iter_mut().zip(&mut headers).take(count).enumerate() {
        let message = &batch.bytes[start(batch, from + n)..batch.ends[from + n] as usize];
        // The kernel reads through these pointers and writes nothing.
        let piece = piece.write(libc::iovec {
            iov_base: message.as_ptr().cast_mut().cast(),
            iov_len: message.len(),
        });
        // SAFETY: an all-zero `mmsghdr` is a valid value of that plain C struct.
        let header = header.write(unsafe { zeroed() });
        header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_namelen = to.length();
        header.msg_hdr.msg_iov = piece;
        header.msg_hdr.msg_iovlen = 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let first = headers.as_mut_ptr().cast();
    // SAFETY: `count` headers are filled, and what they point to outlives the call.
    let sent = unsafe { libc::sendmmsg(socket, first, count as u32, flags as _) };
    sent_or_stop(sent as isize)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::UdpSocket;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;

    use super::*;

    fn batch(messages: &[&str]) -> LogBatch {
        let mut batch = LogBatch::default();
        for message in messages {
            batch.bytes.extend_from_slice(message.as_bytes());
            batch.ends.push(batch.bytes.len() as u32);
        }
        batch
    }

    fn unix(path: &Path) -> LogTarget {
        let path = path.to_str().unwrap().as_bytes().into();
        LogTarget::open(&LogSpec::Datagram(Endpoint::Unix(path))).unwrap()
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut into = [0; 100];
        let got = socket.recv(&mut into).unwrap();
        String::from_utf8(into[..got].to_vec()).unwrap()
    }

    /// A pipe's two ends, the reading one non-blocking.
    fn pipe() -> (std::fs::File, OwnedFd) {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors; they are owned by nobody else.
        unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
            (
                std::fs::File::from_raw_fd(ends[0]),
                OwnedFd::from_raw_fd(ends[1]),
            )
        }
    }

    fn drain(read: &mut std::fs::File) -> Vec<u8> {
        let mut all = Vec::new();
        // Ends by `EAGAIN` when the pipe is empty.
        drop(read.read_to_end(&mut all));
        all
    }

    #[test]
    fn a_restarted_syslog_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut target = unix(&path);
        let messages = batch(&["one", "two", "three"]);
        assert_eq!(target.send(&messages, 0), Err(Stop::Failed(libc::ENOENT)));
        let first = UnixDatagram::bind(&path).unwrap();
        assert_eq!(target.send(&messages, 1), Ok(2));
        assert_eq!(receive(&first), "two");
        assert_eq!(receive(&first), "three");
        drop(first);
        assert_eq!(
            target.send(&messages, 0),
            Err(Stop::Failed(libc::ECONNREFUSED))
        );
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        assert_eq!(target.send(&messages, 0), Ok(3));
        assert_eq!(receive(&second), "one");
        assert_eq!(target.send(&messages, 3), Ok(0));
    }

    #[test]
    fn a_full_syslog_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut target = unix(&path);
        let reader = UnixDatagram::bind(&path).unwrap();
        let text = "x".repeat(2000);
        let messages = batch(&vec![text.as_str(); 1000]);
        let mut from = 0;
        let stop = loop {
            match target.send(&messages, from) {
                Ok(sent) => from += sent,
                Err(stop) => break stop,
            }
        };
        assert_eq!(stop, Stop::Blocked);
        assert!(from > 0 && from < 1000, "{from}");
        assert_eq!(receive(&reader).len(), 100);
        assert!(target.send(&messages, from).is_ok());
    }

    #[test]
    fn udp_takes_a_batch_of_more_than_one_call() {
        let reader = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = Endpoint::Inet(reader.local_addr().unwrap());
        let mut target = LogTarget::open(&LogSpec::Datagram(to)).unwrap();
        let messages = batch(&["m"; MESSAGES_MAX + 7]);
        assert_eq!(target.send(&messages, 0), Ok(MESSAGES_MAX + 7));
        for _ in 0..MESSAGES_MAX + 7 {
            assert_eq!(reader.recv(&mut [0; 8]).unwrap(), 1);
        }
    }

    #[test]
    fn a_full_pipe_never_blocks_and_lines_stay_whole() {
        let (mut read, write) = pipe();
        let mut target = LogTarget::open(&LogSpec::Descriptor(write.as_raw_fd())).unwrap();
        // Lines longer than a piece, so that every line goes out in parts.
        let lines: Vec<String> = (0..60)
            .map(|n| format!("{n:02}{}\n", "y".repeat(5000)))
            .collect();
        let messages = batch(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let (mut from, mut blocked, mut got) = (0, false, Vec::new());
        while from < lines.len() {
            match target.send(&messages, from) {
                Ok(sent) => from += sent,
                Err(stop) => {
                    assert_eq!(stop, Stop::Blocked);
                    blocked = true;
                    got.extend(drain(&mut read));
                }
            }
        }
        while !target.rest.is_empty() {
            got.extend(drain(&mut read));
            let _ = target.send(&batch(&["end\n"]), 0);
        }
        got.extend(drain(&mut read));
        assert!(blocked);
        let text = String::from_utf8(got).unwrap();
        let expected: String = lines.concat();
        assert!(text.starts_with(&expected));
        assert!(text[expected.len()..].lines().all(|line| line == "end"));
        // SAFETY: no pointer is passed.
        let flags = unsafe { libc::fcntl(write.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(
            flags & libc::O_NONBLOCK,
            0,
            "the descriptor is shared with others"
        );
    }

    #[test]
    fn short_lines_leave_together() {
        let (mut read, write) = pipe();
        let mut target = LogTarget::open(&LogSpec::Descriptor(write.as_raw_fd())).unwrap();
        assert_eq!(target.send(&batch(&["a\n", "b\n", "c\n"]), 1), Ok(2));
        assert_eq!(drain(&mut read), b"b\nc\n");
        drop(read);
        let broken = target.send(&batch(&["a\n"]), 0);
        assert!(
            matches!(broken, Err(Stop::Failed(libc::EPIPE))),
            "{broken:?}"
        );
    }

    #[test]
    fn sockets_files_and_closed_descriptors() {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut target = LogTarget::open(&LogSpec::Descriptor(near.as_raw_fd())).unwrap();
        assert_eq!(target.send(&batch(&["a\n"]), 0), Ok(1));
        assert_eq!(receive(&far), "a\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut target = LogTarget::open(&LogSpec::Descriptor(file.as_raw_fd())).unwrap();
        assert_eq!(target.send(&batch(&["a\n", "b\n"]), 0), Ok(2));
        assert_eq!(std::fs::read(file.path()).unwrap(), b"a\nb\n");
        let mut target = LogTarget::open(&LogSpec::Descriptor(999_999)).unwrap();
        assert_eq!(
            target.send(&batch(&["a\n"]), 0),
            Err(Stop::Failed(libc::EBADF))
        );
    }

    #[test]
    fn a_replaced_descriptor_is_looked_at_again() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        let mut target = LogTarget::open(&LogSpec::Descriptor(near.as_raw_fd())).unwrap();
        let nowhere = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/null")
            .unwrap();
        // SAFETY: both are open descriptors.
        unsafe { libc::dup2(nowhere.as_raw_fd(), near.as_raw_fd()) };
        assert_eq!(
            target.send(&batch(&["a\n"]), 0),
            Err(Stop::Failed(libc::ENOTSOCK))
        );
        target.look_again();
        assert_eq!(target.send(&batch(&["a\n"]), 0), Ok(1));
    }
}
