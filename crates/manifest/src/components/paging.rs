//! From one page to the next.

use crate::components::{Decoder, RequestOption};
use crate::read::{component, one_of, words};
use crate::text::Text;

one_of! {
    /// Whether there are pages at all.
    Paginator {
        /// One answer is all.
        NoPagination(NoPagination),
        /// Pages.
        DefaultPaginator(Box<DefaultPaginator>),
    }

    /// How the next page is found.
    PaginationStrategy {
        /// By counting pages.
        PageIncrement(PageIncrement),
        /// By counting records.
        OffsetIncrement(OffsetIncrement),
        /// By a token in the answer.
        CursorPagination(CursorPagination),
    }

    /// Where the token of a page goes.
    PageToken {
        /// Somewhere in the request.
        RequestOption(RequestOption),
        /// It is the URL of the next page.
        RequestPath(RequestPath),
    }
}

component! {
    /// One answer is all.
    NoPagination {}

    /// It is the URL of the next page.
    RequestPath {}

    /// Pages.
    DefaultPaginator {
        pagination_strategy: PaginationStrategy,
        page_size_option: Option<RequestOption>,
        page_token_option: Option<PageToken>,
    }

    /// By counting pages.
    PageIncrement {
        page_size: Option<Text>,
        start_from_page: i64 = 0,
        inject_on_first_request: bool = false,
    }

    /// By counting records.
    OffsetIncrement {
        page_size: Option<Text>,
        inject_on_first_request: bool = false,
    }

    /// By a token in the answer.
    CursorPagination {
        cursor_value: Text,
        page_size: Option<Text>,
        stop_condition: Option<Text>,
        decoder: Option<Decoder>,
    }

    /// Beginning the pages anew after so many records.
    PaginationReset {
        action: ResetAction,
        limits: Option<PaginationResetLimits>,
    }

    /// When.
    PaginationResetLimits {
        number_of_records: Option<u64>,
    }
}

words! {
    /// From where pages begin anew.
    ResetAction {
        /// From the newest record seen.
        SplitUsingCursor = "SPLIT_USING_CURSOR",
        /// From the start.
        Reset = "RESET",
    }
}
