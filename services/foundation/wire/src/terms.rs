//! Closed vocabularies, both ways.
//!
//! Zero is "unspecified" in every enum of the protos and no value of the domain's. A number that this release does not
//! know comes from a newer client; it is refused by name where a value is needed, never guessed.

use tandem_domain::document::terms::{
    AssignmentKind, CallControl, DiversionForm, PhoneKind, Source, StationKind, TelephonyMode, Transport,
};
use tandem_domain::routing::attempt::{Method, Retargeted};
use tandem_domain::routing::plan::Row;
use tandem_domain::routing::trail::Verdict;
use tandem_proto::{routing::v1 as routing, station::v1 as station};

use crate::violation::Reader;

/// An enum of the domain that an enum of the protos carries.
pub(crate) trait Term: Sized + 'static {
    /// The values as the proto names them, for people whose value was refused.
    fn names() -> Vec<&'static str>;

    /// The value of a proto's number; none for unspecified and unknown.
    fn read(number: i32) -> Option<Self>;
}

macro_rules! terms {
    ($($domain:ident = $proto:path as $module:ident { $($variant:ident = $theirs:ident),+ $(,)? })*) => {$(
        impl Term for $domain {
            fn names() -> Vec<&'static str> {
                vec![$(<$proto>::$theirs.as_str_name()),+]
            }

            fn read(number: i32) -> Option<Self> {
                match <$proto>::try_from(number).ok()? {
                    $(<$proto>::$theirs => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        /// The proto's value.
        #[must_use]
        pub const fn $module(value: $domain) -> $proto {
            match value { $($domain::$variant => <$proto>::$theirs,)+ }
        }
    )*};
}

terms! {
    CallControl = station::CallControl as call_control { CicClient = CicClient, LyncClient = LyncClient }
    PhoneKind = station::PhoneKind as phone_kind {
        CicHard = CicHard, CicSoft = CicSoft, LyncHard = LyncHard, LyncSoft = LyncSoft,
    }
    TelephonyMode = station::TelephonyMode as telephony { Uc = Uc, Rcc = Rcc, Dual = Dual, None = None }
    Source = station::Source as source { Tandem = Tandem, Cic = Cic, Lync = Lync }
    StationKind = station::StationKind as station_kind {
        Workstation = Workstation, StandAlone = StandAlone, Remote = Remote, ManagedPhone = ManagedPhone,
    }
    AssignmentKind = station::AssignmentKind as assignment_kind {
        Did = Did, Workgroup = Workgroup, Attendant = Attendant,
    }
    Row = station::EndpointRow as row {
        R1 = EndpointRow1, R2 = EndpointRow2, R3 = EndpointRow3, R4 = EndpointRow4, R5 = EndpointRow5,
        R6 = EndpointRow6, ImOnly = ImOnly,
    }
    Transport = routing::Transport as transport { Udp = Udp, Tcp = Tcp, Tls = Tls, UdpOrTcp = UdpOrTcp }
    Method = routing::call_attempt::Method as method { Invite = Invite, Refer = Refer, Redirect = Redirect }
    Retargeted = routing::call_attempt::Retargeted as retargeted {
        Busy = Busy, NoAnswer = NoAnswer, Unreachable = Unreachable, Deflected = Deflected,
    }
    Verdict = routing::step::Verdict as verdict { Won = Won, Lost = Lost, Applied = Applied }
}

/// The proto's form of a diversion.
#[must_use]
pub const fn diversion(form: DiversionForm) -> routing::identity::DiversionForm {
    match form {
        DiversionForm::Diversion => routing::identity::DiversionForm::Diversion,
        DiversionForm::HistoryInfo => routing::identity::DiversionForm::HistoryInfo,
        DiversionForm::None => routing::identity::DiversionForm::Unspecified,
    }
}

impl Reader {
    /// A term that must be there.
    pub(crate) fn term<T: Term>(&mut self, field: &str, number: i32) -> Option<T> {
        let term = T::read(number);
        if term.is_none() {
            let problem = if number == 0 {
                "is unspecified".to_owned()
            } else {
                format!("{number} is not known to this release")
            };
            self.wrong(field, problem, format!("one of {}", T::names().join(", ")));
        }
        term
    }

    /// A term that may be unspecified.
    pub(crate) fn some_term<T: Term>(&mut self, field: &str, number: i32) -> Option<T> {
        if number == 0 { None } else { self.term(field, number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_or_missing_value_is_refused_with_the_names_of_those_that_would_do() {
        for (number, problem) in [(0, "is unspecified"), (99, "99 is not known to this release")] {
            let mut reader = Reader::new();
            assert_eq!(reader.term::<CallControl>("call_control", number), None);
            let violations = reader.finish(Some(())).unwrap_err();
            assert_eq!(
                violations.to_string(),
                format!("call_control: {problem}; one of CALL_CONTROL_CIC_CLIENT, CALL_CONTROL_LYNC_CLIENT")
            );
        }
    }

    #[test]
    fn every_value_survives_the_way_there_and_back() {
        fn check<T: Copy + PartialEq + std::fmt::Debug + Term>(all: &[T], there: impl Fn(T) -> i32) {
            for value in all {
                assert_eq!(T::read(there(*value)), Some(*value));
            }
        }
        check(CallControl::ALL, |v| call_control(v) as i32);
        check(PhoneKind::ALL, |v| phone_kind(v) as i32);
        check(TelephonyMode::ALL, |v| telephony(v) as i32);
        check(Source::ALL, |v| source(v) as i32);
        check(StationKind::ALL, |v| station_kind(v) as i32);
        check(AssignmentKind::ALL, |v| assignment_kind(v) as i32);
        check(Transport::ALL, |v| transport(v) as i32);
        check(&Retargeted::ALL, |v| retargeted(v) as i32);
        check(&[Method::Invite, Method::Refer, Method::Redirect], |v| method(v) as i32);
    }
}
