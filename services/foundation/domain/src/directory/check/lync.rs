//! A user's Lync account (domain rules 1.3).

use crate::document::directory::LyncAccount;
use crate::document::terms::TelephonyMode;
use crate::routing::plan::Row;

use super::super::around::Directory;
use super::super::endpoint::{Need, required};
use super::numbers::{address_number, canonical, is_sip_address, line_number, same_address};
use super::{Subject, checks};

impl<D: Directory> Subject<'_, D> {
    /// The Lync account.
    pub(super) fn lync(&mut self) {
        let Some(lync) = &self.user.lync else { return };
        if !is_sip_address(&lync.sip_address) {
            let words = format!("{:?} is not sip:user@host", lync.sip_address);
            self.states.push(checks::USER_SIP_ADDRESS_FORM.at("lync.sipAddress", words));
        }
        self.line_uri(lync);
        self.line_server(lync);
        self.telephony(lync);
    }

    fn line_uri(&mut self, lync: &LyncAccount) {
        const PATH: &str = "lync.lineUri";
        let need = self.row.map(|r| required(r).line_uri);
        let Some(given) = lync.line_uri.as_deref().filter(|l| !l.is_empty()) else {
            if need == Some(Need::Yes) {
                self.states.push(checks::USER_MISSING_LINE_URI.at(PATH, "it is not set"));
            }
            return;
        };
        if self.row == Some(Row::ImOnly) {
            let words = format!("{given:?} is set, and Lync has no telephony for the user");
            self.states.push(checks::USER_LINE_URI_UNEXPECTED.at(PATH, words));
        }
        let Some(line) = line_number(given) else {
            let words = format!("{given:?} is not tel: and a global number");
            self.states.push(checks::USER_LINE_URI_FORM.at(PATH, words));
            return;
        };
        let contact = self.station.and_then(|s| s.contact_address.as_deref());
        if self.lync_station() {
            if let Some(contact) = contact.filter(|c| !same_address(c, given)) {
                let words = format!("the station's contact address is {contact:?}, the Line URI {given:?}");
                self.states.push(checks::USER_LINE_URI_NOT_CONTACT_ADDRESS.at(PATH, words));
            }
            if let Some(becomes) = self.did_is_line(line) {
                let words = format!("{line} is both DID and Line URI: {becomes}");
                self.states.push(checks::USER_DID_EQUALS_LINE_URI.at(PATH, words));
            }
        }
        // Row 6 is the exception: there the Line URI is the CIC phone's number.
        if self.row == Some(Row::R6) {
            let extension = self.user.cic.as_ref().and_then(|c| c.extension.as_deref());
            let own = self.directory.is_did(line, &self.user.id)
                || contact.and_then(address_number) == Some(line)
                || extension.and_then(|e| canonical(self.config, e)) == Some(line)
                || extension.is_some_and(|e| line.ext().to_string() == e);
            if !own {
                let words = format!("{line} is no DID, extension or contact address of the user");
                self.states.push(checks::USER_LINE_URI_NOT_CIC_NUMBER.at(PATH, words));
            }
        }
    }

    fn line_server(&mut self, lync: &LyncAccount) {
        const PATH: &str = "lync.lineServer";
        match lync.line_server.as_deref().filter(|l| !l.is_empty()) {
            Some(given) if !is_sip_address(given) => {
                let words = format!("{given:?} is not sip:user@host");
                self.states.push(checks::USER_LINE_SERVER_FORM.at(PATH, words));
            }
            None if self.row.is_some_and(|r| required(r).line_server == Need::Yes) => {
                self.states.push(checks::USER_MISSING_LINE_SERVER.at(PATH, "it is not set"));
            }
            _ => {}
        }
    }

    fn telephony(&mut self, lync: &LyncAccount) {
        const PATH: &str = "lync.telephony";
        let lync_phone = matches!(self.row, Some(Row::R2 | Row::R3 | Row::R4 | Row::R5));
        let rcc = self.row == Some(Row::R6);
        match lync.telephony {
            TelephonyMode::Dual if lync_phone || rcc => {
                self.states.push(checks::USER_TELEPHONY_DUAL.at(PATH, "the mode is Dual"));
            }
            TelephonyMode::Uc if rcc => {
                self.states.push(checks::USER_ENTERPRISE_VOICE_ON.at(PATH, "the mode is Uc"));
            }
            TelephonyMode::None if rcc => {
                let words = "the mode is None: the Lync client controls nothing";
                self.states.push(checks::USER_ENTERPRISE_VOICE_ON.at(PATH, words));
            }
            mode @ (TelephonyMode::Rcc | TelephonyMode::None) if lync_phone => {
                self.states
                    .push(checks::USER_ENTERPRISE_VOICE_OFF.at(PATH, format!("the mode is {}", mode.name())));
            }
            _ => {}
        }
    }
}
