//! Lync's part.

use crate::document::terms::{InboundOption, LyncPstnEgress, SrtpMode, Transport, TrunkRole};
use crate::tenant::config::{Config, Trunk};
use crate::tenant::tables::DialRule;

use super::{Basis, EDGE, Item, addresses, first, item, quoted, ranges_pattern};

use Basis::{Documented, Inferred};

pub(super) fn items(config: &Config, edge: bool) -> Vec<Item> {
    let Some(lync) = first(config, TrunkRole::Lync) else { return Vec::new() };
    let mut items = vec![peers(config, lync, edge), trunk(config, lync)];
    if lync.transport == Transport::Tls {
        items.push(
            item(
                "Certificates for the trunk",
                "TLS to Mediation is always mutual: without a certificate that Mediation trusts no call is set up.",
                Documented,
                "2.2",
            )
            .line("Issue a certificate for each peer from an authority that the Mediation Server trusts."),
        );
    }
    items.extend(option_3(config, edge));
    items.extend(route_to_cic(config, edge));
    items.push(pstn(config));
    items.extend(dial_plan(config));
    items.push(rcc(config));
    items.push(agents(config));
    items
}

/// Who Mediation talks to.
fn peers(config: &Config, lync: &Trunk, edge: bool) -> Item {
    let transport = if lync.transport == Transport::Tls { "TLS" } else { "TCP" };
    let mut made = item(
        "A PSTN gateway object and trunk for each peer of Mediation (Topology Builder)",
        "Mediation takes calls only from peers that it knows.",
        Documented,
        "2.2",
    );
    let port = lync.addresses.first().map_or(5068, |a| a.port);
    made.lines.push(format!("Mediation listens: {transport} {port}"));
    if config.lync.cic_line_direct {
        made.lines.extend(
            addresses(config, TrunkRole::Cic).iter().map(|a| format!("CIC's Lync line (leg e): {a}")),
        );
    }
    if edge {
        made.lines.push("Tandem's edge (leg f): its listener's address".to_owned());
    } else if config.inbound == InboundOption::ProxyFirst || !config.lync.cic_line_direct {
        let proxies = addresses(config, TrunkRole::SipProxy);
        if proxies.is_empty() {
            made.lines.push("Tandem's edge, the SIP proxy (leg f): its listener's address".to_owned());
        }
        made.lines.extend(proxies.iter().map(|a| format!("the SIP proxy (leg f): {a}")));
    }
    if config.inbound == InboundOption::LyncFirst && !edge
        || config.lync_pstn_egress == LyncPstnEgress::Gateway
    {
        let gateways = addresses(config, TrunkRole::Gateway);
        made.lines.extend(gateways.iter().map(|a| format!("the gateway (leg g): {a}")));
    }
    made
}

fn trunk(config: &Config, lync: &Trunk) -> Item {
    let srtp = match lync.srtp {
        SrtpMode::Required => "Required",
        SrtpMode::Optional => "Optional",
        SrtpMode::NotSupported => "NotSupported",
    };
    let flag = |on: bool| if on { "$true" } else { "$false" };
    item(
        "Trunk configuration",
        "SRTPMode is Required unless set, and counts as NotSupported on TCP; 20 forked answers, RTCP on hold and the \
         10 s failover are Lync's defaults, which CIC must bear.",
        Documented,
        "3.5",
    )
    .line("Set-CsTrunkConfiguration -Identity Global `")
    .line(format!("  -SRTPMode {srtp} -EnableReferSupport {} `", flag(lync.refer)))
    .line(format!("  -EnableBypass {} -ConcentratedTopology $true `", flag(config.media.bypass)))
    .line("  -MaxEarlyDialogs 20 -EnableFastFailoverTimer $true -RemovePlusFromUri $false `")
    .line("  -RTCPActiveCalls $true -RTCPCallsOnHold $true   # $false if a peer sends no RTCP on hold")
}

/// Inter-trunk routing.
fn option_3(config: &Config, edge: bool) -> Option<Item> {
    if config.inbound != InboundOption::LyncFirst {
        return None;
    }
    let shared = config
        .lync
        .gateway_usages
        .iter()
        .find(|g| config.lync.cic_usages.iter().any(|c| c.eq_ignore_ascii_case(g)))?;
    let pattern = ranges_pattern(config).unwrap_or_else(|| "^\\+".to_owned());
    // The edge is both: what comes from it goes back to it, and what Lync sends there goes on to CIC.
    let (from, to) = if edge { (EDGE, EDGE) } else { ("<gateway>", "<CIC>") };
    let peers = if from == to { vec![from] } else { vec![from, to] };
    Some(
        item(
            "Inter-trunk routing from the gateway to CIC",
            "Lync passes a call from one trunk to another only if a route's pattern fits the number and both trunks \
             share a PSTN usage. Without it CIC gets no call from the gateway.",
            if edge { Inferred } else { Documented },
            "3.1",
        )
        .line(format!("Set-CsPstnUsage -Identity Global -Usage @{{Add={}}}", quoted(shared)))
        .line(format!("New-CsVoiceRoute -Identity 'To CIC' -NumberPattern {} `", quoted(&pattern)))
        .line(format!("  -PstnUsages @{{Add={}}} -PstnGatewayList @{{Add={}}}", quoted(shared), gateway(to)))
        .lines(peers.into_iter().map(|peer| {
            let identity = quoted(&format!("Service:PstnGateway:{peer}"));
            format!("New-CsTrunkConfiguration -Identity {identity} -PstnUsages @{{Add={}}}", quoted(shared))
        }))
        .line(format!(
            "Test-CsInterTrunkRouting -TargetNumber <a DID> -TrunkConfiguration <the gateway's>  # {shared:?}"
        )),
    )
}

/// Lync users' calls to CIC's numbers.
fn route_to_cic(config: &Config, edge: bool) -> Option<Item> {
    if config.inbound == InboundOption::LyncFirst {
        return None;
    }
    let pattern = ranges_pattern(config)?;
    Some(
        item(
            "A voice route for Lync users' calls to CIC's numbers",
            "It must exclude numbers that CIC does not own: CIC would send them back, and the call would go round \
             between the two (loop L1).",
            Inferred,
            "3.3",
        )
        .line(format!("New-CsVoiceRoute -Identity 'To CIC' -NumberPattern {} `", quoted(&pattern)))
        .line(format!(
            "  -PstnUsages @{{Add='CIC'}} -PstnGatewayList @{{Add={}}}",
            gateway(if edge { EDGE } else { "<CIC>" })
        ))
        .line("Put Line URIs of users of Lync alone into ranges of their own, and leave those out."),
    )
}

/// A peer of Mediation as its commands name it.
fn gateway(peer: &str) -> String {
    quoted(&format!("PstnGateway:{peer}"))
}

fn pstn(config: &Config) -> Item {
    let (peer, why) = match config.lync_pstn_egress {
        LyncPstnEgress::Cic => {
            ("<CIC>", "Lync users' calls to the PSTN go out by CIC, which applies toll control.")
        }
        LyncPstnEgress::Gateway => {
            ("<gateway>", "Lync users' calls to the PSTN go from Mediation to the gateway.")
        }
    };
    item("A voice route for Lync users' calls to the PSTN", why, Inferred, "3.4")
        .line("New-CsVoiceRoute -Identity 'To the PSTN' -Priority 10 -NumberPattern '^\\+' `")
        .line(format!("  -PstnUsages @{{Add='PSTN'}} -PstnGatewayList @{{Add='PstnGateway:{peer}'}}"))
}

/// Normalisation rules that say what the tenant's dial plan says.
fn dial_plan(config: &Config) -> Option<Item> {
    let plan = &config.dial_plan;
    if plan.rules.is_empty() && plan.by_site.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    let mut add = |scope: &str, rules: &mut dyn Iterator<Item = &DialRule>| {
        for (at, rule) in rules.enumerate() {
            let (pattern, translation) = regex(rule);
            let name = format!("{scope}/Tandem {}", at + 1);
            lines.push(format!("New-CsVoiceNormalizationRule -Identity {} -Priority {at} `", quoted(&name)));
            lines.push(format!("  -Pattern {} -Translation {}", quoted(&pattern), quoted(&translation)));
        }
    };
    for (site, rules) in &plan.by_site {
        // A dial plan of a site takes the place of the global one.
        add(&format!("site:{}", config.site(*site).name), &mut rules.iter().chain(&plan.rules));
    }
    add("Global", &mut plan.rules.iter());
    Some(
        item(
            "Normalisation rules",
            "Lync's dial plans are per site; they must say what Tandem's does, so that one number is one number.",
            Inferred,
            "1.3",
        )
        .lines(lines),
    )
}

/// A dial rule as a pattern and a translation of Lync's.
fn regex(rule: &DialRule) -> (String, String) {
    let digits = |part: &[u8]| -> String {
        part.iter().map(|b| if *b == b'X' { "\\d".to_owned() } else { char::from(*b).to_string() }).collect()
    };
    let strip = usize::from(rule.strip);
    let (off, kept) = rule.pattern.split_at(strip.min(rule.pattern.len()));
    // What is stripped beyond the pattern is any digit.
    let more_off = "\\d".repeat(strip - off.len());
    let taken = off.len() + more_off.len() / 2 + kept.len();
    let (min, max) =
        (usize::from(rule.min).saturating_sub(taken), usize::from(rule.max).saturating_sub(taken));
    let rest = match (min, max) {
        (_, 0) => String::new(),
        (0, _) if usize::from(rule.max) == DialRule::DIALLED_MAX => "\\d*".to_owned(),
        (1, _) if usize::from(rule.max) == DialRule::DIALLED_MAX => "\\d+".to_owned(),
        (min, max) if min == max => format!("\\d{{{min}}}"),
        (min, _) if usize::from(rule.max) == DialRule::DIALLED_MAX => format!("\\d{{{min},}}"),
        (min, max) => format!("\\d{{{min},{max}}}"),
    };
    let plus = if rule.global { "+" } else { "" };
    (format!("^{}{more_off}({}{rest})$", digits(off), digits(kept)), format!("{plus}{}$1", rule.prepend))
}

fn rcc(config: &Config) -> Item {
    let cic = first(config, TrunkRole::Cic);
    let domain = cic.and_then(|t| t.domains.first()).map_or("<CIC's domain>", |d| d);
    let host = cic.and_then(|t| t.addresses.first()).map_or("<CIC>", |a| &a.host);
    item(
        "Remote call control (row 6): a static route, and the users",
        "The Lync client controls a CIC phone by CSTA over SIP, over one static route for each pool; Enterprise Voice \
         must be off for these users.",
        Documented,
        "3.7",
    )
    .line(format!("$route = New-CsStaticRoute -TCPRoute -Destination {} -Port 5060 `", quoted(host)))
    .line(format!("  -MatchUri {}", quoted(domain)))
    .line("Set-CsStaticRoutingConfiguration -Identity Global -Route @{Add=$route}")
    .line("Set-CsUser <user> -EnterpriseVoiceEnabled $false -RemoteCallControlTelephonyEnabled $true `")
    .line(format!("  -LineURI 'tel:+<the CIC phone>' -LineServerURI 'sip:<line>@{domain}'"))
}

fn agents(config: &Config) -> Item {
    let voicemail = match config.lync.voicemail_seconds {
        Some(s) => format!("Policy says that voicemail diverts after {s} s; a station must ring shorter."),
        None => "Voicemail must not divert before CIC's station timeout.".to_owned(),
    };
    item(
        "Agents (rows 3 to 5): no voicemail, forwarding or simultaneous ringing in Lync",
        format!("Otherwise Lync, or a mobile, answers CIC's station call before the agent does (L5, L6). {voicemail}"),
        Inferred,
        "3.3",
    )
    .line("New-CsVoicePolicy -Identity 'CIC agents' -AllowCallForwarding $false -AllowSimulRing $false")
    .line("Grant-CsVoicePolicy <agent> -PolicyName 'CIC agents'")
    .line("Disable voicemail (Exchange Unified Messaging) of each agent; a missed call stays a missed call.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Digits;

    #[test]
    fn a_dial_rule_reads_as_a_normalisation_rule() {
        for (pattern, min, max, strip, prepend, regex_is, translation) in [
            ("00", 2, 24, 2, "+", "^00(\\d*)$", "+$1"),
            ("0", 2, 24, 1, "+49", "^0(\\d+)$", "+49$1"),
            ("9X", 2, 8, 1, "", "^9(\\d\\d{0,6})$", "$1"),
            ("XXXX", 4, 4, 0, "+4930900", "^(\\d\\d\\d\\d)$", "+4930900$1"),
            ("1", 11, 11, 0, "+", "^(1\\d{10})$", "+$1"),
            ("1", 4, 6, 3, "", "^1\\d\\d(\\d{1,3})$", "$1"),
        ] {
            let rule = DialRule {
                pattern: pattern.as_bytes().into(),
                min,
                max,
                strip,
                global: prepend.starts_with('+'),
                prepend: Digits::parse(prepend.trim_start_matches('+').as_bytes()).unwrap(),
            };
            assert_eq!(regex(&rule), (regex_is.to_owned(), translation.to_owned()), "{pattern}");
        }
    }
}
