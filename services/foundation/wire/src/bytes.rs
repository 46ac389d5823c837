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
    /// Bytes of a known length: text, messages.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Varint(number) => Some(number),
            Self::Bytes(_) => None,
        }
    }

    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Varint(_) => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Reads the fields of one message, in the order in which they stand.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field: its number and value. `Ok(None)` at the end; `Err` where the bytes are broken or of a layout
    /// that no field of ours has (fixed width, groups).
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Odd> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| Odd)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Odd)?;
                let (bytes, rest) = self.0.split_at_checked(len).ok_or(Odd)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            _ => return Err(Odd),
        };
        Ok(Some((key >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, Odd> {
        // Most keys and lengths take one byte.
        if let Some((byte @ 0..=0x7f, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        let mut number = 0_u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                // The tenth byte holds the one bit that is left of 64.
                if at == 9 && *byte > 1 {
                    return Err(Odd);
                }
                self.0 = self.0.get(at + 1..).unwrap_or_default();
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
        self.key(field, 2);
        varint(self.0, text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A number that has a value.
    pub(crate) fn number(&mut self, field: u32, number: impl Into<u64>) {
        let number = number.into();
        if number != 0 {
            self.key(field, 0);
            varint(self.0, number);
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
        self.key(field, 2);
        let at = self.0.len();
        // Most lengths fit one byte; what was written moves up when it does not.
        self.0.push(0);
        write(&mut Writer(self.0));
        let len = self.0.len() - at - 1;
        match self.0.get_mut(at) {
            Some(place) if len < 0x80 => *place = len as u8,
            _ => self.make_room(at, len),
        }
        self.0.len() - len..self.0.len()
    }

    /// Writes a length of more than one byte at its place of one: what was written moves up.
    fn make_room(&mut self, at: usize, len: usize) {
        // Five bytes hold the length of any message that can be.
        let (mut length, mut left, mut bytes) = ([0; 5], len, 0);
        for byte in &mut length {
            *byte = left as u8 | 0x80;
            left >>= 7;
            bytes += 1;
            if left == 0 {
                *byte &= 0x7f;
                break;
            }
        }
        let end = self.0.len();
        self.0.resize(end + bytes - 1, 0);
        self.0.copy_within(at + 1..end, at + bytes);
        if let (Some(place), Some(length)) = (self.0.get_mut(at..at + bytes), length.get(..bytes)) {
            place.copy_from_slice(length);
        }
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
        varint(self.0, u64::from(field << 3 | layout));
    }
}

/// Appends a variable-length integer.
pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
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
        fn messages_of_any_length_hold_what_was_written(len in 0_usize..40_000) {
            let text = "x".repeat(len);
            let mut out = Vec::new();
            Writer::new(&mut out).message(3, |inner| inner.listed(1, &text));
            let (field, value) = Fields::new(&out).next().unwrap().unwrap();
            prop_assert_eq!(field, 3);
            let inner = Fields::new(value.bytes().unwrap()).next().unwrap().unwrap();
            prop_assert_eq!(inner, (1, Value::Bytes(text.as_bytes())));
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
