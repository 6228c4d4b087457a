//! Control: grants change, subscriptions are made, changed, paused, dropped, replayed, their secrets replaced.

use super::Play;
use super::cast::{HOSTS, Wish, condition, grant};
use crate::world::{principal, told};
use lockstep_engine::control::{application, replay, subscription};
use lockstep_engine::principal::Principal;
use lockstep_store::Store;
use lockstep_store::settings::{Setting, SettingKind};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt::Display;

impl Play {
    fn note<T>(&self, what: impl Display, done: &anyhow::Result<T>) {
        let ended = done.as_ref().map_or_else(ToString::to_string, |_| "done".to_owned());
        self.world.trace.note(self.world.now(), format_args!("{what}: {ended}"));
    }

    /// A new subscription of someone's.
    pub(super) async fn subscribe(&mut self) {
        let player = usize::try_from(self.chance.below(self.cast.players.len() as u64)).unwrap_or(0);
        let Some(chosen) = self.cast.players.get(player).cloned() else { return };
        let Some(business) = self.chance.pick(&chosen.businesses).copied() else { return };
        let Some(host) = self.chance.pick(&HOSTS) else { return };
        if self.cast.wishes.len() >= 14 {
            return;
        }
        self.cast.named += 1;
        let mut body = self.scope();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("url", json!(format!("https://{host}/s{}", self.cast.named)));
        put("format", json!(self.chance.pick(&["standard", "standard", "standard", "envelope", "fields", "thin"])));
        if self.chance.one_in(3) {
            put("batch", json!({"maxRecords": 2 + self.chance.below(6), "maxWaitMs": self.chance.below(3_000)}));
            put("format", json!("standard"));
        }
        put("excludeOwn", json!(self.chance.one_in(5)));
        put("ordering", json!(self.chance.pick(&["record", "record", "latest", "none"])));
        match self.chance.below(4) {
            0 => put("startAt", json!("beginning")),
            1 => put("startAt", json!({"seq": self.chance.below(40)})),
            _ => None,
        };
        let made = self.world.subscribe(&chosen.app, business, Value::Object(body.clone())).await;
        self.note(format_args!("player {player} subscribes in {business} {}", Value::Object(body)), &made);
        if let Ok(made) = made {
            self.cast.wishes.push(Wish { id: made.id, business, player });
        }
    }

    /// What a subscription asks for.
    fn scope(&self) -> Map<String, Value> {
        let mut body = Map::new();
        let chance = &self.chance;
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        if chance.one_in(3) {
            put("types", json!([chance.pick(&super::cast::TYPES)]));
        }
        let kinds = [
            json!(["created", "deleted"]),
            json!(["updated", "current", "operation.completed"]),
            json!(["city.updated", "created"]),
            json!(["created", "updated", "deleted", "correlated", "current", "operation.failed", "subscription.ended"]),
        ];
        if chance.one_in(3) {
            put("kinds", json!(chance.pick(&kinds)));
        }
        if chance.one_in(6) {
            put("fields", json!(["city", "email"]));
        }
        if chance.one_in(5) {
            put("condition", json!(condition(chance)));
        }
        if chance.one_in(8) {
            let acks = self.acks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let records: Vec<String> =
                acks.iter().filter_map(|ack| ack.outcome.record).take(5).map(|id| id.to_string()).collect();
            if !records.is_empty() {
                put("recordIds", json!(records));
            }
        }
        body
    }

    /// Another scope, a pause or its end, a new secret, or none of it any more.
    pub(super) async fn change_subscription(&mut self) {
        let Some(wish) = self.chance.pick(&self.cast.wishes).cloned() else { return };
        let Some(player) = self.cast.players.get(wish.player).cloned() else { return };
        let body = match self.chance.below(10) {
            0..=2 => json!({"paused": true}),
            3..=6 => json!({"paused": false}),
            7 => Value::Object(self.scope()),
            8 => return self.rotate(&wish).await,
            _ if self.chance.one_in(3) => return self.unsubscribe(&wish).await,
            _ => json!({"format": self.chance.pick(&["standard", "envelope"])}),
        };
        let done = self.world.resubscribe(&player.app, wish.business, wish.id, body.clone()).await;
        self.note(format_args!("{} becomes {body}", wish.id), &done);
    }

    async fn rotate(&self, wish: &Wish) {
        let Ok(engine) = self.world.engine() else { return };
        let id = wish.id.to_string();
        let done = subscription::rotate_secret(&engine, &Principal::Admin, wish.business, &id).await.map_err(told);
        self.note(format_args!("{id} gets a new secret"), &done);
    }

    async fn unsubscribe(&mut self, wish: &Wish) {
        let Ok(engine) = self.world.engine() else { return };
        let id = wish.id.to_string();
        let done = subscription::delete(&engine, &Principal::Admin, wish.business, &id).await.map_err(told);
        self.note(format_args!("{id} is dropped"), &done);
        if done.is_ok() {
            self.cast.wishes.retain(|other| other.id != wish.id);
        }
    }

    /// A change of the past once more.
    pub(super) async fn replay(&mut self) {
        let Some(wish) = self.chance.pick(&self.cast.wishes).cloned() else { return };
        let Some(player) = self.cast.players.get(wish.player).cloned() else { return };
        let Ok(engine) = self.world.engine() else { return };
        let Ok(caller) = principal(&engine, &player.app) else { return };
        let seq = 1 + self.chance.below(60);
        let which = match self.chance.below(4) {
            0 | 1 => json!({"seq": seq}),
            2 => json!({"from": seq, "kinds": ["updated", "deleted"]}),
            _ => json!({"deadLetters": true}),
        };
        let Ok(body) = serde_json::from_value(which.clone()) else { return };
        let done = replay::replay(&engine, &caller, wish.business, &wish.id.to_string(), body).await;
        self.note(format_args!("{} replays {which}", wish.id), &done.map_err(told));
    }

    /// A grant becomes another; seldom, credentials are revoked.
    pub(super) async fn change_grant(&mut self) {
        let Some(player) = self.chance.pick(&self.cast.players).cloned() else { return };
        let Ok(engine) = self.world.engine() else { return };
        if self.chance.one_in(40) {
            let done = application::delete(&engine, &Principal::Admin, &player.app.id).await.map_err(told);
            return self.note(format_args!("{} is revoked", player.app.provider), &done);
        }
        let grant = grant(&self.chance, &player.businesses);
        let Ok(body) = serde_json::from_value(grant.clone()) else { return };
        let done = application::update(&engine, &Principal::Admin, &player.app.id, body).await.map_err(told);
        self.note(format_args!("{} is granted {grant}", player.app.provider), &done);
    }

    /// Whether every subscription that is open owes nothing.
    pub(super) async fn is_at_rest(&self) -> anyhow::Result<bool> {
        let store = self.world.store.plain();
        let settings = store.settings(0, usize::MAX).await?;
        let is_waiting = |id: &str| {
            let row = settings.rows.iter().find(|row| row.key.kind == SettingKind::Subscription && row.key.id == id);
            matches!(row.and_then(|row| row.value.as_ref()), Some(Setting::Subscription(found)) if found.is_active())
        };
        let outlets = store.outlets().await?;
        let rows = outlets
            .iter()
            .flat_map(|outlet| outlet.parked.iter().map(|(id, _)| *id).chain(outlet.lanes.iter().map(|(id, _)| *id)));
        let notices = store.notices(0, usize::MAX).await?;
        let scans = store.scans(0, usize::MAX).await?;
        let rows = rows.chain(scans.iter().map(|(_, scan)| scan.subscription));
        let owing = rows.chain(notices.iter().map(|(_, notice)| notice.subscription));
        let owing: BTreeSet<_> = owing.collect();
        Ok(!owing.iter().any(|id| is_waiting(&id.to_string())))
    }
}
