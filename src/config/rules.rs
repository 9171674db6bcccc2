//! The lines that hold rules: `acl`, `http-request`, `http-response`, `redirect`, `use_backend`.
//!
//! The `rules` folder compiles; this file gives it the surroundings of a line (ACL names of
//! the section, files, names of proxies and servers) and turns its problems into diagnostics
//! at the word. Rules of a named `defaults` section are compiled where they stand, for their
//! mistakes, and again for each proxy that inherits them, before that proxy's own; their ACLs
//! stay invisible to the proxy's own rules, as in HAProxy.

use super::build::BUFFER_SIZE;
use super::diag::{Diagnostics, Lead, Place, Severity};
use super::draft::{AclNames, Finals};
use super::host::{FILE_BYTES_MAX, Host};
use super::keywords::{self, Class, Section};
use super::lexer::{Line, Variables, Word};
use super::lines::{bad_character, reason};
use super::sections::{Names, Parser};
use crate::rules::action::{compile_redirect_keyword, compile_request_rule, compile_response_rule};
use crate::rules::compile::{self, Compiler, Problem, Surroundings};
use crate::rules::condition::{Acl, AclId, Condition};
use crate::rules::connection::compile_connection_rule;
use crate::rules::content::compile_content_rule;
use crate::rules::fetch::{Expression, Scope};
use crate::rules::file::Files;

mod connection;
mod content;

use content::is_content;

/// What compiling may ask while a line of one section is read.
struct Around<'a> {
    acls: &'a AclNames,
    names: &'a Names,
    host: &'a dyn Host,
    variables: &'a Variables,
    proxy: Option<u32>,
}

impl Surroundings for Around<'_> {
    fn acls(&self, name: &[u8]) -> &[AclId] {
        self.acls.get(name).map_or(&[], Vec::as_slice)
    }

    fn acl_names(&self) -> Vec<String> {
        let names = self.acls.keys();
        names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    fn read(&self, path: &[u8]) -> Result<Vec<u8>, String> {
        let path = String::from_utf8_lossy(path);
        let contents = self.host.read_file(&path, FILE_BYTES_MAX);
        contents.map_err(|error| reason(&error))
    }

    fn variable(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.variables.get(name).map(<[u8]>::to_vec)
    }

    fn frontend(&self, name: &[u8]) -> Option<u32> {
        self.names.proxies.get(name)?.frontend
    }

    fn backend(&self, name: &[u8]) -> Option<u32> {
        self.names.proxies.get(name)?.backend
    }

    fn server(&self, backend: Option<&[u8]>, name: &[u8]) -> Option<u32> {
        let proxy = match backend {
            Some(backend) => self.names.proxies.get(backend)?.backend?,
            None => self.proxy?,
        };
        let server = self.names.servers.get(&(proxy, name.to_vec())).copied();
        server.inspect(|server| self.names.spoken_of.note(*server))
    }
}

/// Whose rules are compiled.
struct Home<'a> {
    acls: &'a AclNames,
    kind: &'a str,
    name: &'a str,
    is_frontend: bool,
    proxy: Option<u32>,
}

/// What compiling shares with the parser, field by field.
struct Tools<'a> {
    acls: &'a mut Vec<Acl>,
    files: &'a Files,
    names: &'a Names,
    host: &'a dyn Host,
    variables: &'a Variables,
    found: &'a mut Diagnostics,
    buffer_size: u32,
}

impl Tools<'_> {
    /// Compiles the words from `from` on and reports what is wrong with them.
    fn compile<T>(
        &mut self,
        home: &Home<'_>,
        line: &Line,
        from: usize,
        work: impl FnOnce(&[&[u8]], &mut Compiler<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        let words: Vec<&[u8]> = line.from(from).iter().map(|word| &word.text[..]).collect();
        let around = Around {
            acls: home.acls,
            names: self.names,
            host: self.host,
            variables: self.variables,
            proxy: home.proxy,
        };
        let mut warnings = Vec::new();
        let file = self.found.file_name(line.file);
        self.files.begin(file, line.number);
        let mut compiler = Compiler {
            around: &around,
            files: self.files,
            acls: self.acls,
            warnings: &mut warnings,
            kind: home.kind,
            name: home.name,
            is_frontend: home.is_frontend,
            line: line.number,
            buffer_size: self.buffer_size,
        };
        let outcome = work(&words, &mut compiler);
        for warning in &warnings {
            report(self.found, Severity::Warning, line, from, warning);
        }
        match outcome {
            Ok(value) => Some(value),
            Err(problem) => {
                report(self.found, Severity::Alert, line, from, &problem);
                None
            }
        }
    }
}

/// Whether the rule before this line ended every message; remembers whether this one does.
fn is_dead(finals: &mut Finals, line: &Line) -> bool {
    let last = match line.bytes(0) {
        b"http-request" => &mut finals.request,
        b"http-response" => &mut finals.response,
        _ => return false,
    };
    let ends = matches!(
        line.bytes(1),
        b"allow" | b"deny" | b"redirect" | b"reject" | b"return" | b"tarpit"
    );
    let mut words = line.from(2).iter();
    let always = !words.any(|word| matches!(&word.text[..], b"if" | b"unless"));
    std::mem::replace(last, ends && always)
}

/// Where the condition of a line stands.
pub(super) fn condition_place(line: &Line) -> Place {
    let is_condition = |word: &Word| matches!(&word.text[..], b"if" | b"unless");
    let at = line.words.iter().position(is_condition);
    line.at(at.unwrap_or_default())
}

/// Tells a problem with the words from `from` on.
#[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
fn report(
    found: &mut Diagnostics,
    severity: Severity,
    line: &Line,
    from: usize,
    problem: &Problem,
) {
    let index = from + problem.word;
    let place = line.at(index).pointing_at(line.bytes(index), problem.at);
    let lead = match problem.lead {
        compile::Lead::Spaced => Lead::Parsing,
        compile::Lead::Tight => Lead::ParsingTight,
        compile::Lead::Capital => Lead::ParsingCapital,
        compile::Lead::Bare => Lead::Bare,
    };
    let one = found.push(severity, lead, Some(place), problem.message.clone());
    if let Some(name) = &problem.suggestion
        && !problem.message.contains("id you mean")
    {
        one.note(format!("did you mean '{name}' maybe ?"));
    }
}

impl<'a> Parser<'a> {
    fn tools<'b>(
        acls: &'b mut Vec<Acl>,
        files: &'b Files,
        found: &'b mut Diagnostics,
        names: &'b Names,
        host: &'b dyn Host,
        variables: &'b Variables,
        buffer_size: Option<u32>,
    ) -> Tools<'b>
    where
        'a: 'b,
    {
        Tools {
            acls,
            files,
            names,
            host,
            variables,
            found,
            buffer_size: buffer_size.unwrap_or(BUFFER_SIZE),
        }
    }

    /// Compiles the words from `from` on as a part of the section that is being read.
    pub(super) fn compile_words<T>(
        &mut self,
        line: &Line,
        from: usize,
        work: impl FnOnce(&[&[u8]], &mut Compiler<'_>) -> Result<T, Problem>,
    ) -> Option<T> {
        let none = AclNames::default();
        let proxy = self.proxy_id();
        let described = proxy.and_then(|at| self.proxies.get(at));
        let home = Home {
            acls: &none,
            kind: described.map_or("defaults", |proxy| proxy.kind()),
            name: described.map_or("", |proxy| &proxy.name),
            is_frontend: described.is_some_and(|proxy| proxy.is_frontend()),
            proxy: proxy.and_then(|at| u32::try_from(at).ok()),
        };
        let mut tools = Self::tools(
            &mut self.acls,
            &self.rule_files,
            &mut self.found,
            self.names,
            self.host,
            self.variables,
            self.global.buffer_size,
        );
        tools.compile(&home, line, from, work)
    }

    /// One `acl`, `http-request`, `http-response` or `redirect` line.
    pub(super) fn rule_line(&mut self, line: &Line) {
        let found_before = self.found.list().len();
        if self.is_worth_compiling(line) {
            self.compile_line(line);
        }
        if matches!(line.bytes(0), b"http-request" | b"http-response") {
            self.found.abort_from(found_before);
        }
    }

    fn compile_line(&mut self, line: &Line) {
        if let Some(at) = self.defaults_id() {
            if let Some(defaults) = self.defaults.get_mut(at)
                && is_dead(&mut defaults.finals, line)
            {
                self.warn_of_dead_rule(line);
            }
            self.defaults_rule(at, line);
        } else if let Some(at) = self.proxy_id() {
            self.warn_of_order(at, line);
            self.proxy_rule(at, line);
        }
    }

    /// Checks what the compiler of rules leaves to the table and to the names' rules.
    fn is_worth_compiling(&mut self, line: &Line) -> bool {
        match line.bytes(0) {
            b"acl" => self.acl_name_is_good(line),
            b"redirect" => true,
            b"tcp-request" => self.may_be_compiled(line),
            b"http-request" => {
                keywords::admit_word(Class::HttpRequest, "", line, 1, &mut self.found).is_some()
            }
            _ => keywords::admit_word(Class::HttpResponse, "", line, 1, &mut self.found).is_some(),
        }
    }

    fn acl_name_is_good(&mut self, line: &Line) -> bool {
        let name = line.word(1).into_owned();
        if name.is_empty() {
            self.refuse(line, 1, "'acl' expects a name and a criterion.");
            return false;
        }
        if let Some(bad) = bad_character(line.bytes(1)) {
            let message = format!("character '{bad}' is not permitted in acl name '{name}'.");
            self.refuse(line, 1, message);
            return false;
        }
        if name.eq_ignore_ascii_case("or") {
            let message = "acl name 'or' will never match. 'or' is used to express a logical disjunction within a condition.";
            self.refuse(line, 1, message);
            return false;
        }
        true
    }

    /// A rule after one that runs later looks as if it ran after it; one after a final rule never
    /// runs.
    fn warn_of_order(&mut self, at: usize, line: &Line) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        let keyword = line.word(0);
        let after_switch = !proxy.switches.is_empty();
        let after_choice = !proxy.server_choices.is_empty();
        let after = match &*keyword {
            "tcp-request" if !is_content(line) && !proxy.content.is_empty() => {
                "tcp-request content"
            }
            "tcp-request" if !proxy.request.is_empty() => "http-request",
            "tcp-request" | "http-request" if !proxy.redirects.is_empty() => "redirect",
            "tcp-request" | "http-request" | "redirect" if after_switch => "use_backend",
            "tcp-request" | "http-request" | "redirect" if after_choice => "use-server",
            _ => "",
        };
        if is_dead(&mut proxy.finals, line) {
            self.warn_of_dead_rule(line);
        }
        if !after.is_empty() {
            let article = if after.starts_with('h') { "an" } else { "a" };
            let message = format!(
                "a '{keyword}' rule placed after {article} '{after}' rule will still be processed before."
            );
            self.found.warning(line.at(0), message);
        }
    }

    fn warn_of_dead_rule(&mut self, line: &Line) {
        let message = format!(
            "previous '{}' action is final and has no condition attached, further entries are NOOP.",
            line.word(0)
        );
        self.found
            .warning(line.at(0), message)
            .lead(Lead::ParsingTight);
    }

    /// A `defaults` section with rules serves frontends or backends, and no `listen`; reported.
    pub(super) fn may_inherit_rules(&mut self, base: usize, section: Section, line: &Line) -> bool {
        let Some(defaults) = self.defaults.get_mut(base) else {
            return false;
        };
        if defaults.rules.is_empty() {
            return false;
        }
        let first = *defaults.rules_serve.get_or_insert(section);
        let message = if defaults.has_connection_rules && section == Section::Backend {
            format!(
                "a backend section cannot inherit from a defaults section defining 'tcp-request connection' or 'tcp-request session' rules (defaults section at {}:{}).",
                defaults.place.file, defaults.place.line
            )
        } else if section == Section::Listen {
            "a listen section cannot inherit from a defaults section defining TCP/HTTP rules."
                .to_owned()
        } else if first != section && first != Section::Listen {
            format!(
                "frontends and backends cannot inherit from the same defaults section if it defines TCP/HTTP rules (defaults section at {}:{}).",
                defaults.place.file, defaults.place.line
            )
        } else {
            return true;
        };
        let one = self.found.alert(line.at(0), message);
        one.lead(Lead::ParsingTight).abort();
        false
    }

    /// A rule of a `defaults` section: compiled for its mistakes, kept as a line.
    fn defaults_rule(&mut self, at: usize, line: &Line) {
        let Some(defaults) = self.defaults.get_mut(at) else {
            return;
        };
        let home = Home {
            acls: &defaults.acls,
            kind: "defaults",
            name: &defaults.name,
            is_frontend: true,
            proxy: None,
        };
        // What is made here does not run: the table of ACLs that do is left alone.
        let acls = &mut self.defaults_acls;
        let mut tools = Self::tools(
            acls,
            &self.rule_files,
            &mut self.found,
            self.names,
            self.host,
            self.variables,
            self.global.buffer_size,
        );
        let good = match line.bytes(0) {
            b"acl" => match tools.compile(&home, line, 1, Acl::compile) {
                Some(acl) => {
                    let id = AclId(u32::try_from(self.defaults_acls.len()).unwrap_or(u32::MAX));
                    self.defaults_acls.push(acl);
                    defaults
                        .acls
                        .entry(line.bytes(1).to_vec())
                        .or_default()
                        .push(id);
                    true
                }
                None => false,
            },
            b"tcp-request" if is_content(line) => {
                let work = compile_content_rule;
                tools.compile(&home, line, 2, work).is_some()
            }
            b"tcp-request" => {
                defaults.has_connection_rules = true;
                let work = compile_connection_rule;
                tools.compile(&home, line, 2, work).is_some()
            }
            b"http-request" => {
                let work = compile_request_rule;
                tools.compile(&home, line, 1, work).is_some()
            }
            _ => {
                let work = compile_response_rule;
                tools.compile(&home, line, 1, work).is_some()
            }
        };
        if good {
            defaults.rules.push(line.clone());
        }
    }

    /// A rule of a proxy, compiled into its draft.
    fn proxy_rule(&mut self, at: usize, line: &Line) {
        let Some(proxy) = self.proxies.get_mut(at) else {
            return;
        };
        let home = Home {
            acls: &proxy.acls,
            kind: proxy.kind(),
            name: &proxy.name,
            is_frontend: proxy.is_frontend(),
            proxy: u32::try_from(at).ok(),
        };
        let mut tools = Self::tools(
            &mut self.acls,
            &self.rule_files,
            &mut self.found,
            self.names,
            self.host,
            self.variables,
            self.global.buffer_size,
        );
        match line.bytes(0) {
            b"acl" => {
                if let Some(acl) = tools.compile(&home, line, 1, Acl::compile) {
                    let id = AclId(u32::try_from(self.acls.len()).unwrap_or(u32::MAX));
                    self.acls.push(acl);
                    proxy
                        .acls
                        .entry(line.bytes(1).to_vec())
                        .or_default()
                        .push(id);
                }
            }
            b"tcp-request" if is_content(line) => {
                let rule = tools.compile(&home, line, 2, compile_content_rule);
                let below_http = rule
                    .as_ref()
                    .is_some_and(|rule| rule.reads_bytes(tools.acls));
                proxy.content.extend(rule);
                proxy
                    .layer_six
                    .content
                    .extend(below_http.then(|| condition_place(line)));
            }
            b"tcp-request" => {
                let rule = tools.compile(&home, line, 2, compile_connection_rule);
                proxy.connection.extend(rule);
            }
            b"http-request" => {
                let rule = tools.compile(&home, line, 1, compile_request_rule);
                let below_http = rule
                    .as_ref()
                    .is_some_and(|rule| rule.reads_bytes(tools.acls));
                proxy.request.extend(rule);
                proxy
                    .layer_six
                    .request
                    .extend(below_http.then(|| condition_place(line)));
            }
            b"redirect" => {
                let rule = tools.compile(&home, line, 1, compile_redirect_keyword);
                proxy.redirects.extend(rule);
            }
            _ => {
                let rule = tools.compile(&home, line, 1, compile_response_rule);
                let below_http = rule
                    .as_ref()
                    .is_some_and(|rule| rule.reads_bytes(tools.acls));
                proxy.response.extend(rule);
                proxy
                    .layer_six
                    .response
                    .extend(below_http.then(|| condition_place(line)));
            }
        }
    }

    /// Compiles the rules of a `defaults` section for the proxy that was just opened.
    pub(super) fn inherit_rules(&mut self, base: usize) {
        let Some(at) = self.proxy_id() else { return };
        let Some(lines) = self.defaults.get(base).map(|one| one.rules.clone()) else {
            return;
        };
        if lines.is_empty() {
            return;
        }
        // Warnings were told where the lines stand; an error is one of this proxy only.
        let told = self.found.set_aside();
        let first = self.acls.len();
        for line in &lines {
            self.proxy_rule(at, line);
        }
        // What the section's rules use is not the proxy's own, predefined ACLs included.
        for acl in self.acls.iter_mut().skip(first) {
            acl.keep_to_its_rule();
        }
        let news = std::mem::replace(&mut self.found, told);
        for one in news.list() {
            if one.severity == Severity::Alert {
                let (place, message) = (one.place.clone(), one.message.clone());
                self.found.push(one.severity, one.lead, place, message);
            }
        }
        if let Some(proxy) = self.proxies.get_mut(at) {
            proxy.acls.clear();
        }
    }

    /// `use_backend TARGET [if|unless CONDITION]`.
    pub(super) fn use_backend_line(&mut self, line: &Line) {
        let Some(at) = self.proxy_id() else {
            return;
        };
        if line.bytes(1).is_empty() {
            self.refuse(line, 1, "'use_backend' expects a backend name.");
            return;
        }
        let has_condition = matches!(line.bytes(2), b"if" | b"unless");
        if let (Some(word), false) = (line.words.get(2), has_condition) {
            let message = format!(
                "unexpected keyword '{}' after switching rule, only 'if' and 'unless' are allowed.",
                word.str()
            );
            self.refuse(line, 2, message);
            return;
        }
        let Some((draft, below_http)) = self.choice(line, Scope::Switch) else {
            return;
        };
        if let Some(proxy) = self.proxies.get_mut(at) {
            proxy.layer_six.switches.extend(below_http);
            proxy.switches.push(draft);
        }
    }

    /// Compiles the condition that a line of the proxy at hand has from the word `from` on.
    pub(super) fn condition(
        &mut self,
        line: &Line,
        from: usize,
        scope: Scope,
        before: &str,
    ) -> Option<Condition> {
        let at = self.proxy_id()?;
        let proxy = self.proxies.get(at)?;
        let home = Home {
            acls: &proxy.acls,
            kind: proxy.kind(),
            name: &proxy.name,
            is_frontend: proxy.is_frontend(),
            proxy: u32::try_from(at).ok(),
        };
        let mut tools = Self::tools(
            &mut self.acls,
            &self.rule_files,
            &mut self.found,
            self.names,
            self.host,
            self.variables,
            self.global.buffer_size,
        );
        tools.compile(&home, line, from, |words, compiler| {
            let condition = Condition::compile(words, scope, compiler);
            condition.map_err(|problem| problem.within(before))
        })
    }

    /// Compiles a format string of a proxy that is complete: its log line or a dynamic target.
    pub(super) fn compile_format(
        &mut self,
        at: usize,
        text: &[u8],
        purpose: crate::rules::format::Purpose,
    ) -> Result<crate::rules::format::Format, Problem> {
        self.with_compiler(at, |compiler| {
            crate::rules::format::Format::compile(text, purpose, compiler)
        })
    }

    /// Compiles an expression of a proxy that is complete.
    pub(super) fn compile_expression(
        &mut self,
        at: usize,
        text: &[u8],
        scope: Scope,
    ) -> Result<Expression, Problem> {
        self.with_compiler(at, |compiler| Expression::compile(text, scope, compiler))
    }

    fn with_compiler<T>(
        &mut self,
        at: usize,
        compile: impl FnOnce(&Compiler<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Some(proxy) = self.proxies.get(at) else {
            return Err(Problem::new(0, "no such proxy"));
        };
        let around = Around {
            acls: &proxy.acls,
            names: self.names,
            host: self.host,
            variables: self.variables,
            proxy: u32::try_from(at).ok(),
        };
        let mut warnings = Vec::new();
        self.rule_files.begin(&proxy.place.file, proxy.place.line);
        let compiler = Compiler {
            around: &around,
            files: &self.rule_files,
            acls: &mut self.acls,
            warnings: &mut warnings,
            kind: proxy.kind(),
            name: &proxy.name,
            is_frontend: proxy.is_frontend(),
            line: proxy.place.line,
            buffer_size: self.global.buffer_size.unwrap_or(BUFFER_SIZE),
        };
        compile(&compiler)
    }
}
