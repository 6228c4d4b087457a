//! `POST /v1/business/{business}/{type}/create-many`: a record a line, read as it streams in.

use crate::Server;
use crate::answer::{Answer, json};
use crate::request::{self, Places};
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use lockstep_core::error::{Code, shown};
use lockstep_core::limits::{RECORD_BYTES_MAX, UPLOAD_READ_MS_MAX};
use lockstep_core::operation::OperationId;
use lockstep_engine::ingest::{Call, Verb};
use lockstep_engine::refusal::Refusal;
use lockstep_engine::upload::{self, Form, Uploading};
use lockstep_wire::operation::Accepted;
use std::time::Duration;

pub(crate) async fn create_many(
    State(server): State<Server>,
    Places((business, ty)): Places<(String, String)>,
    request: Request,
) -> Answer {
    let principal = crate::auth::principal(&server, &request)?;
    let (parts, body) = request.into_parts();
    let parameters = request::parameters(&parts.uri, &["form", "match"])?;
    let form = match parameters.get("form").map(String::as_str) {
        None | Some("records") => Form::Records,
        Some("ops") => Form::Ops,
        Some(other) => {
            let text = format!("form is {}, but it takes records or ops", shown(other));
            return Err(Refusal::new(Code::InvalidParameter, text).into());
        }
    };
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let key = request::header(&parts.headers, "idempotency-key")?;
    let call = Call {
        principal: &principal,
        business: &business,
        ty: &ty,
        verb: Verb::CreateMany,
        if_match: None,
        idempotency: key.map(|key| (key, path)),
        bytes: &[],
    };
    let matching = request::repeated(&parts.uri, "match");
    let uploading = upload::begin(&server.world, call, form, &matching).await?;
    // A task of its own: a caller who hangs up drops this one, and what came must still be made durable.
    let operation = spawn(take_in(uploading, body)).await.map_err(|_panicked| {
        Refusal::new(Code::Internal, "the upload broke down; this is a bug: what was durable stays")
    })??;
    Ok(json(StatusCode::ACCEPTED, &Accepted { operation_id: operation, record_id: None }))
}

#[expect(clippy::disallowed_methods, reason = "an upload outlives the connection that broke off under it")]
fn spawn<T: Send + 'static>(upload: impl Future<Output = T> + Send + 'static) -> tokio::task::JoinHandle<T> {
    tokio::spawn(upload)
}

async fn take_in(mut uploading: Uploading, body: Body) -> Result<OperationId, Refusal> {
    let operation = uploading.operation();
    let mut lines = Lines::of(body);
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return uploading.finish().await,
            Err(broken) => {
                uploading.break_off().await?;
                tracing::debug!(operation.id = %operation, "an upload broke off");
                return Err(stopped(broken, operation));
            }
        };
        let line = match &line {
            Line::Whole(text) => Some(&text[..]),
            Line::TooLong => None,
        };
        if let Err(refusal) = uploading.line(line).await {
            // What cannot be taken ends the upload, not what is durable; the rest of the body is left unread.
            tracing::debug!(operation.id = %operation, code = %refusal.rejection.code, "an upload stopped");
            return Err(stopped(refusal, operation));
        }
    }
}

/// A refusal that says where the upload can be looked at.
fn stopped(mut refusal: Refusal, operation: OperationId) -> Refusal {
    let more = format!("; operation/get/{operation} says how many lines are durable");
    refusal.rejection.message.push_str(&more);
    refusal
}

enum Line {
    Whole(Bytes),
    TooLong,
}

/// A body's lines, each held whole and no more than one of them.
struct Lines {
    body: Body,
    held: BytesMut,
    /// How much of what is held has no line end in it.
    looked_through: usize,
    is_skipping: bool,
    is_out: bool,
}

impl Lines {
    fn of(body: Body) -> Self {
        Self { body, held: BytesMut::new(), looked_through: 0, is_skipping: false, is_out: false }
    }

    /// The next line without its end; none after the last.
    async fn next(&mut self) -> Result<Option<Line>, Refusal> {
        loop {
            let unseen = self.held.get(self.looked_through..).unwrap_or_default();
            if let Some(place) = unseen.iter().position(|byte| *byte == b'\n') {
                let line = self.held.split_to(self.looked_through + place);
                self.held.advance(1);
                self.looked_through = 0;
                return Ok(Some(self.ended(line.freeze())));
            }
            self.looked_through = self.held.len();
            if self.is_out {
                let rest = self.held.split().freeze();
                self.looked_through = 0;
                let is_line = self.is_skipping || !rest.is_empty();
                return Ok(is_line.then(|| self.ended(rest)));
            }
            if self.held.len() > RECORD_BYTES_MAX {
                self.is_skipping = true;
            }
            if self.is_skipping {
                self.held.clear();
                self.looked_through = 0;
            }
            self.read_more().await?;
        }
    }

    fn ended(&mut self, line: Bytes) -> Line {
        let is_too_long = std::mem::take(&mut self.is_skipping) || line.len() > RECORD_BYTES_MAX;
        if is_too_long { Line::TooLong } else { Line::Whole(line) }
    }

    async fn read_more(&mut self) -> Result<(), Refusal> {
        let patience = Duration::from_millis(UPLOAD_READ_MS_MAX);
        match tokio::time::timeout(patience, self.body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    self.held.extend_from_slice(&data);
                }
                Ok(())
            }
            Ok(None) => {
                self.is_out = true;
                Ok(())
            }
            Ok(Some(Err(error))) => Err(Refusal::new(Code::InvalidBody, format!("the body broke off: {error}"))),
            Err(_elapsed) => Err(Refusal::new(
                Code::InvalidBody,
                format!("nothing more of the body came for {} s", patience.as_secs()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(chunks: &[&str]) -> Vec<Option<String>> {
        let chunks: Vec<_> =
            chunks.iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from((*chunk).to_owned()))).collect();
        let mut lines = Lines::of(Body::from_stream(futures_util::stream::iter(chunks)));
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap_or(None) {
            found.push(match line {
                Line::Whole(text) => Some(String::from_utf8_lossy(&text).into_owned()),
                Line::TooLong => None,
            });
        }
        found
    }

    #[tokio::test]
    async fn lines_are_cut_where_they_end_however_they_come() {
        let whole = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(lines(&["a\nb\n", "c"]).await, whole(&["a", "b", "c"]));
        assert_eq!(lines(&["a", "b", "\n", "\nc\n"]).await, whole(&["ab", "", "c"]));
        assert_eq!(lines(&[]).await, whole(&[]));
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_passed_over_and_the_next_is_read() {
        let long = "x".repeat(RECORD_BYTES_MAX / 2 + 1);
        assert_eq!(lines(&["a\n", &long, &long, "y\nb"]).await, [Some("a".to_owned()), None, Some("b".to_owned())]);
    }
}
