//! People for platforms to hold: the same number and seed give the same person. It must not hold anybody real.

use crate::chance::Chance;

const FIRST: [&str; 12] =
    ["Kim", "Noor", "Daan", "Zoë", "Jürgen", "Ana", "Søren", "Mary Ann", "Aïcha", "O'Neil", "Lin", "Ruth"];
const LAST: [&str; 10] =
    ["Vos", "de Vries", "Jansen", "Müller", "García", "O'Brien", "van den Berg", "Smith", "Łuczak", "Ng"];
const CITIES: [&str; 7] = ["Delft", "Gent", "Köln", "Århus", "'s-Hertogenbosch", "Lyon", ""];
const INTERESTS: [&str; 5] = ["rowing", "football", "chess", "sailing", "running"];

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// First name.
    pub first: &'static str,
    /// Last name.
    pub last: &'static str,
    /// An address that nobody else of the same seed has.
    pub email: String,
    /// A place; for some it is empty.
    pub city: &'static str,
    /// None or some.
    pub interests: Vec<&'static str>,
}

impl Person {
    /// The person of a number.
    #[must_use]
    pub fn drawn(chance: &Chance, number: u64) -> Self {
        let interests = INTERESTS.iter().filter(|_| chance.one_in(3)).copied().collect();
        let pick = |from: &[&'static str]| chance.pick(from).copied().unwrap_or_default();
        Self {
            first: pick(&FIRST),
            last: pick(&LAST),
            email: format!("person{number}@club.test"),
            city: pick(&CITIES),
            interests,
        }
    }
}

/// An id in the form of a UUID.
pub(super) fn uuid(chance: &Chance) -> String {
    let (high, low) = (chance.draw(), chance.draw());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

/// So many hexadecimal digits.
pub(super) fn hex(chance: &Chance, digits: usize) -> String {
    let words = std::iter::repeat_with(|| format!("{:016x}", chance.draw()));
    let mut text: String = words.take(digits.div_ceil(16)).collect();
    text.truncate(digits);
    text
}
