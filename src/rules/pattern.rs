//! Patterns: what a sample is compared with in an ACL.
//!
//! Compiling reads flags, operators and values (configuration.txt 7.1) into one matcher. Values
//! that are literal text are not tried one by one but looked up in a trie, so that a long list
//! costs no more than a short one.
//! Matching must not allocate once its buffer has grown.
//! Rejected: one matcher a value, as the words come; it makes lists of 500 paths slow.

use std::ops::RangeInclusive;

use super::codec::unhex;
use super::compile::{Compiler, Lead, Problem};
use super::fetch::{Sample, Type};
use super::file::Columns;
use super::lists::{self, Words};
use super::map;
use super::network::Networks;
use super::regex::Regex;
use super::samples::method_of;
use super::trie::Trie;
use crate::http::head::Method;

/// What parts a path for `dir`.
pub(super) const DIR_DELIMITERS: &[u8] = b"/?";

/// What parts a name for `dom`.
pub(super) const DOM_DELIMITERS: &[u8] = b"/?.:";

/// A matching method (`-m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matching {
    Found,
    Bool,
    Int,
    Ip,
    Bin,
    Len,
    Str,
    Beg,
    End,
    Sub,
    Dir,
    Dom,
    Reg,
    /// A request method; `method` implies it, `-m` has no name for it.
    Method,
}

/// The names that `-m` takes.
const METHODS: &[(&str, Matching)] = &[
    ("found", Matching::Found),
    ("bool", Matching::Bool),
    ("int", Matching::Int),
    ("ip", Matching::Ip),
    ("bin", Matching::Bin),
    ("len", Matching::Len),
    ("str", Matching::Str),
    ("beg", Matching::Beg),
    ("end", Matching::End),
    ("sub", Matching::Sub),
    ("dir", Matching::Dir),
    ("dom", Matching::Dom),
    ("reg", Matching::Reg),
];

/// Criteria that only ACLs know: keyword, fetch, matching (`haproxy -dKacl`).
#[rustfmt::skip]
const KEYWORDS: &[(&str, &str, Matching)] = &[
    ("base", "base", Matching::Str),
    ("base_beg", "base", Matching::Beg),
    ("base_dir", "base", Matching::Dir),
    ("base_dom", "base", Matching::Dom),
    ("base_end", "base", Matching::End),
    ("base_len", "base", Matching::Len),
    ("base_reg", "base", Matching::Reg),
    ("base_sub", "base", Matching::Sub),
    ("cook", "req.cook", Matching::Str),
    ("cook_beg", "req.cook", Matching::Beg),
    ("cook_dir", "req.cook", Matching::Dir),
    ("cook_dom", "req.cook", Matching::Dom),
    ("cook_end", "req.cook", Matching::End),
    ("cook_len", "req.cook", Matching::Len),
    ("cook_reg", "req.cook", Matching::Reg),
    ("cook_sub", "req.cook", Matching::Sub),
    ("hdr", "req.hdr", Matching::Str),
    ("hdr_beg", "req.hdr", Matching::Beg),
    ("hdr_dir", "req.hdr", Matching::Dir),
    ("hdr_dom", "req.hdr", Matching::Dom),
    ("hdr_end", "req.hdr", Matching::End),
    ("hdr_len", "req.hdr", Matching::Len),
    ("hdr_reg", "req.hdr", Matching::Reg),
    ("hdr_sub", "req.hdr", Matching::Sub),
    ("path", "path", Matching::Str),
    ("path_beg", "path", Matching::Beg),
    ("path_dir", "path", Matching::Dir),
    ("path_dom", "path", Matching::Dom),
    ("path_end", "path", Matching::End),
    ("path_len", "path", Matching::Len),
    ("path_reg", "path", Matching::Reg),
    ("path_sub", "path", Matching::Sub),
    ("scook", "res.cook", Matching::Str),
    ("scook_beg", "res.cook", Matching::Beg),
    ("scook_dir", "res.cook", Matching::Dir),
    ("scook_dom", "res.cook", Matching::Dom),
    ("scook_end", "res.cook", Matching::End),
    ("scook_len", "res.cook", Matching::Len),
    ("scook_reg", "res.cook", Matching::Reg),
    ("scook_sub", "res.cook", Matching::Sub),
    ("shdr", "res.hdr", Matching::Str),
    ("shdr_beg", "res.hdr", Matching::Beg),
    ("shdr_dir", "res.hdr", Matching::Dir),
    ("shdr_dom", "res.hdr", Matching::Dom),
    ("shdr_end", "res.hdr", Matching::End),
    ("shdr_len", "res.hdr", Matching::Len),
    ("shdr_reg", "res.hdr", Matching::Reg),
    ("shdr_sub", "res.hdr", Matching::Sub),
    ("url", "url", Matching::Str),
    ("url_beg", "url", Matching::Beg),
    ("url_dir", "url", Matching::Dir),
    ("url_dom", "url", Matching::Dom),
    ("url_end", "url", Matching::End),
    ("url_len", "url", Matching::Len),
    ("url_reg", "url", Matching::Reg),
    ("url_sub", "url", Matching::Sub),
    ("urlp", "urlp", Matching::Str),
    ("urlp_beg", "urlp", Matching::Beg),
    ("urlp_dir", "urlp", Matching::Dir),
    ("urlp_dom", "urlp", Matching::Dom),
    ("urlp_end", "urlp", Matching::End),
    ("urlp_len", "urlp", Matching::Len),
    ("urlp_reg", "urlp", Matching::Reg),
    ("urlp_sub", "urlp", Matching::Sub),
    ("method", "method", Matching::Method),
    ("payload", "req.payload", Matching::Bin),
    ("payload_lv", "req.payload_lv", Matching::Bin),
    ("req_ssl_sni", "req.ssl_sni", Matching::Str),
    ("req_ver", "req.ver", Matching::Str),
    ("resp_ver", "res.ver", Matching::Str),
];

/// Fetch and matching of an ACL keyword.
pub(super) fn keyword(name: &[u8]) -> Option<(&'static str, Matching)> {
    KEYWORDS
        .iter()
        .find(|(keyword, _, _)| keyword.as_bytes() == name)
        .map(|(_, fetch, matching)| (*fetch, *matching))
}

/// All ACL keywords.
pub(super) fn keywords() -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().map(|(keyword, _, _)| *keyword)
}

impl Matching {
    /// What a fetch of that type implies, if anything.
    fn of_type(output: Type) -> Option<Self> {
        match output {
            Type::Bool => Some(Self::Bool),
            Type::Int => Some(Self::Int),
            Type::Ip => Some(Self::Ip),
            Type::Str => Some(Self::Str),
            Type::Bin | Type::Method => None,
        }
    }

    /// Whether samples of that type can be matched so (configuration.txt 7.1, the matrix).
    fn accepts(self, output: Type) -> bool {
        match self {
            Self::Found => true,
            Self::Bool => output.casts_to(Type::Bool),
            Self::Int => output.casts_to(Type::Int),
            Self::Ip => output.casts_to(Type::Ip) || output == Type::Bin,
            Self::Method => output == Type::Method,
            _ => output.casts_to(Type::Str),
        }
    }

    /// The name that `-m` has for it.
    pub(super) fn name(self) -> &'static str {
        METHODS
            .iter()
            .find(|(_, matching)| *matching == self)
            .map_or("meth", |(name, _)| name)
    }
}

/// How patterns are read: the way of matching, and whether in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flavour {
    pub(super) matching: Matching,
    pub(super) any_case: bool,
}

impl Flavour {
    /// One pattern. The error has its full stop.
    pub(super) fn read(self, pattern: &[u8]) -> Result<Patterns, String> {
        Patterns::of(self.matching, [(pattern, self.any_case)].into_iter())
    }
}

/// A list of patterns that an ACL compares with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Its place among all lists.
    pub(super) list: u32,
    pub(super) flavour: Flavour,
}

/// What the patterns of an ACL were compiled to.
pub(super) struct Compiled {
    pub(super) patterns: Patterns,
    /// The lists that they are from.
    pub(super) parts: Vec<Part>,
}

/// Whose patterns are compiled.
pub(super) struct Owner<'a> {
    /// The ACL's name, empty when anonymous.
    pub(super) acl: &'a [u8],
    /// The criterion, for messages.
    pub(super) criterion: &'a [u8],
}

/// What the flags before the values say.
struct Flags {
    /// The index of the first value.
    first: usize,
    /// The number that the list of the values is to have.
    id: Option<u32>,
    parts: Vec<Part>,
}

/// Compiled patterns.
#[derive(Debug)]
pub(super) struct Patterns {
    matching: Matching,
    ranges: Vec<RangeInclusive<i64>>,
    networks: Networks,
    literals: Literals,
    /// Literals that match in any case, in lower case.
    folded: Literals,
    regexes: Vec<Regex>,
    methods: Vec<Method>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
    Ne,
}

impl Operator {
    fn named(word: &[u8]) -> Option<Self> {
        match word {
            b"eq" => Some(Self::Eq),
            b"ge" => Some(Self::Ge),
            b"gt" => Some(Self::Gt),
            b"le" => Some(Self::Le),
            b"lt" => Some(Self::Lt),
            b"ne" => Some(Self::Ne),
            _ => None,
        }
    }
}

impl Patterns {
    fn new(matching: Matching) -> Self {
        Self {
            matching,
            ranges: Vec::new(),
            networks: Networks::default(),
            literals: Literals::default(),
            folded: Literals::default(),
            regexes: Vec::new(),
            methods: Vec::new(),
        }
    }

    /// These patterns, each with whether it matches in any case. The error has its full stop.
    pub(super) fn of<'p>(
        matching: Matching,
        values: impl Iterator<Item = (&'p [u8], bool)>,
    ) -> Result<Self, String> {
        let mut patterns = Self::new(matching);
        for (value, any_case) in values {
            let added = patterns.value(value, any_case);
            added.map_err(|problem| problem.message)?;
        }
        patterns.finish()?;
        Ok(patterns)
    }

    /// Compiles the words after the criterion. `implied` is the keyword's own matching. Errors
    /// count the words from the first of `words`, warnings from the criterion before it.
    pub(super) fn compile(
        words: &[&[u8]],
        implied: Option<Matching>,
        output: Type,
        owner: &Owner<'_>,
        compiler: &mut Compiler<'_>,
    ) -> Result<Compiled, Problem> {
        let shown = String::from_utf8_lossy(owner.criterion);
        let matching = implied.or_else(|| Matching::of_type(output));
        let mut patterns = Self::new(matching.unwrap_or(Matching::Found));
        let known = matching.is_some();
        let flags = patterns.flags(words, known, output, &shown, compiler)?;
        let Flags {
            first,
            id,
            mut parts,
        } = flags;
        let flavour = Flavour {
            matching: patterns.matching,
            any_case: patterns.any_case(words, first),
        };
        let values = words.get(first..).unwrap_or_default();
        let values = patterns.values(values, flavour.any_case);
        let values = values.map_err(|problem| problem.shifted(first))?;
        patterns
            .finish()
            .map_err(|text| Problem::new(first, text))?;
        let list = Words {
            keyword: shown.clone().into_owned(),
            section: format!("{} {}", compiler.kind, compiler.name),
            acl: String::from_utf8_lossy(owner.acl).into_owned(),
            id,
        };
        let place = compiler.files.words(&list, values, flavour);
        let place = place.map_err(|text| Problem::new(0, format!("{text}.")))?;
        parts.push(Part {
            list: place as u32,
            flavour,
        });
        // HAProxy looks at the word after the criterion only, and only if the line is good.
        let takes_values = !matches!(patterns.matching, Matching::Found | Matching::Bool);
        match words.first() {
            None if takes_values => compiler.warnings.push(no_pattern(&shown)),
            Some(value @ [b'(', ..]) => {
                let value = String::from_utf8_lossy(value);
                let warning = likely_mistake(owner.acl, &shown, &value);
                compiler.warnings.push(warning);
            }
            _ => {}
        }
        Ok(Compiled { patterns, parts })
    }

    /// Adds the values of a line; gives them as a list has them, an operator before a number
    /// being a range there.
    fn values(&mut self, values: &[&[u8]], any_case: bool) -> Result<Vec<Box<[u8]>>, Problem> {
        let mut operator = None;
        let mut listed = Vec::new();
        for (value, index) in values.iter().zip(0..) {
            let problem = |problem: Problem| problem.shifted(index);
            if !matches!(self.matching, Matching::Int | Matching::Len) {
                self.value(value, any_case).map_err(problem)?;
                listed.push((*value).into());
            } else if let Some(named) = Operator::named(value) {
                operator = Some(named);
            } else {
                let range = range(value, operator);
                let range = range.map_err(|text| problem(Problem::new(0, format!("{text}."))))?;
                listed.push(range_text(value, operator, &range));
                self.ranges.push(range);
            }
        }
        Ok(listed)
    }

    /// `-i` counts for all values that follow it.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn any_case(&self, words: &[&[u8]], first: usize) -> bool {
        let flags = words.get(..first).unwrap_or_default();
        let mut at = 0;
        while let Some(flag) = flags.get(at) {
            match *flag {
                b"-i" => return true,
                b"-f" | b"-m" | b"-u" => at += 2,
                _ => at += 1,
            }
        }
        false
    }

    /// Reads flags.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn flags(
        &mut self,
        words: &[&[u8]],
        mut known: bool,
        output: Type,
        shown: &str,
        compiler: &Compiler<'_>,
    ) -> Result<Flags, Problem> {
        let mut at = 0;
        let mut ended = false;
        let mut columns = Columns::One;
        let mut any_case = false;
        let mut id = None;
        let mut parts = Vec::new();
        while let Some(word) = words.get(at).filter(|word| word.starts_with(b"-")) {
            match *word {
                b"-i" => any_case = true,
                b"-n" => {}
                b"-M" => columns = Columns::Two,
                b"--" => ended = true,
                b"-u" => {
                    let number = words.get(at + 1).copied().unwrap_or_default();
                    let number = std::str::from_utf8(number)
                        .ok()
                        .and_then(|n| n.parse().ok());
                    let text = "the argument of -u must be an integer.";
                    id = Some(number.ok_or_else(|| Problem::new(at + 1, text))?);
                    at += 1;
                }
                b"-m" => {
                    let name = words.get(at + 1).copied().unwrap_or_default();
                    if !parts.is_empty() {
                        let text = "'-m' must only be specified before patterns and files in parsing ACL expression.";
                        return Err(Problem::new(at, text));
                    }
                    let found = METHODS.iter().find(|(known, _)| known.as_bytes() == name);
                    let Some((_, matching)) = found else {
                        let name = String::from_utf8_lossy(name);
                        let text = format!(
                            "unknown matching method '{name}' when parsing ACL expression."
                        );
                        return Err(Problem::new(at + 1, text));
                    };
                    self.matching = *matching;
                    known = true;
                    at += 1;
                }
                b"-f" => {
                    let path = words.get(at + 1).copied().unwrap_or_default();
                    self.check(known, output, shown, at)?;
                    let flavour = Flavour {
                        matching: self.matching,
                        any_case,
                    };
                    let list = self.file(path, columns, flavour, compiler);
                    let list = list.map_err(|problem| problem.shifted(at + 1))?;
                    parts.push(Part { list, flavour });
                    at += 1;
                }
                _ => {
                    let word = String::from_utf8_lossy(word);
                    let text = format!(
                        "'{word}' is not a valid ACL option. Please use '--' before any pattern beginning with a '-'."
                    );
                    return Err(Problem::new(at, text));
                }
            }
            at += 1;
            if ended {
                break;
            }
        }
        self.check(known, output, shown, at)?;
        Ok(Flags {
            first: at.min(words.len()),
            id,
            parts,
        })
    }

    /// Whether the matching goes with the type.
    fn check(&self, known: bool, output: Type, shown: &str, at: usize) -> Result<(), Problem> {
        if !known {
            let text = format!(
                "matching method must be specified first (using '-m') when using a sample fetch of this type ('{shown}')."
            );
            return Err(Problem::new(at, text));
        }
        if !self.matching.accepts(output) {
            let text = format!(
                "matching method '{}' cannot be used with fetch keyword '{shown}'.",
                self.matching.name()
            );
            return Err(Problem::new(at, text));
        }
        Ok(())
    }

    /// Reads a file of patterns, or of a map's keys; gives the place of its list.
    fn file(
        &mut self,
        path: &[u8],
        columns: Columns,
        flavour: Flavour,
        compiler: &Compiler<'_>,
    ) -> Result<u32, Problem> {
        let files = compiler.files;
        let file = files.patterns(path, columns, flavour, compiler.around);
        let (contents, list) = file.map_err(|text| Problem::new(0, format!("{text}.")))?;
        let mut add = |(line, value): (usize, &[u8])| {
            self.value(value, flavour.any_case).map_err(|mut problem| {
                let path = String::from_utf8_lossy(path);
                problem.message.pop();
                problem.message += &format!(" at line {line} of file '{path}'.");
                problem
            })
        };
        match columns {
            Columns::One => lists::patterns(&contents).try_for_each(add)?,
            Columns::Two => map::keys(&contents).try_for_each(&mut add)?,
        }
        Ok(list as u32)
    }

    /// Adds one value.
    fn value(&mut self, value: &[u8], any_case: bool) -> Result<(), Problem> {
        let problem = |text: String| Problem::new(0, text);
        match self.matching {
            Matching::Found | Matching::Bool => {}
            Matching::Int | Matching::Len => {
                let range = range(value, None).map_err(|text| problem(format!("{text}.")))?;
                self.ranges.push(range);
            }
            Matching::Ip => {
                if !self.networks.add(value) {
                    let value = String::from_utf8_lossy(value);
                    let text = format!("'{value}' is not a valid IPv4 or IPv6 address.");
                    return Err(problem(text));
                }
            }
            Matching::Bin => {
                let bytes = unhex(value).map_err(|text| problem(format!("{text}.")))?;
                self.literals.add(bytes);
            }
            Matching::Reg => {
                let regex = Regex::compile(value, any_case).map_err(|error| Problem {
                    at: Some(error.offset),
                    ..problem(format!("{error}."))
                })?;
                self.regexes.push(regex);
            }
            Matching::Method if method_of(value) != Method::Other => {
                self.methods.push(method_of(value));
            }
            Matching::Dir | Matching::Dom => {
                let delimits = self.delimiters();
                let trimmed = trim(value, delimits);
                if !trimmed.is_empty() {
                    self.literal(trimmed, any_case);
                }
            }
            _ => self.literal(value, any_case),
        }
        Ok(())
    }

    fn literal(&mut self, value: &[u8], any_case: bool) {
        if any_case {
            self.folded.add(value.to_ascii_lowercase());
        } else {
            self.literals.add(value.to_vec());
        }
    }

    /// Turns substrings into one expression each for both cases, which searches for all at once.
    fn finish(&mut self) -> Result<(), String> {
        let how = match self.matching {
            Matching::End => Literally::End,
            _ => Literally::Whole,
        };
        self.literals.finish(how);
        self.folded.finish(how);
        if self.matching != Matching::Sub {
            return Ok(());
        }
        for (literals, any_case) in [(&self.literals, false), (&self.folded, true)] {
            if literals.all.is_empty() {
                continue;
            }
            let mut pattern = Vec::new();
            for literal in &literals.all {
                if !pattern.is_empty() {
                    pattern.push(b'|');
                }
                for byte in literal {
                    pattern.extend_from_slice(b"\\x");
                    super::codec::push_hex(*byte, &mut pattern);
                }
            }
            let regex = Regex::compile(&pattern, any_case).map_err(|error| format!("{error}."))?;
            self.regexes.push(regex);
        }
        Ok(())
    }

    /// How they are matched.
    pub(super) fn matching(&self) -> Matching {
        self.matching
    }

    /// The literals that a sample is compared with, each with how and whether in any case; none
    /// when there is more to matching than that.
    pub(super) fn literals(&self) -> Option<impl Iterator<Item = (Literally, bool, &[u8])>> {
        let how = match self.matching {
            Matching::Str | Matching::Bin => Literally::Whole,
            Matching::Beg => Literally::Beg,
            Matching::End => Literally::End,
            _ => return None,
        };
        let exact = self.literals.all.iter().map(|value| (false, value));
        let folded = self.folded.all.iter().map(|value| (true, value));
        let all = exact.chain(folded);
        Some(all.map(move |(any_case, value)| (how, any_case, &**value)))
    }

    fn delimiters(&self) -> &'static [u8] {
        if self.matching == Matching::Dom {
            DOM_DELIMITERS
        } else {
            DIR_DELIMITERS
        }
    }

    /// Whether the sample matches any value. `folded` is a buffer to use.
    pub(super) fn matches(&self, sample: Sample<'_>, folded: &mut Vec<u8>) -> bool {
        match (self.matching, sample) {
            (Matching::Found, _) | (Matching::Bool, Sample::Ip(_)) => true,
            (Matching::Bool, _) => sample.int().is_some_and(|n| n != 0),
            (Matching::Int, _) => sample.int().is_some_and(|n| self.in_range(n)),
            (Matching::Ip, _) => sample.ip().is_some_and(|ip| self.networks.contain(ip)),
            (Matching::Method, Sample::Method(method, text)) => {
                if method == Method::Other {
                    self.text(text, folded)
                } else {
                    self.methods.contains(&method)
                }
            }
            _ => match sample.bytes() {
                Some(text) => self.text(text, folded),
                None => {
                    // A number or an address is matched as text; the buffer holds that text, so
                    // lower case is made of it in place.
                    folded.clear();
                    sample.write(folded);
                    let found = self.exact_case(folded);
                    folded.make_ascii_lowercase();
                    found || self.any_case_text(folded)
                }
            },
        }
    }

    fn in_range(&self, n: i64) -> bool {
        self.ranges.iter().any(|range| range.contains(&n))
    }

    #[inline]
    fn text(&self, text: &[u8], folded: &mut Vec<u8>) -> bool {
        if self.exact_case(text) {
            return true;
        }
        if self.folded.all.is_empty() || self.matching == Matching::Sub {
            return false;
        }
        folded.clear();
        folded.extend(text.iter().map(u8::to_ascii_lowercase));
        self.any_case_text(folded)
    }

    #[inline]
    fn exact_case(&self, text: &[u8]) -> bool {
        match self.matching {
            Matching::Len => self.in_range(text.len() as i64),
            Matching::Reg | Matching::Sub => self.regexes.iter().any(|regex| regex.is_match(text)),
            _ => self.literally(&self.literals, text),
        }
    }

    fn any_case_text(&self, lower: &[u8]) -> bool {
        match self.matching {
            Matching::Len | Matching::Reg | Matching::Sub => false,
            _ => self.literally(&self.folded, lower),
        }
    }

    fn literally(&self, literals: &Literals, text: &[u8]) -> bool {
        match self.matching {
            Matching::Beg => literals.begin(text, |_| true),
            Matching::End => literals.end(text),
            Matching::Dir | Matching::Dom => literals.any_part(text, self.delimiters()),
            _ => literals.contain(text),
        }
    }
}

fn no_pattern(shown: &str) -> Problem {
    Problem {
        lead: Lead::Bare,
        ..Problem::new(
            0,
            format!(
                "parsing acl keyword '{shown}' :\n  no pattern to match against were provided, so this ACL will never match.\n  If this is what you intended, please add '--' to get rid of this warning.\n  If you intended to match only for existence, please use '-m found'.\n  If you wanted to force an int to match as a bool, please use '-m bool'.\n"
            ),
        )
    }
}

fn likely_mistake(acl: &[u8], shown: &str, value: &str) -> Problem {
    let acl = String::from_utf8_lossy(acl);
    Problem {
        lead: Lead::Bare,
        ..Problem::new(
            1,
            format!(
                "parsing acl '{acl}' :\n  matching '{shown}' for pattern '{value}' is likely a mistake and probably\n  not what you want. Maybe you need to remove the extraneous space before '('.\n  If you are really sure this is not an error, please insert '--' between the\n  match and the pattern to make this warning message disappear."
            ),
        )
    }
}

/// A number or a range.
///
/// The ends of a range are parted by `:` or `-`; one of them may be missing, and only the upper
/// may be negative. So `-5` is not a number but the range `:5`. HAProxy minds no operator before
/// a range, and takes `ne`, which the manual does not have, for `eq`.
pub(super) fn range(
    value: &[u8],
    operator: Option<Operator>,
) -> Result<RangeInclusive<i64>, String> {
    let shown = String::from_utf8_lossy(value);
    let digits = |text: &str| {
        let all = text.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| text.parse::<i64>().ok()).flatten()
    };
    let Some((low, high)) = shown.split_once([':', '-']) else {
        let Some(n) = digits(&shown) else {
            return Err(match operator {
                None | Some(Operator::Eq) => format!("'{shown}' is not a number"),
                _ => format!("'{shown}' is neither a number nor a supported operator"),
            });
        };
        return Ok(match operator {
            None | Some(Operator::Eq | Operator::Ne) => n..=n,
            Some(Operator::Ge) => n..=i64::MAX,
            Some(Operator::Gt) => n.saturating_add(1)..=i64::MAX,
            Some(Operator::Le) => i64::MIN..=n,
            Some(Operator::Lt) => i64::MIN..=n.saturating_sub(1),
        });
    };
    let upper = match high.strip_prefix('-') {
        Some("") => Some(0),
        Some(number) => digits(number).map(i64::saturating_neg),
        None => digits(high),
    };
    let ends = match (low, high) {
        ("", "") => None,
        ("", _) => upper.map(|upper| i64::MIN..=upper),
        (_, "") => digits(low).map(|low| low..=i64::MAX),
        _ => digits(low)
            .zip(upper)
            .filter(|(low, upper)| low <= upper)
            .map(|(low, upper)| low..=upper),
    };
    ends.ok_or_else(|| format!("'{shown}' is not a valid number range"))
}

/// A number with its operator as a list shows it: a range.
fn range_text(value: &[u8], operator: Option<Operator>, range: &RangeInclusive<i64>) -> Box<[u8]> {
    let is_range = value.iter().any(|byte| matches!(byte, b':' | b'-'));
    let text = match operator {
        Some(Operator::Ge | Operator::Gt) if !is_range => format!("{}:", range.start()),
        Some(Operator::Le | Operator::Lt) if !is_range => format!(":{}", range.end()),
        _ => return value.into(),
    };
    text.into_bytes().into()
}

/// How text is compared with literals that a trie can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literally {
    /// All of it.
    Whole,
    /// Its front.
    Beg,
    /// Its end.
    End,
}

impl Literally {
    /// The literal as a trie has it: the end of a text is looked up backwards.
    pub(super) fn key(self, literal: &[u8]) -> Vec<u8> {
        match self {
            Self::End => literal.iter().rev().copied().collect(),
            Self::Whole | Self::Beg => literal.to_vec(),
        }
    }
}

/// Literal values.
#[derive(Debug, Default)]
struct Literals {
    all: Vec<Box<[u8]>>,
    /// All of them, when they are many.
    trie: Option<Trie>,
}

/// Up to this many values are compared one by one, which is cheaper than walking.
const LINEAR_MAX: usize = 6;

impl Literals {
    fn add(&mut self, value: Vec<u8>) {
        self.all.push(value.into_boxed_slice());
    }

    /// All values are there: makes them ready to be looked up.
    fn finish(&mut self, how: Literally) {
        self.all.sort_unstable();
        self.all.dedup();
        let many = self.all.len() > LINEAR_MAX;
        self.trie = many.then(|| {
            let entries = self.all.iter().map(|value| (how.key(value), 0));
            Trie::new(entries.collect())
        });
    }

    fn contain(&self, text: &[u8]) -> bool {
        match &self.trie {
            None => self.all.iter().any(|value| **value == *text),
            Some(trie) => trie.prefixes(text.iter().copied(), |length, _| length == text.len()),
        }
    }

    /// Whether the text begins with a value of which `ends` is true, given its length.
    fn begin(&self, text: &[u8], ends: impl Fn(usize) -> bool) -> bool {
        match &self.trie {
            None => self
                .all
                .iter()
                .any(|value| text.starts_with(value) && ends(value.len())),
            Some(trie) => trie.prefixes(text.iter().copied(), |length, _| ends(length)),
        }
    }

    fn end(&self, text: &[u8]) -> bool {
        match &self.trie {
            None => self.all.iter().any(|value| text.ends_with(value)),
            Some(trie) => trie.prefixes(text.iter().rev().copied(), |_, _| true),
        }
    }

    /// Whether a part between delimiters is a value; a value may have delimiters inside.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the bytes of a text")]
    fn any_part(&self, text: &[u8], delimiters: &[u8]) -> bool {
        let ends = |at: usize| text.get(at).is_none_or(|byte| delimiters.contains(byte));
        (0..text.len())
            .filter(|at| *at == 0 || ends(*at - 1))
            .any(|at| {
                let rest = text.get(at..).unwrap_or_default();
                self.begin(rest, |length| ends(at + length))
            })
    }
}

/// Cuts delimiters off both ends.
pub(super) fn trim<'a>(value: &'a [u8], delimiters: &[u8]) -> &'a [u8] {
    let inside = |byte: &u8| !delimiters.contains(byte);
    match (
        value.iter().position(inside),
        value.iter().rposition(inside),
    ) {
        (Some(first), Some(last)) => value.get(first..=last).unwrap_or_default(),
        _ => b"",
    }
}
