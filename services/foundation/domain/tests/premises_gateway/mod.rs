//! A second derivation of the 33 rows of remote control with the gateway at the premises, from the hops of the
//! decision table and a map of sites alone. It imports nothing of the domain and shares no code with it.
//!
//! Of remote control's rows (67 to 99) only the gateway moves: hops, legs and Mediation sessions stay, crossings
//! and what the loss of the WAN does are computed anew, as a person would with a pencil:
//!
//! - signalling crosses wherever two neighbours of the hops stand apart;
//! - audio runs between gateway, Mediation sessions and phone, and through the media server where CIC is passed;
//! - with the WAN cut, the call gets as far as its last hop on the gateway's side. CIC, the media server and the
//!   proxy stand in the cloud, so a premises gateway has neither voicemail, queue nor survivable rule left. Only a
//!   Lync user, whose number is the Line URI itself, is within reach: at once where Mediation is met first, else if
//!   the gateway has a second route to Mediation.

/// One derived row.
pub(crate) struct Derived {
    cells: [String; 7],
}

impl Derived {
    /// Option, callee, hops, signalling crossings, media crossings, Mediation sessions, WAN lost.
    pub(crate) fn cells(&self) -> [&str; 7] {
        std::array::from_fn(|at| self.cells[at].as_str())
    }
}

/// `C` cloud, `P` premises.
fn site(element: &str) -> char {
    match element {
        "PX" | "CIC" | "MS" => 'C',
        "GW" | "MED" | "FE" | "CPH" | "LPH" => 'P',
        other => panic!("no such element: {other}"),
    }
}

fn changes(path: &[&str]) -> usize {
    path.windows(2).filter(|w| site(w[0]) != site(w[1])).count()
}

/// Derives rows 67 to 99 of the decision table with the gateway moved.
pub(crate) fn derive(table: &str) -> Vec<Derived> {
    let rows = table.lines().skip(1).filter(|line| line.split(',').nth(1) == Some("remote"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        let (option, callee, hops) = (cells[2], cells[3], cells[4]);
        let path: Vec<&str> = hops.split(" > ").collect();
        let with_server: Vec<&str> = path
            .iter()
            .filter_map(|e| match *e {
                "CIC" => Some("MS"),
                "PX" | "FE" => None,
                other => Some(other),
            })
            .collect();
        let without: Vec<&str> = with_server.iter().copied().filter(|e| *e != "MS").collect();
        let lost = match (callee, changes(&path)) {
            (_, 0) => "works",
            ("R2", _) => "surv*",
            _ => "fail",
        };
        Derived {
            cells: [
                option.into(),
                callee.into(),
                hops.into(),
                changes(&path).to_string(),
                format!("{}/{}", changes(&without), changes(&with_server)),
                path.iter().filter(|e| **e == "MED").count().to_string(),
                lost.into(),
            ],
        }
    })
    .collect()
}
