use super::*;
use crate::settings;

const CIC: &str = r#"
site: cloud
address: 127.2.0.20:0
lines:
  - { name: Gateway, remote: "127.1.0.10:5060", location: premises }
  - { name: Lync, transport: tcp, remote: "127.1.0.30:5068", outbound_proxies: ["127.1.0.11:5060"], send_plus: false }
  - { name: Stations }
line_groups:
  - { name: Lync, lines: [Lync] }
  - { name: PSTN, lines: [Gateway] }
dial_plan:
  - { pattern: "+142555502XX", line_group: Lync }
  - { pattern: "9NXX*", strip: 1, prepend: "+1", line_group: PSTN }
  - { pattern: "+*", line_group: PSTN }
users:
  - { name: ann, extension: "2001", dids: ["+14255550101"], default_station: ann }
stations:
  - { name: ann, line: Stations, contact_address: "sip:2001@127.1.0.41:5060", location: premises }
  - { name: lync, line: Lync, contact_address: "+1 425 555 0201" }
  - { name: soft, line: Stations, ring_timeout_s: 7 }
workgroups:
  - { name: Sales, extension: "8000", dids: ["+14255550180"], agents: [ann] }
attendant_profiles:
  - { name: Main, dnis: ["+14255550190"], transfer_to: "8000" }
media_servers:
  - { name: MS1, address: 127.1.0.60, location: premises }
  - { name: MS2, address: 127.2.0.60, location: cloud }
"#;

fn config() -> Config {
    settings::parse("cic.yaml", CIC).unwrap()
}

#[test]
fn own_numbers_come_before_the_dial_plan() {
    let config = config();
    let check = |called: &str, expected: &str| {
        let (way, why) = way(&config, called);
        let shown = match way {
            Way::User(user) => format!("user {}", user.name),
            Way::Workgroup(group) => format!("workgroup {}", group.name),
            Way::Attendant(profile) => format!("attendant {}", profile.name),
            Way::Out(group, number) => format!("{number} by {}", group.name),
            Way::Unknown => "unknown".to_owned(),
        };
        assert_eq!(shown, expected, "{called}: {why}");
    };
    check("2001", "user ann");
    check("+14255550101", "user ann");
    check("+1 425-555-0101", "user ann");
    check("8000", "workgroup Sales");
    check("+14255550180", "workgroup Sales");
    check("+14255550190", "attendant Main");
    check("+14255550202", "+14255550202 by Lync");
    check("+12065550100", "+12065550100 by PSTN");
    check("92065550100", "+12065550100 by PSTN");
    check("9106", "unknown");
    check("4000", "unknown");
}

#[test]
fn patterns() {
    let check = |pattern: &str, number: &str, expected: bool| {
        assert_eq!(matches(pattern, number), expected, "{pattern} {number}");
    };
    check("20XX", "2001", true);
    check("20XX", "200", false);
    check("20XX", "20011", false);
    check("Z*", "0", false);
    check("N", "1", false);
    check("*", "", true);
    check("?9", "+9", true);
    check("+1425*", "+1425", true);
}

#[test]
fn stations_and_lines() {
    let config = config();
    let check = |name: &str, expected: Contact, location: &str, ring_ms: u32| {
        let station = config.station(name).unwrap();
        assert_eq!(contact(station), expected);
        assert_eq!((config.station_location(station), station.ring_timeout_ms()), (location, ring_ms));
    };
    check("ann", Contact::Phone("sip:2001@127.1.0.41:5060".to_owned()), "premises", 15_000);
    check("lync", Contact::Number("+14255550201".to_owned()), "cloud", 15_000);
    check("soft", Contact::Registered, "cloud", 7000);
    let hops = |name: &str| config.line(name).unwrap().next_hops();
    assert_eq!(hops("Gateway"), ["127.1.0.10:5060".parse().unwrap()]);
    assert_eq!(hops("Lync"), ["127.1.0.11:5060".parse().unwrap()]);
    assert!(hops("Stations").is_empty());
    assert_eq!(config.line("Lync").unwrap().write_number("+1425"), "1425");
    assert_eq!(config.line_from("127.1.0.11".parse().unwrap()).unwrap().name, "Lync");
    assert_eq!(config.line_from("127.9.0.1".parse().unwrap()), None);
}

#[test]
fn the_media_server_is_selected_by_location() {
    let check = |exclude: &[&str], device: &str, path: Option<&str>, down: &str, expected: Option<&str>| {
        let mut config = config();
        config.media_server_selection.exclude = exclude.iter().map(|&location| location.to_owned()).collect();
        let found = media_server(&config, device, path, |server| server.name != down);
        assert_eq!(found.map(|(server, _)| server.name.as_str()), expected);
    };
    check(&[], "premises", None, "", Some("MS1"));
    check(&[], "cloud", Some("premises"), "", Some("MS2"));
    check(&[], "elsewhere", Some("premises"), "", Some("MS1"));
    check(&[], "premises", None, "MS1", Some("MS2"));
    check(&["cloud"], "premises", None, "MS1", None);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |from: &str, to: &str, expected: &str| {
        let error =
            settings::parse::<Config>("cic.yaml", &CIC.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check("lines: [Lync]", "lines: [Nowhere]", "no line is named `Nowhere`");
    check("ring_timeout_s: 7", "ring_timeout_s: 6", "a station rings 7 seconds at least");
    check("extension: \"2001\"", "extension: \"2\"", "`2` is no number of that kind");
    check("+14255550180", "+14255550101", "`+14255550101` is named twice");
    check("agents: [ann]", "agents: [bob]", "no user is named `bob`");
    check("default_station: ann", "default_station: ann, status: Availible", "did you mean `Available`?");
    check("line: Lync, contact", "line: Stations, contact", "has no far end");
    check("default_station: ann", "default_station: ann, colour: red", "colour");
}
