//! What each proxy is told: the same behaviour in each one's language.
//!
//! oneloop and HAProxy read one file. HAProxy gets two lines more, without which it sheds its idle
//! server connections near the descriptor limit and looks worse than it is. nginx takes part only
//! where its file says the same ([`Shape::for_nginx`]); elsewhere it is left out rather than
//! compared with something else.

use std::fmt::Write as _;
use std::path::Path;

use crate::peers::Kind;

/// Rules that never match, before the default.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    None,
    /// `path_beg`, so many lines.
    Paths(usize),
    /// `hdr(x-tenant)`, so many lines.
    Headers(usize),
    /// Entries of one map that a single rule looks up.
    Map(usize),
    /// `path_reg`, which nothing but trying them one by one can decide.
    Expressions(usize),
    /// A backend of its own for each of so many hosts.
    Hosts(usize),
}

/// What a configuration does beyond forwarding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) tcp: bool,
    pub(crate) log: bool,
    pub(crate) splice: bool,
    pub(crate) reuse_always: bool,
    pub(crate) rules: Rules,
    pub(crate) maxconn: u32,
}

/// Forwarding, two path ACLs, `forwardfor`: the article's configuration.
pub(crate) const PLAIN: Shape = Shape {
    tcp: false,
    log: false,
    splice: false,
    reuse_always: false,
    rules: Rules::None,
    maxconn: 9000,
};

/// Where the parts of one sitting listen, and where files go.
pub(crate) struct Places<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) front: u16,
    pub(crate) origins: [u16; 2],
    pub(crate) log: u16,
}

impl Shape {
    /// True when [`nginx`] says the same.
    pub(crate) fn for_nginx(&self) -> bool {
        let plain = !self.tcp && !self.log && !self.splice;
        plain && matches!(self.rules, Rules::None | Rules::Hosts(_))
    }

    /// The file for one proxy; a map is written beside it.
    pub(crate) fn text(&self, kind: Kind, places: &Places<'_>) -> std::io::Result<String> {
        if let Rules::Map(entries) = self.rules {
            let lines: String = (0..entries).map(|n| format!("/r{n}/ b1\n")).collect();
            std::fs::write(places.folder.join("paths.map"), lines)?;
        }
        Ok(match kind {
            Kind::Nginx => nginx(self, places),
            _ => haproxy(self, kind, places),
        })
    }
}

fn haproxy(shape: &Shape, kind: Kind, places: &Places<'_>) -> String {
    let mut text = format!("global\n    maxconn {}\n    nbthread 1\n", shape.maxconn);
    if kind == Kind::Haproxy {
        text += "    tune.pool-low-fd-ratio 90\n    tune.pool-high-fd-ratio 95\n";
    }
    if shape.log {
        line(&mut text, &format!("log 127.0.0.1:{} local0", places.log));
    }
    text += if shape.tcp {
        "defaults\n    mode tcp\n"
    } else {
        "defaults\n    mode http\n"
    };
    if shape.log {
        text += "    log global\n    option httplog\n";
    }
    if shape.reuse_always {
        text += "    http-reuse always\n";
    }
    if shape.splice {
        text += "    option splice-auto\n";
    }
    text += "    timeout connect 5000\n    timeout client 50000\n    timeout server 50000\n";
    text += "frontend web_proxy\n";
    line(&mut text, &format!("bind 127.0.0.1:{}", places.front));
    if !shape.tcp {
        text += "    option forwardfor\n    acl is-app1 path_beg /app1\n    acl is-app2 path_beg \
                 /app2\n    use_backend b1 if is-app1\n    use_backend b2 if is-app2\n";
    }
    let mut each = |count: usize, words: &dyn Fn(usize) -> String| {
        (0..count).for_each(|n| line(&mut text, &words(n)));
    };
    match shape.rules {
        Rules::None => {}
        Rules::Paths(count) => each(count, &|n| {
            format!("use_backend b1 if {{ path_beg /r{n}/ }}")
        }),
        Rules::Headers(count) => each(count, &|n| {
            format!("use_backend b1 if {{ hdr(x-tenant) tenant{n} }}")
        }),
        Rules::Map(_) => each(1, &|_| {
            let map = places.folder.join("paths.map");
            format!("use_backend %[path,map_beg({},b0)]", map.display())
        }),
        Rules::Expressions(count) => each(count, &|n| {
            format!("use_backend b1 if {{ path_reg ^/r{n}/[a-z]+x$ }}")
        }),
        Rules::Hosts(count) => each(count, &|n| {
            format!("use_backend h{n} if {{ hdr(host) -i h{n}.example.com }}")
        }),
    }
    line(&mut text, "default_backend b0");
    let [first, second] = places.origins;
    let one = format!("    server s1 127.0.0.1:{first} check\n");
    let two = format!("    server s2 127.0.0.1:{second} check\n");
    let _ = write!(text, "backend b0\n    balance roundrobin\n{one}{two}");
    if !shape.tcp {
        let rewrite = |app: &str| format!("    http-request replace-path /{app}(/)?(.*) /\\2\n");
        let _ = write!(
            text,
            "backend b1\n    balance roundrobin\n{}{one}",
            rewrite("app1")
        );
        let _ = write!(
            text,
            "backend b2\n    balance roundrobin\n{}{two}",
            rewrite("app2")
        );
    }
    if let Rules::Hosts(count) = shape.rules {
        for n in 0..count {
            let _ = write!(text, "backend h{n}\n    server s1 127.0.0.1:{first}\n");
        }
    }
    text
}

fn line(text: &mut String, words: &str) {
    let _ = writeln!(text, "    {words}");
}

fn nginx(shape: &Shape, places: &Places<'_>) -> String {
    let folder = places.folder.display();
    let (port, [first, second]) = (places.front, places.origins);
    let user = if crate::system::is_root() {
        "user root;"
    } else {
        ""
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {folder}/nginx-{kind};\n"))
        .concat();
    let mut text = format!(
        "daemon off;\nworker_processes 1;\n{user}\npid {folder}/nginx-{port}.pid;\n\
         error_log {folder}/nginx.log warn;\nevents {{ worker_connections {}; }}\nhttp {{\n\
         \x20   access_log off;\n    keepalive_requests 100000000;\n{temporary}\
         \x20   server_names_hash_max_size 65536;\n    server_names_hash_bucket_size 64;\n\
         \x20   proxy_http_version 1.1;\n    proxy_set_header Connection \"\";\n\
         \x20   proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         \x20   upstream b0 {{ server 127.0.0.1:{first}; server 127.0.0.1:{second};\n\
         \x20       keepalive 4000; keepalive_requests 100000000; }}\n\
         \x20   server {{ listen 127.0.0.1:{port} backlog=4096;\n\
         \x20       location / {{ proxy_pass http://b0; }}\n\
         \x20       location ~ ^/app1/?(.*) {{ proxy_pass http://b0/$1; }} }}\n",
        shape.maxconn
    );
    if let Rules::Hosts(count) = shape.rules {
        for n in 0..count {
            let _ = write!(
                text,
                "    upstream h{n} {{ server 127.0.0.1:{first}; }}\n\
                 \x20   server {{ listen 127.0.0.1:{port}; server_name h{n}.example.com;\n\
                 \x20       location / {{ proxy_pass http://h{n}; }} }}\n"
            );
        }
    }
    text + "}\n"
}

/// A file of so many lines for `-c`: backends of several lines each, and the rules to reach them.
pub(crate) fn long_file(lines: usize, port: u16) -> String {
    const BACKEND_LINES: usize = 10;
    let mut text = format!(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    \
         timeout server 50s\nfrontend web\n    bind 127.0.0.1:{port}\n"
    );
    let backends = lines.saturating_sub(text.lines().count()) / BACKEND_LINES;
    for n in 0..backends {
        line(
            &mut text,
            &format!("use_backend b{n} if {{ hdr(host) -i host{n}.example.com }}"),
        );
    }
    for n in 0..backends {
        let _ = write!(
            text,
            "backend b{n}\n    balance roundrobin\n    option forwardfor\n    \
             http-request set-header X-Tenant {n}\n    http-request deny if {{ path_beg /admin }}\n    \
             http-response del-header Server\n    timeout server 20s\n    \
             server s1 127.0.0.1:8001 weight 10\n    server s2 127.0.0.1:8002 weight 20\n"
        );
    }
    text
}
