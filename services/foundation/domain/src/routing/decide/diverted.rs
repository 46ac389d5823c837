//! What a call that is sent elsewhere says of whom it was for (domain rules 3.2 B, 9.1).

use std::fmt::Write as _;

use super::super::attempt::{Earlier, Method, Retargeted};
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
            DiversionForm::HistoryInfo => self.history(by, trunk, strip, request_uri),
        };
        Some(Diverted { header: trunk.identity.diversion, entry: entry.into() })
    }

    /// The entries that go on from those of the message (RFC 7044 9.1): whoever sent the call elsewhere on its way here,
    /// and where it goes now. Whom the message has as the called stands there already.
    fn history(&self, by: String, trunk: &Trunk, strip: bool, request_uri: &str) -> String {
        let hints = &self.call.attempt.hints;
        let earlier =
            hints.earlier.iter().map(|Earlier { by, retargeted }| (self.diverting(by, trunk), *retargeted));
        // Entries that are stripped are not gone on from.
        let before = hints.history.filter(|index| !strip && is_index(index));
        let mut out = String::with_capacity(128);
        let mut index = before.unwrap_or_default().to_owned();
        for (by, why) in earlier.chain([(Some(by), hints.retargeted)]).skip(usize::from(before.is_some())) {
            // Who may not be shown there stands nowhere.
            let Some(by) = by else { continue };
            let cause = why.map_or(302, Retargeted::cause);
            let _ = write!(out, "<{by}?Reason=SIP%3Bcause%3D{cause}>;");
            index = entry(&mut out, &index);
            out.push_str(", ");
        }
        let _ = write!(out, "<{}>;", without_headers(request_uri));
        entry(&mut out, &index);
        out
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

/// Writes the place of an entry below another, and gives its index.
fn entry(out: &mut String, above: &str) -> String {
    let index = if above.is_empty() { "1".to_owned() } else { format!("{above}.1") };
    let _ = write!(out, "index={index}");
    if !above.is_empty() {
        let _ = write!(out, ";mp={above}");
    }
    index
}

/// A URI without its `?headers`.
fn without_headers(uri: &str) -> &str {
    uri.split('?').next().unwrap_or_default()
}

/// Whether this is an index of History-Info: `1.1.2` (RFC 7044 9.1).
fn is_index(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
