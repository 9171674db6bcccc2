//! Checks that speak the protocol of a kind of server: one file each, one variant each.
//!
//! A file knows what its protocol says first and what an answer means; the way of a check (connect,
//! speak, listen, judge) is the same for all and is here. An answer may come in any pieces: what
//! is not whole is waited for, and only the end of the connection settles it. Statuses, codes and
//! texts are those of HAProxy's checks of the same names, so that what reads its log and its
//! statistics reads ours.

pub mod ldap;
pub mod mysql;
pub mod pgsql;
pub mod redis;
pub mod smtp;

use super::conversation::{Action, Connect, Desk, Ending, Event};
use super::probe::Status;

/// A protocol with what its line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `option smtpchk`.
    Smtp(smtp::Hello),
    /// `option redis-check`.
    Redis,
    /// `option mysql-check`; with a user it also logs in.
    Mysql(Option<mysql::Login>),
    /// `option pgsql-check`.
    Pgsql(pgsql::Startup),
    /// `option ldap-check`.
    Ldap,
}

/// How far a check in one of these protocols is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The answer that is waited for, from 1; 0 until there is a connection.
    pub step: u8,
    /// The end of the line before is still to come, and is no part of the answer.
    pub tail: bool,
}

/// What a file makes of an answer so far.
#[derive(Debug, PartialEq, Eq)]
enum Judgement<'a> {
    /// It is not whole.
    Wait,
    /// It is good: this is said next, and another answer waited for.
    Say(&'a [u8]),
    /// It settles the check.
    Done(Ending),
}

impl Judgement<'_> {
    fn done(status: Status, code: u32, info: &[u8]) -> Self {
        Self::Done(Ending {
            status,
            code,
            info: info.to_vec(),
        })
    }
}

impl Protocol {
    /// What to do after an event.
    pub fn on(&self, event: Event<'_>, state: &mut State, desk: &mut Desk) -> Action {
        let (status, info) = match event {
            Event::Start => {
                *state = State::default();
                return Action::Connect(Connect {
                    linger: self.lingers(),
                    ..Connect::default()
                });
            }
            Event::Connected => {
                state.step = 1;
                let opening = self.opening();
                desk.output.extend_from_slice(opening);
                return match opening {
                    b"" => Action::Receive,
                    _ => Action::Send,
                };
            }
            Event::Sent => return Action::Receive,
            Event::Received { ended } => return self.answered(state, desk, ended),
            Event::Failed(words) if state.step == 0 => (Status::L4Failed, words),
            Event::Failed(words) => {
                // What came before the connection broke counts as an answer.
                if !desk.input.is_empty()
                    && let Action::Done(ending) = self.answered(state, desk, true)
                {
                    return Action::Done(ending);
                }
                (Status::SocketError, words)
            }
            Event::TimedOut { connected: false } => (Status::L4Timeout, ""),
            Event::TimedOut { connected: true } => (Status::L7Timeout, ""),
        };
        Action::Done(Ending::new(status, info))
    }

    /// Judges what has come; `ended` when nothing more will.
    fn answered(&self, state: &mut State, desk: &mut Desk, ended: bool) -> Action {
        if state.tail {
            let line = desk.input.iter().position(|byte| *byte == b'\n');
            state.tail = line.is_none();
            let len = line.map_or(desk.input.len(), |at| at.saturating_add(1));
            desk.input.drain(..len.min(desk.input.len()));
        }
        if desk.input.is_empty() {
            return match ended {
                true => Action::Done(self.silence(state.step)),
                false => Action::Receive,
            };
        }
        let input = desk.input.as_slice();
        let judgement = match self {
            Self::Smtp(hello) => hello.judge(state.step, input, ended),
            Self::Redis => redis::judge(input, ended),
            Self::Mysql(login) => mysql::judge(login.is_some(), input, ended),
            Self::Pgsql(_) => pgsql::judge(input, ended),
            Self::Ldap => ldap::judge(input, ended),
        };
        match judgement {
            Judgement::Done(ending) => Action::Done(ending),
            Judgement::Wait if ended => Action::Done(Ending::new(Status::L7Invalid, "")),
            Judgement::Wait => Action::Receive,
            Judgement::Say(words) => {
                desk.output.extend_from_slice(words);
                state.step = state.step.saturating_add(1);
                // What is left of the line, or of one behind it, is not the next answer.
                state.tail = input.last() != Some(&b'\n');
                desk.input.clear();
                Action::Send
            }
        }
    }

    /// What is said as soon as the connection is there; nothing where the server speaks first.
    fn opening(&self) -> &[u8] {
        match self {
            Self::Smtp(_) | Self::Mysql(None) => b"",
            Self::Redis => redis::PING,
            Self::Mysql(Some(login)) => login.packets(),
            Self::Pgsql(startup) => startup.message(),
            Self::Ldap => ldap::BIND,
        }
    }

    /// Servers that log or count connections that were reset are left in good order.
    const fn lingers(&self) -> bool {
        matches!(self, Self::Smtp(_) | Self::Mysql(_) | Self::Pgsql(_))
    }

    /// The connection was closed where an answer was due. HAProxy counts the connection (where a
    /// protocol has a rule for it), what is said and what is expected as steps of one list.
    fn silence(&self, step: u8) -> Ending {
        let (status, step) = match self {
            Self::Smtp(_) if step > 1 => (Status::L7Status, step.saturating_mul(2) | 1),
            Self::Smtp(_) | Self::Mysql(None) | Self::Ldap => (Status::L7Invalid, 2),
            Self::Redis => (Status::L7Status, 2),
            Self::Mysql(Some(_)) | Self::Pgsql(_) => (Status::L7Invalid, 3),
        };
        Ending::new(
            status,
            format!("TCPCHK got an empty response at step {step}"),
        )
    }
}

/// Up to the end of the first line.
fn first_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Up to the first NUL.
fn to_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
