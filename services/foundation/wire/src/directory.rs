//! The directory's entries, both ways.
//!
//! A record that came in by [`user`] and its like is in normal form: a text that may be absent is never empty, and a
//! treatment without targets is none. For a record in normal form, message and record say the same, so that an edge
//! that was fed decides as routing does. The station service is the directory's only writer and writes nothing else.
//!
//! Fields that are marked output only are ignored on the way in.

use tandem_domain::document::directory::{
    CicAccount, LyncAccount, NumberAssignment, Phone, Station, User, Workgroup,
};
use tandem_domain::document::policy::Treatments;
use tandem_domain::finding::{Finding, Severity};
use tandem_domain::id::{Revision, SiteName, StationId, TenantName, UserId, WorkgroupId};
use tandem_proto::station::v1 as pb;

use crate::limits::{
    ACCOUNT_BYTES_MAX, ADDRESS_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, MEMBERS_BYTES_MAX, MEMBERS_MAX,
    NUMBER_BYTES_MAX,
};
use crate::name::{self, Child, Name};
use crate::terms;
use crate::violation::{Reader, Violation, Violations};

const RING: &str = "7 to 300 seconds";

/// Reads a user of `tenant`.
///
/// # Errors
/// What is wrong with the message; also when its name is another tenant's.
pub fn read_user(tenant: &TenantName, message: pb::User) -> Result<User, Violations> {
    let mut reader = Reader::new();
    let id = named(&mut reader, tenant, &message.name, "users/{user}", |child| match child {
        Child::User(id) => Some(id),
        _ => None,
    });
    let display_name = reader.some_line("display_name", message.display_name, DISPLAY_NAME_BYTES_MAX);
    let cic = message.cic.map(|cic| reader.inside("cic", |reader| read_cic(reader, cic)));
    let lync = message.lync.map(|lync| reader.inside("lync", |reader| read_lync(reader, lync)));
    let call_control = reader.term("call_control", message.call_control);
    let phone = message.phone.map(|phone| reader.inside("phone", |reader| read_phone(reader, phone)));
    let station = reader.some_name("station", &message.station, StationId::parse);
    let site = reader.some_name("site", &message.site, SiteName::parse);
    let treatments = read_treatments(&mut reader, message.treatments);
    let user = || {
        Some(User {
            id: id?,
            display_name,
            cic,
            // An account or phone that is there but could not be read was noted.
            lync: lync.map_or(Some(None), |lync| lync.map(Some))?,
            call_control: call_control?,
            phone: phone.map_or(Some(None), |phone| phone.map(Some))?,
            plug_in: message.plug_in,
            station,
            site,
            treatments,
        })
    };
    let user = user();
    reader.finish(user)
}

fn read_cic(reader: &mut Reader, message: pb::CicAccount) -> CicAccount {
    CicAccount {
        user_id: reader.full_line("user_id", message.user_id, ACCOUNT_BYTES_MAX, "jane.doe"),
        extension: reader.some_line("extension", message.extension, NUMBER_BYTES_MAX),
        nt_domain_account: reader.some_line(
            "nt_domain_account",
            message.nt_domain_account,
            ACCOUNT_BYTES_MAX,
        ),
        source: reader.some_term("source", message.source),
    }
}

fn read_lync(reader: &mut Reader, message: pb::LyncAccount) -> Option<LyncAccount> {
    Some(LyncAccount {
        sip_address: reader.full_line(
            "sip_address",
            message.sip_address,
            ADDRESS_BYTES_MAX,
            "sip:jane@example.com",
        ),
        line_uri: reader.some_line("line_uri", message.line_uri, ADDRESS_BYTES_MAX),
        line_server: reader.some_line("line_server", message.line_server, ADDRESS_BYTES_MAX),
        source: reader.some_term("source", message.source),
        telephony: reader.term("telephony", message.telephony)?,
    })
}

fn read_phone(reader: &mut Reader, message: pb::Phone) -> Option<Phone> {
    Some(Phone {
        vendor: reader.some_line("vendor", message.vendor, ACCOUNT_BYTES_MAX),
        lync_certified: message.lync_certified,
        paired: message.paired,
        kind: reader.term("kind", message.kind)?,
    })
}

fn read_treatments(reader: &mut Reader, message: Option<pb::Treatments>) -> Treatments {
    let Some(message) = message else { return Treatments::default() };
    reader.inside("treatments", |reader| Treatments {
        on_busy: reader.some_line("on_busy", message.on_busy, NUMBER_BYTES_MAX),
        on_no_answer: reader.some_line("on_no_answer", message.on_no_answer, NUMBER_BYTES_MAX),
        no_answer_seconds: Some(reader.u16("no_answer_seconds", message.no_answer_seconds, RING))
            .filter(|seconds| *seconds != 0),
        on_unreachable: reader.some_line("on_unreachable", message.on_unreachable, NUMBER_BYTES_MAX),
    })
}

/// Reads a station of `tenant`.
///
/// # Errors
/// What is wrong with the message; also when its name is another tenant's.
pub fn read_station(tenant: &TenantName, message: pb::Station) -> Result<Station, Violations> {
    let mut reader = Reader::new();
    let id = named(&mut reader, tenant, &message.name, "stations/{station}", |child| match child {
        Child::Station(id) => Some(id),
        _ => None,
    });
    let kind = reader.term("kind", message.kind);
    let contact_address = reader.some_line("contact_address", message.contact_address, ADDRESS_BYTES_MAX);
    let extension = reader.some_line("extension", message.extension, NUMBER_BYTES_MAX);
    let site = reader.some_name("site", &message.site, SiteName::parse);
    let ring_seconds = message.ring_seconds.map(|seconds| reader.u16("ring_seconds", seconds, RING));
    let station = || {
        Some(Station {
            id: id?,
            kind: kind?,
            contact_address,
            extension,
            site,
            audio_licence: message.audio_licence,
            acd_licence: message.acd_licence,
            ring_seconds,
        })
    };
    let station = station();
    reader.finish(station)
}

/// Reads a workgroup of `tenant`.
///
/// # Errors
/// What is wrong with the message; also when its name is another tenant's.
pub fn read_workgroup(tenant: &TenantName, message: pb::Workgroup) -> Result<Workgroup, Violations> {
    let mut reader = Reader::new();
    let id = named(&mut reader, tenant, &message.name, "workgroups/{workgroup}", |child| match child {
        Child::Workgroup(id) => Some(id),
        _ => None,
    });
    let display_name = reader.some_line("display_name", message.display_name, DISPLAY_NAME_BYTES_MAX);
    let extension = reader.some_line("extension", message.extension, NUMBER_BYTES_MAX);
    let members = reader.inside("members", |reader| read_members(reader, &message.members));
    let treatments = read_treatments(&mut reader, message.treatments);
    let hunt_target = reader.some_line("hunt_target", message.hunt_target, NUMBER_BYTES_MAX);
    reader.finish(id.map(|id| Workgroup { id, display_name, extension, members, treatments, hunt_target }))
}

fn read_members(reader: &mut Reader, members: &[String]) -> Vec<UserId> {
    if members.len() > MEMBERS_MAX {
        reader.wrong(
            "",
            format!("has {} members", members.len()),
            format!("at most {MEMBERS_MAX}: split the workgroup"),
        );
        return Vec::new();
    }
    let bytes: usize = members.iter().map(String::len).sum();
    if bytes > MEMBERS_BYTES_MAX {
        reader.wrong(
            "",
            format!("has {bytes} bytes in all"),
            format!("at most {MEMBERS_BYTES_MAX}: split the workgroup, or shorten its members' ids"),
        );
        return Vec::new();
    }
    let member = |(at, id): (usize, &String)| reader.at(at, |reader| reader.name("", id, UserId::parse));
    members.iter().enumerate().filter_map(member).collect()
}

/// Reads a number assignment.
///
/// # Errors
/// What is wrong with the message.
pub fn read_number(message: pb::NumberAssignment) -> Result<NumberAssignment, Violations> {
    let mut reader = Reader::new();
    let number = reader.full_line("number", message.number, NUMBER_BYTES_MAX, "+4930123456");
    let kind = reader.term("kind", message.kind);
    let user = reader.some_name("user", &message.user, UserId::parse);
    let workgroup = reader.some_name("workgroup", &message.workgroup, WorkgroupId::parse);
    let treatments = read_treatments(&mut reader, message.treatments);
    reader.finish(kind.map(|kind| NumberAssignment { number, kind, user, workgroup, treatments }))
}

/// Reads an entry's name and holds it against the tenant whose directory this is.
fn named<T>(
    reader: &mut Reader,
    tenant: &TenantName,
    text: &str,
    form: &'static str,
    take: impl FnOnce(Child) -> Option<T>,
) -> Option<T> {
    match Name::parse("name", text) {
        // The tenant that was named instead may exist or not: the answer does not depend on it.
        Ok(name) if name.tenant != *tenant => {
            let problem = "is not in the tenant whose directory this is";
            reader.wrong("name", problem, format!("write it as tenants/{tenant}/{form}"));
            None
        }
        Ok(name) => {
            let id = name.child.and_then(take);
            if id.is_none() {
                reader.wrong("name", "names something else", format!("write it as tenants/{tenant}/{form}"));
            }
            id
        }
        Err(violation) => {
            reader.wrong("name", violation.problem, violation.fix);
            None
        }
    }
}

/// The message of a user: what was entered. The fields that are derived are left empty.
#[must_use]
pub fn user(tenant: &TenantName, user: &User) -> pb::User {
    pb::User {
        name: name::user(tenant, &user.id),
        display_name: text(&user.display_name),
        cic: user.cic.as_ref().map(|cic| pb::CicAccount {
            user_id: cic.user_id.clone(),
            extension: text(&cic.extension),
            nt_domain_account: text(&cic.nt_domain_account),
            source: some(cic.source, terms::source),
        }),
        lync: user.lync.as_ref().map(|lync| pb::LyncAccount {
            sip_address: lync.sip_address.clone(),
            line_uri: text(&lync.line_uri),
            line_server: text(&lync.line_server),
            telephony: terms::telephony(lync.telephony).into(),
            source: some(lync.source, terms::source),
        }),
        call_control: terms::call_control(user.call_control).into(),
        phone: user.phone.as_ref().map(|phone| pb::Phone {
            kind: terms::phone_kind(phone.kind).into(),
            vendor: text(&phone.vendor),
            lync_certified: phone.lync_certified,
            paired: phone.paired,
        }),
        plug_in: user.plug_in,
        station: user.station.as_ref().map(ToString::to_string).unwrap_or_default(),
        site: user.site.as_ref().map(ToString::to_string).unwrap_or_default(),
        treatments: treatments(&user.treatments),
        ..Default::default()
    }
}

/// The message of a station.
#[must_use]
pub fn station(tenant: &TenantName, station: &Station) -> pb::Station {
    pb::Station {
        name: name::station(tenant, &station.id),
        kind: terms::station_kind(station.kind).into(),
        contact_address: text(&station.contact_address),
        extension: text(&station.extension),
        site: station.site.as_ref().map(ToString::to_string).unwrap_or_default(),
        audio_licence: station.audio_licence,
        acd_licence: station.acd_licence,
        ring_seconds: station.ring_seconds.map(u32::from),
    }
}

/// The message of a workgroup.
#[must_use]
pub fn workgroup(tenant: &TenantName, workgroup: &Workgroup) -> pb::Workgroup {
    pb::Workgroup {
        name: name::workgroup(tenant, &workgroup.id),
        display_name: text(&workgroup.display_name),
        extension: text(&workgroup.extension),
        members: workgroup.members.iter().map(ToString::to_string).collect(),
        treatments: treatments(&workgroup.treatments),
        hunt_target: text(&workgroup.hunt_target),
    }
}

/// The message of a number assignment.
#[must_use]
pub fn number(assignment: &NumberAssignment) -> pb::NumberAssignment {
    pb::NumberAssignment {
        number: assignment.number.clone(),
        kind: terms::assignment_kind(assignment.kind).into(),
        user: assignment.user.as_ref().map(ToString::to_string).unwrap_or_default(),
        workgroup: assignment.workgroup.as_ref().map(ToString::to_string).unwrap_or_default(),
        treatments: treatments(&assignment.treatments),
    }
}

/// What a check found with an entry.
#[must_use]
pub fn finding(finding: &Finding) -> pb::Finding {
    let severity = match finding.severity {
        Severity::Error => pb::finding::Severity::Error,
        Severity::Warning => pb::finding::Severity::Warning,
    };
    pb::Finding {
        code: finding.code.into(),
        severity: severity.into(),
        field: finding.path.clone(),
        message: finding.message.clone(),
        fix: finding.fix.as_ref().into(),
    }
}

/// What is wrong with an entry's message, as findings: for an import, which goes on after it.
#[must_use]
pub fn malformed(violations: &Violations) -> Vec<pb::Finding> {
    let finding = |violation: &Violation| pb::Finding {
        code: MALFORMED.into(),
        severity: pb::finding::Severity::Error.into(),
        field: violation.field.clone(),
        message: violation.problem.as_ref().into(),
        fix: violation.fix.as_ref().into(),
    };
    violations.iter().map(finding).collect()
}

/// The code of a finding that speaks of the message, not of what it means.
pub const MALFORMED: &str = "entry.malformed";

/// The etag of an entry that last changed at `revision`.
#[must_use]
pub fn etag(revision: Revision) -> String {
    format!("{:x}", revision.0)
}

fn treatments(treatments: &Treatments) -> Option<pb::Treatments> {
    (!treatments.is_empty()).then(|| pb::Treatments {
        on_busy: text(&treatments.on_busy),
        on_no_answer: text(&treatments.on_no_answer),
        no_answer_seconds: treatments.no_answer_seconds.unwrap_or_default().into(),
        on_unreachable: text(&treatments.on_unreachable),
    })
}

fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn some<T: Copy, P: Into<i32>>(value: Option<T>, there: impl Fn(T) -> P) -> i32 {
    value.map_or(0, |value| there(value).into())
}

#[cfg(test)]
mod tests;
