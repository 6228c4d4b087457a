//! Turns of shares: what was read from a platform or written to one, taken in together with the rows that say how far
//! that has come.
//!
//! One commit holds both, so a hub that is killed has done a turn or has not: no count is of what did not happen, no
//! checkpoint stands past it, and what failed is a problem from the moment it failed.

use lockstep_core::clock::Timestamp;
use lockstep_core::command::{Command, Ending, Outcome, Taken};
use lockstep_core::error::Rejection;
use lockstep_core::ids::{BusinessId, ProblemId, RecordId, ShareId};
use lockstep_core::problem::{Problem, Subject};
use lockstep_core::run::{Counts, Run};
use lockstep_core::work::{WorkKey, WorkPut, WorkRow};

/// How long an object is left alone of which more was known than it showed, in milliseconds: what is asked for within
/// the millisecond in which its shadow was written would seem older than that once more.
const LEFT_ALONE_MS: i64 = 10;

/// When an object is read again that was shown in a turn at this time, and more was known of it.
#[must_use]
pub const fn read_again_at(at: Timestamp) -> Timestamp {
    at.plus_ms(LEFT_ALONE_MS)
}

/// One turn of a share.
#[derive(Debug)]
pub struct Turn {
    /// The business.
    pub business: BusinessId,
    /// The share.
    pub share: ShareId,
    /// When.
    pub at: Timestamp,
    /// What was read or written, in order.
    pub lines: Vec<Line>,
    /// What becomes of work rows beside.
    pub puts: Vec<(WorkKey, WorkPut)>,
    /// The run that it belongs to, as it stands but for the counts of these lines.
    pub run: Option<Run>,
    /// Whether it waits behind what is urgent.
    pub is_bulk: bool,
}

/// One thing that was read or written.
#[derive(Debug)]
pub struct Line {
    /// What it asks.
    pub command: Command,
    /// What is a problem if that fails, and is none any more if it does not.
    pub subject: Subject,
    /// As what it is counted, where the outcome does not say that.
    pub counts_as: Option<Taken>,
    /// What is told as a problem although the rest is taken, such as one value that does not fit.
    pub flaw: Option<Rejection>,
}

impl Turn {
    /// One without anything in it.
    #[must_use]
    pub const fn of(business: BusinessId, share: ShareId, at: Timestamp) -> Self {
        Self { business, share, at, lines: Vec::new(), puts: Vec::new(), run: None, is_bulk: false }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.puts.is_empty() && self.run.is_none()
    }

    /// What its lines ask, in order.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.lines.iter().map(|line| &line.command)
    }

    /// What becomes of work rows, given what the lines came to.
    #[must_use]
    pub fn closed(&self, outcomes: &[Outcome]) -> Vec<(WorkKey, WorkPut)> {
        let mut puts = self.puts.clone();
        for (line, outcome) in self.lines.iter().zip(outcomes) {
            puts.extend(self.problem(line, outcome));
        }
        if let Some(run) = &self.run {
            let run = Run { counts: run.counts.plus(self.receipt().counts(outcomes)), ..run.clone() };
            puts.push((WorkKey::run(self.share, run.id), WorkPut::Row(WorkRow::Run(run))));
        }
        puts
    }

    /// What of it is still to be told once it is committed and gone.
    #[must_use]
    pub fn receipt(&self) -> Receipt {
        let lines = self.lines.iter().map(|line| (line.subject.clone(), line.counts_as));
        Receipt { share: self.share, lines: lines.collect() }
    }

    fn problem(&self, line: &Line, outcome: &Outcome) -> Option<(WorkKey, WorkPut)> {
        let key = WorkKey::problem(self.share, ProblemId::of(self.share, &line.subject));
        match &outcome.ending {
            Ending::Failed(rejection) | Ending::Refused(rejection) => Some((key, self.told(line, outcome, rejection))),
            // It is read again, and closed by that.
            Ending::Taken { what: Taken::Stale, .. } => {
                let Subject::Object(id) = &line.subject else { return None };
                Some((WorkKey::hint(self.share, id), WorkPut::Raise { at: read_again_at(self.at), shown: None }))
            }
            _ => match &line.flaw {
                Some(flaw) => Some((key, self.told(line, outcome, flaw))),
                None => Some((key, WorkPut::Gone)),
            },
        }
    }

    fn told(&self, line: &Line, outcome: &Outcome, reason: &Rejection) -> WorkPut {
        let problem = Problem::of(&self.business, self.share, &line.subject, reason.clone(), self.at);
        WorkPut::Row(WorkRow::Problem(Problem { record: problem.record.or(outcome.record), ..problem }))
    }
}

/// What is kept of a turn by whoever commits it, to tell what it came to.
#[derive(Debug)]
pub struct Receipt {
    share: ShareId,
    lines: Vec<(Subject, Option<Taken>)>,
}

impl Receipt {
    /// What became of the lines, to be added to what their run counts.
    #[must_use]
    pub fn counts(&self, outcomes: &[Outcome]) -> Counts {
        let each = self.lines.iter().zip(outcomes).map(|((_, counts_as), outcome)| counted(*counts_as, outcome));
        each.fold(Counts::default(), Counts::plus)
    }

    /// The hints of objects that are read again, since more was known of them than they showed.
    pub fn stale<'s>(&'s self, outcomes: &'s [Outcome]) -> impl Iterator<Item = WorkKey> + 's {
        self.lines.iter().zip(outcomes).filter_map(|((subject, _), outcome)| match (subject, &outcome.ending) {
            (Subject::Object(id), Ending::Taken { what: Taken::Stale, .. }) => Some(WorkKey::hint(self.share, id)),
            _ => None,
        })
    }

    /// The objects that have become their records'.
    #[must_use]
    pub fn linked(&self, outcomes: &[Outcome]) -> Vec<String> {
        let linked =
            self.lines.iter().zip(outcomes).filter_map(|((subject, _), outcome)| match (subject, &outcome.ending) {
                (Subject::Object(id), Ending::Taken { what: Taken::Created | Taken::Matched | Taken::Updated, .. }) => {
                    Some(id)
                }
                _ => None,
            });
        linked.cloned().collect()
    }

    /// The records that were written to a platform.
    pub fn written(&self) -> impl Iterator<Item = RecordId> + '_ {
        self.lines.iter().filter_map(|line| match line {
            (Subject::Record(record), Some(Taken::Created | Taken::Updated)) => Some(*record),
            _ => None,
        })
    }
}

fn counted(counts_as: Option<Taken>, outcome: &Outcome) -> Counts {
    let mut counts = Counts { seen: 1, ..Counts::default() };
    let what = match &outcome.ending {
        Ending::Failed(_) | Ending::Refused(_) => {
            counts.failed = 1;
            return counts;
        }
        Ending::Taken { what, .. } => counts_as.unwrap_or(*what),
        Ending::Changed { .. } => counts_as.unwrap_or(Taken::Updated),
        _ => counts_as.unwrap_or(Taken::Unchanged),
    };
    match what {
        Taken::Created => counts.created = 1,
        Taken::Updated => counts.updated = 1,
        Taken::Matched => counts.matched = 1,
        Taken::Unchanged => counts.unchanged = 1,
        Taken::Skipped => counts.skipped = 1,
        // Counted when it has been read again.
        Taken::Stale => counts.seen = 0,
    }
    counts
}
