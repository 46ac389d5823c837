//! What can be asked of an element while it runs: that it fails in a certain way, that a telephone is answered, that
//! the WAN is lost.

use std::fmt;
use std::str::FromStr;

use crate::net::Network;

/// How an element takes what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As its configuration says.
    #[default]
    Normal,
    /// It hears and says nothing.
    Silent,
    /// An INVITE gets 100 Trying and nothing more.
    Only100,
    /// An INVITE gets 486.
    Busy,
    /// A request that begins something (INVITE, OPTIONS, REGISTER) gets this response, 400 to 699.
    Error(u16),
    /// As if it were switched off: nothing is heard, connections are closed.
    Down,
    /// A telephone rings and nobody comes.
    Ring,
}

/// What is asked of an element, or of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To behave so from now on.
    Behave(Behaviour),
    /// A telephone: to pick up what rings now.
    Answer,
    /// A CIC user: to be in this status.
    Status(String),
    /// A CIC user: to be logged on to the station, or not.
    LoggedOn(bool),
    /// The network: to lose what crosses into or out of this one.
    WanCut(Network),
    /// The network: to lose nothing more.
    WanRestored,
}

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such word.
    #[error(
        "`{0}` is no behaviour; use normal, silent, only-100, busy, error:CODE, down, answer, ring, status:NAME, \
         logged-on, logged-off, wan-cut:NETWORK or wan-restored"
    )]
    Unknown(String),
    /// `error:` with something else than a failure.
    #[error("`{0}` is no response that refuses; use error:400 to error:699")]
    Code(String),
    /// `wan-cut:` with something else than a network.
    #[error(transparent)]
    Network(#[from] crate::net::NetworkError),
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        let (word, argument) =
            text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest.trim())));
        Ok(match (word, argument) {
            ("normal", None) => Self::Behave(Behaviour::Normal),
            ("silent", None) => Self::Behave(Behaviour::Silent),
            ("only-100", None) => Self::Behave(Behaviour::Only100),
            ("busy", None) => Self::Behave(Behaviour::Busy),
            ("down", None) => Self::Behave(Behaviour::Down),
            ("ring", None) => Self::Behave(Behaviour::Ring),
            ("answer", None) => Self::Answer,
            ("logged-on", None) => Self::LoggedOn(true),
            ("logged-off", None) => Self::LoggedOn(false),
            ("wan-restored", None) => Self::WanRestored,
            ("error", Some(code)) => {
                let wrong = || CommandError::Code(shown(text));
                let code: u16 = code.parse().map_err(|_| wrong())?;
                Self::Behave(Behaviour::Error((400..700).contains(&code).then_some(code).ok_or_else(wrong)?))
            }
            ("status", Some(name)) if !name.is_empty() => Self::Status(name.to_owned()),
            ("wan-cut", Some(network)) => Self::WanCut(network.parse()?),
            _ => return Err(CommandError::Unknown(shown(text))),
        })
    }
}

/// Short enough for an error.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Silent => f.write_str("silent"),
            Self::Only100 => f.write_str("only-100"),
            Self::Busy => f.write_str("busy"),
            Self::Error(code) => write!(f, "error:{code}"),
            Self::Down => f.write_str("down"),
            Self::Ring => f.write_str("ring"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let check = |text: &str, expected: Option<Command>| assert_eq!(text.parse().ok(), expected, "{text}");
        check("normal", Some(Command::Behave(Behaviour::Normal)));
        check("error:503", Some(Command::Behave(Behaviour::Error(503))));
        check("error:200", None);
        check("error", None);
        check("status: At Lunch", Some(Command::Status("At Lunch".to_owned())));
        check("logged-off", Some(Command::LoggedOn(false)));
        check("wan-cut:127.1.0.0/16", Some(Command::WanCut("127.1.0.0/16".parse().unwrap())));
        check("wan-cut:here", None);
        check("explode", None);
    }
}
