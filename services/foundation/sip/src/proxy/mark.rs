//! What our Record-Route value remembers of a dialog, and proves to be ours.
//!
//! `;tdm=` and 33 hexadecimal digits: flags (1), the scope under a mask (16), the proof (16). Mask and proof are keyed
//! digests over the Call-ID, so that a mark serves one dialog only, whoever sees it learns nothing from it, and any edge
//! with the key reads it: also this one after a restart.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

use super::Config;

/// What a dialog's own route says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// Whose dialog it is: the scope that the user gave when it began.
    pub(super) scope: u64,
    /// Its two sides do not trust each other: private headers stop here, both ways.
    pub(super) strips: bool,
}

/// Digits of a number.
const DIGITS: usize = 16;

impl Mark {
    /// The parameter's value.
    pub(super) fn write(self, config: &Config, call_id: &[u8]) -> String {
        let masked = self.scope ^ mask(config, call_id);
        format!("{:x}{masked:016x}{:016x}", u8::from(self.strips), self.proof(config, call_id))
    }

    /// Reads a parameter's value; none: it is not ours, or not this dialog's.
    pub(super) fn read(config: &Config, value: &str, call_id: &[u8]) -> Option<Self> {
        let (flags, rest) = value.split_at_checked(1)?;
        let (masked, proof) = rest.split_at_checked(DIGITS)?;
        let strips = match flags {
            "0" => false,
            "1" => true,
            _ => return None,
        };
        let mark = Self { scope: number(masked)? ^ mask(config, call_id), strips };
        (number(proof)? == mark.proof(config, call_id)).then_some(mark)
    }

    fn proof(self, config: &Config, call_id: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&config.key);
        hasher.write(b"route");
        hasher.write_u64(self.scope);
        hasher.write_u8(u8::from(self.strips));
        hasher.write(call_id);
        hasher.finish()
    }
}

fn mask(config: &Config, call_id: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(&config.key);
    hasher.write(b"scope");
    hasher.write(call_id);
    hasher.finish()
}

fn number(digits: &str) -> Option<u64> {
    let all = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { scope: 0x0123_4567_89ab_cdef, strips: true };

    #[test]
    fn a_mark_is_read_with_its_key_and_in_its_dialog_only() {
        let (config, other) = (Config::new(Vec::new(), [1; 16]), Config::new(Vec::new(), [2; 16]));
        let text = MARK.write(&config, b"one");
        assert_eq!(Mark::read(&config, &text, b"one"), Some(MARK));
        assert_eq!(Mark::read(&other, &text, b"one"), None);
        assert_eq!(Mark::read(&config, &text, b"two"), None);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(Mark::read(&config, str::from_utf8(&changed).unwrap(), b"one"), None, "digit {at}");
        }
        for wrong in ["", "1", &text[1..], &format!("{text}0"), "+0123456789abcdef0123456789abcdef"] {
            assert_eq!(Mark::read(&config, wrong, b"one"), None, "{wrong}");
        }
    }

    #[test]
    fn a_mark_shows_neither_its_scope_nor_that_two_dialogs_are_one_tenants() {
        let config = Config::new(Vec::new(), [1; 16]);
        let (one, two) = (MARK.write(&config, b"one"), MARK.write(&config, b"two"));
        assert!(!one.contains("0123456789abcdef"));
        assert_ne!(one[1..17], two[1..17]);
    }

    /// It stands in dialogs that outlive a release.
    #[test]
    fn a_mark_is_written_as_ever() {
        let config = Config::new(Vec::new(), *b"0123456789abcdef");
        assert_eq!(MARK.write(&config, b"one@192.0.2.10"), "1302ee256effb9e8310a810fba625de1d");
    }
}
