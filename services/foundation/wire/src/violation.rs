//! What is wrong with a message: which field, why, and what would be right.
//!
//! A `Reader` walks a message and collects; one reply tells everything that is wrong, up to
//! [`VIOLATIONS_MAX`]. Nothing is allocated for a message that is right.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use tandem_domain::id::NameError;

use crate::limits::VIOLATIONS_MAX;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The proto field, from the message's root: `attempt.called`, `members[3]`.
    pub field: String,
    /// What is wrong, without the value where that may be long or secret.
    pub problem: Cow<'static, str>,
    /// What to do.
    pub fix: Cow<'static, str>,
}

impl Violation {
    /// A violation of the field `field`.
    pub fn new(
        field: impl Into<String>,
        problem: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), problem: problem.into(), fix: fix.into() }
    }

    /// The same seen from the message that holds it in its field `outer`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() { outer.into() } else { format!("{outer}.{}", self.field) };
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field, self.problem, self.fix)
    }
}

/// Everything that is wrong with one message: at least one, at most `VIOLATIONS_MAX`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.print())]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Each of them, in the order of the message's fields.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// The same seen from the message that holds it in its field `outer`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.0 = self.0.into_iter().map(|violation| violation.within(outer)).collect();
        self
    }

    fn print(&self) -> String {
        let mut text = String::new();
        for (at, violation) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { " | " };
            // Writing into a String cannot fail.
            let _ = write!(text, "{separator}{violation}");
        }
        text
    }
}

impl From<Violation> for Violations {
    fn from(one: Violation) -> Self {
        Self(vec![one])
    }
}

/// Part of the way from a message's root to one of its fields.
enum Step {
    Field(&'static str),
    Index(usize),
}

/// Reads a message's fields and collects what is wrong with them.
///
/// Each method answers with the value, or with what stands in for it after a violation was noted: the walk goes on,
/// and [`finish`](Self::finish) decides.
#[derive(Default)]
pub(crate) struct Reader {
    path: Vec<Step>,
    found: Vec<Violation>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Notes a violation. `field` empty: of where the walk stands.
    pub(crate) fn wrong(
        &mut self,
        field: &str,
        problem: impl Into<Cow<'static, str>>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        if self.found.len() >= VIOLATIONS_MAX {
            return;
        }
        let mut path = String::new();
        for step in &self.path {
            let _ = match step {
                Step::Field(name) if path.is_empty() => write!(path, "{name}"),
                Step::Field(name) => write!(path, ".{name}"),
                Step::Index(at) => write!(path, "[{at}]"),
            };
        }
        if !field.is_empty() {
            let dot = if path.is_empty() { "" } else { "." };
            let _ = write!(path, "{dot}{field}");
        }
        self.found.push(Violation::new(path, problem, fix));
    }

    /// Reads what is in the field `field`.
    pub(crate) fn inside<T>(&mut self, field: &'static str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Field(field));
        let value = read(self);
        self.path.pop();
        value
    }

    /// Reads the element `at` of the list where the walk stands.
    pub(crate) fn at<T>(&mut self, at: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(Step::Index(at));
        let value = read(self);
        self.path.pop();
        value
    }

    /// Looks at one line of text of at most `max` bytes.
    pub(crate) fn check_line(&mut self, field: &str, text: &str, max: usize) {
        if let Some((problem, fix)) = line_fault(text, max) {
            self.wrong(field, problem, fix);
        }
    }

    /// One line of text of at most `max` bytes; empty where there is none.
    pub(crate) fn line(&mut self, field: &str, text: String, max: usize) -> String {
        self.check_line(field, &text, max);
        text
    }

    /// One line of text; empty means none.
    pub(crate) fn some_line(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        Some(self.line(field, text, max)).filter(|text| !text.is_empty())
    }

    /// Takes what another reader read in the field `field`.
    pub(crate) fn nested<T>(&mut self, field: &'static str, read: Result<T, Violations>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(violations) => {
                self.inside(field, |reader| {
                    for violation in violations.0 {
                        reader.wrong(&violation.field, violation.problem, violation.fix);
                    }
                });
                None
            }
        }
    }

    /// One line of text that must be there.
    pub(crate) fn full_line(
        &mut self,
        field: &str,
        text: String,
        max: usize,
        example: &'static str,
    ) -> String {
        if text.is_empty() {
            self.wrong(field, "is empty", format!("write it as {example}"));
        }
        self.line(field, text, max)
    }

    /// A name that may be absent.
    pub(crate) fn some_name<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.name(field, text, parse) }
    }

    /// A name that must be there.
    pub(crate) fn name<T>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        match parse(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.wrong(field, "is no such name", error.to_string());
                None
            }
        }
    }

    /// A number that must fit 16 bits; `range` says what is meant.
    pub(crate) fn u16(&mut self, field: &str, value: u32, range: &'static str) -> u16 {
        u16::try_from(value).unwrap_or_else(|_| {
            self.wrong(field, format!("{value} is too large"), range);
            0
        })
    }

    /// Whether nothing is wrong yet.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// The value, unless anything was wrong. A value that could not be built has a violation that says why.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Violations> {
        match value {
            Some(value) if self.is_clean() => Ok(value),
            _ => {
                if self.is_clean() {
                    self.wrong("", "cannot be read", "compare it with the definition of its message");
                }
                Err(Violations(self.found))
            }
        }
    }
}

/// Of eight bytes at once, the top bit of each byte: whether it is an ASCII control, and whether it is no ASCII. Every
/// text of every call comes this way.
const fn look_at(word: u64) -> (u64, u64) {
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    let (high, low) = (word & TOPS, word & !TOPS);
    // Without its top bit no byte carries into the next: 0x20 and more reach the top bit with 0x60, 0x7f with 1.
    let printable = low + u64::from_le_bytes([0x60; 8]);
    let delete = low + u64::from_le_bytes([1; 8]);
    ((!printable | delete) & TOPS & !high, high)
}

/// What is wrong with one line of text: its length, or a control character, which could end a header or a log line
/// and begin another.
pub(crate) fn line_fault(text: &str, max: usize) -> Option<(Cow<'static, str>, Cow<'static, str>)> {
    if text.is_empty() {
        return None;
    }
    if text.len() > max {
        let problem = format!("has {} bytes", text.len());
        return Some((problem.into(), format!("at most {max} bytes are taken").into()));
    }
    let bytes = text.as_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    // The last eight overlap what came before; a shorter text gets spaces behind it.
    let short =
        || bytes.iter().rev().fold(u64::from_le_bytes([b' '; 8]), |word, byte| word << 8 | u64::from(*byte));
    let last = bytes.last_chunk().map_or_else(short, |last| u64::from_le_bytes(*last));
    let (mut control, mut high) = look_at(last);
    for word in words {
        let (c, h) = look_at(u64::from_le_bytes(*word));
        (control, high) = (control | c, high | h);
    }
    // The C1 controls (U+0080 to U+009F) only where there is a byte that could begin one.
    let c1 = high != 0 && text.chars().any(char::is_control);
    let control = control != 0;
    (control || c1).then(|| ("has a control character".into(), "write one line of printable text".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_the_whole_way_to_the_field() {
        let mut reader = Reader::new();
        reader.inside("workgroup", |r| {
            r.inside("members", |r| r.at(3, |r| r.wrong("", "is empty", "write a user id")));
            r.wrong("extension", "is long", "shorten it");
        });
        let violations = reader.finish(Some(())).unwrap_err().within("item");
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["item.workgroup.members[3]", "item.workgroup.extension"]);
        assert_eq!(
            violations.to_string(),
            "item.workgroup.members[3]: is empty; write a user id | item.workgroup.extension: is long; shorten it"
        );
    }

    #[test]
    fn a_line_is_short_and_has_no_controls() {
        for (text, ok) in [
            ("", true),
            ("sip:jane@example.com", true),
            ("Jürgen", true),
            ("a\r\nVia: b", false),
            ("a\u{7f}", false),
            ("a\u{85}b", false),
            ("12345678901234567890123456", false),
        ] {
            assert_eq!(line_fault(text, 25).is_none(), ok, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_control_is_found_wherever_it_stands(text in "(?s:[ -~]{0,20}.{0,2}[ -~é]{0,20})") {
            assert_eq!(line_fault(&text, 100).is_some(), text.chars().any(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn a_flood_of_violations_is_cut() {
        let mut reader = Reader::new();
        for at in 0..10_000 {
            reader.at(at, |r| r.wrong("", "is bad", "mend it"));
        }
        assert_eq!(reader.finish(Some(())).unwrap_err().iter().count(), VIOLATIONS_MAX);
    }
}
