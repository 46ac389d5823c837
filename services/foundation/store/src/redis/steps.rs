//! What a shard is helped with in steps: expiry, and parts that are put aside.

use redis::Value;
use tandem_domain::id::TenantId;

use super::layout::Turning;
use super::{Redis, conn, request};
use crate::types::{Error, Shard, Write};

/// What a sweep has to do.
struct Peeked {
    due: bool,
    turning: Option<Turning>,
    /// Staged parts that nobody turned over in time.
    old: Vec<Vec<u8>>,
}

impl Peeked {
    fn read(value: Value) -> Result<Self, Error> {
        let Value::Array(answer) = value else { return Err(Error::Unavailable(conn::said(value))) };
        let mut answer = answer.into_iter();
        let due = answer.next() == Some(Value::Int(1));
        let mut rest = answer.filter_map(|value| match value {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        });
        let turning = Turning::read(&rest.next().unwrap_or_default());
        let turning = turning.map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(Self { due, turning, old: rest.collect() })
    }
}

impl Redis {
    /// One step of expiry.
    pub(super) async fn step(&self, shard: Shard) -> Result<usize, Error> {
        let until = self.write_until();
        let keys = self.shared.keys.shard(shard);
        let peeked = self.call(shard, &request::peek(&keys, self.now()), until).await?;
        let Peeked { due, turning, old } = Peeked::read(peeked)?;
        if let Some(turning) = turning {
            self.turn(shard, turning, until).await.map_err(Error::Unavailable)?;
        }
        if !old.is_empty() {
            self.call(shard, &request::forget(&keys, old, self.now()), until).await?;
        }
        if !due {
            return Ok(0);
        }
        loop {
            let call = request::sweep(&keys, (self.shared.world.chance)(), self.now());
            match self.call(shard, &call, until).await? {
                Value::Array(answer) => match answer.as_slice() {
                    [Value::Int(0), Value::Int(swept)] => {
                        return Ok(usize::try_from(*swept).unwrap_or_default());
                    }
                    [_, Value::BulkString(turning)] => {
                        if let Ok(Some(turning)) = Turning::read(turning) {
                            self.turn(shard, turning, until).await.map_err(Error::Unavailable)?;
                        }
                    }
                    _ => return Ok(0),
                },
                other => return Err(Error::Unavailable(conn::said(other))),
            }
        }
    }

    /// Puts a part of a generation aside.
    pub(super) async fn put_aside(
        &self,
        tenant: &TenantId,
        generation: u64,
        part: u32,
        writes: &[Write],
    ) -> Result<(), Error> {
        let until = self.write_until();
        let shard = Shard::of(tenant);
        let keys = self.shared.keys.shard(shard);
        loop {
            let call = request::stage(&keys, tenant, generation, part, writes, self.now());
            match self.call(shard, &call, until).await? {
                Value::Array(answer) => match answer.as_slice() {
                    [Value::Int(2), Value::BulkString(turning)] => {
                        if let Ok(Some(turning)) = Turning::read(turning) {
                            self.turn(shard, turning, until).await.map_err(Error::Unavailable)?;
                        }
                    }
                    _ => return Ok(()),
                },
                other => return Err(Error::Unavailable(conn::said(other))),
            }
        }
    }
}
