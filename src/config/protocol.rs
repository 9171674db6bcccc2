//! `option smtpchk`, `redis-check`, `mysql-check`, `pgsql-check` and `ldap-check`: the checks that
//! speak a protocol (configuration.txt 4.2). The last option about what checks say decides.

use super::draft::ScriptDraft;
use super::lexer::Line;
use super::sections::Parser;
use crate::check::protocol::Protocol;
use crate::check::protocol::mysql::Login;
use crate::check::protocol::pgsql::Startup;
use crate::check::protocol::smtp::Hello;

impl Parser<'_> {
    /// One of these lines; how many words it may have was looked at before.
    pub(super) fn protocol_option(&mut self, line: &Line, name: &str) {
        let protocol = match name {
            "smtpchk" => Some(Protocol::Smtp(Hello::new(line.bytes(2), line.bytes(3)))),
            "redis-check" => Some(Protocol::Redis),
            "ldap-check" => Some(Protocol::Ldap),
            "mysql-check" => self.mysql_option(line),
            _ => self.pgsql_option(line),
        };
        if let Some(protocol) = protocol {
            self.settings().script = ScriptDraft::Protocol(protocol);
        }
    }

    /// `option mysql-check [user NAME [post-41|pre-41]]`.
    fn mysql_option(&mut self, line: &Line) -> Option<Protocol> {
        let (what, user) = (line.bytes(2), line.bytes(3));
        if line.words.len() == 2 {
            return Some(Protocol::Mysql(None));
        }
        if what != b"user" {
            let message = format!(
                "'option mysql-check' only supports optional values: 'user' (got '{}').",
                line.word(2)
            );
            self.refuse(line, 2, message);
            return None;
        }
        if user.is_empty() {
            let message = "'option mysql-check user' expects <username> as argument.";
            self.refuse(line, 3, message);
            return None;
        }
        let before_41 = match line.bytes(4) {
            b"" | b"post-41" => false,
            b"pre-41" => true,
            _ => {
                let message = format!(
                    "keyword 'user' only supports 'post-41' and 'pre-41' (got '{}').",
                    line.word(4)
                );
                self.refuse(line, 4, message);
                return None;
            }
        };
        let login = Login::new(user, before_41);
        self.name_fits(line, login.is_some());
        login.map(|login| Protocol::Mysql(Some(login)))
    }

    /// `option pgsql-check user NAME`.
    fn pgsql_option(&mut self, line: &Line) -> Option<Protocol> {
        let message = match (line.bytes(2), line.bytes(3)) {
            (b"", _) | (_, b"") => "'option pgsql-check' expects 'user <username>' as argument.",
            (b"user", user) => {
                let startup = Startup::new(user);
                self.name_fits(line, startup.is_some());
                return startup.map(Protocol::Pgsql);
            }
            _ => "'option pgsql-check' only supports optional values: 'user'.",
        };
        self.refuse(line, 2, message);
        None
    }

    fn name_fits(&mut self, line: &Line, fits: bool) {
        if !fits {
            self.refuse(line, 3, "the name is longer than its protocol allows.");
        }
    }
}
