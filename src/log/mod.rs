//! What a finished request looks like to the log, and how a log message is framed.

pub mod record;
pub mod syslog;
pub mod termination;
