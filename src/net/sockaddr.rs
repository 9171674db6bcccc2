//! Socket addresses between our types and the kernel's bytes.
//!
//! Abstract names are padded with zero bytes to the full length of `sun_path`, as HAProxy does, so
//! that `abns@` talks to other HAProxy processes (socat calls it `unix-tightsocklen=0`).
//!
//! Nothing here makes a system call except [`local`].

// The kernel's address structures are plain bytes that must be cast.
#![allow(unsafe_code)]

use std::io;
use std::mem::{offset_of, size_of};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::base::addr::{Address, Endpoint};

/// Where the path begins in a unix address.
const PATH_AT: usize = offset_of!(libc::sockaddr_un, sun_path);
/// Longest unix path, bytes, the zero that ends it not counted.
pub(crate) const PATH_MAX: usize = size_of::<libc::sockaddr_un>() - PATH_AT - 1;

/// An address as the kernel takes and gives it.
#[derive(Clone, Copy)]
pub(crate) struct SockAddr {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl SockAddr {
    /// Room for what the kernel tells.
    pub(crate) fn empty() -> Self {
        // SAFETY: all-zero bytes are a valid `sockaddr_storage`.
        let storage = unsafe { std::mem::zeroed() };
        Self {
            storage,
            length: size_of::<libc::sockaddr_storage>() as libc::socklen_t,
        }
    }

    /// The address of an endpoint.
    ///
    /// # Errors
    /// `ENAMETOOLONG` for a unix path or abstract name that does not fit.
    pub(crate) fn new(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Inet(address) => Ok(Self::inet(*address)),
            Endpoint::Unix(path) => {
                if path.len() > PATH_MAX {
                    return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
                }
                Ok(Self::unix(path, 0, PATH_AT + path.len() + 1))
            }
            Endpoint::Abstract(name) => {
                if name.len() > PATH_MAX {
                    return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
                }
                Ok(Self::unix(name, 1, size_of::<libc::sockaddr_un>()))
            }
        }
    }

    fn inet(address: SocketAddr) -> Self {
        let mut this = Self::empty();
        match address {
            SocketAddr::V4(v4) => this.set(libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            }),
            SocketAddr::V6(v6) => this.set(libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            }),
        }
        this
    }

    /// A unix address with `name` at `offset` of an otherwise zero path.
    fn unix(name: &[u8], offset: usize, length: usize) -> Self {
        let mut address = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as libc::sa_family_t,
            sun_path: [0; PATH_MAX + 1],
        };
        for (to, from) in address.sun_path[offset..].iter_mut().zip(name) {
            *to = *from as libc::c_char;
        }
        let mut this = Self::empty();
        this.set(address);
        this.length = length as libc::socklen_t;
        this
    }

    /// Writes one of the kernel's address structures into the storage.
    fn set<T: Copy>(&mut self, address: T) {
        const { assert!(size_of::<T>() <= size_of::<libc::sockaddr_storage>()) };
        // SAFETY: the storage is large enough (asserted) and aligned for every address structure.
        unsafe { (&raw mut self.storage).cast::<T>().write(address) };
        self.length = size_of::<T>() as libc::socklen_t;
    }

    /// For calls that read an address.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// For calls that write an address.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    /// Bytes in use.
    pub(crate) fn length(&self) -> libc::socklen_t {
        self.length
    }

    /// For calls that write an address' length.
    pub(crate) fn length_mut(&mut self) -> *mut libc::socklen_t {
        &raw mut self.length
    }

    /// `AF_INET`, `AF_INET6`, `AF_UNIX`...
    pub(crate) fn family(&self) -> i32 {
        i32::from(self.storage.ss_family)
    }

    /// The internet address, if it is one.
    pub(crate) fn socket_addr(&self) -> Option<SocketAddr> {
        match self.family() {
            libc::AF_INET => {
                // SAFETY: the family says which structure the kernel wrote; alignment as in `set`.
                let v4 = unsafe { (&raw const self.storage).cast::<libc::sockaddr_in>().read() };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe {
                    (&raw const self.storage)
                        .cast::<libc::sockaddr_in6>()
                        .read()
                };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// What a session remembers of it.
    pub(crate) fn address(&self) -> Address {
        match self.family() {
            libc::AF_UNIX => Address::Unix,
            _ => self.socket_addr().map_or(Address::None, Address::from),
        }
    }

    /// What stands in a unix address: a path, an abstract name, or an empty path (no name).
    fn unix_endpoint(&self) -> Endpoint {
        // SAFETY: the storage is zeroed at first and at least as large as a unix address.
        let un = unsafe { (&raw const self.storage).cast::<libc::sockaddr_un>().read() };
        let length = (self.length as usize).clamp(PATH_AT, size_of::<libc::sockaddr_un>());
        let bytes: Vec<u8> = un.sun_path[..length - PATH_AT]
            .iter()
            .map(|c| *c as u8)
            .collect();
        match bytes.split_first() {
            Some((0, name)) => {
                let end = name
                    .iter()
                    .rposition(|byte| *byte != 0)
                    .map_or(0, |last| last + 1);
                Endpoint::Abstract(name[..end].into())
            }
            _ => {
                let end = bytes
                    .iter()
                    .position(|byte| *byte == 0)
                    .unwrap_or(bytes.len());
                Endpoint::Unix(bytes[..end].into())
            }
        }
    }

    /// The endpoint that it names; `None` for a family that we do not speak.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        match self.family() {
            libc::AF_UNIX => Some(self.unix_endpoint()),
            _ => self.socket_addr().map(Endpoint::Inet),
        }
    }
}

/// The address of this side of a socket.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`.
pub(crate) fn local(descriptor: i32) -> io::Result<SockAddr> {
    let mut address = SockAddr::empty();
    // SAFETY: both pointers are into `address`, and the length says how much room there is.
    let code = unsafe { libc::getsockname(descriptor, address.as_mut_ptr(), address.length_mut()) };
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_survive_the_kernels_form() {
        for endpoint in [
            Endpoint::Inet("127.0.0.1:80".parse().unwrap()),
            Endpoint::Inet("[2001:db8::1]:65535".parse().unwrap()),
            Endpoint::Unix(b"/run/x.sock".as_slice().into()),
            Endpoint::Unix(vec![b'p'; PATH_MAX].into()),
            Endpoint::Abstract(b"name".as_slice().into()),
            Endpoint::Abstract(vec![b'n'; PATH_MAX].into()),
        ] {
            let address = SockAddr::new(&endpoint).unwrap();
            assert_eq!(address.endpoint(), Some(endpoint.clone()));
            assert_eq!(address.address(), endpoint.address());
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for endpoint in [
            Endpoint::Unix(vec![b'p'; PATH_MAX + 1].into()),
            Endpoint::Abstract(vec![b'n'; PATH_MAX + 1].into()),
        ] {
            let error = SockAddr::new(&endpoint).err().unwrap();
            assert_eq!(error.raw_os_error(), Some(libc::ENAMETOOLONG));
        }
    }

    #[test]
    fn abstract_names_fill_the_address() {
        let address = SockAddr::new(&Endpoint::Abstract(b"foo".as_slice().into())).unwrap();
        assert_eq!(address.length() as usize, size_of::<libc::sockaddr_un>());
    }
}
