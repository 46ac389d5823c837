//! The exit codes of the command `tandem`, documented and stable: scripts stand on them.
//!
//! 0 to 2 are what every command does; the others are those of BSD's `sysexits.h`, which mail and init systems
//! know.

use std::process::{ExitCode, Termination};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It ran, and the answer is no: a call went another way than planned, a file has violations.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The input (a YAML, a directory to import) was wrong.
    DataError = 65,
    /// Something that is needed (a service, the store, an address) could not be reached.
    Unavailable = 69,
    /// A fault in Tandem itself.
    Internal = 70,
    /// An output file, a data directory or a socket could not be made.
    CannotCreate = 73,
    /// Reading or writing failed half-way.
    Io = 74,
    /// It may work if tried again: a time-out, a restart in progress.
    Temporary = 75,
    /// The caller may not do this.
    Denied = 77,
    /// The configuration of the process was wrong.
    Config = 78,
}

impl Exit {
    /// Every code, in rising order; `--help` and the manual are written from it.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::DataError,
        Self::Unavailable,
        Self::Internal,
        Self::CannotCreate,
        Self::Io,
        Self::Temporary,
        Self::Denied,
        Self::Config,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the code means, in one line without a full stop.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failed => "ran, and the answer is no",
            Self::Usage => "the command line is wrong",
            Self::DataError => "the input is wrong",
            Self::Unavailable => "something needed cannot be reached",
            Self::Internal => "a fault in tandem itself",
            Self::CannotCreate => "a file, directory or socket cannot be made",
            Self::Io => "reading or writing failed",
            Self::Temporary => "may work if tried again",
            Self::Denied => "the caller may not do this",
            Self::Config => "the configuration is wrong",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_scripts_know() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 65, 69, 70, 73, 74, 75, 77, 78]);
    }

    #[test]
    fn every_code_has_its_own_meaning() {
        let meanings: std::collections::HashSet<_> = Exit::ALL.iter().map(|exit| exit.meaning()).collect();
        assert_eq!(meanings.len(), Exit::ALL.len());
    }
}
