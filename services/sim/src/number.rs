//! Telephone numbers as far as every telephone system knows them: digits, a plus sign, what is only for the eye.

/// The user part or number without what is only for the eye (`-`, `.`, `(`, `)`, spaces) and without parameters:
/// `+1 (425) 555-0100;ext=7` is `+14255550100`.
pub(crate) fn bare(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("tel:").or_else(|| text.strip_prefix("TEL:")).unwrap_or(text);
    let text = text.split(';').next().unwrap_or(text);
    text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect()
}

/// The `;ext=` of a number or Line URI.
pub(crate) fn extension(text: &str) -> Option<&str> {
    text.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("ext").then_some(value.trim())
    })
}

/// Whether it is a number at all: digits, perhaps after a plus sign.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits that calls are told apart by, on whichever leg and in whichever form the caller's number stands there: the
/// last nine.
pub(crate) const MARKER_DIGITS: usize = 9;

/// See [`MARKER_DIGITS`]. A caller without digits (`anonymous`) is its own marker.
pub(crate) fn marker(caller: &str) -> String {
    let bare = bare(caller);
    let digits: String = bare.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() {
        return bare;
    }
    digits[digits.len().saturating_sub(MARKER_DIGITS)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_without_ornament() {
        let check = |text: &str, number: &str, ext: Option<&str>, marked: &str| {
            assert_eq!((bare(text).as_str(), extension(text), marker(text).as_str()), (number, ext, marked));
        };
        check("+1 (425) 555-0100", "+14255550100", None, "255550100");
        check("tel:+14255550100;ext=7001", "+14255550100", Some("7001"), "255550100");
        check("4255550100", "4255550100", None, "255550100");
        check("2001", "2001", None, "2001");
        check("anonymous", "anonymous", None, "anonymous");
    }

    #[test]
    fn numbers_are_told_from_names() {
        let check = |text: &str, expected: bool| assert_eq!(is_number(text), expected, "{text}");
        check("+14255550100", true);
        check("2001", true);
        check("ann", false);
        check("+", false);
        check("", false);
        check("20+01", false);
    }
}
