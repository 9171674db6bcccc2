//! Memory is bounded by the configuration, and `-c -V` says by how much.

use std::fs::read_to_string;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};

use crate::support::client::Client;
use crate::support::proxy::{Proxy, Setup};
use crate::support::{Flavour, flavour, free_endpoint, own_address, until};

/// Resident memory, kB.
pub(crate) fn resident(proxy: &Proxy) -> u64 {
    let status = read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().strip_suffix(" kB").unwrap();
    number.trim().parse().unwrap()
}

/// The ceiling that `-c -V` prints, MB.
fn ceiling(setup: &Setup) -> u64 {
    let (path, _) = setup.write();
    let outcome = setup.run(&["-c", "-V", "-f", path.to_str().unwrap()]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let line = outcome.stdout.lines().last().unwrap();
    let rest = line.strip_prefix("Memory at most: ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Writes to all streams what they take at once.
fn stuff(streams: &mut [TcpStream]) {
    let block = [b'x'; 65_536];
    for stream in streams {
        loop {
            match stream.write(&block) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn all_connections_full_both_ways_stay_below_the_ceiling() {
    if flavour() == Flavour::Oracle {
        return;
    }
    const CONNECTIONS: usize = 150;
    let listener = TcpListener::bind((own_address(), 0)).unwrap();
    let config = format!(
        "global\n maxconn {CONNECTIONS}\n nosplice\n\
         defaults\n mode tcp\n timeout connect 30s\n timeout client 1m\n timeout server 1m\n\
         listen t\n bind @fe@\n server s @s@\n"
    );
    let setup = || Setup::new(&config).with("s", listener.local_addr().unwrap());
    let most = ceiling(&setup());
    let proxy = setup().start();
    let before = resident(&proxy);
    // Clients and servers that send and do not read.
    let addr = proxy.addr("fe");
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        streams.push(TcpStream::connect(addr).unwrap());
        streams.push(listener.accept().unwrap().0);
    }
    for stream in &streams {
        stream.set_nonblocking(true).unwrap();
    }
    // Never above the ceiling, and in the end within a factor of six of it.
    let most_kb = most * 1024;
    until("the connections fill up", || {
        stuff(&mut streams);
        let now = resident(&proxy);
        assert!(now < most_kb, "{now} kB with a ceiling of {most_kb} kB");
        let grown = now.saturating_sub(before);
        (grown * 6 > most_kb).then_some(())
    });
    drop(streams);
}

#[test]
fn connections_that_may_come_cost_nothing_before_they_do() {
    if flavour() == Flavour::Oracle {
        return;
    }
    // What 524,288 descriptors allow, which is what systemd gives.
    let config = format!(
        "global\n maxconn 262000\n no strict-limits\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         retries 0\n listen l\n bind @fe@\n server s {}\n",
        free_endpoint()
    );
    let proxy = Setup::new(&config).start();
    let mut client = Client::connect(proxy.addr("fe"));
    let answer = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(answer.status(), 503);
    // The debug build is larger than the release build, whose 4 MB the soak run holds.
    let resident = resident(&proxy);
    assert!(resident < 16_384, "{resident} kB for one connection");
}
