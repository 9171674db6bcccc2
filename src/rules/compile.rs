//! What compiling rules needs from the configuration around them, and how it says what is wrong.
//!
//! Compiling takes the words of a line (bytes: a configuration may hold any) and gives a value or a
//! [`Problem`] that names the word. It asks for files, ACL names and ids through [`Surroundings`], so
//! that this folder opens nothing and knows no other part of the configuration.
//! It must never print and never panic, whatever the words are.
//! Rejected: error enums with a variant a mistake. Messages are HAProxy's, so the text is the value.

use std::fmt;

use super::condition::{Acl, AclId};

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Index of the offending word in the slice that was compiled.
    pub word: usize,
    /// Offset in that word's bytes, where one byte is to blame.
    pub at: Option<usize>,
    /// HAProxy's words, what follows `parsing [F:L] : `.
    pub message: String,
    /// A name that was probably meant; already part of `message` where HAProxy has it there.
    pub suggestion: Option<String>,
    /// HAProxy writes `parsing [F:L]: ` for this message, without the blank before the colon.
    pub tight: bool,
}

impl Problem {
    /// A problem with a word.
    pub fn new(word: usize, message: impl Into<String>) -> Self {
        Self {
            word,
            at: None,
            message: message.into(),
            suggestion: None,
            tight: false,
        }
    }

    /// The same with a text before its message.
    #[must_use]
    pub fn within(mut self, before: impl fmt::Display) -> Self {
        self.message = format!("{before}{}", self.message);
        self
    }

    /// The same for words that are `by` further right.
    #[must_use]
    pub fn shifted(mut self, by: usize) -> Self {
        self.word += by;
        self
    }
}

/// What compiling asks of the configuration and the machine.
pub trait Surroundings {
    /// The ACLs of that name that the current proxy has declared so far, in order; the same name
    /// on several lines means any of them.
    fn acls(&self, name: &[u8]) -> &[AclId];
    /// Names that `acls` would know, for suggestions.
    fn acl_names(&self) -> Vec<String>;
    /// The contents of a file (`-f`, `errorfile`, `file`, `lf-file`).
    ///
    /// # Errors
    /// The system's words, such as `No such file or directory`.
    fn read(&self, path: &[u8]) -> Result<Vec<u8>, String>;
    /// A variable of the environment, as `setenv` left it.
    fn variable(&self, name: &[u8]) -> Option<Vec<u8>>;
    /// The id of the proxy of that name, wherever it is declared in the configuration.
    fn proxy(&self, name: &[u8]) -> Option<u32>;
    /// The id of a server, by backend and name; `None` for the backend means the current proxy.
    fn server(&self, backend: Option<&[u8]>, name: &[u8]) -> Option<u32>;
}

/// Where rules come from and where compiling leaves what it makes on the way.
pub struct Compiler<'a> {
    /// What to ask.
    pub around: &'a dyn Surroundings,
    /// `Config::acls`: anonymous and predefined ACLs are appended.
    pub acls: &'a mut Vec<Acl>,
    /// Warnings, in the order found; `word` counts as in the slice that was compiled.
    pub warnings: &'a mut Vec<Problem>,
    /// `frontend`, `backend`, `proxy` (a `listen`) or `defaults`, as messages have it.
    pub kind: &'a str,
    /// The section's name.
    pub name: &'a str,
    /// The section may accept connections.
    pub is_frontend: bool,
    /// The line number, for the rules to remember.
    pub line: u32,
}
