//! Decisions of two sources as one list, the last made first, page by page.

use tandem_proto::routing::v1 as pb;

use crate::ring::Ring;
use crate::told::{self, At};

/// Where a list goes on: below these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Among what this process decided.
    pub(crate) made: u64,
    /// Among what edges decided.
    pub(crate) told: At,
}

impl Position {
    /// The beginning, which is the end of what there is now.
    pub(crate) fn start(ring: &Ring) -> Self {
        Self { made: ring.end(), told: told::END }
    }

    pub(crate) fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let parts = [self.made, self.told.0, self.told.1];
        for (place, part) in bytes.chunks_exact_mut(8).zip(parts) {
            place.copy_from_slice(&part.to_be_bytes());
        }
        bytes
    }

    /// None: it is none of ours.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let part = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        (bytes.len() == 24).then_some(Self { made: part(0)?, told: (part(8)?, part(16)?) })
    }
}

/// The first `size` of both, and where to go on if there are more.
pub(crate) fn page(
    made: Vec<(u64, pb::DecisionFact)>,
    told: Vec<(At, pb::DecisionFact)>,
    from: Position,
    size: usize,
) -> (Vec<pb::DecisionFact>, Option<Position>) {
    let more = made.len() + told.len() > size;
    let (mut made, mut told) = (made.into_iter().peekable(), told.into_iter().peekable());
    let (mut next, mut page) = (from, Vec::with_capacity(size));
    while page.len() < size {
        let is_later = |(_, fact): &(u64, pb::DecisionFact)| match told.peek() {
            Some((_, other)) => fact.at_us >= other.at_us,
            None => true,
        };
        if let Some((at, fact)) = made.next_if(is_later) {
            next.made = at;
            page.push(fact);
        } else if let Some((at, fact)) = told.next() {
            next.told = at;
            page.push(fact);
        } else {
            break;
        }
    }
    if let Some(last) = page.last() {
        // What an edge tells meanwhile of a later moment belongs before this page.
        next.told = next.told.min((last.at_us.saturating_add(1), 0));
    }
    (page, more.then_some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(at_us: u64) -> pb::DecisionFact {
        pb::DecisionFact { at_us, ..Default::default() }
    }

    #[test]
    fn two_lists_are_one_by_the_time_and_every_page_goes_on_where_the_one_before_ended() {
        let made = [(9, 90), (8, 50), (7, 40), (6, 10)];
        let told = [((95, 3), 95), ((60, 4), 60), ((60, 2), 60), ((40, 1), 40)];
        let start = Position { made: 10, told: told::END };
        let (mut from, mut all) = (Some(start), Vec::new());
        while let Some(at) = from {
            let made = made.iter().filter(|(n, _)| *n < at.made).map(|(n, at)| (*n, fact(*at))).take(4);
            let told = told.iter().filter(|(n, _)| *n < at.told).map(|(n, at)| (*n, fact(*at))).take(4);
            let (page, next) = page(made.collect(), told.collect(), at, 3);
            all.push(page.iter().map(|f| f.at_us).collect::<Vec<_>>());
            from = next.map(|next| Position::read(&next.bytes()).unwrap());
        }
        assert_eq!(all, [vec![95, 90, 60], vec![60, 50, 40], vec![40, 10]]);
    }

    #[test]
    fn what_comes_between_two_pages_of_a_later_moment_is_not_on_the_second() {
        let from = Position { made: 10, told: told::END };
        let (_, next) = page(vec![(9, fact(90)), (8, fact(80))], vec![], from, 1);
        assert_eq!(next, Some(Position { made: 9, told: (91, 0) }));
        assert_eq!(Position::read(&[0; 8]), None);
    }
}
