//! Users as they are, then as they change: [`tandem_cell::watch`], with the words of this service.
//!
//! An event's user is as the revision of the event has it, findings included. Findings that come or go because of
//! another record are told with the user's own next change: a watch tells users, not what is thought of them.

use futures::Stream;
use futures::stream::{iter, unfold};
use tandem_cell::watch::{Mark, NoResume, NoTenant, Told, Watch};
use tandem_domain::id::TenantId;
use tandem_domain::record::Record;
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::watch_users_response::{Bookmark, Event, Expired, InitialEnd, Restart};
use tandem_runtime::drain::Drain;
use tandem_wire::name;
use tandem_wire::page::{List, Signer};
use tandem_wire::status::{Reason, Refusal};
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use crate::service::{AGAIN, Service};
use crate::share::Place;
use crate::user;

type Item = Result<pb::WatchUsersResponse, Status>;

/// What is watched, as its tokens are bound.
fn list<'a>(tenant: &'a TenantId, caller: &'a str) -> List<'a> {
    List { tenant, caller, method: "/tandem.station.v1.Directory/WatchUsers", filter: &[] }
}

/// From where a watch goes on; none: from the beginning.
///
/// # Errors
/// `RESUME_TOKEN_INVALID`.
pub(crate) fn mark(
    signer: &Signer,
    tenant: &TenantId,
    caller: &str,
    token: &str,
) -> Result<Option<Mark>, Refusal> {
    let Some(bytes) = signer.resume(list(tenant, caller), token)? else { return Ok(None) };
    // What is signed by us is a mark of ours.
    Mark::read(&bytes).map(Some).ok_or_else(Refusal::internal)
}

/// What a watch is given back when it ends.
pub(crate) type Held = (OwnedSemaphorePermit, Place);

/// A watch on its way.
struct Watching {
    watch: Watch,
    service: Service,
    drain: Drain,
    tenant: TenantId,
    caller: String,
    ended: bool,
    _places: Held,
}

/// The stream of a watch.
pub(crate) fn users(
    service: Service,
    (watch, tenant, caller): (Watch, TenantId, String),
    drain: Drain,
    places: Held,
) -> impl Stream<Item = Item> + Send + use<> {
    let watching = Watching { watch, service, drain, tenant, caller, ended: false, _places: places };
    unfold(watching, |mut watching| async move { watching.next().await.map(|item| (item, watching)) })
}

/// The stream of a watch whose token is too old.
pub(crate) fn expired(now_us: u64) -> impl Stream<Item = Item> + Send + use<> {
    let event = Some(Event::Expired(Expired {}));
    let last = pb::WatchUsersResponse { event, server_time_us: now_us, ..Default::default() };
    let words = "what the token goes on from is forgotten: begin anew without one, after a pause from chance";
    iter([Ok(last), Err(Refusal::new(Reason::ResumeTokenExpired, words).into())])
}

/// Why a watch cannot go on, other than that its token is too old.
pub(crate) fn refused(why: NoResume, tenant: &TenantId) -> Refusal {
    match why {
        NoResume::Late => {
            Refusal::new(Reason::RevisionNotReached, "this process has not yet reached what the token says")
        }
        NoResume::Busy => Refusal::quota(
            &name::tenant(&tenant.name),
            "as many watches as may read the log at once; the same token may be taken later",
            Some(AGAIN),
        ),
        NoResume::NoTenant => gone(tenant),
        NoResume::Expired => Refusal::new(Reason::ResumeTokenExpired, "begin anew without a token"),
        NoResume::Away(error) => {
            tracing::debug!(%error, "a watch cannot go on: the log cannot be read");
            Refusal::new(
                Reason::StoreUnavailable,
                "the log cannot be read now; the same token may be taken later",
            )
        }
    }
}

/// A tenant that is not there.
pub(crate) fn no_tenant(_: NoTenant, tenant: &TenantId) -> Refusal {
    gone(tenant)
}

fn gone(tenant: &TenantId) -> Refusal {
    Refusal::not_found("Tenant", &name::tenant(&tenant.name))
}

impl Watching {
    async fn next(&mut self) -> Option<Item> {
        if self.ended {
            return None;
        }
        let drain = self.drain.clone();
        let told = tokio::select! {
            biased;
            told = self.watch.next() => told?,
            () = drain.draining() => {
                self.ended = true;
                self.watch.bookmark()
            }
        };
        let event = match told {
            Told::Put(Record::User(user)) => {
                let revision = self.watch.revision().0;
                Event::Upsert(pb::User { revision, ..user::message(self.watch.shown(), &user) })
            }
            Told::Gone(key) => Event::Delete(format!("{}/users/{key}", name::tenant(&self.tenant.name))),
            Told::InitialEnd => Event::InitialEnd(InitialEnd {}),
            // It watches users and nothing else.
            Told::Bookmark | Told::Put(_) => Event::Bookmark(Bookmark {}),
            Told::Restart => Event::Restart(Restart {}),
            Told::End => {
                self.ended = true;
                return Some(Err(gone(&self.tenant).into()));
            }
        };
        Some(Ok(self.event(event)))
    }

    fn event(&self, event: Event) -> pb::WatchUsersResponse {
        let sign = |mark: Mark| self.service.signer().sign(list(&self.tenant, &self.caller), &mark.bytes());
        pb::WatchUsersResponse {
            event: Some(event),
            revision: self.watch.revision().0,
            resume_token: self.watch.mark().map(sign).unwrap_or_default(),
            server_time_us: self.service.now_us(),
        }
    }
}
