//! A second derivation, from the hops of the tables and a map of sites alone, as a person would with a pencil. It imports
//! nothing of the domain and shares no code with it.

/// The decision table as data, which nobody computed: a row number, then the eleven columns. Quoted fields may hold
/// commas.
pub(crate) fn table() -> Vec<[String; 11]> {
    let text = include_str!("../../../../../tests/data/decision-table.csv");
    let fields = |line: &str| {
        let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(std::mem::take(&mut field)),
                c => field.push(c),
            }
        }
        fields.push(field);
        fields
    };
    let mut lines = text.lines();
    let head = fields(lines.next().unwrap());
    assert_eq!(head[1..], HEAD, "the columns of the data");
    lines.map(|line| fields(line).split_off(1).try_into().unwrap()).collect()
}

/// The columns of the decision table.
pub(crate) const HEAD: [&str; 11] = [
    "model",
    "option",
    "callee",
    "hops",
    "legs",
    "media_anchor",
    "signalling_crossings",
    "media_crossings",
    "mediation_sessions",
    "features",
    "wan_lost",
];

/// Where elements stand (domain rules 2.1).
#[derive(Clone, Copy)]
pub(crate) struct Sites {
    pub(crate) model: &'static str,
    /// Remote control whose customer keeps the gateway.
    pub(crate) own_gateway: bool,
}

impl Sites {
    /// `C` cloud, `P` premises.
    fn of(self, element: &str) -> char {
        let cloud: &[&str] = match self.model {
            "on-prem" => &[],
            "local" => &["CIC"],
            "remote" if self.own_gateway => &["PX", "CIC", "MS"],
            "remote" => &["GW", "PX", "CIC", "MS"],
            other => panic!("no such model: {other}"),
        };
        if cloud.contains(&element) { 'C' } else { 'P' }
    }

    fn changes(self, path: &[&str]) -> usize {
        path.windows(2).filter(|w| self.of(w[0]) != self.of(w[1])).count()
    }

    /// Legs of signalling that cross: neighbours that stand apart.
    pub(crate) fn signalling(self, hops: &str) -> usize {
        parts(hops).iter().map(|part| self.changes(part)).sum()
    }

    /// Legs of media that cross, without and with the media server: audio runs between gateway, Mediation sessions
    /// and phones, and through the media server where CIC is passed.
    pub(crate) fn media(self, hops: &str) -> String {
        let path: Vec<&str> = hops.split(" > ").collect();
        let with: Vec<&str> = path
            .iter()
            .filter_map(|e| match *e {
                "CIC" => Some("MS"),
                "PX" | "FE" => None,
                other => Some(other),
            })
            .collect();
        let without: Vec<&str> = with.iter().copied().filter(|e| *e != "MS").collect();
        format!("{}/{}", self.changes(&without), self.changes(&with))
    }

    /// The hops on the first one's side of the WAN.
    fn reached(self, hops: &str) -> Vec<&str> {
        let path: Vec<&str> = hops.split(" > ").collect();
        path.iter().copied().take_while(|e| self.of(e) == self.of(path[0])).collect()
    }
}

/// The legs of a way that the caller's own station begins are ways of their own.
fn parts(hops: &str) -> Vec<Vec<&str>> {
    hops.split("; ").map(|p| p.trim_start_matches("on answer ").split(" > ").collect()).collect()
}

/// Mediation sessions.
pub(crate) fn sessions(hops: &str) -> usize {
    parts(hops).concat().iter().filter(|e| **e == "MED").count()
}

/// The letters of domain rules 2.2, in hop order, without side legs.
pub(crate) fn letters(hops: &str) -> String {
    const LEGS: &[(&str, &str, &str)] = &[
        ("GW", "PX", "b"),
        ("PX", "CIC", "c"),
        ("GW", "CIC", "d"),
        ("CIC", "MED", "e"),
        ("PX", "MED", "f"),
        ("GW", "MED", "g"),
        ("MED", "FE", "h"),
        ("FE", "LPH", "i"),
        ("CIC", "CPH", "j"),
        ("FE", "CIC", "l"),
    ];
    let mut out = Vec::new();
    for part in parts(hops) {
        out.extend((part[0] == "GW").then_some("a"));
        for pair in part.windows(2) {
            let is = |l: &&(&str, &str, &'static str)| [(l.0, l.1), (l.1, l.0)].contains(&(pair[0], pair[1]));
            out.push(LEGS.iter().find(is).unwrap().2);
        }
        out.extend((part.len() > 1 && part.last() == Some(&"GW")).then_some("a"));
    }
    out.join(" ")
}

/// Rows 67 to 99 with the gateway moved to the premises. Hops, legs, anchor, Mediation sessions and features stay as
/// they are in the table, for only the gateway moves; crossings and the loss of the WAN are computed anew:
///
/// - with the WAN cut, the call gets as far as its last hop on the gateway's side. CIC, the media server and the proxy
///   stand in the cloud, so a premises gateway has neither voicemail, queue nor survivable rule left. Only a Lync user,
///   whose number is the Line URI itself, is within reach: at once where Mediation is met first, else if the gateway has
///   a second route to Mediation.
pub(crate) fn with_own_gateway() -> Vec<[String; 11]> {
    let sites = Sites { model: "remote", own_gateway: true };
    let rows = table().into_iter().filter(|row| row[0] == "remote");
    rows.map(|mut row| {
        let (callee, hops) = (row[2].clone(), row[3].clone());
        assert_eq!(row[8], sessions(&hops).to_string(), "the table's own sessions");
        row[6] = sites.signalling(&hops).to_string();
        row[7] = sites.media(&hops);
        row[10] = match (callee.as_str(), sites.signalling(&hops)) {
            (_, 0) => "works".into(),
            ("R2", _) => "surv*".into(),
            _ => "fail".into(),
        };
        row
    })
    .collect()
}

/// What is left of a row's call when the WAN is lost (domain rules 2.4), by the table's word for it. `second`: the gateway
/// or Lync's route has a secondary target. `hunt`: whether the static target is a Lync user.
pub(crate) struct Left {
    pub(crate) hops: String,
    /// The reason why it ends there, if it does.
    pub(crate) ends: Option<&'static str>,
    /// Who answers: the row's own callee, CIC itself, or the Lync phone.
    pub(crate) answer: Answers,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    AsEver,
    Cic,
    LyncPhone,
    Nobody,
}

pub(crate) fn left(row: &[String; 11], model: &'static str, second: bool) -> Left {
    let (callee, hops, word) = (row[2].as_str(), row[3].as_str(), row[10].as_str());
    let sites = Sites { model, own_gateway: false };
    let reached = sites.reached(hops).join(" > ");
    let (word, needs_second) = word.strip_suffix('*').map_or((word, false), |w| (w, true));
    let ends = |reason| Left { hops: reached.clone(), ends: Some(reason), answer: Answers::Nobody };
    if needs_second && !second {
        return ends("route.wan_lost");
    }
    let proxy = || if reached.ends_with("PX") { reached.clone() } else { format!("{reached} > PX") };
    let by_lync =
        || Left { hops: format!("{} > MED > FE > LPH", proxy()), ends: None, answer: Answers::LyncPhone };
    match word {
        "n/a" | "works" => Left { hops: hops.into(), ends: None, answer: Answers::AsEver },
        "fail" => ends("route.wan_lost"),
        // A registered CIC phone would ring; without a registrar none is known to be.
        "surv" if matches!(callee, "R1" | "R6") => {
            Left { hops: proxy(), ends: Some("survivable.phone_not_registered"), answer: Answers::Nobody }
        }
        "surv" | "hunt" => by_lync(),
        // The gateway's second route leads straight to the CIC behind the lost Lync.
        "vm" | "queue" if needs_second => Left { hops: "GW > CIC".into(), ends: None, answer: Answers::Cic },
        "vm" | "queue" | "announce" => Left { hops: reached, ends: None, answer: Answers::Cic },
        other => panic!("no such word: {other}"),
    }
}
