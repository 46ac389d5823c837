//! What a server says of itself, and what its configuration can keep.

/// What `INFO` says, as far as it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// The server's life: another one after each start.
    pub(super) run: String,
    pub(super) version: String,
    pub(super) is_primary: bool,
    pub(super) is_cluster: bool,
    pub(super) loading: bool,
    pub(super) replicas: u32,
    aof: bool,
    policy: String,
    /// Whether `min-replicas-to-write` is set at all.
    min_replicas: bool,
}

impl Info {
    pub(super) fn read(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.trim_end().split_once(':')) {
            match name {
                "run_id" => info.run = value.to_owned(),
                "redis_version" => info.version = value.to_owned(),
                "role" => info.is_primary = value == "master",
                "cluster_enabled" => info.is_cluster = value == "1",
                "loading" => info.loading = value == "1",
                "connected_slaves" => info.replicas = value.parse().unwrap_or_default(),
                "aof_enabled" => info.aof = value == "1",
                "maxmemory_policy" => info.policy = value.to_owned(),
                "min_slaves_good_slaves" => info.min_replicas = true,
                _ => {}
            }
        }
        info
    }

    /// Why this release does not work with the server at all.
    pub(super) fn unfit(&self) -> Option<String> {
        let major: u32 = self.version.split('.').next().and_then(|n| n.parse().ok()).unwrap_or_default();
        (major < 7).then(|| format!("it is Redis {}; Redis 7.0 or newer is needed", self.version))
    }

    /// Why a `Replicated` commit could be lost with this configuration: which setting, and what to set.
    pub(super) fn weakness(&self) -> Vec<&'static str> {
        let mut weak = Vec::new();
        if !self.aof {
            weak.push("`appendonly` is off: set `appendonly yes`");
        }
        if self.policy != "noeviction" {
            weak.push("`maxmemory-policy` evicts records: set `maxmemory-policy noeviction`");
        }
        if !self.min_replicas {
            weak.push("a primary alone takes writes: set `min-replicas-to-write 1`, with two replicas");
        }
        weak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_can_lose_is_named() {
        let strong = "# Server\r\nredis_version:7.0.15\r\nrun_id:ab\r\nrole:master\r\naof_enabled:1\r\n\
            maxmemory_policy:noeviction\r\nmin_slaves_good_slaves:2\r\nconnected_slaves:2\r\n";
        let info = Info::read(strong);
        assert_eq!((info.run.as_str(), info.is_primary, info.replicas), ("ab", true, 2));
        assert_eq!((info.weakness(), info.unfit()), (vec![], None));
        for (line, names) in [
            ("aof_enabled:1", "appendonly"),
            ("maxmemory_policy:noeviction", "maxmemory-policy"),
            ("min_slaves_good_slaves:2", "min-replicas-to-write"),
        ] {
            let weak = Info::read(&strong.replace(line, "")).weakness();
            assert!(weak.len() == 1 && weak[0].contains(names), "{line}: {weak:?}");
        }
        let old = Info::read(&strong.replace("7.0.15", "6.2.1")).unfit();
        assert!(old.is_some_and(|why| why.contains("6.2.1")));
    }
}
