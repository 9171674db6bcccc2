//! Ground floor: arenas, buffers, timers, dates. Knows nothing of HTTP, proxies or sockets.

pub mod addr;
pub mod arena;
pub mod buffer;
pub mod clock;
pub mod version;
pub mod wheel;
