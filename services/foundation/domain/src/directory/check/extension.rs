//! Extensions (domain rules 1.3).

use crate::finding::Finding;
use crate::number::Digits;
use crate::tenant::Config;

use super::super::around::{Directory, Holder};
use super::checks;
use super::numbers::canonical;

/// Starts that CIC takes for services of North America.
const FORBIDDEN: [&str; 4] = ["1800", "1900", "1411", "1911"];

/// Looks at an extension that `own` holds.
pub(super) fn extension(
    config: &Config,
    directory: &impl Directory,
    own: &Holder,
    given: &str,
    path: &str,
    found: &mut Vec<Finding>,
) {
    let digits = Digits::parse(given.as_bytes()).filter(|d| (2..=6).contains(&d.len()));
    let Some((digits, number)) = digits.and_then(|d| Some((d, canonical(config, given)?))) else {
        found.push(checks::EXTENSION_FORM.at(path, format!("{given:?} is not two to six digits")));
        return;
    };
    if let Some(start) = FORBIDDEN.iter().find(|f| given.starts_with(**f)) {
        found.push(checks::EXTENSION_FORBIDDEN.at(path, format!("{given} starts with {start}")));
    }
    if config.is_emergency(None, digits) {
        found.push(checks::EXTENSION_EMERGENCY.at(path, format!("{given} is an emergency string")));
    }
    // A station may carry the extension of its user.
    let conflicts = |other: &Holder| {
        other != own
            && !matches!(
                (own, other),
                (Holder::User(_), Holder::Station(_)) | (Holder::Station(_), Holder::User(_))
            )
    };
    if let Some(other) = directory.holders(number).into_iter().find(conflicts) {
        found.push(checks::EXTENSION_CONFLICT.at(path, format!("{other} holds {given} too")));
        return;
    }
    let starts = (2..digits.len()).filter_map(|n| canonical(config, given.get(..n)?));
    for start in starts {
        let workgroup = directory.holders(start).into_iter().find(|h| matches!(h, Holder::Workgroup(_)));
        if let Some(workgroup) = workgroup.filter(|w| w != own) {
            let words = format!("{given} starts with {start}, which {workgroup} holds");
            found.push(checks::EXTENSION_CONFLICT.at(path, words));
            return;
        }
    }
}
