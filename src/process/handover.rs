//! Listeners of another process, over its runtime socket (`-x`).
//!
//! The words are HAProxy's, as they are seen on its socket, so that either program may follow the
//! other: `_getsocks`, then the number of sockets as a C integer, then messages that bring the
//! sockets and, for each, its namespace and interface as a length and a name, and a C integer of
//! options. The reader acknowledges with a byte. What the sockets are is asked of the sockets
//! themselves, so that the texts beside them are not needed here.

use std::io::{self, Read as _, Write as _};
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::net::channel::receive_with;

/// How long the other process may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The listeners of the process behind a runtime socket.
///
/// # Errors
/// When nobody answers there, or not in the way of HAProxy; the text is empty.
pub(super) fn listeners(socket: &str) -> Result<Vec<OwnedFd>, String> {
    fetch(socket).map_err(|_| String::new())
}

fn fetch(socket: &str) -> io::Result<Vec<OwnedFd>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"_getsocks\n")?;
    let mut count = [0; size_of::<i32>()];
    stream.read_exact(&mut count)?;
    let count = usize::try_from(i32::from_ne_bytes(count)).unwrap_or_default();
    let mut all = Vec::new();
    while all.len() < count {
        let some = receive(&stream)?;
        if some.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend(some);
    }
    // It fails when the other has not waited for it.
    drop(stream.write_all(&[0]));
    Ok(all)
}

/// The descriptors of the next message.
fn receive(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut text = [0u8; 64 * 1024];
    let (_, descriptors) = receive_with(stream.as_raw_fd(), &mut text, 0)?;
    Ok(descriptors)
}
