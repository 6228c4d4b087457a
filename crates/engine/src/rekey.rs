//! Rekeying: everything sealed with one key, sealed with another, as one change of settings.

use crate::seal::{Sealer, sealed_in_connection, sealed_places};
use lockstep_core::clock::Timestamp;
use lockstep_core::error::{Code, Rejection};
use lockstep_store::settings::{Audit, Control, Expect, Put, Setting, SettingRow};

/// The control that seals anew what the rows hold, and how many values that are. All of it goes in one commit, so a
/// store is sealed with one key or with the other and never with both.
///
/// # Errors
/// `sealing_key_wrong` where a value does not open with the old key, naming it.
pub fn reseal(
    rows: Vec<SettingRow>,
    old: &Sealer,
    new: &Sealer,
    now: Timestamp,
) -> Result<(Control, usize), Rejection> {
    let (mut puts, mut count) = (Vec::new(), 0);
    for row in rows {
        let expect = Expect::Version(row.version);
        let value = match row.value {
            Some(Setting::Sealing(value)) => {
                old.check(&value)?;
                count += 1;
                Setting::Sealing(new.check_value()?)
            }
            Some(Setting::Subscription(mut subscription)) => {
                let places = sealed_places(&mut subscription);
                if places.is_empty() {
                    continue;
                }
                count += resealed(places, old, new)?;
                Setting::Subscription(subscription)
            }
            Some(Setting::Connection(mut connection)) => {
                count += resealed(sealed_in_connection(&mut connection), old, new)?;
                Setting::Connection(connection)
            }
            _ => continue,
        };
        puts.push(Put { key: row.key, value: Some(value), expect });
    }
    let audit = Audit::of(now, "system", "sealing.rekey", new.key_id());
    Ok((Control { puts, ..Control::of(audit) }, count))
}

fn resealed(places: Vec<(String, &mut String)>, old: &Sealer, new: &Sealer) -> Result<usize, Rejection> {
    let count = places.len();
    for (place, sealed) in places {
        let opened = old.open(sealed, &place).ok_or_else(|| wrong(&place))?;
        *sealed = new.seal(&opened, &place)?;
    }
    Ok(count)
}

fn wrong(place: &str) -> Rejection {
    let text = format!(
        "{place} does not open with the key that this folder is sealed with: drop that subscription or connection, or \
         give its secrets anew, and rekey then; nothing was changed"
    );
    Rejection::new(Code::SealingKeyWrong, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_core::ids::{BusinessId, SubscriptionId};
    use lockstep_core::subscription::{SealedSecret, Subscription};
    use lockstep_store::settings::{SettingKey, SettingKind};

    fn subscription(sealer: &Sealer) -> Subscription {
        let (business, id) = (BusinessId::parse("a1").unwrap(), SubscriptionId(1));
        let place = crate::seal::subscription_place(&business, id);
        let secret = |fill: u8| SealedSecret {
            sealed: sealer.seal(&[fill; 32], &place).unwrap(),
            created_at: Timestamp(1),
            expires_at: None,
        };
        let mut blank: Subscription = serde_json::from_value(serde_json::json!({
            "id": id, "business": business, "label": "", "url": "https://a.example/", "format": "standard",
            "signing": "hmac", "exclude_own": false, "secrets": [], "is_ended": false, "created_at": 0
        }))
        .unwrap();
        blank.secrets = vec![secret(1), secret(2)];
        blank
    }

    fn rows(sealer: &Sealer) -> Vec<SettingRow> {
        let row = |kind, version, value| SettingRow { key: SettingKey::new(kind, "x"), version, value };
        vec![
            row(SettingKind::Sealing, 1, Some(Setting::Sealing(sealer.check_value().unwrap()))),
            row(SettingKind::Subscription, 2, Some(Setting::Subscription(subscription(sealer)))),
            row(SettingKind::Subscription, 3, None),
        ]
    }

    #[test]
    fn everything_sealed_opens_with_the_new_key_alone() {
        let (old, new) = (Sealer::new(&[1; 32]).unwrap(), Sealer::new(&[2; 32]).unwrap());
        let (control, count) = reseal(rows(&old), &old, &new, Timestamp(9)).unwrap();
        assert_eq!((count, control.puts.len()), (3, 2));
        for put in control.puts {
            match put.value {
                Some(Setting::Sealing(value)) => assert!(new.check(&value).is_ok() && old.check(&value).is_err()),
                Some(Setting::Subscription(mut subscription)) => {
                    let opened = sealed_places(&mut subscription)
                        .into_iter()
                        .map(|(place, sealed)| (old.open(sealed, &place), new.open_secret(sealed, &place)));
                    assert_eq!(opened.collect::<Vec<_>>(), [(None, Some([1; 32])), (None, Some([2; 32]))]);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_value_that_does_not_open_changes_nothing() {
        let (old, new) = (Sealer::new(&[1; 32]).unwrap(), Sealer::new(&[2; 32]).unwrap());
        let refused = reseal(rows(&old), &new, &old, Timestamp(9)).unwrap_err();
        assert_eq!(refused.code, Code::SealingKeyWrong);
        let mut mixed = rows(&old);
        mixed[1].value = Some(Setting::Subscription(subscription(&new)));
        let refused = reseal(mixed, &old, &new, Timestamp(9)).unwrap_err();
        assert!(refused.message.contains("a1/sub_"), "{refused}");
    }
}
