//! Writers that go on through every kill: each owns its records, so what it was told last is what must be there.
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use crate::chance::Chance;
use crate::client::{Answer, Client};
use crate::desk::Desk;
use crate::eventually::seconds;
use crate::promises::{Acknowledged, Act};
use anyhow::{Context as _, Result};
use hyper::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Living records that one writer keeps at a time.
const OWNED_MAX: usize = 12;
/// Between two tries of a request while there is no hub, or a busy one.
const PAUSE: Duration = Duration::from_millis(10);

/// What one writer was told.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Records it neither deleted nor lost sight of.
    pub(crate) living: Vec<String>,
    /// Answers that should never have come.
    pub(crate) surprises: Vec<String>,
    /// Requests whose answer never came.
    pub(crate) unclear: usize,
}

/// Writers at work.
pub(crate) struct Writers {
    address: watch::Sender<SocketAddr>,
    is_over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Account>>,
}

impl Writers {
    pub(crate) fn start(desk: &Desk, address: SocketAddr, count: u64, seed: u64) -> Self {
        let (sender, receiver) = watch::channel(address);
        let is_over = Arc::new(AtomicBool::new(false));
        let tasks = (0..count).map(|name| {
            let writer = Writer {
                name,
                desk: desk.clone(),
                address: receiver.clone(),
                is_over: Arc::clone(&is_over),
                client: Client::new(address, &desk.api_key),
                chance: Chance::new(seed.wrapping_add(name)),
                owned: Vec::new(),
                made: 0,
                account: Account::default(),
            };
            tokio::spawn(writer.write())
        });
        let tasks = tasks.collect();
        Self { address: sender, is_over, tasks }
    }

    /// Tells them where the hub is now.
    pub(crate) fn go_on_at(&self, address: SocketAddr) {
        self.address.send_replace(address);
    }

    /// Lets each finish what it is at, and gives their accounts.
    pub(crate) async fn finish(self) -> Result<Vec<Account>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut accounts = Vec::new();
        for task in self.tasks {
            accounts.push(tokio::time::timeout(seconds(40), task).await.context("a writer does not come to an end")??);
        }
        Ok(accounts)
    }
}

/// How a create may be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not at all.
    Once,
    IdempotencyKey,
    ExternalId,
}

struct Owned {
    tag: String,
    record: String,
    counter: u64,
    way: Way,
}

struct Call {
    path: String,
    idempotency_key: Option<String>,
    body: Value,
    is_repeatable: bool,
}

struct Writer {
    name: u64,
    desk: Desk,
    address: watch::Receiver<SocketAddr>,
    is_over: Arc<AtomicBool>,
    client: Client,
    chance: Chance,
    owned: Vec<Owned>,
    made: u64,
    account: Account,
}

impl Writer {
    async fn write(mut self) -> Account {
        while !self.is_over.load(Ordering::Relaxed) && self.account.surprises.is_empty() {
            let is_new = self.owned.is_empty() || (self.owned.len() < OWNED_MAX && self.chance.one_in(4));
            if is_new {
                self.create().await;
            } else if self.chance.one_in(10) {
                self.delete().await;
            } else {
                self.update().await;
            }
        }
        self.account.living = self.owned.into_iter().map(|owned| owned.record).collect();
        self.account
    }

    async fn create(&mut self) {
        let way = [Way::Once, Way::IdempotencyKey, Way::ExternalId][self.chance.place(3)];
        let tag = format!("w{}-{}", self.name, self.made);
        self.made += 1;
        let query = if way == Way::ExternalId { format!("?externalId={tag}") } else { String::new() };
        let call = Call {
            path: self.desk.path(&format!("contact/create{query}")),
            idempotency_key: (way == Way::IdempotencyKey).then(|| tag.clone()),
            body: json!({
                "lastName": tag, "code": "0", "firstName": "Ada", "email": format!("{tag}@example.com"),
                "phone": "+31 20 123 45 67", "notes": "x".repeat(200),
            }),
            is_repeatable: way != Way::Once,
        };
        let Some(record) = self.create_once(&tag, way, &call).await else {
            return;
        };
        // Said again, it must be the same record. Not later: by an external id it would set the counter back.
        if call.is_repeatable && self.chance.one_in(8) {
            self.create_once(&tag, way, &call).await;
        }
        self.owned.push(Owned { tag, record, counter: 0, way });
    }

    async fn create_once(&mut self, tag: &str, way: Way, call: &Call) -> Option<String> {
        let answer = self.insist(call).await?;
        let Some(record) = answer.body["recordId"].as_str().map(str::to_owned) else {
            self.account.surprises.push(format!("a create of {tag} without a recordId: {}", answer.body));
            return None;
        };
        self.account.acknowledged.push(Acknowledged {
            tag: tag.to_owned(),
            record: record.clone(),
            act: Act::Created,
            counter: 0,
            has_external_id: way == Way::ExternalId,
        });
        Some(record)
    }

    async fn update(&mut self) {
        let place = self.chance.place(self.owned.len());
        let by_external_id = self.owned[place].way == Way::ExternalId && self.chance.one_in(2);
        let owned = &mut self.owned[place];
        owned.counter += 1;
        let id = if by_external_id { format!("ext:{}", owned.tag) } else { owned.record.clone() };
        let call = Call {
            path: self.desk.path(&format!("contact/update/{id}")),
            idempotency_key: None,
            body: json!({"code": owned.counter.to_string()}),
            is_repeatable: true,
        };
        if self.insist(&call).await.is_some() {
            self.acknowledge(place, Act::Updated);
        }
    }

    async fn delete(&mut self) {
        let place = self.chance.place(self.owned.len());
        let call = Call {
            path: self.desk.path(&format!("contact/delete/{}", self.owned[place].record)),
            idempotency_key: None,
            body: Value::Null,
            is_repeatable: true,
        };
        if self.insist(&call).await.is_some() {
            self.acknowledge(place, Act::Deleted);
        }
        // Without an answer it may be gone as well.
        self.owned.swap_remove(place);
    }

    fn acknowledge(&mut self, place: usize, act: Act) {
        let owned = &self.owned[place];
        self.account.acknowledged.push(Acknowledged {
            tag: owned.tag.clone(),
            record: owned.record.clone(),
            act,
            counter: owned.counter,
            has_external_id: false,
        });
    }

    /// Sends until it is clear what became of it; none where that stays unclear.
    async fn insist(&mut self, call: &Call) -> Option<Answer> {
        loop {
            match self.send(call).await {
                Ok(answer) if answer.status == 202 => return Some(answer),
                Ok(answer) if answer.status == 503 => {}
                Ok(answer) => {
                    let Answer { status, body, .. } = answer;
                    self.account.surprises.push(format!("{} was answered {status} {body}", call.path));
                    return None;
                }
                Err(_) => {
                    self.account.unclear += usize::from(self.client.is_sent);
                    if (self.client.is_sent && !call.is_repeatable) || self.is_over.load(Ordering::Relaxed) {
                        return None;
                    }
                }
            }
            let _is_moved = tokio::time::timeout(PAUSE, self.address.changed()).await;
        }
    }

    async fn send(&mut self, call: &Call) -> Result<Answer> {
        let address = *self.address.borrow();
        if self.client.address != address {
            self.client = Client::new(address, &self.desk.api_key);
        }
        let key = call.idempotency_key.as_deref().map(|key| ("idempotency-key", key));
        self.client.call(Method::POST, &call.path, key.as_slice(), &call.body).await
    }
}
