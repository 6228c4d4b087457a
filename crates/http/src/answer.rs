//! Answers: JSON, and the one table from codes to statuses.

use crate::rest::Problem;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode, Uri};
use lockstep_core::error::Code;
use lockstep_engine::refusal::Refusal;
use lockstep_wire::error::ErrorBody;
use serde::Serialize;

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Refused>;

/// A refusal on its way out.
pub(crate) struct Refused(pub(crate) Refusal);

impl<T: Into<Refusal>> From<T> for Refused {
    fn from(refusal: T) -> Self {
        Self(refusal.into())
    }
}

/// A JSON body with a status.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let mut response = (status, bytes).into_response();
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => {
            tracing::error!(error = %error, "an answer could not be written; this is a bug");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `200` with a body.
pub(crate) fn ok<T: Serialize>(body: &T) -> Answer {
    Ok(json(StatusCode::OK, body))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refusal { rejection, retry_after_s } = self.0;
        let mut response = json(status(rejection.code), &ErrorBody { error: &rejection });
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match rejection.code {
            Code::Unauthenticated | Code::InvalidCredentials => {
                let schemes = HeaderValue::from_static("Basic realm=\"lockstep\", Bearer realm=\"lockstep\"");
                headers.insert(WWW_AUTHENTICATE, schemes);
            }
            _ => {}
        }
        response
    }
}

/// A refusal as the face that the path belongs to writes it.
pub(crate) fn refused(uri: &Uri, refusal: Refusal) -> Response {
    match uri.path().starts_with("/rest/") {
        true => Problem::from(refusal).into_response(),
        false => Refused(refusal).into_response(),
    }
}

/// The status of a code. Codes that end operations or stop a start never leave as one; they are here so that the
/// table is whole.
pub(crate) const fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidJson
        | Code::SingleQuotes
        | Code::InvalidBody
        | Code::UnknownField
        | Code::InvalidValue
        | Code::InvalidId
        | Code::InvalidParameter
        | Code::InvalidHeader
        | Code::UrlRefused
        | Code::UnknownMatchGroup
        | Code::InvalidCondition
        | Code::InvalidTemplate
        | Code::InvalidMapping => StatusCode::BAD_REQUEST,
        Code::Unauthenticated | Code::InvalidCredentials => StatusCode::UNAUTHORIZED,
        Code::Forbidden | Code::OutsideGrant | Code::FieldNotEditable => StatusCode::FORBIDDEN,
        Code::UnknownType | Code::UnknownPath | Code::BusinessNotFound | Code::NotFound | Code::RecordNotFound => {
            StatusCode::NOT_FOUND
        }
        Code::FieldRequired | Code::IndexNeeded | Code::ConnectionFailed => StatusCode::UNPROCESSABLE_ENTITY,
        Code::HistoryPruned => StatusCode::GONE,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::VersionConflict => StatusCode::PRECONDITION_FAILED,
        Code::ProviderTaken
        | Code::IdTaken
        | Code::FieldInUse
        | Code::IndexBuilding
        | Code::ValueTaken
        | Code::IdempotencyConflict
        | Code::LimitReached
        | Code::SubscriptionEnded
        | Code::ConnectionNotReady
        | Code::ConnectionInUse
        | Code::RunUnderWay
        | Code::LogRestored
        | Code::RecordDeleted
        | Code::ExternalIdTaken
        | Code::ExternalIdUnknown
        | Code::AmbiguousMatch
        | Code::RemoteDuplicate
        | Code::RemoteInDoubt
        | Code::RemoteRefused
        | Code::RemoteUnavailable
        | Code::ReferenceMissing
        | Code::MergeRefused
        | Code::RecordTooLarge => StatusCode::CONFLICT,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Busy | Code::DiskFull | Code::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Code::StoreFailed
        | Code::Internal
        | Code::DataInUse
        | Code::DataUnusable
        | Code::StoreCorrupt
        | Code::StoreNewer
        | Code::SealingKeyWrong
        | Code::SealingKeyInvalid
        | Code::BackupUnusable
        | Code::ListenFailed
        | Code::SettingsInvalid
        | Code::ConnectorInvalid
        | Code::ConnectorFailed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
