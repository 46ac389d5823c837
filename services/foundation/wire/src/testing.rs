//! Arbitrary records, for property tests here and in other crates (feature `testing`).
//!
//! What they yield is in the normal form that [`crate::directory`] speaks of, and otherwise anything: strange
//! letters, half-configured users, names that point at nothing. Policies are arbitrary documents, not such that compile.
//!
//! The generators are boxed: unboxed, one of a change would fill a test thread's stack.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use tandem_domain::document::directory::{
    CicAccount, LyncAccount, NumberAssignment, Phone, Station, User, Workgroup,
};
use tandem_domain::document::policy::Treatments;
use tandem_domain::document::terms::{
    AssignmentKind, CallControl, PhoneKind, Source, StationKind, TelephonyMode,
};
use tandem_domain::id::{
    Incarnation, ListenerName, Revision, SiteName, StationId, TenantId, TenantName, TrunkName, UserId,
    WorkgroupId,
};
use tandem_domain::ingress::Network;
use tandem_domain::record::{Change, Claimed, IngressClaim, PolicyRecord, Record, TenantRecord, cell};
use tandem_proto::routing::v1 as pb;

mod policy;
mod total;

pub use policy::spec;
pub use total::read_all;

/// A name as Kubernetes allows it.
pub fn label() -> impl Strategy<Value = String> {
    "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?"
}

/// An id as vendors' tools allow it, of at most `max` characters.
pub fn printable(max: usize) -> impl Strategy<Value = String> {
    let allowed = |c: char| !c.is_control() && !r#"/"\"#.contains(c);
    // Replaced, not filtered: a long run would use up its rejections.
    let any = prop::char::any().prop_map(move |c| if allowed(c) { c } else { 'x' });
    prop_oneof![
        "[a-z]{1,8}(\\.[a-z]{1,8})?",
        "[A-Z][a-z]{1,8} [A-Z][a-z]{1,8}",
        "[.%+;=:@ ~#?&]{1,4}",
        vec(any, 1..max.min(24)).prop_map(String::from_iter),
    ]
}

/// One line of text that is not empty.
pub fn line() -> impl Strategy<Value = String> {
    let any = prop::char::any().prop_map(|c| if c.is_control() { 'x' } else { c });
    prop_oneof!["[a-zA-Z0-9:@.;=+-]{1,24}", vec(any, 1..16).prop_map(String::from_iter)]
}

/// A number in canonical form.
pub fn canonical() -> impl Strategy<Value = String> {
    prop_oneof!["\\+[1-9][0-9]{5,14}", "\\+[1-9][0-9]{5,10};ext=[0-9]{2,5}", "[0-9]{2,6}"]
}

fn site() -> impl Strategy<Value = SiteName> {
    label().prop_map(|name| SiteName::parse(&name).unwrap_or_else(|_| unreachable(&name)))
}

fn user_id() -> impl Strategy<Value = UserId> {
    printable(128).prop_map(|id| UserId::parse(&id).unwrap_or_else(|_| unreachable(&id)))
}

fn station_id() -> impl Strategy<Value = StationId> {
    printable(128).prop_map(|id| StationId::parse(&id).unwrap_or_else(|_| unreachable(&id)))
}

fn workgroup_id() -> impl Strategy<Value = WorkgroupId> {
    printable(128).prop_map(|id| WorkgroupId::parse(&id).unwrap_or_else(|_| unreachable(&id)))
}

fn unreachable<T>(text: &str) -> T {
    panic!("a generator made a name that is none: {text:?}")
}

/// A tenant.
pub fn tenant() -> impl Strategy<Value = TenantId> {
    (label(), any::<u128>()).prop_map(|(name, incarnation)| TenantId {
        name: TenantName::parse(&name).unwrap_or_else(|_| unreachable(&name)),
        incarnation: Incarnation(incarnation),
    })
}

/// What happens when a call is not taken.
pub fn treatments() -> BoxedStrategy<Treatments> {
    let targets = (of(canonical()), of(canonical()), of(1_u16..), of(canonical()));
    targets
        .prop_map(|(on_busy, on_no_answer, no_answer_seconds, on_unreachable)| Treatments {
            on_busy,
            on_no_answer,
            no_answer_seconds,
            on_unreachable,
        })
        .boxed()
}

/// A call attempt as a client may send it: sometimes right.
pub fn attempt() -> BoxedStrategy<pb::CallAttempt> {
    let ingress = prop_oneof![
        label().prop_map(pb::call_attempt::Ingress::Trunk),
        printable(128).prop_map(pb::call_attempt::Ingress::User),
    ];
    let called = prop_oneof![canonical(), line(), Just(String::new())];
    let hints = (any::<(bool, bool)>(), 0_u32..300, 0_i32..5, "[ -~]{0,20}", 0_i32..6, "[0-9.]{0,8}");
    let parties = (called, line(), of(line()), of(line()));
    (of(ingress), parties, hints)
        .prop_map(|(ingress, (called, caller, asserted, forwarded_by), hints)| pb::CallAttempt {
            ingress,
            called,
            caller,
            asserted: asserted.unwrap_or_default(),
            private: hints.0.0,
            replaces: hints.0.1,
            forwarded_by: forwarded_by.unwrap_or_default(),
            forwards: hints.1,
            method: hints.2,
            call_id: hints.3,
            retargeted: hints.4,
            history_index: hints.5,
        })
        .boxed()
}

/// A user, configured or half configured.
pub fn user() -> BoxedStrategy<User> {
    let source = || of(select(Source::ALL));
    let cic = (line(), of(line()), of(line()), source()).prop_map(
        |(user_id, extension, nt_domain_account, source)| CicAccount {
            user_id,
            extension,
            nt_domain_account,
            source,
        },
    );
    let lync = (line(), of(line()), of(line()), select(TelephonyMode::ALL), source()).prop_map(
        |(sip_address, line_uri, line_server, telephony, source)| LyncAccount {
            sip_address,
            line_uri,
            line_server,
            telephony,
            source,
        },
    );
    let phone = (select(PhoneKind::ALL), of(line()), any::<Option<bool>>(), any::<bool>())
        .prop_map(|(kind, vendor, lync_certified, paired)| Phone { kind, vendor, lync_certified, paired });
    let person = (user_id(), of(line()), of(cic), of(lync), select(CallControl::ALL), of(phone));
    (person, any::<bool>(), of(station_id()), of(site()), treatments())
        .prop_map(
            |((id, display_name, cic, lync, call_control, phone), plug_in, station, site, treatments)| User {
                id,
                display_name,
                cic,
                lync,
                call_control,
                phone,
                plug_in,
                station,
                site,
                treatments,
            },
        )
        .boxed()
}

/// A station.
pub fn station() -> BoxedStrategy<Station> {
    let place = (of(line()), of(line()), of(site()));
    (station_id(), select(StationKind::ALL), place, any::<(bool, bool, Option<u16>)>())
        .prop_map(
            |(id, kind, (contact_address, extension, site), (audio_licence, acd_licence, ring_seconds))| {
                Station {
                    id,
                    kind,
                    contact_address,
                    extension,
                    site,
                    audio_licence,
                    acd_licence,
                    ring_seconds,
                }
            },
        )
        .boxed()
}

/// A workgroup.
pub fn workgroup() -> BoxedStrategy<Workgroup> {
    let named = (workgroup_id(), of(line()), of(line()));
    (named, vec(user_id(), 0..6), treatments(), of(canonical()))
        .prop_map(|((id, display_name, extension), members, treatments, hunt_target)| Workgroup {
            id,
            display_name,
            extension,
            members,
            treatments,
            hunt_target,
        })
        .boxed()
}

/// A number assignment.
pub fn number() -> BoxedStrategy<NumberAssignment> {
    (canonical(), select(AssignmentKind::ALL), of(user_id()), of(workgroup_id()), treatments())
        .prop_map(|(number, kind, user, workgroup, treatments)| NumberAssignment {
            number,
            kind,
            user,
            workgroup,
            treatments,
        })
        .boxed()
}

/// An ingress claim.
pub fn ingress_claim() -> BoxedStrategy<IngressClaim> {
    let listener = || label().prop_map(|l| ListenerName::parse(&l).unwrap_or_else(|_| unreachable(&l)));
    let network = (any::<IpAddr>(), 0_u8..=128).prop_map(|(address, bits)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        Network::new(address, bits.min(most)).unwrap_or_else(|| unreachable("network"))
    });
    let what = prop_oneof![
        (listener(), network, of(canonical())).prop_map(|(listener, network, called)| Claimed::Source {
            listener,
            network,
            called
        }),
        (line(), of(canonical())).prop_map(|(name, called)| Claimed::Certificate { name, called }),
        (listener(), line()).prop_map(|(listener, domain)| Claimed::Domain { listener, domain }),
    ];
    (what, tenant(), label())
        .prop_map(|(what, tenant, trunk)| IngressClaim {
            what,
            tenant,
            trunk: TrunkName::parse(&trunk).unwrap_or_else(|_| unreachable(&trunk)),
        })
        .boxed()
}

/// A tenant's policy as it was accepted.
pub fn policy() -> BoxedStrategy<PolicyRecord> {
    (any::<u64>(), spec()).prop_map(|(generation, spec)| PolicyRecord { generation, spec }).boxed()
}

/// A change of any record that the feed carries: of one of two tenants, so that chunks have neighbours to join.
pub fn change() -> BoxedStrategy<Change> {
    let record = prop_oneof![
        (tenant(), any::<bool>())
            .prop_map(|(tenant, deleting)| Record::Tenant(TenantRecord { tenant, deleting })),
        policy().prop_map(|policy| Record::Policy(Arc::new(policy))),
        user().prop_map(|user| Record::User(Arc::new(user))),
        station().prop_map(|station| Record::Station(Arc::new(station))),
        workgroup().prop_map(|workgroup| Record::Workgroup(Arc::new(workgroup))),
        number().prop_map(|number| Record::Number(Arc::new(number))),
        ingress_claim().prop_map(|claim| Record::IngressClaim(Arc::new(claim))),
    ];
    (record, any::<bool>(), any::<bool>(), line(), any::<(u64, u64)>())
        .prop_map(|(record, deleted, first, key, (revision, at))| {
            let kind = record.kind();
            let tenant = match &record {
                Record::Tenant(_) | Record::IngressClaim(_) => cell(),
                _ => TenantId {
                    name: TenantName::parse(if first { "acme" } else { "globex" })
                        .unwrap_or_else(|_| unreachable("tenant")),
                    incarnation: Incarnation(u128::from(first)),
                },
            };
            let key = match &record {
                Record::Policy(_) => String::new(),
                Record::User(user) => user.id.to_string(),
                Record::Station(station) => station.id.to_string(),
                Record::Workgroup(workgroup) => workgroup.id.to_string(),
                Record::Tenant(birth) => birth.tenant.name.to_string(),
                _ => key,
            };
            let record = (!deleted).then_some(record);
            Change { tenant, kind, key, record, revision: Revision(revision), at }
        })
        .boxed()
}
