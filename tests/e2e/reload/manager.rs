//! What the service manager is told.

use super::*;

#[test]
fn the_service_manager_is_told() {
    if is_haproxy() {
        return;
    }
    let mut rig = Rig::of(answering(OK), &config(), &["-Ws"], &[]);
    let master = rig.proxy.pid();
    assert_eq!(
        rig.heard(),
        format!("READY=1\nMAINPID={master}\nSTATUS=Ready.\n")
    );
    rig.proxy.signal("USR2");
    let reloading = rig.heard();
    let moment = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .and_then(|rest| rest.strip_suffix("\nSTATUS=Reloading Configuration.\n"));
    let moment: u64 = moment
        .unwrap_or_else(|| panic!("{reloading:?}"))
        .parse()
        .unwrap();
    assert!(moment > 0);
    assert_eq!(
        rig.heard(),
        format!("READY=1\nMAINPID={master}\nSTATUS=Ready.\n")
    );
    rig.rewrite(|text| format!("{text} bogus\n"));
    rig.proxy.signal("USR2");
    assert!(rig.heard().starts_with("RELOADING=1\n"));
    let failed = format!("READY=1\nMAINPID={master}\nSTATUS=Reload failed!\n");
    assert_eq!(rig.heard(), failed);
    rig.proxy.signal("TERM");
    assert_eq!(rig.heard(), "STOPPING=1\nSTATUS=Stopping.\n");
    assert_eq!(rig.proxy.wait(), 0);
}

/// Debian's file says `daemon`, and its unit starts `-Ws`: the service is the first process.
#[test]
fn a_service_manager_is_not_left_for_the_background() {
    // The runtime socket is enough to serve, and nobody can take its address.
    let setup = Setup::new(&in_global(&common(""), "daemon")).with("log", NOWHERE);
    let (path, _) = setup.write();
    let heard = setup.dir().join("notify");
    let manager = UnixDatagram::bind(&heard).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut service = Command::new(binary())
        .args(["-Ws", "-f"])
        .arg(path)
        .env("NOTIFY_SOCKET", heard)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut text = [0; 256];
    let mut found = None;
    // HAProxy tells of a reload first.
    while found.is_none() {
        let length = manager.recv(&mut text).unwrap();
        let told = String::from_utf8_lossy(&text[..length]).into_owned();
        let pid = told.lines().find_map(|line| line.strip_prefix("MAINPID="));
        found = pid.map(str::to_owned);
    }
    assert_eq!(found.unwrap(), service.id().to_string());
    signal(service.id(), "TERM");
    until("the service ends", || service.try_wait().unwrap());
}

#[test]
fn only_ws_tells_the_service_manager() {
    if is_haproxy() {
        return;
    }
    let rig = Rig::new();
    rig.reload();
    rig.manager.set_nonblocking(true).unwrap();
    let nothing = rig.manager.recv(&mut [0; 64]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_watchdog_is_fed_while_the_worker_turns() {
    if is_haproxy() {
        return;
    }
    let watchdog = [("WATCHDOG_USEC", "200000")];
    let rig = Rig::of(answering(OK), &config(), &["-Ws"], &watchdog);
    let mut bytes = [0; 128];
    let mut fed = 0;
    while fed < 3 {
        let length = rig.manager.recv(&mut bytes).unwrap();
        fed += usize::from(&bytes[..length] == b"WATCHDOG=1\n");
    }
    let worker = rig.worker();
    signal(worker, "STOP");
    let stat = format!("/proc/{worker}/stat");
    until("the worker stands still", || {
        let text = std::fs::read_to_string(&stat).unwrap();
        text.contains(") T ").then_some(())
    });
    // What was sent while it turned.
    rig.manager.set_nonblocking(true).unwrap();
    while rig.manager.recv(&mut bytes).is_ok() {}
    rig.manager.set_nonblocking(false).unwrap();
    // One more for the answer that had come, and one that was on its way.
    let mut more = 0;
    rig.manager
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    while rig.manager.recv(&mut bytes).is_ok() {
        more += 1;
        assert!(more <= 2, "fed though the worker stands still");
    }
    signal(worker, "CONT");
    rig.manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = rig.manager.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"WATCHDOG=1\n");
}
