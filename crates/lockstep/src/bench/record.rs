//! Made-up contacts of a given size, each with values of its own.
//!
//! A few dozen templates are built once; filling one copies it and writes the record's number over the marks, so
//! that making bodies costs the load generator next to nothing.
//! It must not use names or numbers of real people.

use anyhow::ensure;
use bytes::Bytes;
use serde_json::json;

/// Where the number goes: as long as the number's digits.
const MARK: &str = "########";
const NUMBERS: u64 = 100_000_000;
const TEMPLATES: usize = 48;
/// What stands before the number in `notes`; the sink finds it there again.
const LABEL: &str = "bench ";
const FILLER: &str = "called about the spring order and asked for the new price list; prefers to be written to in the \
                      morning; has the old loyalty card; ";

const FIRST_NAMES: [&str; 6] = ["Annelies", "Bram", "Chloé", "Dirk-Jan", "Elif", "Femke"];
const LAST_NAMES: [&str; 8] =
    ["van der Berg", "Okafor", "Jansen", "Müller", "de Wit", "Yılmaz", "Peeters", "Lindqvist"];
const PLACES: [(&str, &str, &str, &str); 4] = [
    ("Amsterdam", "Noord-Holland", "1012 AB", "Europe/Amsterdam"),
    ("Gent", "Oost-Vlaanderen", "9000", "Europe/Brussels"),
    ("Utrecht", "Utrecht", "3511 CD", "Europe/Amsterdam"),
    ("Groningen", "Groningen", "9711 EF", "Europe/Amsterdam"),
];
const JOBS: [&str; 3] = ["Buyer", "Head of marketing", "Coach"];

/// The bodies of a bench.
#[derive(Debug)]
pub(crate) struct Records {
    templates: Vec<Template>,
}

#[derive(Debug)]
struct Template {
    text: Vec<u8>,
    marks: Vec<usize>,
}

impl Records {
    /// Templates whose bodies are `bytes` long.
    ///
    /// # Errors
    /// `bytes` is less than a contact without filler needs.
    pub(crate) fn new(bytes: usize) -> anyhow::Result<Self> {
        let templates = (0..TEMPLATES).map(|number| Template::new(number, bytes)).collect::<anyhow::Result<_>>()?;
        Ok(Self { templates })
    }

    /// The e-mail address that record `number` has.
    pub(crate) fn email(number: u64) -> String {
        format!("customer.{:08}@example.com", number % NUMBERS)
    }

    /// The body of record `number`.
    pub(crate) fn body(&self, number: u64) -> Bytes {
        let at = usize::try_from(number).unwrap_or(0) % TEMPLATES;
        self.templates.get(at).map(|template| template.fill(number)).unwrap_or_default()
    }
}

/// The number that [`Records::body`] wrote into the record that `delivered` carries.
pub(crate) fn number_in(delivered: &[u8]) -> Option<u64> {
    number_after(delivered, b"\"notes\":\"bench ")
}

/// The digits that follow `label`, wherever it first stands.
pub(crate) fn number_after(text: &[u8], label: &[u8]) -> Option<u64> {
    let at = text.windows(label.len()).position(|window| window == label)?;
    let digits = text.get(at + label.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0_u64).checked_mul(10)?.checked_add(u64::from(digit - b'0'))?);
    }
    number
}

impl Template {
    fn new(number: usize, bytes: usize) -> anyhow::Result<Self> {
        let bare = contact(number, "");
        ensure!(bare.len() <= bytes, "--record-bytes {bytes} is too small: a contact needs {}", bare.len());
        let filler: String = FILLER.chars().cycle().take(bytes - bare.len()).collect();
        let text = contact(number, &filler);
        let marks = text.match_indices(MARK).map(|(at, _)| at).collect();
        Ok(Self { text: text.into_bytes(), marks })
    }

    fn fill(&self, number: u64) -> Bytes {
        let digits = format!("{:08}", number % NUMBERS);
        let mut text = self.text.clone();
        for at in &self.marks {
            if let Some(place) = text.get_mut(*at..at + MARK.len()) {
                place.copy_from_slice(digits.as_bytes());
            }
        }
        Bytes::from(text)
    }
}

fn pick<T: Copy>(from: &[T], number: usize) -> Option<T> {
    from.get(number % from.len()).copied()
}

fn contact(number: usize, filler: &str) -> String {
    let (city, region, postal_code, timezone) = pick(&PLACES, number).unwrap_or_default();
    json!({
        "email": format!("customer.{MARK}@example.com"),
        "firstName": pick(&FIRST_NAMES, number),
        "lastName": pick(&LAST_NAMES, number / 2),
        "phone": format!("+316{MARK}"),
        "street": format!("Lange Nieuwstraat {}", number + 1),
        "city": city,
        "region": region,
        "postalCode": postal_code,
        "country": "NL",
        "jobTitle": pick(&JOBS, number),
        "language": "nl",
        "timezone": timezone,
        "website": format!("https://www.example.com/{MARK}"),
        "tags": ["customer", format!("list-{}", number % 7)],
        "opt-in": number.is_multiple_of(2),
        "custom": { "shoeSize": 36 + number % 12, "loyalty": "silver" },
        "notes": format!("{LABEL}{MARK} {filler}"),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_asked_and_carries_its_number() {
        let records = Records::new(600).unwrap();
        for number in [0, 7, 48, 123_456] {
            let body = records.body(number);
            assert_eq!(body.len(), 600);
            let fields: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(fields["email"], format!("customer.{number:08}@example.com"));
            assert_eq!(number_in(&body), Some(number));
        }
    }

    #[test]
    fn a_size_without_room_is_refused() {
        assert!(Records::new(100).unwrap_err().to_string().contains("--record-bytes 100"));
    }
}
