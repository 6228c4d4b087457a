//! The attempt log: outside the promises about data, but what it shows is right: newest first, and one's own alone.

use super::Subject;
use super::desk::Desk;
use lockstep_core::delivery::Attempt;
use lockstep_core::ids::{BusinessId, DeliveryId, SubscriptionId};

const ONE: SubscriptionId = SubscriptionId(1);
const TWO: SubscriptionId = SubscriptionId(2);

fn attempt(desk: &Desk<'_>, business: &BusinessId, own: SubscriptionId, seq: u64) -> Attempt {
    desk.clock.advance(1);
    let is_failure = seq.is_multiple_of(3);
    Attempt {
        delivery: DeliveryId(desk.draw()),
        business: business.clone(),
        subscription: own,
        seq,
        number: 1,
        at: desk.clock_now(),
        took_ms: 12,
        status: Some(if is_failure { 500 } else { 204 }),
        failure: is_failure.then(|| "500: out of order".to_owned()),
    }
}

async fn newest(desk: &Desk<'_>, business: &BusinessId, own: SubscriptionId, limit: usize) -> Vec<u64> {
    let attempts = desk.store.attempts(business, own, limit).await.expect("read");
    attempts.into_iter().map(|attempt| attempt.seq).collect()
}

/// Successes and failures, logged one by one or many at once, are shown in one order, newest first.
pub async fn attempts_come_newest_first(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    for batch in [1..=4_u64, 5..=5, 6..=6, 7..=12] {
        let attempts = batch.map(|seq| attempt(&desk, &desk.here, ONE, seq)).collect();
        desk.store.log_attempts(attempts).await.expect("logged");
    }
    assert_eq!(newest(&desk, &desk.here, ONE, 100).await, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(newest(&desk, &desk.here, ONE, 5).await, [12, 11, 10, 9, 8]);
    assert_eq!(newest(&desk, &desk.here, ONE, 0).await, [0; 0]);
}

/// Another subscription's attempts, or the same one's in another business, are not among them.
pub async fn attempts_are_found_by_subscription_and_business_only(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let mut batch = Vec::new();
    for seq in [1, 2, 3, 4, 5, 6] {
        batch.push(attempt(&desk, &desk.here, ONE, seq));
        batch.push(attempt(&desk, &desk.here, TWO, seq + 100));
        batch.push(attempt(&desk, &desk.there, ONE, seq + 200));
    }
    desk.store.log_attempts(batch).await.expect("logged");
    assert_eq!(newest(&desk, &desk.here, ONE, 3).await, [6, 5, 4]);
    assert_eq!(newest(&desk, &desk.here, TWO, 3).await, [106, 105, 104]);
    assert_eq!(newest(&desk, &desk.there, ONE, 3).await, [206, 205, 204]);
    assert_eq!(newest(&desk, &desk.there, TWO, 3).await, [0; 0]);
}

/// However many failures one business brings, another's are still found.
pub async fn many_failures_elsewhere_hide_none(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let own = vec![attempt(&desk, &desk.here, ONE, 3)];
    desk.store.log_attempts(own).await.expect("logged");
    let others = (1..=40_u64).map(|n| attempt(&desk, &desk.there, ONE, 3 * n)).collect();
    desk.store.log_attempts(others).await.expect("logged");
    assert_eq!(newest(&desk, &desk.here, ONE, 5).await, [3]);
}

/// Every part of an attempt comes back.
pub async fn an_attempt_reads_back_whole(subject: &impl Subject) {
    let desk = Desk::open(subject).await;
    let good = attempt(&desk, &desk.here, ONE, 1);
    let no_answer = Attempt { status: None, number: 4, ..attempt(&desk, &desk.here, ONE, 3) };
    desk.store.log_attempts(vec![good.clone(), no_answer.clone()]).await.expect("logged");
    assert_eq!(desk.store.attempts(&desk.here, ONE, 9).await.expect("read"), [no_answer, good]);
}
