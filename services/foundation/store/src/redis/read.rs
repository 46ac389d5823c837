//! Reads: one record, a listing, the log after a position, where every shard is.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use redis::{Cmd, Pipeline, Value};
use tandem_domain::id::TenantId;
use tokio::time::Instant;

use super::conn::{self, Fail};
use super::layout::{self, State, Turning};
use super::write::Remedy;
use super::{Redis, request};
use crate::bytes::Damaged;
use crate::types::{
    Cause, Entry, Error, Key, Listing, PULL_BYTES_MAX, Position, Pulled, Shard, Stats, Stored,
};

/// How many fields one step of a scan asks a hash for.
const SCAN: usize = 1000;
/// How often a listing is begun anew because the log was cut under it.
const LIST_TRIES: usize = 5;
/// How many entries one pull of a listing's replay asks for.
const REPLAY: usize = 1024;
/// What an entry is taken to be before anything is known of its shard's.
const ENTRY_BYTES: u64 = 512;

fn broken(e: Damaged) -> Error {
    Error::Unavailable(e.to_string())
}

fn nonsense(value: Value) -> Error {
    Error::Unavailable(conn::said(value))
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

impl Redis {
    fn read_until(&self) -> Instant {
        Instant::now() + self.shared.settings.read_within
    }

    /// Asks several commands of a shard's primary; none of them writes.
    async fn ask(&self, shard: Shard, pipe: &Pipeline, until: Instant) -> Result<Vec<Value>, Error> {
        let mut failures = 0;
        loop {
            let conn = self.reading(shard, until).await.map_err(Error::Unavailable)?;
            let why = match conn.ask_all(pipe, until).await {
                Ok(values) => match values.iter().find_map(|v| match v {
                    Value::ServerError(e) => Some(e),
                    _ => None,
                }) {
                    None => return Ok(values),
                    Some(e) => match self.remedy(&conn, e) {
                        Remedy::Again(why) => why,
                        Remedy::Later(why) | Remedy::Unknown(why) => return Err(Error::Unavailable(why)),
                    },
                },
                Err(Fail::Said(e)) => return Err(Error::Unavailable(conn::words(&e))),
                Err(Fail::Lost(why)) => why,
            };
            failures += 1;
            let pause = self.shared.pause(failures);
            if Instant::now() + pause >= until {
                return Err(Error::Unavailable(why));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// A record, and whether a claim of it is held now.
    pub(super) async fn look_at(
        &self,
        tenant: &TenantId,
        key: &Key,
        until: Instant,
    ) -> Result<Option<(Stored, bool)>, Error> {
        let shard = Shard::of(tenant);
        loop {
            let call = request::get(&self.shared.keys.shard(shard), tenant, key, self.now());
            let Value::Array(answer) = self.call(shard, &call, until).await? else {
                return Err(nonsense(Value::Nil));
            };
            let turning = answer.first().and_then(bytes).unwrap_or_default();
            if let Some(turning) = Turning::read(turning).map_err(broken)? {
                self.turn(shard, turning, until).await.map_err(Error::Unavailable)?;
                continue;
            }
            let held = answer.get(1) == Some(&Value::Int(1));
            let Some(value) = answer.get(2).and_then(bytes) else { return Ok(None) };
            let stored = layout::stored_at(tenant.clone(), key.clone(), value).map_err(broken)?;
            return Ok(Some((stored, held)));
        }
    }

    pub(super) async fn record(&self, tenant: &TenantId, key: &Key) -> Result<Option<Stored>, Error> {
        Ok(self.look_at(tenant, key, self.read_until()).await?.map(|(stored, _)| stored))
    }

    async fn state(&self, shard: Shard, until: Instant) -> Result<State, Error> {
        let mut pipe = Pipeline::new();
        pipe.cmd("GET").arg(self.shared.keys.shard(shard).state());
        let answer = self.ask(shard, &pipe, until).await?;
        State::read(answer.first().and_then(bytes)).map_err(broken)
    }

    /// The state of a shard in which no generation is half turned over.
    async fn settled(&self, shard: Shard) -> Result<State, Error> {
        loop {
            let until = self.read_until();
            let state = self.state(shard, until).await?;
            let Some(turning) = state.turning.clone() else { return Ok(state) };
            self.turn(shard, turning, until).await.map_err(Error::Unavailable)?;
        }
    }

    /// Every record at one moment: what is there is read while it may change, then what changed meanwhile is
    /// replayed from the log.
    pub(super) async fn listing(&self, shard: Shard) -> Result<Listing, Error> {
        for _ in 0..LIST_TRIES {
            let before = self.settled(shard).await?;
            if before.position.is_none() {
                return Ok(Listing { records: Vec::new(), position: None, at: before.time });
            }
            let mut records = self.scan(shard).await?;
            let after = self.settled(shard).await?;
            if self.replay(shard, &before, &after, &mut records).await? {
                let mut records: Vec<Stored> = records.into_values().collect();
                records.sort_unstable_by(|a, b| (&a.tenant, &a.key).cmp(&(&b.tenant, &b.key)));
                return Ok(Listing { records, position: after.position, at: after.time });
            }
        }
        Err(Error::Unavailable("the log was cut while the shard was listed".to_owned()))
    }

    async fn scan(&self, shard: Shard) -> Result<HashMap<(TenantId, Key), Stored>, Error> {
        let keys = self.shared.keys.shard(shard);
        let mut left: Vec<(Vec<u8>, Vec<u8>)> = keys.all_records().map(|key| (key, b"0".to_vec())).collect();
        let mut records = HashMap::new();
        while !left.is_empty() {
            let mut pipe = Pipeline::with_capacity(left.len());
            for (key, cursor) in &left {
                pipe.cmd("HSCAN").arg(key.as_slice()).arg(cursor.as_slice()).arg("COUNT").arg(SCAN);
            }
            let answers = self.ask(shard, &pipe, self.read_until()).await?;
            let mut next = Vec::new();
            for ((key, _), answer) in left.into_iter().zip(answers) {
                let Value::Array(pair) = answer else { return Err(nonsense(answer)) };
                let Ok([Value::BulkString(cursor), Value::Array(fields)]) = <[Value; 2]>::try_from(pair)
                else {
                    return Err(nonsense(Value::Nil));
                };
                for pair in fields.chunks_exact(2) {
                    let (Some(field), Some(value)) = (bytes(&pair[0]), bytes(&pair[1])) else { continue };
                    let stored = layout::stored(field, value).map_err(broken)?;
                    records.insert((stored.tenant.clone(), stored.key.clone()), stored);
                }
                if cursor != b"0" {
                    next.push((key, cursor));
                }
            }
            left = next;
        }
        Ok(records)
    }

    /// Does to records what the log says from one state to another. Answers false if the log does not say it any
    /// more.
    async fn replay(
        &self,
        shard: Shard,
        from: &State,
        to: &State,
        records: &mut HashMap<(TenantId, Key), Stored>,
    ) -> Result<bool, Error> {
        let mut at = from.position;
        while at != to.position {
            let Pulled::Entries(entries) = self.after(shard, at, REPLAY, self.read_until()).await? else {
                return Ok(false);
            };
            let Some(last) = entries.last() else { return Ok(false) };
            at = Some(Position { revision: last.revision, commit: last.commit });
            for entry in entries {
                if to.position.is_some_and(|end| entry.revision > end.revision) {
                    at = to.position;
                    break;
                }
                apply(records, &entry);
            }
        }
        // What the scan saw of a time after: it is replayed by who follows from here.
        Ok(true)
    }

    pub(super) async fn pulled(
        &self,
        shard: Shard,
        after: Option<Position>,
        max: usize,
    ) -> Result<Pulled, Error> {
        self.after(shard, after, max, self.read_until()).await
    }

    async fn after(
        &self,
        shard: Shard,
        after: Option<Position>,
        max: usize,
        until: Instant,
    ) -> Result<Pulled, Error> {
        let from = after.map_or_else(|| "-".to_owned(), |p| format!("{}-0", p.revision.0));
        // Inclusive: what the follower saw last must come back first.
        let wanted = max.max(1).min(self.fits(shard)) + usize::from(after.is_some());
        let mut pipe = Pipeline::new();
        let log = self.shared.keys.shard(shard).log();
        pipe.cmd("XRANGE").arg(log.as_slice()).arg(from).arg("+").arg("COUNT").arg(wanted);
        let mut answer = self.ask(shard, &pipe, until).await?;
        let Some(Value::Array(found)) = answer.pop() else { return Err(nonsense(Value::Nil)) };
        let mut found = found.into_iter();
        match after {
            None if self.state(shard, until).await?.cut > 0 => return Ok(Pulled::Resync(Cause::Compacted)),
            None => {}
            Some(after) => {
                let first = found.next().map(layout::entry).transpose().map_err(broken)?;
                let same =
                    first.is_some_and(|(e, _)| e.revision == after.revision && e.commit == after.commit);
                if !same {
                    return self.missing(shard, after, until).await;
                }
            }
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut size = 0;
        for value in found {
            let (entry, bytes) = layout::entry(value).map_err(broken)?;
            size += bytes;
            if size > PULL_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(Pulled::Entries(entries))
    }

    /// Why a position is not in the log.
    async fn missing(&self, shard: Shard, after: Position, until: Instant) -> Result<Pulled, Error> {
        let state = self.state(shard, until).await?;
        let newest = state.position.is_some_and(|p| p.revision > after.revision);
        let cut = newest && state.cut >= after.revision.0;
        Ok(Pulled::Resync(if cut { Cause::Compacted } else { Cause::Diverged }))
    }

    /// How many entries of a shard fit a pull, as far as is known.
    fn fits(&self, shard: Shard) -> usize {
        let known = self.entry_bytes[shard.index()].load(Ordering::Relaxed);
        usize::try_from(PULL_BYTES_MAX / known.max(1)).unwrap_or(usize::MAX).max(2)
    }

    fn note(&self, shard: Shard, state: &State) {
        let mean = state.log_bytes.checked_div(state.log_entries).unwrap_or(ENTRY_BYTES);
        self.entry_bytes[shard.index()].store(mean.max(1), Ordering::Relaxed);
    }

    /// The state of every shard that was ever written. Where a primary is away that is an error; who follows the
    /// shards of others is then hinted at what moved there.
    async fn states(&self) -> Result<Vec<(Shard, State)>, Error> {
        let (mut found, away) = self.reachable().await?;
        let mut moved = Vec::new();
        for (shard, state) in &found {
            self.note(*shard, state);
            let now = state.position.map_or(0, |p| p.revision.0);
            if self.seen[shard.index()].swap(now, Ordering::Relaxed) != now {
                moved.push(*shard);
            }
        }
        match away {
            None => {
                found.sort_unstable_by_key(|(shard, _)| *shard);
                Ok(found)
            }
            Some(why) => {
                // Nobody following is no fault.
                moved.into_iter().for_each(|shard| drop(self.shared.hints.send(shard)));
                Err(why)
            }
        }
    }

    /// The states of shards whose primaries can be asked, and why not of all.
    async fn reachable(&self) -> Result<(Vec<(Shard, State)>, Option<Error>), Error> {
        let until = self.read_until();
        let map = self.wait_for_map(until).await.map_err(Error::Unavailable)?;
        let (mut found, mut away) = (Vec::new(), None);
        for node in &map.nodes {
            let shards = node.inner().shards().borrow().clone();
            let Some(first) = shards.first() else { continue };
            let mut pipe = Pipeline::with_capacity(shards.len());
            for shard in &shards {
                pipe.cmd("GET").arg(self.shared.keys.shard(*shard).state());
            }
            let answers = match self.ask(*first, &pipe, until).await {
                Ok(answers) => answers,
                Err(why) => {
                    away = Some(why);
                    continue;
                }
            };
            for (shard, answer) in shards.into_iter().zip(answers) {
                let Some(bytes) = bytes(&answer) else { continue };
                let state = State::read(Some(bytes)).map_err(broken)?;
                found.push((shard, state));
            }
        }
        Ok((found, away))
    }

    pub(super) async fn all_positions(&self) -> Result<Vec<(Shard, Position)>, Error> {
        let states = self.states().await?;
        Ok(states.into_iter().filter_map(|(shard, state)| Some((shard, state.position?))).collect())
    }

    pub(super) async fn all_stats(&self) -> Result<Stats, Error> {
        let cell = self.cell().await?;
        Ok(Stats { cell, ..self.all_sizes().await? })
    }

    pub(super) async fn all_sizes(&self) -> Result<Stats, Error> {
        let mut stats = Stats { backend: self.shared.settings.words(), ..Stats::default() };
        for (_, state) in self.states().await? {
            stats.records += state.records;
            stats.log_entries += state.log_entries;
            stats.log_bytes += state.log_bytes;
        }
        Ok(stats)
    }

    /// The cell's id, given at its birth: by the first who opens the store.
    pub(super) async fn cell(&self) -> Result<u128, Error> {
        let until = self.read_until();
        let key = self.shared.keys.shard(Shard::CELL).cell();
        let id = format!("{:032x}", (self.shared.world.chance)());
        let mut pipe = Pipeline::new();
        for (name, value) in [
            ("id", id.as_str()),
            ("format", &super::keys::FORMAT.to_string()),
            ("shards", &crate::types::SHARDS.to_string()),
        ] {
            pipe.cmd("HSETNX").arg(key.as_slice()).arg(name).arg(value);
        }
        let mut read = Cmd::new();
        read.arg("HMGET").arg(key.as_slice()).arg("id").arg("format").arg("shards");
        pipe.add_command(read);
        let answer = self.ask(Shard::CELL, &pipe, until).await?;
        let Some(Value::Array(fields)) = answer.into_iter().nth(3) else { return Err(nonsense(Value::Nil)) };
        let texts: Vec<String> = fields.into_iter().map(|f| conn::text(f).unwrap_or_default()).collect();
        let [id, format, shards] = texts.as_slice() else { return Err(nonsense(Value::Nil)) };
        if *format != super::keys::FORMAT.to_string() || *shards != crate::types::SHARDS.to_string() {
            return Err(Error::Invalid {
                what: format!(
                    "the store has format {format} and {shards} shards, this release reads 1 and 256"
                ),
                fix: "use the release that wrote it, or another prefix".to_owned(),
            });
        }
        u128::from_str_radix(id, 16).map_err(|_| nonsense(Value::Nil))
    }
}

fn apply(records: &mut HashMap<(TenantId, Key), Stored>, entry: &Entry) {
    for change in entry.changes.iter() {
        let at = (entry.tenant.clone(), change.key.clone());
        match &change.value {
            None => drop(records.remove(&at)),
            Some(value) => {
                let stored = Stored {
                    tenant: entry.tenant.clone(),
                    key: change.key.clone(),
                    value: value.clone(),
                    version: entry.revision,
                    commit: entry.commit,
                    token: change.token,
                    at: entry.at,
                };
                records.insert(at, stored);
            }
        }
    }
}
