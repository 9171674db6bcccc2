//! An agent check: the line in which a server's agent says what it is worth (configuration.txt 5.2,
//! "agent-check").
//!
//! The agent is connected to, told `agent-send` if there is any, and read up to the first CR or LF.
//! Its words are orders (`ready`, `drain`, `maint`, a weight, `maxconn:`), a state (`up`, `down`,
//! `fail`, `stopped`) and a text behind `#`. Of several orders of one kind the last one counts, of
//! several mistakes the first one is told. An agent that cannot be reached says nothing: that is
//! what checks are for.
//!
//! What the orders do is the engine's to say; here nothing is known of servers.

use super::conversation::{Action, Connect, Desk, Ending, Event};
use super::probe::Status;

/// The longest text that is kept of an answer, bytes.
const TEXT_MAX: usize = 127;

/// How an agent is connected to: in good order, and it may speak first.
const CONNECT: Connect = Connect {
    port: None,
    address: None,
    send_proxy: false,
    as_server: false,
    linger: true,
    server_speaks: true,
};

/// What the agent wants of the administrative state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ready`.
    Ready,
    /// `drain`.
    Drain,
    /// `maint`.
    Maint,
}

/// What an agent said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The administrative state.
    pub mode: Option<Mode>,
    /// The weight, percent of the configured one.
    pub weight: Option<u64>,
    /// The most sessions at once, 0 for any number.
    pub maxconn: Option<u32>,
    /// How the check ended.
    pub ending: Ending,
}

/// How far one question to an agent is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    connected: bool,
}

impl Question {
    /// What to do after an event. `send` is what the agent is told first.
    pub fn on(&mut self, event: Event<'_>, send: &[u8], desk: &mut Desk) -> Action {
        Action::Done(match event {
            Event::Start => return Action::Connect(CONNECT),
            Event::Connected => {
                self.connected = true;
                if send.is_empty() {
                    return Action::Receive;
                }
                desk.output.extend_from_slice(send);
                return Action::Send;
            }
            Event::Sent => return Action::Receive,
            Event::Received { ended } => match (line_of(&desk.input), ended) {
                (Some(line), _) => Answer::of(line).ending,
                (None, false) => return Action::Receive,
                (None, true) if desk.input.is_empty() => {
                    // The first step is what is sent, if anything is.
                    let step = if send.is_empty() { 1 } else { 2 };
                    let text = format!("TCPCHK got an empty response at step {step}");
                    Ending::new(Status::L7Invalid, text)
                }
                (None, true) => {
                    let text = "Ignoring incomplete line from agent";
                    Ending::new(Status::L7Invalid, text)
                }
            },
            Event::Failed(words) if self.connected => Ending::new(Status::SocketError, words),
            Event::Failed(words) => Ending::new(Status::L4Failed, words),
            Event::TimedOut { connected: true } => Ending::new(Status::L7Timeout, ""),
            Event::TimedOut { connected: false } => Ending::new(Status::L4Timeout, ""),
        })
    }
}

/// The first line of what came, without its end; none while it has no end.
pub fn line_of(input: &[u8]) -> Option<&[u8]> {
    let end = input
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))?;
    input.get(..end)
}

impl Answer {
    /// What a line says.
    pub fn of(line: &[u8]) -> Self {
        let mut answer = Self {
            mode: None,
            weight: None,
            maxconn: None,
            ending: Ending::new(Status::Checked, ""),
        };
        let (mut state, mut unknown) = (None, None);
        let (mut warning, mut text): (Option<&str>, &[u8]) = (None, b"");
        let mut rest = line;
        loop {
            rest = after(rest, is_between);
            if let Some(behind) = rest.strip_prefix(b"#") {
                text = after(behind, is_between);
                break;
            }
            let length = rest.iter().take_while(|byte| !is_between(byte)).count();
            let Some((word, behind)) = rest.split_at_checked(length).filter(|_| length > 0) else {
                break;
            };
            rest = behind;
            let lower = word.to_ascii_lowercase();
            match lower.as_slice() {
                b"up" => state = Some((Status::L7Ok, word)),
                b"down" | b"fail" | b"stopped" => state = Some((Status::L7Status, word)),
                b"ready" => answer.mode = Some(Mode::Ready),
                b"drain" => answer.mode = Some(Mode::Drain),
                b"maint" => answer.mode = Some(Mode::Maint),
                _ if word.first().is_some_and(u8::is_ascii_digit) && word.contains(&b'%') => {
                    match leading_number(word) {
                        Some((percent, b"%")) => {
                            answer.weight = Some(u64::try_from(percent).unwrap_or_default());
                        }
                        _ => {
                            warning = warning.or(Some("Trailing garbage in weight string"));
                        }
                    }
                }
                _ => match lower.strip_prefix(b"maxconn:") {
                    Some(limit) => match maxconn_of(limit) {
                        Ok(limit) => answer.maxconn = Some(limit),
                        Err(why) => warning = warning.or(Some(why)),
                    },
                    None => unknown = unknown.or(Some(word)),
                },
            }
        }
        let more = [unknown, Some(text).filter(|text| !text.is_empty())];
        let more = more.into_iter().flatten().next();
        let info = match (state, more, warning) {
            (Some((_, word)), more, warning) => {
                let mut info = [b"via agent : ", word].concat();
                if let Some(more) = more.or_else(|| warning.map(str::trim_end).map(str::as_bytes)) {
                    info.extend_from_slice(&[b" (", more, b")"].concat());
                }
                info
            }
            (None, ..) if unknown.is_some() => {
                [b"agent reports an error : ", unknown.unwrap_or_default()].concat()
            }
            (None, _, Some(warning)) => [b"agent warns : ", warning.as_bytes()].concat(),
            (None, ..) => Vec::new(),
        };
        let status = state.map_or(Status::Checked, |(status, _)| status);
        answer.ending = Ending::new(status, info.get(..TEXT_MAX).unwrap_or(&info));
        answer
    }
}

const fn is_between(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',')
}

/// What is left behind the bytes in front of which something holds.
fn after(text: &[u8], skip: impl Fn(&u8) -> bool) -> &[u8] {
    let length = text.iter().take_while(|byte| skip(byte)).count();
    text.get(length..).unwrap_or_default()
}

/// The number at the front of a word, and what stands behind it. One that is too large is the
/// largest there is.
fn leading_number(word: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, digits) = match word.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, word),
    };
    let length = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = digits.split_at_checked(length).filter(|_| length > 0)?;
    let number = digits.iter().fold(0i64, |number, digit| {
        let digit = i64::from(digit.saturating_sub(b'0'));
        number.saturating_mul(10).saturating_add(digit)
    });
    Some((number.saturating_mul(sign), rest))
}

/// The limit of `maxconn:LIMIT`. As in HAProxy a number that is too large, or too small, counts by
/// its low 32 bits.
fn maxconn_of(limit: &[u8]) -> Result<u32, &'static str> {
    if limit.is_empty() {
        return Err("Require <maxconn>.\n");
    }
    match leading_number(limit) {
        Some((limit, b"")) => Ok(limit as u32),
        Some(_) => Err("Trailing garbage in maxconn string"),
        None => Err("maxconn string empty or preceded by garbage"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines given to HAProxy 2.6.12, the status that it had of them, and its words.
    #[test]
    fn lines() {
        use Status::{Checked, L7Ok, L7Status};
        let long = "x".repeat(300);
        let long_text = format!("up # {long}");
        let rows: &[(&str, Status, &str)] = &[
            ("up", L7Ok, "via agent : up"),
            ("UP", L7Ok, "via agent : UP"),
            ("  up  ", L7Ok, "via agent : up"),
            (",,up,,", L7Ok, "via agent : up"),
            ("down", L7Status, "via agent : down"),
            ("fail", L7Status, "via agent : fail"),
            ("Stopped", L7Status, "via agent : Stopped"),
            ("stop", Checked, "agent reports an error : stop"),
            ("up down", L7Status, "via agent : down"),
            ("down up", L7Ok, "via agent : up"),
            (
                "down #some, text",
                L7Status,
                "via agent : down (some, text)",
            ),
            ("fail # spaced", L7Status, "via agent : fail (spaced)"),
            ("up # a # b", L7Ok, "via agent : up (a # b)"),
            ("up #", L7Ok, "via agent : up"),
            ("up#x", Checked, "agent reports an error : up#x"),
            ("#x", Checked, ""),
            ("", Checked, ""),
            ("garbage", Checked, "agent reports an error : garbage"),
            ("garbage foo", Checked, "agent reports an error : garbage"),
            ("up garbage", L7Ok, "via agent : up (garbage)"),
            ("up garbage # text", L7Ok, "via agent : up (garbage)"),
            (
                "garbage # text",
                Checked,
                "agent reports an error : garbage",
            ),
            ("%", Checked, "agent reports an error : %"),
            ("-5%", Checked, "agent reports an error : -5%"),
            ("101", Checked, "agent reports an error : 101"),
            (
                "5x%",
                Checked,
                "agent warns : Trailing garbage in weight string",
            ),
            (
                "1%%",
                Checked,
                "agent warns : Trailing garbage in weight string",
            ),
            (
                "5x% # t",
                Checked,
                "agent warns : Trailing garbage in weight string",
            ),
            (
                "5x% maxconn:5x",
                Checked,
                "agent warns : Trailing garbage in weight string",
            ),
            ("5x% garbage", Checked, "agent reports an error : garbage"),
            (
                "up 5x%",
                L7Ok,
                "via agent : up (Trailing garbage in weight string)",
            ),
            ("down 5x% # t", L7Status, "via agent : down (t)"),
            ("maxconn:", Checked, "agent warns : Require <maxconn>.\n"),
            (
                "maxconn:x",
                Checked,
                "agent warns : maxconn string empty or preceded by garbage",
            ),
            (
                "maxconn:5x",
                Checked,
                "agent warns : Trailing garbage in maxconn string",
            ),
        ];
        for (line, status, info) in rows {
            let ending = Answer::of(line.as_bytes()).ending;
            let found = String::from_utf8(ending.info).unwrap();
            assert_eq!((ending.status, found.as_str()), (*status, *info), "{line}");
        }
        for line in [&long, &long_text] {
            assert_eq!(Answer::of(line.as_bytes()).ending.info.len(), TEXT_MAX);
        }
    }

    /// The same, and what was made of the server.
    #[test]
    fn orders() {
        type Row = (&'static str, Option<Mode>, Option<u64>, Option<u32>);
        let rows: &[Row] = &[
            ("maint drain ready", Some(Mode::Ready), None, None),
            ("Drain", Some(Mode::Drain), None, None),
            ("maint", Some(Mode::Maint), None, None),
            ("up,50%\tmaxconn:7", None, Some(50), Some(7)),
            ("0% 300%", None, Some(300), None),
            ("99999999999999999999%", None, Some(i64::MAX as u64), None),
            ("maxconn:0", None, None, Some(0)),
            ("MAXCONN:5", None, None, Some(5)),
            ("maxconn:-5", None, None, Some(4_294_967_291)),
            ("maxconn:99999999999", None, None, Some(1_215_752_191)),
            ("up # drain 5%", None, None, None),
        ];
        for (line, mode, weight, maxconn) in rows {
            let answer = Answer::of(line.as_bytes());
            let found = (answer.mode, answer.weight, answer.maxconn);
            assert_eq!(found, (*mode, *weight, *maxconn), "{line}");
        }
    }

    #[test]
    fn a_question() {
        let done = |status, info: &str| Action::Done(Ending::new(status, info));
        let ask = |send: &[u8], events: &[(Event<'_>, &[u8])]| {
            let (mut question, mut desk) = (Question::default(), Desk::default());
            let mut actions = Vec::new();
            for (event, came) in events {
                desk.input.extend_from_slice(came);
                actions.push(question.on(*event, send, &mut desk));
            }
            (actions, desk.output)
        };
        let (start, here) = ((Event::Start, &b""[..]), (Event::Connected, &b""[..]));
        let more = |came: &'static [u8]| (Event::Received { ended: false }, came);
        let end = |came: &'static [u8]| (Event::Received { ended: true }, came);
        let (connect, receive) = (Action::Connect(CONNECT), Action::Receive);
        let whole = [start, here, more(b"u"), more(b"p\r\nx")];
        let (actions, sent) = ask(b"", &whole);
        let expected = [
            connect.clone(),
            receive.clone(),
            receive.clone(),
            done(Status::L7Ok, "via agent : up"),
        ];
        assert_eq!(
            (actions.as_slice(), sent.as_slice()),
            (&expected[..], &b""[..])
        );
        let (actions, sent) = ask(b"who\n", &[start, here, (Event::Sent, b""), end(b"")]);
        let expected = [
            connect,
            Action::Send,
            receive,
            done(Status::L7Invalid, "TCPCHK got an empty response at step 2"),
        ];
        assert_eq!(
            (actions.as_slice(), sent.as_slice()),
            (&expected[..], &b"who\n"[..])
        );
        for (event, ending) in [
            (
                end(b"up"),
                done(Status::L7Invalid, "Ignoring incomplete line from agent"),
            ),
            (
                end(b""),
                done(Status::L7Invalid, "TCPCHK got an empty response at step 1"),
            ),
            (
                (Event::Failed("Connection reset by peer"), b""),
                done(Status::SocketError, "Connection reset by peer"),
            ),
            (
                (Event::TimedOut { connected: true }, b""),
                done(Status::L7Timeout, ""),
            ),
        ] {
            assert_eq!(ask(b"", &[start, here, event]).0.last(), Some(&ending));
        }
        let refused = (Event::Failed("Connection refused"), &b""[..]);
        let late = (Event::TimedOut { connected: false }, &b""[..]);
        let words = done(Status::L4Failed, "Connection refused");
        assert_eq!(ask(b"", &[start, refused]).0.last(), Some(&words));
        let words = done(Status::L4Timeout, "");
        assert_eq!(ask(b"", &[start, late]).0.last(), Some(&words));
    }
}
