//! By what a record of the directory is found: its numbers and its names.

use super::Person;
use super::TenantView;
use super::names::{self, Of};
use super::numbers::Role;
use super::slots::Slots;
use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::id::SiteName;
use crate::number::{Number, Origin, canonical, parse};
use crate::tenant::Config;

/// A record of the directory that has numbers.
pub(crate) trait Numbered {
    /// Calls `take` with each number that the record has, once for each role.
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role));
}

/// A record of the directory that has an id and other names.
pub(super) trait Named: Numbered {
    /// What its id is.
    const OF: Of;

    fn id(&self) -> &str;

    /// Calls `take` with the hash of each name, the id's among them.
    fn names(&self, take: &mut impl FnMut(u64));

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self>
    where
        Self: Sized;
}

pub(super) fn origin(config: &Config, site: Option<&SiteName>) -> Origin {
    Origin { trunk: None, site: site.and_then(|s| config.site_named(s.as_str())) }
}

pub(super) fn number(config: &Config, origin: Origin, text: &str) -> Option<Number> {
    canonical(config, origin, &parse(text).ok()?).ok()
}

impl Numbered for NumberAssignment {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        if let Some(n) = number(config, Origin::default(), &self.number) {
            take(n, Role::Assignment);
        }
    }
}

/// An extension is unique in the tenant: it is found as anybody dials it, and as its own site does.
fn extension(
    config: &Config,
    text: Option<&String>,
    site: Option<&SiteName>,
    role: Role,
    take: &mut impl FnMut(Number, Role),
) {
    let Some(text) = text else { return };
    let everywhere = number(config, Origin::default(), text);
    everywhere.into_iter().for_each(|n| take(n, role));
    let origin = origin(config, site);
    if origin.site.is_some() {
        let here = number(config, origin, text).filter(|n| Some(*n) != everywhere);
        here.into_iter().for_each(|n| take(n, role));
    }
}

impl Numbered for User {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        let cic = self.cic.as_ref().and_then(|c| c.extension.as_ref());
        extension(config, cic, self.site.as_ref(), Role::Extension, take);
        let line = self.lync.as_ref().and_then(|l| l.line_uri.as_ref());
        let origin = origin(config, self.site.as_ref());
        if let Some(n) = line.and_then(|l| number(config, origin, l)) {
            take(n, Role::LineUri);
        }
    }
}

impl Numbered for Person {
    fn numbers(&self, _: &Config, take: &mut impl FnMut(Number, Role)) {
        self.extensions().for_each(|n| take(n, Role::Extension));
        self.line().into_iter().for_each(|n| take(n, Role::LineUri));
    }
}

impl Numbered for Station {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        extension(config, self.extension.as_ref(), self.site.as_ref(), Role::Station, take);
    }
}

impl Numbered for Workgroup {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        extension(config, self.extension.as_ref(), None, Role::Workgroup, take);
    }
}

impl Named for Person {
    const OF: Of = Of::User;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self, take: &mut impl FnMut(u64)) {
        take(names::hash(Of::User, &[self.id.as_str()]));
        if let Some(lync) = &self.lync {
            take(names::hash(Of::SipAddress, &[names::bare(&lync.sip_address)]));
        }
        if let Some(cic) = &self.cic {
            take(names::hash(Of::CicUser, &[&cic.user_id]));
        }
        if let Some(station) = &self.station {
            take(names::hash(Of::StationOfUser, &[station.as_str()]));
        }
    }

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self> {
        &mut tenant.users
    }
}

impl Named for Station {
    const OF: Of = Of::Station;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self, take: &mut impl FnMut(u64)) {
        take(names::hash(Of::Station, &[self.id.as_str()]));
    }

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self> {
        &mut tenant.stations
    }
}

impl Named for Workgroup {
    const OF: Of = Of::Workgroup;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self, take: &mut impl FnMut(u64)) {
        take(names::hash(Of::Workgroup, &[self.id.as_str()]));
    }

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self> {
        &mut tenant.workgroups
    }
}
