//! The `oneloop` binary: command line, configuration, start, loop, exit code.

use std::fs::File;
use std::process::ExitCode;

use oneloop::admin::command::Commands;
use oneloop::cli::{self, CliError, Options, Task};
use oneloop::config::host::{FILE_BYTES_MAX, Host as _};
use oneloop::config::model::Config;
use oneloop::config::{LoadOptions, Loaded, Source, load};
use oneloop::config::{blocks, keywords, lexer::Variables};
use oneloop::engine::ceiling::Ceiling;
use oneloop::engine::service::Limits;
use oneloop::engine::{Engine, Exit, Subject, journal};
use oneloop::net::os::Os;
use oneloop::process::host::System;
use oneloop::process::master::{self, End, Master};
use oneloop::process::worker::Worker;
use oneloop::process::{daemon, limits, message, signal};

/// A configuration that is valid but would not listen anywhere.
const EXIT_NO_LISTENER: u8 = 2;

fn main() -> ExitCode {
    message::install();
    // Bytes that are no text become marks: no file has such a name, and none is opened by mistake.
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let options = match cli::parse(arguments) {
        Ok(options) => options,
        Err(error) => return refuse_command_line(&error),
    };
    if let Some(quiet) = options.quiet {
        message::set_quiet(quiet);
    }
    if options.debug {
        message::show_debug();
    }
    match &options.task {
        Task::Version => {
            print!("{}", cli::banner(&system_name()));
            ExitCode::SUCCESS
        }
        Task::BuildFacts => {
            print!("{}", cli::build_facts(&system_name()));
            ExitCode::SUCCESS
        }
        Task::Condition(condition) => evaluate(condition),
        Task::Check => with_configuration(&options, None),
        Task::Serve => match Master::resume(&master_words(&options)) {
            Some(Ok(master)) => follow(master, &options),
            Some(Err(why)) => {
                log::error!("The master process cannot go on : {}", words(&why));
                ExitCode::FAILURE
            }
            None => with_configuration(&options, None),
        },
    }
}

fn master_words(options: &Options) -> master::Words {
    master::Words {
        notify: options.notify,
        socket: options.master_socket.clone(),
    }
}

/// The rest of a master's life, and the beginning of each of its workers'.
fn follow(master: Master, options: &Options) -> ExitCode {
    match master.run() {
        End::Exit(code) => ExitCode::from(code),
        End::Worker(worker) => with_configuration(options, Some(worker)),
    }
}

/// The system as `uname -srvm` tells it.
fn system_name() -> String {
    let fact = |name: &str| {
        let path = format!("/proc/sys/kernel/{name}");
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let arch = std::env::consts::ARCH;
    format!(
        "{} {} {} {arch}",
        fact("ostype"),
        fact("osrelease"),
        fact("version")
    )
}

fn refuse_command_line(error: &CliError) -> ExitCode {
    match error {
        CliError::Usage(text) => {
            print!("{}", cli::banner(&system_name()));
            eprint!("{}", cli::usage());
            if let Some(text) = text {
                eprintln!("{text}");
            }
        }
        CliError::Alert(text) => log::error!("{text}"),
    }
    ExitCode::FAILURE
}

/// `-cc`: true is 0, false is 1, an error 2.
fn evaluate(condition: &str) -> ExitCode {
    let variables = Variables::new(System.environment());
    match blocks::evaluate(condition.as_bytes(), &variables) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            log::error!("{text}");
            ExitCode::from(2)
        }
    }
}

/// Reads the configuration and goes on with it; `worker` is what the process has of its master.
fn with_configuration(options: &Options, worker: Option<Worker>) -> ExitCode {
    let may_be_master = options.task == Task::Serve && worker.is_none();
    // A master goes back there, so that its workers find the same paths.
    let began_in = may_be_master.then(|| File::open(".").ok()).flatten();
    if let Some(directory) = &options.directory
        && let Err(error) = std::env::set_current_dir(directory)
    {
        log::error!(
            "Could not change to directory {directory} : {}",
            words(&error)
        );
        return ExitCode::FAILURE;
    }
    let Some(sources) = read_sources(&options.files) else {
        return ExitCode::FAILURE;
    };
    if sources.is_empty() {
        // Directories without a file: as if none had been named.
        return refuse_command_line(&CliError::Usage(None));
    }
    let loaded = load(
        &sources,
        &System,
        &LoadOptions {
            maxconn: options.maxconn,
            proxy_maxconn: options.proxy_maxconn,
            zero_warning: options.zero_warning,
            no_splice: options.no_splice,
            daemon: options.daemon,
            quiet: options.quiet.unwrap_or(false),
            pid_file: options.pidfile.clone(),
            local_peer: options.localpeer.clone(),
            ignore_resolution: options.ignore_resolution,
        },
    );
    let quiet = options.quiet.unwrap_or(loaded.quiet);
    message::set_quiet(quiet);
    let listens = loaded.listens();
    if may_be_master
        && listens
        && let Some(config) = &loaded.config
        && (options.master || config.global.master_worker)
    {
        // What there is to say the worker will say.
        let first = first_words(config, options);
        drop(loaded);
        return begin_master(first, options, began_in.as_ref());
    }
    // It would be a way out of a chroot.
    drop(began_in);
    message::print(&loaded.diagnostics, options.diagnostic);
    let Loaded {
        config,
        diagnostics,
        ..
    } = loaded;
    let Some(config) = config else {
        return ExitCode::FAILURE;
    };
    if options.list_keywords {
        print!("{}", keywords::list());
    }
    if options.task == Task::Check {
        if !quiet {
            say_verdict(diagnostics.warnings() > 0, listens);
            if options.quiet == Some(false) {
                say_ceiling(&config, options.memory_mb.unwrap_or_default());
            }
        }
        return if listens {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(EXIT_NO_LISTENER)
        };
    }
    if !listens {
        log::error!(
            "[haproxy.main()] No enabled listener found (check for 'bind' directives) ! Exiting."
        );
        return ExitCode::FAILURE;
    }
    if options.master_socket.is_some() && worker.is_none() {
        log::warn!("a master CLI socket was defined, but master-worker mode (-W) is not enabled.");
    }
    serve(&config, options, worker)
}

fn first_words(config: &Config, options: &Options) -> master::First {
    // A service manager watches the process that it started: with -Ws only -D leaves it.
    let daemon = options.daemon || (config.global.daemon && !options.notify);
    master::First {
        daemon: daemon && !options.foreground,
        pid_file: config.global.pid_file.clone(),
        followed: followed(options),
    }
}

/// Processes that this one follows, and what each is told.
fn followed(options: &Options) -> Vec<(u32, i32)> {
    let finish = options.finish.iter().map(|pid| (*pid, signal::FINISH));
    let terminate = options
        .terminate
        .iter()
        .map(|pid| (*pid, signal::TERMINATE));
    finish.chain(terminate).collect()
}

fn begin_master(first: master::First, options: &Options, began_in: Option<&File>) -> ExitCode {
    let words = master_words(options);
    match master::begin(&words, first, &System, began_in) {
        Ok(master) => follow(master, options),
        Err(code) => ExitCode::from(code),
    }
}

fn say_verdict(warned: bool, listens: bool) {
    if warned {
        println!("Warnings were found.");
    }
    if listens {
        println!("Configuration file is valid");
    } else {
        println!("Configuration file has no error but will not start (no listener) => exit(2).");
    }
}

/// `-c -V`: what the process can come to need.
fn say_ceiling(config: &Config, memory_mb: u32) {
    let connections = limits::connections(config, memory_mb);
    let ceiling = Ceiling::of(config, connections);
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    println!(
        "Memory at most: {} MB for {connections} connections (buffers {} MB, records {} MB, the \
         rest {} MB)",
        megabytes(ceiling.total()),
        megabytes(ceiling.buffers),
        megabytes(ceiling.records),
        megabytes(ceiling.rest),
    );
}

/// The files of `-f` in order; a directory stands for its `*.cfg` files in the order of their
/// names.
fn read_sources(files: &[String]) -> Option<Vec<Source>> {
    let mut sources = Vec::new();
    for name in files {
        let names = if System.is_directory(name) {
            match System.list_directory(name) {
                Ok(entries) => entries
                    .into_iter()
                    .filter(|entry| entry.ends_with(".cfg") && !entry.starts_with('.'))
                    .map(|entry| format!("{name}/{entry}"))
                    .collect(),
                Err(error) => {
                    log::error!(
                        "Cannot open configuration file/directory {name} : {}",
                        words(&error)
                    );
                    return None;
                }
            }
        } else {
            vec![name.clone()]
        };
        for name in names {
            match System.read_file(&name, FILE_BYTES_MAX) {
                Ok(bytes) => sources.push(Source { name, bytes }),
                Err(error) => {
                    log::error!(
                        "Cannot open configuration file/directory {name} : {}",
                        words(&error)
                    );
                    return None;
                }
            }
        }
    }
    Some(sources)
}

/// The system's words for an error, without Rust's number behind them.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn serve(config: &Config, options: &Options, worker: Option<Worker>) -> ExitCode {
    let followed = match worker {
        None => followed(options),
        Some(_) => Vec::new(),
    };
    let logs = journal::addresses(config);
    let start = daemon::Options {
        daemon: config.global.daemon && !options.foreground,
        memory_mb: options.memory_mb.unwrap_or(0),
        logs: &logs,
        listener_handle: |index| Subject::Listener(index).handle(),
        worker: worker.as_ref(),
        listeners_from: options.listeners_from.as_deref(),
        followed: &followed,
    };
    let started = match daemon::start(config, &start) {
        Ok(started) => started,
        Err(failure) => {
            say(&failure.notes);
            return ExitCode::from(u8::try_from(failure.status).unwrap_or(1));
        }
    };
    say(&started.notes);
    let mut net = started.net;
    let now = net.now();
    let startup_logs = message::startup();
    message::set_now(&now);
    let limits = Limits {
        pid: std::process::id(),
        started: (now.ms, now.wall_ms),
        maxconn: started.resources.maxconn,
        hard_maxconn: started.resources.maxconn,
        max_pipes: started.resources.max_pipes,
        maxsock: started.resources.maxsock,
        descriptors: started.resources.descriptors,
        memory_mb: options.memory_mb.unwrap_or(0),
        node: config
            .global
            .node
            .clone()
            .unwrap_or_else(|| System.hostname()),
        startup_logs,
    };
    started.ready.ready(&mut net);
    let mut engine = Engine::new(config, net, Commands::new(), limits, now);
    if let Some(byte) = options.poison {
        engine.fill_buffers(byte);
    }
    if let Some(worker) = worker {
        if let Some(document) = worker.document()
            && let Err(why) = engine.take_over(&document)
        {
            log::warn!("What the former worker knew is lost: {why}.");
        }
        worker.ready();
        message::copy_to(-1);
    }
    run(engine)
}

fn say(notes: &[daemon::Note]) {
    for (level, text) in notes {
        log::log!(*level, "{text}");
    }
}

fn run(mut engine: Engine<'_, Os, Commands>) -> ExitCode {
    loop {
        let exit = engine.turn();
        message::set_now(&engine.now());
        if exit.is_some() {
            engine.last_words();
        }
        match exit {
            None => {}
            Some(Exit::Done) => return ExitCode::SUCCESS,
            Some(Exit::Orphaned) => return ExitCode::FAILURE,
            Some(Exit::Signal(number)) => signal::end_by(number),
        }
    }
}
