//! `option redis-check`: a `PING`, to which only `+PONG` is a good answer.

use super::{Judgement, first_line};
use crate::check::probe::Status;

/// What is said.
pub(super) const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// HAProxy looks for the answer anywhere and waits for it as long as it may, so that an error of
/// the server's is told only when it closes.
pub(super) fn judge(input: &[u8], ended: bool) -> Judgement<'static> {
    if input.windows(PONG.len()).any(|bytes| bytes == PONG) {
        return Judgement::done(Status::L7Ok, 0, b"Redis server is ok");
    }
    match ended {
        true => Judgement::done(Status::L7Status, 0, first_line(input)),
        false => Judgement::Wait,
    }
}
