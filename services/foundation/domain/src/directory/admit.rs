//! Which records are taken at all.

use serde::Serialize;

use crate::finding::{Finding, texts};
use crate::record::Record;

use super::checks;

/// The most agents of a workgroup: a record is read and written whole.
pub const MEMBERS_MAX: usize = 10_000;

/// Whether a record may be stored: no control characters, no text or list beyond its limit.
///
/// What a record means is [`check`](super::check)'s; policy is admitted by compiling it.
///
/// # Errors
/// Every finding; the paths start at the record.
pub fn admit(record: &Record) -> Result<(), Vec<Finding>> {
    let mut found = Vec::new();
    match record {
        Record::User(user) => walk(&**user, &mut found),
        Record::Station(station) => walk(&**station, &mut found),
        Record::Number(number) => walk(&**number, &mut found),
        Record::Workgroup(workgroup) => {
            let members = workgroup.members.len();
            if members > MEMBERS_MAX {
                let words = format!("{members} members are more than {MEMBERS_MAX}");
                found.push(checks::LIST_TOO_LONG.at("members", words));
            }
            walk(&**workgroup, &mut found);
        }
        Record::Tenant(_) | Record::Policy(_) | Record::IngressClaim(_) | Record::Process(_) => {}
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn walk(record: &impl Serialize, found: &mut Vec<Finding>) {
    // A record is plain data: writing it into memory cannot fail.
    if let Ok(value) = serde_json::to_value(record) {
        texts(&value, "", found, &checks::TEXT_CONTROL_CHARACTER, &checks::TEXT_TOO_LONG);
    }
}
