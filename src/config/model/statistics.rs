//! The statistics page of a proxy: where it is, who sees it, what it shows.

use super::ProxyId;
use crate::rules::basic_credentials;
use crate::rules::condition::Condition;

/// The statistics page of a proxy (configuration.txt 4.2, "stats ...").
#[derive(Debug, Default)]
pub struct Statistics {
    /// `stats uri`: what the targets of its requests begin with.
    pub uri: String,
    /// `stats refresh`, seconds.
    pub refresh: Option<u32>,
    /// `stats realm`.
    pub realm: Option<String>,
    /// `stats auth`, each as `user:password`; with none everybody may look.
    pub users: Vec<String>,
    /// `stats scope`: the proxies that are shown; all of them when absent.
    pub scope: Option<Vec<ProxyId>>,
    /// `stats hide-version`.
    pub hides_version: bool,
    /// `stats show-legends`: addresses and algorithms are shown, too.
    pub shows_legends: bool,
    /// `stats show-modules`.
    pub shows_modules: bool,
    /// `stats show-node`, and the name unless it is the host's.
    pub node: Option<Option<String>>,
    /// `stats show-desc`.
    pub description: Option<String>,
    /// `stats http-request` rules in order.
    pub rules: Vec<StatisticsRule>,
    /// `stats admin`: who may change servers here, if any condition holds.
    pub admins: Vec<Condition>,
}

impl Statistics {
    /// Whether the credentials of a request (its `Authorization` fields) are those of a user, or
    /// none are wanted.
    pub fn knows<'a>(&self, mut fields: impl Iterator<Item = &'a [u8]>) -> bool {
        self.users.is_empty() || fields.next().is_some_and(|field| self.is_user(field))
    }

    fn is_user(&self, field: &[u8]) -> bool {
        let Some(given) = basic_credentials(field) else {
            return false;
        };
        // Each is looked at to its end, so that time tells nothing of a password.
        let users = self.users.iter();
        users.fold(false, |found, user| found | same(user.as_bytes(), &given))
    }
}

/// Whether two texts are the same; how long it takes depends on their lengths alone.
fn same(left: &[u8], right: &[u8]) -> bool {
    let pairs = left.iter().zip(right);
    left.len() == right.len() && pairs.fold(0, |differs, (l, r)| differs | (l ^ r)) == 0
}

/// A `stats http-request` rule.
#[derive(Debug)]
pub struct StatisticsRule {
    /// What it does.
    pub action: Access,
    /// When it does it.
    pub condition: Option<Condition>,
}

/// What a `stats http-request` rule says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is answered.
    Allow,
    /// It is denied.
    Deny,
    /// It is asked for a name, for this realm.
    Authenticate(Option<String>),
}
