//! A check that is a list of steps: `tcp-check` and `http-check` rules.
//!
//! Steps run one after the other: connect, send, expect, set a variable. What is sent by several
//! steps in a row leaves at once; what a step expects is judged by all that has come since the
//! last one that sent or connected. Where a check ended, and why, is told in HAProxy's words, which
//! count the steps as they are written: a connection that nobody wrote is step 0.

use std::rc::Rc;

use super::answer::{self, Answer, Reading};
use super::conversation::{Action, Connect, Desk, Ending, Event};
use super::expect::{Expect, Text, Verdict};
use super::probe::Status;
use super::request::Request;
use crate::base::addr::{Address, write_decimal};
use crate::base::clock::Now;
use crate::http::head::{self, Head, Limits, Parsed, Progress};
use crate::http::rewrite::{Edits, Message};
use crate::rules::fetch::{Buffers, Expression, Sample};
use crate::rules::format::{Field, Format, Value};
use crate::rules::lists::Lists;
use crate::rules::variables::Variables;
use crate::rules::{Context, unhex};

/// What a check may ask of its server and the process.
pub trait Surroundings: Context {
    /// The server is not down.
    fn is_running(&self) -> bool;
    /// The value of `X-Haproxy-Server-State`.
    fn write_state(&self, out: &mut Vec<u8>);
}

/// What an event of a check may use.
#[derive(Debug)]
pub struct Tools<'a, C> {
    /// The server and the process.
    pub around: &'a C,
    /// The memory of expressions.
    pub buffers: &'a mut Buffers,
    /// Variables of the process.
    pub process: &'a mut Variables,
}

/// The rules of a backend's checks.
#[derive(Debug)]
pub struct Sequence {
    /// Of HTTP, with what `option httpchk` says.
    pub http: Option<Http>,
    /// The steps. The first that is not about variables connects.
    pub steps: Vec<Rc<Step>>,
    /// The first connection was not written: it does not count.
    pub unwritten: usize,
    /// There is at least one rule.
    pub has_rules: bool,
}

/// What concerns HTTP checks alone.
#[derive(Debug, Default)]
pub struct Http {
    /// `option httpchk`'s request.
    pub request: Rc<Request>,
    /// The step that says what `request` does not.
    pub first: usize,
    /// `http-check disable-on-404`
    pub disable_on_404: bool,
    /// `http-check send-state`
    pub send_state: bool,
}

/// One rule.
#[derive(Debug)]
pub enum Step {
    /// `connect`
    Connect(Box<ConnectStep>),
    /// `send` and its kin of `tcp-check`.
    Send(Payload),
    /// `http-check send`
    Request(Box<Request>),
    /// `expect`
    Expect(Box<Expect>),
    /// `comment`: it is given to the step behind it.
    Comment(Box<str>),
    /// `set-var`
    SetVariable(Box<SetVariable>),
    /// `unset-var`
    UnsetVariable(Box<[u8]>),
}

/// `connect`.
#[derive(Debug, Default)]
pub struct ConnectStep {
    /// Where to, as far as it is known.
    pub how: Connect,
    /// `port` as an expression.
    pub port: Option<Expression>,
    /// `comment`, its own or that of the rule before.
    pub comment: Option<Box<str>>,
}

/// `send`, `send-lf`, `send-binary`, `send-binary-lf`.
#[derive(Debug)]
pub struct Payload {
    /// What is sent.
    pub text: Text,
    /// The format yields hexadecimal digits.
    pub is_hex: bool,
    /// `comment`, its own or that of the rule before.
    pub comment: Option<Box<str>>,
}

/// `set-var`, `set-var-fmt`.
#[derive(Debug)]
pub struct SetVariable {
    /// Its name with the scope.
    pub name: Box<[u8]>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// What it becomes.
    pub value: Assigned,
}

/// The value of a `set-var`.
#[derive(Debug)]
pub enum Assigned {
    /// `set-var`
    Sample(Expression),
    /// `set-var-fmt`
    Text(Format),
}

/// When a variable is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `ifexists`
    Exists,
    /// `ifnotexists`
    Missing,
    /// `ifempty`: what it would become is empty.
    Empty,
    /// `ifnotempty`
    NotEmpty,
    /// `ifset`
    Set,
    /// `ifnotset`
    NotSet,
    /// `ifgt`: what it has is more than what it would become.
    Greater,
    /// `iflt`
    Less,
}

/// How far one run is.
#[derive(Debug, Default)]
pub struct State {
    step: usize,
    variables: Variables,
}

impl Sequence {
    /// What to do after an event.
    pub fn on<C: Surroundings>(
        &self,
        event: Event<'_>,
        state: &mut State,
        desk: &mut Desk,
        tools: &mut Tools<'_, C>,
    ) -> Action {
        match event {
            Event::Start => self.run(state, desk, tools),
            Event::Connected => {
                state.step = state.step.saturating_add(1);
                self.run(state, desk, tools)
            }
            Event::Sent => self.run(state, desk, tools),
            Event::Received { ended } => self.judge(state, desk, ended, tools),
            Event::Failed(words) => self.broken(state, words),
            Event::TimedOut { connected } => self.late(state, connected),
        }
    }

    /// Goes on with the steps until something has to be waited for.
    fn run<C: Surroundings>(
        &self,
        state: &mut State,
        desk: &mut Desk,
        tools: &mut Tools<'_, C>,
    ) -> Action {
        while let Some(step) = self.steps.get(state.step) {
            match &**step {
                Step::Connect(_) | Step::Expect(_) if !desk.output.is_empty() => {
                    return Action::Send;
                }
                Step::Connect(connect) => {
                    desk.input.clear();
                    let mut how = connect.how;
                    let mut rest = self.steps.iter().skip(state.step.saturating_add(1));
                    let next = rest.find(|step| acts(step));
                    how.server_speaks = next.is_some_and(|step| matches!(**step, Step::Expect(_)));
                    if let Some(port) = &connect.port {
                        let seen = Seen::new(tools.around, &state.variables, tools.process);
                        how.port = port
                            .value(&seen, tools.buffers)
                            .and_then(Sample::int)
                            .and_then(|port| u16::try_from(port).ok())
                            .filter(|port| *port > 0);
                    }
                    return Action::Connect(how);
                }
                Step::Send(payload) => {
                    desk.input.clear();
                    let seen = Seen::new(tools.around, &state.variables, tools.process);
                    let text = payload.text.render(&seen, tools.buffers);
                    if payload.is_hex {
                        let Ok(bytes) = unhex(&text) else {
                            let mut info =
                                b"tcp-check send : failed to build log-format string".to_vec();
                            self.write_number(state.step, &mut info);
                            return Action::Done(Ending::new(Status::L7Invalid, info));
                        };
                        desk.output.extend_from_slice(&bytes);
                    } else {
                        desk.output.extend_from_slice(&text);
                    }
                }
                Step::Request(request) => {
                    desk.input.clear();
                    self.write_request(request, state, desk, tools);
                }
                Step::Expect(_) if desk.input.is_empty() => return Action::Receive,
                Step::Expect(_) => return self.judge(state, desk, false, tools),
                Step::Comment(_) => {}
                Step::SetVariable(set) => set.run(state, tools),
                Step::UnsetVariable(name) => {
                    state.variables.unset(name);
                    tools.process.unset(name);
                }
            }
            state.step = state.step.saturating_add(1);
        }
        match desk.output.is_empty() {
            true => Action::Done(self.passed(state, desk, tools)),
            false => Action::Send,
        }
    }

    fn write_request<C: Surroundings>(
        &self,
        request: &Request,
        state: &State,
        desk: &mut Desk,
        tools: &mut Tools<'_, C>,
    ) {
        let Some(http) = &self.http else { return };
        let mut words = Vec::new();
        if http.send_state {
            tools.around.write_state(&mut words);
        }
        let seen = Seen::new(tools.around, &state.variables, tools.process);
        request.write(
            (state.step == http.first).then_some(&http.request),
            http.send_state.then_some(&*words),
            &seen,
            tools.buffers,
            &mut desk.output,
        );
    }

    /// Looks at what has come for the step that expects something.
    fn judge<C: Surroundings>(
        &self,
        state: &mut State,
        desk: &mut Desk,
        ended: bool,
        tools: &mut Tools<'_, C>,
    ) -> Action {
        let Some(Step::Expect(expect)) = self.step(state.step) else {
            return self.run(state, desk, tools);
        };
        let verdict = match &self.http {
            Some(http) => {
                let answer = match answer::read(&desk.input, ended) {
                    Reading::Partial => return Action::Receive,
                    Reading::Invalid => {
                        let mut info = Vec::new();
                        write_comment(&expect.comment, false, &mut info);
                        return Action::Done(Ending::new(
                            expect.failed.unwrap_or(Status::L7Invalid),
                            info,
                        ));
                    }
                    Reading::Answer(answer) => answer,
                };
                if answer.code == 404 && http.disable_on_404 && tools.around.is_running() {
                    let ending = Ending::new(Status::L7OkConditional, "");
                    return Action::Done(Ending {
                        code: 404,
                        ..ending
                    });
                }
                let seen = Seen::new(tools.around, &state.variables, tools.process);
                let verdict = expect.judge_answer(&answer, &seen, tools.buffers);
                if let Verdict::Bad | Verdict::Broken(_) = verdict {
                    let words = words_of_answer(expect, verdict, &answer);
                    let code = answer.code;
                    let unsaid = match expect.is_of_head() {
                        true => Status::L7Status,
                        false => Status::L7Invalid,
                    };
                    return self.failed(expect, (unsaid, code), words, state, desk, tools);
                }
                verdict
            }
            None if desk.input.is_empty() && !ended => return Action::Receive,
            None if desk.input.is_empty() => {
                let mut info = b"TCPCHK got an empty response".to_vec();
                self.write_number(state.step, &mut info);
                write_comment(&expect.comment, true, &mut info);
                let status = expect.failed.unwrap_or(Status::L7Invalid);
                return Action::Done(Ending::new(status, info));
            }
            None => {
                let seen = Seen::new(tools.around, &state.variables, tools.process);
                expect.judge(&desk.input, ended, &seen, tools.buffers)
            }
        };
        match verdict {
            Verdict::Open => Action::Receive,
            Verdict::Good => {
                state.step = state.step.saturating_add(1);
                self.run(state, desk, tools)
            }
            Verdict::Bad => {
                let mut words = b"TCPCHK ".to_vec();
                words.extend_from_slice(match expect.negated {
                    true => b"matched unwanted content ",
                    false => b"did not match content ",
                });
                expect.write_pattern(&mut words);
                self.write_number(state.step, &mut words);
                write_comment(&expect.comment, false, &mut words);
                self.failed(expect, (Status::L7Invalid, 0), words, state, desk, tools)
            }
            Verdict::Broken(words) => {
                let mut words = words.as_bytes().to_vec();
                write_comment(&expect.comment, false, &mut words);
                self.failed(expect, (Status::L7Invalid, 0), words, state, desk, tools)
            }
        }
    }

    /// The end of a check whose expectation was not met; with that status and code unless its rule
    /// says more.
    fn failed<C: Surroundings>(
        &self,
        expect: &Expect,
        (status, code): (Status, u32),
        words: Vec<u8>,
        state: &State,
        desk: &Desk,
        tools: &mut Tools<'_, C>,
    ) -> Action {
        let saw = Saw::of(&desk.input, self.http.is_some());
        let seen = saw.seen(tools.around, &state.variables, tools.process);
        let mut info = words;
        if let Some(format) = &expect.on_error {
            info.clear();
            format.render(&seen, tools.buffers, &mut info);
        }
        Action::Done(Ending {
            status: expect.failed.unwrap_or(status),
            code: code_of(expect, &seen, tools.buffers).unwrap_or(code),
            info,
        })
    }

    /// The end of a check of which all steps went well.
    fn passed<C: Surroundings>(
        &self,
        state: &State,
        desk: &Desk,
        tools: &mut Tools<'_, C>,
    ) -> Ending {
        let last = self
            .steps
            .iter()
            .map(|step| &**step)
            .rfind(|step| acts(step));
        let default_info: &[u8] = match (&self.http, self.has_rules) {
            (None, true) => b"(tcp-check)",
            _ => b"",
        };
        let Some(Step::Expect(expect)) = last else {
            let status = match last {
                Some(Step::Connect(_)) | None => Status::L4Ok,
                Some(_) => Status::L7Ok,
            };
            return Ending::new(status, default_info);
        };
        let saw = Saw::of(&desk.input, self.http.is_some());
        let seen = saw.seen(tools.around, &state.variables, tools.process);
        let mut info = default_info.to_vec();
        if let Some(format) = &expect.on_success {
            info.clear();
            format.render(&seen, tools.buffers, &mut info);
        }
        Ending {
            status: expect.passed.unwrap_or(Status::L7Ok),
            code: code_of(expect, &seen, tools.buffers).unwrap_or(saw.code),
            info,
        }
    }

    /// The end of a check whose connection could not be made or broke.
    fn broken(&self, state: &State, words: &str) -> Action {
        let connects = matches!(self.step(state.step), Some(Step::Connect(_)));
        let status = match connects {
            true => Status::L4Failed,
            false => Status::SocketError,
        };
        let mut info = words.as_bytes().to_vec();
        self.write_step(state.step, &mut info);
        Action::Done(Ending::new(status, info))
    }

    /// The end of a check that took too long.
    fn late(&self, state: &State, connected: bool) -> Action {
        let mut info = Vec::new();
        self.write_step(state.step, &mut info);
        let status = match self.step(state.step) {
            _ if !connected => Status::L4Timeout,
            Some(Step::Expect(expect)) => expect.late.unwrap_or(Status::L7Timeout),
            _ => Status::L7Timeout,
        };
        Action::Done(Ending::new(status, info))
    }

    fn step(&self, at: usize) -> Option<&Step> {
        self.steps.get(at).map(|step| &**step)
    }

    /// Appends ` at step 3`.
    fn write_number(&self, step: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b" at step ");
        let number = step.saturating_add(1).saturating_sub(self.unwritten);
        write_decimal(out, number as u64);
    }

    /// Appends ` at step 3 of tcp-check (expect string 'x') comment: 'y'`; of HTTP, nothing.
    fn write_step(&self, step: usize, out: &mut Vec<u8>) {
        if self.http.is_some() || !self.has_rules && self.unwritten == 0 {
            return;
        }
        let comment = match self.step(step) {
            Some(Step::Connect(_)) if step < self.unwritten => {
                return out.extend_from_slice(b" at initial connection step of tcp-check");
            }
            Some(Step::Connect(connect)) => {
                self.write_number(step, out);
                out.extend_from_slice(b" of tcp-check (connect");
                if let Some(port) = connect.how.port {
                    out.extend_from_slice(b" port ");
                    write_decimal(out, u64::from(port));
                }
                &connect.comment
            }
            Some(Step::Send(payload)) => {
                self.write_number(step, out);
                out.extend_from_slice(b" of tcp-check (send");
                &payload.comment
            }
            Some(Step::Expect(expect)) => {
                self.write_number(step, out);
                out.extend_from_slice(b" of tcp-check (");
                expect.write_step(out);
                &expect.comment
            }
            _ => return,
        };
        out.push(b')');
        write_comment(comment, true, out);
    }
}

/// Whether a step says or hears something.
fn acts(step: &Step) -> bool {
    !matches!(
        step,
        Step::Comment(_) | Step::SetVariable(_) | Step::UnsetVariable(_)
    )
}

/// Appends ` comment: text`, in quotes or without.
fn write_comment(comment: &Option<Box<str>>, quoted: bool, out: &mut Vec<u8>) {
    let Some(comment) = comment else { return };
    let quote: &[u8] = if quoted { b"'" } else { b"" };
    for part in [b" comment: ", quote, comment.as_bytes(), quote] {
        out.extend_from_slice(part);
    }
}

/// What is told of an answer that is not as expected.
fn words_of_answer(expect: &Expect, verdict: Verdict, answer: &Answer<'_>) -> Vec<u8> {
    let mut words = match verdict {
        Verdict::Broken(words) => words.as_bytes().to_vec(),
        _ if expect.is_of_head() => answer.reason.to_vec(),
        _ if expect.negated => b"HTTP check matched unwanted content".to_vec(),
        _ => b"HTTP content check did not match".to_vec(),
    };
    write_comment(&expect.comment, false, &mut words);
    words
}

/// The code that `status-code` says; 0 when it yields no number.
fn code_of<C: Context>(expect: &Expect, context: &C, buffers: &mut Buffers) -> Option<u32> {
    let expression = expect.code.as_ref()?;
    let number = expression.value(context, buffers).and_then(Sample::int);
    Some(u32::try_from(number.unwrap_or_default()).unwrap_or_default())
}

impl SetVariable {
    fn run<C: Surroundings>(&self, state: &mut State, tools: &mut Tools<'_, C>) {
        let mut text = Vec::new();
        let seen = Seen::new(tools.around, &state.variables, tools.process);
        let value = match &self.value {
            Assigned::Sample(expression) => expression.value(&seen, tools.buffers),
            Assigned::Text(format) => {
                format.render(&seen, tools.buffers, &mut text);
                Some(Sample::Str(&text))
            }
        };
        let Some(value) = value else { return };
        let old = seen.variable(&self.name);
        let holds = |condition: &Condition| {
            let is_empty = value.bytes().is_some_and(<[u8]>::is_empty);
            let order = || Some(old?.int()?.cmp(&value.int()?));
            match condition {
                Condition::Exists | Condition::Set => old.is_some(),
                Condition::Missing | Condition::NotSet => old.is_none(),
                Condition::Empty => is_empty,
                Condition::NotEmpty => !is_empty,
                Condition::Greater => order().is_some_and(std::cmp::Ordering::is_gt),
                Condition::Less => order().is_some_and(std::cmp::Ordering::is_lt),
            }
        };
        if !self.conditions.iter().all(holds) {
            return;
        }
        if self.name.starts_with(b"proc.") {
            // The value may lie in the store that is about to change.
            let mut kept = Variables::default();
            kept.set(&self.name, value);
            if let Some(value) = kept.get(&self.name) {
                tools.process.set(&self.name, value);
            }
        } else if self.name.starts_with(b"check.") || self.name.starts_with(b"sess.") {
            let mut kept = Variables::default();
            kept.set(&self.name, value);
            if let Some(value) = kept.get(&self.name) {
                state.variables.set(&self.name, value);
            }
        }
    }
}

/// What came, as expressions may read it.
struct Saw<'a> {
    input: &'a [u8],
    code: u32,
    /// The input with its head parsed, if it is one that the relay would take.
    head: Option<(Vec<u8>, Head, Edits)>,
}

impl<'a> Saw<'a> {
    fn of(input: &'a [u8], http: bool) -> Self {
        let code = match answer::read(input, true) {
            Reading::Answer(answer) if http => answer.code,
            _ => 0,
        };
        let head = http.then(|| {
            let mut bytes = input.to_vec();
            let mut head = Head::new(101);
            let (limits, mut progress) = (Limits::default(), Progress::default());
            let parsed = head::response(&mut bytes, &mut progress, &mut head, &limits);
            matches!(parsed, Parsed::Complete).then(|| (bytes, head, Edits::new(0, 0)))
        });
        Self {
            input,
            code,
            head: head.flatten(),
        }
    }

    fn seen<'s, C>(
        &'s self,
        around: &'s C,
        check: &'s Variables,
        process: &'s Variables,
    ) -> Seen<'s, C> {
        let response = self.head.as_ref();
        Seen {
            response: response.map(|(bytes, head, edits)| Message::new(bytes, head, edits)),
            input: self.input,
            ..Seen::new(around, check, process)
        }
    }
}

/// What the expressions of a check read.
struct Seen<'a, C> {
    around: &'a C,
    check: &'a Variables,
    process: &'a Variables,
    response: Option<Message<'a>>,
    input: &'a [u8],
}

impl<'a, C> Seen<'a, C> {
    fn new(around: &'a C, check: &'a Variables, process: &'a Variables) -> Self {
        Self {
            around,
            check,
            process,
            response: None,
            input: b"",
        }
    }
}

impl<C: Context> Context for Seen<'_, C> {
    fn request(&self) -> Option<Message<'_>> {
        None
    }

    fn response(&self) -> Option<Message<'_>> {
        self.response
    }

    fn source(&self) -> Address {
        self.around.source()
    }

    fn destination(&self) -> Address {
        self.around.destination()
    }

    fn field(&self, field: Field) -> Value<'_> {
        self.around.field(field)
    }

    fn now(&self) -> Now {
        self.around.now()
    }

    fn changed(&self) -> Option<&Lists> {
        self.around.changed()
    }

    fn variable(&self, name: &[u8]) -> Option<Sample<'_>> {
        match name.starts_with(b"proc.") {
            true => self.process.get(name),
            false => self.check.get(name),
        }
    }

    fn payload(&self) -> &[u8] {
        self.input
    }
}

#[cfg(test)]
mod tests;
