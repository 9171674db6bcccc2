//! Starts the servers: a directory for each, made by an unprivileged user, and an address of its own.
//!
//! What a server needs first (a database's files) is made when it is asked for; several are so begun
//! before the first is waited for. The process is ended by its handle.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::proxy::signal;
use crate::support::{PATIENCE, free_endpoint, is_root, until};

/// `nobody`, who servers run as when the tests run as root.
const NOBODY: u32 = 65_534;

/// A program of Debian's, if it is there.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = ["/usr/bin", "/usr/sbin"].map(PathBuf::from).to_vec();
    // PostgreSQL keeps what only its administrator needs by version.
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    let found = folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        eprintln!("servers: left out, {name} is not installed");
    }
    found
}

/// A server, and where its files are.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
    /// The signal that ends it, with all processes that it has started.
    end: &'static str,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ol").tempdir().unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self {
            addr: free_endpoint(),
            folder,
            child: None,
            end: "KILL",
        }
    }

    /// A path in its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file there, which the server may read.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    }

    /// What the server and its helpers have said.
    fn said(&self) -> String {
        std::fs::read_to_string(self.path("said")).unwrap_or_default()
    }

    /// A command as the unprivileged user; what it says goes to a file.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = self.path("said");
        let said = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs a helper to its end.
    fn run(&self, command: &mut Command) {
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?}: {}", self.said());
    }

    fn spawn(&mut self, command: &mut Command) {
        assert!(self.child.is_none(), "only one at a time");
        self.child = Some(command.spawn().unwrap());
    }

    /// Waits until it answers as it should: `hello` is said to it, and `good` judges what comes.
    fn wait(&mut self, hello: &[u8], good: impl Fn(&[u8]) -> bool) {
        until("the server answers", || {
            let child = self.child.as_mut().unwrap();
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended with {status}: {}", self.said());
            }
            let mut stream = TcpStream::connect(self.addr).ok()?;
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            stream.write_all(hello).ok()?;
            let mut answer = [0; 512];
            let count = stream.read(&mut answer).ok()?;
            good(&answer[..count]).then_some(())
        });
    }

    /// Ends the process; the address refuses from then on.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        // Ended and not waited for, it still has its number.
        signal(child.id(), self.end);
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Redis; `lines` are further lines of its configuration.
pub(crate) fn redis(lines: &str) -> Option<Server> {
    let program = program("redis-server")?;
    let mut server = Server::new();
    let (ip, port) = (server.addr.ip(), server.addr.port());
    server.file(
        "redis.conf",
        &format!(
            "bind {ip}\nport {port}\nsave \"\"\nappendonly no\nrepl-diskless-sync yes\n\
             repl-diskless-sync-delay 0\n{lines}\n"
        ),
    );
    let mut command = server.command(&program);
    server.spawn(command.arg("redis.conf"));
    // With a password it says that it wants one.
    server.wait(b"PING\r\n", |answer| {
        answer.starts_with(b"+PONG") || answer.starts_with(b"-NOAUTH")
    });
    Some(server)
}

/// A connection to Redis, on which commands are lines.
pub(crate) struct Redis(BufReader<TcpStream>);

impl Redis {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// The answer to a command, a text without its length; nothing where the connection has ended.
    pub(crate) fn ask(&mut self, command: &str) -> Option<String> {
        let line = format!("{command}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).ok()?;
        let line = self.line()?;
        let Some(Ok(length)) = line.strip_prefix('$').map(str::parse::<usize>) else {
            return Some(line);
        };
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text).ok()?;
        let text = String::from_utf8(text).unwrap();
        Some(text.trim_end().to_owned())
    }

    /// The next line; nothing where the connection has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end().to_owned()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("read: {error}"),
        }
    }
}

/// MariaDB with the user `haproxy`, who needs no password and may do nothing.
pub(crate) fn mariadb() -> Option<Server> {
    let program = program("mariadbd")?;
    let mut server = Server::new();
    let tables = "/usr/share/mysql/mysql_system_tables.sql";
    let tables = std::fs::read_to_string(tables).unwrap();
    let sql = format!("use mysql;\n{tables}\nFLUSH PRIVILEGES;\nCREATE USER haproxy@'%';\n");
    server.file("first.sql", &sql);
    let folder = server.folder.path().display().to_string();
    let small = |command: &mut Command| {
        command.arg("--no-defaults");
        command.args([
            format!("--datadir={folder}/data"),
            format!("--tmpdir={folder}"),
        ]);
        command.args([
            "--skip-name-resolve",
            "--innodb-log-file-size=4M",
            "--innodb-buffer-pool-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
    };
    let shell = Path::new("/bin/sh");
    server.run(server.command(shell).args(["-c", "mkdir -p data/mysql"]));
    let mut command = server.command(&program);
    small(&mut command);
    let first = std::fs::File::open(server.path("first.sql")).unwrap();
    server.run(command.arg("--bootstrap").stdin(first));
    let mut command = server.command(&program);
    small(&mut command);
    let (ip, port) = (server.addr.ip(), server.addr.port());
    command.args([
        format!("--bind-address={ip}"),
        format!("--port={port}"),
        format!("--socket={}", server.path("sock").display()),
        "--pid-file=pid".to_owned(),
        // Checks without a user count as connections that failed.
        "--max-connect-errors=1000000".to_owned(),
    ]);
    server.spawn(&mut command);
    server.wait(b"", |answer| answer.get(4) == Some(&10));
    Some(server)
}

/// What a server of PostgreSQL may be asked by whom.
const HBA: &str = "\
local all         all             reject
host  all         postgres        127.0.0.0/8 trust
host  all         haproxy         127.0.0.0/8 scram-sha-256
host  replication postgres        127.0.0.0/8 trust
";

/// PostgreSQL with the users `postgres`, who may do everything, and `haproxy`, who has no password
/// and so gets no further than to be asked for one.
pub(crate) fn postgres() -> Option<Server> {
    let program = program("initdb")?;
    let server = Server::new();
    server.run(server.command(&program).args([
        "-D",
        "data",
        "-U",
        "postgres",
        "-A",
        "trust",
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    ]));
    serve_postgres(server)
}

/// A copy of a server that follows it.
pub(crate) fn postgres_copy(of: &Server) -> Option<Server> {
    let program = program("pg_basebackup")?;
    let server = Server::new();
    let (ip, port) = (of.addr.ip().to_string(), of.addr.port().to_string());
    server.run(server.command(&program).args([
        "-D",
        "data",
        "-h",
        &ip,
        "-p",
        &port,
        "-U",
        "postgres",
        "-R",
        "--no-sync",
        "-c",
        "fast",
    ]));
    serve_postgres(server)
}

fn serve_postgres(mut server: Server) -> Option<Server> {
    let program = program("postgres")?;
    let (ip, port) = (server.addr.ip(), server.addr.port());
    server.file("data/pg_hba.conf", HBA);
    server.end = "QUIT";
    let mut command = server.command(&program);
    command.args(["-D", "data"]);
    for setting in [
        format!("listen_addresses={ip}"),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "shared_buffers=8MB".to_owned(),
        "max_connections=20".to_owned(),
    ] {
        command.args(["-c", &setting]);
    }
    server.spawn(&mut command);
    // It asks who is there before it can serve, and says so with an error.
    let hello = b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0";
    server.wait(hello, |answer| answer.starts_with(b"R"));
    Some(server)
}

/// What `psql` says to a statement; the error where it fails.
pub(crate) fn ask_postgres(addr: SocketAddr, statement: &str) -> Result<String, String> {
    let output = Command::new("/usr/bin/psql")
        .env("PGCONNECT_TIMEOUT", "10")
        .args(["-X", "-A", "-t", "-U", "postgres", "-d", "postgres"])
        .args(["-h", &addr.ip().to_string(), "-p", &addr.port().to_string()])
        .args(["-c", statement])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// OpenLDAP without any data; `lines` are its configuration.
pub(crate) fn slapd(lines: &str) -> Option<Server> {
    let program = program("slapd")?;
    let mut server = Server::new();
    server.file("slapd.conf", lines);
    let url = format!("ldap://{}", server.addr);
    let mut command = server.command(&program);
    server.spawn(command.args(["-h", &url, "-f", "slapd.conf", "-d", "0"]));
    let bind = b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0";
    server.wait(bind, |answer| answer.starts_with(b"\x30"));
    Some(server)
}

/// An SMTP server that drops its mail.
pub(crate) fn smtp() -> Option<Server> {
    let package = Path::new("/usr/lib/python3/dist-packages/aiosmtpd");
    let program = program("python3")?;
    if !package.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "aiosmtpd is not installed"
        );
        eprintln!("servers: left out, aiosmtpd is not installed");
        return None;
    }
    let mut server = Server::new();
    let addr = server.addr.to_string();
    let mut command = server.command(&program);
    server.spawn(command.args(["-m", "aiosmtpd", "-n", "-l", &addr]));
    server.wait(b"", |answer| answer.starts_with(b"220 "));
    Some(server)
}

/// nginx, whose page is its name and whose `/health` is a file that a test may take away.
pub(crate) fn nginx(name: &str) -> Option<Server> {
    let program = program("nginx")?;
    let mut server = Server::new();
    let (addr, folder) = (server.addr, server.folder.path().display().to_string());
    server.file("index.html", &format!("{name}\n"));
    server.file("health", "well\n");
    server.file(
        "nginx.conf",
        &format!(
            "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/errors;\n\
             events {{ }}\n\
             http {{\n access_log off;\n client_body_temp_path {folder}/body;\n \
             proxy_temp_path {folder}/proxy;\n fastcgi_temp_path {folder}/fastcgi;\n \
             uwsgi_temp_path {folder}/uwsgi;\n scgi_temp_path {folder}/scgi;\n \
             server {{ listen {addr}; root {folder};\n \
             add_header X-Seen-From $http_x_forwarded_for;\n \
             add_header X-Seen-Id $http_x_request_id;\n \
             add_header X-Seen-Cookie $http_cookie; }}\n}}\n"
        ),
    );
    let mut command = server.command(&program);
    let errors = server.path("errors").display().to_string();
    server.spawn(command.args(["-c", &format!("{folder}/nginx.conf"), "-e", &errors]));
    server.wait(b"GET /health HTTP/1.0\r\n\r\n", |answer| {
        answer.starts_with(b"HTTP/1.1 200 ")
    });
    Some(server)
}
