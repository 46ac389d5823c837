//! Fields as bytes: a tag, a length, and so many bytes. A field that is not set is not there; a field whose tag a
//! reader does not know is skipped, so that fields can be added to a layout and older readers go on reading it.
//!
//! The tags and codes in this crate are stored state: one that was used is never used for anything else.

/// Why bytes are no record. Names fields, never values.
pub(super) type Why = String;

/// Writes fields.
#[derive(Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        let mut len = bytes.len();
        while len >= 0x80 {
            self.0.push(len as u8 | 0x80);
            len >>= 7;
        }
        self.0.push(len as u8);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, tag: u8, text: &str) {
        self.bytes(tag, text.as_bytes());
    }

    pub(super) fn text_if(&mut self, tag: u8, text: Option<&str>) {
        if let Some(text) = text {
            self.text(tag, text);
        }
    }

    /// As many bytes as it needs, the lowest first; none for 0.
    pub(super) fn number(&mut self, tag: u8, number: u128) {
        let bytes = number.to_le_bytes();
        let len = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        self.bytes(tag, &bytes[..len]);
    }

    pub(super) fn number_if(&mut self, tag: u8, number: Option<u16>) {
        if let Some(number) = number {
            self.number(tag, u128::from(number));
        }
    }

    /// Set or not there.
    pub(super) fn flag(&mut self, tag: u8, set: bool) {
        if set {
            self.bytes(tag, &[]);
        }
    }

    /// Fields in a field.
    pub(super) fn nested(&mut self, tag: u8, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(tag, &inner.0);
    }
}

/// Reads fields.
pub(super) struct In<'a>(pub(super) &'a [u8]);

impl<'a> In<'a> {
    /// The next field's tag and bytes; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Why> {
        let Some((tag, mut rest)) = self.0.split_first() else { return Ok(None) };
        let mut len = 0_usize;
        for shift in [0, 7, 14, 21] {
            let (byte, after) = rest.split_first().ok_or_else(cut)?;
            len |= usize::from(byte & 0x7f) << shift;
            rest = after;
            if byte & 0x80 == 0 {
                let (field, after) = rest.split_at_checked(len).ok_or_else(cut)?;
                self.0 = after;
                return Ok(Some((*tag, field)));
            }
        }
        Err("a field of more than 256 MiB".into())
    }
}

fn cut() -> Why {
    "it ends in the middle of a field".into()
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, Why> {
    std::str::from_utf8(bytes).map_err(|_| "a text that is not UTF-8".into())
}

pub(super) fn string(bytes: &[u8]) -> Result<Option<String>, Why> {
    text(bytes).map(|t| Some(t.to_owned()))
}

/// A name, checked as where it entered.
pub(super) fn name<T: std::str::FromStr<Err: std::fmt::Display>>(bytes: &[u8]) -> Result<Option<T>, Why> {
    text(bytes)?.parse().map(Some).map_err(|e: T::Err| e.to_string())
}

pub(super) fn number<T: TryFrom<u128>>(bytes: &[u8]) -> Result<Option<T>, Why> {
    let mut wide = [0; 16];
    wide.get_mut(..bytes.len()).ok_or("a number of more than 128 bits")?.copy_from_slice(bytes);
    T::try_from(u128::from_le_bytes(wide)).map(Some).map_err(|_| "a number that is too large".into())
}

/// A field that must be there.
pub(super) fn needed<T>(field: Option<T>, name: &str) -> Result<T, Why> {
    field.ok_or_else(|| format!("no {name}"))
}

/// The codes of closed vocabularies.
macro_rules! codes {
    ($($name:ident { $($variant:ident = $code:literal,)+ })*) => {$(
        impl Coded for $name {
            fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)+ }
            }

            fn of(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    )*};
}
pub(super) use codes;

/// A closed vocabulary in one byte.
pub(super) trait Coded: Copy {
    fn code(self) -> u8;
    fn of(code: u8) -> Option<Self>;
}

impl Out {
    pub(super) fn code(&mut self, tag: u8, term: impl Coded) {
        self.bytes(tag, &[term.code()]);
    }
}

pub(super) fn code<T: Coded>(bytes: &[u8]) -> Result<Option<T>, Why> {
    let known = bytes.first().copied().and_then(T::of);
    known.map(Some).ok_or_else(|| "a term that this release does not know".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_and_nothing_else_does() {
        let mut out = Out::default();
        out.text(1, "a");
        out.flag(2, true);
        out.flag(3, false);
        out.number(4, 0);
        out.number(5, 0x1_0000);
        out.bytes(6, &[7; 300]);
        let mut fields = In(&out.0);
        let mut seen = Vec::new();
        while let Some((tag, bytes)) = fields.next().unwrap() {
            seen.push((tag, bytes.len()));
        }
        assert_eq!(seen, [(1, 1), (2, 0), (4, 0), (5, 3), (6, 300)]);
        assert_eq!(number::<u64>(&[0, 0, 1]).unwrap(), Some(0x1_0000));
        assert!(number::<u16>(&[0, 0, 1]).is_err());
        assert!(number::<u64>(&[0; 17]).is_err());
        for cut in 1..3 {
            assert!(In(&out.0[..cut]).next().is_err(), "cut after {cut}");
        }
        assert!(In(&[1, 0xff, 0xff, 0xff, 0xff]).next().is_err());
    }
}
