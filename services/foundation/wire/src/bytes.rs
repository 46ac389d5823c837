//! Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), as far as the path of a call needs it.
//!
//! Every `RouteCall` is read and answered here without a message in between: what is read is lent from the bytes
//! that came, and what is written is written once, into one buffer. Everything else goes by the generated messages;
//! property tests hold the two together.

use std::ops::Range;

/// How a field's value is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value<'a> {
    /// A variable-length integer: numbers, flags, enums.
    Varint(u64),
    /// Bytes of a known length: text, messages. Beside them the same as text, where that is known.
    Bytes(&'a [u8], Option<&'a str>),
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Varint(number) => Some(number),
            Self::Bytes(..) => None,
        }
    }

    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes, _) => Some(bytes),
            Self::Varint(_) => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Self::Bytes(_, Some(text)) => Some(text),
            Self::Bytes(bytes, None) => std::str::from_utf8(bytes).ok(),
            Self::Varint(_) => None,
        }
    }
}

/// Reads the fields of one message, in the order in which they stand.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// The whole message as text, where it happens to be.
    text: Option<&'a str>,
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message, text: None }
    }

    /// Of a message of many short texts. Nearly always its keys and lengths are ASCII too, and then it is looked at as
    /// text once and not text by text: to begin and to end costs more than the few bytes of most.
    pub(crate) fn of_texts(message: &'a [u8]) -> Self {
        Self { rest: message, text: std::str::from_utf8(message).ok() }
    }

    /// Bytes of the message that were just read, as text.
    fn as_text(&self, len: usize) -> Option<&'a str> {
        let text = self.text?;
        let end = text.len() - self.rest.len();
        // None inside a character: then it is looked at by itself, and is none.
        text.get(end - len..end)
    }

    /// The next field: its number and value. `Ok(None)` at the end; `Err` where the bytes are broken or of a layout
    /// that no field of ours has (fixed width, groups).
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Odd> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Odd)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Odd)?;
                let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Odd)?;
                self.rest = rest;
                Value::Bytes(bytes, self.as_text(len))
            }
            _ => return Err(Odd),
        };
        Ok(Some((key >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, Odd> {
        // Most keys and lengths take one byte.
        if let Some((byte @ 0..=0x7f, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut number = 0_u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                // The tenth byte holds the one bit that is left of 64.
                if at == 9 && *byte > 1 {
                    return Err(Odd);
                }
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(Odd)
    }
}

/// Bytes that this way of reading does not take. The generated messages' decoder has the last word on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Odd;

/// Writes the fields of one message. As proto3 asks, what has its default value is left out.
pub(crate) struct Writer<'o>(&'o mut Vec<u8>);

impl<'o> Writer<'o> {
    pub(crate) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self(out)
    }

    /// Text that has a value.
    pub(crate) fn text(&mut self, field: u32, text: &str) {
        if !text.is_empty() {
            self.listed(field, text);
        }
    }

    /// One text of a list: there even when it is empty.
    pub(crate) fn listed(&mut self, field: u32, text: &str) {
        match text.len() {
            short @ 0..0x80 => self.0.extend_from_slice(&[key(field, 2), short as u8]),
            long => {
                self.key(field, 2);
                varint(self.0, long as u64);
            }
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A number that has a value.
    pub(crate) fn number(&mut self, field: u32, number: impl Into<u64>) {
        match number.into() {
            0 => {}
            short @ 1..0x80 => self.0.extend_from_slice(&[key(field, 0), short as u8]),
            long => {
                self.key(field, 0);
                varint(self.0, long);
            }
        }
    }

    /// An enum's value: of ours none is negative.
    pub(crate) fn term(&mut self, field: u32, value: i32) {
        self.number(field, u64::from(value.unsigned_abs()));
    }

    /// A flag that is set.
    pub(crate) fn flag(&mut self, field: u32, flag: bool) {
        self.number(field, u64::from(flag));
    }

    /// A message, even an empty one. Where in the buffer it lies.
    pub(crate) fn message(&mut self, field: u32, write: impl FnOnce(&mut Writer<'_>)) -> Range<usize> {
        self.framed(field, 1, write)
    }

    /// The same of a message that mostly takes 128 bytes or more, so that it need not move.
    pub(crate) fn long_message(&mut self, field: u32, write: impl FnOnce(&mut Writer<'_>)) -> Range<usize> {
        self.framed(field, 2, write)
    }

    /// A message whose length is expected to take `room` bytes; what was written moves where it takes more or fewer.
    fn framed(&mut self, field: u32, room: usize, write: impl FnOnce(&mut Writer<'_>)) -> Range<usize> {
        self.key(field, 2);
        let at = self.0.len();
        self.0.extend_from_slice(&[0, 0][..room]);
        write(&mut Writer(self.0));
        let len = self.0.len() - at - room;
        let taken = len_bytes(len);
        if taken != room {
            self.make_room(at, room, taken);
        }
        let mut left = len;
        for byte in self.0.iter_mut().skip(at).take(taken) {
            *byte = left as u8 & 0x7f | if left < 0x80 { 0 } else { 0x80 };
            left >>= 7;
        }
        self.0.len() - len..self.0.len()
    }

    /// Moves what lies behind a length that takes other than the bytes that were kept for it.
    #[cold]
    fn make_room(&mut self, at: usize, room: usize, taken: usize) {
        let end = self.0.len();
        if taken > room {
            self.0.resize(end + taken - room, 0);
        }
        self.0.copy_within(at + room..end, at + taken);
        self.0.truncate(end + taken - room);
    }

    /// A packed list of numbers that is not empty.
    pub(crate) fn packed(&mut self, field: u32, numbers: impl IntoIterator<Item = u64>) {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_some() {
            let _ = self.message(field, |out| numbers.for_each(|n| varint(out.0, n)));
        }
    }

    /// A piece of the text or message that is being written.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, layout: u32) {
        self.0.push(key(field, layout));
    }
}

/// A field's key. Of what is written here no field has a number over 15, which would take a second byte.
const fn key(field: u32, layout: u32) -> u8 {
    debug_assert!(field < 16, "the key of this field takes more than a byte");
    (field << 3 | layout) as u8
}

/// How many bytes a length takes as a variable-length integer.
const fn len_bytes(len: usize) -> usize {
    // Seven bits each; 0 takes one as well.
    (len | 1).ilog2() as usize / 7 + 1
}

/// Appends a variable-length integer.
pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    let (mut bytes, mut len) = ([0_u8; 10], 1);
    for byte in &mut bytes {
        *byte = number as u8;
        number >>= 7;
        if number == 0 {
            break;
        }
        *byte |= 0x80;
        len += 1;
    }
    // All ten and then some off again: how many they are is known to the compiler.
    let end = out.len() + len;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_are_written_as_prost_writes_them_and_read_back(number in prop_oneof![any::<u64>(), 0_u64..1000]) {
            let (mut ours, mut theirs) = (vec![8], vec![8]);
            varint(&mut ours, number);
            prost::encoding::encode_varint(number, &mut theirs);
            prop_assert_eq!(&ours, &theirs);
            prop_assert_eq!(Fields::new(&ours).next(), Ok(Some((1, Value::Varint(number)))));
        }

        #[test]
        fn messages_of_any_length_hold_what_was_written(len in prop_oneof![0_usize..300, 16_300_usize..16_400, 0_usize..40_000]) {
            let text = "x".repeat(len);
            let (mut out, mut long) = (Vec::new(), Vec::new());
            let place = Writer::new(&mut out).message(3, |inner| inner.listed(1, &text));
            prop_assert_eq!(Writer::new(&mut long).long_message(3, |inner| inner.listed(1, &text)), place.clone());
            prop_assert_eq!(&long, &out);
            let (field, value) = Fields::new(&out).next().unwrap().unwrap();
            prop_assert_eq!((field, value.bytes()), (3, Some(&out[place])));
            let inner = Fields::new(value.bytes().unwrap()).next().unwrap().unwrap();
            prop_assert_eq!(inner, (1, Value::Bytes(text.as_bytes(), None)));
        }

        /// Whether a message is looked at as text whole or field by field, its fields say the same.
        #[test]
        fn texts_are_the_same_however_they_are_looked_at(
            texts in proptest::collection::vec(prop_oneof!["[a-z]{0,9}", "\\PC{0,200}"], 0..4),
            cut in proptest::option::of((any::<proptest::sample::Index>(), any::<u8>())),
        ) {
            let mut out = Vec::new();
            (1..).zip(&texts).for_each(|(field, text)| Writer::new(&mut out).listed(field, text));
            if let Some((at, byte)) = cut.filter(|_| !out.is_empty()) {
                let at = at.index(out.len());
                out[at] = byte;
            }
            let (mut whole, mut each) = (Fields::of_texts(&out), Fields::new(&out));
            loop {
                let (whole, each) = (whole.next(), each.next());
                let of = |read: &Result<Option<(u32, Value<'_>)>, Odd>| {
                    read.map(|field| field.map(|(n, v)| (n, v.number(), v.text().map(String::from), v.bytes().map(Vec::from))))
                };
                prop_assert_eq!(of(&whole), of(&each));
                if !matches!(whole, Ok(Some(_))) {
                    break;
                }
            }
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut fields = Fields::new(&bytes);
            while let Ok(Some(_)) = fields.next() {}
        }
    }

    #[test]
    fn broken_and_foreign_layouts_are_odd() {
        for bytes in [
            &[0x08][..],                                                              // a key without a value
            &[0x0a, 0x05, b'a'],                                                      // shorter than it says
            &[0x09, 0, 0, 0, 0, 0, 0, 0, 0],                                          // fixed width
            &[0x0b],                                                                  // a group
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],      // more than 64 bits
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1], // eleven bytes
        ] {
            assert_eq!(Fields::new(bytes).next(), Err(Odd), "{bytes:x?}");
        }
    }
}
