//! What the target `config` checks; `tests/golden.rs` runs it over changed files too.

use oneloop::config::host::Fake;
use oneloop::config::{LoadOptions, Source, load};

/// Target `config`: any bytes as a configuration file. Reading it never panics and says the same
/// each time, a refusal says why, and every diagnostic can be printed.
pub fn config(data: &[u8]) {
    let host = Fake::new().with_file("/etc/503.http", "HTTP/1.0 503 Service Unavailable\r\n\r\nx");
    let read = || {
        let source = Source {
            name: "fuzz.cfg".to_owned(),
            bytes: data.to_vec(),
        };
        load(&[source], &host, &LoadOptions::default())
    };
    let loaded = read();
    let found = &loaded.diagnostics;
    assert_eq!(
        loaded.config.is_none(),
        found.alerts() > 0,
        "a refusal and its reason"
    );
    let again = read().diagnostics;
    assert_eq!(found.list().len(), again.list().len());
    for (one, other) in found.list().iter().zip(again.list()) {
        let text = found.render(one);
        assert!(!text.is_empty());
        assert_eq!(text, again.render(other));
    }
}
