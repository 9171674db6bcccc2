//! Which version this is: oneloop's own, and the HAProxy language and features it stands for.
//!
//! People read oneloop's name and version; tools that expect HAProxy read a version of HAProxy's
//! form, so that they work unchanged. Conditions in a configuration (`version_atleast`, `feature`)
//! are answered from here.

/// oneloop's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The day of `VERSION`, as `show info` prints release dates.
pub const RELEASE_DATE: &str = "2026/11/22";

/// The version that tools read where they expect HAProxy's: the language's release, then ours.
pub const VERSION_AS_HAPROXY: &str = concat!("2.6.12-oneloop-", env!("CARGO_PKG_VERSION"));

/// The HAProxy branch whose configuration language oneloop speaks.
pub const LANGUAGE: &str = "2.6";

/// The release of it that conditions compare with: major, minor, patch.
pub const LANGUAGE_RELEASE: [u32; 3] = [2, 6, 12];

/// What `feature(NAME)` is true for: the names that HAProxy's feature list has and oneloop fulfils.
pub const FEATURES: &[&str] = &["ACCEPT4", "EPOLL", "GETADDRINFO", "LINUX_SPLICE"];

/// What HAProxy's feature list has and oneloop lacks.
pub const FEATURES_MISSING: &[&str] = &[
    "51DEGREES",
    "BACKTRACE",
    "CLOSEFROM",
    "CPU_AFFINITY",
    "CRYPT_H",
    "DEVICEATLAS",
    "DL",
    "ENGINE",
    "EVPORTS",
    "KQUEUE",
    "LIBCRYPT",
    "LINUX_TPROXY",
    "LUA",
    "MEMORY_PROFILING",
    "NETFILTER",
    "NS",
    "OBSOLETE_LINKER",
    "OPENSSL",
    "OT",
    "PCRE",
    "PCRE2",
    "PCRE2_JIT",
    "PCRE_JIT",
    "POLL",
    "PRCTL",
    "PROCCTL",
    "PROMEX",
    "QUIC",
    "RT",
    "SLZ",
    "STATIC_PCRE",
    "STATIC_PCRE2",
    "SYSTEMD",
    "TFO",
    "THREAD",
    "THREAD_DUMP",
    "TPROXY",
    "WURFL",
    "ZLIB",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_version_everywhere() {
        let [major, minor, patch] = LANGUAGE_RELEASE;
        assert_eq!(LANGUAGE, format!("{major}.{minor}"));
        assert_eq!(
            VERSION_AS_HAPROXY,
            format!("{major}.{minor}.{patch}-oneloop-{VERSION}")
        );
        assert!(!FEATURES.iter().any(|name| FEATURES_MISSING.contains(name)));
    }
}
