//! Arbitrary policies.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use tandem_domain::document::policy::{
    Address, DialOverride, DialPlan, DialRule, Emergency, Features, Identity, Ingress, Length, Limits,
    LyncSettings, Media, MediaSelection, NumberRange, NumberRoute, Numbers, Placement, Site, SiteEmergency,
    Survivable, TenantSpec, Timers, TollRule, Trunk,
};
use tandem_domain::document::terms::{
    DiversionForm, InboundOption, LyncPstnEgress, MediaLost, MediaPath, Model, NumberForm, RouteOwner,
    SrtpMode, Transport, TrunkRole,
};

use super::{label, line, treatments};

fn lines() -> impl Strategy<Value = Vec<String>> {
    vec(line(), 0..3)
}

fn sites() -> BoxedStrategy<Site> {
    let emergency = (lines(), lines(), of(line())).prop_map(|(numbers, egress, callback)| SiteEmergency {
        numbers,
        egress,
        callback,
    });
    (label(), of(line()), of("[1-9][0-9]{0,2}"), of("[0-9]{0,2}"), of(emergency))
        .prop_map(|(name, display_name, country_code, national_prefix, emergency)| Site {
            name,
            display_name,
            country_code,
            national_prefix,
            emergency,
        })
        .boxed()
}

fn trunk() -> BoxedStrategy<Trunk> {
    let address = (line(), any::<(Option<u16>, u16, u16)>())
        .prop_map(|(host, (port, priority, weight))| Address { host, port, priority, weight });
    let identity = (any::<bool>(), of(select(DiversionForm::ALL)), lines(), of(line())).prop_map(
        |(trusted, diversion, screening, default_number)| Identity {
            trusted,
            diversion,
            screening,
            default_number,
        },
    );
    let ingress = (of(label()), of(line()), of(line()), of(line()), lines()).prop_map(
        |(listener, source, certificate, domain, called)| Ingress {
            listener,
            source,
            certificate,
            domain,
            called,
        },
    );
    let peer = (label(), select(TrunkRole::ALL), of(label()), vec(address, 0..3), select(Transport::ALL));
    let forms = (of(select(SrtpMode::ALL)), of(select(NumberForm::ALL)), of(select(NumberForm::ALL)));
    let manners = any::<(bool, Option<bool>, Option<Vec<u16>>, Option<u32>, Option<u32>)>();
    (peer, forms, manners, identity, vec(ingress, 0..3), lines(), lines())
        .prop_map(|(peer, forms, manners, identity, ingress, domains, backup)| Trunk {
            name: peer.0,
            role: peer.1,
            site: peer.2,
            addresses: peer.3,
            transport: peer.4,
            srtp: forms.0,
            number_form_in: forms.1,
            number_form_out: forms.2,
            accept_302: manners.0,
            refer: manners.1,
            retry_on: manners.2,
            timers: Timers { no_response_ms: manners.3, only_100_ms: manners.4 },
            identity,
            ingress,
            domains,
            backup,
        })
        .boxed()
}

fn dial_plan() -> BoxedStrategy<DialPlan> {
    fn rules() -> impl Strategy<Value = Vec<DialRule>> {
        let rule = ("[0-9X]{0,4}", any::<Option<(u8, u8)>>(), any::<u8>(), "\\+?[0-9]{0,4}").prop_map(
            |(prefix, length, strip, prepend)| DialRule {
                prefix,
                length: length.map(|(min, max)| Length { min, max }),
                strip,
                prepend,
            },
        );
        vec(rule, 0..3)
    }
    let over = (of(label()), of(label()), rules()).prop_map(|(trunk, site, rules)| DialOverride {
        trunk,
        site,
        rules,
    });
    (rules(), vec(over, 0..2)).prop_map(|(rules, overrides)| DialPlan { rules, overrides }).boxed()
}

fn numbers() -> BoxedStrategy<Numbers> {
    let range = (line(), of(label())).prop_map(|(prefix, site)| NumberRange { prefix, site });
    let route = (line(), select(RouteOwner::ALL), of(line()), of(line()))
        .prop_map(|(pattern, owner, workgroup, comment)| NumberRoute { pattern, owner, workgroup, comment });
    (vec(range, 0..3), vec(route, 0..3), of(select(RouteOwner::ALL)))
        .prop_map(|(ranges, routes, default_route)| Numbers { ranges, routes, default_route })
        .boxed()
}

fn media() -> BoxedStrategy<Media> {
    let selection = (lines(), any::<bool>(), lines()).prop_map(|(sites, any, exclude)| MediaSelection {
        sites,
        any,
        exclude,
    });
    let switches = any::<(bool, bool, bool, Option<bool>)>();
    (of(select(MediaPath::ALL)), of(select(MediaLost::ALL)), of(selection), switches)
        .prop_map(|(path, media_server_lost, selection, switches)| Media {
            path,
            recorded: switches.0,
            record_lync_users: switches.1,
            media_may_leave_premises: switches.3,
            media_server_lost,
            selection,
            bypass: switches.2,
        })
        .boxed()
}

fn toll() -> BoxedStrategy<TollRule> {
    (vec(select(TrunkRole::ALL), 0..3), lines(), lines(), lines(), any::<bool>())
        .prop_map(|(from, sites, called, trunks, allow)| TollRule { from, sites, called, trunks, allow })
        .boxed()
}

fn placement() -> BoxedStrategy<Placement> {
    let one = || of(label());
    (one(), one(), one(), one(), one(), one())
        .prop_map(|(gateway, proxy, cic, media_server, lync, phones)| Placement {
            gateway,
            proxy,
            cic,
            media_server,
            lync,
            phones,
        })
        .boxed()
}

/// A policy's spec: any document of the shape, whether it compiles or not.
pub fn spec() -> BoxedStrategy<TenantSpec> {
    let heads = (of(label()), of(line()), select(Model::ALL), select(InboundOption::ALL));
    let places = (vec(sites(), 0..3), placement(), vec(trunk(), 0..3), dial_plan(), numbers(), media());
    let lync = (lines(), lines(), any::<(Option<u16>, bool)>()).prop_map(
        |(gateway_usages, cic_usages, (voicemail_seconds, cic_line_direct))| LyncSettings {
            gateway_usages,
            cic_usages,
            voicemail_seconds,
            cic_line_direct,
        },
    );
    let survivable = (any::<(bool, Option<u16>)>(), of(line())).prop_map(
        |((secondary_route, cic_silent_seconds), hunt_target)| Survivable {
            secondary_route,
            hunt_target,
            cic_silent_seconds,
        },
    );
    let rules = (select(LyncPstnEgress::ALL), lines(), vec(toll(), 0..3), treatments(), lync, survivable);
    (heads, places, rules, any::<(bool, Option<u16>, Option<u16>)>())
        .prop_map(|(heads, places, rules, (row5, attempts_alike, attempts_alike_elsewhere))| TenantSpec {
            cell: heads.0,
            display_name: heads.1,
            model: heads.2,
            inbound: heads.3,
            sites: places.0,
            placement: places.1,
            trunks: places.2,
            dial_plan: places.3,
            numbers: places.4,
            media: places.5,
            lync_pstn_egress: rules.0,
            emergency: Emergency { numbers: rules.1 },
            toll: rules.2,
            treatments: rules.3,
            lync: rules.4,
            survivable: rules.5,
            features: Features { row5 },
            limits: Limits { attempts_alike, attempts_alike_elsewhere },
        })
        .boxed()
}
