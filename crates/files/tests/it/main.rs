//! Our readers against Python's, on small files drawn from a seed by `tests/peers/files.py`. It must not hold rules
//! of its own: what Python said stands in the table.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lockstep_files::{csv, xml};
use serde_json::Value;

fn read(kind: &str, text: &str) -> Value {
    match kind {
        "csv" => csv::rows(text.as_bytes(), &csv::Options::default()).map(|row| Value::Object(row.unwrap())).collect(),
        _ => xml::parse(text.as_bytes()).unwrap_or_default(),
    }
}

#[test]
fn csv_and_xml_are_read_as_python_reads_them() {
    let mut differences = Vec::new();
    for line in include_str!("peers.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (kind, text) = (case["kind"].as_str().unwrap(), case["text"].as_str().unwrap());
        let found = read(kind, text);
        if found != case["expected"] {
            differences.push(format!("{kind} {text:?}\n  python {}\n  ours   {found}", case["expected"]));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differ\n{}",
        differences.len(),
        differences[..differences.len().min(12)].join("\n")
    );
}
