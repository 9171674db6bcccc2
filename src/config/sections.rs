//! From the lines of all files to drafts of sections: opens sections, knows which one a line
//! belongs to, applies what a `defaults` section hands on, and gives each line to its handler.
//!
//! It reads twice. The first pass (`Survey`) lexes every file, runs `setenv` and its kin
//! (later lines see their variables) and notes the names of proxies and servers, so that a
//! rule may speak of a backend that stands below it. The second pass runs the handlers. What
//! the first pass found wrong is told in the second, at its line, so that messages stand in
//! the order of the file.
//!
//! It never opens a file: `Host` does. It never stops at an error. Rejected: one pass with
//! holes patched at the end, which makes every rule know about holes.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::blocks::Reader;
use super::diag::{Diagnostics, FileId, Lead};
use super::draft::{AclNames, Defaults, Finals, GlobalDraft, ProxyDraft, Settings};
use super::host::Host;
use super::keywords::{self, Admitted, Opening, Scope, Section};
use super::lexer::{Line, Variables};
use super::lines::bad_character;
use super::model::{Config, Place};
use super::resolve;
use crate::rules::condition::Acl;

/// One configuration file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name as the command line gave it.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// `-n`: takes precedence over `maxconn` of `global`.
    pub maxconn: Option<u32>,
    /// `-N`: `maxconn` of every frontend that says nothing.
    pub proxy_maxconn: Option<u32>,
    /// `-dW`: a warning is an error.
    pub zero_warning: bool,
    /// `-dS`.
    pub no_splice: bool,
    /// `-D`.
    pub daemon: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-p`: takes precedence over `pidfile`.
    pub pid_file: Option<String>,
    /// `-L`: takes precedence over `localpeer`.
    pub local_peer: Option<String>,
    /// `-dr`: a server whose name does not resolve is disabled, with a warning.
    pub ignore_resolution: bool,
}

/// What came of reading the files.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration; `None` when there were errors.
    pub config: Option<Config>,
    /// All that there is to say, in order, the closing lines included.
    pub diagnostics: Diagnostics,
    /// `quiet` was said, in a configuration with errors too.
    pub quiet: bool,
}

/// Reads configuration files, in order, as one configuration.
pub fn load(sources: &[Source], host: &dyn Host, options: &LoadOptions) -> Loaded {
    let survey = Survey::take(sources, host, options);
    let mut parser = Parser::new(host, options, &survey);
    for file in &survey.files {
        parser.read_file(file, &survey);
    }
    resolve::finish(parser, options)
}

/// Names that rules may speak of before they are declared.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Proxies by name: the id of the one that may accept and of the one that may have servers.
    pub(super) proxies: HashMap<Vec<u8>, ProxyIds>,
    /// Server ids by proxy id and name.
    pub(super) servers: HashMap<(u32, Vec<u8>), u32>,
    /// Which of the servers rules have spoken of so far.
    pub(super) spoken_of: Spoken,
}

/// The ids of servers that were asked for. Compiling rules has only shared access to the names.
#[derive(Default)]
pub(super) struct Spoken(Cell<Vec<u32>>);

impl Spoken {
    /// Notes a server.
    pub(super) fn note(&self, server: u32) {
        let mut all = self.0.take();
        if !all.contains(&server) {
            all.push(server);
        }
        self.0.set(all);
    }

    /// All that were noted.
    pub(super) fn take(&self) -> Vec<u32> {
        self.0.take()
    }
}

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spoken")
    }
}

/// A frontend and a backend may share a name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProxyIds {
    pub(super) frontend: Option<u32>,
    pub(super) backend: Option<u32>,
}

/// One line and what the first pass knows of it.
#[derive(Debug)]
struct Entry {
    line: Line,
    opening: Opening,
    /// How many of the survey's diagnostics were found before this line was through.
    reported: usize,
}

#[derive(Debug)]
struct SurveyedFile {
    id: FileId,
    entries: Vec<Entry>,
    /// How many of the survey's diagnostics were found up to the end of the file.
    reported: usize,
}

/// The first pass.
#[derive(Debug)]
struct Survey {
    files: Vec<SurveyedFile>,
    found: Diagnostics,
    variables: Variables,
    names: Names,
    /// The command line named the local peer: a line that does is told to be ignored.
    local_peer_is_set: bool,
}

impl Survey {
    fn take(sources: &[Source], host: &dyn Host, options: &LoadOptions) -> Self {
        let mut survey = Self {
            files: Vec::new(),
            found: Diagnostics::default(),
            variables: Variables::new(host.environment()),
            names: Names::default(),
            local_peer_is_set: false,
        };
        survey.local_peer_is_set = options.local_peer.is_some();
        let local_peer = options.local_peer.clone();
        let local_peer = local_peer.unwrap_or_else(|| host.hostname());
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        survey
            .variables
            .set(b"HAPROXY_CFGFILES", names.join(";").as_bytes());
        survey
            .variables
            .set(b"HAPROXY_LOCALPEER", local_peer.as_bytes());
        let mut servers: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut proxies = 0;
        for source in sources {
            survey.take_file(source, &mut proxies, &mut servers);
        }
        // Servers are numbered proxy by proxy, in the order of their lines (a stable sort).
        servers.sort_by_key(|(proxy, _)| *proxy);
        for (id, key) in servers.into_iter().enumerate() {
            let id = u32::try_from(id).unwrap_or(u32::MAX);
            survey.names.servers.entry(key).or_insert(id);
        }
        survey
    }

    fn take_file(&mut self, source: &Source, proxies: &mut u32, servers: &mut Vec<(u32, Vec<u8>)>) {
        let id = self.found.add_file(&source.name);
        let mut reader = Reader::new(id, &source.bytes);
        let mut section = None;
        let mut entries = Vec::new();
        while let Some(line) = reader.next_line(&self.variables, &mut self.found) {
            let opening = keywords::opening(&line, &mut self.found);
            match opening {
                Opening::Section(opened) => {
                    section = Some(opened);
                    if is_proxy(opened) {
                        self.note_proxy(opened, line.bytes(1), *proxies);
                        *proxies = proxies.saturating_add(1);
                    }
                }
                Opening::Skipped => section = None,
                Opening::None => match section {
                    Some(Section::Global) => {
                        super::global::change_environment(
                            &line,
                            self.local_peer_is_set,
                            &mut self.variables,
                            &mut self.found,
                        );
                    }
                    Some(Section::Backend | Section::Listen) if line.bytes(0) == b"server" => {
                        servers.push((proxies.saturating_sub(1), line.bytes(1).to_vec()));
                    }
                    _ => {}
                },
            }
            entries.push(Entry {
                line,
                opening,
                reported: self.found.list().len(),
            });
        }
        self.files.push(SurveyedFile {
            id,
            entries,
            reported: self.found.list().len(),
        });
    }

    fn note_proxy(&mut self, section: Section, name: &[u8], id: u32) {
        let ids = self.names.proxies.entry(name.to_vec()).or_default();
        if section != Section::Backend {
            ids.frontend.get_or_insert(id);
        }
        if section != Section::Frontend {
            ids.backend.get_or_insert(id);
        }
    }
}

fn is_proxy(section: Section) -> bool {
    matches!(
        section,
        Section::Frontend | Section::Backend | Section::Listen
    )
}

/// The section that lines belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Current {
    /// None yet.
    Nowhere,
    /// One that oneloop lacks; reported when it was opened.
    Skipped,
    Global,
    /// Index into the defaults.
    Defaults(usize),
    /// Index into the proxies.
    Proxy(usize),
}

/// The second pass: where handlers find what was said so far and leave what their line says.
pub(super) struct Parser<'a> {
    pub(super) found: Diagnostics,
    pub(super) host: &'a dyn Host,
    pub(super) variables: &'a Variables,
    pub(super) names: &'a Names,
    pub(super) global: GlobalDraft,
    pub(super) defaults: Vec<Defaults>,
    pub(super) proxies: Vec<ProxyDraft>,
    pub(super) acls: Vec<Acl>,
    /// Those of `defaults` sections, compiled only for their mistakes.
    pub(super) defaults_acls: Vec<Acl>,
    /// The errorfiles read so far, by path: a `defaults` section names seven, often repeated.
    pub(super) error_files: BTreeMap<String, Arc<crate::http::reply::Reply>>,
    /// The files of patterns and maps read so far.
    pub(super) rule_files: crate::rules::file::Files,
    /// How many addresses the lines so far listen at.
    pub(super) listeners: usize,
    /// No line was refused: the whole can be judged. Set at the end.
    pub(super) lines_are_good: bool,
    built_in: Settings,
    /// Proxies by name, to find the first that has one.
    by_name: HashMap<String, Vec<usize>>,
    /// The first and the last `defaults` section of a name.
    defaults_by_name: HashMap<String, (usize, usize)>,
    /// Which proxy has an `id`.
    pub(super) proxy_ids: HashMap<u32, usize>,
    current: Current,
    files: Vec<Arc<str>>,
    replayed: usize,
}

impl<'a> Parser<'a> {
    fn new(host: &'a dyn Host, options: &LoadOptions, survey: &'a Survey) -> Self {
        Self {
            found: Diagnostics::default(),
            host,
            variables: &survey.variables,
            names: &survey.names,
            global: GlobalDraft::default(),
            defaults: Vec::new(),
            proxies: Vec::new(),
            acls: Vec::new(),
            defaults_acls: Vec::new(),
            error_files: BTreeMap::new(),
            rule_files: crate::rules::file::Files::default(),
            built_in: Settings::built_in(options.proxy_maxconn),
            listeners: 0,
            lines_are_good: false,
            by_name: HashMap::new(),
            defaults_by_name: HashMap::new(),
            proxy_ids: HashMap::new(),
            current: Current::Nowhere,
            files: Vec::new(),
            replayed: 0,
        }
    }

    /// The name of a file, shared by all places in it.
    pub(super) fn file_name(&self, file: FileId) -> Arc<str> {
        let known = self.files.get(usize::from(file.0)).cloned();
        known.unwrap_or_else(|| Arc::from(""))
    }

    fn read_file(&mut self, file: &SurveyedFile, survey: &Survey) {
        let name = survey.found.file_name(file.id);
        self.found.add_file(name);
        self.files.push(Arc::from(name));
        self.current = Current::Nowhere;
        let alerts_before = self.found.alerts();
        for entry in &file.entries {
            self.replay(survey, entry.reported);
            self.read_line(entry);
        }
        self.replay(survey, file.reported);
        self.found.close_file(file.id, alerts_before);
    }

    /// Repeats what the survey found up to here.
    fn replay(&mut self, survey: &Survey, upto: usize) {
        let news = survey.found.list().get(self.replayed..upto).unwrap_or(&[]);
        for one in news {
            let told = self.found.push(
                one.severity,
                one.lead,
                one.place.clone(),
                one.message.clone(),
            );
            told.notes.clone_from(&one.notes);
            told.aborts = one.aborts;
        }
        self.replayed = upto;
    }

    fn read_line(&mut self, entry: &Entry) {
        let line = &entry.line;
        match entry.opening {
            Opening::Section(section) => self.open(section, line),
            Opening::Skipped => self.current = Current::Skipped,
            Opening::None => match self.current {
                Current::Skipped => {}
                Current::Nowhere => keywords::out_of_section(line, &mut self.found),
                Current::Global | Current::Defaults(_) | Current::Proxy(_) => {
                    let (section, name) = self.scope();
                    let scope = Scope {
                        section,
                        proxy: &name,
                    };
                    let admitted = keywords::admit(scope, line, &mut self.found);
                    match admitted {
                        Some(admitted) if section == Section::Global => self.global_line(&admitted),
                        Some(admitted) => self.proxy_line(&admitted),
                        None => self.note_unused_target(line),
                    }
                }
            },
        }
    }

    /// Keeps the targets that a proxy names in vain, for their checks: that the line was ignored
    /// has been told.
    fn note_unused_target(&mut self, line: &Line) {
        if self.scope().0 == Section::Frontend {
            match line.bytes(0) {
                b"use-server" => self.use_server_line(line),
                b"dispatch" => self.dispatch_line(line),
                _ => {}
            }
            return;
        }
        let target = line.word(1).into_owned();
        let place = line.at(1);
        let is_name = !target.is_empty() && !target.contains('%');
        let Some(proxy) = self.proxy() else { return };
        if !is_name || proxy.section != Section::Backend {
            return;
        }
        match line.bytes(0) {
            b"default_backend" => proxy.unused_default = Some((target, place)),
            b"use_backend" => proxy.unused_switches.push((target, place)),
            _ => {}
        }
    }

    fn open(&mut self, section: Section, line: &Line) {
        match section {
            Section::Global => {
                self.only(line, 0);
                self.current = Current::Global;
            }
            Section::Defaults => self.open_defaults(line),
            Section::Frontend | Section::Backend | Section::Listen => {
                self.open_proxy(section, line);
            }
        }
    }

    /// `defaults [NAME] [from NAME]`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn open_defaults(&mut self, line: &Line) {
        let named = !matches!(line.bytes(1), b"" | b"from");
        let name = if named {
            line.word(1).into_owned()
        } else {
            String::new()
        };
        let from_at = if named { 2 } else { 1 };
        let mut settings = self.built_in.clone();
        if let Some(bad) = bad_character(name.as_bytes()) {
            let message =
                format!("character '{bad}' is not permitted in 'defaults' name '{name}'.");
            self.refuse(line, 1, message);
        }
        if line.bytes(from_at) == b"from" {
            let base = self.find_defaults(line, from_at + 1, "defaults", &name);
            if let Some(base) = base.and_then(|at| self.defaults.get(at)) {
                settings = base.settings.clone();
                settings.checks.inherited();
            }
            self.only_as(line, from_at + 1, "defaults");
        } else {
            self.only_as(line, from_at - 1, "defaults");
        }
        let at = self.defaults.len();
        self.defaults_by_name
            .entry(name.clone())
            .and_modify(|(_, last)| *last = at)
            .or_insert((at, at));
        self.defaults.push(Defaults {
            name,
            place: self.place_of(line),
            settings,
            acls: AclNames::new(),
            rules: Vec::new(),
            has_connection_rules: false,
            rules_serve: None,
            finals: Finals::default(),
        });
        self.current = Current::Defaults(at);
    }

    /// The defaults section named by word `index`, for a section called `name`.
    fn find_defaults(
        &mut self,
        line: &Line,
        index: usize,
        kind: &str,
        name: &str,
    ) -> Option<usize> {
        let wanted = line.word(index);
        let of_name = self.defaults_by_name.get(&*wanted);
        let Some(&(first, at)) = of_name.filter(|_| !wanted.is_empty()) else {
            let message = format!("defaults section '{wanted}' not found for {kind} '{name}'.");
            let names = self.defaults.iter().map(|one| one.name.as_str());
            let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
            self.found
                .alert(line.at(index), message)
                .suggest(&wanted, names)
                .abort();
            return None;
        };
        if first != at
            && let (Some(one), Some(other)) = (self.defaults.get(first), self.defaults.get(at))
        {
            let message = format!(
                "ambiguous defaults section name '{wanted}' referenced by {kind} '{name}' exists at least at {}:{} and {}:{}.",
                one.place.file, one.place.line, other.place.file, other.place.line
            );
            self.found.alert(line.at(index), message);
        }
        Some(at)
    }

    /// `frontend NAME`, `backend NAME`, `listen NAME`, each with `from NAME`.
    #[expect(clippy::arithmetic_side_effects, reason = "counts the words of a line")]
    fn open_proxy(&mut self, section: Section, line: &Line) {
        let name = line.word(1).into_owned();
        if name.is_empty() {
            let message = format!("'{}' expects an <id> argument", section.name());
            self.found.alert(line.at(1), message).abort();
        } else if let Some(bad) = bad_character(line.bytes(1)) {
            let message = format!(
                "character '{bad}' is not permitted in '{}' name '{name}'.",
                section.name()
            );
            self.refuse(line, 1, message);
        } else {
            self.check_name_is_free(section, line, &name);
        }
        let base = match line.bytes(2) {
            b"" => self.defaults.len().checked_sub(1),
            b"from" if line.words.len() == 4 && !line.bytes(3).is_empty() => {
                let kind = kind_of(section);
                self.find_defaults(line, 3, kind, &name)
            }
            _ if section == Section::Backend => {
                self.only(line, 1);
                None
            }
            _ => {
                let message = "please use the 'bind' keyword for listening addresses.";
                self.refuse(line, 2, message);
                None
            }
        };
        let settings = base.and_then(|at| self.defaults.get(at));
        let mut settings =
            settings.map_or_else(|| self.built_in.clone(), |one| one.settings.clone());
        settings.checks.inherited();
        let namesakes = self.by_name.entry(name.clone()).or_default();
        namesakes.push(self.proxies.len());
        self.proxies.push(ProxyDraft {
            section,
            name,
            at: line.at(1),
            place: self.place_of(line),
            number: None,
            description: None,
            timeouts_inherited: settings.timeouts,
            session_rate_inherited: settings.session_rate,
            settings,
            state_file: None,
            listeners: Vec::new(),
            servers: Vec::new(),
            acls: AclNames::new(),
            connection: Vec::new(),
            content: Vec::new(),
            request: Vec::new(),
            finals: Finals::default(),
            redirects: Vec::new(),
            response: Vec::new(),
            persist_rules: Vec::new(),
            capture: None,
            server_choices: Vec::new(),
            dispatch: None,
            switches: Vec::new(),
            has_own_stats: false,
            stats_rules: Vec::new(),
            stats_admins: Vec::new(),
            unused_default: None,
            unused_switches: Vec::new(),
            listener_ids: HashMap::new(),
            server_ids: HashMap::new(),
            layer_six: super::draft::LayerSix::default(),
            bind_lines: 0,
        });
        self.current = Current::Proxy(self.proxies.len() - 1);
        if let Some(base) = base
            && self.may_inherit_rules(base, section, line)
        {
            self.inherit_rules(base);
        }
    }

    /// Whether a proxy of that name may be declared here; reported.
    fn check_name_is_free(&mut self, section: Section, line: &Line, name: &str) {
        let namesakes = self.by_name.get(name);
        let mut namesakes = namesakes
            .into_iter()
            .flatten()
            .filter_map(|at| self.proxies.get(*at));
        // As HAProxy looks names up: frontends and `listen` among what accepts, backends among what
        // has servers; so a `listen` may follow a backend of its name, but not the reverse.
        let clash = namesakes.find(|other| match section {
            Section::Backend => other.is_backend(),
            _ => other.is_frontend(),
        });
        if let Some(other) = clash {
            let message = format!(
                "{} '{name}' has the same name as {} '{name}' declared at {}:{}.",
                kind_of(section),
                other.kind(),
                other.place.file,
                other.place.line
            );
            self.found
                .alert(line.at(1), message)
                .lead(Lead::ParsingCapital);
        }
    }

    /// The settings of the section at hand. Outside of a `defaults` or proxy section, which no
    /// handler of such lines is called from, the built-in ones of no section.
    pub(super) fn settings(&mut self) -> &mut Settings {
        match self.current {
            Current::Defaults(at) => self.defaults.get_mut(at).map(|one| &mut one.settings),
            Current::Proxy(at) => self.proxies.get_mut(at).map(|one| &mut one.settings),
            _ => None,
        }
        .unwrap_or(&mut self.built_in)
    }

    /// The proxy at hand, `None` in `defaults`.
    pub(super) fn proxy(&mut self) -> Option<&mut ProxyDraft> {
        match self.current {
            Current::Proxy(at) => self.proxies.get_mut(at),
            _ => None,
        }
    }

    /// The id of the proxy at hand.
    pub(super) fn proxy_id(&self) -> Option<usize> {
        match self.current {
            Current::Proxy(at) => Some(at),
            _ => None,
        }
    }

    /// The `defaults` section at hand.
    pub(super) fn defaults_id(&self) -> Option<usize> {
        match self.current {
            Current::Defaults(at) => Some(at),
            _ => None,
        }
    }

    /// The section at hand and its name, as the gate of keywords wants them.
    pub(super) fn scope(&self) -> (Section, String) {
        match self.current {
            Current::Defaults(at) => {
                let name = self.defaults.get(at).map(|one| one.name.clone());
                (Section::Defaults, name.unwrap_or_default())
            }
            Current::Proxy(at) => match self.proxies.get(at) {
                Some(proxy) => (proxy.section, proxy.name.clone()),
                None => (Section::Listen, String::new()),
            },
            _ => (Section::Global, String::new()),
        }
    }

    /// A keyword that the table admits and no handler takes: never accepted in silence.
    pub(super) fn unhandled(&mut self, admitted: &Admitted) {
        let name = admitted.keyword.name;
        let (section, _) = self.scope();
        let message = format!(
            "'{name}' in '{}' section is not implemented by oneloop.",
            section.name()
        );
        self.refuse(&admitted.line, 0, message);
    }
}

/// What messages call a section's proxy.
fn kind_of(section: Section) -> &'static str {
    match section {
        Section::Listen => "proxy",
        other => other.name(),
    }
}

impl Parser<'_> {
    /// The place of a line of which only the diagnostic's place is at hand.
    pub(super) fn model_place(&self, place: &super::diag::Place) -> Place {
        Place {
            file: self.file_name(place.file),
            line: place.line,
        }
    }
}

impl Loaded {
    /// Whether anything would listen: without, the process ends with exit code 2.
    #[must_use]
    pub fn listens(&self) -> bool {
        let Some(config) = &self.config else {
            return false;
        };
        let mut proxies = config.proxies.iter();
        !config.global.stats_sockets.is_empty()
            || proxies.any(|proxy| !proxy.disabled && !proxy.listeners.is_empty())
    }
}
