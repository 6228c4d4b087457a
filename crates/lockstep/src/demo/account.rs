//! What came of the story: every record of the hub compared with every person at each platform, all of it read anew.
//! It must not take anybody's word for what was done.

use super::doubles::Doubles;
use crate::failure::Failure;
use crate::sharing::caller::{Caller, text};
use anyhow::anyhow;
use lockstep_sim::platforms::{Census, Known};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Records of one page.
const PAGE: usize = 50_000;
/// Differences that are told in words.
const TOLD_MAX: usize = 5;

/// The comparison of one share's two sides.
#[derive(Serialize)]
pub(super) struct Compared {
    pub(super) share: &'static str,
    pub(super) compared: usize,
    #[serde(serialize_with = "count")]
    pub(super) differences: Vec<String>,
}

fn count<S: Serializer>(lines: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    lines.len().serialize(serializer)
}

/// What came of all of it.
pub(super) struct Account {
    pub(super) edits: u64,
    pub(super) pushes: usize,
    pub(super) faults: u64,
    pub(super) shares: Vec<Compared>,
}

/// The same as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    equal: bool,
    edits: u64,
    pushes: usize,
    faults: u64,
    shares: &'a [Compared],
}

impl Account {
    /// Reads both sides of each share, and counts.
    pub(super) async fn take(caller: &Caller, doubles: &Doubles, edits: u64) -> Result<Self, Failure> {
        let hub = records(caller).await?;
        let platforms = [
            ("blueconic", doubles.blueconic.look(|blueconic| blueconic.census())),
            ("copernica", doubles.copernica.look(|copernica| copernica.census())),
            ("activecampaign", doubles.activecampaign.look(|activecampaign| activecampaign.census())),
        ];
        let compared = platforms.into_iter().map(|(share, there)| Compared {
            share,
            compared: there.compared(&hub),
            differences: there.differences(&hub),
        });
        let shares = compared.collect();
        Ok(Self { edits, pushes: doubles.pushes(), faults: doubles.struck(), shares })
    }

    /// Whether all sides hold the same.
    pub(super) fn is_equal(&self) -> bool {
        self.shares.iter().all(|share| share.differences.is_empty() && share.compared > 0)
    }

    /// For machines.
    pub(super) fn line(&self) -> Result<String, Failure> {
        let Self { edits, pushes, faults, shares } = self;
        let line = Line { equal: self.is_equal(), edits: *edits, pushes: *pushes, faults: *faults, shares };
        serde_json::to_string(&line).map_err(|error| Failure::Other(error.into()))
    }

    /// A failure unless all are equal, though something was edited, pushed and broken.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if !self.is_equal() {
            let told = self.shares.iter().flat_map(|share| &share.differences).take(TOLD_MAX).cloned();
            let told = told.collect::<Vec<_>>().join("\n  ");
            return Err(Failure::Other(anyhow!("the platforms are not equal:\n  {told}")));
        }
        if self.edits == 0 || self.pushes == 0 || self.faults == 0 {
            let text = "nothing was shown: there must be edits, pushes and faults, and one of them is none";
            return Err(Failure::Other(anyhow!(text)));
        }
        Ok(())
    }
}

/// All records of the hub.
async fn records(caller: &Caller) -> Result<Census, Failure> {
    let mut census = Census::default();
    for record in caller.list("records/contact", &[], PAGE).await? {
        let field = |name: &str| text(&record, &format!("/fields/{name}"));
        let interests = record.pointer("/fields/interests").and_then(Value::as_array).into_iter().flatten();
        let interests = interests.filter_map(Value::as_str).map(str::to_owned).collect();
        let known = Known {
            first: field("firstName"),
            last: field("lastName"),
            city: field("city"),
            interests: Some(interests),
        };
        census.add(&field("email"), known);
    }
    Ok(census)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_success_only_when_all_is_equal_and_something_happened() {
        let compared = |compared, differences: &[&str]| Compared {
            share: "copernica",
            compared,
            differences: differences.iter().map(|&told| told.to_owned()).collect(),
        };
        let account = |edits, share| Account { edits, pushes: 3, faults: 2, shares: vec![share] };
        let equal = account(1, compared(7, &[]));
        assert!(equal.verdict().is_ok());
        let shares = r#"[{"share":"copernica","compared":7,"differences":0}]"#;
        let line = format!(r#"{{"equal":true,"edits":1,"pushes":3,"faults":2,"shares":{shares}}}"#);
        assert_eq!(equal.line().unwrap(), line);
        assert!(account(0, compared(7, &[])).verdict().is_err());
        assert!(account(1, compared(0, &[])).verdict().is_err());
        let told = account(1, compared(7, &["ann differs"])).verdict().unwrap_err().to_string();
        assert!(told.contains("ann differs"), "{told}");
    }
}
