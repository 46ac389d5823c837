//! Diagnostics as text, as a compiler prints them.

use std::fmt::Write;

use super::{Diagnostic, Severity};

/// Characters of a line that are shown; a longer one is cut around the place.
const EXCERPT_CHARS: usize = 120;

/// Prints one diagnostic; ends without a line break.
pub fn render(diagnostic: &Diagnostic, color: bool) -> String {
    let paint = Paint(color);
    let finding = &diagnostic.finding;
    let place = if diagnostic.line == 0 {
        clean(&diagnostic.file)
    } else {
        format!("{}:{}:{}", clean(&diagnostic.file), diagnostic.line, diagnostic.column)
    };
    let hue = match finding.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    };
    let severity = paint.with(hue, &finding.severity.to_string());
    let mut text =
        format!("{}: {severity}: {}", paint.with(BOLD, &place), paint.with(BOLD, &clean(&finding.message)));
    let gutter = diagnostic.line.to_string().len();
    if diagnostic.line > 0 {
        excerpt(&mut text, diagnostic, &paint, hue, gutter);
    }
    let margin = if diagnostic.line > 0 { gutter + 1 } else { 2 };
    let mut note = |what: &str| {
        let _ = write!(text, "\n{:margin$}{} {what}", "", paint.with(BLUE, "="));
    };
    if !finding.path.is_empty() {
        note(&format!("at {}", clean(&finding.path)));
    }
    if let Some(fix) = &finding.fix {
        note(&format!("{} {}", paint.with(GREEN, "fix:"), clean(fix)));
    }
    text
}

/// Prints all, an empty line between them; ends without a line break.
pub fn render_all(diagnostics: &[Diagnostic], color: bool) -> String {
    let parts: Vec<String> = diagnostics.iter().map(|diagnostic| render(diagnostic, color)).collect();
    parts.join("\n\n")
}

fn excerpt(text: &mut String, diagnostic: &Diagnostic, paint: &Paint, hue: &str, gutter: usize) {
    let column = diagnostic.column.max(1) - 1;
    // The place stays in sight, with some of what leads to it.
    let skip = if column + 20 > EXCERPT_CHARS { column - EXCERPT_CHARS / 2 } else { 0 };
    let line: String = clean(&diagnostic.excerpt).chars().skip(skip).take(EXCERPT_CHARS).collect();
    let room = line.chars().count().saturating_sub(column - skip).max(1);
    let caret = paint.with(hue, &"^".repeat(diagnostic.width.min(room)));
    let bar = paint.with(BLUE, "|");
    let number = paint.with(BLUE, &format!("{:>gutter$}", diagnostic.line));
    let _ = write!(text, "\n{:gutter$} {bar}\n{number} {bar} {line}", "");
    let _ = write!(text, "\n{:gutter$} {bar} {:indent$}{caret}", "", "", indent = column - skip);
}

const BOLD: &str = "1";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const GREEN: &str = "1;32";

struct Paint(bool);

impl Paint {
    fn with(&self, hue: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{hue}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// One character for one character, so that columns stay true, and nothing that a terminal would obey.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
