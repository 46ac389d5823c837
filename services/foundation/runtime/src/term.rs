//! What the other end of an output can show: a person's terminal, or a pipe.
//!
//! Colour follows the flag first, then `NO_COLOR` (no-color.org: any value but the empty one), then whether the
//! output is a terminal that knows colour (`TERM` is not `dumb`).

use std::ffi::OsStr;
use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// Colour on a terminal, none elsewhere.
    #[default]
    Auto,
    /// Colour even into a pipe.
    Always,
    /// No colour.
    Never,
}

impl FromStr for ColorChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            other => Err(format!("`{other}` is no colour choice; say auto, always or never")),
        }
    }
}

impl fmt::Display for ColorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// Width when nothing says otherwise: what a terminal has been since the VT100.
pub const WIDTH_DEFAULT: usize = 80;

/// What is known of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// A person looks at it.
    pub interactive: bool,
    /// Escape sequences for colour may be written.
    pub color: bool,
    /// Columns, at least 20.
    pub width: usize,
}

impl Terminal {
    /// Looks at standard output.
    pub fn stdout(choice: ColorChoice) -> Self {
        let interactive = std::io::stdout().is_terminal();
        Self::new(choice, interactive, columns(interactive, std::io::stdout()), |name| std::env::var_os(name))
    }

    /// Looks at standard error.
    pub fn stderr(choice: ColorChoice) -> Self {
        let interactive = std::io::stderr().is_terminal();
        Self::new(choice, interactive, columns(interactive, std::io::stderr()), |name| std::env::var_os(name))
    }

    /// An output that is no terminal and shows no colour: a file, a test.
    pub fn plain() -> Self {
        Self { interactive: false, color: false, width: WIDTH_DEFAULT }
    }

    fn new<V: AsRef<OsStr>>(
        choice: ColorChoice,
        interactive: bool,
        columns: Option<usize>,
        var: impl Fn(&str) -> Option<V>,
    ) -> Self {
        let set = |name: &str| var(name).is_some_and(|value| !value.as_ref().is_empty());
        let dumb = var("TERM").is_some_and(|value| value.as_ref() == "dumb");
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => interactive && !dumb && !set("NO_COLOR"),
        };
        let told = var("COLUMNS").and_then(|value| value.as_ref().to_str()?.parse().ok());
        let width = columns.or(told).unwrap_or(WIDTH_DEFAULT).clamp(20, 500);
        Self { interactive, color, width }
    }
}

/// The terminal's own idea of its width.
fn columns(interactive: bool, fd: impl std::os::fd::AsFd) -> Option<usize> {
    if !interactive {
        return None;
    }
    let (width, _) = terminal_size::terminal_size_of(fd)?;
    Some(usize::from(width.0)).filter(|&columns| columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(choice: ColorChoice, interactive: bool, env: &[(&str, &str)], color: bool) {
        let var = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        assert_eq!(
            Terminal::new(choice, interactive, None, var).color,
            color,
            "{choice} {interactive} {env:?}"
        );
    }

    #[test]
    fn colour_follows_flag_then_no_color_then_terminal() {
        use ColorChoice::{Always, Auto, Never};
        check(Auto, true, &[], true);
        check(Auto, false, &[], false);
        check(Auto, true, &[("NO_COLOR", "1")], false);
        check(Auto, true, &[("NO_COLOR", "")], true);
        check(Auto, true, &[("TERM", "dumb")], false);
        check(Always, false, &[("NO_COLOR", "1")], true);
        check(Never, true, &[], false);
    }

    #[test]
    fn width_is_the_terminals_then_columns_then_eighty() {
        let width = |columns, env: Option<&'static str>| {
            Terminal::new(ColorChoice::Auto, true, columns, |name| env.filter(|_| name == "COLUMNS")).width
        };
        assert_eq!(width(Some(132), Some("100")), 132);
        assert_eq!(width(None, Some("100")), 100);
        assert_eq!(width(None, Some("wide")), 80);
        assert_eq!(width(None, None), 80);
        assert_eq!(width(Some(3), None), 20);
    }

    #[test]
    fn a_wrong_colour_choice_names_the_right_ones() {
        assert_eq!(
            "red".parse::<ColorChoice>(),
            Err("`red` is no colour choice; say auto, always or never".into())
        );
        assert_eq!("never".parse(), Ok(ColorChoice::Never));
    }
}
