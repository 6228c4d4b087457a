//! Dates: formats both ways, durations over the calendar, ISO 8601.
#![expect(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

use jiff::tz::Offset;
use lockstep_expr::datetime::{Duration, Format, Moment, parse_any, parse_iso};

#[track_caller]
fn read(format: &str, text: &str) -> String {
    Format::compile(format).unwrap().parse(text).unwrap().iso()
}

#[test]
fn formats_read_what_python_reads() {
    for (format, text, wanted) in [
        ("%Y-%m-%d", "2024-02-29", "2024-02-29T00:00:00+00:00"),
        ("%Y-%m-%d", "2024-2-9", "2024-02-09T00:00:00+00:00"),
        ("%Y%m%d", "20240229", "2024-02-29T00:00:00+00:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-31T10:00:00Z", "2024-01-31T10:00:00+00:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00+02:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-31T10:00:00-0530", "2024-01-31T10:00:00-05:30"),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2024-01-31T10:00:00.5Z", "2024-01-31T10:00:00.500000+00:00"),
        ("%Y-%m-%dT%H:%M:%S.%fZ", "2024-01-31T10:00:00.123456Z", "2024-01-31T10:00:00.123456+00:00"),
        ("%Y-%m-%dT%H:%M:%S.%_msZ", "2024-01-31T10:00:00.123Z", "2024-01-31T10:00:00.123000+00:00"),
        ("%Y-%m-%d %H:%M:%S %Z", "2024-01-31 10:00:00 UTC", "2024-01-31T10:00:00+00:00"),
        ("%d %b %Y", "31 jan 2024", "2024-01-31T00:00:00+00:00"),
        ("%A, %d %B %Y", "Wednesday, 31 January 2024", "2024-01-31T00:00:00+00:00"),
        ("%m/%d/%y %I:%M %p", "1/31/24 12:05 AM", "2024-01-31T00:05:00+00:00"),
        ("%Y-%j", "2024-060", "2024-02-29T00:00:00+00:00"),
        ("%s", "1706695200", "2024-01-31T10:00:00+00:00"),
        ("%ms", "1706695200123", "2024-01-31T10:00:00.123000+00:00"),
        ("%epoch_microseconds", "1706695200123456", "2024-01-31T10:00:00.123456+00:00"),
        ("%s_as_float", "1706695200.25", "2024-01-31T10:00:00.250000+00:00"),
    ] {
        assert_eq!(read(format, text), wanted, "{format} of {text}");
    }
}

#[test]
fn formats_refuse_what_python_refuses() {
    for (format, text) in [
        ("%Y-%m-%d", "2024-02-30"),
        ("%Y-%m-%d", "24-02-03"),
        ("%Y-%m-%d", "2024-01-31T00:00:00Z"),
        ("%Y-%m-%dT%H:%M:%S%z", "2024-01-31T10:00:00"),
        ("%H:%M", "24:00"),
        ("%f", "1234567"),
        ("%s", "1.5"),
        ("%Y", "é024"),
    ] {
        assert!(Format::compile(format).unwrap().parse(text).is_err(), "{format} of {text}");
    }
    assert!(Format::compile("%Q").is_err());
    assert!(Format::compile("%").is_err());
}

#[test]
fn formats_write_on_the_clock_of_the_moment() {
    let at = parse_iso("2024-01-05T03:04:05.006007+02:00").unwrap();
    for (format, wanted) in [
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2024-01-05T03:04:05.006007+0200"),
        ("%Y-%m-%dT%H:%M:%S.%_msZ", "2024-01-05T03:04:05.006Z"),
        ("%-d.%-m.%y %I %p %j %a %A %b %B", "5.1.24 03 AM 005 Fri Friday Jan January"),
        ("%Z %%", "UTC+02:00 %"),
        ("%s", "1704416645"),
        ("%ms", "1704416645006"),
        ("%epoch_microseconds", "1704416645006007"),
        ("%s_as_float", "1704416645.006007"),
    ] {
        assert_eq!(Format::compile(format).unwrap().write(at), wanted, "{format}");
    }
}

#[test]
fn a_format_reads_what_it_wrote() {
    let at = parse_iso("2024-12-31T23:59:59.123456-03:30").unwrap();
    for format in
        ["%Y-%m-%dT%H:%M:%S.%f%z", "%d/%b/%Y:%H:%M:%S.%f %z", "%epoch_microseconds", "%I:%M:%S.%f %p %B %d, %Y %z"]
    {
        let format = Format::compile(format).unwrap();
        assert_eq!(format.parse(&format.write(at)).unwrap(), at, "{}", format.source());
    }
}

#[test]
fn months_are_of_the_calendar_and_days_are_of_time() {
    let step = |start: &str, duration: &str| {
        Duration::parse(duration).unwrap().add_to(parse_iso(start).unwrap()).unwrap().iso()
    };
    let back = |start: &str, duration: &str| {
        Duration::parse(duration).unwrap().subtract_from(parse_iso(start).unwrap()).unwrap().iso()
    };
    assert_eq!(step("2024-01-31", "P1M"), "2024-02-29T00:00:00+00:00");
    assert_eq!(step("2024-02-29", "P1Y"), "2025-02-28T00:00:00+00:00");
    assert_eq!(step("2024-01-31", "P1M1D"), "2024-03-01T00:00:00+00:00");
    assert_eq!(step("2024-01-31T10:00:00+02:00", "P1Y2M10DT2H30M"), "2025-04-10T12:30:00+02:00");
    assert_eq!(back("2024-03-31", "P1M"), "2024-02-29T00:00:00+00:00");
    assert_eq!(back("2024-01-01", "PT0.000001S"), "2023-12-31T23:59:59.999999+00:00");
    assert_eq!(step("2024-01-01", "P2W"), "2024-01-15T00:00:00+00:00");
    assert_eq!(step("2024-01-01", "-P1D"), "2023-12-31T00:00:00+00:00");
    assert!(Duration::parse("P9999Y").unwrap().add_to(parse_iso("2024").unwrap()).is_err());
}

#[test]
fn durations_that_are_none_are_refused() {
    for text in
        ["", "P", "PT", "1D", "P1", "PD", "P1H", "P1D1M", "PT1D", "P1.5M", "P1DT", "P-1D", "P99999999999999999999D"]
    {
        let is_empty_time = text == "P1DT";
        assert_eq!(Duration::parse(text).is_ok(), is_empty_time, "{text}");
    }
}

#[test]
fn dates_without_a_format_are_read() {
    for (text, wanted) in [
        ("2024-01-31", "2024-01-31T00:00:00+00:00"),
        ("2024-01-31 10:00:00", "2024-01-31T10:00:00+00:00"),
        ("2024-01-31T10:00:00.5+0200", "2024-01-31T10:00:00.500000+02:00"),
        ("1706695200", "2024-01-31T10:00:00+00:00"),
        ("20240131", "1970-08-23T06:15:31+00:00"),
        ("Wed, 31 Jan 2024 10:00:00 +0000", "2024-01-31T10:00:00+00:00"),
        ("Wed, 31 Jan 2024 10:00:00 GMT", "2024-01-31T10:00:00+00:00"),
        ("2024/01/31 10:00:00", "2024-01-31T10:00:00+00:00"),
        ("01/31/2024", "2024-01-31T00:00:00+00:00"),
        ("2024-01-31 10:00:00 UTC", "2024-01-31T10:00:00+00:00"),
    ] {
        assert_eq!(parse_any(text).unwrap().iso(), wanted, "{text}");
    }
    for text in ["", "nope", "10:00", "2024-13-01", "-5", "99999999999"] {
        assert!(parse_any(text).is_err(), "{text}");
    }
}

#[test]
fn moments_are_ordered_by_their_instants() {
    let here = parse_iso("2024-01-31T12:00:00+02:00").unwrap();
    let there = parse_iso("2024-01-31T10:00:00Z").unwrap();
    assert_eq!(here, there);
    assert!(here < parse_iso("2024-01-31T10:00:00.000001").unwrap());
    assert_eq!(here.offset(), Offset::constant(2));
    assert_eq!(Moment::from(here.timestamp()).iso(), "2024-01-31T10:00:00+00:00");
}
