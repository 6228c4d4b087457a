//! Comparing an answer with a sample in which ids and times are left open.

use serde_json::Value;

/// Whether a value is as a sample has it: `"…"` stands for any text, `{"…": 0}` for any object. Nothing may be missing
/// and nothing more.
pub(crate) fn assert_like(found: &Value, sample: &Value) {
    assert!(is_like(found, sample), "found    {found}\nexpected {sample}");
}

fn is_like(found: &Value, sample: &Value) -> bool {
    match (found, sample) {
        (Value::String(_), Value::String(open)) if open == "…" => true,
        (Value::Object(_), Value::Object(open)) if open.contains_key("…") => true,
        (Value::Object(found), Value::Object(sample)) => {
            found.len() == sample.len()
                && sample.iter().all(|(name, value)| found.get(name).is_some_and(|found| is_like(found, value)))
        }
        (Value::Array(found), Value::Array(sample)) => {
            found.len() == sample.len() && found.iter().zip(sample).all(|(found, sample)| is_like(found, sample))
        }
        _ => found == sample,
    }
}
