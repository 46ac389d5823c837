//! The servers, as they are seen now: for people and metrics.

use redis::{Pipeline, Value};

use super::Redis;
use super::conn;
use super::info::Info;
use super::node::{Class, Node as Ours};
use crate::types::{Error, Node};
use tokio::time::Instant;

impl Redis {
    /// Every primary that has one of ours, each followed by its replicas.
    pub(super) async fn all_nodes(&self) -> Result<Vec<Node>, Error> {
        let until = Instant::now() + self.shared.settings.read_within;
        let map = self.wait_for_map(until).await.map_err(Error::Unavailable)?;
        // Together: one that does not answer takes no time from the others.
        let until = Instant::now() + self.shared.settings.read_within;
        let nodes = futures::future::join_all(map.nodes.iter().map(|node| self.seen(node, until))).await;
        Ok(nodes.into_iter().flatten().collect())
    }

    async fn seen(&self, node: &Ours, until: Instant) -> Vec<Node> {
        let inner = node.inner();
        let at = inner.at.to_string();
        let shards = inner.shards().borrow().len();
        let away = |why: String| vec![Node { at: at.clone(), shards, away: Some(why), ..Node::default() }];
        let conn = self.wait_for(until, false, |_| inner.conn(Class::Local)).await;
        let conn = match conn {
            Ok(conn) => conn,
            Err(why) => return away(why),
        };
        let mut pipe = Pipeline::with_capacity(2);
        pipe.cmd("TIME");
        pipe.cmd("INFO");
        let asked = (self.shared.world.clock)();
        let answers = match conn.ask_all(&pipe, until).await {
            Ok(answers) => answers,
            Err(_) => return away("it did not answer in time".to_owned()),
        };
        let answered = (self.shared.world.clock)();
        let mut answers = answers.into_iter();
        let time = answers.next().and_then(micros);
        let text = answers.next().and_then(|text| conn::text(text).ok()).unwrap_or_default();
        let info = Info::read(&text);
        let halfway = asked / 2 + answered / 2;
        let mut refused = Vec::new();
        if !self.shared.settings.single {
            refused.extend(info.weakness().into_iter().map(|why| format!("replicated commits: {why}")));
            if info.replicas == 0 {
                refused.push("replicated commits: no replica is connected: start two".to_owned());
            }
        }
        let primary = Node {
            at: at.clone(),
            version: info.version,
            shards,
            ahead_us: time.and_then(|time| i64::try_from(i128::from(time) - i128::from(halfway)).ok()),
            refused,
            ..Node::default()
        };
        std::iter::once(primary).chain(replicas(&text, &at)).collect()
    }
}

/// `TIME` in microseconds since 1970.
fn micros(answer: Value) -> Option<u64> {
    let Value::Array(parts) = answer else { return None };
    let mut parts = parts.into_iter().map(|part| conn::text(part).ok()?.parse::<u64>().ok());
    Some(parts.next()?? * 1_000_000 + parts.next()??)
}

/// The replicas that `INFO` names: `slave0:ip=127.0.0.1,port=6380,state=online,offset=1,lag=0`.
fn replicas(info: &str, of: &str) -> Vec<Node> {
    let lines = info.lines().filter_map(|line| line.trim_end().strip_prefix("slave"));
    let fields = lines.filter_map(|line| line.split_once(':')).filter(|(n, _)| n.parse::<u32>().is_ok());
    fields
        .map(|(_, fields)| {
            let field = |name: &str| {
                fields.split(',').find_map(|f| f.split_once('=').filter(|(n, _)| *n == name)).map(|(_, v)| v)
            };
            let state = field("state").unwrap_or_default();
            Node {
                at: format!("{}:{}", field("ip").unwrap_or_default(), field("port").unwrap_or_default()),
                replica_of: Some(of.to_owned()),
                lag_s: field("lag").and_then(|lag| lag.parse().ok()),
                away: (state != "online").then(|| format!("its link is {state}")),
                ..Node::default()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_with_their_lag() {
        let info = "role:master\r\nconnected_slaves:2\r\n\
            slave0:ip=10.0.0.2,port=6380,state=online,offset=42,lag=1\r\n\
            slave1:ip=10.0.0.3,port=6381,state=wait_bgsave,offset=0,lag=0\r\nslave_repl_offset:7\r\n";
        let found = replicas(info, "10.0.0.1:6379");
        let short: Vec<_> = found.iter().map(|n| (n.at.as_str(), n.lag_s, n.away.as_deref())).collect();
        assert_eq!(
            short,
            [("10.0.0.2:6380", Some(1), None), ("10.0.0.3:6381", Some(0), Some("its link is wait_bgsave"))]
        );
    }
}
