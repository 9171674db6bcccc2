//! TCP mode: any bytes both ways, half-close passed on, `option tcplog`.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::origin::Origin;
use crate::support::{free_endpoint, until};
use crate::{Client, Rig, freeze};

/// A TCP proxy in front of the origin `@s@`, with further lines.
fn tcp(origin: Origin, lines: &str) -> Rig {
    let config = format!(
        "global\n log @log@ local0\n stats socket @dir@/admin.sock level admin\n\
         defaults\n mode tcp\n log global\n option tcplog\n\
         timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         listen t\n bind @fe@\n{lines}\n"
    );
    Rig::of(origin, &config)
}

/// Sends back every byte, and ends when the other side does.
fn echo() -> Origin {
    Origin::scripted(|wire| {
        let mut buffer = [0; 16_384];
        while let Ok(len @ 1..) = wire.stream.read(&mut buffer) {
            wire.send(&buffer[..len]);
        }
    })
}

/// The fields of a tcplog line after the date, with the three timers masked.
fn masked(rig: &Rig) -> String {
    let record = rig
        .log
        .records
        .take("the tcplog line", |record| record.is_request());
    assert_eq!(record.priority, 134);
    let mut fields: Vec<String> = record.text.split(' ').map(str::to_string).collect();
    assert!(fields[0].starts_with("127.0.0.1:"), "{}", record.text);
    let mask = |t: &str| {
        if t.starts_with('-') {
            t.to_string()
        } else {
            "T".to_string()
        }
    };
    fields[4] = fields[4].split('/').map(mask).collect::<Vec<_>>().join("/");
    fields[2..].join(" ")
}

#[test]
fn any_bytes_pass_both_ways() {
    let rig = tcp(echo(), " server s @s@");
    let mut client = rig.client();
    for bytes in [&b"\0\x01\xff"[..], b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"x"] {
        client.send(bytes);
        assert_eq!(client.exactly(bytes.len()), bytes);
    }
    client.finish();
    assert_eq!(masked(&rig), "t t/s T/T/T 24 -- 1/1/0/0/0 0/0");
}

#[test]
fn large_streams_pass_both_ways_at_once() {
    let rig = tcp(echo(), " server s @s@");
    let mut client = rig.client();
    let mut writer = client.stream.try_clone().unwrap();
    let block: Vec<u8> = (0..65_536u32).map(|n| (n * 7 / 3) as u8).collect();
    let sent = block.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..128 {
            writer.write_all(&sent).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    for _ in 0..128 {
        assert!(
            client.exactly(block.len()) == block,
            "a block came back different"
        );
    }
    thread.join().unwrap();
    assert_eq!(client.rest(), b"");
    assert_eq!(masked(&rig), "t t/s T/T/T 8388608 -- 1/1/0/0/0 0/0");
}

#[test]
fn the_clients_half_close_is_passed_on_and_the_answer_comes_after() {
    let origin = Origin::scripted(|wire| {
        let mut all = Vec::new();
        wire.stream.read_to_end(&mut all).unwrap();
        wire.send(format!("{} bytes", all.len()));
    });
    let rig = tcp(origin, " server s @s@");
    let mut client = rig.client();
    client.send("twelve bytes");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"12 bytes");
    assert_eq!(masked(&rig), "t t/s T/T/T 8 -- 1/1/0/0/0 0/0");
}

#[test]
fn the_servers_half_close_is_passed_on_and_the_client_may_go_on() {
    let origin = Origin::scripted(|wire| {
        wire.send("bye");
        wire.stream.shutdown(Shutdown::Write).unwrap();
        let head = wire.line();
        wire.file(&crate::support::origin::Request {
            head,
            body: Vec::new(),
            connection: 0,
        });
    });
    let rig = tcp(origin, " server s @s@");
    let mut client = rig.client();
    client.send("a");
    assert_eq!(client.rest(), b"bye");
    client.send("fter\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    rig.origin
        .requests
        .take("what was sent after", |request| request.head == "after\n");
}

#[test]
fn a_refused_server_is_retried_and_logged_sc() {
    let dead = free_endpoint();
    let rig = tcp(
        echo(),
        &format!(" timeout connect 100ms\n server dead {dead}"),
    );
    let mut client = rig.client();
    assert_eq!(client.rest(), b"");
    assert_eq!(masked(&rig), "t t/dead T/-1/T 0 SC 1/1/0/0/3 0/0");
}

#[test]
fn without_a_server_the_connection_is_closed_at_once() {
    let rig = tcp(echo(), "");
    let mut client = rig.client();
    assert_eq!(client.rest(), b"");
    assert_eq!(masked(&rig), "t t/<NOSRV> -1/-1/T 0 SC 1/1/0/0/0 0/0");
}

#[test]
fn idle_sides_are_timed_out_and_named() {
    for (lines, state) in [
        (" timeout client 150ms", "cD"),
        (" timeout server 150ms", "sD"),
    ] {
        let rig = tcp(echo(), &format!("{lines}\n server s @s@"));
        let mut client = rig.client();
        client.send("x");
        assert_eq!(client.rest(), b"x");
        // The half that is still open would keep the session until the other timeout.
        drop(client);
        assert_eq!(masked(&rig), format!("t t/s T/T/T 1 {state} 1/1/0/0/0 0/0"));
    }
}

#[test]
fn a_half_closed_client_gets_timeout_client_fin() {
    let origin = Origin::scripted(|wire| {
        wire.exactly(1);
        // Goes on listening after the client has ended, and says nothing.
        wire.exactly(1);
        wire.stream
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        let _ = wire.stream.read(&mut [0]);
    });
    let rig = tcp(
        origin,
        " timeout client-fin 100ms\n timeout server-fin 100ms\n server s @s@",
    );
    let mut client = rig.client();
    client.send("x");
    let began = std::time::Instant::now();
    client.stream.shutdown(Shutdown::Write).unwrap();
    client.rest();
    assert!(
        began.elapsed() < std::time::Duration::from_secs(9),
        "not the 30 s of timeout server"
    );
}

#[test]
fn connections_count_in_the_five_counters() {
    let rig = tcp(echo(), " server s @s@");
    let mut clients: Vec<Client> = (0..3).map(|_| rig.client()).collect();
    for client in &mut clients {
        client.send("x");
        client.exactly(1);
    }
    clients.remove(0).finish();
    assert_eq!(masked(&rig), "t t/s T/T/T 1 -- 3/3/2/2/0 0/0");
}

#[test]
fn an_http_frontend_and_a_tcp_listener_live_side_by_side() {
    let config = crate::common(
        "frontend f\n bind @fe@\n http-request return status 200\n\
         listen t\n mode tcp\n option tcplog\n bind @tcp@\n server s @s@\n",
    );
    let rig = Rig::of(echo(), &config);
    assert_eq!(rig.ask("GET / HTTP/1.1\r\nHost: h").status(), 200);
    let mut client = Client::connect(rig.proxy.addr("tcp"));
    client.send("any");
    assert_eq!(client.exactly(3), b"any");
    client.finish();
    until("both were logged", || {
        (rig.log.records.rest().len() == 2).then_some(())
    });
}

/// The end is read before the kernel has announced it: the connection carried nothing all the same.
#[test]
fn dontlognull_leaves_out_a_client_that_left_before_it_was_accepted() {
    let rig = tcp(echo(), " option dontlognull\n server s @s@");
    freeze(&rig.proxy);
    for _ in 0..5 {
        let gone = rig.client();
        gone.stream.shutdown(Shutdown::Write).unwrap();
    }
    rig.proxy.signal("CONT");
    until("all have been served", || {
        let stat = rig.proxy.command("show stat t 1 -1");
        let row: Vec<&str> = stat.lines().nth(1).unwrap().split(',').collect();
        (row[4] == "0" && row[7] == "5").then_some(())
    });
    let mut client = rig.client();
    client.send("x");
    assert_eq!(client.exactly(1), b"x");
    client.finish();
    assert_eq!(masked(&rig), "t t/s T/T/T 1 -- 1/1/0/0/0 0/0");
}
