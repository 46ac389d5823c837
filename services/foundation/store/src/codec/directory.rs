//! Users, stations, workgroups and number assignments as fields.

use tandem_domain::document::directory::{
    CicAccount, LyncAccount, NumberAssignment, Phone, Station, User, Workgroup,
};
use tandem_domain::document::policy::Treatments;
use tandem_domain::document::terms::{
    AssignmentKind, CallControl, PhoneKind, Source, StationKind, TelephonyMode,
};

use super::fields::{Coded, In, Out, Why, code, codes, name, needed, number, string};

codes! {
    CallControl { CicClient = 1, LyncClient = 2, }
    PhoneKind { CicHard = 1, CicSoft = 2, LyncHard = 3, LyncSoft = 4, }
    TelephonyMode { Uc = 1, Rcc = 2, Dual = 3, None = 4, }
    StationKind { Workstation = 1, StandAlone = 2, Remote = 3, ManagedPhone = 4, }
    AssignmentKind { Did = 1, Workgroup = 2, Attendant = 3, }
    Source { Tandem = 1, Cic = 2, Lync = 3, }
}

pub(super) fn write_user(out: &mut Out, user: &User) {
    out.text(1, user.id.as_str());
    out.text_if(2, user.display_name.as_deref());
    if let Some(cic) = &user.cic {
        out.nested(3, |out| write_cic(out, cic));
    }
    if let Some(lync) = &user.lync {
        out.nested(4, |out| write_lync(out, lync));
    }
    out.code(5, user.call_control);
    if let Some(phone) = &user.phone {
        out.nested(6, |out| write_phone(out, phone));
    }
    out.flag(7, user.plug_in);
    out.text_if(8, user.station.as_ref().map(|s| s.as_str()));
    out.text_if(9, user.site.as_ref().map(|s| s.as_str()));
    write_treatments(out, 10, &user.treatments);
}

pub(super) fn read_user(mut fields: In<'_>) -> Result<User, Why> {
    let (mut id, mut display_name, mut cic, mut lync, mut call_control) = (None, None, None, None, None);
    let (mut phone, mut plug_in, mut station, mut site) = (None, false, None, None);
    let mut treatments = Treatments::default();
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => id = name(bytes)?,
            2 => display_name = string(bytes)?,
            3 => cic = Some(read_cic(In(bytes))?),
            4 => lync = Some(read_lync(In(bytes))?),
            5 => call_control = code(bytes)?,
            6 => phone = Some(read_phone(In(bytes))?),
            7 => plug_in = true,
            8 => station = name(bytes)?,
            9 => site = name(bytes)?,
            10 => treatments = read_treatments(In(bytes))?,
            _ => {}
        }
    }
    let (id, call_control) = (needed(id, "id")?, needed(call_control, "call control")?);
    Ok(User { id, display_name, cic, lync, call_control, phone, plug_in, station, site, treatments })
}

fn write_source(out: &mut Out, tag: u8, source: Option<Source>) {
    if let Some(source) = source {
        out.code(tag, source);
    }
}

fn write_cic(out: &mut Out, cic: &CicAccount) {
    out.text(1, &cic.user_id);
    out.text_if(2, cic.extension.as_deref());
    out.text_if(3, cic.nt_domain_account.as_deref());
    write_source(out, 4, cic.source);
}

fn read_cic(mut fields: In<'_>) -> Result<CicAccount, Why> {
    let (mut user_id, mut extension, mut nt_domain_account, mut source) = (None, None, None, None);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => user_id = string(bytes)?,
            2 => extension = string(bytes)?,
            3 => nt_domain_account = string(bytes)?,
            4 => source = code(bytes)?,
            _ => {}
        }
    }
    Ok(CicAccount { user_id: needed(user_id, "CIC user id")?, extension, nt_domain_account, source })
}

fn write_lync(out: &mut Out, lync: &LyncAccount) {
    out.text(1, &lync.sip_address);
    out.text_if(2, lync.line_uri.as_deref());
    out.text_if(3, lync.line_server.as_deref());
    out.code(4, lync.telephony);
    write_source(out, 5, lync.source);
}

fn read_lync(mut fields: In<'_>) -> Result<LyncAccount, Why> {
    let (mut sip_address, mut line_uri, mut line_server) = (None, None, None);
    let (mut telephony, mut source) = (None, None);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => sip_address = string(bytes)?,
            2 => line_uri = string(bytes)?,
            3 => line_server = string(bytes)?,
            4 => telephony = code(bytes)?,
            5 => source = code(bytes)?,
            _ => {}
        }
    }
    let sip_address = needed(sip_address, "SIP address")?;
    let telephony = needed(telephony, "telephony mode")?;
    Ok(LyncAccount { sip_address, line_uri, line_server, telephony, source })
}

fn write_phone(out: &mut Out, phone: &Phone) {
    out.code(1, phone.kind);
    out.text_if(2, phone.vendor.as_deref());
    // Not known, no, and yes are three things.
    if let Some(certified) = phone.lync_certified {
        out.number(3, u128::from(certified));
    }
    out.flag(4, phone.paired);
}

fn read_phone(mut fields: In<'_>) -> Result<Phone, Why> {
    let (mut kind, mut vendor, mut lync_certified, mut paired) = (None, None, None, false);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => kind = code(bytes)?,
            2 => vendor = string(bytes)?,
            3 => lync_certified = Some(number::<u8>(bytes)? == Some(1)),
            4 => paired = true,
            _ => {}
        }
    }
    Ok(Phone { kind: needed(kind, "phone kind")?, vendor, lync_certified, paired })
}

/// What is not set at all is not there.
fn write_treatments(out: &mut Out, tag: u8, treatments: &Treatments) {
    if treatments.is_empty() {
        return;
    }
    out.nested(tag, |out| {
        out.text_if(1, treatments.on_busy.as_deref());
        out.text_if(2, treatments.on_no_answer.as_deref());
        out.number_if(3, treatments.no_answer_seconds);
        out.text_if(4, treatments.on_unreachable.as_deref());
    });
}

fn read_treatments(mut fields: In<'_>) -> Result<Treatments, Why> {
    let mut treatments = Treatments::default();
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => treatments.on_busy = string(bytes)?,
            2 => treatments.on_no_answer = string(bytes)?,
            3 => treatments.no_answer_seconds = number(bytes)?,
            4 => treatments.on_unreachable = string(bytes)?,
            _ => {}
        }
    }
    Ok(treatments)
}

pub(super) fn write_station(out: &mut Out, station: &Station) {
    out.text(1, station.id.as_str());
    out.code(2, station.kind);
    out.text_if(3, station.contact_address.as_deref());
    out.text_if(4, station.extension.as_deref());
    out.text_if(5, station.site.as_ref().map(|s| s.as_str()));
    out.flag(6, station.audio_licence);
    out.flag(7, station.acd_licence);
    out.number_if(8, station.ring_seconds);
}

pub(super) fn read_station(mut fields: In<'_>) -> Result<Station, Why> {
    let (mut id, mut kind, mut contact_address, mut extension, mut site) = (None, None, None, None, None);
    let (mut audio_licence, mut acd_licence, mut ring_seconds) = (false, false, None);
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => id = name(bytes)?,
            2 => kind = code(bytes)?,
            3 => contact_address = string(bytes)?,
            4 => extension = string(bytes)?,
            5 => site = name(bytes)?,
            6 => audio_licence = true,
            7 => acd_licence = true,
            8 => ring_seconds = number(bytes)?,
            _ => {}
        }
    }
    let (id, kind) = (needed(id, "id")?, needed(kind, "kind")?);
    Ok(Station { id, kind, contact_address, extension, site, audio_licence, acd_licence, ring_seconds })
}

pub(super) fn write_workgroup(out: &mut Out, workgroup: &Workgroup) {
    out.text(1, workgroup.id.as_str());
    out.text_if(2, workgroup.display_name.as_deref());
    out.text_if(3, workgroup.extension.as_deref());
    for member in &workgroup.members {
        out.text(4, member.as_str());
    }
    write_treatments(out, 5, &workgroup.treatments);
    out.text_if(6, workgroup.hunt_target.as_deref());
}

pub(super) fn read_workgroup(mut fields: In<'_>) -> Result<Workgroup, Why> {
    let (mut id, mut display_name, mut extension, mut hunt_target) = (None, None, None, None);
    let (mut members, mut treatments) = (Vec::new(), Treatments::default());
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => id = name(bytes)?,
            2 => display_name = string(bytes)?,
            3 => extension = string(bytes)?,
            4 => members.extend(name(bytes)?),
            5 => treatments = read_treatments(In(bytes))?,
            6 => hunt_target = string(bytes)?,
            _ => {}
        }
    }
    let id = needed(id, "id")?;
    Ok(Workgroup { id, display_name, extension, members, treatments, hunt_target })
}

pub(super) fn write_number(out: &mut Out, assignment: &NumberAssignment) {
    out.text(1, &assignment.number);
    out.code(2, assignment.kind);
    out.text_if(3, assignment.user.as_ref().map(|u| u.as_str()));
    out.text_if(4, assignment.workgroup.as_ref().map(|w| w.as_str()));
    write_treatments(out, 5, &assignment.treatments);
}

pub(super) fn read_number(mut fields: In<'_>) -> Result<NumberAssignment, Why> {
    let (mut number, mut kind, mut user, mut workgroup) = (None, None, None, None);
    let mut treatments = Treatments::default();
    while let Some((tag, bytes)) = fields.next()? {
        match tag {
            1 => number = string(bytes)?,
            2 => kind = code(bytes)?,
            3 => user = name(bytes)?,
            4 => workgroup = name(bytes)?,
            5 => treatments = read_treatments(In(bytes))?,
            _ => {}
        }
    }
    let (number, kind) = (needed(number, "number")?, needed(kind, "kind")?);
    Ok(NumberAssignment { number, kind, user, workgroup, treatments })
}
