//! `RouteCalls`, answered from bytes: requests that came together are decided together, by one snapshot.

use bytes::Bytes;
use prost::Message as _;
use smallvec::SmallVec;
use tandem_cell::follower::Snapshot;
use tandem_domain::number::Number;
use tandem_domain::view::{Ahead, TenantView, read_ahead};
use tandem_proto::routing::v1 as pb;
use tandem_runtime::serve::{Deadline, Later, Progress, Replies, Reply, Streamed};
use tandem_wire::caller::Caller;
use tandem_wire::decision::write_answer;
use tandem_wire::request::RouteCall;
use tandem_wire::status::Refusal;

use crate::route::{Plain, read};
use crate::service::{Service, WAIT, find};

/// What most answers fit in, in bytes.
const ANSWER_BYTES: usize = 512;

/// Requests as they came; none: one that is not plain.
type Calls<'a> = SmallVec<[Option<RouteCall<'a>>; 32]>;

impl Streamed for Service {
    fn call(&self, messages: &[Bytes], extensions: &http::Extensions, replies: &mut Replies) -> Progress {
        let caller = match Caller::within(extensions) {
            Ok(caller) => caller,
            Err(refusal) => return Progress::Ends(refusal.into()),
        };
        let calls: Calls<'_> = messages.iter().map(|message| RouteCall::read(message)).collect();
        let snapshot = self.snapshot();
        let found = snapshot.as_ref().map_or_else(|_| Found::new(), |now| look_ahead(&caller, &calls, now));
        let at_hand =
            AtHand { caller: &caller, snapshot: snapshot.as_deref().map(|s| &**s), now_us: self.now_us() };
        replies.reserve(messages.len() * ANSWER_BYTES);
        for (at, (message, call)) in messages.iter().zip(&calls).enumerate() {
            let answered = match call {
                Some(call) => self.add(&at_hand, call, found.get(at).copied().flatten(), replies),
                None => match Plain::new(message.clone()) {
                    Ok(plain) => self.add_plain(&at_hand, &plain, replies),
                    Err(status) => return Progress::Ends(status),
                },
            };
            if !answered {
                self.counts().route_calls.add(at + 1);
                return Progress::Waits(at, self.later(caller, message.clone(), extensions));
            }
        }
        self.counts().route_calls.add(messages.len());
        Progress::Done
    }
}

/// The tenants of requests, as far as they are there.
type Found<'s> = SmallVec<[Option<&'s TenantView>; 32]>;

/// Finds the tenants, and looks at what most of the calls will need, before the first is decided.
fn look_ahead<'s>(caller: &Caller, calls: &Calls<'_>, snapshot: &'s Snapshot) -> Found<'s> {
    let find = |call: &RouteCall<'_>| find(caller, call.parent, snapshot).ok().map(|tenant| &**tenant);
    let found: Found<'s> = calls.iter().map(|call| find(call.as_ref()?)).collect();
    let ahead: SmallVec<[_; 32]> =
        calls.iter().zip(&found).filter_map(|(call, tenant)| ahead(call.as_ref()?, (*tenant)?)).collect();
    read_ahead(&ahead);
    found
}

fn ahead<'a>(call: &RouteCall<'a>, tenant: &'a TenantView) -> Option<Ahead<'a>> {
    Some(Ahead { tenant, called: Number::parse_canonical(call.called()?)?, trunk: call.trunk() })
}

/// What the answers to requests that came together share.
struct AtHand<'s> {
    caller: &'s Caller,
    snapshot: Result<&'s Snapshot, &'s Refusal>,
    now_us: u64,
}

impl Service {
    /// Adds the answer to one request, a `RouteCallsResponse`. A call that cannot be decided ends nothing but itself.
    /// False: it must wait for its revision.
    fn add(
        &self,
        at_hand: &AtHand<'_>,
        call: &RouteCall<'_>,
        found: Option<&TenantView>,
        replies: &mut Replies,
    ) -> bool {
        let added = self.decide(at_hand, call, found, replies);
        added.unwrap_or_else(|refusal| refuse(replies, call.tag, refusal))
    }

    /// The same for a request that was made plain.
    fn add_plain(&self, at_hand: &AtHand<'_>, plain: &Plain, replies: &mut Replies) -> bool {
        match read(plain) {
            Ok(call) => self.add(at_hand, &call, None, replies),
            Err(refusal) => refuse(replies, 0, refusal),
        }
    }

    fn decide(
        &self,
        at_hand: &AtHand<'_>,
        call: &RouteCall<'_>,
        found: Option<&TenantView>,
        replies: &mut Replies,
    ) -> Result<bool, Refusal> {
        // What a revision asks for may be newer than the snapshot.
        let newer = match call.min_revision {
            0 => None,
            revision => match self.tenant_now(at_hand.caller, call.parent, revision)? {
                Some(tenant) => Some(tenant),
                None => return Ok(false),
            },
        };
        let tenant = match (&newer, found) {
            (Some(tenant), _) => tenant,
            (None, Some(found)) => found,
            (None, None) => find(at_hand.caller, call.parent, at_hand.snapshot.map_err(Refusal::clone)?)?,
        };
        replies.add(|out| {
            self.route(tenant, call, at_hand.now_us, out, |out, decision, made| {
                write_answer(out, call.tag, decision, made)
            })
        })?;
        Ok(true)
    }

    /// The answer to a request that waits for its revision.
    fn later(&self, caller: Caller, message: Bytes, extensions: &http::Extensions) -> Later {
        // A stream may have been given hours; each of its requests is not.
        let deadline = extensions.get::<Deadline>().copied().filter(|d| d.remaining() < WAIT);
        let service = self.clone();
        Box::pin(async move {
            let plain = Plain::new(message)?;
            let call = read(&plain)?;
            let tenant = service.tenant(&caller, call.parent, call.min_revision, deadline).await;
            let mut out = Reply::buffer(ANSWER_BYTES);
            let routed = tenant.and_then(|tenant| {
                service.route(&tenant, &call, service.now_us(), &mut out, |out, decision, made| {
                    write_answer(out, call.tag, decision, made)
                })
            });
            if let Err(refusal) = routed {
                out.truncate(Reply::ROOM);
                out.extend_from_slice(&failure(call.tag, refusal));
            }
            Ok(Reply::new(out))
        })
    }
}

fn failure(tag: u64, refusal: Refusal) -> Vec<u8> {
    let failure = pb::route_calls_response::Result::Failure(refusal.into_failure());
    pb::RouteCallsResponse { tag, result: Some(failure) }.encode_to_vec()
}

fn refuse(replies: &mut Replies, tag: u64, refusal: Refusal) -> bool {
    let failure = failure(tag, refusal);
    let added = replies.add(|out| {
        out.extend_from_slice(&failure);
        Ok::<(), std::convert::Infallible>(())
    });
    added.is_ok()
}
