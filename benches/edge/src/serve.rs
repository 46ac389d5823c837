//! The edge under test: one tenant with a million numbers, given as a view, and nothing behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tandem_domain::document::policy::TenantSpec;
use tandem_domain::id::{Incarnation, ListenerName, Revision, TenantId, TenantName};
use tandem_domain::ingress::claims;
use tandem_domain::record::{Change, Kind, PolicyRecord, Record, TenantRecord, cell};
use tandem_domain::tenant::compile;
use tandem_domain::view::View;
use tandem_edge::config::{Config, Listener};
use tandem_edge::{Given, Upstream, build, system_lookup};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};

use crate::load::{NUMBERS, number};
use crate::{CALLER_PROXIED, CALLER_REDIRECTED, EDGE, Result};

/// Users the numbers belong to, many each.
const USERS: usize = 1_000;
/// Transactions of redirected calls stay for 5 s after their ACK (timer I), so at full speed there are more than the
/// default allows.
const TRANSACTIONS_MAX: usize = 2_000_000;

/// Serves until it is killed. Says its address on standard output once it is ready.
pub fn run(next: SocketAddr) -> Result<()> {
    // As `tandem serve` makes it.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::UdpSocket::bind((EDGE, 0)).await?;
        println!("{}", socket.local_addr()?);
        let listener =
            Listener { name: ListenerName::parse("main")?, advertised: None, udp: Some(socket), tcp: None };
        let (_view, receiver) = tokio::sync::watch::channel(view(next)?);
        let life = Life::new();
        life.shutdown.advance(Phase::Running);
        let given = Given {
            life,
            clock: Clock::machine(),
            chance: Chance::machine(),
            upstream: Upstream::View(receiver),
            listeners: vec![listener],
            lookup: system_lookup(),
            observer: None,
        };
        let config =
            Config { transactions_max: TRANSACTIONS_MAX, ..Config::default() };
        let edge = build(config, given)?;
        edge.ready().await;
        println!("ready");
        std::future::pending().await
    })
}

fn view(next: SocketAddr) -> Result<View> {
    let gateway = |name: &str, source: &str, redirects: bool| {
        json!({"name": name, "role": "Gateway", "transport": "Udp", "addresses": [{"host": source}],
               "ingress": [{"source": source}], "domains": [format!("{name}.acme.example")], "accept302": redirects})
    };
    let spec = json!({
        "model": "OnPremises", "inbound": "ProxyFirst",
        "sites": [{"name": "berlin", "countryCode": "49", "nationalPrefix": "0",
                   "emergency": {"egress": ["proxied"], "callback": number(0)}}],
        "trunks": [
            gateway("redirected", CALLER_REDIRECTED, true),
            gateway("proxied", CALLER_PROXIED, false),
            {"name": "cic", "role": "Cic", "transport": "Udp", "addresses": [
                {"host": next.ip().to_string(), "port": next.port(), "priority": 0},
                {"host": "127.9.2.31", "port": 5062, "priority": 1}],
             "ingress": [{"source": next.ip().to_string()}], "domains": ["cic.acme.example"], "identity": {"trusted": true}},
            {"name": "lync", "role": "Lync", "transport": "Tcp", "addresses": [{"host": "127.9.2.50", "port": 5068}],
             "ingress": [{"source": "127.9.2.50"}], "domains": ["med.acme.example"], "identity": {"trusted": true}},
        ],
        "numbers": {"ranges": [{"prefix": "+49302", "site": "berlin"}]},
        "emergency": {"numbers": ["112"]},
        "toll": [{"called": ["+49"], "allow": true}],
    });
    let id = TenantId { name: TenantName::parse("acme")?, incarnation: Incarnation(7) };
    let spec: TenantSpec = serde_json::from_value(spec)?;
    let compiled = compile("acme", &spec).map_err(|e| format!("{e:?}"))?;
    let listeners = [ListenerName::parse("main")?];
    let mut changes = Vec::with_capacity(NUMBERS as usize + USERS + 16);
    let mut put = |tenant: &TenantId, kind, key: String, record| {
        let revision = changes.len() as u64 + 1;
        let tenant = tenant.clone();
        changes.push(Change {
            tenant,
            kind,
            key,
            record: Some(record),
            revision: Revision(revision),
            at: revision,
        });
    };
    put(
        &cell(),
        Kind::Tenant,
        "acme".into(),
        Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false }),
    );
    for (at, claim) in claims(&compiled.config, &id, &listeners).into_iter().enumerate() {
        put(&cell(), Kind::IngressClaim, format!("acme-{at}"), Record::IngressClaim(Arc::new(claim)));
    }
    put(&id, Kind::Policy, String::new(), Record::Policy(Arc::new(PolicyRecord { generation: 1, spec })));
    for user in 0..USERS {
        let name = format!("user{user}");
        let of = json!({"id": name, "cic": {"userId": name, "extension": (1_000 + user).to_string()},
                        "callControl": "CicClient", "phone": {"kind": "CicHard"}});
        put(&id, Kind::User, name, Record::User(Arc::new(serde_json::from_value(of)?)));
    }
    for at in 0..NUMBERS {
        let of = json!({"number": number(at), "kind": "Did", "user": format!("user{}", at as usize % USERS)});
        put(&id, Kind::Number, number(at), Record::Number(Arc::new(serde_json::from_value(of)?)));
    }
    let view = View::build(&changes);
    let held: usize = view.tenants().map(|t| t.numbers_len()).sum();
    // Extensions are numbers too.
    if held as u64 != NUMBERS + USERS as u64 {
        return Err(format!("the view holds {held} of {NUMBERS} numbers").into());
    }
    Ok(view)
}
