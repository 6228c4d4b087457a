//! A platform as it stands on the net: its state machine, what goes wrong with it, its time, and what was asked of
//! it. Reached in the process as a [`Transport`], and over HTTP by [`super::serve`].
//! It must not know what any platform means by a call.

use super::{Answer, Call, Faults, Hook, Platform, Write};
use crate::chance::Chance;
use crate::time::BEGINNING;
use async_trait::async_trait;
use lockstep_core::clock::{Clock, Timestamp};
use lockstep_egress::{Request, Response, SendError, Transport};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many calls are remembered.
const SEEN_MAX: usize = 100_000;

/// How long a hook's receiver may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// One call that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// Method, path and query.
    pub what: String,
    /// The status of the answer.
    pub status: u16,
}

/// Time that runs so many times as fast as the machine's, or as tokio's paused clock. So a token's day passes in a trial.
/// Must be made and read inside the runtime.
#[derive(Clone, Copy, Debug)]
pub struct ScaledClock {
    beginning: Timestamp,
    began: Instant,
    factor: u32,
}

impl ScaledClock {
    /// A clock that stands at the beginning of every simulated world now.
    #[must_use]
    pub fn begin(factor: u32) -> Self {
        Self::begin_at(BEGINNING, factor)
    }

    /// A clock that stands at this moment now. With the machine's time and a factor of 1 it goes with the machine, as a
    /// platform must that is asked what has changed since then, or that looks at the times of signatures.
    #[must_use]
    pub fn begin_at(beginning: Timestamp, factor: u32) -> Self {
        Self { beginning, began: Instant::now(), factor }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        let passed = self.began.elapsed().as_millis() * u128::from(self.factor);
        self.beginning.plus_ms(i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

/// See the module.
pub struct Site<P> {
    clock: Arc<dyn Clock>,
    chance: Chance,
    state: Mutex<State<P>>,
}

struct State<P> {
    platform: P,
    faults: Faults,
    struck: u64,
    seen: Vec<Seen>,
}

impl<P: Platform> Site<P> {
    /// A platform without faults.
    #[must_use]
    pub fn new(platform: P, seed: u64, clock: Arc<dyn Clock>) -> Self {
        let state = State { platform, faults: Faults::default(), struck: 0, seen: Vec::new() };
        Self { clock, chance: Chance::new(seed, "site"), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Its present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Looks at the platform, or changes it from the inside as its own users do.
    pub fn look<T>(&self, look: impl FnOnce(&mut P) -> T) -> T {
        look(&mut self.lock().platform)
    }

    /// The calls so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// What was written to it from the outside so far.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.lock().platform.writes().to_vec()
    }

    /// How often something has gone wrong so far, of what was wanted by [`Site::set`].
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    fn strikes(&self, state: &mut State<P>, one_in: u64) -> bool {
        let does_strike = one_in > 0 && self.chance.one_in(one_in);
        state.struck += u64::from(does_strike);
        does_strike
    }

    /// Answers a call, or fails it as the faults want.
    pub fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.lock();
        let faults = state.faults;
        if self.strikes(&mut state, faults.expire_one_in) {
            state.platform.expire_tokens();
        }
        let mut answer = if self.strikes(&mut state, faults.throttle_one_in) {
            state.platform.throttled(faults.retry_after_seconds)
        } else if self.strikes(&mut state, faults.unavailable_one_in) {
            state.platform.unavailable()
        } else {
            state.platform.answer(call, now)
        };
        if self.strikes(&mut state, faults.answer_lost_one_in) {
            answer = state.platform.unavailable();
        }
        if self.strikes(&mut state, faults.slow_one_in) {
            answer.after_ms += faults.slow_ms;
        }
        let what = call.url.query().map_or_else(String::new, |query| format!("?{query}"));
        let what = format!("{} {}{what}", call.method, call.url.path());
        if state.seen.len() < SEEN_MAX {
            state.seen.push(Seen { at: now, what, status: answer.status.as_u16() });
        }
        answer
    }

    /// The hooks that are due, as far as they arrive, in the order in which they do.
    pub fn take_hooks(&self) -> Vec<Hook> {
        let now = self.clock.now();
        let mut state = self.lock();
        let faults = state.faults;
        let mut hooks = Vec::new();
        for hook in state.platform.take_hooks(now) {
            if self.strikes(&mut state, faults.hook_lost_one_in) {
                continue;
            }
            if self.strikes(&mut state, faults.hook_twice_one_in) {
                hooks.push(hook.clone());
            }
            hooks.push(hook);
        }
        if faults.hooks_are_shuffled {
            hooks.sort_by_cached_key(|_| self.chance.draw());
        }
        hooks
    }

    /// Sends the hooks that are due, and tells the platform what became of each; gives how many were sent.
    pub async fn send_hooks(&self, transport: &dyn Transport) -> usize {
        let hooks = self.take_hooks();
        for hook in &hooks {
            let request = Request {
                method: hook.method.clone(),
                url: hook.url.clone(),
                headers: hook.headers.clone(),
                body: hook.body.clone(),
                identity: None,
                timeout: HOOK_TIMEOUT,
                response_bytes_max: 64 * 1024,
            };
            let status = transport.send(request).await.ok().map(|response| response.status.as_u16());
            self.lock().platform.hook_answered(hook, status);
        }
        hooks.len()
    }
}

#[async_trait]
impl<P: Platform> Transport for Site<P> {
    async fn send(&self, request: Request) -> Result<Response, SendError> {
        let call = Call { method: request.method, url: request.url, headers: request.headers, body: request.body };
        let mut answer = self.answer(&call);
        let takes = Duration::from_millis(answer.after_ms);
        tokio::time::sleep(takes.min(request.timeout)).await;
        if takes > request.timeout {
            let host = call.url.host_str().unwrap_or_default().to_owned();
            return Err(SendError::Timeout { host, after: request.timeout });
        }
        let is_cut = answer.body.len() > request.response_bytes_max;
        answer.body.truncate(request.response_bytes_max);
        Ok(Response { status: answer.status, headers: answer.headers, body: answer.body, is_cut })
    }
}
