//! Configurations in, verdicts, messages and models out, through `config::load` on a machine
//! made of maps. The expected messages were read off HAProxy 2.6.12 (`-c -f`), the lead
//! `config : ` dropped; where oneloop is stricter on purpose the row says so.

use oneloop::base::addr::Endpoint;
use oneloop::config::diag::Severity;
use oneloop::config::host::Fake;
use oneloop::config::model::{
    AccessLevel, Config, HttpConnection, LogAddress, Mode, Proxy, Redispatch, Reuse, SwitchTarget,
};
use oneloop::config::{LoadOptions, Loaded, Source, load};

const ERROR_503: &str = "HTTP/1.0 503 Service Unavailable\r\nCache-Control: no-cache\r\n\
Connection: close\r\nContent-Type: text/html\r\n\r\n<html><body><h1>503</h1></body></html>\n";

/// The article's layer 7 file.
const ARTICLE: &str = "\
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

fn host() -> Fake {
    let machine = Fake {
        sockets: vec![7],
        ..Fake::new()
    };
    machine
        .with_file("/etc/haproxy/errors/503.http", ERROR_503)
        .with_file("/bad.http", "no answer\n")
}

fn load_text(text: &str) -> Loaded {
    load_with(text, &LoadOptions::default())
}

fn load_with(text: &str, options: &LoadOptions) -> Loaded {
    let source = Source {
        name: "F".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    load(&[source], &host(), options)
}

/// All messages, one a string: severity letter, then the text's first line.
fn messages(loaded: &Loaded) -> Vec<String> {
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

fn good(text: &str) -> Config {
    let loaded = load_text(text);
    let said = messages(&loaded);
    loaded.config.unwrap_or_else(|| panic!("{text}\n{said:#?}"))
}

fn proxy<'a>(config: &'a Config, name: &str) -> &'a Proxy {
    let mut proxies = config.proxies.iter();
    proxies.find(|proxy| proxy.name == name).unwrap()
}

/// Each row: a configuration and all that is said about it.
fn check(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let loaded = load_text(text);
        assert_eq!(messages(&loaded), *expected, "{text}");
        let failed = expected.iter().any(|line| line.starts_with('A'));
        assert_eq!(loaded.config.is_none(), failed, "{text}");
    }
}

#[test]
fn the_article() {
    let loaded = load_text(ARTICLE);
    assert_eq!(messages(&loaded), Vec::<String>::new());
    assert!(loaded.listens());
    let config = loaded.config.unwrap();
    let global = &config.global;
    assert_eq!(global.logs.len(), 2);
    assert_eq!(global.logs[1].framing.facility, 17);
    assert_eq!(global.log_tag, "haproxy");
    assert!(global.daemon && global.strict_limits && !global.quiet);
    assert_eq!(global.stats_timeout, 30_000);
    assert_eq!((global.buffer_size, global.max_rewrite), (16384, 1024));
    assert_eq!(global.user.as_ref().unwrap().0, 1000);
    assert_eq!(global.chroot.as_ref().unwrap().1.line, 4);
    let socket = &global.stats_sockets[0];
    assert_eq!(socket.level, AccessLevel::Admin);
    assert_eq!(socket.mode, Some(0o660));
    assert!(socket.expose_listeners);

    let front = proxy(&config, "web_proxy");
    assert_eq!(
        (front.mode, front.number, front.logs.len()),
        (Mode::Http, 2, 2)
    );
    assert_eq!(front.timeouts.client, Some(50_000));
    assert_eq!(
        front.default_backend,
        Some(proxy(&config, "web_server01").id)
    );
    assert_eq!(front.switches.len(), 2);
    assert!(matches!(&front.switches[1].target,
        SwitchTarget::Backend(id) if config.proxy(*id).name == "web_server02"));
    assert!(front.log_format.is_some() && front.log_options.dont_log_null);
    assert_eq!(
        front.forward_for.as_ref().unwrap().header,
        "X-Forwarded-For"
    );
    assert_eq!(front.error_file(503).unwrap().status, 503);
    let listener = &config.listeners_of(front)[0];
    assert_eq!(listener.endpoint.to_string(), "0.0.0.0:80");

    let back = proxy(&config, "web_server02");
    assert_eq!(
        (back.number, back.http_request.len(), back.retries),
        (4, 1, 3)
    );
    let server = &config.servers_of(back)[0];
    assert_eq!(
        (server.number, server.weight, server.place.line),
        (1, 1, 41)
    );
    let check = server.check.as_ref().unwrap();
    assert_eq!((check.inter, check.rise, check.fall), (2000, 2, 3));
    assert_eq!(check.endpoint.to_string(), "10.2.1.243:80");
}

#[test]
fn sections_and_names() {
    check(&[
        ("", &[]),
        ("global\n", &[]),
        (
            "bind :1\n",
            &["A parsing [F:1]: unknown keyword 'bind' out of section."],
        ),
        (
            "global foo\n",
            &["A parsing [F:1] : 'global' cannot handle unexpected argument 'foo'."],
        ),
        (
            "frontend\n",
            &["A parsing [F:1] : 'frontend' expects an <id> argument"],
        ),
        (
            "backend a$\n",
            &["A parsing [F:1] : character '$' is not permitted in 'backend' name 'a$'."],
        ),
        (
            "backend a from nope\n",
            &["A parsing [F:1] : defaults section 'nope' not found for backend 'a'."],
        ),
        (
            "defaults d\ndefaults d\nbackend a from d\n",
            &[
                "A parsing [F:3] : ambiguous defaults section name 'd' referenced by backend 'a' exists at least at F:1 and F:2.",
            ],
        ),
        (
            "backend a\nbackend a\n",
            &["A Parsing [F:2]: backend 'a' has the same name as backend 'a' declared at F:1."],
        ),
        (
            "listen a\nbackend a\n",
            &["A Parsing [F:2]: backend 'a' has the same name as proxy 'a' declared at F:1."],
        ),
        // A frontend and a backend may share a name.
        ("backend a\nfrontend a\n timeout client 1s\n bind :1\n", &[]),
        (
            "resolvers r\n nameserver x 1.2.3.4:53\n",
            &["A parsing [F:1] : 'resolvers' sections are not implemented by oneloop."],
        ),
        (
            "backend b\n id 3\nbackend c\n id 3\n",
            &["A parsing [F:4]: backend c reuses same custom id as backend b (declared at F:1)."],
        ),
    ]);
}

#[test]
fn global_lines() {
    let rows: &[(&str, &str)] = &[
        (
            "maxconn",
            "A parsing [F:2] : 'maxconn' expects an integer argument.",
        ),
        // HAProxy reads 0.
        (
            "maxconn x",
            "A parsing [F:2] : 'maxconn' expects an integer argument (got 'x').",
        ),
        (
            "maxconn 1 2",
            "A parsing [F:2] : 'maxconn' cannot handle unexpected argument '2'.",
        ),
        (
            "daemon x",
            "A parsing [F:2] : 'daemon' cannot handle unexpected argument 'x'.",
        ),
        (
            "user nobodyx",
            "A parsing [F:2] : cannot find user id for 'nobodyx' (0:Success)",
        ),
        (
            "group x",
            "A parsing [F:2] : cannot find group id for 'x' (0:Success)",
        ),
        (
            "chroot",
            "A parsing [F:2] : 'chroot' expects a directory as an argument.",
        ),
        (
            "spread-checks 60",
            "A parsing [F:2]: 'spread-checks' needs a positive value in range 0..50.",
        ),
        (
            "hard-stop-after x",
            "A parsing [F:2] : unexpected character 'x' in argument to <hard-stop-after>.",
        ),
        (
            "setenv A",
            "A parsing [F:2]: 'setenv' expects a name and a value.",
        ),
        (
            "setenv A=x b",
            "A parsing [F:2]: 'setenv' failed on variable 'A=x' : Invalid argument.",
        ),
        (
            "tune.maxaccept",
            "A parsing [F:2] : 'tune.maxaccept' expects an integer argument.",
        ),
        (
            "tune.maxaccept 2147483648",
            "A parsing [F:2] : 'tune.maxaccept' expects -1 or an integer from 0 to INT_MAX.",
        ),
        // HAProxy reads no limit.
        (
            "tune.maxaccept -2",
            "A parsing [F:2] : 'tune.maxaccept' expects -1 or an integer from 0 to INT_MAX.",
        ),
        (
            "stats timeout x",
            "A parsing [F:2] : 'stats timeout' : unexpected character 'x'",
        ),
        (
            "stats maxconn 0",
            "A parsing [F:2] : 'stats maxconn' expects a positive value",
        ),
        (
            "stats socket /x mode 999",
            "A parsing [F:2] : 'stats socket' : ''mode' : missing or invalid mode '999' (octal integer expected)'",
        ),
        (
            "stats socket /x level foo",
            "A parsing [F:2] : 'stats socket' : ''level' only supports 'user', 'operator', and 'admin' (got 'foo')'",
        ),
        (
            "ssl-default-bind-options foo",
            "A parsing [F:2] : unknown option 'foo' on global statement 'ssl-default-bind-options'.",
        ),
        (
            "ssl-default-bind-options ssl-min-ver TLS5",
            "A parsing [F:2] : 'TLS5' : unknown ssl/tls version on global statement 'ssl-default-bind-options'.",
        ),
        (
            "nbthread 0",
            "A parsing [F:2] : 'nbthread' value must be between 1 and 64 (was 0)",
        ),
        (
            "tune.http.maxhdr 0",
            "A parsing [F:2] : 'tune.http.maxhdr' expects a numeric value between 1 and 32767",
        ),
        (
            "log global",
            "A parsing [F:2] : log : 'global' is not supported for a global syslog server",
        ),
        (
            "log /dev/log",
            "A parsing [F:2] : log : expects <address> and <facility>  as arguments",
        ),
        (
            "log /dev/log foo",
            "A parsing [F:2] : log : unknown log facility 'foo'",
        ),
        (
            "log /dev/log local0 foo",
            "A parsing [F:2] : log : unknown optional log level 'foo'",
        ),
        (
            "log stdout len 3 local0",
            "A parsing [F:2] : log : invalid log length '3', must be between 80 and 65535",
        ),
        (
            "log stdout format foo local0",
            "A parsing [F:2] : log : unknown log format 'foo'",
        ),
        (
            "lua-load x",
            "A parsing [F:2] : 'lua-load' in 'global' section is not implemented by oneloop.",
        ),
    ];
    for (line, expected) in rows {
        let text = format!("global\n {line}\n");
        assert_eq!(messages(&load_text(&text)), [*expected], "{line}");
    }
}

#[test]
fn more_threads_are_worth_one_warning() {
    let text = "global\n nbthread 4\n cpu-map auto:1/1-4 0-3\nfrontend f\n timeout client 1s\n bind :1 shards 4\n";
    let said = messages(&load_text(text));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("W parsing [F:2] : 'nbthread' : oneloop serves from one thread."));
    check(&[(
        "global\n nbthread 1\n thread-groups 1\n tune.idle-pool.shared on\n",
        &[],
    )]);
}

#[test]
fn proxy_lines() {
    let rows: &[(&str, &str)] = &[
        ("mode htp", "A parsing [F:2] : unknown proxy mode 'htp'."),
        (
            "mode tcp x",
            "A parsing [F:2] : 'mode' cannot handle unexpected argument 'x'.",
        ),
        (
            "bindd :1",
            "A parsing [F:2] : unknown keyword 'bindd' in 'listen' section; did you mean 'bind' maybe ?",
        ),
        (
            "option",
            "A parsing [F:2]: 'option' expects an option name.",
        ),
        (
            "option forwardfr",
            "A parsing [F:2] : unknown option 'forwardfr'; did you mean 'forwardfor' maybe ?",
        ),
        (
            "option httplog x",
            "A parsing [F:2] : keyword 'httplog' only supports option 'clf'.",
        ),
        (
            "option dontlognull x",
            "A parsing [F:2] : 'option dontlognull' cannot handle unexpected argument 'x'.",
        ),
        (
            "no option httplog",
            "A parsing [F:2]: negation/default is not supported for option 'httplog'.",
        ),
        (
            "option forwardfor except x",
            "A parsing [F:2] : 'option forwardfor except' expects <address>[/mask] as argument.",
        ),
        (
            "timeout client",
            "A parsing [F:2] : 'timeout client' expects an integer value (in milliseconds)",
        ),
        (
            "timeout client 5x",
            "A parsing [F:2] : unexpected character 'x' in 'timeout client'",
        ),
        (
            "timeout client 3s x",
            "A parsing [F:2] : 'timeout client' : unexpected extra argument 'x' after value '3s'.",
        ),
        (
            "errorfile 503 /no",
            "A parsing [F:2] : errorfile : error opening file '/no'.",
        ),
        (
            "errorfile 999 /no",
            "A parsing [F:2] : errorfile : status code '999' not handled.",
        ),
        (
            "errorfile 503 /bad.http",
            "A parsing [F:2] : errorfile : '/bad.http': unable to parse headers (error offset: 0)",
        ),
        (
            "bind 127.0.0.1",
            "A parsing [F:2] : 'bind' : missing port specification in '127.0.0.1'",
        ),
        (
            "bind :5-3",
            "A parsing [F:2] : 'bind' : invalid port range '5-3'",
        ),
        (
            "bind :1 nam x",
            "A parsing [F:2] : 'bind :1' in section 'listen': unknown keyword 'nam'; did you mean 'name' maybe ?",
        ),
        (
            "bind :1 user x",
            "A parsing [F:2] : 'bind :1' in section 'listen' : 'user' : unknown user name 'x'",
        ),
        (
            "bind :1-2 id 3",
            "A parsing [F:2] : 'bind :1-2' in section 'listen' : 'id' can only be used with a single socket",
        ),
        (
            "balance foo",
            "A parsing [F:2] : balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hdr(name)' and 'rdp-cookie(name)' options.",
        ),
        (
            "http-reuse foo",
            "A parsing [F:2] : 'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.",
        ),
        (
            "server s",
            "A [F:2] : 'server' expects <name> and <addr>[:<port>] as arguments.",
        ),
        (
            "server s$ 1.2.3.4",
            "A [F:2] : character '$' is not permitted in server name 's$'.",
        ),
        (
            "server s 1.2.3.4:80 chekc",
            "A [F:2] : 'server l/s' : unknown keyword 'chekc'; did you mean 'check' maybe ?",
        ),
        (
            "server s 1.2.3.4:80 weight 300",
            "A [F:2] : 'server l/s' : weight of server s is not within 0 and 256 (300)..",
        ),
        (
            "server s 1.2.3.4:80 rise 0",
            "A [F:2] : 'server l/s' : 'rise' has to be > 0..",
        ),
        (
            "server s 1.2.3.4:80 pool-max-conn",
            "A [F:2] : 'server l/s' : 'pool-max-conn' expects <value> as argument..",
        ),
        (
            "server s 1.2.3.4:80 pool-max-conn -2",
            "A [F:2] : 'server l/s' : 'pool-max-conn' must be >= -1.",
        ),
        (
            "default-server pool-max-conn 2147483648",
            "A [F:2] : 'pool-max-conn' must be >= -1.",
        ),
        // HAProxy reads 0.
        (
            "server s 1.2.3.4:80 pool-max-conn x",
            "A [F:2] : 'server l/s' : 'pool-max-conn' must be >= -1.",
        ),
        (
            "default-server pool-low-conn",
            "A [F:2] : 'pool-low-conn' expects <value> as argument..",
        ),
        // HAProxy reads 4294967295.
        (
            "server s 1.2.3.4:80 pool-low-conn -1",
            "A [F:2] : 'server l/s' : 'pool-low-conn' expects a positive value (got '-1').",
        ),
        (
            "server s 1.2.3.4:80 pool-purge-delay",
            "A [F:2] : 'server l/s' : 'pool-purge-delay' expects <value> as argument..",
        ),
        (
            "server s 1.2.3.4:80 pool-purge-delay -1",
            "A [F:2] : 'server l/s' : unexpected character '-' in argument to <pool-purge-delay>..",
        ),
        (
            "default-server pool-purge-delay 25d",
            "A [F:2] : timer overflow in argument '25d' to 'pool-purge-delay' (maximum value is 2147483647 ms or ~24.8 days).",
        ),
        (
            "server s 1.2.3.4:80 no-pool-max-conn",
            "A [F:2] : 'server l/s' : unknown keyword 'no-pool-max-conn'; did you mean 'pool-max-conn' maybe ?",
        ),
        (
            "bind :1 defer-accept 1",
            "A parsing [F:2] : 'bind :1' in section 'listen': unknown keyword '1'.",
        ),
        (
            "bind :1 no-defer-accept",
            "A parsing [F:2] : 'bind :1' in section 'listen': unknown keyword 'no-defer-accept'; did you mean 'defer-accept' maybe ?",
        ),
        (
            "server s 1.2.3.4:80 inter 0",
            "A [F:2] : 'server l/s' : invalid value 0 for argument 'inter' of server s..",
        ),
        (
            "server s 1.2.3.4:1-3",
            "A [F:2] : 'server l/s' : port range not permitted here in '1.2.3.4:1-3'",
        ),
        (
            "use_backend",
            "A parsing [F:2] : 'use_backend' expects a backend name.",
        ),
        (
            "use_backend b foo",
            "A parsing [F:2] : unexpected keyword 'foo' after switching rule, only 'if' and 'unless' are allowed.",
        ),
        (
            "acl a$ path /",
            "A parsing [F:2] : character '$' is not permitted in acl name 'a$'.",
        ),
        (
            "log-format a b",
            "A parsing [F:2] : log-format expects only one argument, don't forget to escape spaces!",
        ),
        (
            "monitor-uri",
            "A parsing [F:2] : 'monitor-uri' expects an URI.",
        ),
        ("id 0", "A parsing [F:2]: custom id has to be > 0."),
        (
            "stick x",
            "A parsing [F:2] : 'stick' in 'listen' section is not implemented by oneloop.",
        ),
        (
            "bind :1 ssl",
            "A parsing [F:2] : 'bind :1' in section 'listen': 'ssl' is not implemented by oneloop.",
        ),
    ];
    for (line, expected) in rows {
        let text = format!("listen l\n {line}\n");
        assert_eq!(messages(&load_text(&text)), [*expected], "{line}");
    }
}

#[test]
fn what_a_section_cannot_use_is_ignored_with_a_warning() {
    let front = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind :1\n";
    let back = "backend b\n";
    for (before, line, expected) in [
        (
            front,
            "balance roundrobin",
            "W parsing [F:7] : 'balance' ignored because frontend 'f' has no backend capability.",
        ),
        (
            front,
            "option redispatch",
            "W parsing [F:7] : 'redispatch' ignored because frontend 'f' has no backend capability.",
        ),
        (
            front,
            "fullconn 3",
            "W parsing [F:7] : 'fullconn' ignored because frontend 'f' has no backend capability. Maybe you want 'maxconn' instead ?",
        ),
        (
            front,
            "timeout server 1s",
            "W parsing [F:7] : 'timeout server' will be ignored because frontend 'f' has no backend capability",
        ),
        (
            back,
            "bind :1",
            "W parsing [F:2] : 'bind' ignored because backend 'b' has no frontend capability.",
        ),
        (
            back,
            "option httplog",
            "W parsing [F:2] : backend 'b' : 'option httplog' directive is ignored in backends.",
        ),
    ] {
        let text = format!("{before} {line}\n");
        assert_eq!(messages(&load_text(&text)), [expected], "{line}");
    }
    // Ignored, and still its target has to exist.
    for line in ["use_backend", "default_backend"] {
        let text = format!("{back} {line} x\n");
        let told = messages(&load_text(&text));
        assert!(told[0].contains(&format!("'{line}' ignored because")));
        assert_eq!(
            told[1],
            format!("A Proxy 'b': unable to find required {line}: 'x'.")
        );
    }
}

#[test]
fn the_whole_file_is_checked() {
    let timeouts = "W missing timeouts for frontend 'f'.";
    check(&[
        (
            "frontend f\n bind :1\n timeout client 1s\n default_backend nope\n",
            &["A Proxy 'f': unable to find required default_backend: 'nope'."],
        ),
        (
            "frontend f\n bind :1\n timeout client 1s\n use_backend nope\n",
            &["A Proxy 'f': unable to find required use_backend: 'nope'."],
        ),
        (
            "listen l\n bind :1\n timeout client 1s\n default_backend l\n",
            &["A Proxy 'l': loop detected for default_backend: 'l'."],
        ),
        (
            "frontend f\n mode http\n bind :1\n default_backend b\nbackend b\n mode tcp\n",
            &[
                "A http frontend 'f' (F:1) tries to use incompatible tcp backend 'b' (F:5) as its default backend (see 'mode').",
                timeouts,
            ],
        ),
        (
            "frontend f\n",
            &[
                "W frontend 'f' has no 'bind' directive. Please declare it as a backend if this was intended.",
                timeouts,
            ],
        ),
        (
            "backend b\n server s 1.2.3.4:1\n",
            &["W missing timeouts for backend 'b'."],
        ),
        (
            "backend b\n timeout connect 1s\n timeout tunnel 1s\n server s 1.2.3.4:1\n",
            &[],
        ),
        (
            "backend b\n timeout connect 1s\n timeout server 1s\n server s 1.2.3.4:1\n server s 1.2.3.4:1\n",
            &[
                "A parsing [F:5] : backend 'b', another server named 's' was already defined at line 4, please use distinct names.",
            ],
        ),
        (
            "backend b\n timeout connect 1s\n timeout server 1s\n server s 1.2.3.4 check\n",
            &["A config: backend 'b': server 's' has neither service port nor check port."],
        ),
        (
            "backend b\n timeout connect 1s\n timeout server 1s\n server s nowhere:1\n",
            &[
                "A [F:4] : 'server b/s' : could not resolve address 'nowhere'.",
                "A Failed to initialize server(s) addr.",
            ],
        ),
        (
            "frontend f\n bind :1\n timeout client 1s\n bind *:1\n",
            &[
                "W parsing [F:4] : 'bind' : address '0.0.0.0:1' is already bound at F:2 ('bind :1').",
            ],
        ),
        (
            "frontend f\n bind :1\n timeout client 1s\n option httplog\n log stdout local0\n",
            &[
                "W parsing [F:4] : 'option httplog' not usable with frontend 'f' (needs 'mode http'). Falling back to 'option tcplog'.",
            ],
        ),
        (
            "frontend f\n mode http\n bind :1\n timeout client 1s\n option httplog\n",
            &["W log format ignored for frontend 'f' since it has no log address."],
        ),
        (
            "frontend f\n bind :1\n timeout client 1s\n monitor-uri /x\n http-request deny\n option forwardfor\n",
            &[
                "W monitor-uri will be ignored for frontend 'f' (needs 'mode http').",
                "W 'http-request' rules ignored for frontend 'f' as they require HTTP mode.",
                "W 'option forwardfor' ignored for frontend 'f' as it requires HTTP mode.",
            ],
        ),
        (
            "frontend f\n mode http\n bind :1\n timeout client 1s\n use_backend b\n http-request deny\nbackend b\n mode http\n",
            &[
                "W parsing [F:6] : a 'http-request' rule placed after a 'use_backend' rule will still be processed before.",
            ],
        ),
        (
            "frontend f\n mode http\n bind :1\n timeout client 1s\n http-request deny\n http-request set-header a b\n redirect location /\n http-request set-header a b\n",
            &[
                "W parsing [F:6]: previous 'http-request' action is final and has no condition attached, further entries are NOOP.",
                "W parsing [F:8] : a 'http-request' rule placed after a 'redirect' rule will still be processed before.",
            ],
        ),
        (
            "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n default_backend b\n server s 1.2.3.4:1\nbackend b\n",
            &[
                "W In proxy 'l', the 'default_backend' rule always has precedence over the servers, which will never be used.",
            ],
        ),
        (
            "defaults d\n mode http\n timeout client 1s\n http-request deny\nfrontend f from d\n bind :1\nbackend b from d\n",
            &[
                "A parsing [F:7]: frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules (defaults section at F:1).",
            ],
        ),
        (
            "backend b\n timeout queue 1h30m\n",
            &[
                "W unexpected character '3' after the timer value '1h30m', only (us=microseconds,ms=milliseconds,s=seconds,m=minutes,h=hours,d=days) are supported. This will be reported as an error in next versions.",
            ],
        ),
        // Nothing of a disabled proxy is checked.
        ("frontend f\n disabled\n default_backend nope\n", &[]),
        (
            "frontend f\n bind :1\n timeout client 3s\n timeout client 4s\n",
            &["W parsing [F:4] : overwriting 'timeout client' which was already specified"],
        ),
        (
            "defaults\n mode http\n option httplog\n option tcplog\n",
            &[
                "W parsing [F:4]: 'option tcplog' overrides previous 'option httplog' in 'defaults' section.",
            ],
        ),
    ]);
}

#[test]
fn all_errors_come_in_one_pass_at_their_word() {
    let text = "frontend web\n bnd :80\n bind :81 nam x\n default_backend web1\nbackend web2\n server s 1.2.3.4:1 weight 999\n";
    let loaded = load_text(text);
    let found = &loaded.diagnostics;
    let all: Vec<String> = found.list().iter().map(|one| found.render(one)).collect();
    let expected = [
        "parsing [F:2] : unknown keyword 'bnd' in 'frontend' section; did you mean 'bind' maybe ?\n  bnd :80\n  ^^^",
        "parsing [F:3] : 'bind :81' in section 'frontend': unknown keyword 'nam'; did you mean 'name' maybe ?\n  bind :81 nam x\n           ^^^",
        "[F:6] : 'server web2/s' : weight of server s is not within 0 and 256 (999)..\n  server s 1.2.3.4:1 weight 999\n                            ^^^",
        "Error(s) found in configuration file : F",
        "Proxy 'web': unable to find required default_backend: 'web1'.\n  default_backend web1\n                  ^^^^\n  did you mean 'web2' maybe ?",
        "Fatal errors found in configuration.",
    ];
    assert_eq!(all, expected);
}

#[test]
fn defaults_are_inherited() {
    let config = good(
        "defaults one\n mode http\n timeout client 1s\n option dontlognull\n retries 7\n option redispatch\n maxconn 9\n log stdout local0\n default-server inter 7s weight 5\n option http-server-close\n\
         defaults two from one\n no option dontlognull\n timeout client 2s\n no log\n no option redispatch\n\
         frontend a from one\n bind :1\n\
         frontend b\n bind :2\n no option http-server-close\n timeout client 3s\n\
         defaults\n\
         frontend c\n bind :3\n timeout client 1s\n\
         backend d from one\n timeout server 1s\n timeout connect 1s\n server x 1.2.3.4:1 check\n default-server weight 6\n server y 1.2.3.4:2 inter 1s\n",
    );
    let (a, b, c) = (
        proxy(&config, "a"),
        proxy(&config, "b"),
        proxy(&config, "c"),
    );
    assert_eq!(
        (a.mode, a.timeouts.client, a.maxconn),
        (Mode::Http, Some(1000), Some(9))
    );
    assert!(a.log_options.dont_log_null && a.logs.len() == 1);
    assert_eq!(a.logs[0].to, LogAddress::Stdout);
    assert_eq!(a.http_connection, HttpConnection::ServerClose);
    assert_eq!((b.mode, b.timeouts.client), (Mode::Http, Some(3000)));
    assert!(!b.log_options.dont_log_null && b.logs.is_empty());
    assert_eq!(b.http_connection, HttpConnection::KeepAlive);
    assert_eq!((c.mode, c.maxconn, c.retries), (Mode::Tcp, None, 3));
    let d = proxy(&config, "d");
    assert_eq!(
        (d.redispatch, d.retries, d.maxconn),
        (Redispatch::Every(-1), 7, None)
    );
    assert_eq!(d.reuse, Reuse::Safe);
    let servers = config.servers_of(d);
    assert_eq!((servers[0].weight, servers[1].weight), (5, 6));
    assert_eq!(servers[0].check.as_ref().unwrap().inter, 7000);
    assert!(servers[1].check.is_none());
}

#[test]
fn a_limit_moves_only_below_maxconn() {
    let config = good(
        "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n\
         default-server minconn 5 maxqueue 7\n server a 1.2.3.4:1 maxconn 10\n\
         server b 1.2.3.4:1\n server c 1.2.3.4:1 maxconn 5 maxqueue 0\n\
         server d 1.2.3.4:1 minconn 0 maxconn 3\n",
    );
    let servers = config.servers_of(proxy(&config, "l"));
    let limits = servers.iter().map(|s| (s.minconn, s.maxconn, s.maxqueue));
    let expected = [(5, 10, 7), (0, 5, 7), (0, 5, 0), (0, 3, 7)];
    assert_eq!(limits.collect::<Vec<_>>(), expected);
}

#[test]
fn a_missing_default_is_the_oracles() {
    let config = good(
        "listen l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n server s 1.2.3.4\n",
    );
    let listen = proxy(&config, "l");
    assert_eq!(listen.default_backend, Some(listen.id));
    assert_eq!(
        (listen.mode, listen.retries, listen.maxconn),
        (Mode::Tcp, 3, None)
    );
    assert!(listen.log_format.is_none());
    let server = &config.servers_of(listen)[0];
    assert_eq!((server.port_offset, server.maxconn), (Some(0), 0));
    let global = &config.global;
    assert_eq!((global.stats_timeout, global.stats_maxconn), (10_000, 10));
    assert_eq!(
        (global.max_headers, global.max_accept, global.log_line_max),
        (101, 4, 1024)
    );
}

#[test]
fn a_timeout_of_zero_takes_back_what_defaults_said() {
    let config = good(
        "defaults\n timeout client 1s\n timeout http-request 1s\n\
         frontend f\n bind :1\n timeout http-request 0\n",
    );
    let timeouts = proxy(&config, "f").timeouts;
    assert_eq!((timeouts.client, timeouts.http_request), (Some(1000), None));
}

#[test]
fn idle_pools_of_servers() {
    let pool = |default: &str, words: &str| {
        let text = format!(
            "backend b\n timeout connect 1s\n timeout server 1s\n default-server {default}\n \
             server s 127.0.0.1:1 {words}\n"
        );
        let config = good(&text);
        let pool = config.servers[0].pool;
        (pool.most, pool.spare, pool.purge_delay)
    };
    let rows = [
        ("", "", (None, 0, 5_000)),
        ("", "pool-max-conn -1 pool-purge-delay 0", (None, 0, 0)),
        ("", "pool-max-conn 0 pool-low-conn 4", (Some(0), 4, 5_000)),
        (
            "",
            "pool-max-conn 2147483647",
            (Some(2_147_483_647), 0, 5_000),
        ),
        ("", "pool-purge-delay 1us", (None, 0, 1)),
        ("", "pool-purge-delay 24d", (None, 0, 2_073_600_000)),
        (
            "pool-max-conn 7 pool-low-conn 2 pool-purge-delay 1s",
            "",
            (Some(7), 2, 1_000),
        ),
        (
            "pool-max-conn 7 pool-purge-delay 1s",
            "pool-max-conn -1",
            (None, 0, 1_000),
        ),
    ];
    for (default, words, expected) in rows {
        assert_eq!(pool(default, words), expected, "{default} / {words}");
    }
}

#[test]
fn batches_of_connections() {
    for (line, expected) in [
        ("", 4),
        ("tune.maxaccept 0", 4),
        ("tune.maxaccept 1", 1),
        ("tune.maxaccept 65536", 65_536),
        ("tune.maxaccept -1", u32::MAX),
    ] {
        let config = good(&format!("global\n {line}\nbackend b\n"));
        assert_eq!(config.global.max_accept, expected, "{line}");
    }
}

#[test]
fn connections_taken_late() {
    let config = good(
        "global\n stats socket 127.0.0.1:1 defer-accept\n stats socket /s/x\n\
         frontend f\n timeout client 1s\n bind :81 defer-accept name x\n bind :82\n",
    );
    let late: Vec<bool> = config
        .listeners
        .iter()
        .map(|one| one.defer_accept)
        .collect();
    assert_eq!(late, [true, false]);
    let sockets = &config.global.stats_sockets;
    let late: Vec<bool> = sockets.iter().map(|one| one.defer_accept).collect();
    assert_eq!(late, [true, false]);
}

#[test]
fn addresses_of_bind_and_server() {
    let config = good(
        "frontend f\n timeout client 1s\n bind :81-83,[::1]:84 name x\n bind unix@/tmp/s mode 600\n bind abns@n id 9\n bind fd@7\n bind ipv6@:85 v6only\n bind localhost:86 maxconn 5\n\
         backend b\n timeout connect 1s\n timeout server 1s\n server a localhost:1\n server b /tmp/x\n server c [::1]:2 check port 3\n server d 1.2.3.4:+10\n server e 1.2.3.4:5 check addr 1.2.3.5 id 1\n",
    );
    let f = proxy(&config, "f");
    let listeners = config.listeners_of(f);
    let all: Vec<String> = listeners
        .iter()
        .map(|one| one.endpoint.to_string())
        .collect();
    assert_eq!(
        all,
        [
            "0.0.0.0:81",
            "0.0.0.0:82",
            "0.0.0.0:83",
            "[::1]:84",
            "/tmp/s",
            "abns@n",
            "abns@",
            "[::]:85",
            "127.0.0.1:86"
        ]
    );
    let numbers: Vec<u32> = listeners.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 9, 7, 8, 10]);
    assert_eq!(listeners[3].name.as_deref(), Some("x"));
    assert_eq!(listeners[4].mode, Some(0o600));
    assert_eq!(listeners[6].inherited, Some(7));
    assert_eq!(listeners[7].v6_only, Some(true));
    let servers = config.servers_of(proxy(&config, "b"));
    assert_eq!(servers[0].endpoint.to_string(), "127.0.0.1:1");
    assert_eq!(servers[0].hostname.as_deref(), Some("localhost"));
    assert!(matches!(servers[1].endpoint, Endpoint::Unix(_)));
    assert_eq!(
        servers[2].check.as_ref().unwrap().endpoint.to_string(),
        "[::1]:3"
    );
    assert_eq!(servers[3].port_offset, Some(10));
    assert_eq!(
        servers[4].check.as_ref().unwrap().endpoint.to_string(),
        "1.2.3.5:5"
    );
    let numbers: Vec<u32> = servers.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 1]);
}

#[test]
fn several_files_are_one_configuration() {
    let files = [
        "defaults\n mode http\n timeout client 1s\n",
        "frontend f\n bind :1\n",
        "bind :2\n",
    ];
    let mut sources: Vec<Source> = files
        .iter()
        .zip(["A", "B", "C"])
        .map(|(text, name)| Source {
            name: name.to_owned(),
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    let loaded = load(&sources, &host(), &LoadOptions::default());
    assert_eq!(
        messages(&loaded),
        ["A parsing [C:1]: unknown keyword 'bind' out of section."]
    );
    sources.pop();
    let loaded = load(&sources, &host(), &LoadOptions::default());
    assert_eq!(loaded.config.unwrap().proxies[0].mode, Mode::Http);
}

#[test]
fn the_environment_changes_as_the_file_is_read() {
    let config = good(
        "global\n setenv PORT 81\n presetenv PORT 82\n log-tag \"tag$PORT\"\n setenv GONE x\n unsetenv GONE\n\
         frontend f\n timeout client 1s\n bind \":${PORT}\"\n",
    );
    assert_eq!(config.global.log_tag, "tag81");
    assert_eq!(config.listeners[0].endpoint.to_string(), "0.0.0.0:81");
    let environment = &config.global.environment;
    assert!(environment.contains(&("PORT".to_owned(), "81".to_owned())));
    assert!(!environment.iter().any(|(name, _)| name == "GONE"));
}

#[test]
fn the_command_line_has_its_say() {
    let warned = "frontend f\n bind :1\n";
    let options = LoadOptions {
        zero_warning: true,
        ..LoadOptions::default()
    };
    let loaded = load_with(warned, &options);
    let said = messages(&loaded);
    assert!(loaded.config.is_none());
    assert_eq!(
        said.last().map(String::as_str),
        Some("A Some warnings were found and 'zero-warning' is set. Aborting.")
    );
    let options = LoadOptions {
        maxconn: Some(5),
        proxy_maxconn: Some(4),
        pid_file: Some("/p".to_owned()),
        ..LoadOptions::default()
    };
    let text = "global\n maxconn 100\n pidfile /q\nfrontend f\n bind :1\n timeout client 1s\n";
    let config = load_with(text, &options).config.unwrap();
    assert_eq!(
        (config.global.maxconn, config.proxies[0].maxconn),
        (Some(5), Some(4))
    );
    assert_eq!(config.global.pid_file.as_deref(), Some("/p"));
}

#[test]
fn whether_anything_listens() {
    for (text, listens) in [
        ("", false),
        ("frontend f\n timeout client 1s\n bind :1\n", true),
        (
            "frontend f\n disabled\n timeout client 1s\n bind :1\n",
            false,
        ),
        ("global\n stats socket /x\n", true),
        ("backend b\n", false),
    ] {
        assert_eq!(load_text(text).listens(), listens, "{text}");
    }
}

#[test]
fn rules_of_named_defaults_run_before_the_proxys_own() {
    let config = good(
        "defaults d\n mode http\n timeout client 1s\n acl x path /a\n http-request deny if x\n\
         frontend f from d\n bind :1\n http-request set-header a b\n\
         frontend g from d\n bind :2\n",
    );
    let (f, g) = (proxy(&config, "f"), proxy(&config, "g"));
    let lines: Vec<u32> = f.http_request.iter().map(|rule| rule.line).collect();
    assert_eq!(lines, [5, 8]);
    assert_eq!(g.http_request.len(), 1);
    check(&[(
        "defaults\n http-request deny\n",
        &["A parsing [F:2] : 'http-request' not allowed in anonymous 'defaults' section."],
    )]);
}

#[test]
fn no_text_makes_it_panic() {
    let mut texts: Vec<Vec<u8>> = Vec::new();
    let article = ARTICLE.as_bytes();
    for end in 0..article.len() {
        texts.push(article[..end].to_vec());
    }
    // Each word left out, doubled, or replaced by odd ones.
    let words: Vec<&str> = ARTICLE.split_inclusive([' ', '\n']).collect();
    for at in 0..words.len() {
        for odd in [
            "",
            "\"\" ",
            "\\x00\\xff ",
            "-1 ",
            "99999999999999999999 ",
            "é ",
            "% ",
            ":- ",
            "from ",
        ] {
            let mut changed = words.clone();
            let end = if words[at].ends_with('\n') { "\n" } else { "" };
            let odd = format!("{odd}{end}");
            changed[at] = &odd;
            texts.push(changed.concat().into_bytes());
        }
    }
    for bytes in texts {
        let name = "F".to_owned();
        let loaded = load(&[Source { name, bytes }], &host(), &LoadOptions::default());
        for one in loaded.diagnostics.list() {
            loaded.diagnostics.render(one);
        }
    }
}

#[test]
fn the_command_line_names_the_peer_and_forgives_names() {
    let text = "global\n localpeer y\n.notice \"$HAPROXY_LOCALPEER\"\n\
                backend b\n timeout connect 1s\n timeout server 1s\n server s nowhere:80\n";
    let options = LoadOptions {
        local_peer: Some("x".to_owned()),
        ignore_resolution: true,
        ..LoadOptions::default()
    };
    let loaded = load_with(text, &options);
    let told: Vec<&str> = loaded
        .diagnostics
        .list()
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "'localpeer' ignored since it is already set by using the '-L' command line argument.",
            "'x'.",
            "'server b/s' : could not resolve address 'nowhere', disabling server.",
        ]
    );
    assert!(loaded.config.unwrap().servers[0].disabled);
    let loaded = load_text(text);
    let told = &loaded.diagnostics.list()[0];
    assert_eq!(told.message, "'y'.");
    assert!(loaded.config.is_none());
}
