//! What the forms of the statistics page ask for (`stats admin`): the parameters of a POST to
//! changes, and the code that the redirect back tells.
//!
//! Parameters are HAProxy's: `b` the backend by name or `#number`, `s` a server, as often as there
//! are, and `action`; of two backends or actions the last counts. The answers are its codes.

use crate::config::model::{Proxy, ProxyId, Server};
use crate::engine::checks::Wish;
use crate::engine::service::{Admin, Command, Mode, Op, View};

/// What became of it, as `;st=` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// All of it is done.
    Done,
    /// Nothing was to be changed.
    None,
    /// A server is not known; the others are done.
    Part,
    /// Backend, action or every server is not known.
    Wrong,
    /// It does not fit into a buffer.
    TooLong,
    /// The client may not.
    Denied,
}

impl Code {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::None => "NONE",
            Self::Part => "PART",
            Self::Wrong => "ERRP",
            Self::TooLong => "EXCD",
            Self::Denied => "DENY",
        }
    }
}

/// Reads the body of a POST. `shown` are the proxies of `stats scope`; what is not shown cannot be
/// changed.
pub(super) fn run(body: &[u8], shown: Option<&[ProxyId]>, view: &View<'_>) -> (Code, Vec<Command>) {
    let mut backend = None;
    let mut action = None;
    let mut names = Vec::new();
    for part in body.split(|byte| *byte == b'&') {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next().unwrap_or_default());
        let value = decode(halves.next().unwrap_or_default());
        match name.as_slice() {
            b"b" => backend = Some(value),
            b"action" => action = Some(value),
            b"s" => names.push(value),
            _ => {}
        }
    }
    let (Some(backend), Some(action)) = (backend, action) else {
        return (Code::None, Vec::new());
    };
    let is_shown = |proxy: &&Proxy| shown.is_none_or(|shown| shown.contains(&proxy.id));
    let found = find_backend(&backend, view).filter(is_shown);
    let (Some(proxy), Some(action)) = (found, Action::of(&action)) else {
        return (Code::Wrong, Vec::new());
    };
    let mut commands = Vec::new();
    let (mut changed, mut unknown) = (0_usize, 0_usize);
    for name in &names {
        let mut servers = view.roster.of(proxy);
        match servers.find(|server| server.name.as_bytes() == name) {
            Some(server) => {
                if let Some(command) = action.on(server, view) {
                    changed = changed.saturating_add(1);
                    commands.push(command);
                }
            }
            None => unknown = unknown.saturating_add(1),
        }
    }
    let code = match (changed, unknown) {
        (0, 0) => Code::None,
        (0, _) => Code::Wrong,
        (_, 0) => Code::Done,
        _ => Code::Part,
    };
    (code, commands)
}

fn find_backend<'a>(name: &[u8], view: &View<'a>) -> Option<&'a Proxy> {
    let number = name
        .strip_prefix(b"#")
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    let mut backends = view.config.proxies.iter().filter(|proxy| proxy.is_backend);
    backends.find(|proxy| match number {
        Some(number) => proxy.number == number,
        None => proxy.name.as_bytes() == name,
    })
}

/// What is to be done with each server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Its administrative state.
    Mode(Mode),
    /// Into maintenance or out of it, unless it is there already.
    Maintenance(bool),
    /// What its checks found.
    Health(Op),
    /// Its checks go on, or rest.
    Checks(bool),
    /// Its sessions end.
    Shutdown,
    /// Its agent is asked again, or no more.
    Agent(bool),
    /// What its agent says.
    AgentWord(bool),
}

impl Action {
    fn of(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"ready" | b"start" => Self::Mode(Mode::Ready),
            b"drain" | b"stop" => Self::Mode(Mode::Drain),
            b"maint" => Self::Mode(Mode::Maint),
            b"disable" => Self::Maintenance(true),
            b"enable" => Self::Maintenance(false),
            b"hrunn" => Self::Health(Op::Running),
            b"hnolb" => Self::Health(Op::Stopping),
            b"hdown" => Self::Health(Op::Stopped),
            b"ehlth" => Self::Checks(true),
            b"dhlth" => Self::Checks(false),
            b"shutdown" => Self::Shutdown,
            b"eagent" => Self::Agent(true),
            b"dagent" => Self::Agent(false),
            b"arunn" => Self::AgentWord(true),
            b"adown" => Self::AgentWord(false),
            _ => return None,
        })
    }

    /// The change to one server; `None` when there is none to be made.
    fn on(self, server: &Server, view: &View<'_>) -> Option<Command> {
        let record = view.servers.get(server.id.0 as usize)?;
        let wish = match self {
            Self::Mode(mode) => Wish::Mode(mode),
            Self::Maintenance(on) if record.admin.any(Admin::MAINT) == on => return None,
            Self::Maintenance(true) => Wish::Disable,
            Self::Maintenance(false) => Wish::Enable,
            Self::Health(_) if server.track.is_some() => return None,
            Self::Health(op) => Wish::Health(op),
            Self::Checks(_) if server.check.is_none() => return None,
            Self::Checks(on) => Wish::Checks(on),
            Self::Shutdown => return Some(Command::ShutSessions(server.id)),
            Self::Agent(_) | Self::AgentWord(_) if server.agent.is_none() => return None,
            Self::Agent(on) => Wish::Agent(on),
            Self::AgentWord(_) if record.agent.is_none() => return None,
            Self::AgentWord(up) => Wish::AgentWord(up),
        };
        Some(Command::Server(server.id, wish))
    }
}

/// Undoes `application/x-www-form-urlencoded`; a `%` without two digits stands for itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        match (byte, bytes.as_slice()) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, ..]) => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    out.push(u8::try_from((high << 4) | low).unwrap_or(byte));
                    bytes.nth(1);
                }
                _ => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        for (text, expected) in [
            ("a+b", "a b"),
            ("%61%62", "ab"),
            ("%2B", "+"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("%4", "%4"),
            ("", ""),
        ] {
            assert_eq!(decode(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}
