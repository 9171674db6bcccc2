//! What `http-request` and `tcp-request content` rules say of a request beside its message: where
//! it waits, and whether it may be repeated (configuration.txt 4.2, "http-request
//! set-priority-class" and its kin).
//!
//! Rules that follow see it at once (`prio_class`, `prio_offset`); the engine takes it over when
//! the rules of a proxy are through.

use super::Context;
use super::compile::{Compiler, Problem};
use super::fetch::{Buffers, Expression, Scope};
use super::format::{Field, Value};

/// The bounds of a class and of an offset (ms); what is beyond becomes the bound.
const CLASS_MAX: i64 = 2_047;
const OFFSET_MAX: i64 = 524_287;

/// What rules have said of a request so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The class in which it waits for a server; the lowest is served first.
    pub class: Option<i16>,
    /// So many ms later than it did it is taken to have come, ms; sooner when negative.
    pub offset: Option<i32>,
    /// No server gets it twice.
    pub once: bool,
}

/// An action that says something of a request.
#[derive(Debug)]
pub(super) enum Saying {
    Class(Expression),
    Offset(Expression),
    Once,
}

impl Said {
    /// The fields that rules have set.
    pub(super) fn field(&self, field: Field) -> Option<Value<'static>> {
        match field {
            Field::PriorityClass => Some(Value::Int(self.class?.into())),
            Field::PriorityOffset => Some(Value::Int(self.offset?.into())),
            _ => None,
        }
    }
}

impl Saying {
    /// Compiles `set-priority-class EXPR` and `set-priority-offset EXPR`; gives the index of what
    /// follows.
    pub(super) fn priority(
        words: &[&[u8]],
        scope: Scope,
        compiler: &Compiler<'_>,
    ) -> Result<(Self, usize), Problem> {
        let text = words.get(1).copied().unwrap_or_default();
        let expression =
            Expression::compile(text, scope, compiler).map_err(|problem| problem.shifted(1))?;
        let name = words.first().copied().unwrap_or_default();
        if let Some(lacking) = expression.lacks(scope) {
            let name = match scope {
                // The line's first word, in HAProxy.
                Scope::Content => "tcp-request".into(),
                _ => String::from_utf8_lossy(name),
            };
            let text = format!(
                "fetch method '{name}' extracts information from '{lacking}', none of which is available here."
            );
            return Err(Problem::new(1, text));
        }
        let saying = match name {
            b"set-priority-class" => Self::Class(expression),
            _ => Self::Offset(expression),
        };
        Ok((saying, 2))
    }

    /// Says it. An expression that yields no number leaves what was said before.
    pub(super) fn say<C: Context>(&self, view: &C, buffers: &mut Buffers, said: &mut Said) {
        match self {
            Self::Once => said.once = true,
            Self::Class(expression) => {
                if let Some(class) = number(expression, view, buffers, CLASS_MAX) {
                    said.class = i16::try_from(class).ok();
                }
            }
            Self::Offset(expression) => {
                if let Some(offset) = number(expression, view, buffers, OFFSET_MAX) {
                    said.offset = i32::try_from(offset).ok();
                }
            }
        }
    }

    /// Whether it reads an HTTP request.
    pub(super) fn reads_request(&self) -> bool {
        match self {
            Self::Once => false,
            Self::Class(expression) | Self::Offset(expression) => expression.reads_request(),
        }
    }

    pub(super) fn needs_destination(&self) -> bool {
        match self {
            Self::Once => false,
            Self::Class(expression) | Self::Offset(expression) => expression.needs_destination(),
        }
    }
}

fn number<C: Context>(
    expression: &Expression,
    view: &C,
    buffers: &mut Buffers,
    most: i64,
) -> Option<i64> {
    let value = expression.value(view, buffers)?.int()?;
    Some(value.clamp(most.saturating_neg(), most))
}
