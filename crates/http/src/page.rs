//! The pages of docs/ERRORS, in the binary: what `/errors/{code}` and `lockstep explain` show.

use crate::answer::Refused;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use lockstep_core::error::{Code, shown};
use lockstep_engine::refusal::Refusal;

macro_rules! pages {
    ($($code:literal,)*) => {
        /// Pages by code.
        pub const PAGES: &[(&str, &str)] = &[$(($code, include_str!(concat!("../../../docs/ERRORS/", $code, ".md"))),)*];
    };
}

pages! {
    "ambiguous_match",
    "backup_unusable",
    "body_too_large",
    "business_not_found",
    "busy",
    "connection_failed",
    "connection_in_use",
    "connection_not_ready",
    "connector_failed",
    "connector_invalid",
    "data_in_use",
    "data_unusable",
    "disk_full",
    "external_id_taken",
    "external_id_unknown",
    "field_in_use",
    "field_not_editable",
    "field_required",
    "forbidden",
    "history_pruned",
    "id_taken",
    "idempotency_conflict",
    "index_building",
    "index_needed",
    "internal",
    "invalid_body",
    "invalid_condition",
    "invalid_credentials",
    "invalid_header",
    "invalid_id",
    "invalid_json",
    "invalid_mapping",
    "invalid_parameter",
    "invalid_template",
    "invalid_value",
    "limit_reached",
    "listen_failed",
    "log_restored",
    "merge_refused",
    "method_not_allowed",
    "not_found",
    "outside_grant",
    "provider_taken",
    "rate_limited",
    "record_deleted",
    "record_not_found",
    "record_too_large",
    "reference_missing",
    "remote_duplicate",
    "remote_in_doubt",
    "remote_refused",
    "remote_unavailable",
    "run_under_way",
    "sealing_key_invalid",
    "sealing_key_wrong",
    "settings_invalid",
    "shutting_down",
    "single_quotes",
    "store_corrupt",
    "store_failed",
    "store_newer",
    "subscription_ended",
    "unauthenticated",
    "unknown_field",
    "unknown_match_group",
    "unknown_path",
    "unknown_type",
    "url_refused",
    "value_taken",
    "version_conflict",
}

/// The page of a code.
#[must_use]
pub fn of(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}

/// `GET /errors/{code}`: the `type` of a problem leads here.
pub(crate) async fn error(Path(code): Path<String>) -> Response {
    let Some(page) = of(&code) else {
        let text = format!("there is no error {}: codes are words such as invalid_value", shown(&code));
        return Refused(Refusal::new(Code::NotFound, text)).into_response();
    };
    let headers = [(CONTENT_TYPE, "text/markdown; charset=utf-8"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page() {
        let pages: Vec<_> = PAGES.iter().map(|(code, _)| *code).collect();
        for code in Code::ALL {
            assert!(pages.contains(&code.as_str()), "{code}");
        }
        assert_eq!(pages.len(), Code::ALL.len());
    }
}
