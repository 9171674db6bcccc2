//! Messages between the processes of one service: a byte that says what it is, a short text, and
//! descriptors.
//!
//! A channel is one end of a `SOCK_SEQPACKET` pair: messages keep their bounds and their order, and
//! the end of a process is the end of its channels. What is long goes by a descriptor of memory
//! that has no name ([`document`]), so that no message is ever sent in parts and no process waits
//! for another's reading.
//!
//! It must never interpret a message. Rejected: a stream with lengths, which would need buffers for
//! half messages at every reader.

// Descriptors in messages, and memory without a name, have no safe door in `std`.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::ptr;

/// The longest text of a message, bytes.
pub const TEXT_MAX: usize = 16 * 1024;
/// Descriptors in one message at most; the system's own limit is 253.
pub const DESCRIPTORS_MAX: usize = 64;
/// The longest document that is read, bytes.
const DOCUMENT_MAX: u64 = 256 << 20;
/// Room for the descriptors of a message, in words of the alignment that the system wants: as many
/// as the system allows, which another program may send.
const CONTROL_WORDS: usize = 160;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Master to worker, with a channel: a new worker is on its way, and asks there.
    Successor = b'S',
    /// Master to worker: a new worker serves; finish what runs and leave.
    Drain = b'D',
    /// Worker to master and master to worker, with a document: counts of a worker that leaves.
    Rest = b'T',
    /// Master to worker, with a socket: a runtime connection; the text's byte is its level.
    Command = b'C',
    /// Master to worker: is the loop alive? And the answer.
    Ping = b'P',
    /// Worker to master: the configuration is read and its addresses are bound.
    Loaded = b'L',
    /// Worker to master: it serves.
    Ready = b'R',
    /// Worker to master: a line that it printed while it was starting.
    Said = b'M',
    /// New worker to old: the listeners are wanted. And the answers, with descriptors.
    Listeners = b'l',
    /// Old worker to new: there are no more listeners.
    NoMore = b'n',
    /// New worker to old: what is known is wanted. And the answer, with a document.
    Document = b'd',
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Successor,
        Self::Drain,
        Self::Rest,
        Self::Command,
        Self::Ping,
        Self::Loaded,
        Self::Ready,
        Self::Said,
        Self::Listeners,
        Self::NoMore,
        Self::Document,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A message that came.
#[derive(Debug)]
pub struct Message {
    /// What it is; `None` for one that this version does not know.
    pub kind: Option<Kind>,
    /// Its text.
    pub text: Vec<u8>,
    /// Its descriptors.
    pub descriptors: Vec<OwnedFd>,
}

/// One end of a pair. No call waits unless it says so.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Channel {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl Channel {
    /// Both ends of a new channel.
    ///
    /// # Errors
    /// When descriptors are out.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (here, there) = socket_pair(libc::SOCK_SEQPACKET)?;
        Ok((Self(here), Self(there)))
    }

    /// The same end under another number.
    ///
    /// # Errors
    /// When descriptors are out.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// `WouldBlock` when the other side has too much to read; else it is gone.
    pub fn send(&self, kind: Kind, text: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(self.as_raw_fd(), kind, text, with)
    }

    /// The next message; `None` when the other side is gone.
    ///
    /// # Errors
    /// `WouldBlock` when there is none yet.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut text = vec![0; TEXT_MAX + 1];
        let (got, descriptors) = match receive_with(self.as_raw_fd(), &mut text, libc::MSG_DONTWAIT)
        {
            Ok(received) => received,
            // The other side went with our words unread.
            Err(why) if why.raw_os_error() == Some(libc::ECONNRESET) => return Ok(None),
            Err(why) => return Err(why),
        };
        if got == 0 {
            return Ok(None);
        }
        text.truncate(got);
        let kind = Kind::of(text.remove(0));
        Ok(Some(Message {
            kind,
            text,
            descriptors,
        }))
    }

    /// Waits for the next message; `None` when there is none in time or the other side is gone.
    /// For a process that does not serve yet.
    pub fn wait(&self, patience_ms: i32) -> Option<Message> {
        let mut asked = libc::pollfd {
            fd: self.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        loop {
            // SAFETY: one valid `pollfd`.
            match unsafe { libc::poll(&raw mut asked, 1, patience_ms) } {
                0 => return None,
                1.. => return self.receive().ok().flatten(),
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => return None,
            }
        }
    }

    /// Waits until a message can be sent, or the time is over. For a process that ends.
    pub fn wait_for_room(&self, patience_ms: i32) {
        let mut asked = libc::pollfd {
            fd: self.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one valid `pollfd`.
        unsafe { libc::poll(&raw mut asked, 1, patience_ms) };
    }
}

/// A pair of connected sockets, closed on exec.
///
/// # Errors
/// When descriptors are out.
pub fn socket_pair(kind: libc::c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    let code = unsafe {
        libc::socketpair(
            libc::AF_UNIX,
            kind | libc::SOCK_CLOEXEC,
            0,
            ends.as_mut_ptr(),
        )
    };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and owned by nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Sends a message by the number of the descriptor.
///
/// # Errors
/// As [`Channel::send`].
pub fn send(to: RawFd, kind: Kind, text: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<()> {
    let kind = [kind as u8];
    let text = text.get(..TEXT_MAX).unwrap_or(text);
    send_with(to, &[&kind, text], with)
}

/// Sends bytes and descriptors, in one message where the socket has messages.
///
/// # Errors
/// `WouldBlock` when there is no room; else the other side is gone.
pub fn send_with(to: RawFd, pieces: &[&[u8]], with: &[BorrowedFd<'_>]) -> io::Result<()> {
    // The kernel reads through these pointers and writes nothing.
    let mut pieces: Vec<libc::iovec> = pieces
        .iter()
        .map(|piece| libc::iovec {
            iov_base: piece.as_ptr().cast_mut().cast(),
            iov_len: piece.len(),
        })
        .collect();
    let mut control = [0u64; CONTROL_WORDS];
    // SAFETY: an all-zero `msghdr` is a valid value of that plain C struct.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = pieces.as_mut_ptr();
    header.msg_iovlen = pieces.len() as _;
    if !with.is_empty() {
        debug_assert!(with.len() <= DESCRIPTORS_MAX);
        let bytes = (with.len() * size_of::<RawFd>()) as u32;
        header.msg_control = control.as_mut_ptr().cast();
        // SAFETY: arithmetic on a number.
        header.msg_controllen = unsafe { libc::CMSG_SPACE(bytes) } as _;
        // SAFETY: the control buffer has room for one header and the descriptors, and is aligned.
        unsafe {
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(bytes) as _;
            let data = libc::CMSG_DATA(first).cast::<RawFd>();
            for (at, descriptor) in with.iter().enumerate() {
                ptr::write_unaligned(data.add(at), descriptor.as_raw_fd());
            }
        }
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    loop {
        // SAFETY: the header and what it points to outlive the call.
        if unsafe { libc::sendmsg(to, &raw const header, flags) } >= 0 {
            return Ok(());
        }
        let why = io::Error::last_os_error();
        if why.kind() != io::ErrorKind::Interrupted {
            return Err(why);
        }
    }
}

/// Sends listeners to a process that asked for them in HAProxy's way: their number as a C integer,
/// then the sockets, and beside each its namespace and interface, a length and a name, and a C
/// integer of options. What a socket is, its reader asks the socket.
///
/// # Errors
/// As [`Channel::send`].
pub(crate) fn expose(to: RawFd, listeners: &[BorrowedFd<'_>]) -> io::Result<()> {
    const BESIDE: [u8; 2 + size_of::<i32>()] = [0; 2 + size_of::<i32>()];
    let count = i32::try_from(listeners.len()).unwrap_or(i32::MAX);
    send_with(to, &[&count.to_ne_bytes()], &[])?;
    for some in listeners.chunks(DESCRIPTORS_MAX) {
        send_with(to, &vec![&BESIDE[..]; some.len()], some)?;
    }
    Ok(())
}

/// Receives into `text`: how many bytes came, and the descriptors that came with them.
///
/// # Errors
/// The system's.
pub(crate) fn receive_with(
    from: RawFd,
    text: &mut [u8],
    flags: libc::c_int,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = [0u64; CONTROL_WORDS];
    let mut piece = libc::iovec {
        iov_base: text.as_mut_ptr().cast(),
        iov_len: text.len(),
    };
    // SAFETY: an all-zero `msghdr` is a valid value of that plain C struct.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut piece;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
    loop {
        // SAFETY: the header and what it points to outlive the call.
        let got = unsafe { libc::recvmsg(from, &raw mut header, flags | libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(got) {
            Ok(got) => return Ok((got, taken(&header))),
            Err(_) => match io::Error::last_os_error() {
                why if why.kind() == io::ErrorKind::Interrupted => {}
                why => return Err(why),
            },
        }
    }
}

/// The descriptors of a message that was received with this header.
fn taken(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel filled the control buffer and its length; each header says how long it is,
    // and each descriptor is new and ours.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            if (*at).cmsg_level == libc::SOL_SOCKET && (*at).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*at).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(at).cast::<RawFd>();
                for index in 0..bytes / size_of::<RawFd>() {
                    let descriptor = ptr::read_unaligned(data.add(index));
                    descriptors.push(OwnedFd::from_raw_fd(descriptor));
                }
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    descriptors
}

/// Bytes as memory without a name, to be sent.
///
/// # Errors
/// When descriptors or memory are out.
pub fn document(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string.
    let descriptor = unsafe { libc::memfd_create(c"handover".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and owned by nobody else.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    file.write_all(bytes)?;
    Ok(file.into())
}

/// What [`document`] holds.
///
/// # Errors
/// When it is too long, or is no file.
pub fn read_document(descriptor: OwnedFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(descriptor);
    file.rewind()?;
    let mut bytes = Vec::new();
    (&mut file).take(DOCUMENT_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a descriptor stays open when the process becomes another program.
pub fn keep_over_exec(descriptor: RawFd, keep: bool) {
    let flags = if keep { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: no pointer is passed. It fails only for a descriptor that is not open.
    unsafe { libc::fcntl(descriptor, libc::F_SETFD, flags) };
}

/// Takes an open descriptor over by its number; `None` when it is not open.
pub fn adopt(descriptor: RawFd) -> Option<OwnedFd> {
    // SAFETY: no pointer is passed.
    let open = unsafe { libc::fcntl(descriptor, libc::F_GETFD) } >= 0;
    // SAFETY: it is open, and whoever names it says that it is ours.
    open.then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A duplicate number for a socket that the engine shall own.
pub(crate) fn into_socket(descriptor: OwnedFd) -> crate::net::Socket {
    // SAFETY: no pointer is passed.
    unsafe {
        let flags = libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL);
        libc::fcntl(
            descriptor.as_raw_fd(),
            libc::F_SETFL,
            flags | libc::O_NONBLOCK,
        );
    }
    crate::net::Socket::from_raw(descriptor.into_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_bring_their_descriptors() {
        let (here, there) = Channel::pair().unwrap();
        let paper = document(b"what is known").unwrap();
        here.send(Kind::Said, b"one", &[]).unwrap();
        here.send(Kind::Rest, b"", &[paper.as_fd()]).unwrap();
        here.send(Kind::Drain, b"", &[]).unwrap();
        let said = there.receive().unwrap().unwrap();
        assert_eq!((said.kind, &said.text[..]), (Some(Kind::Said), &b"one"[..]));
        let mut rest = there.wait(1000).unwrap();
        assert_eq!((rest.kind, rest.text.len()), (Some(Kind::Rest), 0));
        let paper = rest.descriptors.pop().unwrap();
        assert_eq!(read_document(paper).unwrap(), b"what is known");
        assert!(rest.descriptors.is_empty());
        assert_eq!(there.receive().unwrap().unwrap().kind, Some(Kind::Drain));
        let none = there.receive().unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        drop(here);
        assert!(there.receive().unwrap().is_none());
        assert!(there.wait(1000).is_none());
        let gone = there.send(Kind::Ping, b"", &[]).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn as_many_descriptors_as_a_message_takes() {
        let (here, there) = Channel::pair().unwrap();
        let paper = document(b"").unwrap();
        let many = [paper.as_fd(); DESCRIPTORS_MAX];
        here.send(Kind::Listeners, b"", &many).unwrap();
        let got = there.receive().unwrap().unwrap();
        assert_eq!(got.descriptors.len(), DESCRIPTORS_MAX);
    }

    #[test]
    fn a_text_is_cut_and_an_unknown_kind_is_told() {
        let (here, there) = Channel::pair().unwrap();
        here.send(Kind::Said, &vec![b'x'; TEXT_MAX + 5], &[])
            .unwrap();
        assert_eq!(there.receive().unwrap().unwrap().text.len(), TEXT_MAX);
        send_with(here.as_raw_fd(), &[b"?"], &[]).unwrap();
        assert_eq!(there.receive().unwrap().unwrap().kind, None);
    }

    #[test]
    fn every_kind_has_its_own_byte() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind as u8), Some(kind));
        }
    }
}
