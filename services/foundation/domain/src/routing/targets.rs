//! The order of targets: trunk failover (domain rules 3.2 A).
//!
//! A trunk's addresses go by priority and, among equals, by weight as RFC 2782 has it; then its backup trunks,
//! each alike. An address that was silent within the last 30 s goes last, so that not every call pays for it.
//! Chance comes from the attempt itself: the same call gets the same order on every replica and edge.

use std::sync::Arc;

use smallvec::SmallVec;

use super::attempt::{CallAttempt, Facts, Ingress};
use super::decision::{Identity, Target};
use crate::document::terms::DiversionForm;
use crate::tenant::{Address, Config, Trunk, TrunkIx};

/// The most targets of one decision: four trunks of four addresses; more would outlast any caller's patience.
pub const TARGETS_MAX: usize = 16;

/// What is written to each trunk.
pub(super) trait Written {
    /// The Request-URI for an address of a trunk.
    fn request_uri(&self, trunk: &Trunk, address: &Address) -> String;

    /// Who the trunk is told calls, with this Request-URI.
    fn identity(&self, trunk: &Trunk, request_uri: &str) -> Identity;
}

/// The targets at these trunks, in this order.
pub(super) fn targets(
    config: &Config,
    facts: &Facts,
    attempt: &CallAttempt<'_>,
    trunks: &[TrunkIx],
    written: &impl Written,
) -> Vec<Target> {
    let count = trunks.iter().map(|t| config.trunk(*t).addresses.len()).sum::<usize>().min(TARGETS_MAX);
    let mut out = Vec::with_capacity(count);
    // Twice over the same order: first who is not known to be silent, then who is.
    for silent in [false, true] {
        if silent && facts.silent.is_empty() {
            break;
        }
        for ix in trunks {
            push(&mut out, config.trunk(*ix), facts, attempt, silent, written);
        }
    }
    out
}

fn push(
    out: &mut Vec<Target>,
    trunk: &Trunk,
    facts: &Facts,
    attempt: &CallAttempt<'_>,
    silent: bool,
    written: &impl Written,
) {
    let mut identity: Option<Arc<Identity>> = None;
    for at in order(&trunk.addresses, || chance(attempt)) {
        let address = &trunk.addresses[usize::from(at)];
        if is_silent(facts, trunk, address) != silent || out.len() == TARGETS_MAX {
            continue;
        }
        let request_uri = written.request_uri(trunk, address);
        // History-Info names the Request-URI, so that each address has its own.
        let identity = match &identity {
            Some(shared) if !names_request(shared) => Arc::clone(shared),
            _ => Arc::clone(identity.insert(Arc::new(written.identity(trunk, &request_uri)))),
        };
        out.push(Target {
            trunk: trunk.name.clone(),
            host: address.host.clone(),
            port: address.port,
            transport: trunk.transport,
            request_uri,
            identity,
            no_response_ms: trunk.no_response_ms,
            only_100_ms: trunk.only_100_ms,
            retry_on: trunk.retry_on.clone(),
        });
    }
}

fn names_request(identity: &Identity) -> bool {
    identity.diverted.as_ref().is_some_and(|d| d.header == DiversionForm::HistoryInfo)
}

pub(super) fn is_silent(facts: &Facts, trunk: &Trunk, address: &Address) -> bool {
    facts.silent.iter().any(|s| s.trunk == trunk.name && s.port == address.port && *s.host == *address.host)
}

/// The order in which a trunk's addresses are tried: lower priority first, equals drawn by weight (RFC 2782).
/// Chance is asked for only where there are equals to draw from.
fn order(addresses: &[Address], chance: impl FnOnce() -> u64) -> SmallVec<[u16; 16]> {
    if addresses.len() == 1 {
        return SmallVec::from_slice(&[0]);
    }
    let mut left: SmallVec<[u16; 16]> = (0_u16..).take(addresses.len()).collect();
    let address = |at: u16| &addresses[usize::from(at)];
    // Stable: equals stay in the document's order. Of equal priority those without weight come first, as the
    // RFC asks, so that they have a small chance.
    left.sort_by_key(|at| (address(*at).priority, address(*at).weight != 0));
    let mut chance = chance();
    for from in 0..left.len() {
        let priority = address(left[from]).priority;
        let equals = left[from..].iter().take_while(|at| address(**at).priority == priority).count();
        if equals < 2 {
            continue;
        }
        let sum: u64 = left[from..from + equals].iter().map(|at| u64::from(address(*at).weight)).sum();
        let drawn = next(&mut chance) % (sum + 1);
        let mut running = 0;
        let taken = left[from..from + equals].iter().position(|at| {
            running += u64::from(address(*at).weight);
            running >= drawn
        });
        // Rotated, not swapped: those that are left keep their order.
        left[from..=from + taken.unwrap_or(0)].rotate_right(1);
    }
    left
}

/// The next number of a SplitMix64 sequence.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What stands for chance in a decision: who calls whom from where, hashed by words of eight bytes, alike on every
/// machine. What draws by it mixes it further.
fn chance(attempt: &CallAttempt<'_>) -> u64 {
    let from = match attempt.ingress {
        Ingress::Trunk(name) | Ingress::User(name) => name,
    };
    let parts = [from, attempt.called, attempt.caller.from, attempt.caller.asserted.unwrap_or("")];
    let with = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    parts.iter().fold(0, |hash, part| {
        let (words, rest) = part.as_bytes().as_chunks::<8>();
        let hash = words.iter().fold(hash, |hash, word| with(hash, u64::from_le_bytes(*word)));
        let rest = rest.iter().fold(part.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        with(hash, rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[(u16, u16)]) -> Vec<Address> {
        let address =
            |&(priority, weight): &(u16, u16)| Address { host: "h".into(), port: 5060, priority, weight };
        list.iter().map(address).collect()
    }

    #[test]
    fn a_lower_priority_comes_first_whatever_the_weights() {
        let list = addresses(&[(10, 9), (0, 1), (10, 1), (5, 0)]);
        for chance in 0..100 {
            let order = order(&list, || chance);
            assert_eq!(order[0], 1);
            assert_eq!(order[1], 3);
        }
    }

    /// RFC 2782: "larger weights SHOULD be given a proportionately higher probability of being selected".
    #[test]
    fn equals_share_calls_by_weight() {
        let list = addresses(&[(0, 3), (0, 1), (0, 0)]);
        let mut first = [0_u32; 3];
        for chance in 0..40_000_u64 {
            first[usize::from(order(&list, || chance)[0])] += 1;
        }
        // The draw is one of 0..=4: 0 takes the address without weight, 1 to 3 the first, 4 the second.
        for (found, expected) in first.iter().zip([24_000_u32, 8_000, 8_000]) {
            assert!(found.abs_diff(expected) < 800, "{first:?}");
        }
    }

    #[test]
    fn the_same_chance_gives_the_same_order() {
        let list = addresses(&[(0, 1), (0, 1), (0, 1), (1, 1), (1, 1)]);
        for chance in 0..1_000 {
            let once = order(&list, || chance);
            assert_eq!(once, order(&list, || chance));
            let mut all = once.to_vec();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3, 4], "each address exactly once");
        }
    }
}
