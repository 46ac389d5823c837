//! Which primary has which shard: looked up at the start, each second, and whenever something says that it changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::conn;
use super::keys;
use super::node::{NoConn, Node, Shared};
use super::settings::{Address, Login, Shape};
use crate::types::Shard;

/// How often primaries are looked up, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after a look-up the next may be, whatever happens.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How long one Sentinel or node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long one of several nodes is waited for before the next is asked.
const SOON: Duration = Duration::from_millis(200);

/// Which primary has which shard.
#[derive(Clone, Debug, Default)]
pub(super) struct Map {
    /// Every primary that has one of ours.
    pub(super) nodes: Vec<Arc<Node>>,
    /// By the shard's place, the primary's.
    of: Vec<Option<usize>>,
    /// Why nobody is known who has it.
    why: String,
}

impl Map {
    pub(super) fn of(&self, shard: Shard) -> Result<&Arc<Node>, NoConn> {
        let node = self.of.get(shard.index()).copied().flatten().and_then(|at| self.nodes.get(at));
        node.ok_or_else(|| NoConn { why: self.why.clone(), down: false })
    }
}

/// Who has what, kept up to date for as long as it lives.
#[derive(Debug)]
pub(super) struct Topology {
    map: watch::Sender<Arc<Map>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Topology {
    fn drop(&mut self) {
        self.close();
    }
}

impl Topology {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        if let Shape::Alone(at) = &shared.settings.shape {
            let node = Arc::new(Node::start(shared, at.clone(), Shard::all().collect()));
            let map = Map { nodes: vec![node], of: vec![Some(0); Shard::COUNT], why: String::new() };
            return Self { map: watch::Sender::new(Arc::new(map)), task: None };
        }
        let why = "its primary was not looked up yet".to_owned();
        let map = watch::Sender::new(Arc::new(Map { why, ..Map::default() }));
        let looking = Looking { shared: Arc::clone(shared), map: map.clone(), known: Vec::new(), turn: 0 };
        Self { map, task: Some(tokio::spawn(looking.run())) }
    }

    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.borrow())
    }

    /// Lets go of every connection.
    pub(super) fn close(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        self.map.send_replace(Arc::new(Map { why: "the store is closed".to_owned(), ..Map::default() }));
    }
}

struct Looking {
    shared: Arc<Shared>,
    map: watch::Sender<Arc<Map>>,
    /// Nodes of the cluster that were known last, beside those of the settings.
    known: Vec<Address>,
    /// Whom to ask first, so that one that is wrong is not asked forever.
    turn: usize,
}

impl Looking {
    async fn run(mut self) {
        loop {
            match self.look().await {
                Ok(primaries) => self.take(primaries),
                Err(why) => self.map.send_modify(|map| {
                    // What is known is kept: it may work.
                    Arc::make_mut(map).why = why;
                }),
            }
            tokio::time::sleep(LOOK_PAUSE).await;
            let asked = self.shared.look.notified();
            let _ = tokio::time::timeout(LOOK_EVERY, asked).await;
        }
    }

    async fn look(&mut self) -> Result<Vec<(Address, Vec<Shard>)>, String> {
        match self.shared.settings.shape.clone() {
            Shape::Alone(at) => Ok(vec![(at, Shard::all().collect())]),
            Shape::Sentinel(sentinels, name) => {
                let primary = self.ask_sentinels(&sentinels, &name).await?;
                Ok(vec![(primary, Shard::all().collect())])
            }
            Shape::Cluster(seeds) => self.ask_cluster(&seeds).await,
        }
    }

    /// The primary that the Sentinel with the newest configuration knows.
    async fn ask_sentinels(&self, sentinels: &[Address], name: &str) -> Result<Address, String> {
        let mut pipe = Pipeline::with_capacity(2);
        pipe.cmd("SENTINEL").arg("MASTER").arg(name);
        pipe.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let login = &self.shared.settings.sentinel_login;
        let mut why = String::new();
        // Where most answer soon, one that stands still or whose host is gone holds up nobody.
        for within in [SOON, ANSWER_WITHIN] {
            let asked = sentinels.iter().map(|at| self.ask(at, login, &pipe, within));
            let (mut best, mut answered) = (None::<(u64, Address)>, 0);
            for (at, answer) in sentinels.iter().zip(join_all(asked).await) {
                match answer.and_then(|said| primary(said).ok_or_else(|| format!("it knows no `{name}`"))) {
                    Ok(found) => {
                        answered += 1;
                        if best.as_ref().is_none_or(|best| found.0 > best.0) {
                            best = Some(found);
                        }
                    }
                    Err(said) => why = format!("Sentinel {at}: {said}"),
                }
            }
            if let Some((_, at)) = best.filter(|_| 2 * answered > sentinels.len() || within == ANSWER_WITHIN)
            {
                return Ok(at);
            }
        }
        Err(why)
    }

    /// Which primary of a cluster has which of our shards.
    async fn ask_cluster(&mut self, seeds: &[Address]) -> Result<Vec<(Address, Vec<Shard>)>, String> {
        let mut pipe = Pipeline::with_capacity(1);
        pipe.cmd("CLUSTER").arg("SLOTS");
        let mut asked: Vec<Address> = self.known.iter().chain(seeds).cloned().collect();
        asked.dedup();
        let first = self.turn % asked.len().max(1);
        asked.rotate_left(first);
        self.turn = self.turn.wrapping_add(1);
        let mut why = String::new();
        // First whoever answers soon: one that stands still holds up no other.
        for at in 0..2 * asked.len() {
            let within = if at < asked.len() { SOON } else { ANSWER_WITHIN };
            let at = &asked[at % asked.len()];
            match self.ask(at, &self.shared.settings.login, &pipe, within).await {
                Ok(mut said) => {
                    let value = said.pop().unwrap_or(Value::Nil);
                    let ranges = ranges(value, at);
                    if ranges.is_empty() {
                        why = format!("Redis {at}: the cluster has no slots yet");
                        continue;
                    }
                    self.known = ranges.iter().map(|(.., at)| at.clone()).collect();
                    self.known.sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
                    self.known.dedup();
                    return Ok(shards_of(&ranges));
                }
                Err(said) => why = format!("Redis {at}: {said}"),
            }
        }
        Err(why)
    }

    async fn ask(
        &self,
        at: &Address,
        login: &Login,
        pipe: &Pipeline,
        within: Duration,
    ) -> Result<Vec<Value>, String> {
        let client = conn::client(&self.shared.settings, login, at, 0)?;
        let asking = async {
            let mut con = conn::bare(&client).await?;
            con.send_packed_commands(pipe, 0, pipe.len()).await.map_err(|e| e.to_string())
        };
        // Of several commands the first must be understood.
        let said = tokio::time::timeout(within, asking).await.map_err(|_| "no answer".to_owned())??;
        match said.first() {
            Some(Value::ServerError(e)) => Err(conn::words(e)),
            _ => Ok(said),
        }
    }

    /// Keeps the primaries that were known, starts those that were not, and lets go of the others.
    fn take(&self, primaries: Vec<(Address, Vec<Shard>)>) {
        let before = Arc::clone(&self.map.borrow());
        let known: HashMap<&Address, &Arc<Node>> =
            before.nodes.iter().map(|node| (&node.inner().at, node)).collect();
        let mut map =
            Map { nodes: Vec::new(), of: vec![None; Shard::COUNT], why: "no node has its slot".into() };
        for (at, shards) in primaries {
            shards.iter().for_each(|shard| map.of[shard.index()] = Some(map.nodes.len()));
            map.nodes.push(match known.get(&at) {
                Some(node) => {
                    node.set_shards(shards);
                    Arc::clone(node)
                }
                None => {
                    tracing::info!(redis = %at, shards = shards.len(), "a primary of the store");
                    Arc::new(Node::start(&self.shared, at, shards))
                }
            });
        }
        let ours: Vec<Arc<Node>> = map.nodes.clone();
        self.map.send_replace(Arc::new(map));
        before
            .nodes
            .iter()
            .filter(|old| ours.iter().all(|new| !Arc::ptr_eq(old, new)))
            .for_each(|n| n.retire());
        self.shared.changed.send_replace(());
    }
}

async fn join_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|cx| {
        let mut pending = false;
        for (one, answer) in &mut all {
            if answer.is_none() {
                match one.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *answer = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    all.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Configuration epoch and address from `SENTINEL MASTER` (names and values, in turn) and `GET-MASTER-ADDR-BY-NAME`: of
/// a failover that is not over the first has the primary of before, the second the one that was promoted.
fn primary(said: Vec<Value>) -> Option<(u64, Address)> {
    let [Value::Array(values), now] = <[Value; 2]>::try_from(said).ok()? else { return None };
    let texts: Vec<String> = values.into_iter().map(|v| conn::text(v).unwrap_or_default()).collect();
    let field = |name: &str| texts.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
    let port = field("port")?.parse().ok()?;
    let epoch: u64 = field("config-epoch")?.parse().ok()?;
    let before = Address { host: field("ip")?.to_owned(), port };
    let now = match now {
        Value::Array(now) => now.into_iter().filter_map(|v| conn::text(v).ok()).collect(),
        // Its user may not ask that.
        _ => Vec::new(),
    };
    let now = match <[String; 2]>::try_from(now) {
        Ok([host, port]) => Address { host, port: port.parse().ok()? },
        Err(_) => return Some((epoch, before)),
    };
    // The epoch that it will have is larger, by how much only its Sentinel knows.
    Some(if now == before { (epoch, before) } else { (epoch + 1, now) })
}

/// First and last slot, and their primary, from `CLUSTER SLOTS` as `asked` answered it.
fn ranges(value: Value, asked: &Address) -> Vec<(u16, u16, Address)> {
    let Value::Array(ranges) = value else { return Vec::new() };
    let range = |range: Value| {
        let Value::Array(fields) = range else { return None };
        let mut fields = fields.into_iter();
        let (Some(Value::Int(first)), Some(Value::Int(last)), Some(Value::Array(node))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return None;
        };
        let mut node = node.into_iter();
        // A node that does not know by which name it is reached says none: it is the one that was asked.
        let host = node.next().and_then(|host| conn::text(host).ok()).filter(|host| !host.is_empty());
        let Some(Value::Int(port)) = node.next() else { return None };
        let host = host.unwrap_or_else(|| asked.host.clone());
        let at = Address { host, port: u16::try_from(port).ok()? };
        Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?, at))
    };
    ranges.into_iter().filter_map(range).collect()
}

fn shards_of(ranges: &[(u16, u16, Address)]) -> Vec<(Address, Vec<Shard>)> {
    let mut primaries: Vec<(Address, Vec<Shard>)> = Vec::new();
    for shard in Shard::all() {
        let slot = keys::slot(shard);
        let Some((.., at)) = ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)) else {
            continue;
        };
        match primaries.iter_mut().find(|(known, _)| known == at) {
            Some((_, shards)) => shards.push(shard),
            None => primaries.push((at.clone(), vec![shard])),
        }
    }
    primaries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|w| Value::BulkString(w.as_bytes().to_vec())).collect())
    }

    #[test]
    fn who_was_promoted_is_the_primary_before_its_sentinel_calls_the_failover_done() {
        let master = texts(&["name", "main", "ip", "10.0.0.1", "port", "6379", "config-epoch", "7"]);
        let at = |host: &str| Address { host: host.to_owned(), port: 6379 };
        for (now, wanted) in [
            (texts(&["10.0.0.1", "6379"]), (7, at("10.0.0.1"))),
            (texts(&["10.0.0.2", "6379"]), (8, at("10.0.0.2"))),
            (Value::Nil, (7, at("10.0.0.1"))),
        ] {
            assert_eq!(primary(vec![master.clone(), now]), Some(wanted));
        }
        assert_eq!(primary(vec![Value::Nil, Value::Nil]), None);
    }
}
