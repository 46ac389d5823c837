//! What a call that is sent elsewhere says of whom it was for (domain rules 3.2 B, 9.1).

use super::super::attempt::{Method, Retargeted};
use super::super::decision::Diverted;
use super::out::{Writer, host};
use crate::document::terms::{DiversionForm, TrunkRole};
use crate::tenant::Trunk;

impl Writer<'_, '_> {
    /// The entry that a trunk reads. Who refers says so itself, by Referred-By.
    pub(super) fn diverted(&self, trunk: &Trunk, strip: bool, request_uri: &str) -> Option<Diverted> {
        let hints = &self.call.attempt.hints;
        if self.call.attempt.method != Method::Redirect || self.emergency.is_some() {
            return None;
        }
        let by = self.diverting(hints.forwarded_by?, trunk)?;
        let entry = match trunk.identity.diversion {
            DiversionForm::None => return None,
            DiversionForm::Diversion => {
                let reason = hints.retargeted.map_or("unknown", Retargeted::reason);
                // One entry stands for all of them (RFC 5806 4): those that the message does not tell, or that are
                // taken away on the way.
                let times = if strip { hints.forwards } else { hints.diversions };
                format!("<{by}>;reason={reason};counter={}", times.max(1))
            }
            DiversionForm::HistoryInfo => {
                let to = without_headers(request_uri);
                // Entries that are stripped are not gone on from.
                match hints.history.filter(|index| !strip && is_index(index)) {
                    Some(index) => format!("<{to}>;index={index}.1;mp={index}"),
                    None => {
                        let cause = hints.retargeted.map_or(302, Retargeted::cause);
                        format!("<{by}?Reason=SIP%3Bcause%3D{cause}>;index=1, <{to}>;index=1.1;mp=1")
                    }
                }
            }
        };
        Some(Diverted { header: trunk.identity.diversion, entry: entry.into() })
    }

    /// Who diverts, as a SIP URI: a number as the trunk reads it, an address as it came. None: it is neither, or could not
    /// stand between `<` and `>`. Outside a number must be one that may be shown there, as a caller's must.
    fn diverting(&self, by: &str, trunk: &Trunk) -> Option<String> {
        let outside = trunk.role == TrunkRole::Gateway;
        let mut number = self.call.number_said(by);
        if outside {
            let shown = number.filter(|n| n.is_global() && trunk.identity.may_show(*n));
            number = shown.or(trunk.identity.default_number);
        }
        if let Some(number) = number {
            let mut out = String::with_capacity(64);
            self.write_known(&mut out, number, trunk);
            return Some(out);
        }
        if outside {
            return None;
        }
        let address = without_headers(by);
        let stands = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"');
        (host(address).is_some() && address.bytes().all(stands)).then(|| address.to_owned())
    }
}

/// A URI without its `?headers`.
fn without_headers(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

/// Whether this is an index of History-Info: `1.1.2` (RFC 7044 9.1).
fn is_index(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
