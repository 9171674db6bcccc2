//! The checks of protocols against the servers that speak them, and against those that do not; what
//! they find is what HAProxy finds on the same servers at the same time.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::programs::{mariadb, postgres, program, redis, slapd, smtp};
use crate::support::proxy::Setup;
use crate::support::{Flavour, PATIENCE, flavour, own_address};

/// The options by the names their backends begin with.
const CHECKS: [(&str, &str); 9] = [
    ("smtp", "smtpchk"),
    ("ehlo", "smtpchk EHLO example.org"),
    ("redis", "redis-check"),
    ("mysql", "mysql-check"),
    ("login", "mysql-check user haproxy"),
    ("guest", "mysql-check user guest"),
    ("pgsql", "pgsql-check user haproxy"),
    ("stranger", "pgsql-check user guest"),
    ("ldap", "ldap-check"),
];

/// `check_status`, `check_code` and `last_chk` of a server.
type Found = (String, String, String);

/// What the statistics have of a backend's server.
fn found(rows: &str, backend: &str) -> Found {
    let start = format!("{backend},s,");
    let row = rows.lines().find(|row| row.starts_with(&start));
    let cells: Vec<&str> = row.unwrap_or_default().split(',').collect();
    let names: Vec<&str> = rows.lines().next().unwrap().split(',').collect();
    let cell = |name| {
        let at = names.iter().position(|one| *one == name).unwrap();
        let cell = cells.get(at).copied().unwrap_or_default();
        cell.trim_matches('"').to_owned()
    };
    let status = cell("check_status");
    let status = status.trim_start_matches("* ").to_owned();
    (status, cell("check_code"), cell("last_chk"))
}

/// Whether a server shows what a row wants: a status, a code and a part of its text, or, for
/// `no`, that its check has failed in whatever way.
fn shows(found: &Found, row: (&str, &str, &str)) -> bool {
    let (status, code, text) = found;
    match row {
        ("no", ..) => !matches!(status.as_str(), "" | "INI" | "L7OK"),
        // HAProxy 2.6 loses these texts on their way to the statistics.
        ("L7OK", code, "MariaDB" | "Success") if flavour() == Flavour::Oracle => {
            (status.as_str(), found.1.as_str()) == ("L7OK", code)
        }
        row => (status.as_str(), code.as_str()) == (row.0, row.1) && text.contains(row.2),
    }
}

/// What a server shows that has closed the connection: whether that is met as an end, as a reset, or
/// when something is sent is not in our hands.
fn has_left((status, _, text): &Found) -> bool {
    let empty = text.is_empty() || text.starts_with("TCPCHK got an empty response");
    status == "SOCKERR" || status == "L7RSP" && empty
}

/// Whether HAProxy shows the same of a server.
fn same(ours: &Found, theirs: &Found) -> bool {
    let lost = ours.0 == "L7OK" && theirs.2.is_empty();
    let text = lost || ours.2 == theirs.2;
    (&ours.0, &ours.1, text) == (&theirs.0, &theirs.1, true) || has_left(ours) && has_left(theirs)
}

#[test]
fn checks_and_servers() {
    // A server that takes connections and never says a word.
    let silent = TcpListener::bind((own_address(), 0)).unwrap();
    let servers = [
        ("redis", redis("")),
        ("locked", redis("requirepass secret")),
        ("mariadb", mariadb()),
        ("postgres", postgres()),
        ("slapd", slapd("")),
        ("closed", slapd("disallow bind_anon")),
        ("smtpd", smtp()),
    ];
    let places: Vec<(&str, SocketAddr)> = servers
        .iter()
        .filter_map(|(name, server)| Some((*name, server.as_ref()?.addr)))
        .chain([("silent", silent.local_addr().unwrap())])
        .collect();
    let mut config = "global\n stats socket @dir@/admin.sock mode 600 level admin\n\
                      defaults\n mode tcp\n timeout connect 5s\n timeout client 5s\n \
                      timeout server 5s\n timeout check 1s\n default-server inter 500ms\n\
                      frontend f\n bind @fe@\n"
        .to_owned();
    for (check, option) in CHECKS {
        for (name, addr) in &places {
            config.push_str(&format!(
                "backend {check}-{name}\n option {option}\n server s {addr} check\n"
            ));
        }
    }
    let proxy = Setup::new(&config).start();
    let haproxy = program("haproxy").map(|haproxy| {
        let mut setup = Setup::new(&config);
        setup.program = Some(haproxy);
        setup.start()
    });
    let mut wrong = Vec::new();
    for (check, _) in CHECKS {
        for (name, _) in &places {
            let row = EXPECTED
                .iter()
                .find(|row| (row.0, row.1) == (check, *name))
                .map_or(("no", "", ""), |row| (row.2, row.3, row.4));
            wrong.push((format!("{check}-{name}"), row, String::new()));
        }
    }
    // A busy machine may be late for a first check; whatever is right once is right.
    let began = Instant::now();
    while !wrong.is_empty() {
        assert!(began.elapsed() < PATIENCE, "{wrong:#?}");
        let stat = proxy.command("show stat");
        let theirs = haproxy.as_ref().map(|proxy| proxy.command("show stat"));
        wrong.retain_mut(|(backend, row, last)| {
            let ours = found(&stat, backend);
            let theirs = theirs.as_ref().map(|stat| found(stat, backend));
            *last = format!("{ours:?}, haproxy: {theirs:?}");
            !shows(&ours, *row) || theirs.is_some_and(|theirs| !same(&ours, &theirs))
        });
        // Nothing tells when a check is over: ask again in a moment.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Check, server, status, code and a part of the text.
const EXPECTED: &[(&str, &str, &str, &str, &str)] = &[
    ("smtp", "smtpd", "L7OK", "221", "Bye"),
    ("smtp", "silent", "L7TOUT", "", ""),
    ("smtp", "redis", "L7TOUT", "", ""),
    ("ehlo", "smtpd", "L7OK", "221", "Bye"),
    ("redis", "redis", "L7OK", "0", "Redis server is ok"),
    ("redis", "locked", "L7TOUT", "", ""),
    ("redis", "silent", "L7TOUT", "", ""),
    ("redis", "smtpd", "L7TOUT", "", ""),
    ("mysql", "mariadb", "L7OK", "0", "MariaDB"),
    ("mysql", "silent", "L7TOUT", "", ""),
    ("mysql", "smtpd", "L7TOUT", "", ""),
    ("login", "mariadb", "L7OK", "0", "MariaDB"),
    ("login", "silent", "L7TOUT", "", ""),
    (
        "guest",
        "mariadb",
        "L7STS",
        "1045",
        "#28000Access denied for user 'guest'@'127.",
    ),
    ("pgsql", "postgres", "L7OK", "0", "PostgreSQL server is ok"),
    ("pgsql", "silent", "L7TOUT", "", ""),
    ("pgsql", "smtpd", "L7STS", "0", "PostgreSQL unknown error"),
    ("stranger", "postgres", "L7RSP", "", "FATAL"),
    ("ldap", "slapd", "L7OK", "0", "Success"),
    ("ldap", "closed", "L7STS", "48", "See RFC: http"),
    ("ldap", "silent", "L7TOUT", "", ""),
    ("ldap", "smtpd", "L7RSP", "", "Not LDAPv3 protocol"),
];
