//! Points in time as people read them.

const DAY_S: u64 = 86_400;
/// From 0000-03-01 to 1970-01-01, and the days of 400 years, in the Gregorian calendar.
const EPOCH_DAYS: u64 = 719_468;
const ERA_DAYS: u64 = 146_097;

/// Microseconds since 1970 as RFC 3339 in UTC, to the millisecond: `2026-01-31T08:05:09.120Z`.
pub(crate) fn utc(micros: u64) -> String {
    let (seconds, millis) = (micros / 1_000_000, micros / 1000 % 1000);
    let (days, second) = (seconds / DAY_S, seconds % DAY_S);
    // Years that begin in March, so that the day of the leap year comes last.
    let days = days + EPOCH_DAYS;
    let (era, day) = (days / ERA_DAYS, days % ERA_DAYS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc() {
        let check = |seconds: u64, expected| assert_eq!(utc(seconds * 1_000_000 + 120_000), expected);
        check(0, "1970-01-01T00:00:00.120Z");
        check(951_782_399, "2000-02-28T23:59:59.120Z");
        check(951_782_400, "2000-02-29T00:00:00.120Z");
        check(1_709_251_200, "2024-03-01T00:00:00.120Z");
        check(1_767_225_599, "2025-12-31T23:59:59.120Z");
        check(4_107_542_400, "2100-03-01T00:00:00.120Z");
    }
}
