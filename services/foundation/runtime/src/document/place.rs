//! Where things stand in a text: documents, and fields by their path.

use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{Finding, Limits, Severity};

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    /// From 1, in characters.
    pub(super) column: usize,
    /// In characters.
    pub(super) width: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { line: 1, column: 1, width: 1 }
    }
}

impl Place {
    fn of(span: &Span) -> Self {
        let one_line = span.start.line() == span.end.line();
        let width = if one_line { span.end.col().saturating_sub(span.start.col()) } else { 1 };
        Self { line: span.start.line(), column: span.start.col() + 1, width: width.max(1) }
    }

    /// The same place where the text begins `lines` further down.
    pub(super) fn down(self, lines: usize) -> Self {
        Self { line: self.line + lines, ..self }
    }
}

/// A text that is no YAML, or goes over a limit.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) finding: Finding,
}

impl Fault {
    fn new(place: Place, message: impl Into<String>, fix: &str) -> Self {
        let finding = Finding {
            severity: Severity::Error,
            path: String::new(),
            message: message.into(),
            fix: Some(fix.to_owned()),
        };
        Self { place, finding }
    }
}

/// One document of a text.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) bytes: Range<usize>,
    /// The line it begins on, from 1.
    pub(super) line: usize,
}

/// Divides a text into its documents, leaving those out that hold nothing.
pub(super) fn split(text: &str, limits: Limits) -> Result<Vec<Section>, Fault> {
    let mut sections: Vec<(Section, bool)> = Vec::new();
    let mut depth = 0_usize;
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| no_yaml(text, &error))?;
        match event {
            Event::DocumentStart(explicit, _) => {
                // What stands before the first `---` can only be comments and directives: they belong to it.
                let first = sections.is_empty() || !explicit;
                let start = if first { (0, 1) } else { (offset(text, &span), span.start.line()) };
                if let Some((last, _)) = sections.last_mut() {
                    last.bytes.end = start.0;
                }
                if sections.len() == limits.documents {
                    let message = format!("more than {} documents in one file", limits.documents);
                    return Err(Fault::new(Place::of(&span), message, "divide it into several files"));
                }
                sections.push((Section { bytes: start.0..text.len(), line: start.1 }, false));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                depth += 1;
                if depth > limits.depth {
                    let message = format!("nested more than {} deep", limits.depth);
                    return Err(Fault::new(
                        Place::of(&span),
                        message,
                        "nothing here is nested so deep; flatten it",
                    ));
                }
                mark_full(&mut sections);
            }
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            Event::Scalar(value, style, ..) if !(style == ScalarStyle::Plain && is_null(&value)) => {
                mark_full(&mut sections);
            }
            _ => {}
        }
    }
    Ok(sections.into_iter().filter(|(_, full)| *full).map(|(section, _)| section).collect())
}

/// The parser writes `~` for what is not there.
fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null")
}

fn mark_full(sections: &mut [(Section, bool)]) {
    if let Some((_, full)) = sections.last_mut() {
        *full = true;
    }
}

/// The byte at which a span begins. The parser knows it for text; should it not, the line is counted.
fn offset(text: &str, span: &Span) -> usize {
    span.start.byte_offset().unwrap_or_else(|| {
        text.split_inclusive('\n').take(span.start.line().saturating_sub(1)).map(str::len).sum()
    })
}

/// Says what is wrong with a text that is no YAML, in the words of those who write it.
pub(super) fn no_yaml(text: &str, error: &ScanError) -> Fault {
    let place = Place { line: error.marker().line(), column: error.marker().col() + 1, width: 1 };
    let lines: Vec<&str> = text.lines().collect();
    // The parser often complains a line after the tab that misled it, or where the line before it began.
    for number in [place.line, place.line.saturating_sub(1), place.line + 1] {
        let line = number.checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(column) = indent.chars().position(|c| c == '\t') {
            let place = Place { line: number, column: column + 1, width: 1 };
            return Fault::new(
                place,
                "a tab indents this line",
                "YAML indents by spaces; put spaces in its place",
            );
        }
    }
    let fix = "check the indentation, colons, quotes and brackets here and in the line above";
    Fault::new(place, format!("not YAML: {}", error.info()), fix)
}

/// Which part of a field is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum On {
    /// Its name.
    Key,
    /// What it holds.
    Value,
}

/// Finds the places of fields, the nearest above for those that are not there.
pub(super) fn find(text: &str, wanted: &[(&str, On)]) -> Vec<Place> {
    // Each wanted path with all above it, so that the nearest can be found.
    let mut found: HashMap<String, (Option<Place>, Place)> = HashMap::new();
    let mut sought: std::collections::HashSet<String> = std::collections::HashSet::new();
    for (path, _) in wanted {
        sought.extend(upwards(path).map(str::to_owned));
    }
    walk(text, |path, key, value, _| {
        if sought.contains(path) {
            found.entry(path.to_owned()).or_insert((key, value));
        }
        true
    });
    let place = |(path, on): &(&str, On)| {
        for (up, near) in upwards(path).enumerate() {
            if let Some((key, value)) = found.get(near) {
                // A container begins at its first entry; for what is missing in it, its name says more.
                let exact = up == 0 && *on == On::Value;
                return if exact { *value } else { key.unwrap_or(*value) };
            }
        }
        Place::default()
    };
    wanted.iter().map(place).collect()
}

/// The text of the scalar at a path.
pub(super) fn scalar(text: &str, path: &str) -> Option<String> {
    let mut found = None;
    walk(text, |at, _, _, scalar| {
        if at == path {
            found = scalar.map(str::to_owned);
        }
        at != path
    });
    found
}

/// A path, then what is above it, up to the empty one.
fn upwards(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        if path.is_empty() {
            return None;
        }
        let quoted = path.ends_with("\"]").then(|| path.rfind("[\"")).flatten();
        let cut = quoted.or_else(|| path.rfind(['.', '['])).unwrap_or(0);
        Some(&path[..cut])
    })
}

/// Adds a key to a path: `.name`, or `["na.me"]` for one that is no plain word.
pub(super) fn push_key(path: &mut String, key: &str) {
    let plain =
        !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '/'));
    let _ = match (plain, path.is_empty()) {
        (true, true) => write!(path, "{key}"),
        (true, false) => write!(path, ".{key}"),
        (false, _) => write!(path, "[\"{key}\"]"),
    };
}

/// Adds an index to a path.
pub(super) fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "[{index}]");
}

enum Open {
    Sequence { next: usize, above: usize },
    Mapping { key: Option<(String, Place)>, above: usize },
}

/// Walks over all nodes of the first document: path, place of the key, place of the value, text of a scalar. Ends
/// at the first `false`, or where the text is no YAML. Keys that are no scalars have no path and are passed over.
fn walk(text: &str, mut visit: impl FnMut(&str, Option<Place>, Place, Option<&str>) -> bool) {
    let mut path = String::new();
    let mut open: Vec<Open> = Vec::new();
    // Depth within a key that is itself a collection.
    let mut strange = 0_usize;
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        let starts = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        match &event {
            Event::SequenceEnd | Event::MappingEnd if strange > 0 => strange -= 1,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open::Sequence { above, .. } | Open::Mapping { above, .. }) = open.pop() {
                    path.truncate(above);
                }
            }
            Event::DocumentEnd => return,
            _ if strange > 0 => strange += usize::from(starts),
            Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                let scalar = match &event {
                    Event::Scalar(value, ..) => Some(value.as_ref()),
                    _ => None,
                };
                if let Some(Open::Mapping { key: key @ None, .. }) = open.last_mut() {
                    *key = Some((scalar.unwrap_or("?").to_owned(), Place::of(&span)));
                    strange = usize::from(starts);
                    continue;
                }
                let above = path.len();
                let key = enter(&mut path, open.last_mut());
                if !visit(&path, key, Place::of(&span), scalar) {
                    return;
                }
                match event {
                    Event::SequenceStart(..) => open.push(Open::Sequence { next: 0, above }),
                    Event::MappingStart(..) => open.push(Open::Mapping { key: None, above }),
                    _ => path.truncate(above),
                }
            }
            _ => {}
        }
    }
}

/// Adds to the path what leads from the innermost open collection to its next value.
fn enter(path: &mut String, innermost: Option<&mut Open>) -> Option<Place> {
    match innermost {
        None => None,
        Some(Open::Sequence { next, .. }) => {
            push_index(path, *next);
            *next += 1;
            None
        }
        Some(Open::Mapping { key, .. }) => key.take().map(|(key, place)| {
            push_key(path, &key);
            place
        }),
    }
}
