//! CIC's part.

use crate::document::terms::{InboundOption, MediaLost, MediaPath, Model, SrtpMode, Transport, TrunkRole};
use crate::tenant::config::{Config, Trunk};

use super::{Basis, EDGE_AT, Item, addresses, first, item};

use Basis::{Documented, Inferred};

pub(super) fn items(config: &Config, edge: bool) -> Vec<Item> {
    let Some(lync) = first(config, TrunkRole::Lync) else { return Vec::new() };
    let mut items = vec![
        lync_line(config, lync),
        outside_line(config, edge),
        dial_plan(config),
        stations(config, lync),
        users(),
    ];
    items.push(timeout(config));
    items.push(
        item(
            "Server parameter LyncInteractionCorrelationTimeout",
            "If the plug-in's event comes later, the call cannot be answered from the CIC client (row 4).",
            Documented,
            "3.6",
        )
        .line("LyncInteractionCorrelationTimeout = 2500   (ms; raise it where the network is slow)"),
    );
    items.push(audio_path(config));
    items.extend(selection(config));
    items.extend(locations(config));
    items
}

fn transport(trunk: &Trunk) -> &'static str {
    match trunk.transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::UdpOrTcp => "UDP (TCP for large requests)",
    }
}

fn lync_line(config: &Config, lync: &Trunk) -> Item {
    let tls = lync.transport == Transport::Tls;
    let media =
        if lync.srtp == SrtpMode::NotSupported { "RTP" } else { "SRTP (selectable on TLS lines only)" };
    let port = lync.addresses.first().map_or(5068, |a| a.port);
    let mut made = item(
        "A SIP line to Lync",
        "Mediation takes TCP or TLS, never UDP. A change of protocol or port needs a restart of the server, and a \
         deactivated line.",
        Documented,
        "2.2",
    )
    .line(format!("Name: Lync; protocol {}; port {port}; audio {media}", transport(lync)));
    if config.lync.cic_line_direct {
        let pool = addresses(config, TrunkRole::Lync).join(", ");
        made = made.line(format!("Proxies, in order (the next only after no response at all): {pool}"));
    } else {
        made = made.line("Outbound proxy: Tandem's edge or the SIP proxy (legs c and f instead of e)");
    }
    if tls {
        made = made.line("Licence: Advanced Security; certificate of an authority that Mediation trusts");
    }
    made.line(
        "Take forked 18x answers, and connect audio on the 200 OK: else greetings are clipped  [inferred]",
    )
}

fn outside_line(config: &Config, edge: bool) -> Item {
    let (peer, at) = match config.inbound {
        InboundOption::ProxyFirst => {
            let proxies = addresses(config, TrunkRole::SipProxy);
            (
                "the SIP proxy",
                if proxies.is_empty() { "Tandem's edge".to_owned() } else { proxies.join(", ") },
            )
        }
        InboundOption::CicFirst | InboundOption::LyncFirst => {
            ("the gateway", addresses(config, TrunkRole::Gateway).join(", "))
        }
    };
    let codes = first(config, TrunkRole::Gateway)
        .map(|t| t.retry_on.iter().map(ToString::to_string).collect::<Vec<_>>());
    let made = item(
        format!("A SIP line to {peer}"),
        "Any answer, even an error, shows that a proxy is alive; which codes go on to the next line is a list of the line.",
        Documented,
        "2.4",
    )
    .line(format!("Proxies, in order: {at}"))
    .line(format!("Codes that may be retried: {}", codes.unwrap_or_default().join(", ")));
    if edge { made.line(format!("Calls come in from {EDGE_AT}")) } else { made }
}

fn dial_plan(config: &Config) -> Item {
    let mut made = item(
        "Dial plan entries",
        "Numbers of Lync, Line URIs above all, leave by the Lync line; what CIC does not know and Lync sent must not \
         go back there (L1).",
        Inferred,
        "3.3",
    )
    .line("Line URIs of Lync users and stations -> line Lync, written +E.164");
    for range in config.ranges.iter().filter(|r| r.prefix.global) {
        made = made
            .line(format!("{}... not known to CIC, called from the Lync line -> refuse (404)", range.prefix));
    }
    if config.inbound == InboundOption::CicFirst {
        made = made
            .line("From the gateway, a number of Lync's -> line Lync (option 2: CIC passes Lync's calls on)");
    }
    made.line("Everything else -> the outside line, by the location of the station")
}

fn stations(config: &Config, lync: &Trunk) -> Item {
    let pool = lync.addresses.first().map_or("<Mediation pool>", |a| &a.host);
    let shape = if config.lync.cic_line_direct { "contact line Lync" } else { "contact line to the proxy" };
    item(
        "A station for each Lync phone (rows 3 to 5)",
        "A Lync phone does not register with CIC: its contact address is entered by hand, and equals the user's Line \
         URI. It is a workstation with a SIP connection, never a remote station.",
        Documented,
        "1.3",
    )
    .line(format!("Contact address: user part +<Line URI>, host {pool}; {shape}  [inferred]"))
    .line("Licence: Basic Station; ACD Access for agents")
    .line("Persistent connection: off (a Lync call would stay up all day)  [inferred]")
}

fn users() -> Item {
    item(
        "Lync-enabled users: Microsoft Lync Settings",
        "Without a domain account Interaction Administrator shows an error; without the Line URI the station is another's.",
        Documented,
        "1.3",
    )
    .line("NT domain account DOMAIN\\name; extension of 2 to 6 digits, not starting 1800, 1900, 1411 or 1911")
    .line("User Address = SIP address; Line URI = the station's contact address (Lookup Settings fills both)")
    .line("Enable Presence Synchronization")
}

fn timeout(config: &Config) -> Item {
    let made = item(
        "Station timeout",
        "After it CIC takes the call back, sets \"ACD - Agent Not Answering\" and offers it to another agent.",
        Documented,
        "3.6",
    )
    .line("15 s (0 means 15; never below 7)");
    match config.lync.voicemail_seconds {
        Some(s) => made.line(format!("Shorter than Lync's voicemail, which diverts after {s} s")),
        None => made,
    }
}

fn audio_path(config: &Config) -> Item {
    let (path, why) = match config.media.path {
        MediaPath::Dynamic => (
            "Dynamic",
            "Endpoints talk directly; the media server comes in for recording, prompts and SRTP, which takes about 0.5 s.",
        ),
        MediaPath::AlwaysIn => {
            ("Always-in", "The media server relays all audio: for systems that record most calls.")
        }
    };
    item("Audio path of lines and stations", why, Documented, "2.3").line(format!("Audio path: {path}"))
}

fn selection(config: &Config) -> Option<Item> {
    let rule = config.media.selection.as_ref()?;
    let names = |set: crate::tenant::tables::SiteSet| -> String {
        set.iter().map(|s| config.site(s).name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let lost = match config.media.media_server_lost {
        MediaLost::ProceedUnrecorded => "goes on unrecorded",
        MediaLost::Refuse => "is refused",
    };
    let why = if config.media.media_may_leave_premises {
        "The rule decides where audio is fixed and recordings are born.".to_owned()
    } else {
        format!(
            "CIC's default order ends at CIC's own location and at any: audio and recordings would leave the premises. \
             With no media server up at the premises a recorded call {lost}."
        )
    };
    let any = if rule.any { "ends with <Any>" } else { "without <Any>" };
    let mut made = item("Media server selection rule", why, Inferred, "2.3")
        .line(format!("Locations, in order: {}; {any}", names(rule.sites)));
    if !rule.exclude.is_empty() {
        made = made.line(format!("Excluded locations: {}", names(rule.exclude)));
    }
    Some(made)
}

/// What control in the cloud needs of phones and lines at the premises.
fn locations(config: &Config) -> Option<Item> {
    if config.model != Model::LocalControl {
        return None;
    }
    let sites: Vec<String> = config.sites.iter().skip(1).map(|s| s.name.to_string()).collect();
    Some(
        item(
            "Locations and managed proxies",
            "The location of a station or line chooses its media server. Phones that register with the proxy at the \
             premises can be reached while the cloud is not.",
            Documented,
            "2.4",
        )
        .line(format!("Stations and lines in locations: {}", sites.join(", ")))
        .line("Registration group of managed phones: at most 4 entries, one a Managed Proxy at the premises"),
    )
}
