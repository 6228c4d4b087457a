//! The grammar of `fields[]`: `name OP value`, repeated to mean all of them. It must not know what a profile is.

use std::cmp::Ordering;

/// The operators, longer ones first, since some begin like others.
const OPERATORS: [&str; 9] = ["==", "!=", "<>", ">=", "<=", "=~", "!~", "<", ">"];

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) name: String,
    operator: &'static str,
    value: String,
}

impl Filter {
    /// Reads `age>16`; none where there is no operator.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let at = text.find(['=', '!', '<', '>'])?;
        let (name, rest) = text.split_at(at);
        let operator = OPERATORS.into_iter().find(|operator| rest.starts_with(operator))?;
        let value = rest.strip_prefix(operator)?;
        Some(Self { name: name.trim().to_owned(), operator, value: value.trim().to_owned() })
    }

    /// Whether a value fits. Numbers are compared as numbers, all else as texts.
    pub(super) fn fits(&self, value: &str) -> bool {
        let numbers = value.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
        let order = numbers.map_or_else(
            || value.cmp(self.value.as_str()),
            |(ours, theirs)| ours.partial_cmp(&theirs).unwrap_or(Ordering::Equal),
        );
        match self.operator {
            "==" => order.is_eq(),
            "!=" | "<>" => order.is_ne(),
            ">=" => order.is_ge(),
            "<=" => order.is_le(),
            "<" => order.is_lt(),
            ">" => order.is_gt(),
            "=~" => is_like(value, &self.value),
            _ => !is_like(value, &self.value),
        }
    }
}

/// SQL's LIKE: `%` for any number of characters, `_` for one; capitals do not count.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.to_lowercase().chars().collect(), pattern.to_lowercase().chars().collect());
    // Whether the pattern so far fits the first so many characters.
    let mut fits: Vec<bool> = std::iter::once(true).chain(text.iter().map(|_| false)).collect();
    for wanted in pattern {
        let before = fits.clone();
        let mut any = false;
        for (place, fit) in fits.iter_mut().enumerate() {
            let is_before = |at: usize| before.get(at).copied().unwrap_or(false);
            any |= is_before(place);
            *fit = match wanted {
                '%' => any,
                _ => place
                    .checked_sub(1)
                    .is_some_and(|last| is_before(last) && (wanted == '_' || text.get(last) == Some(&wanted))),
            };
        }
    }
    fits.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_fit_as_the_manual_says() {
        for (condition, value, expected) in [
            ("age>16", "17", true),
            ("age>16", "9", false),
            ("age>=16", "16.0", true),
            ("city==Delft", "Delft", true),
            ("city!=Delft", "Delft", false),
            ("city<>Delft", "Gent", true),
            ("modified>=2025-03-01", "2025-03-01 11:02:03", true),
            ("modified>=2025-03-02", "2025-03-01 11:02:03", false),
            ("email=~%@club.test", "kim@CLUB.test", true),
            ("email!~k_m%", "kim@club.test", false),
            ("email=~kim", "kim@club.test", false),
            ("email==a=b", "a=b", true),
        ] {
            assert_eq!(
                Filter::parse(condition).map(|filter| filter.fits(value)),
                Some(expected),
                "{condition} {value}"
            );
        }
        assert_eq!(Filter::parse("age"), None);
    }
}
