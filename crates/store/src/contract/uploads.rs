//! Uploads: batches of lines, each with what became of it and how far its upload has come.
#![expect(clippy::indexing_slicing, reason = "what a case has just made is there, or the case fails")]

use super::Subject;
use super::desk::Desk;
use crate::upload::{Batch, Line};
use crate::{Commit, Committed, StoreError, Work};
use lockstep_core::command::{Action, Command, Ending};
use lockstep_core::delivery::NoticeBody;
use lockstep_core::error::{Code, Rejection};
use lockstep_core::ids::SubscriptionId;
use lockstep_core::operation::{OperationId, OperationState, Upload};
use serde_json::json;

const WATCHING: SubscriptionId = SubscriptionId(3);

async fn begun(desk: &Desk<'_>) -> OperationId {
    desk.send(desk.command(&desk.here, Action::CreateMany)).await.operation
}

fn line(desk: &Desk<'_>, upload: OperationId, code: &str) -> Line {
    let command = desk.creating(&desk.here, json!({"code": code}), Some(code));
    Line::Asks(Box::new(Command { upload: Some(upload), ..command }))
}

fn batch(desk: &Desk<'_>, operation: OperationId, after: u64, lines: Vec<Line>) -> Batch {
    let (business, digest) = (desk.here.clone(), [7; 16]);
    Batch { business, operation, after, lines, digest, is_last: false, tell: vec![WATCHING] }
}

async fn written(desk: &Desk<'_>, batch: Batch) -> Result<Upload, StoreError> {
    match desk.store.commit(Commit { id: None, work: Work::Upload(Box::new(batch)) }).await? {
        Committed::Upload(upload) => Ok(upload),
        other => panic!("an upload is answered with how it stands, not {other:?}"),
    }
}

/// Lines, counts and outcomes are durable together, and changes carry the upload's id.
pub async fn a_batch_is_durable_with_its_outcomes(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = begun(&desk).await;
    let wrong = Line::Refused(Rejection::new(Code::InvalidJson, "no JSON"));
    let lines = vec![line(&desk, id, "a"), wrong, line(&desk, id, "a"), line(&desk, id, "b")];
    let upload = written(&desk, batch(&desk, id, 0, lines)).await.expect("written");
    assert_eq!((upload.lines, upload.changed, upload.unchanged, upload.failed), (4, 2, 1, 1));
    let desk = desk.reopen().await;
    let row = desk.store.operation(&desk.here, id).await.expect("read").expect("a row");
    assert_eq!(row.state, OperationState::Upload(Upload { digest: [7; 16], ..upload }));
    let outcomes = desk.store.outcomes(&desk.here, id, 1).await.expect("read");
    assert_eq!(outcomes.iter().map(|outcome| outcome.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(matches!(&outcomes[0].ending, Ending::Failed(rejection) if rejection.code == Code::InvalidJson));
    assert_eq!(outcomes[2].ending, Ending::Changed { seq: 2, version: 1 });
    assert!(desk.store.outcomes(&desk.here, id, 4).await.expect("read").is_empty());
    let log = desk.log(&desk.here).await;
    assert!(log.iter().all(|change| change.operation(&desk.here) == id));
    assert!(desk.notices().await.is_empty(), "a line tells nobody");
}

/// A batch that does not follow what is durable writes nothing: another upload goes on.
pub async fn a_batch_out_of_turn_is_refused_whole(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = begun(&desk).await;
    written(&desk, batch(&desk, id, 0, vec![line(&desk, id, "a")])).await.expect("written");
    for after in [0, 2] {
        let refused = written(&desk, batch(&desk, id, after, vec![line(&desk, id, "b")])).await;
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    assert_eq!(desk.head(&desk.here).await, 1);
    let upload = written(&desk, batch(&desk, id, 1, vec![line(&desk, id, "b")])).await.expect("written");
    assert_eq!((upload.lines, desk.head(&desk.here).await), (2, 2));
}

/// The last batch ends the upload, and only then its end is told.
pub async fn the_last_batch_ends_the_upload(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = begun(&desk).await;
    written(&desk, batch(&desk, id, 0, vec![line(&desk, id, "a")])).await.expect("written");
    assert!(desk.notices().await.is_empty());
    let last = Batch { is_last: true, ..batch(&desk, id, 1, Vec::new()) };
    assert!(written(&desk, last).await.expect("written").is_complete);
    let [(_, told)] = desk.notices().await.try_into().expect("one notice");
    assert!(told.subscription == WATCHING && matches!(told.body, NoticeBody::Operation(_)));
    let more = written(&desk, batch(&desk, id, 1, vec![line(&desk, id, "b")])).await;
    assert!(matches!(more, Err(StoreError::Fenced)), "{more:?}");
}

/// Single commands are taken beside an upload's batches, and all of both are there in the end.
pub async fn uploads_and_single_commands_share_the_writer(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = begun(&desk).await;
    let uploading = async {
        for number in 0..20_u64 {
            let lines = vec![line(&desk, id, &format!("u{number}"))];
            written(&desk, batch(&desk, id, number, lines)).await.expect("written");
        }
    };
    let single = async {
        for number in 0..20 {
            desk.create(&desk.here, json!({"code": format!("s{number}")}), None).await;
        }
    };
    tokio::join!(uploading, single);
    assert_eq!(desk.head(&desk.here).await, 40);
    let seqs: Vec<u64> = desk.log(&desk.here).await.iter().map(|change| change.seq).collect();
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
}
