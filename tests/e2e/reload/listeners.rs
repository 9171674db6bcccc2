//! Listeners that pass from one process to the next.

use super::*;

#[test]
fn unix_listeners_and_their_modes_follow_the_configuration() {
    if is_haproxy() {
        return;
    }
    let config = format!("{}frontend u\n bind unix@@dir@/u.sock mode 600\n", config());
    let rig = Rig::of(answering(OK), &config, &["-W"], &[]);
    let path = rig.proxy.dir().join("u.sock");
    let facts = || {
        use std::os::unix::fs::MetadataExt as _;
        let of = std::fs::metadata(&path).unwrap();
        (of.ino(), of.mode() & 0o777)
    };
    let (inode, mode) = facts();
    assert_eq!(mode, 0o600);
    rig.rewrite(|text| text.replace("u.sock mode 600", "u.sock mode 660"));
    rig.reload();
    assert_eq!(facts(), (inode, 0o660));
    UnixStream::connect(&path).unwrap();
    // A file that is gone is made again.
    std::fs::remove_file(&path).unwrap();
    rig.reload();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn abstract_and_unix_listeners_are_handed_over() {
    if is_haproxy() {
        return;
    }
    let config = format!(
        "{}frontend u\n bind unix@@dir@/u.sock\n bind abns@@dir@/abstract\n \
         http-request return status 200\n\
         frontend through\n bind @through@\n default_backend through\n\
         backend through\n balance roundrobin\n server u unix@@dir@/u.sock\n \
         server a abns@@dir@/abstract\n",
        config()
    );
    let rig = Rig::of(answering(OK), &config, &["-W"], &[]);
    let path = rig.proxy.dir().join("u.sock");
    for _ in 0..3 {
        for _ in 0..4 {
            let mut client = Client::connect(rig.proxy.addr("through"));
            let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            assert_eq!(answer.status(), 200);
        }
        // It ends with its last client, and leaves the path alone.
        let worker = rig.worker();
        rig.reload();
        until("the former worker is gone", || {
            let gone = !Path::new(&format!("/proc/{worker}")).exists();
            gone.then_some(())
        });
        UnixStream::connect(&path).unwrap();
    }
}

/// Starts a second process that follows the first, and waits until the first is gone.
fn follow(first: &Path, second: &Path, how: &[&str]) {
    let exposing = common("frontend f\n bind @fe@\n http-request return status 200\n")
        .replace("level admin", "level admin expose-fd listeners");
    let spawn = |program: &Path, dir: &Path, more: &[&str]| {
        let mut command = Command::new(program);
        command.args(["-db", "-f"]).arg(dir.join("proxy.cfg"));
        command.args(more).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let setup = Setup::new(&exposing).with("log", NOWHERE);
    let (_, endpoints) = setup.write();
    let fe = endpoints["fe"];
    let mut old = spawn(first, setup.dir(), &[]);
    until("the first listens", || is_listening(fe).then_some(()));
    let inode = || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X} 00000000:0000 0A ", fe.port());
        let rows = table.lines().filter(|row| row.contains(&port));
        let inodes = rows.map(|row| row.split_whitespace().nth(9).unwrap().to_owned());
        inodes.collect::<Vec<_>>()
    };
    let before = inode();
    let admin = setup.dir().join("admin.sock").display().to_string();
    let pid = old.id().to_string();
    let more = [how, &["-x", &admin, "-sf", &pid]].concat();
    let mut new = spawn(second, setup.dir(), &more);
    let status = until("the first is gone", || old.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert_eq!(inode(), before, "it is the same socket");
    let answer = Client::connect(fe).ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.status(), 200);
    new.kill().unwrap();
    new.wait().unwrap();
}

#[test]
fn a_process_takes_the_listeners_of_another() {
    let ours = crate::support::binary();
    follow(&ours, &ours, &[]);
    follow(&ours, &ours, &["-W"]);
}

#[test]
fn haproxy_and_oneloop_follow_each_other() {
    let ours = crate::support::binary();
    let haproxy = Path::new("/usr/sbin/haproxy");
    if !haproxy.exists() {
        assert!(std::env::var("CI").is_err(), "haproxy is not installed");
        eprintln!("haproxy is not installed: how it follows and is followed is left out");
        return;
    }
    follow(haproxy, &ours, &[]);
    follow(&ours, haproxy, &[]);
}

#[test]
fn a_process_without_socket_to_follow_does_not_start() {
    let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let setup = setup.with("log", NOWHERE);
    let (path, _) = setup.write();
    let outcome = setup.run(&["-x", "/nonexistent", "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(1));
    let said = outcome.stderr.lines().filter_map(Message::parse);
    let said: Vec<String> = said.map(|message| message.text).collect();
    let tail = [
        "Failed to connect to the old process socket '/nonexistent'",
        "Failed to get the sockets from the old process!",
    ];
    for text in tail {
        assert!(said.iter().any(|line| line == text), "{said:#?}");
    }
}

#[test]
fn a_process_that_ends_another_at_once() {
    let rig = |more: &[&str]| {
        let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
        let mut setup = setup.with("log", NOWHERE);
        setup
            .args
            .extend(more.iter().map(|word| (*word).to_owned()));
        setup.start()
    };
    let mut old = rig(&[]);
    let _new = rig(&["-st", &old.pid().to_string()]);
    assert_eq!(old.wait(), 143);
}
