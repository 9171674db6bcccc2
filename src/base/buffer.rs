//! Fixed-size byte buffers and the pool that lends them.
//!
//! A buffer is one box of bytes with a readable span in it: bytes are written behind the span and
//! consumed from its front. It never grows; who fills it must mind `room()`. The pool decides how
//! many buffers may be out at once and how many returned ones are kept: the last one returned is
//! the first one lent (its memory is still in the cache), and `trim` lets go of those that no
//! burst has needed since the trim before, so that memory falls back.
//!
//! Buffers are never zeroed between uses: only the readable span is ever shown, and the writable
//! part is for writing.
//!
//! Rejected: ring buffers (heads must be contiguous for the parser, and a buffer is nearly always
//! drained to empty, where both spans restart for free) and growing vectors (a bound per session
//! is what makes the total bounded).

/// Bytes of fixed size with a readable span. A handle: records that hold several of them, and pass
/// them on, stay small.
#[derive(Debug)]
pub struct Buffer(Box<Span>);

/// `start <= end <= size`, which every method that moves one of them keeps.
#[derive(Debug)]
struct Span {
    start: usize,
    end: usize,
    bytes: Box<[u8]>,
}

impl Buffer {
    /// An empty buffer of `size` bytes.
    pub fn new(size: usize) -> Self {
        Self(Box::new(Span {
            start: 0,
            end: 0,
            bytes: vec![0; size].into_boxed_slice(),
        }))
    }

    /// The bytes received and not consumed.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "start <= end <= size")]
    pub fn readable(&self) -> &[u8] {
        &self.0.bytes[self.0.start..self.0.end]
    }

    /// The bytes received and not consumed, for changes in place.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "start <= end <= size")]
    pub fn readable_mut(&mut self) -> &mut [u8] {
        let span = &mut *self.0;
        &mut span.bytes[span.start..span.end]
    }

    /// Where new bytes go. Say how many with `filled`. Call `compact` first to get all of it.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "start <= end <= size")]
    pub fn writable(&mut self) -> &mut [u8] {
        let span = &mut *self.0;
        &mut span.bytes[span.end..]
    }

    /// Makes the first `n` bytes of `writable` readable.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        let end = self.0.end.saturating_add(n);
        debug_assert!(end <= self.size());
        self.0.end = end.min(self.size());
    }

    /// Drops the first `n` readable bytes.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        let span = &mut *self.0;
        span.start = span.start.saturating_add(n).min(span.end);
        if span.start == span.end {
            self.clear();
        }
    }

    /// Drops readable bytes behind the first `n`.
    pub fn truncate(&mut self, n: usize) {
        let span = &mut *self.0;
        span.end = span.end.min(span.start.saturating_add(n));
        if span.start == span.end {
            self.clear();
        }
    }

    /// Moves the readable bytes to the front, so that `writable` is all the room there is.
    pub fn compact(&mut self) {
        let len = self.len();
        let span = &mut *self.0;
        if span.start > 0 {
            span.bytes.copy_within(span.start..span.end, 0);
            span.end = len;
            span.start = 0;
        }
    }

    /// Appends what fits of `more` and says how much that was; compacts when that gains room.
    pub fn extend(&mut self, more: &[u8]) -> usize {
        if more.len() > self.writable().len() {
            self.compact();
        }
        let room = self.writable();
        let count = more.len().min(room.len());
        #[expect(clippy::indexing_slicing, reason = "both are at least that long")]
        room[..count].copy_from_slice(&more[..count]);
        self.filled(count);
        count
    }

    /// Forgets everything readable.
    #[inline]
    pub fn clear(&mut self) {
        self.0.start = 0;
        self.0.end = 0;
    }

    /// How many bytes are readable.
    #[inline]
    #[expect(clippy::arithmetic_side_effects, reason = "start <= end <= size")]
    pub fn len(&self) -> usize {
        self.0.end - self.0.start
    }

    /// True when nothing is readable.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.start == self.0.end
    }

    /// How many more bytes fit, after a `compact`.
    #[inline]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "what is readable is a part of the bytes"
    )]
    pub fn room(&self) -> usize {
        self.size() - self.len()
    }

    /// The fixed size in bytes.
    #[inline]
    pub fn size(&self) -> usize {
        self.0.bytes.len()
    }
}

/// Lends buffers of one size, at most `limit` at a time.
#[derive(Debug)]
pub struct Pool {
    size: usize,
    limit: usize,
    lent: usize,
    lent_max: usize,
    free: Vec<Buffer>,
    /// The fewest free buffers since the last `trim`: that many were not needed.
    spare: usize,
    /// What a lent buffer is filled with (`-dM`).
    filler: Option<u8>,
}

/// Free buffers that `trim` always leaves, so that a quiet server does not allocate for each
/// request.
const KEPT: usize = 8;

impl Pool {
    /// A pool of buffers of `size` bytes (`tune.bufsize`), at most `limit` lent at a time
    /// (`tune.buffers.limit`; `usize::MAX` for none). Allocates nothing yet.
    pub const fn new(size: usize, limit: usize) -> Self {
        Self {
            size,
            limit,
            lent: 0,
            lent_max: 0,
            free: Vec::new(),
            spare: 0,
            filler: None,
        }
    }

    /// From now on each buffer is filled with this byte when it is lent, so that whoever shows
    /// what nobody received is found out (`-dM`).
    pub const fn fill_with(&mut self, byte: u8) {
        self.filler = Some(byte);
    }

    /// An empty buffer, or `None` when all that may be lent are out.
    pub fn lend(&mut self) -> Option<Buffer> {
        if self.lent >= self.limit {
            return None;
        }
        let mut buffer = self.free.pop().unwrap_or_else(|| Buffer::new(self.size));
        self.spare = self.spare.min(self.free.len());
        self.lent = self.lent.saturating_add(1);
        self.lent_max = self.lent_max.max(self.lent);
        debug_assert!(buffer.is_empty());
        if let Some(byte) = self.filler {
            buffer.0.bytes.fill(byte);
        }
        Some(buffer)
    }

    /// Takes a lent buffer back, whatever it still holds.
    pub fn give_back(&mut self, mut buffer: Buffer) {
        debug_assert!(self.lent > 0 && buffer.size() == self.size);
        self.lent = self.lent.saturating_sub(1);
        buffer.clear();
        self.free.push(buffer);
    }

    /// Drops half of the free buffers that were not needed since the last call. Called about once
    /// a second, a burst's memory is gone within seconds and a steady load allocates nothing.
    pub fn trim(&mut self) {
        let idle = self.spare.min(self.free.len().saturating_sub(KEPT));
        let kept = self.free.len().saturating_sub(idle.div_ceil(2));
        self.free.truncate(kept);
        let kept = kept.max(KEPT);
        if self.free.capacity() > kept.saturating_mul(4) {
            self.free.shrink_to(kept.saturating_mul(2));
        }
        self.spare = self.free.len();
    }

    /// How many buffers are out.
    pub const fn lent(&self) -> usize {
        self.lent
    }

    /// The most buffers that were out at once.
    pub const fn lent_max(&self) -> usize {
        self.lent_max
    }

    /// How many returned buffers are kept for the next ones.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// The size of each buffer in bytes.
    pub const fn buffer_size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lent_buffers_are_filled_when_asked_for() {
        let mut pool = Pool::new(4, usize::MAX);
        pool.fill_with(0x50);
        let mut buffer = pool.lend().unwrap();
        assert_eq!(buffer.writable(), b"PPPP");
        buffer.extend(b"abcd");
        pool.give_back(buffer);
        assert_eq!(pool.lend().unwrap().writable(), b"PPPP");
    }

    #[test]
    fn fills_consumes_and_compacts() {
        let mut buffer = Buffer::new(8);
        assert_eq!(buffer.extend(b"abcdef"), 6);
        buffer.consume(4);
        assert_eq!(buffer.readable(), b"ef");
        assert_eq!((buffer.writable().len(), buffer.room()), (2, 6));
        assert_eq!(buffer.extend(b"0123456789"), 6);
        assert_eq!(buffer.readable(), b"ef012345");
        assert_eq!(buffer.room(), 0);
        buffer.truncate(3);
        buffer.writable()[..2].copy_from_slice(b"xy");
        buffer.filled(2);
        assert_eq!(buffer.readable(), b"ef0xy");
        buffer.consume(5);
        assert!(buffer.is_empty());
        assert_eq!(
            buffer.writable().len(),
            8,
            "an emptied buffer starts again at its front"
        );
    }

    #[test]
    fn pool_keeps_its_limit_and_reuses_the_last_returned() {
        let mut pool = Pool::new(16, 2);
        let mut first = pool.lend().unwrap();
        first.extend(b"left over");
        let second = pool.lend().unwrap();
        assert!(pool.lend().is_none());
        let place = first.0.bytes.as_ptr();
        pool.give_back(second);
        pool.give_back(first);
        assert_eq!((pool.lent(), pool.free(), pool.lent_max()), (0, 2, 2));
        let again = pool.lend().unwrap();
        assert_eq!(again.0.bytes.as_ptr(), place);
        assert!(again.is_empty());
        pool.give_back(again);
    }

    #[test]
    fn memory_falls_back_after_a_burst() {
        let mut pool = Pool::new(16, usize::MAX);
        let burst: Vec<_> = (0..1000).map(|_| pool.lend().unwrap()).collect();
        burst.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert_eq!(pool.free(), 1000);
        // The burst itself counts as need until the first trim.
        (0..20).for_each(|_| pool.trim());
        assert_eq!(pool.free(), KEPT);
    }

    #[test]
    fn a_steady_load_keeps_its_buffers() {
        let mut pool = Pool::new(16, usize::MAX);
        for _ in 0..10 {
            let used: Vec<_> = (0..100).map(|_| pool.lend().unwrap()).collect();
            used.into_iter().for_each(|buffer| pool.give_back(buffer));
            pool.trim();
            assert_eq!(pool.free(), 100);
        }
    }
}
