//! Operations: those without a change of their own have rows, in their business alone.

use super::Subject;
use super::desk::{Desk, code_of, contact};
use lockstep_core::command::Ending;
use lockstep_core::error::Code;
use lockstep_core::ids::{ApplicationId, RecordId};
use lockstep_core::operation::{Operation, OperationState};
use lockstep_core::position::Position;
use serde_json::json;

/// What failed or changed nothing can be asked after, whole.
pub async fn an_operation_without_a_change_has_a_row(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let id = desk.made(&desk.here, json!({"city": "Delft"}), None).await;
    let unchanged = desk.update(&desk.here, id, json!({"city": "Delft"})).await;
    let operation = desk.store.operation(&desk.here, unchanged.operation).await.expect("read");
    let expected = Operation {
        id: unchanged.operation,
        verb: "update".to_owned(),
        at: desk.clock_now(),
        application: Some(ApplicationId(9)),
        token: None,
        ty: Some(contact()),
        record: Some(id),
        state: OperationState::Unchanged,
    };
    assert_eq!(operation, Some(expected));
    let failed = desk.delete(&desk.here, RecordId(desk.draw())).await;
    assert_eq!(code_of(&failed), Code::RecordNotFound);
    let operation = desk.store.operation(&desk.here, failed.operation).await.expect("read").expect("there");
    let Ending::Failed(rejection) = failed.ending else { panic!("{failed:?}") };
    assert_eq!((operation.record, operation.state), (None, OperationState::Failed { rejection }));
}

/// What made a change is told by the log; its id carries the seq.
pub async fn an_operation_of_one_change_needs_none(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let create = desk.creating(&desk.here, json!({"city": "Delft"}), None);
    let drawn = create.fresh.operation;
    let outcome = desk.send(create).await;
    assert_eq!(outcome.operation.position_in(&desk.here), Some(Position::first(1)));
    for id in [outcome.operation, drawn] {
        assert_eq!(desk.store.operation(&desk.here, id).await.expect("read"), None);
    }
}

/// The rows are there after reopening.
pub async fn operations_outlive_the_store(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let failed = desk.delete(&desk.here, RecordId(desk.draw())).await;
    let before = desk.store.operation(&desk.here, failed.operation).await.expect("read");
    assert!(before.is_some());
    let desk = desk.reopen().await;
    assert_eq!(desk.store.operation(&desk.here, failed.operation).await.expect("read"), before);
}
