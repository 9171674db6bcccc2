//! The machine, the files, and how what was said about them is read.

use oneloop::config::diag::Severity;
use oneloop::config::host::Fake;
use oneloop::config::model::{Config, Proxy};
use oneloop::config::{LoadOptions, Loaded, Source, load};

pub(crate) const ERROR_503: &str = "HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\n\
Connection: close\r\nContent-Type: text/html\r\n\r\n<html><body><h1>503</h1></body></html>\n";

/// The article's layer 7 file.
pub(crate) const ARTICLE: &str = "\
global
        log /dev/log    local0
        log /dev/log    local1 notice
        chroot /var/lib/haproxy
        stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
        stats timeout 30s
        user haproxy
        group haproxy
        daemon
        # Default SSL material locations
        ca-base /etc/ssl/certs
        crt-base /etc/ssl/private
        ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
        ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
        ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
        log     global
        mode    http
        option  httplog
        option  dontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000
        errorfile 400 /etc/haproxy/errors/503.http
        errorfile 503 /etc/haproxy/errors/503.http
frontend web_proxy
        bind *:80
        default_backend    web_server01
        option             forwardfor
        acl is-app1 path_beg /app1
        acl is-app2 path_beg /app2
        use_backend web_server01 if is-app1
        use_backend web_server02 if is-app2
backend web_server01
        balance            roundrobin
        http-request replace-path /app1(/)?(.*) /\\2
        server             debian11-2 10.2.1.242:80 check
backend web_server02
        balance            roundrobin
        http-request replace-path /app2(/)?(.*) /\\2
        server             debian11-2 10.2.1.243:80 check
";

pub(crate) fn host() -> Fake {
    let machine = Fake {
        sockets: vec![7],
        ..Fake::new()
    };
    machine
        .with_file("/etc/haproxy/errors/503.http", ERROR_503)
        .with_file("/bad.http", "no answer\n")
}

pub(crate) fn load_text(text: &str) -> Loaded {
    load_with(text, &LoadOptions::default())
}

pub(crate) fn load_with(text: &str, options: &LoadOptions) -> Loaded {
    let source = Source {
        name: "F".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    load(&[source], &host(), options)
}

/// All messages, one a string: severity letter, then the text's first line.
pub(crate) fn messages(loaded: &Loaded) -> Vec<String> {
    let found = &loaded.diagnostics;
    let lines = found.list().iter().map(|one| {
        let text = found.render(one);
        let severity = match one.severity {
            Severity::Alert => 'A',
            Severity::Warning => 'W',
            Severity::Notice => 'N',
            Severity::Diag => 'D',
        };
        format!("{severity} {}", text.lines().next().unwrap_or(""))
    });
    lines
        .filter(|line| !line.contains("rror(s) found") && !line.contains("Fatal errors found"))
        .collect()
}

pub(crate) fn good(text: &str) -> Config {
    let loaded = load_text(text);
    let said = messages(&loaded);
    loaded.config.unwrap_or_else(|| panic!("{text}\n{said:#?}"))
}

pub(crate) fn proxy<'a>(config: &'a Config, name: &str) -> &'a Proxy {
    let mut proxies = config.proxies.iter();
    proxies.find(|proxy| proxy.name == name).unwrap()
}

/// Each row: a configuration and all that is said about it.
pub(crate) fn check(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let loaded = load_text(text);
        assert_eq!(messages(&loaded), *expected, "{text}");
        let failed = expected.iter().any(|line| line.starts_with('A'));
        assert_eq!(loaded.config.is_none(), failed, "{text}");
    }
}
