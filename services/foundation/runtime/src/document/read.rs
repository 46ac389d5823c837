//! A text into a type, and what does not fit into a finding.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment, Track};
use serde_saphyr::{Error, Location, UserMessageFormatter};

use super::place::{On, Place, push_index, push_key};
use super::suggest::did_you_mean;
use super::{Finding, Limits, Severity};

/// Names of fields or values that a fix lists; beyond that a list helps nobody.
const LISTED_MAX: usize = 12;

/// What did not fit.
pub(super) struct Misfit {
    pub(super) finding: Finding,
    /// Which part of the field is meant.
    pub(super) on: On,
    /// Where, if it is not where the path leads.
    pub(super) place: Option<Place>,
}

/// Reads a document.
pub(super) fn read<T: DeserializeOwned>(text: &str, limits: Limits) -> Result<T, Misfit> {
    let mut track = Track::new();
    let result =
        serde_saphyr::with_deserializer_from_str_with_options(text, options(limits), |deserializer| {
            T::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
        });
    result.map_err(|error| misfit(&error, written(&track.path())))
}

fn options(limits: Limits) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits.depth,
            // What is in the text has been paid for by its bytes; what aliases add has a limit of its own.
            max_events: limits.bytes + limits.alias_nodes,
            max_nodes: limits.bytes + limits.alias_nodes,
            max_total_scalar_bytes: limits.bytes,
            max_merge_keys: limits.alias_nodes,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: limits.alias_nodes,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: limits.alias_nodes,
        },
        emit_comments: false,
        // `yes`, `on` and the like are text to some readers of YAML and booleans to others.
        strict_booleans: true,
        no_schema: true,
        with_snippet: false,
    }
}

fn misfit(error: &Error, path: String) -> Misfit {
    match error {
        // Placed where the alias is used, which is where the path leads.
        Error::AliasError { error, .. } => misfit(error, path),
        Error::WithSnippet { error, .. } => misfit(error, path),
        Error::SerdeUnknownField { field, expected, .. } => {
            let path = with_leaf(path, field);
            let fix = choice(field, expected, "fields here are");
            Misfit { on: On::Key, ..at(path, format!("unknown field `{field}`"), fix) }
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            at(path, format!("unknown value `{variant}`"), choice(variant, expected, "it is one of"))
        }
        Error::SerdeMissingField { field, .. } => {
            let fix = format!("add `{field}: ...`");
            Misfit { on: On::Key, ..at(path, format!("field `{field}` is missing"), Some(fix)) }
        }
        Error::DuplicateMappingKey { key, location } => {
            let key = key.as_deref().unwrap_or("this key");
            let fix = "keep one of the two".to_owned();
            Misfit { place: place_of(location), ..at(path, format!("`{key}` is given twice"), Some(fix)) }
        }
        Error::QuotingRequired { value, .. } => {
            let message = format!("`{value}` is not text to YAML, and text is wanted here");
            at(path, message, Some(format!("put it in quotes: \"{value}\"")))
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            at(path, format!("{unexpected} where {expected} is wanted"), Some(format!("write {expected}")))
        }
        other => general(other, path),
    }
}

/// Faults that concern a place more than a field.
fn general(error: &Error, path: String) -> Misfit {
    let place = error.location().as_ref().and_then(place_of);
    match error {
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            let fix = "write the values out instead of repeating them by `*name`".to_owned();
            Misfit {
                place: place.filter(|_| path.is_empty()),
                ..at(path, "aliases repeat more than is taken".to_owned(), Some(fix))
            }
        }
        Error::InvalidScalar { ty, .. } => {
            let wanted = plainly(ty);
            at(path, format!("not {wanted}"), Some(format!("write {wanted}")))
        }
        Error::InvalidBooleanStrict { .. } => {
            at(path, "not a boolean".to_owned(), Some("write true or false".to_owned()))
        }
        Error::Unexpected { expected, .. } => {
            let wanted = match *expected {
                "sequence start" => "a list (lines that begin with `- `)",
                "mapping start" => "a mapping (lines of `name: value`)",
                "scalar" | "string scalar" | "str expected" => "a single value",
                other => other,
            };
            at(path, format!("not {wanted}"), Some(format!("write {wanted}")))
        }
        Error::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => {
            let fix = "write one word; if this is a template (`{{ ... }}`), fill it in before it is read";
            at(path, "not a single word".to_owned(), Some(fix.to_owned()))
        }
        Error::TaggedEnumMismatch { tagged, .. } => {
            let message = format!("the tag `!{tagged}` has no meaning here");
            at(path, message, Some("write the value without a tag".to_owned()))
        }
        Error::Message { msg, .. } => at(path, msg.clone(), None),
        other => {
            let text = other.render_with_formatter(&UserMessageFormatter);
            // The place is told apart from the text.
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text).to_owned();
            Misfit { place, ..at(path, text, None) }
        }
    }
}

/// A type of Rust in the words of those who write YAML.
fn plainly(ty: &str) -> String {
    let whole = |low: String, high: String| format!("a whole number from {low} to {high}");
    match ty {
        "u8" => whole(u8::MIN.to_string(), u8::MAX.to_string()),
        "u16" => whole(u16::MIN.to_string(), u16::MAX.to_string()),
        "u32" => whole(u32::MIN.to_string(), u32::MAX.to_string()),
        "u64" | "usize" => whole(u64::MIN.to_string(), u64::MAX.to_string()),
        "i8" => whole(i8::MIN.to_string(), i8::MAX.to_string()),
        "i16" => whole(i16::MIN.to_string(), i16::MAX.to_string()),
        "i32" => whole(i32::MIN.to_string(), i32::MAX.to_string()),
        "i64" | "isize" => whole(i64::MIN.to_string(), i64::MAX.to_string()),
        "f32" | "f64" => "a number".to_owned(),
        "bool" => "true or false".to_owned(),
        other => format!("a valid {other}"),
    }
}

fn at(path: String, message: String, fix: Option<String>) -> Misfit {
    let finding = Finding { severity: Severity::Error, path, message, fix };
    Misfit { finding, on: On::Value, place: None }
}

fn choice(given: &str, expected: &[&'static str], listed: &str) -> Option<String> {
    if let Some(meant) = did_you_mean(given, expected.iter().copied()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    if expected.is_empty() {
        return None;
    }
    let shown: Vec<&str> = expected.iter().copied().take(LISTED_MAX).collect();
    let more = if expected.len() > LISTED_MAX { ", ..." } else { "" };
    Some(format!("{listed} {}{more}", shown.join(", ")))
}

/// Adds the name of an unknown field, unless the path has it already.
fn with_leaf(mut path: String, field: &str) -> String {
    let mut leaf = String::new();
    push_key(&mut leaf, field);
    let there = path == leaf
        || path.ends_with(&format!(".{leaf}"))
        || (leaf.starts_with('[') && path.ends_with(&leaf));
    if !there {
        push_key(&mut path, field);
    }
    path
}

/// A path as we write it.
fn written(path: &Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_index(&mut text, *index),
            Segment::Map { key } => push_key(&mut text, key),
            Segment::Enum { variant } => push_key(&mut text, variant),
            Segment::Unknown => break,
        }
    }
    text
}

fn place_of(location: &Location) -> Option<Place> {
    let number = |n: u64| usize::try_from(n).ok().filter(|&n| n > 0);
    Some(Place { line: number(location.line())?, column: number(location.column())?, width: 1 })
}
