//! Everything around the proxy under test: scripted clients, origins, and the log receiver.
//!
//! One thread walks the script; one more for each socket only reads, appends what came to the
//! shared `State` and wakes the script up. So a step waits for a fact ("the answer is complete",
//! "the origin has the head") and never for a while. Every wait has one limit, `PATIENCE`, whose
//! passing is written into the observation.
//!
//! Rejected: an event loop (the script would have become a state machine), and origins that answer
//! from tables alone (early answers and tunnels need the order of both sides in one script).

use crate::place::{end, reserve};
use crate::script::{Act, Case, Step};
use crate::wire::{self, Message};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long one step may wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an origin still waits for bytes once the proxy has ended every client connection.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// An orderly end of the stream.
    Eof,
    /// A reset.
    Reset,
}

/// What a client connection has received.
#[derive(Default)]
struct Client {
    received: Vec<u8>,
    end: Option<End>,
    local_port: u16,
    /// Bytes before this one belong to answers already waited for.
    answered: usize,
    /// Bytes before this one have been matched by `await`.
    awaited: usize,
    /// Methods of the requests sent.
    methods: Vec<String>,
    /// Final answers waited for.
    answers: usize,
    /// Whether the end of the stream was waited for.
    end_expected: bool,
    /// The end has to come: the last answer said so.
    closes: bool,
    /// The script closed it.
    closed: bool,
}

/// One connection that an origin accepted.
struct OriginConn {
    stream: TcpStream,
    received: Vec<u8>,
    end: Option<End>,
    /// Bytes before this one belong to requests already seen.
    consumed: usize,
    awaited: usize,
}

/// One origin server.
#[derive(Default)]
struct Origin {
    conns: Vec<OriginConn>,
    plan: VecDeque<Vec<Act>>,
    manual: bool,
}

#[derive(Default)]
struct State {
    /// Which case the readers belong to; those of an earlier one are not listened to.
    generation: u32,
    clients: BTreeMap<u8, Client>,
    origins: BTreeMap<char, Origin>,
    logs: Vec<Vec<u8>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `fact` holds; false if it did not in time.
    fn wait(&self, fact: impl FnMut(&mut State) -> bool) -> bool {
        self.wait_unless(fact, |_| false)
    }

    /// The same, but waits no longer than `LAST_WAIT` once it is `hopeless`.
    fn wait_unless(
        &self,
        mut fact: impl FnMut(&mut State) -> bool,
        hopeless: impl Fn(&State) -> bool,
    ) -> bool {
        let mut until = Instant::now() + PATIENCE;
        let mut given_up = false;
        let mut state = self.lock();
        loop {
            if fact(&mut state) {
                return true;
            }
            if !given_up && hopeless(&state) {
                given_up = true;
                until = until.min(Instant::now() + LAST_WAIT);
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// What one client connection showed.
pub(crate) struct SeenClient {
    /// Its number in the case.
    pub(crate) conn: u8,
    /// The bytes it received.
    pub(crate) received: Vec<u8>,
    /// The methods of its requests.
    pub(crate) methods: Vec<String>,
    /// How it ended, if that was waited for.
    pub(crate) end: Option<End>,
}

/// What one case showed, before masking.
pub(crate) struct Seen {
    /// What each client connection received.
    pub(crate) clients: Vec<SeenClient>,
    /// Origin's name and what each of its connections carried.
    pub(crate) origins: Vec<(char, Vec<Vec<u8>>)>,
    /// Log lines, without those of the harness itself.
    pub(crate) logs: Vec<Vec<u8>>,
    /// The clients' own ports, by connection.
    pub(crate) ports: Vec<(u16, String)>,
    /// Commands of the runtime socket and their answers.
    pub(crate) commands: Vec<(String, String)>,
    /// Steps whose wait ran out.
    pub(crate) timeouts: Vec<String>,
}

/// The surroundings of one proxy process.
pub(crate) struct World {
    shared: Arc<Shared>,
    origins: BTreeMap<char, u16>,
    /// Keeps the ports of the origins while those do not listen.
    held: Vec<OwnedFd>,
    closed: BTreeMap<char, TcpListenerHandle>,
    listeners: BTreeMap<String, u16>,
    streams: BTreeMap<u8, TcpStream>,
    targets: BTreeMap<u8, String>,
    /// Where the sockets are.
    folder: PathBuf,
    commands: Vec<(String, String)>,
    log_udp: u16,
    marks: u32,
    /// The connection of the harness's own requests.
    marker: Option<TcpStream>,
}

/// A running accept thread.
struct TcpListenerHandle {
    stop: Arc<Mutex<bool>>,
    thread: Option<thread::JoinHandle<()>>,
    port: u16,
}

impl TcpListenerHandle {
    fn stop(&mut self) {
        *self.stop.lock().unwrap() = true;
        // The accept call returns for this connection and the thread sees the flag.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl World {
    /// Starts the origins and the log receivers; the log's unix socket is `folder/log`.
    pub(crate) fn new(origins: &[char], folder: &Path) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let unix = UnixDatagram::bind(folder.join("log")).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let log_udp = udp.local_addr().unwrap().port();
        read_logs(Arc::clone(&shared), move |buffer| unix.recv(buffer).ok());
        read_logs(Arc::clone(&shared), move |buffer| udp.recv(buffer).ok());
        let mut world = Self {
            shared,
            origins: BTreeMap::new(),
            held: Vec::new(),
            closed: BTreeMap::new(),
            listeners: BTreeMap::new(),
            streams: BTreeMap::new(),
            targets: BTreeMap::new(),
            folder: folder.to_owned(),
            commands: Vec::new(),
            log_udp,
            marks: 0,
            marker: None,
        };
        for &origin in origins {
            let (held, endpoint) = reserve(Ipv4Addr::LOCALHOST);
            world.held.push(held);
            world.listen(origin, endpoint.port());
        }
        world
    }

    /// Ports of the origins by name.
    pub(crate) fn origin_ports(&self) -> &BTreeMap<char, u16> {
        &self.origins
    }

    /// The UDP port that takes log lines.
    pub(crate) fn log_udp(&self) -> u16 {
        self.log_udp
    }

    /// Tells where the proxy listens.
    pub(crate) fn set_listeners(&mut self, listeners: BTreeMap<String, u16>) {
        self.listeners = listeners;
        self.marker = None;
    }

    fn listen(&mut self, origin: char, port: u16) {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        self.origins.insert(origin, port);
        self.shared.update(|state| {
            state.origins.entry(origin).or_default();
        });
        let stop = Arc::new(Mutex::new(false));
        let (shared, flag) = (Arc::clone(&self.shared), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if *flag.lock().unwrap() {
                    end(&listener);
                    return;
                }
                accept(&shared, origin, stream);
            }
        });
        self.closed.insert(
            origin,
            TcpListenerHandle {
                stop,
                thread: Some(thread),
                port,
            },
        );
    }

    /// Runs one case to its end and takes down what was seen.
    pub(crate) fn run(&mut self, case: &Case) -> Seen {
        let mut timeouts = Vec::new();
        self.shared.update(|state| {
            for (name, origin) in &mut state.origins {
                origin.manual = case.manual.contains(name);
                origin.plan.clear();
            }
        });
        // Answers of origins that serve by themselves are known before anything is sent.
        for step in &case.steps {
            if let Step::Origin { origin, act } = step
                && !case.manual.contains(origin)
            {
                self.plan(*origin, act);
            }
        }
        for step in &case.steps {
            if let Step::Origin { origin, .. } = step
                && !case.manual.contains(origin)
                && !matches!(
                    step,
                    Step::Origin {
                        act: Act::Stop | Act::Start,
                        ..
                    }
                )
            {
                continue;
            }
            if !self.step(step) {
                timeouts.push(format!("waited in vain: {step:?}"));
                break;
            }
        }
        if timeouts.is_empty() {
            self.settle(case, &mut timeouts);
        }
        // The readers hold the sockets too: only a shutdown ends them.
        for stream in self.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.streams.clear();
        self.targets.clear();
        self.shared.update(|state| {
            for conn in state.origins.values().flat_map(|origin| &origin.conns) {
                let _ = conn.stream.shutdown(Shutdown::Both);
            }
        });
        if let Err(why) = self.mark() {
            timeouts.push(why);
        }
        let mut seen = self.take();
        seen.timeouts = timeouts;
        seen.commands = std::mem::take(&mut self.commands);
        seen
    }

    fn plan(&self, origin: char, act: &Act) {
        self.shared.update(|state| {
            let plan = &mut state
                .origins
                .get_mut(&origin)
                .expect("a declared origin")
                .plan;
            match act {
                Act::Send(_) => plan.push_back(vec![act.clone()]),
                Act::Close | Act::Shut => match plan.back_mut() {
                    Some(acts) if acts.len() == 1 => acts.push(act.clone()),
                    _ => plan.push_back(vec![act.clone()]),
                },
                Act::Stop | Act::Start => {}
                other => panic!("{other:?} needs `{origin} manual`"),
            }
        });
    }

    /// Waits for what has to follow: ends of connections that were announced, and the log lines.
    fn settle(&mut self, case: &Case, timeouts: &mut Vec<String>) {
        let mut answers = 0;
        let conns: Vec<u8> = self.shared.lock().clients.keys().copied().collect();
        for conn in conns {
            let closes = {
                let state = self.shared.lock();
                answers += state.clients[&conn].answers;
                state.clients[&conn].closes
            };
            if closes && self.streams.contains_key(&conn) && !self.step(&Step::Eof { conn }) {
                timeouts.push(format!(
                    "connection {conn}: no end after an answer that closes"
                ));
            }
        }
        let logs = case.logs.unwrap_or(answers);
        if !self.shared.wait(|state| state.logs.len() >= logs) {
            timeouts.push(format!("fewer than {logs} log lines"));
        }
    }

    /// One step; false if its wait ran out.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::To { conn, listener } => {
                self.targets.insert(*conn, listener.clone());
                true
            }
            Step::Connect { conn } => self.open(*conn),
            Step::Send { conn, bytes } => {
                if !self.streams.contains_key(conn) && !self.open(*conn) {
                    return false;
                }
                let methods = wire::methods_in(bytes);
                self.shared.update(|state| {
                    state.clients.get_mut(conn).unwrap().methods.extend(methods);
                });
                // A proxy that has closed already refuses the rest: what it answered is compared.
                let _ = self.streams.get_mut(conn).unwrap().write_all(bytes);
                true
            }
            Step::Answer { conn, count } => (0..*count).all(|_| self.wait_answer(*conn)),
            Step::Await { conn, text } => self.shared.wait(|state| {
                let client = state.clients.get_mut(conn).expect("an open connection");
                if let Some(end) = find(&client.received, client.awaited, text) {
                    client.awaited = end;
                    return true;
                }
                // Something else and the end is an answer too: it is compared as such.
                client.end_expected |= client.end.is_some();
                client.end.is_some()
            }),
            Step::Eof { conn } => self.shared.wait(|state| {
                let client = state.clients.get_mut(conn).expect("an open connection");
                client.end_expected |= client.end.is_some();
                client.end.is_some()
            }),
            Step::Shut { conn } => {
                let _ = self.streams[conn].shutdown(Shutdown::Write);
                true
            }
            Step::Close { conn } => {
                if let Some(stream) = self.streams.remove(conn) {
                    self.shared.update(|state| {
                        state.clients.get_mut(conn).unwrap().closed = true;
                    });
                    let _ = stream.shutdown(Shutdown::Both);
                }
                true
            }
            Step::Origin { origin, act } => self.origin_step(*origin, act),
            // Twice: what is accepted in the turn of the first is read before the second.
            Step::Settled => (0..2).all(|_| self.mark().is_ok()),
            Step::Command { socket, line } => match self.command(socket, line) {
                Some(answer) => {
                    let level = socket.strip_suffix(".sock").unwrap_or(socket);
                    let told = format!("{level} $ {}", wire::escape(line));
                    self.commands.push((told, answer));
                    true
                }
                None => false,
            },
            Step::CommandAwait { line, text } => {
                let until = Instant::now() + PATIENCE;
                while Instant::now() < until {
                    match self.command("admin.sock", line) {
                        Some(answer) if answer.contains(text) => return true,
                        Some(_) => {}
                        None => return false,
                    }
                }
                false
            }
            Step::LogAwait { text } => self.shared.wait(|state| {
                state
                    .logs
                    .iter()
                    .any(|line| find(line, 0, text.as_bytes()).is_some())
            }),
        }
    }

    /// The whole answer of a runtime socket to a line.
    fn command(&self, socket: &str, line: &[u8]) -> Option<String> {
        let mut stream = UnixStream::connect(self.folder.join(socket)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[line, b"\n"].concat()).ok()?;
        stream.shutdown(Shutdown::Write).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(wire::latin(&answer))
    }

    fn open(&mut self, conn: u8) -> bool {
        let target = self.targets.get(&conn).map_or("fe", String::as_str);
        let port = *self
            .listeners
            .get(target)
            .unwrap_or_else(|| panic!("no listener {target}"));
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
            return false;
        };
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let local_port = stream.local_addr().unwrap().port();
        let mut generation = 0;
        self.shared.update(|state| {
            generation = state.generation;
            state.clients.insert(
                conn,
                Client {
                    local_port,
                    ..Client::default()
                },
            );
        });
        let (mut reader, shared) = (stream.try_clone().unwrap(), Arc::clone(&self.shared));
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let got = reader.read(&mut buffer);
                shared.update(|state| {
                    if state.generation == generation
                        && let Some(client) = state.clients.get_mut(&conn)
                    {
                        match &got {
                            Ok(0) => client.end = Some(End::Eof),
                            Ok(len) => client.received.extend(&buffer[..*len]),
                            Err(_) => client.end = Some(End::Reset),
                        }
                    }
                });
                if !matches!(got, Ok(1..)) {
                    return;
                }
            }
        });
        self.streams.insert(conn, stream);
        true
    }

    fn wait_answer(&self, conn: u8) -> bool {
        self.shared.wait(|state| {
            let client = state.clients.get_mut(&conn).expect("an open connection");
            loop {
                let rest = &client.received[client.answered..];
                let method = client
                    .methods
                    .get(client.answers)
                    .map_or("GET", String::as_str);
                match wire::answer(rest, method) {
                    Message::Complete(len) | Message::Tunnel(len) => {
                        let head = wire::Head::read(rest).unwrap();
                        client.answered += len;
                        client.closes = !head.keeps_alive() && head.status() >= 200;
                        if head.status() >= 200 || head.status() == 101 {
                            client.answers += 1;
                            return true;
                        }
                    }
                    Message::UntilClose | Message::Unreadable => {
                        client.closes = true;
                        client.end_expected = client.end.is_some();
                        client.answers += usize::from(client.end.is_some());
                        return client.end.is_some();
                    }
                    Message::Incomplete => {
                        // An end instead of an answer is an answer too: it is compared as such.
                        client.end_expected |= client.end.is_some();
                        return client.end.is_some();
                    }
                }
            }
        })
    }

    fn origin_step(&mut self, origin: char, act: &Act) -> bool {
        match act {
            Act::Stop => {
                self.closed.get_mut(&origin).unwrap().stop();
                return true;
            }
            Act::Start => {
                self.listen(origin, self.origins[&origin]);
                return true;
            }
            _ => {}
        }
        let fact = |state: &mut State| {
            let Some(conn) = state.origins.get_mut(&origin).unwrap().conns.last_mut() else {
                return false;
            };
            let rest = &conn.received[conn.consumed..];
            match act {
                Act::Accept => true,
                Act::Head => wire::Head::read(rest).is_some(),
                Act::Request => match wire::request(rest) {
                    Message::Complete(len) => {
                        conn.consumed += len;
                        conn.awaited = conn.awaited.max(conn.consumed);
                        true
                    }
                    _ => false,
                },
                Act::Await(text) => find(&conn.received, conn.awaited, text).is_some_and(|end| {
                    conn.awaited = end;
                    true
                }),
                Act::Eof => conn.end.is_some(),
                _ => {
                    perform(&conn.stream, act);
                    true
                }
            }
        };
        // A request that the proxy answered itself never comes here.
        self.shared.wait_unless(fact, |state| {
            let mut clients = state.clients.values();
            !state.clients.is_empty()
                && clients.all(|client| client.end.is_some() && !client.closed)
        })
    }

    /// Sends a request of the harness's own and waits for its log line: what the proxy had to say
    /// about the case has been said before it, and closed connections have been noticed. It goes
    /// over one connection that stays open: its end would be seen sooner or later in the counters
    /// of the next case.
    pub(crate) fn mark(&mut self) -> Result<(), String> {
        self.marks += 1;
        let path = format!("/parity-mark-{}", self.marks);
        let mut stream = match self.marker.take() {
            Some(stream) => stream,
            None => TcpStream::connect(("127.0.0.1", self.listeners["marker"]))
                .map_err(|error| format!("the proxy does not listen any more: {error}"))?,
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: m\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while wire::answer(&answer, "GET") == Message::Incomplete {
            match stream.read(&mut buffer) {
                Ok(len @ 1..) => answer.extend(&buffer[..len]),
                other => return Err(format!("the harness's own request failed: {other:?}")),
            }
        }
        self.marker = Some(stream);
        let text = format!("{path} ");
        let logged = |state: &mut State| {
            let before = state.logs.len();
            state
                .logs
                .retain(|line| find(line, 0, text.as_bytes()).is_none());
            state.logs.len() < before
        };
        match self.shared.wait(logged) {
            true => Ok(()),
            false => Err("the harness's own request was not logged".to_owned()),
        }
    }

    fn take(&self) -> Seen {
        let mut state = self.shared.lock();
        state.generation += 1;
        let clients = std::mem::take(&mut state.clients);
        let ports = clients
            .iter()
            .map(|(conn, client)| (client.local_port, format!("CLIENT{conn}")))
            .collect();
        let clients = clients
            .into_iter()
            .map(|(conn, client)| {
                let end = client.end.filter(|_| client.end_expected);
                SeenClient {
                    conn,
                    received: client.received,
                    methods: client.methods,
                    end,
                }
            })
            .collect();
        let origins = state
            .origins
            .iter_mut()
            .map(|(&name, origin)| {
                let conns = std::mem::take(&mut origin.conns);
                let bytes = conns.into_iter().map(|conn| conn.received);
                (name, bytes.filter(|bytes| !bytes.is_empty()).collect())
            })
            .collect();
        let logs = std::mem::take(&mut state.logs);
        Seen {
            clients,
            origins,
            logs,
            ports,
            commands: Vec::new(),
            timeouts: Vec::new(),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for listener in self.closed.values_mut() {
            listener.stop();
        }
    }
}

fn accept(shared: &Arc<Shared>, origin: char, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let (mut index, mut generation) = (0, 0);
    shared.update(|state| {
        generation = state.generation;
        let conns = &mut state.origins.get_mut(&origin).unwrap().conns;
        index = conns.len();
        conns.push(OriginConn {
            stream,
            received: Vec::new(),
            end: None,
            consumed: 0,
            awaited: 0,
        });
    });
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let got = reader.read(&mut buffer);
            let mut todo = Vec::new();
            shared.update(|state| {
                if state.generation != generation {
                    return;
                }
                let origin_state = state.origins.get_mut(&origin).unwrap();
                let Some(conn) = origin_state.conns.get_mut(index) else {
                    return;
                };
                match &got {
                    Ok(0) => conn.end = Some(End::Eof),
                    Ok(len) => conn.received.extend(&buffer[..*len]),
                    Err(_) => conn.end = Some(End::Reset),
                }
                while !origin_state.manual {
                    let rest = &conn.received[conn.consumed..];
                    let Message::Complete(len) = wire::request(rest) else {
                        break;
                    };
                    let head_only = rest.starts_with(b"HEAD ");
                    conn.consumed += len;
                    let acts = origin_state.plan.pop_front();
                    todo.extend(acts.unwrap_or_else(|| vec![usual(origin, head_only)]));
                }
            });
            for act in &todo {
                perform(&reader, act);
            }
            if !matches!(got, Ok(1..)) {
                return;
            }
        }
    });
}

/// The answer of an origin that was told nothing.
fn usual(origin: char, head_only: bool) -> Act {
    let body = if head_only {
        String::new()
    } else {
        format!("from {origin}")
    };
    let head = "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Length: 6\r\n\r\n";
    Act::Send(format!("{head}{body}").into_bytes())
}

fn perform(mut stream: &TcpStream, act: &Act) {
    // The proxy may have closed: what it did before is what is compared.
    let _ = match act {
        Act::Send(bytes) => stream.write_all(bytes),
        Act::Close => stream.shutdown(Shutdown::Both),
        Act::Shut => stream.shutdown(Shutdown::Write),
        other => panic!("{other:?} is not something to do"),
    };
}

fn read_logs(
    shared: Arc<Shared>,
    mut receive: impl FnMut(&mut [u8]) -> Option<usize> + Send + 'static,
) {
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Some(len) = receive(&mut buffer) {
            shared.update(|state| state.logs.push(buffer[..len].to_vec()));
        }
    });
}

/// Where `what` ends in `bytes`, looked for from `from` on.
fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len())
        .position(|part| part == what)
        .map(|at| from + at + what.len())
}
