//! A syslog daemon of our own: a unix datagram socket, the records it got, and their fields.
//!
//! Parsing is strict, because the shape of a record is itself what is tested: a record that does
//! not look like `<134>Feb 19 04:02:26 haproxy[4418]: TEXT` and a newline fails the test.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Journal, LocalTime, assert_recent};

/// One syslog record as it came, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// 8 x facility + severity.
    pub(crate) priority: u8,
    /// Month, day and time as printed.
    pub(crate) stamp: String,
    /// What stands before the brackets.
    pub(crate) tag: String,
    /// The process that the record names.
    pub(crate) pid: u32,
    /// The message.
    pub(crate) text: String,
}

impl Record {
    /// Takes a datagram apart; panics when it is not of HAProxy's default format.
    pub(crate) fn parse(datagram: &[u8]) -> Self {
        let line = std::str::from_utf8(datagram).unwrap();
        let parse = || {
            let rest = line.strip_suffix('\n')?.strip_prefix('<')?;
            let (priority, rest) = rest.split_once('>')?;
            let (stamp, rest) = rest.split_at_checked(15)?;
            let (tag, rest) = rest.strip_prefix(' ')?.split_once('[')?;
            let (pid, text) = rest.split_once("]: ")?;
            Some(Self {
                priority: priority.parse().ok()?,
                stamp: stamp.to_string(),
                tag: tag.to_string(),
                pid: pid.parse().ok()?,
                text: text.to_string(),
            })
        };
        let record = parse().unwrap_or_else(|| panic!("not a syslog record: {line:?}"));
        assert_recent(&record.stamp, LocalTime::syslog_stamp);
        record
    }

    /// Whether this is a request's line rather than a message: those begin with `IP:PORT [`.
    pub(crate) fn is_request(&self) -> bool {
        self.text.starts_with("127.") && self.text.contains(" [")
    }
}

/// The receiving end of `log PATH ...`.
pub(crate) struct LogSocket {
    path: PathBuf,
    /// Every record that came and was not taken.
    pub(crate) records: Arc<Journal<Record>>,
}

impl LogSocket {
    /// Binds the socket at `path`, writable by whoever the proxy becomes, and starts receiving.
    pub(crate) fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let records = Arc::new(Journal::new());
        let filed = Arc::clone(&records);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            // An empty datagram is `drop` telling the thread to end.
            while let Ok(len @ 1..) = socket.recv(&mut buffer) {
                filed.push(Record::parse(&buffer[..len]));
            }
        });
        Self {
            path: path.to_path_buf(),
            records,
        }
    }

    /// Waits for the log line of a request whose quoted part is `request`.
    pub(crate) fn request(&self, request: &str) -> HttpLine {
        let end = format!(" \"{request}\"");
        let record = self
            .records
            .take(&end, |r| r.is_request() && r.text.ends_with(&end));
        HttpLine::parse(&record)
    }

    /// Waits for a message, as opposed to a request's line, that begins with `start`.
    pub(crate) fn message(&self, start: &str) -> Record {
        self.records
            .take(start, |r| !r.is_request() && r.text.starts_with(start))
    }
}

impl Drop for LogSocket {
    fn drop(&mut self) {
        if let Ok(waker) = UnixDatagram::unbound() {
            // A failure means that the thread is gone already, which is all that is wanted.
            let _ = waker.send_to(&[], &self.path);
        }
    }
}

/// The fields of an `option httplog` line, in the order of the manual's section 8.2.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpLine {
    /// Severity and facility the line was sent with.
    pub(crate) priority: u8,
    /// `127.0.0.1:PORT` of the client.
    pub(crate) client: String,
    /// What stands between the first brackets.
    pub(crate) date: String,
    /// The frontend's name.
    pub(crate) frontend: String,
    /// `backend/server`.
    pub(crate) server: String,
    /// TR, Tw, Tc, Tr, Ta in milliseconds; -1 for a stage that was not reached.
    pub(crate) timers: [i64; 5],
    /// The status code; -1 when the client left before there was one.
    pub(crate) status: i32,
    /// BYTES.
    pub(crate) bytes: u64,
    /// The two captured cookies.
    pub(crate) cookies: String,
    /// The four letters of the session state.
    pub(crate) state: String,
    /// `actconn/feconn/beconn/srv_conn/retries`.
    pub(crate) connections: String,
    /// `srv_queue/backend_queue`.
    pub(crate) queues: String,
    /// Captured headers with their braces, or empty.
    pub(crate) captures: String,
    /// What stands between the quotes.
    pub(crate) request: String,
}

impl HttpLine {
    /// Takes a request's record apart; panics when it is not an `httplog` line.
    pub(crate) fn parse(record: &Record) -> Self {
        let text = &record.text;
        let parse = || {
            let (head, request) = text.strip_suffix('"')?.split_once(" \"")?;
            let (head, captures) = match head.split_once(" {") {
                Some((head, captures)) => (head, format!("{{{captures}")),
                None => (head, String::new()),
            };
            let mut words = head.split(' ');
            let client = words.next()?.to_string();
            let date = words
                .next()?
                .strip_prefix('[')?
                .strip_suffix(']')?
                .to_string();
            let frontend = words.next()?.to_string();
            let server = words.next()?.to_string();
            let timers: Vec<i64> = words
                .next()?
                .split('/')
                .map(|t| t.parse().ok())
                .collect::<Option<_>>()?;
            let line = Self {
                priority: record.priority,
                client,
                date,
                frontend,
                server,
                timers: timers.try_into().ok()?,
                status: words.next()?.parse().ok()?,
                bytes: words.next()?.parse().ok()?,
                cookies: format!("{} {}", words.next()?, words.next()?),
                state: words.next()?.to_string(),
                connections: words.next()?.to_string(),
                queues: words.next()?.to_string(),
                captures,
                request: request.to_string(),
            };
            words.next().is_none().then_some(line)
        };
        let line = parse().unwrap_or_else(|| panic!("not an httplog line: {text:?}"));
        line.check_stamps();
        line
    }

    /// The parts that are masked in comparisons still have a form: they are checked here.
    fn check_stamps(&self) {
        let (second, millis) = self.date.split_once('.').expect("milliseconds in the date");
        assert_recent(second, LocalTime::log_stamp);
        assert!(
            millis.len() == 3 && millis.bytes().all(|b| b.is_ascii_digit()),
            "{}",
            self.date
        );
        let port = self
            .client
            .strip_prefix("127.0.0.1:")
            .expect("the client's address");
        assert!(
            port.parse::<u16>().is_ok_and(|port| port > 0),
            "{}",
            self.client
        );
        let [tr, tw, tc, tr2, ta] = self.timers;
        let stages: i64 = [tr, tw, tc, tr2].into_iter().filter(|t| *t > 0).sum();
        // Each is rounded on its own, so that the sum may be ahead by a few milliseconds.
        assert!(ta + 4 >= stages, "{:?}", self.timers);
    }

    /// The line with port, date and reached timers masked, as the tests write it:
    /// `web_proxy web/s1 T/T/T/T/T 200 214 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1"`.
    pub(crate) fn masked(&self) -> String {
        let mask = |t: &i64| {
            if *t < 0 {
                t.to_string()
            } else {
                "T".to_string()
            }
        };
        let timers: Vec<String> = self.timers.iter().map(mask).collect();
        let captures = match self.captures.as_str() {
            "" => String::new(),
            captures => format!(" {captures}"),
        };
        format!(
            "{} {} {} {} {} {} {} {} {}{captures} \"{}\"",
            self.frontend,
            self.server,
            timers.join("/"),
            self.status,
            self.bytes,
            self.cookies,
            self.state,
            self.connections,
            self.queues,
            self.request,
        )
    }
}
