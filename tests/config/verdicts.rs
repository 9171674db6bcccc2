//! What is said about a file, line by line, and what becomes of it.

use oneloop::config::model::{AccessLevel, Mode, SwitchTarget};

use crate::given::{ARTICLE, check, load_text, messages, proxy};

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
