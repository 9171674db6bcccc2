//! The runtime socket of the master.

use super::*;

#[test]
fn commands_of_the_masters_socket() {
    let rig = Rig::new();
    let worker = rig.worker();
    let version = rig.master("show version\n");
    assert!(version.starts_with("2.6.12-") && version.ends_with("\n\n"));
    for prefix in ["@1".to_owned(), format!("@!{worker}"), "@master".to_owned()] {
        assert_eq!(rig.master(&format!("{prefix} show version\n")), version);
    }
    let pid = |answer: &str| -> u32 {
        let line = answer.lines().find(|line| line.starts_with("Pid: "));
        line.unwrap()["Pid: ".len()..].parse().unwrap()
    };
    assert_eq!(pid(&rig.master("@1 show info\n")), worker);
    // A prefix alone holds for what follows.
    let both = rig.master("@1; show info; @master; show version\n");
    assert_eq!(pid(&both), worker);
    assert!(both.ends_with(&version));
    for prefix in ["@2", "@!999999999", "@foo"] {
        let text = format!("Can't find the target PID matching the prefix '{prefix}'\n");
        assert_eq!(rig.master(&format!("{prefix} show version\n")), text);
    }
    assert_eq!(rig.master("show cli level\n"), "admin\n\n");
    assert_eq!(rig.master("operator; show cli level\n"), "operator\n\n");
    let denied = "Permission denied\n\n";
    assert_eq!(rig.master("user; reload\n"), denied);
    assert_eq!(rig.master("user; @1 disable frontend f\n"), denied);
    let help = rig.master("help\n");
    assert!(help.starts_with("The following commands are valid at this level:\n"));
    assert_eq!(help.lines().count(), 15, "{help}");
    let unknown = rig.master("foo\n");
    assert!(unknown.starts_with("Unknown command"), "{unknown}");
    let prompts = rig.master("prompt\nshow version\n@1\nshow version\n@master\nquit\n");
    let expected = format!("master> {version}master> {worker}> {version}{worker}> master> ");
    assert_eq!(prompts.trim_start_matches('\n'), expected);
    let proc = rig.master("show proc\n");
    let lines: Vec<&str> = proc.lines().collect();
    let head = "#<PID>          <type>          <reloads>       <uptime>        <version>      ";
    assert_eq!(lines[0], head);
    assert_eq!(lines[2], "# workers");
    assert_eq!(lines[4..], ["# programs", ""]);
    let master = rig.proxy.pid();
    let row = format!("{master:<15} master          0 [failed: 0]   0d00h00m");
    assert!(lines[1].starts_with(&row), "{}", lines[1]);
    assert!(lines[3].starts_with(&format!("{worker:<15} worker          0               0d")));
}

#[test]
fn the_level_of_the_masters_socket() {
    let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let mut setup = setup.with("log", NOWHERE);
    let path = setup.dir().join("master.sock").display().to_string();
    setup.args.extend(["-W", "-S"].map(str::to_owned));
    setup.args.push(format!("{path},level,user,mode,600"));
    let proxy = setup.start();
    let mode = std::fs::metadata(&path).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o777, 0o600);
    let mut stream = proxy.runtime("master.sock");
    stream.write_all(b"show cli level; reload\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "user\n\nPermission denied\n\n");
}

#[test]
fn words_of_the_masters_socket_that_are_wrong() {
    if is_haproxy() {
        return;
    }
    let setup = Setup::new(&config()).with("s", "127.0.0.1:1");
    let setup = setup.with("log", NOWHERE);
    let (path, _) = setup.write();
    let path = path.to_str().unwrap();
    for (words, texts) in [
        (
            "/nonexistent/m",
            [
                "Binding [master-socket:0] for proxy MASTER: cannot bind UNIX socket \
                 (No such file or directory) [/nonexistent/m]",
                "[haproxy.main()] Some protocols failed to start their listeners! Exiting.",
            ],
        ),
        (
            "/x,foo",
            [
                "'/x foo' : unknown keyword 'foo'.",
                "Can't create the master's CLI.",
            ],
        ),
    ] {
        let outcome = setup.run(&["-W", "-S", words, "-f", path]);
        assert_eq!(outcome.code, Some(1));
        let said = outcome.stderr.lines().filter_map(Message::parse);
        let said: Vec<String> = said.map(|message| message.text).collect();
        for (line, text) in said.iter().skip(2).zip(texts) {
            assert!(line.starts_with(text), "{line}");
        }
        assert_eq!(said.len(), 4);
    }
    let pid_file = ["-W", "-p", "/nonexistent/pid", "-f", path];
    let outcome = setup.run(&pid_file);
    assert_eq!(outcome.code, Some(1));
    let text = "[haproxy.main()] Cannot create pidfile /nonexistent/pid\n";
    assert!(outcome.stderr.ends_with(text));
}
