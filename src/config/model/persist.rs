//! What binds a client to the server that it had before.

use super::ServerId;
use crate::balance::persist::dynamic_cookie;
use crate::base::addr::Endpoint;
pub use crate::http::cookie::{Capture, Mode as CookieMode, Settings as Cookie};
use crate::rules::condition::Condition;
use crate::rules::format::Format;
use crate::rules::plan::{Conditional, Rules};

/// The persistence of a backend (configuration.txt 4.2, "cookie" and what it speaks of).
#[derive(Debug, Default)]
pub struct Persistence {
    /// `cookie NAME`.
    pub cookie: Option<Box<Cookie>>,
    /// What servers without a cookie of their own get.
    pub dynamic: DynamicCookies,
    /// `option persist`: a server that is down is tried all the same.
    pub tries_down: bool,
    /// `force-persist` and `ignore-persist` rules in order; the first that holds counts.
    pub rules: Rules<PersistRule>,
    /// `use-server` rules in order; the first that holds and whose server may be tried counts.
    pub choices: Rules<ServerChoice>,
}

impl Persistence {
    /// Whether a rule makes the name of a server per request.
    #[must_use]
    pub fn makes_names(&self) -> bool {
        let mut choices = self.choices.iter();
        choices.any(|choice| matches!(choice.target, ServerTarget::Dynamic(_)))
    }

    /// Nothing of it concerns the cookies of a request.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cookie.is_none() && self.rules.is_empty()
    }
}

/// `cookie ... dynamic` and `dynamic-cookie-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DynamicCookies {
    /// They are made.
    pub on: bool,
    /// What they are made with; none are made without.
    pub key: Option<String>,
}

impl DynamicCookies {
    /// The cookie of a server at this place. One that is not in a network has none.
    #[must_use]
    pub fn of(&self, endpoint: &Endpoint, port_offset: Option<i32>) -> Option<String> {
        let key = self.key.as_ref().filter(|_| self.on)?;
        let Endpoint::Inet(address) = endpoint else {
            return None;
        };
        let port = port_offset.unwrap_or_else(|| i32::from(address.port()));
        Some(dynamic_cookie(key.as_bytes(), address.ip(), port))
    }
}

/// `force-persist` or `ignore-persist`.
#[derive(Debug)]
pub struct PersistRule {
    /// `force-persist`.
    pub forces: bool,
    /// When.
    pub condition: Condition,
}

impl Conditional for PersistRule {
    fn condition(&self) -> Option<&Condition> {
        Some(&self.condition)
    }
}

/// `use-server TARGET if|unless CONDITION`.
#[derive(Debug)]
pub struct ServerChoice {
    /// Which server.
    pub target: ServerTarget,
    /// When.
    pub condition: Condition,
}

impl Conditional for ServerChoice {
    fn condition(&self) -> Option<&Condition> {
        Some(&self.condition)
    }
}

/// The target of a [`ServerChoice`].
#[derive(Debug)]
pub enum ServerTarget {
    /// A server known at load.
    Server(ServerId),
    /// A name made per request; an unknown one ends the rules.
    Dynamic(Format),
}

/// What is said of two servers with one dynamic cookie.
#[must_use]
pub fn twins(backend: &str) -> String {
    format!(
        "We generated two equal cookies for two different servers.\nPlease change the secret key for '{backend}'."
    )
}
