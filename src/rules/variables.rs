//! Variables by name, as `set-var` leaves them and `var()` finds them.
//!
//! A store holds few of them, so it is a list. The scope is a part of the name (`check.port`):
//! whoever evaluates decides which store serves which scope.

use std::net::IpAddr;

use super::fetch::Sample;

/// What a variable holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    Bool(bool),
    Int(i64),
    Ip(IpAddr),
    Text(Box<[u8]>),
    Bytes(Box<[u8]>),
}

/// Variables of one lifetime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(Vec<(Box<[u8]>, Kept)>);

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Sample<'_>> {
        let (_, kept) = self.0.iter().find(|(known, _)| **known == *name)?;
        Some(match kept {
            Kept::Bool(yes) => Sample::Bool(*yes),
            Kept::Int(n) => Sample::Int(*n),
            Kept::Ip(ip) => Sample::Ip(*ip),
            Kept::Text(text) => Sample::Str(text),
            Kept::Bytes(bytes) => Sample::Bin(bytes),
        })
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &[u8], value: Sample<'_>) {
        let kept = match value {
            Sample::Bool(yes) => Kept::Bool(yes),
            Sample::Int(n) => Kept::Int(n),
            Sample::Ip(ip) => Kept::Ip(ip),
            Sample::Str(text) | Sample::Method(_, text) => Kept::Text(text.into()),
            Sample::Bin(bytes) => Kept::Bytes(bytes.into()),
        };
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = kept,
            None => self.0.push((name.into(), kept)),
        }
    }

    /// Forgets a variable.
    pub fn unset(&mut self, name: &[u8]) {
        self.0.retain(|(known, _)| **known != *name);
    }
}

/// The scopes of HAProxy.
const SCOPES: [&[u8]; 6] = [b"proc.", b"sess.", b"txn.", b"req.", b"res.", b"check."];

/// Whether a name is one that a variable may have.
///
/// # Errors
/// HAProxy's words.
pub fn check_name(name: &[u8]) -> Result<(), String> {
    let shown = String::from_utf8_lossy(name);
    let begins = |scope: &&[u8]| name.starts_with(scope);
    if !SCOPES.iter().any(begins) {
        return Err(format!(
            "invalid variable name '{shown}'. A variable name must be start by its scope. The scope can be 'proc', 'sess', 'txn', 'req', 'res' or 'check'"
        ));
    }
    let bad = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    match name.iter().position(bad) {
        Some(at) => {
            let rest = String::from_utf8_lossy(name.get(at..).unwrap_or_default());
            Err(format!("invalid syntax at char '{rest}'"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, text) in [
            ("check.a", ""),
            ("proc.a_b.c", ""),
            (
                "foo.a",
                "invalid variable name 'foo.a'. A variable name must be start by its scope. The scope can be 'proc', 'sess', 'txn', 'req', 'res' or 'check'",
            ),
            ("check.a-b", "invalid syntax at char '-b'"),
        ] {
            assert_eq!(check_name(name.as_bytes()).err().unwrap_or_default(), text);
        }
    }

    #[test]
    fn values_are_kept_until_they_are_unset() {
        let mut variables = Variables::default();
        variables.set(b"check.a", Sample::Int(7));
        variables.set(b"check.b", Sample::Str(b"text"));
        variables.set(b"check.a", Sample::Bool(true));
        assert_eq!(variables.get(b"check.a"), Some(Sample::Bool(true)));
        assert_eq!(variables.get(b"check.b"), Some(Sample::Str(b"text")));
        variables.unset(b"check.a");
        assert_eq!(variables.get(b"check.a"), None);
    }
}
