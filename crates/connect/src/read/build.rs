//! A stream of the manifest made ready for one configuration and state.

use std::sync::Arc;
use std::time::Duration;

use lockstep_manifest::{
    AsyncRetriever, DeclarativeStream, Extractor, Requester, Retriever as SaidRetriever, SimpleRetriever,
    StateDelegatingStream, Stream,
};
use serde_json::Value;

use crate::account::Account;
use crate::budget::span;
use crate::call::Caller;
use crate::cursor::{READ_TO_THE_END, Rules};
use crate::failure::Failure;
use crate::files::Files;
use crate::paging::Paging;
use crate::partition::Router;
use crate::read::job::Job;
use crate::read::pages::Pages;
use crate::read::{Retriever, StreamReader};
use crate::select::Selector;
use crate::{python, schema, tree};

/// How long a job may run, where the manifest says nothing.
const JOB_MINUTES: u64 = 60;

impl StreamReader {
    /// Makes a stream ready. `state` is that of an earlier run: parents take theirs from it.
    pub(crate) fn new(
        account: &Arc<Account>,
        files: &Arc<dyn Files>,
        said: &Stream,
        state: &Value,
    ) -> Result<Self, Failure> {
        let said = chosen(said, state, account)?;
        Self::build(account, files, said, state).map_err(|failure| failure.while_at(format!("stream {}", said.name)))
    }

    fn build(
        account: &Arc<Account>,
        files: &Arc<dyn Files>,
        said: &DeclarativeStream,
        state: &Value,
    ) -> Result<Self, Failure> {
        let scope = account.scope();
        let rules = said.incremental_sync.as_ref().map(|said| Rules::new(said, &scope)).transpose()?.map(Arc::new);
        let routers = match &said.retriever {
            SaidRetriever::Simple(retriever) => &retriever.partition_router.0,
            SaidRetriever::Async(retriever) => &retriever.partition_router.0,
        };
        let router = Router::new(account, files, routers, state)?;
        if let Some(rules) = rules.as_ref().filter(|rules| rules.is_counting() && router.is_some()) {
            let message =
                format!("a counting cursor (`{}`) does not go with partitions; take one of them out", rules.field);
            return Err(Failure::system(message));
        }
        let bends = schema::of(said, account, files)?;
        let retriever = match &said.retriever {
            SaidRetriever::Simple(retriever) => {
                Retriever::Pages(Box::new(simple(account, said, retriever, rules.clone(), bends)?))
            }
            SaidRetriever::Async(retriever) => {
                Retriever::Job(Box::new(job(account, said, retriever, rules.clone(), bends)?))
            }
        };
        Ok(Self { name: Arc::from(said.name.as_str()), account: Arc::clone(account), router, rules, retriever })
    }

    /// A retriever by itself: of a schema, of streams to be made.
    pub(crate) fn of_retriever(
        account: &Arc<Account>,
        files: &Arc<dyn Files>,
        name: &str,
        said: &SaidRetriever,
    ) -> Result<Self, Failure> {
        let stream = DeclarativeStream::of_retriever(name, said.clone());
        Self::build(account, files, &stream, &Value::Null)
    }
}

/// Which of two streams is read: the whole until there is a state that is young enough, what is new from then on.
pub(crate) fn chosen<'s>(said: &'s Stream, state: &Value, account: &Account) -> Result<&'s DeclarativeStream, Failure> {
    let said = match said {
        Stream::Declarative(stream) => return Ok(stream),
        Stream::StateDelegating(said) => said,
    };
    let has_state = python::is_true(state) && state.get(READ_TO_THE_END).is_none();
    if has_state && !is_too_old(said, state, account)? {
        return Ok(&said.incremental_stream);
    }
    Ok(&said.full_refresh_stream)
}

fn is_too_old(said: &StateDelegatingStream, state: &Value, account: &Account) -> Result<bool, Failure> {
    let (Some(period), Some(cursor)) = (&said.api_retention_period, &said.incremental_stream.incremental_sync) else {
        return Ok(false);
    };
    let kept_for = jiff::SignedDuration::try_from(span(period)?).unwrap_or(jiff::SignedDuration::MAX);
    let rules = Rules::new(cursor, &account.scope())?;
    let point = state.get(&rules.field).or_else(|| state.get("state").and_then(|state| state.get(&rules.field)));
    let Some(point) = point.and_then(|value| rules.scale.parse(value).ok()) else { return Ok(false) };
    match point {
        crate::cursor::Point::Time(moment) => Ok(account.now().duration_since(moment.timestamp()) > kept_for),
        crate::cursor::Point::Count(_) => Ok(false),
    }
}

fn simple(
    account: &Arc<Account>,
    stream: &DeclarativeStream,
    said: &SimpleRetriever,
    rules: Option<Arc<Rules>>,
    schema: Option<Arc<Value>>,
) -> Result<Pages, Failure> {
    let scope = account.scope();
    let Requester::HttpRequester(requester) = &said.requester;
    let is_client_side = rules.as_ref().is_some_and(|rules| rules.is_client_side);
    Ok(Pages {
        caller: Caller::new(account, requester)?,
        paging: Paging::new(said.paginator.as_ref(), &scope)?,
        selector: Selector::new(&said.record_selector, &stream.transformations, is_client_side, schema, &scope)?,
        decoder: said.decoder.clone(),
        rules,
        reset: said.pagination_reset.clone(),
        tells_slice_once: said.ignore_stream_slicer_parameters_on_paginated_requests,
    })
}

fn job(
    account: &Arc<Account>,
    stream: &DeclarativeStream,
    said: &AsyncRetriever,
    rules: Option<Arc<Rules>>,
    schema: Option<Arc<Value>>,
) -> Result<Job, Failure> {
    let scope = account.scope();
    let caller = |said: &Requester| {
        let Requester::HttpRequester(requester) = said;
        Caller::new(account, requester)
    };
    let minutes = said.polling_job_timeout.as_ref().map(|text| text.text(&scope)).transpose()?;
    let minutes = minutes.filter(|text| !text.is_empty()).map_or(Ok(JOB_MINUTES), |text| {
        text.trim()
            .parse()
            .map_err(|_odd| Failure::config(format!("polling_job_timeout is {text:?}; give whole minutes")))
    });
    let fetched = Extractor::Dpath(lockstep_manifest::DpathExtractor::whole());
    let is_client_side = rules.as_ref().is_some_and(|rules| rules.is_client_side);
    let targets = said.download_target_extractor.as_ref();
    Ok(Job {
        creation: caller(&said.creation_requester)?,
        polling: caller(&said.polling_requester)?,
        status_path: tree::path(&said.status_extractor.field_path, &scope)?,
        statuses: said.status_mapping.clone(),
        timeout: Duration::from_secs(u64::saturating_mul(minutes?, 60)),
        targets: targets.map(|targets| tree::path(&targets.field_path, &scope)).transpose()?,
        target_caller: said.download_target_requester.as_ref().map(caller).transpose()?,
        download: Pages {
            caller: caller(&said.download_requester)?,
            paging: Paging::new(said.download_paginator.as_ref(), &scope)?,
            selector: Selector::plain(said.download_extractor.as_ref().unwrap_or(&fetched), &scope)?,
            decoder: said.download_decoder.clone(),
            rules: None,
            reset: None,
            tells_slice_once: false,
        },
        selector: Selector::after(&said.record_selector, &stream.transformations, is_client_side, schema, &scope)?,
        abort: said.abort_requester.as_ref().map(caller).transpose()?,
        delete: said.delete_requester.as_ref().map(caller).transpose()?,
        rules,
    })
}
