//! Refinements: the JSON filter of a segment's export, as the published specification describes it. It must not
//! know where a refinement came from.

use super::profile::Profile;
use lockstep_core::clock::Timestamp;
use serde_json::Value;

const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: f64 = 24.0 * HOUR_MS;

/// Whether a profile is kept; in words, what is wrong with the refinement.
pub(super) fn keeps(refinement: &Value, profile: &Profile, now: Timestamp) -> Result<bool, String> {
    let operator = refinement["operator"].as_str().ok_or("a refinement has an operator")?;
    if let Some(filters) = refinement["filters"].as_array() {
        let mut kept =
            filters.iter().map(|filter| keeps(filter, profile, now)).collect::<Result<Vec<_>, _>>()?.into_iter();
        return match operator {
            "AND" => Ok(kept.all(|kept| kept)),
            "OR" => Ok(kept.any(|kept| kept)),
            _ => Err(format!("{operator} combines no filters")),
        };
    }
    let values = subject(refinement, profile)?;
    let (plain, is_negated) = operator.strip_prefix("NOT_").map_or((operator, false), |plain| (plain, true));
    Ok(holds(plain, refinement, &values, now)? != is_negated)
}

/// The values that a filter looks at.
fn subject(filter: &Value, profile: &Profile) -> Result<Vec<String>, String> {
    if let Some(property) = filter["property"].as_str() {
        return Ok(profile.values(property));
    }
    let (consented, refused) = (profile.consented.iter(), profile.refused.iter());
    match filter["objective"].as_str() {
        Some("CONSENTED" | "CONSENTED_OR_UNNEEDED") => Ok(consented.cloned().collect()),
        Some("REFUSED" | "REFUSED_OR_UNKNOWN") => Ok(refused.cloned().collect()),
        _ => Err("a filter has a property or an objective".to_owned()),
    }
}

fn holds(operator: &str, filter: &Value, values: &[String], now: Timestamp) -> Result<bool, String> {
    let wanted = || -> Result<Vec<&str>, String> {
        let wanted = filter["values"].as_array().ok_or("the operator needs a list of values")?;
        wanted.iter().map(|value| value.as_str().ok_or_else(|| "values are texts".to_owned())).collect()
    };
    let number = |name: &str| match &filter[name] {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) => text.parse().map(Some).map_err(|error| format!("{name}: {error}")),
        _ => Err(format!("{name} is no number")),
    };
    let within = |from: f64, to: f64| {
        let numbers = values.iter().filter_map(|value| value.parse::<f64>().ok());
        numbers.into_iter().any(|number| from <= number && number <= to)
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a float for 285,000 years")]
    let present = now.0 as f64;
    let span = |unit: f64| -> Result<f64, String> {
        Ok(number("value")?.or(number("fromValue")?).ok_or("the operator needs a value")? * unit)
    };
    match operator {
        "IS_EMPTY" => Ok(values.is_empty()),
        "CONTAINS_ANY" => Ok(wanted()?.iter().any(|wanted| values.iter().any(|value| value == wanted))),
        "CONTAINS_ALL" => Ok(wanted()?.iter().all(|wanted| values.iter().any(|value| value == wanted))),
        "IN_RANGE" => Ok(within(number("fromValue")?.unwrap_or(f64::MIN), number("toValue")?.unwrap_or(f64::MAX))),
        "IN_LAST_DAYS" => Ok(within(present - span(DAY_MS)?, present)),
        "IN_NEXT_DAYS" => Ok(within(present, present + span(DAY_MS)?)),
        "IN_LAST_HOURS" => Ok(within(present - span(HOUR_MS)?, present)),
        "IN_NEXT_HOURS" => Ok(within(present, present + span(HOUR_MS)?)),
        _ => Err(format!("{operator} is no operator")),
    }
}
