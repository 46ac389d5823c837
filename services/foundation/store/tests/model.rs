//! Random histories against a model of the contract that a page can hold: the same answers, the same records, and a
//! log that adds up to them. A history that fails is shrunk and printed.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_store::embedded::{Embedded, Place};
use tandem_store::{
    Backend as _, Commit, CommitId, Durability, Key, Outcome, Position, Precondition, Pulled, Refusal,
    SessionId, Shard, Until, What, World, Write,
};

const START: u64 = 1_700_000_000_000_000;

/// A precondition as it is drawn: what is current is found when it is asked.
#[derive(Clone, Copy, Debug)]
enum If {
    Absent(u8),
    Version(u8),
    OldVersion(u8),
    Token(u8),
    OldToken(u8),
    Lives(u8),
}

#[derive(Clone, Copy, Debug)]
enum Do {
    Put(u8, u8),
    Delete(u8),
    Update(u8, u8),
    ClaimFor(u8, u16),
    ClaimWith(u8, u8),
}

#[derive(Clone, Debug)]
enum Op {
    Commit { tenant: u8, conditions: Vec<If>, writes: Vec<Do>, again: bool },
    Advance(u16),
    Open(u8, u8, u16),
    KeepAlive(u8, u8, u16),
    End(u8, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let condition = prop_oneof![
        (0..5_u8).prop_map(If::Absent),
        (0..5_u8).prop_map(If::Version),
        (0..5_u8).prop_map(If::OldVersion),
        (0..5_u8).prop_map(If::Token),
        (0..5_u8).prop_map(If::OldToken),
        (0..3_u8).prop_map(If::Lives),
    ];
    let write = prop_oneof![
        (0..5_u8, any::<u8>()).prop_map(|(k, v)| Do::Put(k, v)),
        (0..5_u8).prop_map(Do::Delete),
        (0..5_u8, any::<u8>()).prop_map(|(k, v)| Do::Update(k, v)),
        (0..5_u8, 0..6000_u16).prop_map(|(k, ms)| Do::ClaimFor(k, ms)),
        (0..5_u8, 0..3_u8).prop_map(|(k, s)| Do::ClaimWith(k, s)),
    ];
    let conditions = proptest::collection::vec(condition, 0..3);
    let writes = proptest::collection::vec(write, 1..4);
    prop_oneof![
        6 => (0..2_u8, conditions, writes, any::<bool>())
            .prop_map(|(tenant, conditions, writes, again)| Op::Commit { tenant, conditions, writes, again }),
        3 => (0..2000_u16).prop_map(Op::Advance),
        2 => (0..2_u8, 0..3_u8, 1..8000_u16).prop_map(|(t, s, ms)| Op::Open(t, s, ms)),
        1 => (0..2_u8, 0..3_u8, 1..8000_u16).prop_map(|(t, s, ms)| Op::KeepAlive(t, s, ms)),
        1 => (0..2_u8, 0..3_u8).prop_map(|(t, s)| Op::End(t, s)),
    ]
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Ends {
    Never,
    At(u64),
    With(u8),
}

#[derive(Clone, PartialEq, Debug)]
struct Held {
    value: Vec<u8>,
    version: u64,
    token: Option<u64>,
    ends: Ends,
}

/// What a tenant's shard is, by the contract.
#[derive(Default)]
struct Model {
    records: BTreeMap<u8, Held>,
    sessions: BTreeMap<u8, u64>,
    revision: u64,
}

impl Model {
    fn lives(&self, session: u8, now: u64) -> bool {
        self.sessions.get(&session).is_some_and(|end| *end > now)
    }

    fn is_current(&self, key: u8, token: u64, now: u64) -> bool {
        self.records.get(&key).is_some_and(|r| {
            r.token == Some(token)
                && match r.ends {
                    Ends::Never => true,
                    Ends::At(end) => end > now,
                    Ends::With(session) => self.lives(session, now),
                }
        })
    }

    fn commit(&mut self, conditions: &[Precondition], ifs: &[If], writes: &[Do], now: u64) -> Outcome {
        for (at, (condition, drawn)) in conditions.iter().zip(ifs).enumerate() {
            let found = |k: u8| self.records.get(&k).map(|r| Revision(r.version));
            let (holds, found) = match (condition, *drawn) {
                (Precondition::Absent(_), If::Absent(k)) => (found(k).is_none(), found(k)),
                (Precondition::VersionIs(_, v), If::Version(k) | If::OldVersion(k)) => {
                    (found(k) == Some(*v), found(k))
                }
                (Precondition::TokenIs(_, t), If::Token(k) | If::OldToken(k)) => {
                    (self.is_current(k, t.0, now), found(k))
                }
                (_, If::Lives(s)) => (self.lives(s, now), None),
                other => unreachable!("{other:?}"),
            };
            if !holds {
                return Outcome::Refused(Refusal { precondition: at, found });
            }
        }
        let dead = |w: &Do| matches!(w, Do::ClaimWith(_, s) if !self.lives(*s, now));
        if writes.iter().any(dead) {
            return Outcome::Refused(Refusal { precondition: conditions.len(), found: None });
        }
        let revision = now.max(self.revision + 1);
        self.revision = revision;
        for write in writes {
            let (key, value, token, ends) = match *write {
                Do::Delete(k) => {
                    self.records.remove(&k);
                    continue;
                }
                Do::Put(k, v) => (k, vec![v], None, Ends::Never),
                Do::ClaimFor(k, ms) => (k, vec![1], Some(revision), Ends::At(now + u64::from(ms) * 1000)),
                Do::ClaimWith(k, s) => (k, vec![2], Some(revision), Ends::With(s)),
                Do::Update(k, v) => {
                    let before = self.records.get(&k);
                    (k, vec![v], before.and_then(|b| b.token), before.map_or(Ends::Never, |b| b.ends))
                }
            };
            self.records.insert(key, Held { value, version: revision, token, ends });
        }
        Outcome::Committed(Revision(revision))
    }

    fn sweep(&mut self, now: u64) -> usize {
        let before = self.records.len();
        let sessions = self.sessions.clone();
        self.records.retain(|_, r| match r.ends {
            Ends::Never => true,
            Ends::At(end) => end > now,
            Ends::With(session) => sessions.get(&session).is_some_and(|end| *end > now),
        });
        self.sessions.retain(|_, end| *end > now);
        let swept = before - self.records.len();
        if swept > 0 {
            self.revision = now.max(self.revision + 1);
        }
        swept
    }
}

fn tenant(n: u8) -> TenantId {
    TenantId {
        name: TenantName::parse(["acme", "globex"][usize::from(n)]).unwrap(),
        incarnation: Incarnation(1),
    }
}

fn key(k: u8) -> Key {
    Key::new(3, &k.to_string())
}

fn session(s: u8) -> SessionId {
    SessionId(u128::from(s))
}

fn precondition(drawn: If, model: &Model) -> Precondition {
    let version = |k| model.records.get(&k).map_or(1, |r| r.version);
    let token = |k| model.records.get(&k).and_then(|r| r.token).unwrap_or(1);
    match drawn {
        If::Absent(k) => Precondition::Absent(key(k)),
        If::Version(k) => Precondition::VersionIs(key(k), Revision(version(k))),
        If::OldVersion(k) => Precondition::VersionIs(key(k), Revision(version(k) - 1)),
        If::Token(k) => Precondition::TokenIs(key(k), Revision(token(k))),
        If::OldToken(k) => Precondition::TokenIs(key(k), Revision(token(k) - 1)),
        If::Lives(s) => Precondition::SessionLives(session(s)),
    }
}

fn write(drawn: Do) -> Write {
    let (k, what) = match drawn {
        Do::Put(k, v) => (k, What::Put(vec![v].into())),
        Do::Delete(k) => (k, What::Delete),
        Do::Update(k, v) => (k, What::Update(vec![v].into())),
        Do::ClaimFor(k, ms) => {
            (k, What::Claim(vec![1].into(), Until::After(Duration::from_millis(u64::from(ms)))))
        }
        Do::ClaimWith(k, s) => (k, What::Claim(vec![2].into(), Until::Session(session(s)))),
    };
    Write { key: key(k), what }
}

/// One of several writes of a key is kept: a commit may write each record once.
fn once(writes: &[Do]) -> Vec<Do> {
    let of = |w: &Do| match *w {
        Do::Put(k, _) | Do::Delete(k) | Do::Update(k, _) | Do::ClaimFor(k, _) | Do::ClaimWith(k, _) => k,
    };
    let mut seen = Vec::new();
    writes
        .iter()
        .filter(|w| {
            !seen.contains(&of(w)) && {
                seen.push(of(w));
                true
            }
        })
        .copied()
        .collect()
}

struct Run {
    store: Embedded,
    clock: Arc<AtomicU64>,
    models: [Model; 2],
    next: u128,
}

impl Run {
    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Time passes in steps that shard time takes whole, so that in this test it is the clock's.
    async fn advance(&mut self, ms: u16) {
        self.clock.fetch_add(u64::from(ms) * 1000, Ordering::SeqCst);
        let now = self.now();
        for n in 0..2 {
            let swept = self.store.sweep(Shard::of(&tenant(n))).await.unwrap();
            assert_eq!(swept, self.models[usize::from(n)].sweep(now), "swept");
        }
    }

    async fn apply(&mut self, op: &Op) {
        let now = self.now();
        match op {
            Op::Advance(ms) => self.advance(*ms).await,
            Op::Commit { tenant: n, conditions, writes, again } => {
                self.next += 1;
                let model = &mut self.models[usize::from(*n)];
                let writes = once(writes);
                let commit = Commit {
                    tenant: tenant(*n),
                    id: CommitId(self.next),
                    preconditions: conditions.iter().map(|c| precondition(*c, model)).collect(),
                    writes: writes.iter().map(|w| write(*w)).collect(),
                    durability: Durability::Local,
                    trace: None,
                };
                let expected = model.commit(&commit.preconditions, conditions, &writes, now);
                assert_eq!(self.store.commit(commit.clone()).await.unwrap(), expected, "{commit:?}");
                if *again {
                    assert_eq!(
                        self.store.commit(commit.clone()).await.unwrap(),
                        expected,
                        "again {commit:?}"
                    );
                }
            }
            Op::Open(n, s, ms) => {
                let model = &mut self.models[usize::from(*n)];
                let ended = model.sessions.get(s).is_some_and(|end| *end <= now);
                let opened = self.store.open_session(&tenant(*n), session(*s), u32::from(*ms)).await;
                assert_eq!(opened.is_err(), ended, "{opened:?}");
                if !ended {
                    model.sessions.insert(*s, now + u64::from(*ms) * 1000);
                }
            }
            Op::KeepAlive(n, s, ms) => {
                let model = &mut self.models[usize::from(*n)];
                let lives = self.store.keep_alive(&tenant(*n), session(*s), u32::from(*ms)).await.unwrap();
                assert_eq!(lives, model.lives(*s, now));
                if lives {
                    model.sessions.insert(*s, now + u64::from(*ms) * 1000);
                }
            }
            Op::End(n, s) => {
                self.store.end_session(&tenant(*n), session(*s)).await.unwrap();
                if let Some(end) = self.models[usize::from(*n)].sessions.get_mut(s) {
                    *end = 0;
                }
            }
        }
    }

    /// The records, and what the log adds up to, are the model's.
    async fn verify(&self) {
        for n in 0..2_u8 {
            let (shard, model) = (Shard::of(&tenant(n)), &self.models[usize::from(n)]);
            let expected: Vec<_> =
                model.records.iter().map(|(k, r)| (key(*k), r.value.clone(), r.version, r.token)).collect();
            let listing = self.store.list(shard).await.unwrap();
            let of = |r: &tandem_store::Stored| {
                (r.key.clone(), r.value.to_vec(), r.version.0, r.token.map(|t| t.0))
            };
            assert_eq!(listing.records.iter().map(of).collect::<Vec<_>>(), expected, "records");
            assert_eq!(listing.position.map_or(0, |p| p.revision.0), model.revision, "position");
            let mut logged = BTreeMap::new();
            let mut after = None;
            while let Pulled::Entries(entries) = self.store.pull(shard, after, 3).await.unwrap() {
                let Some(last) = entries.last() else { break };
                after = Some(Position { revision: last.revision, commit: last.commit });
                for (entry, change) in entries.iter().flat_map(|e| e.changes.iter().map(move |c| (e, c))) {
                    match &change.value {
                        Some(value) => {
                            let token = change.token.map(|t| t.0);
                            logged.insert(change.key.clone(), (value.to_vec(), entry.revision.0, token));
                        }
                        None => drop(logged.remove(&change.key)),
                    }
                }
            }
            let logged: Vec<_> = logged.into_iter().map(|(k, (v, r, t))| (k, v, r, t)).collect();
            assert_eq!(logged, expected, "the log");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_answered_as_the_contract_says(ops in proptest::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(AtomicU64::new(START));
            let seen = Arc::clone(&clock);
            let drawn = AtomicU64::new(1);
            let world = World {
                clock: Arc::new(move || seen.load(Ordering::SeqCst)),
                chance: Arc::new(move || u128::from(drawn.fetch_add(1, Ordering::SeqCst)) << 64),
            };
            let store = Embedded::open(Place::Memory, world).unwrap();
            let mut run = Run { store, clock, models: [Model::default(), Model::default()], next: 0 };
            // Both shards begin at the same time.
            run.advance(0).await;
            for op in &ops {
                run.apply(op).await;
            }
            run.verify().await;
        });
    }
}
