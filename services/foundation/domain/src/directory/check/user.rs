//! A user's accounts, phone, place and forwarding.

use crate::document::policy::Treatments;
use crate::document::terms::{PhoneKind, StationKind};
use crate::number::Number;
use crate::routing::plan::Row;
use crate::view::{Numbered as _, Role};

use super::super::around::{Directory, Holder, Shared};
use super::super::endpoint::{Endpoint, Need, required};
use super::extension::extension;
use super::{Subject, checks, ring_seconds, treatments};

/// One of the three treatments.
type Target = fn(&Treatments) -> Option<&String>;

impl<D: Directory> Subject<'_, D> {
    /// Whether there is a row at all, and whether it is on.
    pub(super) fn accounts(&mut self, endpoint: Endpoint) {
        match endpoint {
            Endpoint::Unsupported(why) => {
                self.states.push(checks::ENDPOINT_UNSUPPORTED.at("callControl", why.words()));
            }
            Endpoint::Row(Row::R5) if !self.config.features.row5 => {
                let words = "row 5 is off in the tenant's policy";
                self.states.push(checks::FEATURE_NOT_RELEASED.at("callControl", words));
            }
            Endpoint::Row(_) => {}
        }
    }

    /// The CIC account.
    pub(super) fn cic(&mut self) {
        let Some(cic) = &self.user.cic else { return };
        let need = self.row.map(required);
        if cic.user_id.trim().is_empty() {
            self.states.push(checks::USER_MISSING_CIC_USER.at("cic.userId", "it is empty"));
        }
        match cic.extension.as_deref().filter(|e| !e.is_empty()) {
            Some(given) => {
                let own = Holder::User(self.user.id.clone());
                extension(self.config, self.directory, &own, given, "cic.extension", &mut self.states);
            }
            None => self.states.push(checks::USER_MISSING_EXTENSION.at("cic.extension", "it is not set")),
        }
        match cic.nt_domain_account.as_deref().filter(|a| !a.is_empty()) {
            Some(account) => {
                let parts = account.split_once('\\');
                if parts.is_none_or(|(d, n)| d.is_empty() || n.is_empty() || n.contains('\\')) {
                    let words = format!("{account:?} is not DOMAIN\\name");
                    self.states.push(checks::USER_DOMAIN_ACCOUNT_FORM.at("cic.ntDomainAccount", words));
                }
            }
            None if need.is_some_and(|n| n.domain_account == Need::Yes) => {
                let words = "it is not set";
                self.states.push(checks::USER_MISSING_DOMAIN_ACCOUNT.at("cic.ntDomainAccount", words));
            }
            None => {}
        }
    }

    /// The phone, and whether it is a station.
    pub(super) fn phone(&mut self) {
        let user = self.user;
        let lync_phone = user.phone.as_ref().filter(|p| p.kind.is_lync());
        if user.phone.is_none() && matches!(self.row, Some(Row::R1 | Row::R2)) {
            self.states.push(checks::USER_MISSING_PHONE.at("phone", "no phone is named"));
        }
        if let Some(phone) = lync_phone.filter(|p| p.lync_certified == Some(false)) {
            let words = format!("{} is not certified", phone.vendor.as_deref().unwrap_or("the phone"));
            self.states.push(checks::ENDPOINT_NOT_LYNC_CERTIFIED.at("phone.lyncCertified", words));
        }
        if user.plug_in && self.row.is_some_and(|r| r != Row::R4) {
            let words = "the user is not of row 4";
            self.states.push(checks::USER_PLUG_IN_UNUSED.at("plugIn", words));
        }
        let hard = lync_phone.is_some_and(|p| p.kind == PhoneKind::LyncHard && !p.paired);
        if hard && self.row == Some(Row::R4) {
            self.states.push(checks::USER_PHONE_NOT_PAIRED.at("phone.paired", "it is not set"));
        }
        self.station();
    }

    fn station(&mut self) {
        let user = self.user;
        let need = self.row.map(|r| required(r).station);
        match (&user.station, self.station) {
            (None, _) if self.lync_station() => {
                let words = "no station is named";
                self.states.push(checks::USER_LYNC_PHONE_WITHOUT_STATION.at("station", words));
            }
            (None, _) if need == Some(Need::Yes) => {
                self.states.push(checks::USER_MISSING_STATION.at("station", "no station is named"));
            }
            (Some(id), None) => {
                self.states
                    .push(checks::USER_STATION_UNKNOWN.at("station", format!("there is no station {id}")));
            }
            (Some(id), Some(station)) => {
                if !station.audio_licence {
                    let words = format!("the station {id} has no audio");
                    self.states.push(checks::STATION_NO_AUDIO_LICENCE.at("station", words));
                }
                if self.lync_station() && station.kind == StationKind::Remote {
                    let words = format!("{id} is a remote station");
                    self.states.push(checks::USER_LYNC_PHONE_REMOTE_STATION.at("station", words));
                }
                let voicemail = self.config.lync.voicemail_seconds;
                let rings = ring_seconds(station);
                if let Some(voicemail) = voicemail.filter(|v| self.lync_station() && *v <= rings) {
                    let words =
                        format!("voicemail after {voicemail} s, the station {id} rings for {rings} s");
                    self.states.push(checks::USER_VOICEMAIL_TOO_EARLY.at("station", words));
                }
            }
            (None, _) => {}
        }
    }

    /// The site.
    pub(super) fn place(&mut self) {
        let Some(site) = &self.user.site else { return };
        if self.config.site_named(site.as_str()).is_none() {
            let words = format!("the tenant has no site {site}");
            self.states.push(checks::USER_SITE_UNKNOWN.at("site", words));
        }
    }

    /// What the user alone should have: which of two a call is for would be chance.
    pub(super) fn shared(&mut self) {
        let user = self.user;
        let mut line = None;
        user.numbers(self.config, &mut |number, role| {
            if role == Role::LineUri {
                line = Some(Shared::Line(number));
            }
        });
        let sip =
            user.lync.as_ref().filter(|l| !l.sip_address.is_empty()).map(|l| Shared::sip(&l.sip_address));
        let cic = user.cic.as_ref().filter(|c| !c.user_id.is_empty()).map(|c| Shared::cic(&c.user_id));
        let keys = [
            (line, "lync.lineUri", checks::USER_LINE_URI_SHARED),
            (sip, "lync.sipAddress", checks::USER_SIP_ADDRESS_SHARED),
            (cic, "cic.userId", checks::USER_CIC_USER_SHARED),
        ];
        for (key, path, check) in keys {
            if let Some(other) = key.and_then(|key| self.directory.other_with(&key, &user.id)) {
                self.states.push(check.at(path, format!("the user {other} has it too")));
            }
        }
    }

    /// Treatments, and whether one leads back here (domain rules 3.3, L4).
    pub(super) fn forwards(&mut self) {
        treatments(&self.user.treatments, "treatments", &mut self.states);
        let kinds: [(&str, Target); 3] = [
            ("onBusy", |t| t.on_busy.as_ref()),
            ("onNoAnswer", |t| t.on_no_answer.as_ref()),
            ("onUnreachable", |t| t.on_unreachable.as_ref()),
        ];
        for (field, target) in kinds {
            if let Some(through) = self.comes_back(target) {
                let words = match through {
                    0 => "the target is the user's own number".to_owned(),
                    n => format!("the call comes back after {n} more users"),
                };
                self.states.push(checks::USER_FORWARD_LOOP.at(format!("treatments.{field}"), words));
            }
        }
    }

    /// Follows treatments of one kind from user to user; answers after how many it comes back to this one.
    fn comes_back(&self, target: Target) -> Option<usize> {
        /// Longer chains are cut by the element that carries them out, which counts forwards.
        const FORWARDS_MAX: usize = 16;
        let mut at = self.user;
        for through in 0..FORWARDS_MAX {
            let number = Number::parse_canonical(target(&at.treatments)?)?;
            let holder = self.directory.holders(number).into_iter().find_map(|h| match h {
                Holder::User(id) => Some(id),
                Holder::Station(_) | Holder::Workgroup(_) => None,
            })?;
            if holder == self.user.id {
                return Some(through);
            }
            at = self.directory.user(&holder)?;
        }
        None
    }
}
