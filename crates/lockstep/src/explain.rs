//! `lockstep explain CODE`: the pages of docs/ERRORS, in the binary.

use crate::command_line::ExplainArgs;
use crate::failure::Failure;
use crate::printer::say;
use lockstep_core::error::{Code, shown};
use lockstep_http::page;

/// Prints a code's page, or the list of codes.
pub(crate) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let Some(code) = args.code.as_deref().map(|code| code.trim().to_lowercase()) else {
        Code::ALL.iter().for_each(|code| say(code.as_str()));
        return Ok(());
    };
    match page::of(&code) {
        Some(page) => {
            say(page.trim_end());
            Ok(())
        }
        None => {
            let text = format!("there is no error code {}: `lockstep explain` lists them", shown(&code));
            Err(Failure::new(Code::SettingsInvalid, text))
        }
    }
}
