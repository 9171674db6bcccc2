//! The rows of `keywords`: one word after another, grouped by what oneloop does with them.
//!
//! To add a keyword to oneloop, move its name from a `not` group to a `yes` group and write its
//! handler. Sections are given as one letter for each of global, defaults, frontend, backend and
//! listen; `Keyword::sections` explains the letters. They were read off the 2.6.12 binary by giving
//! it every keyword in every section.
//!
//! In the text of an obsolete keyword `*` stands for its name.

use super::{ANY, Keyword, Status};

/// Rows that differ only in their names.
pub(super) struct Group {
    /// Their names, parted by blanks.
    pub(super) names: &'static str,
    /// What they have in common; its own name is empty.
    pub(super) row: Keyword,
}

const fn row(sections: &'static str, status: Status, words_max: u8) -> Keyword {
    Keyword {
        name: "",
        status,
        sections,
        words_max,
        negatable: false,
    }
}

/// What oneloop does: names, sections, most words.
const fn yes(names: &'static str, sections: &'static str, words_max: u8) -> Group {
    Group {
        names,
        row: row(sections, Status::Supported, words_max),
    }
}

/// The same, with `no` and `default` allowed.
const fn toggle(names: &'static str, sections: &'static str, words_max: u8) -> Group {
    let row = row(sections, Status::Supported, words_max);
    Group {
        names,
        row: Keyword {
            negatable: true,
            ..row
        },
    }
}

/// What oneloop lacks.
const fn not(sections: &'static str, note: &'static str, names: &'static str) -> Group {
    Group {
        names,
        row: row(sections, Status::Refused(note), ANY),
    }
}

/// The same, with `no` and `default` allowed by HAProxy.
const fn not_toggle(sections: &'static str, note: &'static str, names: &'static str) -> Group {
    let row = row(sections, Status::Refused(note), ANY);
    Group {
        names,
        row: Keyword {
            negatable: true,
            ..row
        },
    }
}

const fn gone(names: &'static str, sections: &'static str, text: &'static str) -> Group {
    Group {
        names,
        row: row(sections, Status::Obsolete(text), ANY),
    }
}

const NO_TLS: &str = "oneloop has no TLS; put a TLS terminator in front of it or behind it.";
const NAMESPACES: &str =
    "start oneloop inside the namespace ('ip netns exec', 'NetworkNamespacePath=' of its unit).";
const FOREIGN_ADDRESS: &str =
    "to bind addresses that come later, set the sysctl net.ipv4.ip_nonlocal_bind.";
const NO_SERVER_NAMED: &str = "a server with the address 0.0.0.0 is where the client connected to.";
const POLLER: &str = "oneloop always uses epoll and its own event loop; remove the line.";

pub(super) const SECTIONS: &[Group] = &[
    not(
        "",
        "",
        "userlist peers mailers resolvers cache ring http-errors fcgi-app log-forward",
    ),
    not(
        "",
        "namespaces are set up outside oneloop.",
        "namespace_list",
    ),
    not("", "start the program from the service manager.", "program"),
];

pub(super) const KEYWORDS: &[Group] = &[
    // global: the process.
    yes(
        "ca-base chroot crt-base gid group localpeer node pidfile server-state-base \
         server-state-file uid user",
        "X----",
        1,
    ),
    yes("daemon quiet zero-warning", "X----", 0),
    yes(
        "hard-stop-after log-send-hostname master-worker mworker-max-reloads presetenv resetenv \
         setenv unsetenv",
        "X----",
        ANY,
    ),
    yes("maxconn", "XXXIX", 1),
    toggle(
        "strict-limits set-dumpable insecure-fork-wanted",
        "X----",
        0,
    ),
    yes("insecure-setuid-wanted", "X----", 0),
    yes("external-check", "XXXXX", ANY),
    yes("spread-checks ulimit-n", "X----", 1),
    yes("stats", "XXXXX", ANY),
    // global: TLS defaults, checked for form because the article's file has them.
    yes(
        "ssl-default-bind-ciphers ssl-default-bind-ciphersuites ssl-default-bind-curves \
         ssl-default-server-ciphers ssl-default-server-ciphersuites",
        "X----",
        1,
    ),
    yes(
        "ssl-default-bind-options ssl-default-server-options",
        "X----",
        ANY,
    ),
    // global: threads, of which there is one.
    yes(
        "nbthread thread-groups tune.idle-pool.shared tune.listener.multi-queue",
        "X----",
        1,
    ),
    yes("cpu-map thread-group", "X----", ANY),
    toggle("numa-cpu-mapping", "X----", ANY),
    // global: sizes.
    yes(
        "tune.bufsize tune.http.cookielen tune.http.logurilen tune.http.maxhdr",
        "X----",
        1,
    ),
    yes("tune.maxaccept tune.maxrewrite tune.pipesize", "X----", 1),
    yes("maxpipes", "X----", 1),
    yes("unix-bind", "X----", ANY),
    yes("nosplice", "X----", 0),
    // global and proxies.
    yes("description", "XNXXX", ANY),
    toggle("log", "XXXXX", ANY),
    yes("log-tag", "XXXXX", ANY),
    // proxies.
    yes("acl http-request http-response", "-AXXX", ANY),
    yes("balance hash-type http-check tcp-check", "-XIXX", ANY),
    yes("hash-balance-factor", "-XXXX", ANY),
    yes(
        "load-server-state-from-file server-state-file-name",
        "-XIXX",
        ANY,
    ),
    yes("bind use_backend", "-NXIX", ANY),
    yes("default-server", "-XCXX", ANY),
    yes("backlog default_backend monitor-uri", "-XXIX", 1),
    yes("disabled enabled", "-XXXX", 0),
    yes("errorfile timeout", "-XXXX", ANY),
    yes("http-reuse", "-XIXX", ANY),
    yes("id", "-NXXX", 1),
    yes("source", "-XIXX", ANY),
    yes(
        "clitcpka-cnt clitcpka-idle clitcpka-intvl srvtcpka-cnt srvtcpka-idle srvtcpka-intvl",
        "-XXXX",
        ANY,
    ),
    yes("error-log-format log-format", "-XXLX", ANY),
    yes("mode", "-XXXX", 1),
    yes("rate-limit", "-XXXX", ANY),
    toggle("option", "-XXXX", ANY),
    yes("fullconn retries", "-XIXX", 1),
    yes("retry-on", "-XXXX", ANY),
    yes("redirect", "-NXXX", ANY),
    yes("server", "-NCXX", ANY),
    yes(
        "tcp-request unique-id-format unique-id-header",
        "-XXXX",
        ANY,
    ),
    // What binds clients to servers.
    yes("cookie dynamic-cookie-key", "-XIXX", ANY),
    yes("capture", "-XXIX", ANY),
    yes(
        "dispatch force-persist ignore-persist use-server",
        "-NIXX",
        ANY,
    ),
    // What oneloop lacks.
    not(
        "X----",
        NO_TLS,
        "httpclient.ssl.ca-file httpclient.ssl.verify issuers-chain-path maxsslconn maxsslrate \
         ssl-dh-param-file ssl-load-extra-del-ext ssl-load-extra-files ssl-mode-async \
         ssl-propquery ssl-provider ssl-provider-path ssl-server-verify \
         ssl-skip-self-issued-ca tune.ssl.cachesize \
         tune.ssl.capture-buffer-size tune.ssl.capture-cipherlist-size tune.ssl.default-dh-param \
         tune.ssl.force-private-cache tune.ssl.hard-maxrecord tune.ssl.keylog tune.ssl.lifetime \
         tune.ssl.maxrecord tune.ssl.ssl-ctx-cache-size",
    ),
    not(
        "X----",
        POLLER,
        "noepoll noevports nokqueue nopoll noreuseport nogetaddrinfo \
         tune.fd.edge-triggered tune.maxpollevents tune.recv_enough tune.runqueue-depth \
         tune.sched.low-latency tune.idletimer tune.pool-high-fd-ratio tune.pool-low-fd-ratio \
         no-memory-trimming tune.fail-alloc tune.buffers.limit tune.buffers.reserve \
         profiling.tasks",
    ),
    not_toggle("X----", "", "busy-polling"),
    not(
        "X----",
        "",
        "close-spread-time cluster-secret default-path expose-experimental-directives \
         fd-hard-limit h1-accept-payload-with-any-method h1-case-adjust h1-case-adjust-file \
         h2-workaround-bogus-websocket-clients httpclient.resolvers.id \
         httpclient.resolvers.prefer lua-load lua-load-per-thread \
         lua-prepend-path max-spread-checks maxcompcpuusage maxcomprate maxconnrate \
         maxsessrate maxzlibmem pp2-never-send-local set-var \
         set-var-fmt tune.comp.maxlevel tune.h2.header-table-size tune.h2.initial-window-size \
         tune.h2.max-concurrent-streams tune.h2.max-frame-size \
         tune.lua.forced-yield tune.lua.maxmem tune.lua.service-timeout tune.lua.session-timeout \
         tune.lua.task-timeout tune.pattern.cache-size tune.peers.max-updates-at-once \
         tune.rcvbuf.client tune.rcvbuf.server tune.sndbuf.client \
         tune.sndbuf.server tune.vars.check-max-size tune.vars.global-max-size \
         tune.vars.proc-max-size tune.vars.reqres-max-size tune.vars.sess-max-size \
         tune.vars.txn-max-size",
    ),
    not("-XIXX", "", "http-send-name-header "),
    not("-NXIX", "", "monitor"),
    not("-NIXX", "", "stick"),
    not("-NXXX", "", "filter"),
    not(
        "-NCXX",
        "write one 'server' line for each.",
        "server-template",
    ),
    not(
        "-AXXX",
        "use 'http-response' for answers of servers.",
        "http-after-response",
    ),
    not("-XXLX", "", "log-format-sd"),
    not(
        "-XXXX",
        "use 'errorfile' with a file that holds the redirect.",
        "errorloc errorloc302",
    ),
    not(
        "-XXXX",
        "use 'errorfile' with a file that holds the redirect.",
        "errorloc303",
    ),
    not(
        "-XXXX",
        "write one 'errorfile' line for each status.",
        "errorfiles http-error",
    ),
    not(
        "-XXXX",
        "",
        "compression declare email-alert \
         max-keep-alive-queue persist stick-table tcp-response use-fcgi-app",
    ),
    not("-XXXX", NO_SERVER_NAMED, "transparent"),
    // What HAProxy takes for nothing or refuses too.
    Group {
        names: "bind-process",
        row: row(
            "-XXXX",
            Status::Ignored(
                "'bind-process' has no effect, is deprecated, and will be removed in version 2.7.",
            ),
            ANY,
        ),
    },
    gone(
        "nbproc",
        "X----",
        "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.",
    ),
    gone(
        "tune.chksize",
        "X----",
        "option 'tune.chksize' is not supported any more (tune.bufsize is used instead).",
    ),
    gone(
        "grace",
        "XXXXX",
        "the 'grace' keyword is not supported any more since HAProxy version 2.5.",
    ),
    gone(
        "monitor-net",
        "-XXXX",
        "'monitor-net' doesn't exist anymore. Please use 'http-request return status 200 if { src ADDRESS }' instead.",
    ),
    gone(
        "appsession",
        "-XXXX",
        "'appsession' is not supported anymore since HAProxy 1.6.",
    ),
    gone(
        "block",
        "-XXXX",
        "The 'block' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses the exact same syntax.",
    ),
    gone(
        "clitimeout",
        "-XXXX",
        "the 'clitimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout client'.",
    ),
    gone(
        "contimeout",
        "-XXXX",
        "the 'contimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout connect'.",
    ),
    gone(
        "srvtimeout",
        "-XXXX",
        "the 'srvtimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout server'.",
    ),
    gone(
        "redispatch",
        "-XXXX",
        "keyword 'redispatch' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
    ),
    gone(
        "reqadd",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request add-header' instead.",
    ),
    gone(
        "reqdel reqidel",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request del-header' instead.",
    ),
    gone(
        "reqallow reqiallow",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request allow' instead.",
    ),
    gone(
        "reqpass",
        "-XXXX",
        "The '*' not supported anymore since HAProxy 2.1.",
    ),
    gone(
        "reqipass",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1.",
    ),
    gone(
        "reqdeny",
        "-XXXX",
        "The '*' not supported anymore since HAProxy 2.1. Use 'http-request deny' instead.",
    ),
    gone(
        "reqideny",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' instead.",
    ),
    gone(
        "reqtarpit reqitarpit",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request tarpit' instead.",
    ),
    gone(
        "reqrep cliexp",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header' instead.",
    ),
    gone(
        "reqirep",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-request replace-header' instead.",
    ),
    gone(
        "rspadd",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-response add-header' instead.",
    ),
    gone(
        "rspdel",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-response del-header' .",
    ),
    gone(
        "rspidel",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-response del-header' instead.",
    ),
    gone(
        "rspdeny rspideny",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-response deny' instead.",
    ),
    gone(
        "rsprep rspirep srvexp",
        "-XXXX",
        "The '*' directive is not supported anymore since HAProxy 2.1. Use 'http-response replace-header' instead.",
    ),
];

pub(super) const OPTIONS: &[Group] = &[
    toggle(
        "abortonclose allbackups checkcache http-pretend-keepalive log-health-checks persist \
         prefer-last-server",
        "-XIXX",
        0,
    ),
    toggle(
        "accept-invalid-http-request accept-unsafe-violations-in-http-request",
        "-XXIX",
        0,
    ),
    toggle(
        "accept-invalid-http-response accept-unsafe-violations-in-http-response",
        "-XIXX",
        0,
    ),
    toggle("splice-auto splice-request splice-response", "-XXXX", 0),
    toggle(
        "dontlog-normal dontlognull log-separate-errors logasap",
        "-XXIX",
        0,
    ),
    toggle("http-keep-alive http-server-close httpclose", "-XXXX", 0),
    toggle("redispatch", "-XIXX", 1),
    toggle("srvtcpka tcp-smart-connect", "-XIXX", 0),
    toggle("clitcpka socket-stats tcp-smart-accept", "-XXIX", 0),
    toggle("nolinger", "-XXXX", 0),
    yes("tcpka", "-XXXX", 0),
    yes("forwardfor", "-XXXX", ANY),
    yes("httplog", "-XXLX", 1),
    yes("tcplog", "-XXLX", 0),
    yes("httpchk", "-XIXX", 3),
    yes("tcp-check", "-XIXX", 0),
    yes("external-check", "-XXXX", 0),
    yes("ldap-check redis-check", "-XIXX", 0),
    yes("pgsql-check smtpchk", "-XIXX", 2),
    yes("mysql-check", "-XIXX", 3),
    not_toggle("-XIXX", "", "h1-case-adjust-bogus-server"),
    not_toggle("-XIXX", NO_SERVER_NAMED, "transparent"),
    toggle(
        "contstats http-ignore-probes http-use-proxy-header idle-close-on-response",
        "-XXIX",
        0,
    ),
    toggle(
        "http-buffer-request http-no-delay independent-streams",
        "-XXXX",
        0,
    ),
    not_toggle(
        "-XXIX",
        "",
        "disable-h2-upgrade h1-case-adjust-bogus-client",
    ),
    not(
        "-XIXX",
        "a plain 'check' on the server tests the connection.",
        "ssl-hello-chk spop-check",
    ),
    not("-XXLX", NO_TLS, "httpslog"),
    not("-XXXX", "", "originalto http-restrict-req-hdr-names"),
    gone(
        "forceclose",
        "-XXXX",
        "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, or use 'option httpclose' if absolutely needed.",
    ),
    gone(
        "http-tunnel",
        "-XXXX",
        "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it shouldn't be needed.",
    ),
];

pub(super) const TIMEOUTS: &[Group] = &[
    yes("client client-fin", "-XXIX", 1),
    yes("server connect check queue tunnel server-fin", "-XIXX", 1),
    yes("http-keep-alive http-request", "-XXXX", 1),
    not("-XXXX", "", "tarpit"),
    gone(
        "clitimeout",
        "-XXXX",
        "the 'clitimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout client'.",
    ),
    gone(
        "contimeout",
        "-XXXX",
        "the 'contimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout connect'.",
    ),
    gone(
        "srvtimeout",
        "-XXXX",
        "the 'srvtimeout' directive is not supported anymore since HAProxy 2.1. Use 'timeout server'.",
    ),
];

const TLS_BIND: &str = "ssl allow-0rtt alpn ca-file ca-ignore-err ca-sign-file ca-sign-pass \
     ca-verify-file ciphers ciphersuites crl-file crt crt-ignore-err crt-list curves ecdhe \
     force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 generate-certificates \
     no-ca-names no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 npn \
     prefer-client-ciphers ssl-max-ver ssl-min-ver strict-sni tls-ticket-keys verify";

const OTHER_BIND: &str = "accept-netscaler-cip proto severity-output";

pub(super) const BIND: &[Group] = &[
    yes(
        "name id mode user group uid gid process thread shards level expose-fd backlog interface \
         maxconn mss nice tcp-ut",
        "--XXX",
        1,
    ),
    yes("accept-proxy defer-accept tfo v4v6 v6only", "--XXX", 0),
    not("--XXX", NO_TLS, TLS_BIND),
    not("--XXX", "", OTHER_BIND),
    not("--XXX", NAMESPACES, "namespace"),
    not("--XXX", FOREIGN_ADDRESS, "transparent"),
];

pub(super) const STATS_SOCKET: &[Group] = &[
    yes(
        "mode user group uid gid level expose-fd name id process thread shards",
        "X----",
        1,
    ),
    yes("defer-accept v4v6 v6only", "X----", 0),
    not("X----", NO_TLS, TLS_BIND),
    not("X----", "", OTHER_BIND),
    not("X----", NAMESPACES, "namespace"),
    not("X----", FOREIGN_ADDRESS, "transparent"),
    not(
        "X----",
        "",
        "accept-proxy backlog interface maxconn mss nice tcp-ut tfo",
    ),
];

pub(super) const SERVER: &[Group] = &[
    yes(
        "addr cookie downinter fall fastinter id inter maxconn maxqueue minconn pool-low-conn \
         pool-max-conn pool-purge-delay port rise slowstart tcp-ut weight",
        "---XX",
        1,
    ),
    yes("source", "---XX", ANY),
    yes(
        "agent-addr agent-inter agent-port agent-send error-limit observe on-error \
         on-marked-down on-marked-up track",
        "---XX",
        1,
    ),
    yes(
        "agent-check backup check disabled enabled no-agent-check no-backup no-check no-tfo tfo",
        "---XX",
        0,
    ),
    // A word of our own.
    yes("first-check-before-traffic", "---XX", 0),
    yes(
        "check-send-proxy no-check-send-proxy no-send-proxy no-send-proxy-v2 \
         no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn send-proxy send-proxy-v2 \
         send-proxy-v2-ssl send-proxy-v2-ssl-cn",
        "---XX",
        0,
    ),
    yes("proxy-v2-options", "---XX", 1),
    not(
        "---XX",
        NO_TLS,
        "ssl allow-0rtt alpn ca-file check-alpn check-sni check-ssl ciphers ciphersuites crl-file \
         crt force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-check-ssl no-ssl \
         no-ssl-reuse no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 npn sni \
         ssl-max-ver ssl-min-ver ssl-reuse tls-tickets verify verifyhost",
    ),
    not(
        "---XX",
        "",
        "check-proto \
         check-via-socks4 init-addr log-proto max-reuse \
         non-stick \
         proto redir resolve-net resolve-opts \
         resolve-prefer resolvers \
         socks4 stick usesrc ws",
    ),
    not("---XX", NAMESPACES, "namespace"),
];

pub(super) const HTTP_REQUEST: &[Group] = &[
    yes(
        "add-header allow del-header deny disable-l7-retry redirect replace-header \
         replace-path replace-pathq replace-uri replace-value return set-header set-method \
         set-path set-pathq set-priority-class set-priority-offset set-query set-uri \
         use-service wait-for-body",
        "-AXXX",
        ANY,
    ),
    not(
        "-AXXX",
        "",
        "add-acl auth cache-use capture del-acl del-map do-resolve \
         early-hint normalize-uri ot-group reject sc-inc-gpc sc-inc-gpc0 sc-inc-gpc1 \
         sc-set-gpt sc-set-gpt0 send-spoe-group set-dst set-dst-port set-log-level \
         set-map set-mark set-nice set-src \
         set-src-port set-timeout set-tos set-var set-var-fmt silent-drop strict-mode \
         tarpit track-sc track-sc0 track-sc1 track-sc2 unset-var \
         wait-for-handshake",
    ),
];

pub(super) const HTTP_RESPONSE: &[Group] = &[
    yes(
        "add-header allow del-header deny redirect replace-header replace-value return \
         set-header set-status",
        "-AXXX",
        ANY,
    ),
    not(
        "-AXXX",
        "",
        "add-acl cache-store capture del-acl del-map ot-group sc-inc-gpc sc-inc-gpc0 \
         sc-inc-gpc1 sc-set-gpt sc-set-gpt0 send-spoe-group set-log-level set-map \
         set-mark set-nice set-tos set-var set-var-fmt silent-drop strict-mode track-sc \
         track-sc0 track-sc1 track-sc2 unset-var wait-for-body",
    ),
];

pub(super) const PROXY_STATS: &[Group] = &[yes(
    "admin auth enable hide-version http-request realm refresh scope show-desc show-legends \
     show-modules show-node uri",
    "-XXXX",
    ANY,
)];

pub(super) const GLOBAL_STATS: &[Group] =
    &[yes("bind-process maxconn socket timeout", "X----", ANY)];

/// The actions of `http-request` as HAProxy 2.6 lists them; `(*)` stands for what may follow.
pub(super) const REQUEST_ACTIONS: &str = "wait-for-handshake ot-group set-log-level set-nice use-service sc-inc-gpc(*) \
     sc-inc-gpc0(*) sc-inc-gpc1(*) sc-set-gpt(*) sc-set-gpt0(*) send-spoe-group do-resolve(*) \
     cache-use add-acl(*) add-header allow auth capture del-acl(*) del-header del-map(*) deny \
     disable-l7-retry early-hint normalize-uri redirect reject replace-header replace-path \
     replace-pathq replace-uri replace-value return set-header set-map(*) set-method set-path \
     set-pathq set-query set-uri strict-mode tarpit track-sc(*) set-timeout wait-for-body \
     set-var-fmt(*) set-var(*) unset-var(*) set-dst set-dst-port set-mark set-src \
     set-src-port set-tos silent-drop set-priority-class set-priority-offset";

/// The same of `http-response`.
pub(super) const RESPONSE_ACTIONS: &str = "ot-group set-log-level set-nice sc-inc-gpc(*) sc-inc-gpc0(*) sc-inc-gpc1(*) \
     sc-set-gpt(*) sc-set-gpt0(*) send-spoe-group cache-store add-acl(*) add-header allow \
     capture del-acl(*) del-header del-map(*) deny redirect replace-header replace-value \
     return set-header set-map(*) set-status strict-mode track-sc(*) wait-for-body \
     set-var-fmt(*) set-var(*) unset-var(*) set-mark set-tos silent-drop";
