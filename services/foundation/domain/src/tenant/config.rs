//! The compiled policy, as plain structs.

mod limits;
mod trunk;

use std::hint::black_box;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::document::policy;
use crate::document::terms::{
    InboundOption, LyncPstnEgress, MediaLost, MediaPath, Model, RouteOwner, TrunkRole,
};
use crate::id::{SiteName, TenantName};
use crate::number::{Digits, Number};

pub use limits::{AlikeMax, Limits};
pub use trunk::{Address, Identity, Ingress, RetryOn, Trunk, Trunks};

use super::tables::{DialPlan, ExplicitRoute, Prefix, Range, Ranges, RoleSet, Routes, SiteSet};

/// A trunk of a [`Config`]: its place in [`Config::trunks`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrunkIx(pub u16);

/// A site of a [`Config`]: its place in [`Config::sites`]. At most 64 of them, so that a set is one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SiteIx(pub u8);

impl SiteIx {
    /// The provider's data centre.
    pub const CLOUD: Self = Self(0);

    /// Whether this is a customer's premises.
    #[must_use]
    pub const fn is_premises(self) -> bool {
        self.0 != Self::CLOUD.0
    }
}

/// Emergency dial strings. Few, and every call is held against them, so that they lie where they are read.
pub type DialStrings = SmallVec<[Digits; 4]>;

/// A tenant's policy: checked, resolved, with every default filled in.
///
/// What every call reads stands first, so that it lies in few lines of the cache.
#[derive(Clone, PartialEq, Debug)]
#[repr(C, align(64))]
pub struct Config {
    /// Where control and media live. Crossings are computed from sites, never from this.
    pub model: Model,
    /// Which system a call from the gateway meets first.
    pub inbound: InboundOption,
    /// Who takes a Lync user's call to the PSTN out.
    pub lync_pstn_egress: LyncPstnEgress,
    /// Where components stand.
    pub places: Places,
    /// Option 1: where the proxy sends a number of the ranges that nobody owns. Never `Workgroup`.
    pub default_route: Option<RouteOwner>,
    /// Switches.
    pub features: Features,
    /// Limits.
    pub limits: Limits,
    /// Every trunk, in the document's order.
    pub trunks: Trunks,
    /// Every site; the cloud is the first, whether it was listed or not.
    pub sites: Vec<Site>,
    /// Explicit routes.
    pub routes: Routes,
    /// How what people dial becomes a number.
    pub dial_plan: DialPlan,
    /// Every emergency dial string of the tenant and its sites: for callers whose site is not known.
    pub emergency_numbers: DialStrings,
    /// Who may call what by which trunk; the first that fits wins, what none fits is refused.
    pub toll: Vec<TollRule>,
    /// The numbers that carriers give this tenant.
    pub ranges: Ranges,
    /// What happens when a user or workgroup without a treatment of its own cannot take a call.
    pub treatments: Treatments,
    /// Where audio may go.
    pub media: Media,
    /// What Lync is set to.
    pub lync: LyncSettings,
    /// What works when the WAN is lost or an element is dead.
    pub survivable: Survivable,
    /// The tenant.
    pub name: TenantName,
    /// As people call it.
    pub display_name: Option<Arc<str>>,
    /// The cell that serves it.
    pub cell: Option<Arc<str>>,
}

impl Config {
    /// A trunk by its place.
    ///
    /// # Panics
    /// When the place is another config's.
    #[must_use]
    pub fn trunk(&self, ix: TrunkIx) -> &Trunk {
        &self.trunks[usize::from(ix.0)]
    }

    /// Brings what every decision reads into the cache.
    pub(crate) fn look_at(&self) {
        black_box((self.inbound, self.trunks.len(), self.sites.len(), self.emergency_numbers.len()));
    }

    /// And what lies behind pointers there, for a call by this trunk.
    pub(crate) fn look_further(&self, ingress: Option<&str>) {
        black_box(self.routes.iter().next().map(|route| route.exact));
        self.trunks.look_at(ingress, self.inbound);
        for site in &self.sites {
            black_box(site.country_code);
        }
    }

    /// A trunk by its name.
    #[must_use]
    pub fn trunk_named(&self, name: &str) -> Option<TrunkIx> {
        self.trunks.named(name)
    }

    /// The trunks of a role, in the document's order.
    pub fn trunks_of(&self, role: TrunkRole) -> impl Iterator<Item = TrunkIx> {
        self.trunks.of(role)
    }

    /// A site by its place.
    ///
    /// # Panics
    /// When the place is another config's.
    #[must_use]
    pub fn site(&self, ix: SiteIx) -> &Site {
        &self.sites[usize::from(ix.0)]
    }

    /// A site by its name.
    #[must_use]
    pub fn site_named(&self, name: &str) -> Option<SiteIx> {
        let at = self.sites.iter().position(|s| s.name.as_str() == name)?;
        u8::try_from(at).ok().map(SiteIx)
    }

    /// The explicit route of a number: the longest pattern that fits.
    #[must_use]
    pub fn explicit_route(&self, number: Number) -> Option<&ExplicitRoute> {
        self.routes.find(number)
    }

    /// The range of the tenant that a number lies in: the longest prefix. None: it is not the tenant's.
    #[must_use]
    pub fn range(&self, number: Number) -> Option<&Range> {
        self.ranges.find(number)
    }

    /// The first toll rule that fits a call to the PSTN, with its place in the document.
    ///
    /// `from` is the role of the ingress trunk; none: from a user's own phone, of which rules for CIC or Lync speak
    /// too. A rule that names sites never fits a caller whose site is not known.
    #[must_use]
    pub fn toll_rule(
        &self,
        from: Option<TrunkRole>,
        site: Option<SiteIx>,
        called: Number,
    ) -> Option<(usize, &TollRule)> {
        self.toll.iter().enumerate().find(|(_, rule)| rule.fits(from, site, called))
    }

    /// Whether what was dialled (digits only) is an emergency string at the caller's site.
    #[must_use]
    pub fn is_emergency(&self, site: Option<SiteIx>, dialled: Digits) -> bool {
        let numbers = match site {
            Some(ix) => &self.site(ix).emergency.numbers,
            None => &self.emergency_numbers,
        };
        numbers.contains(&dialled)
    }
}

/// A place, with what is dialled there, which every call reads, in one line of the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub struct Site {
    /// The country code without plus; empty where none is given.
    pub country_code: Digits,
    /// What is dialled before a national number; empty where there is none.
    pub national_prefix: Digits,
    /// Emergency calls from here.
    pub emergency: SiteEmergency,
    /// Its name.
    pub name: SiteName,
    /// As people call it.
    pub display_name: Option<Arc<str>>,
}

/// Emergency calls from a site.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct SiteEmergency {
    /// Dial strings that hold here: the site's own, or else the tenant's.
    pub numbers: DialStrings,
    /// Gateways, in order of preference. Never empty at a site with phones.
    pub egress: Box<[TrunkIx]>,
    /// The number that a rescuer calls back.
    pub callback: Option<Number>,
}

/// The site of each component (domain rules 2.1): the model's placement, unless policy says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// The PSTN gateway, or where the carrier's calls enter.
    pub gateway: SiteIx,
    /// The SIP proxy, which Tandem's edge can be.
    pub proxy: SiteIx,
    /// The CIC server pair.
    pub cic: SiteIx,
    /// Interaction Media Server.
    pub media_server: SiteIx,
    /// Front End, Mediation and Active Directory.
    pub lync: SiteIx,
    /// Phones, of CIC and of Lync, whose user or station names no site.
    pub phones: SiteIx,
}

impl Places {
    /// Where a role stands.
    #[must_use]
    pub const fn of(&self, role: TrunkRole) -> SiteIx {
        match role {
            TrunkRole::Gateway => self.gateway,
            TrunkRole::SipProxy => self.proxy,
            TrunkRole::Cic => self.cic,
            TrunkRole::Lync => self.lync,
            TrunkRole::MediaServer => self.media_server,
        }
    }
}

/// Where audio may go (domain rules 2.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// CIC's audio path.
    pub path: MediaPath,
    /// Whether calls that CIC handles are recorded.
    pub recorded: bool,
    /// Whether CIC may record calls to Lync-only users that pass it.
    pub record_lync_users: bool,
    /// Whether audio of premises may be anchored elsewhere.
    pub media_may_leave_premises: bool,
    /// What happens to a recorded call when no media server of the premises is up.
    pub media_server_lost: MediaLost,
    /// CIC's media server selection. None: its default order, which ends at any.
    pub selection: Option<MediaSelection>,
    /// Whether Lync's media bypass is on.
    pub bypass: bool,
}

/// CIC's media server selection rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaSelection {
    /// Sites whose media servers may be chosen.
    pub sites: SiteSet,
    /// Whether the rule ends with `<Any>`.
    pub any: bool,
    /// Sites that are never chosen.
    pub exclude: SiteSet,
}

/// Who may call what by which trunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TollRule {
    /// Roles of the ingress trunk; empty: any.
    pub from: RoleSet,
    /// Sites of the caller; empty: any.
    pub sites: SiteSet,
    /// What is called; empty: any.
    pub called: Box<[Prefix]>,
    /// Trunks that may be used; empty: any gateway.
    pub trunks: Box<[TrunkIx]>,
    /// Whether the call may be made.
    pub allow: bool,
}

impl TollRule {
    /// Whether the rule speaks of such a call. `trunks` is no condition: it narrows what an allowed call may use.
    #[must_use]
    pub fn fits(&self, from: Option<TrunkRole>, site: Option<SiteIx>, called: Number) -> bool {
        let own_phone = self.from.has(TrunkRole::Cic) || self.from.has(TrunkRole::Lync);
        (self.from.is_empty() || from.map_or(own_phone, |r| self.from.has(r)))
            && (self.sites.is_empty() || site.is_some_and(|s| self.sites.has(s)))
            && (self.called.is_empty() || self.called.iter().any(|p| p.fits(called)))
    }

    /// Whether an allowed call may use a trunk.
    #[must_use]
    pub fn may_use(&self, trunk: TrunkIx) -> bool {
        self.allow && (self.trunks.is_empty() || self.trunks.contains(&trunk))
    }
}

/// What happens when a call is not taken (domain rules 3.2 B).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Treatments {
    /// The called is busy.
    pub on_busy: Option<Number>,
    /// Nobody answers within `no_answer_seconds`.
    pub on_no_answer: Option<Number>,
    /// How long it rings, in seconds.
    pub no_answer_seconds: u16,
    /// No trunk could reach it.
    pub on_unreachable: Option<Number>,
}

impl Treatments {
    /// How long it rings, in seconds, where nobody says.
    pub const NO_ANSWER_SECONDS: u16 = 20;

    /// What anything rings, in seconds: shorter than CIC's shortest station timeout nobody reaches a phone (domain
    /// rules 3.6), longer nobody waits.
    pub const NO_ANSWER_SECONDS_IN: std::ops::RangeInclusive<u16> = 7..=300;

    /// These, but with what a user, workgroup or number sets of its own. What is no number counts as not set, and a
    /// time out of range as the end of the range next to it: the directory's check names both.
    #[must_use]
    pub fn with(self, own: &policy::Treatments) -> Self {
        let number =
            |own: &Option<String>, default| own.as_deref().and_then(Number::parse_canonical).or(default);
        Self {
            on_busy: number(&own.on_busy, self.on_busy),
            on_no_answer: number(&own.on_no_answer, self.on_no_answer),
            no_answer_seconds: own.no_answer_seconds.map_or(self.no_answer_seconds, |s| {
                s.clamp(*Self::NO_ANSWER_SECONDS_IN.start(), *Self::NO_ANSWER_SECONDS_IN.end())
            }),
            on_unreachable: number(&own.on_unreachable, self.on_unreachable),
        }
    }
}

/// What Lync is set to, as far as routes depend on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LyncSettings {
    /// PSTN usages of the trunk to the gateway.
    pub gateway_usages: Box<[Arc<str>]>,
    /// PSTN usages of the trunk to CIC.
    pub cic_usages: Box<[Arc<str>]>,
    /// Whether the two share one: without it Lync passes no call from gateway to CIC (inter-trunk routing).
    pub usage_shared: bool,
    /// Enterprise Voice voicemail divert, in seconds.
    pub voicemail_seconds: Option<u16>,
    /// Whether CIC reaches Mediation on a Lync line of its own, or through the proxy.
    pub cic_line_direct: bool,
}

/// What works when the WAN is lost or an element is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Survivable {
    /// Options 2 and 3: whether there is a route past the lost element.
    pub secondary_route: bool,
    /// Where calls to queues go.
    pub hunt_target: Option<Number>,
    /// How long the CIC must have been silent, in seconds.
    pub cic_silent_seconds: u16,
}

impl Survivable {
    /// How long the CIC must have been silent, in seconds, where policy says nothing.
    pub const CIC_SILENT_SECONDS: u16 = 10;
}

/// Switches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// Endpoint row 5.
    pub row5: bool,
}
