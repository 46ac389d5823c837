//! Looks for the bytes that end lines and names, many at once: what a message costs to read is mostly this.
//!
//! Plain arithmetic, which the compiler turns into the machine's vector instructions where it has them.

/// CR, LF, NUL and their like stand below; TAB does, too.
const CONTROLS: u8 = 0x0e;
/// Bytes that are looked at together: half of a usual line.
const BLOCK: usize = 32;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where the first CR, LF or NUL is, from `at` on.
#[inline]
pub(super) fn line_break(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = control(bytes, at)?;
        if matches!(bytes.get(at), Some(b'\r' | b'\n' | 0)) {
            return Some(at);
        }
        at += 1;
    }
}

/// Where the first byte below [`CONTROLS`] is, from `at` on.
#[inline]
fn control(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        // Without an early end the compiler compares all of them at once.
        if block.iter().fold(false, |any, byte| any | (*byte < CONTROLS)) {
            let (words, _) = block.as_chunks::<8>();
            let place = |(nth, word): (usize, &[u8; 8])| {
                Some(8 * nth + first(below_controls(u64::from_le_bytes(*word)))?)
            };
            return words.iter().enumerate().find_map(place).map(|place| at + place);
        }
        at += BLOCK;
    }
    bytes.get(at..)?.iter().position(|byte| *byte < CONTROLS).map(|place| at + place)
}

/// Where the first colon is.
#[inline]
pub(super) fn colon(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        if let Some(place) = first(zeros(u64::from_le_bytes(*block) ^ (ONES * b':' as u64))) {
            return Some(at + place);
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|byte| *byte == b':').map(|place| at + place)
}

/// The high bit of each byte below [`CONTROLS`]; what lies past the first of them may be marked wrongly.
const fn below_controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * CONTROLS as u64) & !word & HIGHS
}

/// The high bit of each zero; what lies past the first of them may be marked wrongly.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The place of the first byte that is marked by its high bit.
fn first(marks: u64) -> Option<usize> {
    (marks != 0).then(|| marks.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte value at every place of texts that end in every part of a block, behind what could be mistaken.
    #[test]
    fn what_is_found_is_the_first() {
        for len in 0..72 {
            for place in 0..len {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'a'; len];
                    text[place..].fill(0x8d);
                    (text[place], text[len - 1]) = (byte, text[len - 1].min(b'\n'));
                    let slow = |is: fn(&u8) -> bool| text.iter().position(is);
                    let breaks = slow(|b| matches!(*b, b'\r' | b'\n' | 0));
                    assert_eq!(line_break(&text, 0), breaks, "{text:?}");
                    assert_eq!(colon(&text), slow(|b| *b == b':'), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn it_is_looked_for_from_a_place_on() {
        let text = b"\rabcdefghijklmnopqrstuvwxyz\t0123456789\n";
        assert_eq!(line_break(text, 1), Some(text.len() - 1));
        assert_eq!(line_break(text, text.len()), None);
        assert_eq!(line_break(text, text.len() + 1), None);
    }
}
