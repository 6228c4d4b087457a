//! What came out: figures with what the project asks of them, as a table for people and as JSON for programs.
//! It must not judge beyond the bounds it is given; a missed target is reported, never an error.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::measure::rounded;

/// A bound that a figure should keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
}

/// One measured value.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    what: Cow<'static, str>,
    value: f64,
    unit: &'static str,
    target: Option<Bound>,
    aim: Option<Bound>,
}

/// One test's outcome.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its letter.
    pub(crate) test: char,
    /// What it measures.
    pub(crate) title: &'static str,
    /// Its figures, medians over the rounds.
    pub(crate) figures: Vec<Figure>,
    /// Each round as it was measured.
    pub(crate) rounds: Vec<Value>,
    /// Why there are no figures.
    pub(crate) error: Option<String>,
}

impl Bound {
    fn is_kept_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::AtMost(bound) => format!("≤ {bound}"),
        }
    }
}

impl Figure {
    /// A value that nothing is asked of.
    pub(crate) fn new(what: impl Into<Cow<'static, str>>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, target: None, aim: None }
    }

    /// The same, with the bound it must keep.
    pub(crate) fn target(self, bound: Bound) -> Self {
        Self { target: Some(bound), ..self }
    }

    /// The same, with the bound it should keep one day.
    pub(crate) fn aim(self, bound: Bound) -> Self {
        Self { aim: Some(bound), ..self }
    }

    /// `aim` or `target` if that is kept, `missed` if the target is not, nothing if nothing is asked.
    fn verdict(&self) -> Option<&'static str> {
        let is_kept = |bound: Option<Bound>| bound.map(|bound| bound.is_kept_by(self.value));
        match (is_kept(self.target), is_kept(self.aim)) {
            (Some(false), _) => Some("missed"),
            (_, Some(true)) => Some("aim"),
            (Some(true), _) => Some("target"),
            (None, Some(false)) => Some("below aim"),
            (None, None) => None,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "value": rounded(self.value),
            "unit": self.unit,
            "target": self.target.map(Bound::shown),
            "aim": self.aim.map(Bound::shown),
            "verdict": self.verdict(),
        })
    }

    fn cells(&self) -> [String; 6] {
        let bound = |bound: Option<Bound>| bound.map(Bound::shown).unwrap_or_default();
        let verdict = self.verdict().unwrap_or_default().to_owned();
        let value = shown(self.value);
        [self.what.to_string(), value, self.unit.to_owned(), bound(self.target), bound(self.aim), verdict]
    }
}

impl Report {
    /// A test that has begun.
    pub(crate) fn new(test: char, title: &'static str) -> Self {
        Self { test, title, figures: Vec::new(), rounds: Vec::new(), error: None }
    }

    /// As the JSON report shows it.
    pub(crate) fn to_json(&self) -> Value {
        let figures: Vec<Value> = self.figures.iter().map(Figure::to_json).collect();
        json!({
            "test": self.test.to_string(),
            "title": self.title,
            "figures": figures,
            "rounds": self.rounds,
            "error": self.error,
        })
    }
}

/// The table for people.
pub(crate) fn table(reports: &[Report]) -> String {
    let head = ["", "median", "unit", "target", "aim", "reached"].map(str::to_owned);
    let rows = reports.iter().flat_map(|report| report.figures.iter().map(Figure::cells));
    let widths = std::iter::once(head.clone()).chain(rows).fold([0; 6], |widths, row| {
        let mut cells = row.iter().map(|cell| cell.chars().count());
        widths.map(|width: usize| width.max(cells.next().unwrap_or(0)))
    });
    let mut text = line(&head, widths);
    for report in reports {
        writeln!(text, "({}) {}", report.test, report.title).ok();
        for figure in &report.figures {
            text.push_str(&line(&figure.cells(), widths));
        }
        if let Some(error) = &report.error {
            writeln!(text, "    broken: {error}").ok();
        }
    }
    text
}

fn line(cells: &[String; 6], widths: [usize; 6]) -> String {
    let [what, value, unit, target, aim, verdict] = cells;
    let [w0, w1, w2, w3, w4, _] = widths;
    let text = format!("    {what:<w0$}  {value:>w1$}  {unit:<w2$}  {target:<w3$}  {aim:<w4$}  {verdict}");
    format!("{}\n", text.trim_end())
}

/// With as many places as its size deserves.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(value: f64) -> Option<&'static str> {
        Figure::new("share", value, "×").target(Bound::AtLeast(0.2)).aim(Bound::AtLeast(0.35)).verdict()
    }

    #[test]
    fn a_figure_says_which_bound_it_keeps() {
        assert_eq!(verdict(0.1), Some("missed"));
        assert_eq!(verdict(0.2), Some("target"));
        assert_eq!(verdict(0.4), Some("aim"));
        assert_eq!(Figure::new("memory", 21.0, "MiB").aim(Bound::AtMost(20.0)).verdict(), Some("below aim"));
        assert_eq!(Figure::new("rate", 1.0, "/s").verdict(), None);
    }

    #[test]
    fn columns_line_up() {
        let mut report = Report::new('a', "durable creates");
        report.figures = vec![Figure::new("hub", 12_345.6, "/s"), Figure::new("share of the bare server", 0.25, "×")];
        let text = table(&[report]);
        let at = |line: &str, cell: &str| line.find(cell).map(|at| at + cell.len());
        let mut lines = text.lines().skip(2);
        assert_eq!(at(lines.next().unwrap(), "12346"), at(lines.next().unwrap(), "0.25"));
    }
}
