//! The gateway's part.

use crate::document::terms::{InboundOption, NumberForm, SrtpMode, TrunkRole};
use crate::tenant::config::{Config, Trunk};

use super::{Basis, EDGE_AT, Item, addresses, first, item};

use Basis::{Documented, Inferred};

pub(super) fn items(config: &Config, edge: bool) -> Vec<Item> {
    let Some(gateway) = first(config, TrunkRole::Gateway) else { return Vec::new() };
    let mut items =
        vec![inbound(config, edge), numbers(config, gateway), failover(config), emergency(config)];
    if gateway.srtp != SrtpMode::NotSupported {
        items.push(
            item("SRTP", "The tenant's policy says that the gateway encrypts audio.", Documented, "2.2")
                .line(format!("{}; TLS on the SIP side", gateway.srtp)),
        );
    }
    items.push(
        item("RTCP, also on hold", "Lync may end a call after 30 s without RTCP.", Documented, "3.5")
            .line("Send RTCP in every call, on hold too"),
    );
    if gateway.accept_302 {
        items.push(
            item(
                "Redirects",
                "The edge answers this gateway with 302 and leaves the way of the call, unless the call is treated \
                 when nobody takes it.",
                Inferred,
                "9.1",
            )
            .line("Follow 302; try its contacts in their order (q), each for 2 to 4 s of silence"),
        );
    }
    items
}

fn inbound(config: &Config, edge: bool) -> Item {
    let (to, list) = match config.inbound {
        InboundOption::CicFirst if edge => {
            ("Tandem's edge, which sends them to CIC", vec![EDGE_AT.to_owned()])
        }
        InboundOption::LyncFirst if edge => {
            ("Tandem's edge, which sends them to the Mediation pool", vec![EDGE_AT.to_owned()])
        }
        InboundOption::ProxyFirst => {
            let proxies = addresses(config, TrunkRole::SipProxy);
            let ours = vec![EDGE_AT.to_owned()];
            ("the SIP proxy", if proxies.is_empty() { ours } else { proxies })
        }
        InboundOption::CicFirst => {
            ("CIC, the active server and then the backup", addresses(config, TrunkRole::Cic))
        }
        InboundOption::LyncFirst => ("the Mediation pool", addresses(config, TrunkRole::Lync)),
    };
    let basis = if edge { Inferred } else { Documented };
    let why = "The inbound option says which system a call meets first.";
    item(format!("Inbound calls go to {to}"), why, basis, "3.2").lines(list)
}

fn numbers(config: &Config, gateway: &Trunk) -> Item {
    let (from, to) = (gateway.number_form_in, gateway.number_form_out);
    let shown = config.ranges.iter().map(|r| r.prefix.to_string()).collect::<Vec<_>>().join(", ");
    let form = if from == NumberForm::AsReceived {
        "+E.164 (or what the dial plan rewrites)".to_owned()
    } else {
        from.to_string()
    };
    item(
        "Number forms",
        "One form for each direction; comparison is in canonical form only.",
        Inferred,
        "1.3",
    )
    .line(format!("To the tenant: {form}; from the tenant: {to}"))
    .line(format!("The tenant's ranges: {shown}"))
}

fn failover(config: &Config) -> Item {
    let why = "A gateway that knows one address only loses every call when it is silent.";
    let made =
        item("Failover", why, Inferred, "3.2").line("Next address after 2 to 4 s without any response");
    match (config.inbound, config.survivable.secondary_route) {
        (InboundOption::ProxyFirst, _) => {
            made.line("The proxy does the rest: it knows CIC, Lync and the survivable rules")
        }
        (InboundOption::CicFirst, true) => {
            made.line("Secondary route, when no CIC answers: the edge at the premises, or the Mediation pool")
        }
        (InboundOption::LyncFirst, true) => {
            made.line("Lync's route to CIC has a second target at the premises (survivable.secondaryRoute)")
        }
        (_, false) => made
            .line("No secondary route is declared: calls fail when the first system and its backup are lost"),
    }
}

fn emergency(config: &Config) -> Item {
    let mut made = item(
        "Emergency calls",
        "They leave by the caller's site, whatever the model, and a rescuer calls the site's number back.",
        Inferred,
        "9.1",
    );
    for site in config.sites.iter().filter(|s| !s.emergency.egress.is_empty()) {
        let e = &site.emergency;
        let strings = e.numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let trunks =
            e.egress.iter().map(|ix| config.trunk(*ix).name.to_string()).collect::<Vec<_>>().join(", then ");
        let callback = e.callback.map(|n| n.to_string()).unwrap_or_default();
        made = made.line(format!("{}: {strings} by {trunks}; callback {callback}", site.name));
    }
    made
}
