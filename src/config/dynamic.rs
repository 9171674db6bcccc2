//! A server that comes while the process runs (`add server`, management.txt 9.3).
//!
//! Its words are read by the parser of the configuration, as the one server of a backend of its
//! own, so that both take the same options and refuse the same mistakes in the same words. Nothing
//! is asked of the machine: a name is not resolved.

use super::diag::Severity;
use super::host::Fake;
use super::model::{Config, Place, Server};
use super::sections::{LoadOptions, Source, load};

/// Options of a server that HAProxy knows and does not take here.
const NOT_HERE: &[&str] = &[
    "cookie",
    "first-check-before-traffic",
    "init-addr",
    "log-proto",
    "max-reuse",
    "namespace",
    "no-agent-check",
    "no-check",
    "no-check-send-proxy",
    "no-check-ssl",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "no-ssl",
    "non-stick",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "socks4",
    "ssl-reuse",
    "stick",
    "tcp-ut",
];

/// The server of the words behind `add server`: its address and its options, and whom it is to
/// track. Its ids and its number, which is 0 where none was asked for, are the caller's to set.
///
/// # Errors
/// Why it cannot be, in the parser's words, which mostly begin with `'server B/S' : `.
pub fn server(
    backend: &str,
    name: &str,
    words: &[&str],
) -> Result<(Server, Option<String>), String> {
    if let Some(word) = words.iter().skip(1).find(|word| NOT_HERE.contains(word)) {
        return Err(format!(
            "'server {backend}/{name}' : '{word}' option is not accepted for dynamic server"
        ));
    }
    let mut text = String::from("backend ");
    quote(backend, &mut text);
    text.push_str("\n server ");
    // Whom it tracks is in the configuration, which is not read here.
    let at = words.iter().position(|word| *word == "track");
    let track = at.and_then(|at| words.get(at.saturating_add(1)));
    let (before, after) = match (at, track) {
        (Some(at), Some(_)) => (words.get(..at), words.get(at.saturating_add(2)..)),
        _ => (Some(words), None),
    };
    let given = as_command(words);
    let words = before.into_iter().chain(after).flatten();
    for word in [name].iter().chain(words) {
        quote(word, &mut text);
        text.push(' ');
    }
    text.push('\n');
    let source = Source {
        name: "CLI".to_owned(),
        bytes: text.into_bytes(),
    };
    let loaded = load(&[source], &Fake::default(), &LoadOptions::default());
    let found = loaded.diagnostics.list();
    if let Some(first) = found.iter().find(|one| one.severity == Severity::Alert) {
        return Err(first.message.clone());
    }
    let server = loaded
        .config
        .and_then(|mut config: Config| config.servers.pop());
    let mut server = server.ok_or("this is no server")?;
    if !server.forced_number {
        server.number = 0;
    }
    server.added_with = Some(given.into());
    server.place = Place {
        file: "(null)".into(),
        line: 0,
    };
    Ok((server, track.map(|track| (*track).to_owned())))
}

/// Words as a command has them: blanks and backslashes in them behind a backslash.
fn as_command(words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        for c in word.chars() {
            if matches!(c, ' ' | '\t' | '\r' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

/// Appends a word as one that means nothing but itself.
fn quote(word: &str, text: &mut String) {
    text.push('\'');
    text.push_str(&word.replace('\'', r"'\''"));
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_in_a_file() {
        let read = |words: &[&str]| server("b", "s", words).map(|(server, _)| server);
        let read_number = |words: &[&str]| read(words).unwrap().number;
        let plain = read(&["127.0.0.1:80"]).unwrap();
        assert_eq!(plain.endpoint.to_string(), "127.0.0.1:80");
        assert_eq!((plain.number, plain.weight), (0, 1));
        let full = ["[::1]:80", "weight", "7", "id", "1", "check", "rise", "4"];
        let full = read(&full).unwrap();
        assert_eq!((full.number, full.weight), (1, 7));
        assert_eq!(full.check.unwrap().rise, 4);
        assert_eq!(read_number(&["127.0.0.1:80", "weight", "1", "backup"]), 0);
        let refusals = [
            (&["127.0.0.1:80", "wait"][..], "unknown keyword 'wait'"),
            (&["127.0.0.1:80", "$HOME"], "unknown keyword '$HOME'"),
            (&["127.0.0.1:80", "it's"], "unknown keyword 'it's'"),
            (&["127.0.0.1:80", "ssl"], "'ssl' is not implemented"),
            (
                &["127.0.0.1:80", "cookie", "c"],
                "'cookie' option is not accepted for dynamic server",
            ),
            (
                &["127.0.0.1:80", "id", "0"],
                "'id' : custom id has to be > 0.",
            ),
            (&["a.example:80"], "could not resolve address 'a.example'."),
            (
                &["127.0.0.1", "check"],
                "config: backend 'b': server 's' has",
            ),
        ];
        for (words, expected) in refusals {
            let text = read(words).unwrap_err();
            let text = text.strip_prefix("'server b/s' : ").unwrap_or(&text);
            assert!(text.starts_with(expected), "{words:?}: {text}");
        }
    }
}
