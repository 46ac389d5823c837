//! A user as it is shown: what was entered, and what is derived from it and from what is around it.

use std::sync::Arc;

use tandem_domain::directory;
use tandem_domain::document::directory::User;
use tandem_domain::number::parse::parse;
use tandem_domain::number::{Number, Origin, canonical};
use tandem_domain::record::Record;
use tandem_domain::tenant::Config;
use tandem_domain::view::{Entry, Person, TenantView};
use tandem_proto::station::v1 as pb;
use tandem_store::codec;
use tandem_wire::{directory as wire, terms};

/// The message of a user of a tenant.
pub(crate) fn message(tenant: &TenantView, user: &Arc<User>) -> pb::User {
    let mut message = wire::user(&tenant.id().name, user);
    message.etag = etag(user);
    message.row = directory::endpoint(user).row().map_or(0, |row| terms::row(row).into());
    // Without policy there is nothing to check against.
    if let Some(config) = tenant.config() {
        let state = directory::check(config, user, tenant);
        message.findings = state.states.iter().map(wire::finding).collect();
    }
    message.revision = tenant.revision().0;
    message
}

/// Whether anything is found with a user.
pub(crate) fn has_findings(tenant: &TenantView, user: &User) -> bool {
    tenant.config().is_some_and(|config| !directory::check(config, user, tenant).states.is_empty())
}

/// The etag of a user: of what was entered, so that every replica and every revision at which the user is the same
/// says the same. The 64-bit FNV-1a hash of the record's bytes.
pub(crate) fn etag(user: &Arc<User>) -> String {
    let bytes = codec::encode(&Record::User(Arc::clone(user)));
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What was written as a number, as the tenant's dial plan understands it.
pub(crate) fn number(config: &Config, text: &str) -> Option<Number> {
    canonical(config, Origin::default(), &parse(text).ok()?).ok()
}

/// The user who has a number: by DID or extension, else by Line URI (domain rules 3.1). None: nobody, or no user.
pub(crate) fn of_number(tenant: &TenantView, number: Number) -> Option<&Arc<User>> {
    let entries = tenant.number(number);
    let by_cic = entries.cic.and_then(|entry| match entry {
        Entry::Assignment(assignment) => assignment.user.as_ref().and_then(|id| tenant.user(id.as_str())),
        Entry::Did(user) | Entry::Extension(user) | Entry::LineUri(user) => Some(user.record()),
        Entry::Station(station) => tenant.user_by_station(station.id.as_str()),
        Entry::Workgroup(_) => None,
    });
    by_cic.or(entries.lync.map(Person::record))
}
