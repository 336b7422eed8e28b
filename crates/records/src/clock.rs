//! Points in time, and when a token ends.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A point in time, in milliseconds since 1970 (UTC). Written and read as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last millisecond of the year 9999, beyond which RFC 3339 has no notation.
const LAST: i64 = 253_402_300_799_999;

/// Numbers from here on are milliseconds: as seconds they would be after the year 5138.
const FIRST_MILLISECONDS: f64 = 1e11;

impl Timestamp {
    /// The same point in time, or the beginning of 1970 for one before it.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(LAST))
    }

    /// So many seconds after 1970, or the nearest point in time that RFC 3339 can write.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000).clamp(0, LAST))
    }

    /// Reads a time in any form that JSON files have it in: seconds, milliseconds, the same in a string, or RFC 3339.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = value.as_str().map(str::trim);
        let number = value.as_f64().or_else(|| text.and_then(|text| text.parse().ok()));
        match (number, text) {
            (Some(number), _) if number.is_finite() && number > 0.0 => Some(Self::from_number(number)),
            (None, Some(text)) => Self::from_rfc3339(text),
            _ => None,
        }
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        self.0
    }

    /// So many seconds later, or earlier if the number is negative.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)).clamp(0, LAST))
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(LAST);
        Self(self.0.saturating_add(milliseconds).clamp(0, LAST))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(LAST);
        Self(self.0.saturating_sub(milliseconds).clamp(0, LAST))
    }

    /// How long it is from `earlier` to this; zero if `earlier` is the later of the two.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn from_number(number: f64) -> Self {
        let milliseconds = if number >= FIRST_MILLISECONDS { number } else { number * 1000.0 };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float beyond i64 becomes its end, and is clamped"
        )]
        Self((milliseconds as i64).clamp(0, LAST))
    }

    /// Reads any form that RFC 3339 allows; a time without an offset is UTC.
    fn from_rfc3339(text: &str) -> Option<Self> {
        let (date_and_time, rest) = text.split_at_checked("2026-12-03T10:00:00".len())?;
        let date_and_time = humantime::parse_rfc3339_weak(&date_and_time.replace('t', "T")).ok()?;
        let since = i64::try_from(date_and_time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()?;
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let (fraction, offset) = rest.split_at(end);
        let time = since + thousandths(fraction)? - 60_000 * minutes_east(offset)?;
        (time >= 0).then_some(Self(time.min(LAST)))
    }

    fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

/// `.198020374` is 198; there may be any number of digits.
fn thousandths(fraction: &str) -> Option<i64> {
    let Some(digits) = fraction.strip_prefix('.') else { return fraction.is_empty().then_some(0) };
    if digits.is_empty() || digits.contains('.') {
        return None;
    }
    format!("{digits:0<3}")[..3].parse().ok()
}

/// `Z`, `+08:00` or `-0530`, in minutes.
fn minutes_east(offset: &str) -> Option<i64> {
    if matches!(offset, "" | "Z" | "z") {
        return Some(0);
    }
    let east = offset.strip_prefix('+').map(|digits| (1, digits));
    let (sign, digits) = east.or_else(|| Some((-1, offset.strip_prefix('-')?)))?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let two_digits = |text: &str, most: i64| {
        let is_number = text.len() == 2 && text.bytes().all(|digit| digit.is_ascii_digit());
        text.parse().ok().filter(|number: &i64| is_number && *number <= most)
    };
    Some(sign * (60 * two_digits(hours, 23)? + two_digits(minutes, 59)?))
}

/// To the second: `2026-12-03T10:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(self.system_time()).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(self.system_time()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| serde::de::Error::custom("not a time"))
    }
}

/// When an access token ends, as its own `exp` claim says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expiry(pub Timestamp);

impl Expiry {
    /// Whether the token has ended.
    #[must_use]
    pub fn has_passed(self, now: Timestamp) -> bool {
        self.0 <= now
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_way_the_files_write_a_time() {
        let expected = Timestamp::from_seconds(1_795_439_575);
        for value in [
            json!(1_795_439_575),
            json!(1_795_439_575.0),
            json!(1_795_439_575_000_i64),
            json!("1795439575"),
            json!("2026-11-23T13:12:55Z"),
            json!("2026-11-23T13:12:55.000000000Z"),
            json!("2026-11-23T13:12:55"),
            json!("2026-11-23t13:12:55z"),
            json!("2026-11-23 13:12:55+00:00"),
            json!("2026-11-23T21:12:55+08:00"),
            json!("2026-11-23T21:12:55.0+0800"),
            json!("2026-11-23T07:42:55.00000000000000000000-05:30"),
            json!("2026-11-24T03:12:55+14:00"),
            json!(" 2026-11-23T13:12:55-00:00\n"),
        ] {
            assert_eq!(Timestamp::from_json(&value), Some(expected), "{value}");
        }
        for value in
            [json!(null), json!(true), json!(0), json!(-5), json!("soon"), json!({}), json!("NaN"), json!("")]
        {
            assert_eq!(Timestamp::from_json(&value), None, "{value}");
        }
    }

    #[test]
    fn a_fraction_may_have_any_number_of_digits() {
        for (fraction, thousandths) in [(".5", 500), (".19", 190), (".1989", 198), (".000000000001", 0)] {
            let time = Timestamp::from_json(&json!(format!("2026-11-23T21:12:55{fraction}+08:00"))).unwrap();
            assert_eq!(time.milliseconds(), 1_795_439_575_000 + thousandths, "{fraction}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_taken_for_one() {
        for text in [
            "2026-11-23",
            "2026-11-23T13:12",
            "2026-11-31T13:12:55Z",
            "2026-11-23T24:12:55Z",
            "2026-11-23T13:12:55.",
            "2026-11-23T13:12:55.Z",
            "2026-11-23T13:12:55.1.2Z",
            "2026-11-23T13:12:55ZZ",
            "2026-11-23T13:12:55X",
            "2026-11-23T13:12:55é",
            "2026-11-23T13:12:55+",
            "2026-11-23T13:12:55+8",
            "2026-11-23T13:12:55+08",
            "2026-11-23T13:12:55+8:00",
            "2026-11-23T13:12:55+08:0",
            "2026-11-23T13:12:55+08:60",
            "2026-11-23T13:12:55+25:00",
            "2026-11-23T13:12:55+08:00Z",
            "2026-11-23T13:12:55+08:00é",
            "2026-11-23T13:12:5é",
            "1970-01-01T00:00:00+01:00",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(Timestamp::from_json(&json!(text)), None, "{text}");
        }
    }

    #[test]
    fn writes_rfc_3339_and_reads_it_back() {
        let time = Timestamp::from_seconds(1_795_439_575);
        assert_eq!(time.to_string(), "2026-11-23T13:12:55Z");
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-11-23T13:12:55.000Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
    }

    #[test]
    fn a_nonsense_year_can_still_be_printed() {
        assert_eq!(Timestamp::from_json(&json!(1e300)).unwrap().to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_seconds(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_token_has_ended_at_its_expiry() {
        let expiry = Expiry(Timestamp::from_seconds(100));
        assert!(!expiry.has_passed(Timestamp::from_seconds(99)));
        assert!(expiry.has_passed(Timestamp::from_seconds(100)));
    }
}
