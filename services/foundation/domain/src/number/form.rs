//! How a number is written to a peer: each trunk names its form.

use super::parse::Dialled;
use super::{Number, Numbering};
use crate::document::terms::NumberForm;

/// A number and how it was dialled, to be written to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written<'a> {
    /// The number.
    pub number: Number,
    /// What was dialled, for [`NumberForm::AsReceived`]; none, or what is no number: written as +E.164.
    pub dialled: Option<&'a Dialled<'a>>,
    /// The peer's form.
    pub form: NumberForm,
    /// How numbers are written nationally where the caller is.
    pub numbering: Numbering,
}

/// Appends a number as a peer writes it: `+4930123456`, `4930123456`, `030123456`, with `;ext=` where there is one.
///
/// A number of the tenant's own has one form. A global number of another country, or where the country is not
/// known, is written as +E.164 in the national form: what is dialled before it abroad is the peer's to know.
pub fn write_number(out: &mut String, written: &Written<'_>) {
    // Digit by digit, without the formatting machinery: two or three numbers are written for every call.
    match (written.form, written.dialled) {
        (NumberForm::AsReceived, Some(Dialled::Local(digits))) => out.push_str(digits.as_str()),
        _ if !written.number.is_global() => return written.number.push_to(out),
        (NumberForm::E164, _) => written.number.digits().push_to(out),
        (NumberForm::National, _) => match national(written) {
            Some((prefix, national)) => {
                prefix.push_to(out);
                national.push_to(out);
            }
            None => push_global(out, written.number),
        },
        _ => push_global(out, written.number),
    }
    let ext = written.number.ext();
    if !ext.is_empty() {
        out.push_str(";ext=");
        ext.push_to(out);
    }
}

fn push_global(out: &mut String, number: Number) {
    out.push('+');
    number.digits().push_to(out);
}

fn national(written: &Written<'_>) -> Option<(super::Digits, super::Digits)> {
    let Numbering { country_code, national_prefix } = written.numbering;
    let digits = written.number.digits();
    let known = !country_code.is_empty() && digits.starts_with(country_code);
    let rest = digits.skip(country_code.len());
    (known && !rest.is_empty()).then_some((national_prefix, rest))
}

/// Appends the SIP URI of a number at a host: `sip:+4930123456@gw.example:5070;user=phone`.
///
/// `user=phone` is given only with +: without it the user part is no telephone-subscriber of RFC 3966, which
/// demands a phone-context for local digits. An IPv6 address gets its brackets.
pub fn write_uri(out: &mut String, written: &Written<'_>, host: &str, port: Option<u16>) {
    out.push_str("sip:");
    let user = out.len();
    write_number(out, written);
    let phone = out.get(user..).is_some_and(|u| u.starts_with('+'));
    // Byte by byte: a search machine costs more to start than so short a text to walk.
    let bare_v6 = !host.starts_with('[') && host.bytes().any(|b| b == b':');
    out.push('@');
    if bare_v6 {
        out.push('[');
    }
    out.push_str(host);
    if bare_v6 {
        out.push(']');
    }
    if let Some(port) = port {
        out.push(':');
        out.push_str(itoa::Buffer::new().format(port));
    }
    if phone {
        out.push_str(";user=phone");
    }
}

/// Appends the `tel:` URI of a global number; of a number of the tenant's own, with its context (RFC 3966 5.1.5).
pub fn write_tel(out: &mut String, number: Number, context: &str) {
    out.push_str("tel:");
    number.push_to(out);
    if !number.is_global() {
        out.push_str(";phone-context=");
        out.push_str(context);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{Digits, parse};

    #[test]
    fn each_form_is_written_as_its_peer_reads_it() {
        let berlin = Numbering {
            country_code: Digits::parse(b"49").unwrap(),
            national_prefix: Digits::parse(b"0").unwrap(),
        };
        for (form, number, expected) in [
            (NumberForm::E164Plus, "+4930123456", "sip:+4930123456@gw.example;user=phone"),
            (NumberForm::E164Plus, "+4930123456;ext=12", "sip:+4930123456;ext=12@gw.example;user=phone"),
            (NumberForm::E164, "+4930123456", "sip:4930123456@gw.example"),
            (NumberForm::National, "+4930123456", "sip:030123456@gw.example"),
            (NumberForm::National, "+442012345", "sip:+442012345@gw.example;user=phone"),
            (NumberForm::National, "+49", "sip:+49@gw.example;user=phone"),
            (NumberForm::AsReceived, "+4930123456", "sip:00049301@gw.example"),
            (NumberForm::E164Plus, "3456", "sip:3456@gw.example"),
            (NumberForm::E164, "3456", "sip:3456@gw.example"),
        ] {
            let number = Number::parse_canonical(number).unwrap();
            let dialled = parse::parse("00049301").unwrap();
            let written = Written { number, dialled: Some(&dialled), form, numbering: berlin };
            let mut out = String::new();
            write_uri(&mut out, &written, "gw.example", None);
            assert_eq!(out, expected, "{form:?}");
        }
    }

    #[test]
    fn hosts_ports_and_tel_uris_are_well_formed() {
        let number = Number::parse_canonical("+4930").unwrap();
        let written =
            Written { number, dialled: None, form: NumberForm::AsReceived, numbering: Numbering::default() };
        for (host, port, expected) in [
            ("2001:db8::1", Some(5070), "sip:+4930@[2001:db8::1]:5070;user=phone"),
            ("[2001:db8::1]", None, "sip:+4930@[2001:db8::1];user=phone"),
            ("192.0.2.1", Some(5060), "sip:+4930@192.0.2.1:5060;user=phone"),
        ] {
            let mut out = String::new();
            write_uri(&mut out, &written, host, port);
            assert_eq!(out, expected);
            assert_eq!(parse::parse(&out).unwrap(), parse::Dialled::Global(number));
        }
        let mut out = String::new();
        write_tel(&mut out, number, "example.com");
        write_tel(&mut out, Number::parse_canonical("3456").unwrap(), "example.com");
        assert_eq!(out, "tel:+4930tel:3456;phone-context=example.com");
    }
}
