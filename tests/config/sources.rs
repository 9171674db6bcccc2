//! Where the text comes from and who else has a say: several files, the environment, the command
//! line, and any text at all.

use oneloop::config::model::Mode;
use oneloop::config::{LoadOptions, Source, load};

use crate::given::{ARTICLE, good, host, load_text, load_with, messages};

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
