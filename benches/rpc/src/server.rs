//! The servers: routing as the product runs it, and an echo that is tonic and nothing else.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::{DirectoryDocument, NumberAssignment, User};
use tandem_domain::document::policy::{TenantDocument, Treatments};
use tandem_domain::document::terms::AssignmentKind;
use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_domain::record::{self, PolicyRecord, Record, TenantRecord};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_server::{Routing, RoutingServer};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_runtime::serve::Server;
use tandem_store::{Commit, Durability, Outcome, Write, put};
use tandem_wire::authority::Gate;
use tandem_wire::caller::{Callers, Table};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::Result;

/// Number `at` of a tenant.
pub fn number(at: u64) -> String {
    // Inside the example's own range, so that each is the tenant's.
    format!("+493023125{at:05}")
}

pub fn run(mode: &str, tenants: usize, numbers: usize, port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        match mode {
            "route" => {
                let life = Life::new();
                let chance = Chance::machine();
                let settings = match port {
                    0 => Settings::memory("bench"),
                    _ => Settings { home: crate::changes::home(port), ..Settings::memory("bench") },
                };
                let cell = Cell::open(&life, Clock::machine(), chance.clone(), settings).await?;
                cell.view().synchronised().await;
                fill(&cell, tenants, numbers).await?;
                let services = tandem_routing::build(&life, &cell, &tandem_routing::Config::default());
                let gate = Gate::new(Callers::new(Table::default()).dev());
                services
                    .serve(Server::new("bench", life.clone(), chance))
                    .descriptors(tandem_proto::DESCRIPTORS)
                    .gate(move |method, headers, extensions| gate.check(method, headers, extensions))
                    .tcp(listener, None)
                    .start()?;
                println!("{address}");
                std::future::pending::<()>().await;
            }
            _ => {
                println!("{address}");
                // As `serve(address)` sets its sockets, which a listener of one's own does not: with Nagle's algorithm
                // the echo would wait for acknowledgements, and work in larger batches than ours.
                let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
                tonic::transport::Server::builder()
                    .add_service(RoutingServer::new(Echo))
                    .serve_with_incoming(incoming)
                    .await?;
            }
        }
        Ok(())
    })
}

async fn commit(cell: &Cell, tenant: &TenantId, writes: Vec<Write>) -> Result<()> {
    let commit = Commit {
        tenant: tenant.clone(),
        id: cell.commit_id(),
        preconditions: Vec::new(),
        writes,
        durability: Durability::Local,
        trace: None,
    };
    match cell.store().commit(commit).await? {
        Outcome::Committed(_) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// Tenant `at`.
pub fn tenant(at: usize) -> Result<TenantId> {
    Ok(TenantId { name: TenantName::parse(&format!("t{at}"))?, incarnation: Incarnation(at as u128 + 1) })
}

/// The one user of each tenant.
pub fn user() -> Result<User> {
    let directory: DirectoryDocument =
        serde_saphyr::from_str(include_str!("../../../examples/directories/brandt.yaml"))?;
    Ok(directory.spec.users.first().ok_or("no user")?.clone())
}

async fn fill(cell: &Cell, tenants: usize, numbers: usize) -> Result<()> {
    let policy: TenantDocument =
        serde_saphyr::from_str(include_str!("../../../examples/tenants/brandt.yaml"))?;
    let user = user()?;
    for at in 0..tenants {
        let id = tenant(at)?;
        let born = Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false });
        commit(cell, &record::cell(), vec![put(id.name.as_str(), &born)]).await?;
        let policy = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec: policy.spec.clone() }));
        let owner = Record::User(Arc::new(user.clone()));
        commit(cell, &id, vec![put("", &policy), put(user.id.as_str(), &owner)]).await?;
        let assigned = (0..numbers as u64).map(|n| {
            let number = number(n);
            let record = NumberAssignment {
                number: number.clone(),
                kind: AssignmentKind::Did,
                user: Some(user.id.clone()),
                workgroup: None,
                treatments: Treatments::default(),
            };
            put(&number, &Record::Number(Arc::new(record)))
        });
        let all: Vec<Write> = assigned.collect();
        for part in all.chunks(500) {
            commit(cell, &id, part.to_vec()).await?;
        }
    }
    let whole =
        || cell.view().load().view.tenants().filter(|t| t.numbers_len() >= numbers).count() == tenants;
    cell.view().until(whole).await;
    Ok(())
}

/// Answers what routing would answer, without deciding anything.
struct Echo;

fn canned(request: &pb::RouteCallRequest) -> pb::Decision {
    let attempt = request.attempt.clone().unwrap_or_default();
    let target = |trunk: &str, host: &str| pb::Target {
        trunk: trunk.into(),
        host: host.into(),
        port: 5068,
        transport: pb::Transport::Tcp.into(),
        request_uri: format!("sip:{}@{host}:5068;user=phone", attempt.called),
        identity: Some(pb::Identity {
            asserted: vec![
                format!("<sip:{}@{host};user=phone>", attempt.caller),
                format!("<tel:{}>", attempt.caller),
            ],
            privacy: String::new(),
            diversion: pb::identity::DiversionForm::Diversion.into(),
            strip: false,
            diversion_entry: String::new(),
        }),
        no_response_ms: 3000,
        only_100_ms: 10_000,
        retry_on: vec![408, 500, 502, 503, 504],
    };
    pb::Decision {
        name: format!("{}/decisions/bench-0123456789abcdef-1", request.parent),
        revision: 1_700_000_000_000_000,
        called: attempt.called.clone(),
        owner: Some(pb::Owner { kind: pb::owner::Kind::CicUser.into(), id: "anna.weber".into() }),
        emergency: false,
        outcome: Some(pb::decision::Outcome::Route(pb::Route {
            carriage: pb::route::Carriage::Proxy.into(),
            targets: vec![target("lync", "127.2.1.50")],
            treatment: Some(pb::Treatment::default()),
            survivable: false,
        })),
        source: pb::decision::Source::Live.into(),
        stale_ms: 0,
    }
}

type Answers = Pin<Box<dyn Stream<Item = std::result::Result<pb::RouteCallsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Routing for Echo {
    async fn route_call(
        &self,
        request: Request<pb::RouteCallRequest>,
    ) -> std::result::Result<Response<pb::Decision>, Status> {
        Ok(Response::new(canned(request.get_ref())))
    }

    type RouteCallsStream = Answers;

    async fn route_calls(
        &self,
        request: Request<Streaming<pb::RouteCallRequest>>,
    ) -> std::result::Result<Response<Answers>, Status> {
        let answers = request.into_inner().map(|asked| {
            let asked = asked?;
            let result = Some(pb::route_calls_response::Result::Decision(canned(&asked)));
            Ok(pb::RouteCallsResponse { tag: asked.tag, result })
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn explain_call(
        &self,
        _: Request<pb::ExplainCallRequest>,
    ) -> std::result::Result<Response<pb::Explanation>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn list_decisions(
        &self,
        _: Request<pb::ListDecisionsRequest>,
    ) -> std::result::Result<Response<pb::ListDecisionsResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }
}
