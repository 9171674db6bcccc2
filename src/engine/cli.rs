//! Runtime connections: bytes in, commands to the [`Service`], bytes out.
//!
//! One line is one or several commands parted by `;`. Without `prompt` the connection closes after
//! the commands of what came in one go have been answered, as HAProxy's does; with it, each answer
//! is followed by `> `. A command runs only when nothing of earlier answers is still unsent, so
//! that a slow reader costs one answer and no more. Changes are applied between two commands.

use std::collections::VecDeque;

use super::service::{Caller, Outcome, Service, SeverityOutput};
use super::{Engine, Subject};
use crate::base::addr::Address;
use crate::base::arena::Key;
use crate::base::wheel::TimerId;
use crate::config::model::AccessLevel;
use crate::net::{Net, Readiness, Socket, Stop};

/// The longest input that is kept while its line is not whole, bytes (`tune.bufsize`'s default).
const INPUT_MAX: usize = 16_384;

/// What a process that follows this one says to have its listeners; no command for people.
const GET_SOCKETS: &[u8] = b"_getsocks";

/// One runtime connection.
#[derive(Debug)]
pub struct Cli {
    socket: Socket,
    ready: Readiness,
    timer: TimerId,
    source: Address,
    since_ms: u64,
    active_ms: u64,
    caller: Caller,
    input: Vec<u8>,
    /// The commands of the line that is being answered.
    commands: VecDeque<Vec<u8>>,
    output: Vec<u8>,
    sent: usize,
    /// Commands whose line ended in `<<`, and their payload so far: they run when the empty line
    /// that ends it has come.
    pending: Option<(Vec<u8>, Vec<u8>)>,
    /// The client has ended its side.
    ended: bool,
    /// A whole line has been answered: without `prompt` that was all.
    answered: bool,
    quit: bool,
}

impl Cli {
    /// Who it is.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Where it came from.
    pub(crate) fn source(&self) -> Address {
        self.source
    }

    /// When it came, monotonic ms.
    pub(crate) fn since_ms(&self) -> u64 {
        self.since_ms
    }

    /// What its socket is ready for.
    pub(crate) fn ready(&self) -> Readiness {
        self.ready
    }

    /// The number of its descriptor.
    pub(crate) fn descriptor(&self) -> i32 {
        self.socket.raw()
    }

    /// Its timer, and when its silence is too long (ms).
    pub(crate) fn promise(&self) -> (TimerId, u64) {
        let due = self.active_ms + u64::from(self.caller.timeout_ms);
        (self.timer, due)
    }
}

impl<N: Net, S: Service> Engine<'_, N, S> {
    /// A connection came in on a stats socket.
    pub(crate) fn accepted_cli(&mut self, position: usize, socket: Socket, source: Address) {
        let Some(described) = self.config.global.stats_sockets.get(position) else {
            return self.net.close(socket);
        };
        let level = described.level;
        self.begin_cli(position, level, socket, source);
    }

    /// A runtime connection that came by way of the master.
    pub(crate) fn accepted_command(&mut self, socket: Socket, level: AccessLevel) {
        self.begin_cli(usize::MAX, level, socket, Address::Unix);
    }

    fn begin_cli(&mut self, position: usize, level: AccessLevel, socket: Socket, source: Address) {
        let now = self.now.ms;
        let caller = Caller {
            level,
            interactive: false,
            payload: Vec::new(),
            experimental: false,
            expert: false,
            severity_output: SeverityOutput::None,
            socket: position,
            timeout_ms: self.config.global.stats_timeout,
        };
        let wheel = &mut self.wheel;
        let mut waiting = Some(socket);
        let key = self.clis.insert_with_key(|key| Cli {
            socket: waiting.take().unwrap_or_else(|| Socket::from_raw(-1)),
            ready: Readiness(Readiness::READABLE.0 | Readiness::WRITABLE.0),
            timer: wheel.add(Subject::Cli(key).handle()),
            source,
            since_ms: now,
            active_ms: now,
            caller,
            input: Vec::new(),
            commands: VecDeque::new(),
            output: Vec::new(),
            sent: 0,
            pending: None,
            ended: false,
            answered: false,
            quit: false,
        });
        if let Some(socket) = waiting {
            self.net.close(socket);
        }
        let Some(key) = key else { return };
        let watched = match self.clis.get(key) {
            Some(cli) => self.net.watch(&cli.socket, Subject::Cli(key).handle()),
            None => return,
        };
        if watched.is_err() {
            return self.close_cli(key);
        }
        self.drive_cli(key);
    }

    /// An edge on a runtime connection.
    pub(crate) fn on_cli_ready(&mut self, key: Key<Cli>, readiness: Readiness) {
        if let Some(cli) = self.clis.get_mut(key) {
            cli.ready.add(readiness);
            self.drive_cli(key);
        }
    }

    /// A runtime connection has been silent for its time.
    pub(crate) fn on_cli_timer(&mut self, key: Key<Cli>) {
        let Some(cli) = self.clis.get(key) else {
            return;
        };
        let due = cli.active_ms + u64::from(cli.caller.timeout_ms);
        if due > self.now.ms {
            self.wheel.promise(cli.timer, due);
        } else {
            self.close_cli(key);
        }
    }

    fn drive_cli(&mut self, key: Key<Cli>) {
        loop {
            if !self.flush_cli(key) {
                return;
            }
            let Some(cli) = self.clis.get_mut(key) else {
                return;
            };
            if cli.quit {
                return self.close_cli(key);
            }
            if let Some(command) = cli.commands.pop_front() {
                self.run_command(key, &command);
                continue;
            }
            if let Some(end) = cli.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = cli.input.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                self.take_line(key, line.strip_suffix(b"\r").unwrap_or(line));
                continue;
            }
            let Some(cli) = self.clis.get_mut(key) else {
                return;
            };
            if cli.answered && !cli.caller.interactive && cli.pending.is_none() {
                return self.close_cli(key);
            }
            if cli.ended || cli.input.len() > INPUT_MAX {
                return self.close_cli(key);
            }
            if !cli.ready.has(Readiness::READABLE) {
                break;
            }
            let mut bytes = [0; 4096];
            match self.net.recv(&cli.socket, &mut bytes) {
                Ok(n) => {
                    cli.active_ms = self.now.ms;
                    cli.input
                        .extend_from_slice(bytes.get(..n).unwrap_or_default());
                }
                Err(Stop::Blocked) => cli.ready.clear(Readiness::READABLE),
                Err(Stop::Closed) => {
                    cli.ready.clear(Readiness::READABLE);
                    cli.ended = true;
                }
                Err(Stop::Failed(_) | Stop::NoSource(_)) => return self.close_cli(key),
            }
        }
        self.promise_cli(key);
    }

    fn promise_cli(&mut self, key: Key<Cli>) {
        if let Some(cli) = self.clis.get(key) {
            self.wheel
                .promise(cli.timer, cli.active_ms + u64::from(cli.caller.timeout_ms));
        }
    }

    /// A whole line: commands to run, or a line of the payload that the last of them gets.
    fn take_line(&mut self, key: Key<Cli>, line: &[u8]) {
        let Some(cli) = self.clis.get_mut(key) else {
            return;
        };
        match (&mut cli.pending, before_payload(line)) {
            (Some(_), _) if line.is_empty() => {
                let (commands, payload) = cli.pending.take().unwrap_or_default();
                cli.caller.payload = payload;
                return cli.commands.extend(split_commands(&commands));
            }
            (Some((_, payload)), _) if payload.len() + line.len() > INPUT_MAX => {
                // Nothing of what is too long is done, not even a part.
                cli.commands.clear();
                cli.quit = true;
            }
            (Some((_, payload)), _) => {
                payload.extend_from_slice(line);
                payload.push(b'\n');
            }
            (None, Some(commands)) => cli.pending = Some((commands.to_vec(), Vec::new())),
            (None, None) => return cli.commands.extend(split_commands(line)),
        }
        if cli.caller.interactive {
            cli.output.extend_from_slice(b"+ ");
        }
    }

    /// Runs one command, which sees what those before it changed.
    fn run_command(&mut self, key: Key<Cli>, command: &[u8]) {
        if command == GET_SOCKETS && self.exposes_listeners(key) {
            return self.expose_listeners(key);
        }
        let Some(cli) = self.clis.get_mut(key) else {
            return;
        };
        let is_last = cli.commands.is_empty();
        let mut caller = cli.caller.clone();
        // A payload is the last command's of its line.
        if !is_last {
            caller.payload.clear();
        }
        let waiting = std::mem::take(&mut cli.caller.payload);
        let mut output = std::mem::take(&mut cli.output);
        let outcome = {
            let view = super::view!(self);
            self.service.run(command, &mut caller, &view, &mut output)
        };
        let quit = matches!(outcome, Outcome::Quit);
        if let Outcome::Apply(command) = outcome {
            self.apply(command);
        }
        let Some(cli) = self.clis.get_mut(key) else {
            return;
        };
        cli.caller = caller;
        cli.caller.payload = if is_last { Vec::new() } else { waiting };
        cli.output = output;
        cli.quit = quit;
        cli.answered = true;
        if cli.caller.interactive && !cli.quit {
            cli.output.extend_from_slice(b"> ");
        }
    }

    /// Whether a runtime connection may have the listeners: `expose-fd listeners`.
    fn exposes_listeners(&self, key: Key<Cli>) -> bool {
        let sockets = &self.config.global.stats_sockets;
        let cli = self.clis.get(key);
        cli.and_then(|cli| sockets.get(cli.caller.socket))
            .is_some_and(|socket| socket.expose_listeners)
    }

    /// Gives the listeners to a process that follows this one (`-x`). That is all that the
    /// connection was for.
    fn expose_listeners(&mut self, key: Key<Cli>) {
        if let Some(cli) = self.clis.get_mut(key) {
            // A socket that has no room for it was used for something else.
            let _ = self.net.expose_listeners(&cli.socket);
            cli.answered = true;
        }
    }

    /// Sends what is unsent; true when nothing is left.
    fn flush_cli(&mut self, key: Key<Cli>) -> bool {
        let Some(cli) = self.clis.get_mut(key) else {
            return false;
        };
        while cli.sent < cli.output.len() {
            if !cli.ready.has(Readiness::WRITABLE) {
                self.promise_cli(key);
                return false;
            }
            let rest = cli.output.get(cli.sent..).unwrap_or_default();
            match self.net.send(&cli.socket, rest, &[], false) {
                Ok(n) => {
                    cli.sent += n;
                    cli.active_ms = self.now.ms;
                }
                Err(Stop::Blocked) => cli.ready.clear(Readiness::WRITABLE),
                Err(_) => {
                    self.close_cli(key);
                    return false;
                }
            }
        }
        cli.output.clear();
        cli.sent = 0;
        true
    }

    pub(crate) fn close_cli(&mut self, key: Key<Cli>) {
        let Some(cli) = self.clis.remove(key) else {
            return;
        };
        self.wheel.remove(cli.timer);
        self.net.close(cli.socket);
        if self.accept_paused {
            self.resume_accepting();
        }
    }
}

/// What stands before a `<<` that ends a line, when it is a word of its own.
fn before_payload(line: &[u8]) -> Option<&[u8]> {
    let before = line.trim_ascii_end().strip_suffix(b"<<")?;
    let alone = before.last().is_none_or(u8::is_ascii_whitespace);
    alone.then_some(before)
}

/// The commands of a line, parted by `;` (a backslash before it makes it an ordinary byte).
fn split_commands(line: &[u8]) -> Vec<Vec<u8>> {
    let mut commands = vec![Vec::new()];
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.peek() == Some(&b';') => {
                bytes.next();
                if let Some(last) = commands.last_mut() {
                    last.push(b';');
                }
            }
            b';' => commands.push(Vec::new()),
            _ => {
                if let Some(last) = commands.last_mut() {
                    last.push(byte);
                }
            }
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_parted_by_semicolons() {
        let split = |line: &str| -> Vec<String> {
            split_commands(line.as_bytes())
                .into_iter()
                .map(|command| String::from_utf8(command).unwrap())
                .collect()
        };
        assert_eq!(split("show info"), ["show info"]);
        assert_eq!(split("a;b ; c"), ["a", "b ", " c"]);
        assert_eq!(split(r"set x a\;b\r"), [r"set x a;b\r"]);
        assert_eq!(split(""), [""]);
    }
}
