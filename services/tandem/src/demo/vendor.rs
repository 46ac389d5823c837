//! What the simulators are told: gateway, CIC and Lync, each in its vendor's terms.
//!
//! Nothing here knows the tenants' documents, and they know nothing of this: both stand on [`numbering`] alone. A call
//! that goes as Tandem planned shows that two descriptions of one system agree.
//!
//! [`numbering`]: super::numbering

use anyhow::Context as _;
use tandem_sim::settings::{self, Settings};
use tandem_sim::{cic, gateway, lync};

use super::numbering::{Element, Model};
use super::scene::{First, Scene, Twist, Vendor};

/// The gateway's configuration.
///
/// # Errors
/// When the template is no configuration.
pub(crate) fn gateway(scene: &Scene) -> anyhow::Result<gateway::Config> {
    let spoilt = scene.twist == Some(Twist::Misconfigured(Vendor::Gateway));
    let first = match (scene.edge, scene.first) {
        (true, _) if !spoilt => "Tandem",
        (_, First::Lync) => {
            if spoilt {
                "CIC"
            } else {
                "Mediation"
            }
        }
        (_, First::Proxy | First::Cic) => {
            if spoilt {
                "Mediation"
            } else {
                "CIC"
            }
        }
    };
    let net = &scene.net;
    let values = [("site", net.site(Element::Gateway).name().to_owned()), ("first", first.to_owned())];
    read("gateway.yaml", include_str!("gateway.yaml"), scene, &values)
}

/// CIC's configuration.
///
/// # Errors
/// When the template is no configuration.
pub(crate) fn cic(scene: &Scene) -> anyhow::Result<cic::Config> {
    let net = &scene.net;
    let site = |element| net.site(element).name().to_owned();
    // With the edge beside CIC under options 2 and 3, CIC's Lync line has it as its outbound proxy.
    let outbound = if scene.edge && scene.first != First::Proxy {
        format!(", outbound_proxies: [\"{}\"]", net.address(Element::Edge))
    } else {
        String::new()
    };
    // Local control: the default would end in the cloud, where the server is.
    let (any, excluded) = match net.model {
        Model::LocalControl => ("", "cloud"),
        Model::OnPremises | Model::RemoteControl => (", \"<Any>\"", ""),
    };
    let values = [
        ("site", site(Element::Cic)),
        ("gateway_site", site(Element::Gateway)),
        ("media_site", site(Element::MediaServer)),
        ("outbound", outbound),
        ("record", scene.recorded().to_string()),
        ("any", any.to_owned()),
        ("excluded", excluded.to_owned()),
    ];
    let mut text = include_str!("cic.yaml").to_owned();
    match scene.twist {
        Some(Twist::DidIsLineUri) => {
            text = text.replace("contact_address: \"+12065550123\"", "contact_address: \"+12065550103\"");
        }
        Some(Twist::Misconfigured(Vendor::Cic)) => {
            // All Lync stations ring lee, who is nobody's agent.
            for line in ["+12065550123", "+12065550124", "+12065550125"] {
                text = text
                    .replace(&format!("contact_address: \"{line}\""), "contact_address: \"+12065550122\"");
            }
        }
        _ => {}
    }
    read("cic.yaml", &text, scene, &values)
}

/// Lync's configuration.
///
/// # Errors
/// When the template is no configuration.
pub(crate) fn lync(scene: &Scene) -> anyhow::Result<lync::Config> {
    let net = &scene.net;
    let peer = |name: &str, element, usage: &str| {
        format!(
            "  - {{name: {name}, address: \"{}\", fast_failover_ms: 30000, pstn_usages: [{usage}]}}",
            net.address(element)
        )
    };
    let cic_usage = match scene.twist {
        Some(Twist::NoSharedUsage) => "CIC Only",
        _ => "Inter-Trunk",
    };
    let (trunks, to_cic, to_gateway) = match (scene.first, scene.edge) {
        // The proxy brings calls, CIC has a line of its own.
        (First::Proxy, _) => (
            vec![peer("Tandem", Element::Edge, "Inter-Trunk"), peer("CIC", Element::Cic, "Inter-Trunk")],
            "CIC",
            "Tandem",
        ),
        // One trunk to the edge, which stands before gateway and CIC alike.
        (First::Lync, true) => (vec![peer("Tandem", Element::Edge, "Inter-Trunk")], "Tandem", "Tandem"),
        (First::Cic, true) => (
            vec![
                peer("Tandem", Element::Edge, "Inter-Trunk"),
                peer("GW", Element::Gateway, "Inter-Trunk"),
                peer("CIC", Element::Cic, "Inter-Trunk"),
            ],
            "CIC",
            "GW",
        ),
        (First::Cic | First::Lync, false) => (
            vec![peer("GW", Element::Gateway, "Inter-Trunk"), peer("CIC", Element::Cic, cic_usage)],
            "CIC",
            "GW",
        ),
    };
    let values = [
        ("trunks", trunks.join("\n")),
        ("cic_usage", cic_usage.to_owned()),
        ("cic_trunk", to_cic.to_owned()),
        ("gateway_trunk", to_gateway.to_owned()),
    ];
    let mut text = include_str!("lync.yaml").to_owned();
    match scene.twist {
        Some(Twist::DidIsLineUri) => {
            text = text.replace("line_uri: \"tel:+12065550123\"", "line_uri: \"tel:+12065550103\"");
        }
        Some(Twist::Misconfigured(Vendor::Lync)) => {
            text = text.replace("line_uri: \"tel:+1206555012", "line_uri: \"tel:+1206555019");
        }
        _ => {}
    }
    read("lync.yaml", &text, scene, &values)
}

fn read<T: Settings>(name: &str, text: &str, scene: &Scene, values: &[(&str, String)]) -> anyhow::Result<T> {
    let net = &scene.net;
    let at = |name: &'static str, element| (name, net.address(element).to_string());
    let addresses = [
        at("gateway", Element::Gateway),
        at("edge", Element::Edge),
        at("cic", Element::Cic),
        at("mediation", Element::Mediation),
        at("front_end", Element::FrontEnd),
        ("media_server", net.ip(Element::MediaServer).to_string()),
        at("phone1", Element::CicPhone(1)),
        at("phone6", Element::CicPhone(6)),
        at("phone7", Element::CicPhone(7)),
        at("phone2", Element::LyncPhone(2)),
        at("phone3", Element::LyncPhone(3)),
        at("phone4", Element::LyncPhone(4)),
        at("phone5", Element::LyncPhone(5)),
    ];
    let all = addresses.iter().chain(values);
    let text = all.fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value));
    settings::parse(name, &text).with_context(|| format!("the simulator of {} ({name})", scene.name()))
}

#[cfg(test)]
mod tests {
    use super::super::numbering::Block;
    use super::super::scene::{controls, table};
    use super::*;

    #[test]
    fn every_simulator_has_a_configuration() {
        let block = Block::take(0).unwrap();
        for scene in table(&block, None).into_iter().chain(controls(&block)) {
            gateway(&scene).unwrap();
            cic(&scene).unwrap();
            lync(&scene).unwrap();
        }
    }
}
