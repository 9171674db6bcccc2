//! Moves bytes one way: from one socket, through one pipe, to the other socket.
//!
//! A [`Pipe`] knows how the body ends as it comes in ([`Source`]) and whether it leaves in chunks
//! of our own. Chunked bodies are decoded in place and cut anew, so that nothing of the sender's
//! chunk lines ever reaches the other side. What the receiver does not take waits in at most two
//! buffers, and nothing more is received until they are empty: that is the back-pressure, and the
//! bound of a session's memory.
//!
//! Must never: receive without readiness, forward a byte before it was understood, or copy a body
//! that left in one piece.

use crate::base::buffer::{Buffer, Pool};
use crate::http::chunked::{Chunked, size_line};
use crate::http::head::Refusal;
use crate::net::{Net, Readiness, Socket, Stop, Tube};

/// Room behind a full receive: for a head that grew by rewriting, and for what is written after a
/// chunk (CRLF, zero chunk, CRLF).
pub const BUFFER_RESERVE: usize = 1024 + 64;

/// How many blocks one call moves before others have their turn.
const BLOCKS_PER_TURN_MAX: usize = 8;

/// Bodies up to this length are copied behind their head: the kernel takes one piece for less than
/// it takes two (measured).
pub(super) const JOINED_MAX: usize = 1024;

/// Bytes that one filling of a tube moves at most.
const TUBE_FILL_MAX: usize = 1 << 20;

/// Under `option splice-auto`, bodies of which less is left are copied: the calls that a tube needs
/// besides would cost more than the copy.
const SPLICE_AUTO_MIN: u64 = 1 << 15;

/// When bytes pass through a tube instead of a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Splice {
    /// Never.
    #[default]
    Never,
    /// When enough is to come (`option splice-auto`).
    Auto,
    /// Whenever it is possible (`option splice-request`, `option splice-response`).
    Always,
}

impl Splice {
    /// What the options say for one direction.
    pub fn of(auto: bool, always: bool) -> Self {
        match (always, auto) {
            (true, _) => Self::Always,
            (false, true) => Self::Auto,
            (false, false) => Self::Never,
        }
    }
}

/// Heads up to this length wait in a session's own storage, which it keeps.
pub(super) const HEAD_MAX: usize = 2048;

/// How the body ends as it comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The head has not come, or everything has.
    #[default]
    Done,
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunked),
    /// When the sender closes.
    UntilClose,
}

/// One direction of a session.
#[derive(Debug, Default)]
pub struct Pipe {
    /// Received and not yet understood: a partial head, a body that must wait, the next request.
    pub input: Option<Buffer>,
    /// A head that waits to be sent, before `output`: it costs its own length and no buffer, so
    /// that thousands of connections may be on their way at once.
    pub head: Vec<u8>,
    /// So many bytes of `head`, its first, are of the connection and not of the message: they
    /// introduce the client, and another connection has its own.
    lead: usize,
    /// Understood and not yet sent, in order.
    pub output: [Option<Buffer>; 2],
    /// How the body ends.
    pub source: Source,
    /// The body came in chunks.
    pub chunked: bool,
    /// The body leaves in chunks.
    pub rechunk: bool,
    /// Only the close of the connection tells the receiver that the body is over.
    pub ends_by_close: bool,
    /// Behind what is delivered next the connection is closed at once.
    pub closes: bool,
    /// The receiving side has been told that nothing more comes (tunnels).
    pub shut: bool,
    /// Body bytes understood so far.
    pub moved: u64,
    /// Bytes of the message that left so far, heads and chunk lines included.
    pub sent: u64,
    /// Bytes of trailers passed on, as the log counts them: names and values.
    pub trailers: u64,
    /// When to splice.
    pub splice: Splice,
    /// The last receive filled its buffer: there is a stream worth splicing.
    pub streams: bool,
    /// What is lent, with so many bytes in it: they came before what is in `output`.
    pub tube: Option<(Tube, usize)>,
    /// What was sent, where it may have to be sent once more.
    pub replay: Replay,
}

/// A message as it is sent, kept while it may have to be sent once more.
#[derive(Debug, Default)]
pub struct Replay {
    bytes: Vec<u8>,
    /// So many bytes at most; 0 when it is not kept.
    most: usize,
}

impl Replay {
    /// A message begins, of which at most so many bytes are kept; 0 for none.
    pub fn begin(&mut self, most: usize) {
        self.bytes.clear();
        self.most = most;
    }

    /// The next bytes of the message; one that is too long is not kept any more.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.most == 0 {
            return;
        }
        if bytes.len() > self.most.saturating_sub(self.bytes.len()) {
            return self.begin(0);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// All of the message that was sent so far is here.
    pub fn is_kept(&self) -> bool {
        self.most > 0
    }
}

impl Pipe {
    /// Nothing waits to be sent.
    pub fn is_flushed(&self) -> bool {
        self.head.is_empty() && self.output[0].is_none() && self.in_tube() == 0
    }

    /// Bytes that are in a tube.
    pub fn in_tube(&self) -> usize {
        self.tube.as_ref().map_or(0, |(_, held)| *held)
    }

    /// Whether the next bytes of the body may pass through a tube: as they are, and worth it.
    fn may_splice(&self) -> bool {
        if self.splice == Splice::Never || self.rechunk || self.replay.is_kept() {
            return false;
        }
        let always = self.splice == Splice::Always;
        match self.source {
            Source::Length(left) => always || left >= SPLICE_AUTO_MIN,
            Source::UntilClose => always || self.streams,
            Source::Chunked(_) | Source::Done => false,
        }
    }

    /// Gives a tube back that nothing will use next.
    fn return_tube<N: Net>(&mut self, net: &mut N) {
        if let Some((tube, held)) = self.tube.take() {
            net.return_tube(tube, held);
        }
    }

    /// All has come and all has been sent.
    pub fn is_finished(&self) -> bool {
        self.source == Source::Done && self.is_flushed()
    }

    /// What only a close would end is not over, so that a close would lie.
    pub fn is_open_ended(&self) -> bool {
        self.ends_by_close && !self.is_finished()
    }

    /// Gives every buffer back and forgets the message.
    pub fn reset<N: Net>(&mut self, net: &mut N, pool: &mut Pool) {
        self.return_tube(net);
        let Self {
            input,
            head,
            lead,
            output,
            source,
            chunked,
            rechunk,
            ends_by_close,
            closes,
            shut,
            moved,
            sent,
            trailers,
            splice,
            streams,
            tube: _,
            replay,
        } = self;
        for buffer in output.iter_mut().chain([input]) {
            if let Some(buffer) = buffer.take() {
                pool.give_back(buffer);
            }
        }
        head.clear();
        replay.begin(0);
        (*lead, *moved, *sent, *trailers) = (0, 0, 0, 0);
        (*chunked, *rechunk, *ends_by_close) = (false, false, false);
        (*closes, *shut, *streams) = (false, false, false);
        (*source, *splice) = (Source::Done, Splice::Never);
    }

    /// Forgets what waits to be sent.
    pub fn reset_output<N: Net>(&mut self, net: &mut N, pool: &mut Pool) {
        self.return_tube(net);
        self.head.clear();
        self.lead = 0;
        self.sent = 0;
        for buffer in &mut self.output {
            if let Some(buffer) = buffer.take() {
                pool.give_back(buffer);
            }
        }
    }

    /// What was kept waits to be sent once more, and nothing else; false when there is no room.
    #[must_use]
    pub fn rewind<N: Net>(&mut self, net: &mut N, pool: &mut Pool) -> bool {
        self.reset_output(net, pool);
        let replay = std::mem::take(&mut self.replay);
        let fits = self.queue(&replay.bytes, pool);
        self.replay = replay;
        fits
    }

    /// Queues a buffer behind what already waits.
    pub fn push(&mut self, buffer: Buffer, pool: &mut Pool) {
        if buffer.is_empty() {
            pool.give_back(buffer);
            return;
        }
        let slot = usize::from(self.output[0].is_some());
        debug_assert!(self.output[slot].is_none(), "a third block to send");
        self.output[slot] = Some(buffer);
    }

    /// Puts bytes of the connection before all that waits: nothing of it has left yet.
    pub fn precede(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.in_tube(), 0, "what is in a tube leaves first");
        debug_assert_eq!(self.lead, 0, "a connection is introduced once");
        self.head.splice(..0, bytes.iter().copied());
        self.lead = bytes.len();
    }

    /// Takes back what was to precede the message on a connection that is gone.
    pub fn take_back_lead(&mut self) {
        self.head.drain(..self.lead.min(self.head.len()));
        self.lead = 0;
    }

    /// So many bytes have left the head's beginning, or what lies behind it.
    fn left(&mut self, bytes: usize) {
        let of_lead = bytes.min(self.lead);
        self.lead -= of_lead;
        self.sent += (bytes - of_lead) as u64;
    }

    /// Queues bytes behind what already waits; false when they fit nowhere.
    #[must_use]
    pub fn queue(&mut self, bytes: &[u8], pool: &mut Pool) -> bool {
        if bytes.is_empty() {
            return true;
        }
        if self.is_flushed() && bytes.len() <= HEAD_MAX {
            self.head.extend_from_slice(bytes);
            return true;
        }
        let Some(mut buffer) = pool.lend() else {
            return false;
        };
        let fits = buffer.extend(bytes) == bytes.len();
        self.push(buffer, pool);
        fits
    }
}

/// One socket and what is known of its readiness.
#[derive(Debug)]
pub struct End<'a> {
    /// The socket.
    pub socket: &'a Socket,
    /// Its remembered edges.
    pub ready: &'a mut Readiness,
}

/// Why [`pump`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pumped {
    /// The sender has nothing to read.
    Starved,
    /// The receiver takes no more.
    Blocked,
    /// The message has been moved to its end.
    Done,
    /// The sender closed before the end of its message.
    CutShort,
    /// The sender's connection broke.
    SenderFailed(i32),
    /// The receiver's connection broke.
    ReceiverFailed(i32),
    /// The sender's body cannot be understood.
    Refused(Refusal),
    /// No buffer is left.
    NoBuffer,
    /// Enough for one turn: there may be more to do at once.
    Spent,
}

/// What sending came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Everything left.
    All,
    /// The rest waits in the pipe.
    Part,
    /// The connection broke.
    Failed(i32),
    /// No buffer is left to keep the rest in.
    NoBuffer,
}

/// Receives into the free part of a buffer and keeps the readiness bit true to what is known: a
/// short receive means that the socket is drained, unless its end is already announced.
///
/// # Errors
/// As [`Net::recv`].
pub fn receive<N: Net>(
    net: &mut N,
    from: &mut End<'_>,
    buffer: &mut Buffer,
) -> Result<usize, Stop> {
    let room = buffer.writable().len().saturating_sub(BUFFER_RESERVE);
    let room = if room == 0 {
        buffer.compact();
        buffer.writable().len().saturating_sub(BUFFER_RESERVE)
    } else {
        room
    };
    if room == 0 {
        return Err(Stop::Blocked);
    }
    let into = buffer.writable().get_mut(..room).unwrap_or_default();
    let result = net.recv(from.socket, into);
    match result {
        Ok(n) => {
            buffer.filled(n);
            if n < room
                && !from
                    .ready
                    .has(Readiness(Readiness::READ_CLOSED.0 | Readiness::ERROR.0))
            {
                from.ready.clear(Readiness::READABLE);
            }
        }
        Err(Stop::Blocked) => from.ready.clear(Readiness::READABLE),
        // The kernel will say so as well, but the session may end before that.
        Err(Stop::Closed) => from.ready.add(Readiness::READ_CLOSED),
        Err(Stop::Failed(_) | Stop::NoSource(_)) => {}
    }
    result
}

/// Sends what waits in the pipe.
pub fn flush<N: Net>(net: &mut N, pool: &mut Pool, to: &mut End<'_>, pipe: &mut Pipe) -> Sent {
    while !pipe.is_flushed() {
        if !to.ready.has(Readiness::WRITABLE) {
            return Sent::Part;
        }
        if pipe.in_tube() > 0 {
            match drain_tube(net, to, pipe) {
                Sent::All => continue,
                stopped => return stopped,
            }
        }
        let [first, second] = &pipe.output;
        let readable = |buffer: &'_ Option<Buffer>| buffer.as_ref().map_or(0, Buffer::len);
        let (head, body, total) = match (pipe.head.as_slice(), first, second) {
            ([], Some(first), second) => (
                first.readable(),
                second.as_ref().map_or(&[][..], Buffer::readable),
                first.len() + readable(second),
            ),
            (head, first, _) => (
                head,
                first.as_ref().map_or(&[][..], Buffer::readable),
                head.len() + readable(first),
            ),
        };
        match net.send(to.socket, head, body, false) {
            Ok(n) => {
                if n < total {
                    to.ready.clear(Readiness::WRITABLE);
                }
                pipe.left(n);
                let of_head = n.min(pipe.head.len());
                pipe.head.drain(..of_head);
                let mut left = n - of_head;
                while let Some(mut buffer) = pipe.output[0].take() {
                    let used = left.min(buffer.len());
                    buffer.consume(used);
                    left -= used;
                    if buffer.is_empty() {
                        pool.give_back(buffer);
                        pipe.output[0] = pipe.output[1].take();
                    } else {
                        pipe.output[0] = Some(buffer);
                        break;
                    }
                }
            }
            Err(Stop::Blocked) => {
                to.ready.clear(Readiness::WRITABLE);
                return Sent::Part;
            }
            Err(Stop::Closed) => return Sent::Failed(0),
            Err(Stop::Failed(errno) | Stop::NoSource(errno)) => return Sent::Failed(errno),
        }
    }
    Sent::All
}

/// Sends what is in the tube.
fn drain_tube<N: Net>(net: &mut N, to: &mut End<'_>, pipe: &mut Pipe) -> Sent {
    let Some((tube, held)) = &mut pipe.tube else {
        return Sent::All;
    };
    while *held > 0 {
        match net.empty_tube(tube, to.socket, *held) {
            Ok(n) => {
                *held = held.saturating_sub(n);
                pipe.sent += n as u64;
            }
            Err(Stop::Blocked) => {
                to.ready.clear(Readiness::WRITABLE);
                return Sent::Part;
            }
            Err(Stop::Closed) => return Sent::Failed(0),
            Err(Stop::Failed(errno) | Stop::NoSource(errno)) => return Sent::Failed(errno),
        }
    }
    Sent::All
}

/// Moves bytes of the body from the sender into a tube; `None` when there is no tube to be had.
fn fill_tube<N: Net>(net: &mut N, from: &End<'_>, pipe: &mut Pipe) -> Option<Result<(), Stop>> {
    let (tube, held) = match pipe.tube.take() {
        Some(lent) => lent,
        None => (net.lend_tube()?, 0),
    };
    debug_assert_eq!(held, 0, "what came before is sent first");
    let most = match pipe.source {
        Source::Length(left) => usize::try_from(left).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let filled = net.fill_tube(from.socket, &tube, most.min(TUBE_FILL_MAX));
    pipe.tube = Some((tube, *filled.as_ref().unwrap_or(&0)));
    Some(filled.map(|n| {
        pipe.moved += n as u64;
        if let Source::Length(left) = &mut pipe.source {
            *left = left.saturating_sub(n as u64);
            if *left == 0 {
                pipe.source = Source::Done;
            }
        }
    }))
}

/// Receives what lies behind a body that was spliced: asked for no more than the body, the socket
/// did not say that it is drained, and an idle connection must be known to be.
fn look_behind<N: Net>(net: &mut N, pool: &mut Pool, from: &mut End<'_>, pipe: &mut Pipe) {
    let Some(mut buffer) = pool.lend() else {
        return;
    };
    match receive(net, from, &mut buffer) {
        Ok(_) => pipe.input = Some(buffer),
        Err(_) => pool.give_back(buffer),
    }
}

/// Sends `head` and then the readable part of `body`, at once when nothing waits before them; what
/// the socket does not take waits in the pipe. A short body is moved behind the head. `body` is
/// given back or kept.
pub fn deliver<N: Net>(
    net: &mut N,
    pool: &mut Pool,
    to: &mut End<'_>,
    pipe: &mut Pipe,
    head: &mut Vec<u8>,
    mut body: Buffer,
) -> Sent {
    pipe.replay.add(head);
    pipe.replay.add(body.readable());
    if !head.is_empty() && body.len() <= JOINED_MAX {
        head.extend_from_slice(body.readable());
        body.clear();
    }
    let total = head.len() + body.len();
    let mut sent = 0;
    if pipe.is_flushed() && total > 0 && to.ready.has(Readiness::WRITABLE) {
        // One segment carries the end of the connection with the end of what is sent.
        match net.send(to.socket, head, body.readable(), pipe.closes) {
            Ok(n) => sent = n,
            Err(Stop::Blocked) => {}
            Err(stop) => {
                // Another connection may take it.
                let fits = pipe.queue(head, pool);
                pipe.push(body, pool);
                return match (fits, stop) {
                    (false, _) => Sent::NoBuffer,
                    (true, Stop::Failed(errno)) => Sent::Failed(errno),
                    (true, _) => Sent::Failed(0),
                };
            }
        }
        if sent < total {
            to.ready.clear(Readiness::WRITABLE);
        }
    }
    pipe.sent += sent as u64;
    let head_left = head.get(sent.min(head.len())..).unwrap_or_default();
    body.consume(sent.saturating_sub(head.len()));
    let fits = pipe.queue(head_left, pool);
    pipe.push(body, pool);
    match (fits, sent == total) {
        (false, _) => Sent::NoBuffer,
        (true, true) => Sent::All,
        (true, false) => Sent::Part,
    }
}

/// What one block of input comes to: `prefix` has been appended to, and the readable part of the
/// buffer that was cut down to the body bytes to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The message ended in this block.
    pub done: bool,
}

/// Understands the bytes of `buffer` as the next part of a body. Afterwards `buffer` holds what is
/// to be sent after `prefix` (to which a chunk's size line may have been appended) and `pipe.input`
/// what lies behind the message's end.
///
/// # Errors
/// A body that cannot be understood: nothing of the block may be sent.
pub fn understand(
    pipe: &mut Pipe,
    pool: &mut Pool,
    buffer: &mut Buffer,
    prefix: &mut Vec<u8>,
) -> Result<Block, Pumped> {
    let available = buffer.len();
    match &mut pipe.source {
        Source::Done => Ok(Block { done: true }),
        Source::UntilClose => {
            pipe.moved += available as u64;
            if pipe.rechunk && available > 0 {
                chunk_around(buffer, prefix);
            }
            Ok(Block { done: false })
        }
        Source::Length(left) => {
            let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
            *left -= taken as u64;
            pipe.moved += taken as u64;
            let done = *left == 0;
            if done {
                pipe.source = Source::Done;
            }
            if taken < available {
                keep_surplus(pipe, pool, buffer, taken)?;
            }
            Ok(Block { done })
        }
        Source::Chunked(decoder) => {
            let decoded = decoder
                .decode(buffer.readable_mut())
                .map_err(Pumped::Refused)?;
            if decoded.done {
                pipe.source = Source::Done;
            }
            pipe.moved += decoded.data.len() as u64;
            if pipe.rechunk && !decoded.trailer.is_empty() {
                let lines = decoded.trailer.of(buffer.readable());
                let ends = lines.iter().filter(|byte| **byte == b'\n').count();
                // A line's colon, blank, CR and LF are not counted.
                pipe.trailers += lines.len().saturating_sub(4 * ends) as u64;
            }
            if decoded.consumed < available {
                keep_surplus(pipe, pool, buffer, decoded.consumed)?;
            }
            recut(pipe.rechunk, buffer, prefix, &decoded);
            Ok(Block { done: decoded.done })
        }
    }
}

/// Moves what lies behind the first `taken` readable bytes to `pipe.input`.
fn keep_surplus(
    pipe: &mut Pipe,
    pool: &mut Pool,
    buffer: &mut Buffer,
    taken: usize,
) -> Result<(), Pumped> {
    let mut rest = pool.lend().ok_or(Pumped::NoBuffer)?;
    let surplus = buffer.readable().get(taken..).unwrap_or_default();
    let copied = rest.extend(surplus);
    debug_assert_eq!(copied, surplus.len());
    buffer.truncate(taken);
    debug_assert!(pipe.input.is_none(), "input that was not understood first");
    pipe.input = Some(rest);
    Ok(())
}

/// Makes one chunk of the readable part: size line in `prefix`, CRLF behind.
fn chunk_around(buffer: &mut Buffer, prefix: &mut Vec<u8>) {
    prefix.extend_from_slice(size_line(buffer.len(), &mut [0; 20]));
    let copied = buffer.extend(b"\r\n");
    debug_assert_eq!(copied, 2, "receives leave room behind");
}

/// Leaves in `buffer` (and `prefix`) what is sent for a decoded block: one chunk with the data, and
/// the zero chunk with trailers when the end has come.
fn recut(
    rechunk: bool,
    buffer: &mut Buffer,
    prefix: &mut Vec<u8>,
    decoded: &crate::http::chunked::Decoded,
) {
    let data = decoded.data.len();
    let trailer = if rechunk { decoded.trailer.len() } else { 0 };
    if rechunk && data > 0 {
        prefix.extend_from_slice(size_line(data, &mut [0; 20]));
    }
    if !rechunk || (!decoded.last && trailer == 0 && !decoded.done) {
        buffer.consume(decoded.data.start as usize);
        buffer.truncate(data);
        if rechunk && data > 0 {
            let copied = buffer.extend(b"\r\n");
            debug_assert_eq!(copied, 2, "receives leave room behind");
        }
        return;
    }
    // The end of a message: trailer bytes stand where they came, perhaps right behind the data, so
    // all of it goes by way of `prefix`, which costs one copy of this last block.
    let bytes = buffer.readable();
    prefix.extend_from_slice(decoded.data.of(bytes));
    if data > 0 {
        prefix.extend_from_slice(b"\r\n");
    }
    if decoded.last {
        prefix.extend_from_slice(b"0\r\n");
    }
    prefix.extend_from_slice(decoded.trailer.of(bytes));
    if decoded.done {
        prefix.extend_from_slice(b"\r\n");
    }
    buffer.clear();
}

/// Moves body bytes until something stops it. `scratch` is empty before and after.
pub fn pump<N: Net>(
    net: &mut N,
    pool: &mut Pool,
    scratch: &mut Vec<u8>,
    mut from: End<'_>,
    mut to: End<'_>,
    pipe: &mut Pipe,
) -> Pumped {
    for _ in 0..BLOCKS_PER_TURN_MAX {
        match flush(net, pool, &mut to, pipe) {
            Sent::All => {}
            Sent::Part => return Pumped::Blocked,
            Sent::Failed(errno) => return Pumped::ReceiverFailed(errno),
            Sent::NoBuffer => return Pumped::NoBuffer,
        }
        if pipe.source == Source::Done {
            pipe.return_tube(net);
            return Pumped::Done;
        }
        let mut buffer = match pipe.input.take() {
            Some(waiting) => waiting,
            None => {
                if !from.ready.has(Readiness::READABLE) {
                    return Pumped::Starved;
                }
                if pipe.may_splice() {
                    match fill_tube(net, &from, pipe) {
                        Some(Ok(())) => {
                            if pipe.source == Source::Done {
                                look_behind(net, pool, &mut from, pipe);
                            }
                            continue;
                        }
                        Some(Err(stop)) => {
                            pipe.return_tube(net);
                            if stop == Stop::Blocked {
                                from.ready.clear(Readiness::READABLE);
                            }
                            match ended(stop, pipe, pool) {
                                Some(why) => return why,
                                None => continue,
                            }
                        }
                        None => {}
                    }
                }
                let Some(mut buffer) = pool.lend() else {
                    return Pumped::NoBuffer;
                };
                match receive(net, &mut from, &mut buffer) {
                    Ok(_) => {
                        pipe.streams = buffer.writable().len() <= BUFFER_RESERVE;
                        buffer
                    }
                    Err(stop) => {
                        pool.give_back(buffer);
                        match ended(stop, pipe, pool) {
                            Some(why) => return why,
                            None => continue,
                        }
                    }
                }
            }
        };
        scratch.clear();
        if let Err(why) = understand(pipe, pool, &mut buffer, scratch) {
            // Whoever refuses it may want to see it.
            pipe.input = Some(buffer);
            return why;
        }
        let sent = deliver(net, pool, &mut to, pipe, scratch, buffer);
        match sent {
            Sent::All => {}
            Sent::Part => return Pumped::Blocked,
            Sent::Failed(errno) => return Pumped::ReceiverFailed(errno),
            Sent::NoBuffer => return Pumped::NoBuffer,
        }
    }
    Pumped::Spent
}

/// What it means that nothing could be received; `None` when the body has come to its end by it.
fn ended(stop: Stop, pipe: &mut Pipe, pool: &mut Pool) -> Option<Pumped> {
    match stop {
        Stop::Blocked => Some(Pumped::Starved),
        Stop::Closed if pipe.source == Source::UntilClose => {
            pipe.source = Source::Done;
            let fits = !pipe.rechunk || pipe.queue(b"0\r\n\r\n", pool);
            (!fits).then_some(Pumped::NoBuffer)
        }
        Stop::Closed => Some(Pumped::CutShort),
        Stop::Failed(errno) | Stop::NoSource(errno) => Some(Pumped::SenderFailed(errno)),
    }
}
