//! Conditions: `if`/`unless` over ACLs.

use super::Context;
use super::compile::{Compiler, Problem};
use super::fetch::{Expression, Scope, Scratch};

/// Index into `Config::acls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AclId(pub u32);

/// One ACL: a line, or one pair of braces.
#[derive(Debug)]
pub struct Acl {
    /// Its name; empty when anonymous.
    pub name: Box<[u8]>,
    expression: Expression,
}

impl Acl {
    /// Compiles what follows `acl`: name, criterion, flags, patterns.
    ///
    /// # Errors
    /// A [`Problem`] worded as HAProxy does after `parsing [F:L] : `.
    pub fn compile(words: &[&[u8]], compiler: &mut Compiler<'_>) -> Result<Self, Problem> {
        let expression = Expression::compile(
            words.get(1).copied().unwrap_or_default(),
            Scope::Request,
            compiler,
        )?;
        Ok(Self {
            name: Box::default(),
            expression,
        })
    }

    /// Whether any sample matches.
    pub fn matches<C: Context>(&self, context: &C, scratch: &mut Scratch) -> bool {
        self.expression
            .any(context, &mut scratch.buffers, |_| false)
    }
}

/// Remembers, for one message, what each ACL said.
#[derive(Debug, Default)]
pub struct AclCache {
    generation: u32,
}

impl AclCache {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

/// `if`/`unless` over ACLs: any of several groups, all of each group.
#[derive(Debug)]
pub struct Condition {
    unless: bool,
}

impl Condition {
    /// Compiles words that begin with `if` or `unless`.
    ///
    /// # Errors
    /// A [`Problem`] such as `no such ACL : 'x'.`: the caller says what it was parsing.
    pub fn compile(
        words: &[&[u8]],
        scope: Scope,
        compiler: &mut Compiler<'_>,
    ) -> Result<Self, Problem> {
        let _ = (words, scope, compiler);
        Ok(Self { unless: false })
    }

    /// Whether it reads the client connection's destination address.
    #[must_use]
    pub fn needs_destination(&self, acls: &[Acl]) -> bool {
        let _ = acls;
        false
    }

    /// Whether the condition is met. `acls` is `Config::acls`.
    pub fn holds<C: Context>(&self, acls: &[Acl], context: &C, scratch: &mut Scratch) -> bool {
        let _ = (acls, context, scratch);
        self.unless
    }
}
