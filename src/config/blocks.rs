//! Conditional blocks (`.if`, `.elif`, `.else`, `.endif`) and the messages `.notice`, `.warning`,
//! `.alert`, `.diag`, with the condition language of configuration.txt 2.4 (also behind `-cc`).
//!
//! `Reader` stands between the lexer and the parser: it hands on only the lines that apply. It
//! never looks at what those lines say, and lines that do not apply are still split into words, so
//! that an open quote is an error everywhere.
//!
//! A wrong directive ends the reading of the file, as in HAProxy: which lines apply after it cannot
//! be known.

use super::diag::{Diagnostics, FileId, Lead, Place, Severity, Span};
use super::lexer::{Fault, FaultKind, Inside, Lexer, Line, Variables, split};
use crate::base::version::{FEATURES, LANGUAGE_RELEASE};

/// One open `.if`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Block {
    /// Its lines apply now.
    active: bool,
    /// One of its branches has applied, or the block stands in one that does not.
    done: bool,
    /// `.else` has come.
    last: bool,
    /// The line of the `.if`.
    opened: u32,
}

/// The lines of one file that apply, one by one.
#[derive(Debug)]
pub struct Reader<'a> {
    lexer: Lexer<'a>,
    blocks: Vec<Block>,
    /// The end was reached and an open block has been reported.
    ended: bool,
}

/// What to do after a directive.
enum After {
    /// Go on reading.
    Continue,
    /// Read no further; open blocks are reported.
    Stop,
    /// Read no further and say nothing more.
    Quit,
}

impl<'a> Reader<'a> {
    /// A reader at the start of a file's contents.
    pub fn new(file: FileId, text: &'a [u8]) -> Self {
        Self {
            lexer: Lexer::new(file, text),
            blocks: Vec::new(),
            ended: false,
        }
    }

    /// The next line that applies, or `None` at the end of the file (or after a wrong directive).
    /// `variables` may change from call to call.
    pub fn next_line(&mut self, variables: &Variables, found: &mut Diagnostics) -> Option<Line> {
        while let Some(line) = self.lexer.next_line(variables, found) {
            if line.bytes(0).first() != Some(&b'.') {
                if self.active() {
                    return Some(line);
                }
                continue;
            }
            match self.directive(&line, variables, found) {
                After::Continue => {}
                After::Stop => self.lexer.stop(),
                After::Quit => {
                    self.lexer.stop();
                    self.ended = true;
                }
            }
        }
        if let (false, Some(block)) = (self.ended, self.blocks.last()) {
            let note = format!("the '.if' of line {} has no '.endif'", block.opened);
            let place = Place {
                file: self.lexer.file(),
                line: self.lexer.number(),
                source: [].into(),
                span: None,
            };
            let one = found.alert(place, "non-terminated '.if' block.");
            one.lead(Lead::ParsingTight).note(note).abort();
        }
        self.ended = true;
        None
    }

    fn active(&self) -> bool {
        self.blocks.last().is_none_or(|block| block.active)
    }

    fn directive(&mut self, line: &Line, variables: &Variables, found: &mut Diagnostics) -> After {
        match line.bytes(0) {
            b".if" => {
                let outer = self.active();
                let mut block = Block {
                    active: false,
                    done: !outer,
                    last: false,
                    opened: line.number,
                };
                if outer {
                    let Some(met) = condition(line, variables, found) else {
                        return After::Quit;
                    };
                    (block.active, block.done) = (met, met);
                }
                self.blocks.push(block);
                After::Continue
            }
            b".elif" => self.elif(line, variables, found),
            b".else" | b".endif" => self.switch(line, found),
            _ if !self.active() => After::Continue,
            b".notice" => message(line, Severity::Notice, found),
            b".warning" => message(line, Severity::Warning, found),
            b".alert" => message(line, Severity::Alert, found),
            b".diag" => message(line, Severity::Diag, found),
            _ => {
                let name = line.word(0);
                let one = found.alert(line.at(0), format!("unknown directive '{name}'."));
                let known = [
                    ".if", ".elif", ".else", ".endif", ".notice", ".warning", ".alert", ".diag",
                ];
                one.lead(Lead::ParsingTight).suggest(&name, known);
                After::Quit
            }
        }
    }

    fn elif(&mut self, line: &Line, variables: &Variables, found: &mut Diagnostics) -> After {
        let Some(block) = self.blocks.last_mut() else {
            return lone(line, found);
        };
        if block.last {
            return misplaced(line, found);
        }
        if block.done {
            block.active = false;
            return After::Continue;
        }
        let Some(met) = condition(line, variables, found) else {
            return After::Quit;
        };
        block.active = met;
        block.done = met;
        After::Continue
    }

    fn switch(&mut self, line: &Line, found: &mut Diagnostics) -> After {
        let name = line.word(0);
        if line.words.len() > 1 {
            let text = format!("Unexpected argument '{}' for '{name}'.", line.word(1));
            let one = found.alert(line.at(1), text);
            one.lead(Lead::ParsingTight).abort();
            return After::Stop;
        }
        let Some(block) = self.blocks.last_mut() else {
            return lone(line, found);
        };
        if name == ".endif" {
            self.blocks.pop();
            return After::Continue;
        }
        if block.last {
            return misplaced(line, found);
        }
        block.active = !block.done;
        block.done = true;
        block.last = true;
        After::Continue
    }
}

fn lone(line: &Line, found: &mut Diagnostics) -> After {
    let text = format!("lone '{}' with no matching '.if'.", line.word(0));
    let one = found.alert(line.at(0), text);
    one.lead(Lead::ParsingTight).abort();
    After::Quit
}

fn misplaced(line: &Line, found: &mut Diagnostics) -> After {
    let text = format!("'{}' after '.else' is not permitted.", line.word(0));
    let one = found.alert(line.at(0), text);
    one.lead(Lead::ParsingTight).abort();
    After::Quit
}

/// `.notice TEXT` and its kin. An alert ends the reading: the file itself asked for it.
fn message(line: &Line, severity: Severity, found: &mut Diagnostics) -> After {
    if line.words.len() > 2 {
        let text = format!(
            "Unexpected argument '{}' for '{}'. Use quotes if the message should contain spaces.",
            line.word(2),
            line.word(0)
        );
        found.alert(line.at(2), text).lead(Lead::ParsingTight);
        return After::Continue;
    }
    // The line itself is the message; showing it again below would only repeat it.
    let place = Place {
        source: [].into(),
        ..line.place()
    };
    let text = format!("'{}'.", line.word(1));
    let one = found.push(severity, Lead::ParsingTight, Some(place), text);
    if severity == Severity::Alert {
        one.abort();
        After::Quit
    } else {
        After::Continue
    }
}

/// Evaluates the condition of an `.if` or `.elif`; `None` after reporting that it has none.
#[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
fn condition(line: &Line, variables: &Variables, found: &mut Diagnostics) -> Option<bool> {
    let words = line.from(1);
    let text = words
        .iter()
        .map(|word| word.str())
        .collect::<Vec<_>>()
        .join(" ");
    match evaluate_text(&text, variables) {
        Ok(met) => Some(met),
        Err(wrong) => {
            let name = line.word(0);
            let message = format!("{} in '{name}' at position {}:", wrong.text, wrong.at + 1);
            // As HAProxy, the condition is shown as it was read, not as it was written.
            let shown = format!("{name} {text}");
            let start = (name.len() + 1 + wrong.at) as u32;
            let place = Place {
                source: shown.as_bytes().into(),
                span: Some(Span {
                    start,
                    end: start + 1,
                }),
                ..line.place()
            };
            let one = found.alert(place, message);
            one.lead(Lead::ParsingTight).abort();
            None
        }
    }
}

/// Evaluates a condition as `-cc` does: quotes and variables work as in a file, `#` does not. The
/// error is HAProxy's text.
pub fn evaluate(condition: &[u8], variables: &Variables) -> Result<bool, String> {
    let inside = Inside {
        variables,
        file: "",
        line: 0,
    };
    let words = split(condition, Some(&inside), false).map_err(|Fault { kind, .. }| {
        let what = match kind {
            FaultKind::Quote => "Unmatched quote",
            FaultKind::Hex => "Truncated or invalid hexadecimal sequence",
            FaultKind::Brace => "Unmatched brace in environment variable name",
            FaultKind::FirstChar => "Forbidden first char in environment variable name",
            FaultKind::Expansion => "Truncated or invalid word expansion sequence",
            FaultKind::Long => "Too long a condition after the expansion of variables",
        };
        format!("Syntax Error in condition: {what}.")
    })?;
    let text = words
        .iter()
        .map(|word| word.str())
        .collect::<Vec<_>>()
        .join(" ");
    evaluate_text(&text, variables)
        .map_err(|wrong| format!("Failed to evaluate condition: {}", wrong.text))
}

/// What is wrong with a condition, and at which byte of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Wrong {
    text: String,
    at: usize,
}

/// How deep parentheses may stand in each other.
const DEPTH_MAX: usize = 100;

fn evaluate_text(text: &str, variables: &Variables) -> Result<bool, Wrong> {
    if text.is_empty() {
        return Ok(false);
    }
    let mut terms = Terms {
        text,
        at: 0,
        depth: 0,
        variables,
    };
    match terms.any() {
        Ok(met) => {
            terms.skip_blanks();
            match text.get(terms.at..).and_then(|rest| rest.chars().next()) {
                None => Ok(met),
                Some(c) => Err(Wrong {
                    text: format!(
                        "unexpected character '{c}' at the end of conditional expression '{text}'"
                    ),
                    at: terms.at,
                }),
            }
        }
        Err(Some(wrong)) => Err(wrong),
        Err(None) => Err(Wrong {
            text: format!("unparsable conditional sub-expression '{text}'"),
            at: 0,
        }),
    }
}

/// A recursive-descent reader: `any` of `&&`-chains of terms. An error of `None` says that nothing
/// was there at all: the caller knows what it wanted.
struct Terms<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    variables: &'a Variables,
}

type Outcome = Result<bool, Option<Wrong>>;

impl<'a> Terms<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "what is left after blanks is no longer than before"
    )]
    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    fn skip(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        self.at += if there { token.len() } else { 0 };
        there
    }

    fn unparsable(&self, from: usize, at: usize) -> Option<Wrong> {
        let rest = self.text.get(from..).unwrap_or("");
        Some(Wrong {
            text: format!("unparsable conditional expression '{rest}'"),
            at,
        })
    }

    fn any(&mut self) -> Outcome {
        let start = self.at;
        let mut met = self.all()?;
        let mut first_or = None;
        loop {
            self.skip_blanks();
            let or = self.at;
            if !self.skip("||") {
                return Ok(met);
            }
            let first_or = *first_or.get_or_insert(or);
            self.skip_blanks();
            let next = self.all();
            // HAProxy reads the right side by recursion, so the outermost `||` is what it names.
            met |= next.map_err(|e| e.or_else(|| self.unparsable(start, first_or)))?;
        }
    }

    fn all(&mut self) -> Outcome {
        let mut met = self.term()?;
        let mut first_and = None;
        loop {
            self.skip_blanks();
            let and = self.at;
            if !self.skip("&&") {
                return Ok(met);
            }
            let first_and = *first_and.get_or_insert(and);
            self.skip_blanks();
            let next = self.term();
            met &= next.map_err(|e| e.or_else(|| self.unparsable(first_and, first_and)))?;
        }
    }

    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    fn term(&mut self) -> Outcome {
        let start = self.at;
        self.skip_blanks();
        if self.rest().is_empty() {
            self.at = start;
            return Err(None);
        }
        let mut negated = false;
        while self.skip("!") {
            negated = !negated;
            self.skip_blanks();
        }
        let rest = self.rest();
        if rest.starts_with('(') {
            return Ok(self.group(start)? != negated);
        }
        let digits = rest.trim_start_matches(['+', '-']);
        let sign = rest.len() - digits.len();
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        if count > 0 && sign <= 1 {
            let value = digits.get(..count).unwrap_or("");
            self.at += sign + count;
            return Ok(value.bytes().any(|digit| digit != b'0') != negated);
        }
        let word = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        let name = rest.get(..word).unwrap_or("");
        let Some((_, wanted)) = PREDICATES.iter().find(|(one, _)| *one == name) else {
            return Err(self.unparsable(start, start));
        };
        self.at += word;
        let args = self.arguments(name, *wanted).map_err(Some)?;
        Ok(self.predicate(name, &args) != negated)
    }

    #[expect(
        clippy::arithmetic_side_effects,
        reason = "a depth is at most one more than the most; a place in a line"
    )]
    fn group(&mut self, start: usize) -> Outcome {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.unparsable(start, start));
        }
        self.at += 1;
        let met = self
            .any()
            .map_err(|e| e.or_else(|| self.unparsable(start, start)))?;
        self.skip_blanks();
        if !self.skip(")") {
            let whole = self.text.get(start..).unwrap_or("");
            let text = format!("expected ')' after conditional expression '{whole}'");
            return Err(Some(Wrong { text, at: start }));
        }
        self.depth -= 1;
        Ok(met)
    }

    /// The arguments in parentheses right after a predicate's name. Parts may be quoted.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a line")]
    fn arguments(&mut self, name: &str, wanted: usize) -> Result<Vec<String>, Wrong> {
        let used = "used in conditional expression";
        let mut args = vec![String::new()];
        let open = self.skip("(");
        let mut quote = None;
        while open && let Some(c) = self.rest().chars().next() {
            let count = args.len();
            let Some(arg) = args.last_mut() else { break };
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(q)) if q == c => quote = None,
                ('\\', Some('"')) if self.rest().starts_with("\\\\") => {
                    arg.push('\\');
                    self.at += 1;
                }
                (',', None) if count < wanted => args.push(String::new()),
                (',' | ')', None) => break,
                _ => arg.push(c),
            }
            self.at += c.len_utf8();
        }
        let at = self.at;
        if args.len() < wanted {
            let got = args.len();
            let text = format!(
                "missing arguments (got {got}/{wanted}), type 'string' expected in argument 1 of predicate '{name}' {used}"
            );
            return Err(Wrong { text, at });
        }
        if open && !self.skip(")") {
            let rest = self.rest();
            let before = if rest.is_empty() {
                String::new()
            } else {
                format!(" before '{rest}'")
            };
            let text = format!("expected ')'{before} in argument 1 of predicate '{name}' {used}");
            return Err(Wrong { text, at });
        }
        Ok(args)
    }

    fn predicate(&self, name: &str, args: &[String]) -> bool {
        let first = args.first().map_or("", String::as_str);
        let second = args.get(1).map_or("", String::as_str);
        match name {
            "defined" => self.variables.get(first.as_bytes()).is_some(),
            // An empty name is found in HAProxy's list of features, whatever that means.
            "feature" => first.is_empty() || FEATURES.contains(&first),
            "streq" => first == second,
            "strneq" => first != second,
            "version_atleast" => version(first) <= version_of_language(),
            _ => version(first) > version_of_language(),
        }
    }
}

/// The predicates of HAProxy 2.6 and how many arguments they want. (`enabled` came later.)
const PREDICATES: &[(&str, usize)] = &[
    ("defined", 1),
    ("feature", 1),
    ("streq", 2),
    ("strneq", 2),
    ("version_atleast", 1),
    ("version_before", 1),
];

/// A version as something to compare: three numbers, then development versions before the release
/// and builds after it.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "at least -3 times 2^32, and 32 bits more"
)]
fn version(text: &str) -> ([u32; 3], i64) {
    let mut numbers = [0; 3];
    let mut rest = text;
    for (index, number) in numbers.iter_mut().enumerate() {
        if index > 0 {
            let Some(after) = rest.strip_prefix('.') else {
                break;
            };
            rest = after;
        }
        (*number, rest) = leading_number(rest);
    }
    if let Some(after) = rest.strip_prefix('.') {
        return (numbers, i64::from(leading_number(after).0));
    }
    let Some(after) = rest.strip_prefix('-') else {
        return (numbers, 0);
    };
    for (word, base) in [("dev", -3_i64), ("pre", -2), ("rc", -1)] {
        if let Some(after) = after.strip_prefix(word) {
            return (numbers, (base << 32) + i64::from(leading_number(after).0));
        }
    }
    (numbers, i64::from(leading_number(after).0))
}

fn version_of_language() -> ([u32; 3], i64) {
    (LANGUAGE_RELEASE, 0)
}

fn leading_number(text: &str) -> (u32, &str) {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(count);
    (
        if digits.is_empty() {
            0
        } else {
            digits.parse().unwrap_or(u32::MAX)
        },
        rest,
    )
}

#[cfg(test)]
mod tests;
