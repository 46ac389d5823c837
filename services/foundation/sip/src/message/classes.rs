//! Which characters may stand where (RFC 3261 25.1).

/// A `token`.
pub(super) const TOKEN: u8 = 1;
/// A parameter's value without quotes. Wider than `token / host`: addresses, base64 and '@' come unquoted from some
/// elements, and cannot be mistaken.
pub(super) const VALUE: u8 = 2;
/// A host's name. Wider by '_', which names in private networks hold.
pub(super) const HOST: u8 = 4;
/// The user of a URI, unescaped.
pub(super) const USER: u8 = 8;
/// The password of a URI, unescaped.
pub(super) const PASSWORD: u8 = 16;
/// Name or value of a URI's parameter, unescaped.
pub(super) const PARAM: u8 = 32;
/// Name or value of a URI's header, unescaped.
pub(super) const HEADER: u8 = 64;

/// The classes of each byte.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = of_header_field(byte as u8) | of_uri(byte as u8);
        byte += 1;
    }
    table
};

const fn of_header_field(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' => TOKEN | VALUE | HOST,
        b'!' | b'%' | b'*' | b'+' | b'`' | b'\'' | b'~' => TOKEN | VALUE,
        b'"' | b'<' | b'>' | b',' | b';' | b'?' | b'\\' => 0,
        _ => VALUE,
    }
}

const fn of_uri(byte: u8) -> u8 {
    match byte {
        b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => USER | PASSWORD | PARAM | HEADER,
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => USER | PASSWORD | PARAM | HEADER,
        b'&' => USER | PASSWORD | PARAM,
        b'=' | b',' => USER | PASSWORD,
        b'+' | b'$' => USER | PASSWORD | PARAM | HEADER,
        b';' => USER,
        b'?' => USER | HEADER,
        b'/' => USER | PARAM | HEADER,
        b'[' | b']' | b':' => PARAM | HEADER,
        _ => 0,
    }
}

/// Whether a byte is of a class.
#[inline]
pub(super) fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// How many bytes of a class `text` starts with. Not inlined, so that its loop has the machine's registers to itself.
#[inline(never)]
pub(super) fn span(text: &[u8], class: u8) -> usize {
    let mut at = 0;
    while let Some([a, b, c, d]) = text.get(at..at + 4) {
        let of = |byte: &u8| CLASSES[usize::from(*byte)];
        if of(a) & of(b) & of(c) & of(d) & class == 0 {
            break;
        }
        at += 4;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| is(**byte, class)).count()
}

/// Space, tab, and the CR and LF of a fold: the head's only ones inside a line.
#[inline]
pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_ends_at_the_first_byte_of_another_class() {
        for len in 0..12 {
            for place in 0..=len {
                let mut text = vec![b'a'; len];
                text.get_mut(place..).unwrap_or_default().fill(b'@');
                assert_eq!((span(&text, TOKEN), span(&text, VALUE)), (place, len), "{text:?}");
            }
        }
        assert_eq!(span(b"a\xff", TOKEN | VALUE | USER), 1);
    }
}
