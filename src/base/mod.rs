//! Ground floor: arenas, buffers, timers, dates. Knows nothing of HTTP, proxies or sockets.

// Nothing from outside may make this code panic.
#![cfg_attr(
    not(test),
    warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)
)]

pub mod addr;
pub mod arena;
pub mod buffer;
pub mod clock;
pub mod edits;
pub mod hash;
pub mod outgoing;
pub mod proxy_header;
pub mod quantity;
pub mod scan;
pub mod version;
pub mod wheel;
pub mod word;
pub mod xxhash;
