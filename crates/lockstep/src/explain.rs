//! `lockstep explain CODE`: the pages of docs/ERRORS, in the binary.

use crate::command_line::ExplainArgs;
use crate::failure::Failure;
use crate::printer::say;
use lockstep_core::error::{Code, shown};

macro_rules! pages {
    ($($code:literal,)*) => {
        /// Pages by code.
        const PAGES: &[(&str, &str)] = &[$(($code, include_str!(concat!("../../../docs/ERRORS/", $code, ".md"))),)*];
    };
}

pages! {
    "ambiguous_match",
    "backup_unusable",
    "body_too_large",
    "business_not_found",
    "busy",
    "data_in_use",
    "data_unusable",
    "disk_full",
    "external_id_taken",
    "external_id_unknown",
    "forbidden",
    "history_pruned",
    "id_taken",
    "idempotency_conflict",
    "internal",
    "invalid_body",
    "invalid_condition",
    "invalid_credentials",
    "invalid_header",
    "invalid_id",
    "invalid_json",
    "invalid_parameter",
    "invalid_template",
    "invalid_value",
    "limit_reached",
    "listen_failed",
    "merge_refused",
    "log_restored",
    "method_not_allowed",
    "not_found",
    "outside_grant",
    "provider_taken",
    "rate_limited",
    "record_deleted",
    "record_not_found",
    "record_too_large",
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
    "version_conflict",
}

/// Prints a code's page, or the list of codes.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let Some(code) = args.code.as_deref().map(|code| code.trim().to_lowercase()) else {
        Code::ALL.iter().for_each(|code| say(code.as_str()));
        return Ok(());
    };
    match PAGES.iter().find(|(known, _)| *known == code) {
        Some((_, page)) => {
            say(page.trim_end());
            Ok(())
        }
        None => {
            let text = format!("there is no error code {}: `lockstep explain` lists them", shown(&code));
            Err(Failure::new(Code::SettingsInvalid, text))
        }
    }
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
