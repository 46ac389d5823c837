use super::*;
use crate::settings;

const LYNC: &str = r#"
mediation: { address: "127.1.0.30:0" }
front_end: { address: "127.1.0.31:0" }
trunks:
  - { name: GW, address: "127.1.0.10:5060", pstn_usages: [Inbound] }
  - { name: CIC, address: "127.1.0.20:5060", pstn_usages: [Inbound, Internal] }
voice_routes:
  - { name: To CIC, number_pattern: '^\+1425555[01]', pstn_usages: [Inbound, Internal], trunks: [CIC] }
  - { name: PSTN, number_pattern: '^\+', pstn_usages: [Long Distance], trunks: [GW] }
normalization_rules:
  - { pattern: '^(\d{4})$', translation: '+1425555$1' }
users:
  - { sip_address: "sip:lee@contoso.example", line_uri: "tel:+14255550202", endpoints: [lee], pstn_usages: [Long Distance] }
  - { sip_address: "sip:rcc@contoso.example", line_uri: "tel:+14255550106", enterprise_voice: false }
  - { sip_address: "sip:one@contoso.example", line_uri: "tel:+14255550300;ext=1", endpoints: [one] }
  - { sip_address: "sip:two@contoso.example", line_uri: "tel:+14255550300;ext=2", endpoints: [two] }
  - { sip_address: "sip:out@contoso.example", line_uri: "tel:+14255550400" }
endpoints:
  - { name: lee, address: "127.1.0.51:0" }
  - { name: one, address: "127.1.0.52:0" }
  - { name: two, address: "127.1.0.53:0" }
"#;

fn config() -> Config {
    settings::parse("lync.yaml", LYNC).unwrap()
}

fn shown(decision: &Decision<'_>) -> String {
    match &decision.way {
        Way::Ring(user) => user.sip_address.clone(),
        Way::Out(trunks, number) => {
            format!(
                "{number} by {}",
                trunks.iter().map(|trunk| trunk.name.as_str()).collect::<Vec<_>>().join(",")
            )
        }
        Way::Refuse(status, _) => status.to_string(),
    }
}

#[test]
fn a_call_from_a_trunk() {
    let config = config();
    let check = |trunk: &str, called: &str, way: &str, why: &str| {
        let decision = from_trunk(&config, config.trunk(trunk).unwrap(), called);
        assert_eq!(shown(&decision), way, "{called}");
        assert!(decision.why.contains(why), "{}", decision.why);
    };
    check("GW", "+14255550202", "sip:lee@contoso.example", "reverse number lookup");
    check("GW", "0202", "sip:lee@contoso.example", "Line URI");
    check("GW", "+14255550101", "+14255550101 by CIC", "voice route To CIC, PSTN usage Inbound");
    check("GW", "+14255550106", "+14255550106 by CIC", "Enterprise Voice off: passed on");
    check("GW", "+14255550300;ext=2", "sip:two@contoso.example", "Line URI");
    check("GW", "+14255550400", "480", "signed in nowhere");
    check("GW", "+12065550100", "404", "no PSTN usage is shared");
    check("CIC", "+12065550100", "404", "voice route PSTN matches");
    check("GW", "911", "404", "no voice route matches");
}

#[test]
fn without_the_shared_usage_there_is_no_way_between_trunks() {
    let mut config = config();
    config.trunks[0].pstn_usages.clear();
    let decision = from_trunk(&config, &config.trunks[0], "+14255550101");
    assert_eq!(decision.way, Way::Refuse(404, "Not Found"));
    assert!(decision.why.contains("voice route To CIC matches +14255550101, but no PSTN usage is shared"));
}

#[test]
fn a_call_from_a_client() {
    let config = config();
    let check = |endpoint: &str, dialled: &str, way: &str| {
        let decision = from_client(&config, user_at(&config, endpoint), dialled);
        assert_eq!(shown(&decision), way, "{dialled}: {}", decision.why);
    };
    check("one", "0202", "sip:lee@contoso.example");
    check("one", "sip:lee@contoso.example", "sip:lee@contoso.example");
    check("one", "lee", "sip:lee@contoso.example");
    check("lee", "+12065550100", "+12065550100 by GW");
    check("one", "+12065550100", "404");
    check("nobody", "+12065550100", "403");
}
