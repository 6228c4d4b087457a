//! Times as platforms write them: Copernica and ActiveCampaign live in Europe/Amsterdam. It must not read a clock.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep_core::clock::Timestamp;

/// Central European time by its rule, so that no database of zones is needed.
fn amsterdam() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC)
}

fn zoned(at: Timestamp, zone: TimeZone) -> jiff::Zoned {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_zoned(zone)
}

/// `2025-03-01 11:02:03`, local and without a zone.
pub(super) fn local(at: Timestamp) -> String {
    zoned(at, amsterdam()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `2025-03-01T11:02:03+01:00`.
pub(super) fn offset(at: Timestamp) -> String {
    zoned(at, amsterdam()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// `2025-03-01 10:02:03`, UTC and without saying so.
pub(super) fn utc(at: Timestamp) -> String {
    zoned(at, TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `Sat, 01 Mar 2025 10:02:03 GMT`.
pub(super) fn http_date(at: Timestamp) -> String {
    zoned(at, TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads a date, or a date and time; without an offset it is local.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let instant = text.parse::<jiff::Timestamp>().ok();
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(amsterdam()).ok().map(|zoned| zoned.timestamp());
    instant.or_else(civil).map(|instant| Timestamp(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_time_follows_the_summer() {
        let (winter, summer) = (Timestamp(1_740_823_323_000), Timestamp(1_751_364_123_000));
        assert_eq!(local(winter), "2025-03-01 11:02:03");
        assert_eq!(offset(summer), "2025-07-01T12:02:03+02:00");
        assert_eq!(http_date(winter), "Sat, 01 Mar 2025 10:02:03 GMT");
        for text in ["2025-03-01 11:02:03", "2025-03-01T11:02:03+01:00", "2025-03-01T10:02:03Z"] {
            assert_eq!(parse(text), Some(winter), "{text}");
        }
        assert_eq!(parse("2025-07-01").map(local), Some("2025-07-01 00:00:00".to_owned()));
    }
}
