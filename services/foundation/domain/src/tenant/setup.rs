//! What the administrators of Lync, CIC and the gateway must set for a tenant, in their own tools' terms.
//!
//! Tandem decides the next hop from where it stands; the other systems follow their own configuration, which it can
//! neither read nor set. Each item says whether the vendors' documents ask for it, or whether it follows from them.

mod cic;
mod gateway;
mod lync;

use std::fmt;

use crate::document::terms::{InboundOption, TrunkRole};

use super::config::{Config, Trunk};

/// What must be set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setup {
    /// The tenant, in words.
    pub title: String,
    /// By administrator.
    pub parts: Vec<Part>,
}

/// What one administrator must set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Who, and with which tool.
    pub who: &'static str,
    /// In the order in which it is done.
    pub items: Vec<Item>,
}

/// One thing to set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What.
    pub title: String,
    /// Why, or what happens without it.
    pub why: String,
    /// Where that is from.
    pub basis: Basis,
    /// The section of the domain rules.
    pub section: &'static str,
    /// Commands or settings, line by line.
    pub lines: Vec<String>,
}

/// Where a setting is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Basis {
    /// The vendors' documents say so.
    Documented,
    /// It follows from them, by reasoning that the domain rules give.
    Inferred,
}

impl Basis {
    /// As people read it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Inferred => "inferred",
        }
    }
}

/// What stands for the peer that is Tandem's edge.
const EDGE: &str = "<edge>";
/// Where it is reached.
const EDGE_AT: &str = "Tandem's edge: its listener's address";

/// Says what must be set for a tenant. `edge_in_path`: as [`topology()`](super::topology()) has it.
#[must_use]
pub fn setup(config: &Config, edge_in_path: bool) -> Setup {
    let edge = edge_in_path && config.inbound != InboundOption::ProxyFirst;
    let shown = config.display_name.as_deref().map_or_else(String::new, |n| format!(" {n}"));
    let parts = vec![
        Part {
            who: "Lync or Skype for Business (Management Shell, Topology Builder)",
            items: lync::items(config, edge),
        },
        Part { who: "CIC (Interaction Administrator)", items: cic::items(config, edge) },
        Part { who: "PSTN gateway or session border controller", items: gateway::items(config, edge) },
    ];
    let by = if edge { ", by way of Tandem's edge" } else { "" };
    Setup { title: format!("{}{shown}: {}, {}{by}", config.name, config.model, config.inbound), parts }
}

fn item(title: impl Into<String>, why: impl Into<String>, basis: Basis, section: &'static str) -> Item {
    Item { title: title.into(), why: why.into(), basis, section, lines: Vec::new() }
}

impl Item {
    fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    fn lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }
}

/// The first trunk of a role. A config has one of `Gateway`, `Cic` and `Lync` at least.
fn first(config: &Config, role: TrunkRole) -> Option<&Trunk> {
    config.trunks_of(role).next().map(|ix| config.trunk(ix))
}

/// `host:port` of every address of a role's trunks, in the order in which they are tried.
fn addresses(config: &Config, role: TrunkRole) -> Vec<String> {
    let trunks = config.trunks_of(role).map(|ix| config.trunk(ix));
    trunks.flat_map(|t| t.addresses.iter().map(|a| format!("{}:{}", a.host, a.port))).collect()
}

/// A text as a PowerShell literal: single quotes, in which nothing is expanded.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The tenant's global ranges as a .NET regular expression, as voice routes take it; none: no global range.
fn ranges_pattern(config: &Config) -> Option<String> {
    let ranges: Vec<String> =
        config.ranges.iter().filter(|r| r.prefix.global).map(|r| r.prefix.digits.to_string()).collect();
    match ranges.as_slice() {
        [] => None,
        [one] => Some(format!("^\\+{one}\\d*$")),
        many => Some(format!("^\\+({})\\d*$", many.join("|"))),
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "Each item says where it is from: documented by the vendors, or inferred from that; a line may be\nmarked alone."
        )?;
        for part in &self.parts {
            writeln!(f, "\n== {} ==", part.who)?;
            for (at, item) in part.items.iter().enumerate() {
                let Item { title, why, basis, section, lines } = item;
                let (heading, basis) =
                    (format!("{}. {title}", at + 1), format!("[{}; domain rules {section}]", basis.word()));
                let fits = heading.chars().count() + 2 + basis.chars().count() <= WIDTH;
                writeln!(f, "\n{heading}{}{basis}", if fits { "  " } else { "\n   " })?;
                wrapped(f, why)?;
                for line in lines {
                    write_line(f, line)?;
                }
            }
        }
        Ok(())
    }
}

/// Characters of a line.
const WIDTH: usize = 100;

/// Writes what is set, over lines where it is long: words at a space, a command of PowerShell before a parameter, with
/// the mark by which it goes on there.
fn write_line(f: &mut fmt::Formatter<'_>, line: &str) -> fmt::Result {
    let is_command = line.split(' ').next().is_some_and(|word| word.contains("-Cs"));
    let (mut rest, mut indent) = (line, 5);
    loop {
        let room = WIDTH - indent - if is_command { 2 } else { 0 };
        let ends = rest.char_indices().nth(room + 1).map_or(rest.len(), |(at, _)| at);
        let (within, at) = (rest.get(..ends).unwrap_or(rest), if is_command { " -" } else { " " });
        let cut = within.rfind(at).filter(|at| *at > 0 && indent + rest.chars().count() > WIDTH);
        let Some((head, tail)) = cut.and_then(|at| rest.split_at_checked(at)) else {
            return writeln!(f, "{:indent$}{rest}", "");
        };
        writeln!(f, "{:indent$}{}{}", "", head.trim_end(), if is_command { " `" } else { "" })?;
        (rest, indent) = (tail.trim_start(), 7);
    }
}

/// Writes words over lines.
fn wrapped(f: &mut fmt::Formatter<'_>, words: &str) -> fmt::Result {
    let mut line = String::from("  ");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{line}")?;
            line = String::from("  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(f, "{line}")
}
