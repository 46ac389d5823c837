//! What Tandem is told of the scenes: policy and directory, as an administrator would write them, from one base.

use super::numbering::{Element, Model};
use super::scene::{First, Scene, Twist};

const POLICY: &str = include_str!("policy.yaml");
const DIRECTORY: &str = include_str!("directory.yaml");

/// The `Tenant` document.
pub(crate) fn policy(scene: &Scene) -> String {
    let net = &scene.net;
    let ip = |element| net.ip(element).to_string();
    let model = match net.model {
        Model::OnPremises => "OnPremises",
        Model::LocalControl => "LocalControl",
        Model::RemoteControl => "RemoteControl",
    };
    let inbound = match scene.first {
        First::Proxy => "ProxyFirst",
        First::Cic => "CicFirst",
        First::Lync => "LyncFirst",
    };
    // CIC's default selection ends at CIC's own site, which local control must never do (domain rules 2.3).
    let selection = match net.model {
        Model::OnPremises => "{sites: [premises], any: true}",
        Model::LocalControl => "{sites: [premises], any: false, exclude: [cloud]}",
        Model::RemoteControl => "{sites: [cloud], any: true}",
    };
    let title = format!("{}, {}", net.model.words(), scene.first.words());
    filled(
        POLICY,
        &[
            ("name", scene.name()),
            ("title", title),
            ("model", model.to_owned()),
            ("inbound", inbound.to_owned()),
            ("gateway", ip(Element::Gateway)),
            ("cic", ip(Element::Cic)),
            ("mediation", ip(Element::Mediation)),
            ("media_server", ip(Element::MediaServer)),
            ("port", net.port(Element::Cic).to_string()),
            ("mediation_port", net.port(Element::Mediation).to_string()),
            ("recorded", scene.recorded().to_string()),
            ("selection", selection.to_owned()),
            // Option 2's gateway takes redirects, so that both ways of carrying a decision out are seen.
            ("redirect", (scene.first == First::Cic).to_string()),
            // Where nothing is cut off, nobody who is slow is silent: a machine that is busy is waited for.
            ("cic_silence", if scene.wan { "2000" } else { "10000" }.to_owned()),
            // Where the edge stands beside CIC it is CIC's outbound proxy. Under option 1 CIC has a Lync line of its own.
            ("direct", (scene.first == First::Proxy || !scene.edge).to_string()),
        ],
    )
}

/// The `Directory` document.
pub(crate) fn directory(scene: &Scene) -> String {
    let net = &scene.net;
    let phone = |person| net.ip(Element::CicPhone(person)).to_string();
    let text = filled(
        DIRECTORY,
        &[
            ("name", scene.name()),
            ("port", net.port(Element::Cic).to_string()),
            ("phone1", phone(1)),
            ("phone6", phone(6)),
            ("phone7", phone(7)),
        ],
    );
    if scene.twist == Some(Twist::DidIsLineUri) {
        // What the guide warns of, made by giving pat's Line URI the number that is published for her.
        text.replace("+12065550123", "+12065550103")
    } else {
        text
    }
}

fn filled(template: &str, values: &[(&str, String)]) -> String {
    let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
    values.iter().fold(template.to_owned(), fill)
}

#[cfg(test)]
mod tests {
    use super::super::expect::Prediction;
    use super::super::numbering::Block;
    use super::super::scene::{controls, table};

    #[test]
    fn every_tenant_compiles() {
        let block = Block::take(0).unwrap();
        for scene in table(&block, None).into_iter().chain(controls(&block)) {
            Prediction::of(&scene).unwrap();
        }
    }
}
