//! A station service with two tenants, and callers who may see one of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::id::{Revision, TenantId, TenantName};
use tandem_domain::record::{self, PolicyRecord, Record, TenantRecord};
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::directory_client::DirectoryClient;
use tandem_proto::station::v1::import_directory_request::{Header, Item, Mode};
use tandem_runtime::clock::{Chance, Clock, ManualClock};
use tandem_runtime::document::{Limits, Source};
use tandem_runtime::drain::Life;
use tandem_runtime::serve::{Deadlines, Limits as Deadline, Server, pipe};
use tandem_servers::on::Backing;
use tandem_station::Config;
use tandem_store::{Commit, Durability, Outcome, Write, put};
use tandem_wire::authority::Gate;
use tandem_wire::caller::{Callers, Table, digest};
use tandem_wire::directory as wire;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// 2023-11-14, microseconds.
const START: u64 = 1_700_000_000_000_000;
/// Longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// A limit of messages that tests may use to the full.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// The caller of tests who may do all with brandt and with albion.
pub(crate) const ADMIN: &str = "admin";
/// Who may see albion only.
pub(crate) const STRANGER: &str = "stranger";
/// Who may read brandt and write nothing.
pub(crate) const READER: &str = "reader";

pub(crate) struct Rig {
    pub(crate) cell: Cell,
    pub(crate) life: Life,
    pub(crate) hand: ManualClock,
    pub(crate) brandt: TenantId,
    clock: Clock,
    channel: Channel,
    backing: Backing,
}

/// Another process of the same cell.
pub(crate) struct Replica {
    pub(crate) life: Life,
    channel: Channel,
}

impl Replica {
    pub(crate) fn client(&self) -> DirectoryClient<Channel> {
        client(&self.channel)
    }
}

fn client(channel: &Channel) -> DirectoryClient<Channel> {
    DirectoryClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES)
}

/// Serves a process behind the gate.
fn serve(life: &Life, cell: &Cell, config: &Config) -> Channel {
    let (channel, listener) = pipe();
    let gate = Gate::new(callers());
    let second = Deadline { default: Some(Duration::from_secs(1)), max: None };
    Server::new("grpc", life.clone(), Chance::seeded(2))
        .descriptors(tandem_proto::DESCRIPTORS)
        .deadlines(Deadlines::default().method("/tandem.station.v1.Directory/GetUser", second))
        .service(tandem_station::build(life, cell, config))
        .gate(move |method, headers, extensions| gate.check(method, headers, extensions))
        .pipe(listener)
        .start()
        .unwrap();
    channel
}

fn example(folder: &str, name: &str) -> Source {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    Source::read(&top.join(folder).join(name).with_extension("yaml"), Limits::IMPORT).unwrap()
}

fn callers() -> Callers {
    let entry = |subject: &str, tenants: &str, scopes: &str| {
        let token = digest(subject);
        format!(
            "  - {{subject: {subject}, tenants: [{tenants}], scopes: [{scopes}], tokenDigests: [\"{token}\"]}}\n"
        )
    };
    let text = format!(
        "apiVersion: tandem.dev/v1\nkind: Callers\ncallers:\n{}{}{}",
        entry(ADMIN, "brandt, albion", "directory.read, directory.write"),
        entry(STRANGER, "albion", "directory.read, directory.write"),
        entry(READER, "brandt", "directory.read"),
    );
    Callers::new(Table::read(&Source::new("callers.yaml", text, Limits::POLICY).unwrap()).unwrap())
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let life = Life::new();
        let (clock, hand) = Clock::manual(START);
        let backing = crate::ON.start();
        let settings = Settings { home: backing.home(), ..Settings::memory("station") };
        let cell = Cell::open(&life, clock.clone(), Chance::seeded(1), settings).await.unwrap();
        cell.view().synchronised().await;
        let channel = serve(&life, &cell, &config);
        let brandt = birth(&cell, "brandt").await;
        birth(&cell, "albion").await;
        Self { cell, life, hand, brandt, clock, channel, backing }
    }

    #[allow(dead_code, reason = "one of the two suites has a store that can be emptied")]
    pub(crate) fn flush(&self) {
        assert_eq!(self.backing.server().unwrap().cli(&["FLUSHALL"]), "OK");
    }

    /// Empties the store, which must be on Redis; brandt is born again in it.
    #[allow(dead_code, reason = "one of the two suites has a store that can be emptied")]
    pub(crate) async fn empty(&self) {
        self.flush();
        let brandt = birth(&self.cell, "brandt").await;
        let view = self.cell.view();
        let shown = || view.load().view.tenant_by_id(&brandt).is_some();
        tokio::time::timeout(SOON, view.until(shown)).await.expect("shown");
    }

    /// Another process of the same cell; `n` is its own number.
    pub(crate) async fn replica(&self, n: u64) -> Replica {
        let (life, chance) = (Life::new(), Chance::seeded(n));
        let world = tandem_cell::world(&self.clock, &chance);
        let store = self.backing.again(self.cell.store(), world).await.unwrap();
        let settings = Settings::memory("station");
        let cell = Cell::join(&life, self.clock.clone(), chance, store, settings);
        cell.view().synchronised().await;
        let channel = serve(&life, &cell, &Config::default());
        Replica { life, channel }
    }

    pub(crate) fn client(&self) -> DirectoryClient<Channel> {
        client(&self.channel)
    }

    /// Imports as the admin.
    pub(crate) async fn import(
        &self,
        header: Header,
        items: Vec<Item>,
    ) -> Result<pb::ImportDirectoryResponse, Status> {
        self.import_as(ADMIN, header, items).await
    }

    pub(crate) async fn import_as(
        &self,
        caller: &str,
        header: Header,
        items: Vec<Item>,
    ) -> Result<pb::ImportDirectoryResponse, Status> {
        let messages = std::iter::once(Item::Header(header)).chain(items);
        let messages = messages.map(|item| pb::ImportDirectoryRequest { item: Some(item) });
        let request = with(caller, tokio_stream::iter(messages.collect::<Vec<_>>()));
        Ok(self.client().import_directory(request).await?.into_inner())
    }

    pub(crate) async fn get(&self, id: &str) -> Result<pb::User, Status> {
        let request = pb::GetUserRequest { name: name(id), ..Default::default() };
        Ok(self.client().get_user(with(ADMIN, request)).await?.into_inner())
    }

    /// The ids of all users, by pages of `size`.
    pub(crate) async fn list(&self, size: u32) -> Vec<String> {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListUsersRequest {
                parent: "tenants/brandt".into(),
                page_size: size,
                page_token,
                ..Default::default()
            };
            let page = self.client().list_users(with(ADMIN, request)).await.unwrap().into_inner();
            ids.extend(page.users.into_iter().map(|u| id(&u.name)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }
}

pub(crate) async fn commit(cell: &Cell, tenant: &TenantId, writes: Vec<Write>) -> Revision {
    let commit = Commit {
        tenant: tenant.clone(),
        id: cell.commit_id(),
        preconditions: Vec::new(),
        writes,
        durability: Durability::Replicated,
        trace: None,
    };
    match cell.store().commit(commit).await.unwrap() {
        Outcome::Committed(revision) => {
            cell.view().wait_for(tenant, revision, Instant::now() + SOON).await.unwrap();
            revision
        }
        other => panic!("{other:?}"),
    }
}

async fn birth(cell: &Cell, name: &str) -> TenantId {
    let tenant = TenantId { name: TenantName::parse(name).unwrap(), incarnation: cell.incarnation() };
    let record = Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: false });
    commit(cell, &record::cell(), vec![put(name, &record)]).await;
    policy(cell, &tenant, 1, |_| {}).await;
    tenant
}

/// Saves the policy of an example.
pub(crate) async fn policy(
    cell: &Cell,
    tenant: &TenantId,
    generation: u64,
    change: impl FnOnce(&mut tandem_domain::document::policy::TenantSpec),
) {
    let document = example("tenants", tenant.name.as_str()).document().unwrap();
    let mut spec = document.parse::<TenantDocument>().unwrap().spec;
    change(&mut spec);
    let record = Record::Policy(Arc::new(PolicyRecord { generation, spec }));
    commit(cell, tenant, vec![put("", &record)]).await;
}

/// A request with a caller's token.
pub(crate) fn with<T>(caller: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {caller}").parse().unwrap());
    request
}

pub(crate) fn name(id: &str) -> String {
    format!("tenants/brandt/users/{id}")
}

pub(crate) fn id(name: &str) -> String {
    name.rsplit('/').next().unwrap().to_owned()
}

pub(crate) fn header(mode: Mode) -> Header {
    Header { parent: "tenants/brandt".into(), mode: mode.into(), ..Default::default() }
}

/// A user who is complete but for their station.
pub(crate) fn user(id: &str, display_name: &str) -> pb::User {
    pb::User {
        name: name(id),
        display_name: display_name.into(),
        cic: Some(pb::CicAccount { user_id: id.into(), ..Default::default() }),
        call_control: pb::CallControl::CicClient.into(),
        phone: Some(pb::Phone { kind: pb::PhoneKind::CicHard.into(), ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn users(n: usize, display_name: &str) -> Vec<Item> {
    (0..n).map(|n| Item::User(user(&format!("u{n:06}"), display_name))).collect()
}

/// The example's directory as an import.
pub(crate) fn people() -> Vec<Item> {
    let tenant = TenantName::parse("brandt").unwrap();
    let document = example("directories", "brandt").document().unwrap();
    let spec = document.parse::<DirectoryDocument>().unwrap().spec;
    let users = spec.users.iter().map(|u| Item::User(wire::user(&tenant, u)));
    let stations = spec.stations.iter().map(|s| Item::Station(wire::station(&tenant, s)));
    let workgroups = spec.workgroups.iter().map(|w| Item::Workgroup(wire::workgroup(&tenant, w)));
    let numbers = spec.numbers.iter().map(|n| Item::Number(wire::number(n)));
    users.chain(stations).chain(workgroups).chain(numbers).collect()
}

pub(crate) fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// All that a caller hears, but the id of its request.
pub(crate) fn heard(status: &Status) -> (tonic::Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}
