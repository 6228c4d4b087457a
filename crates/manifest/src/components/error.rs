//! What an answer means when it is not plain success, and how long to wait.

use crate::read::{component, one_of, words};
use crate::text::Text;

one_of! {
    /// What an answer means.
    ErrorHandler {
        /// Filters in order, then the defaults.
        Default as "DefaultErrorHandler" (DefaultErrorHandler),
        /// Several in order.
        Composite as "CompositeErrorHandler" (CompositeErrorHandler),
    }

    /// How long to wait before the next try.
    BackoffStrategy {
        /// Always the same.
        Constant as "ConstantBackoffStrategy" (ConstantBackoff),
        /// Twice as long each time.
        Exponential as "ExponentialBackoffStrategy" (ExponentialBackoff),
        /// Seconds in a header.
        WaitTimeFromHeader(WaitTimeFromHeader),
        /// An instant in a header.
        WaitUntilTimeFromHeader(WaitUntilTimeFromHeader),
        /// Seconds by a template over the answer.
        WaitTimeFromResponse(WaitTimeFromResponse),
    }
}

component! {
    /// Filters in order, then the defaults.
    DefaultErrorHandler {
        backoff_strategies: Vec<BackoffStrategy>,
        max_retries: Option<Text>,
        response_filters: Vec<HttpResponseFilter>,
    }

    /// Several in order.
    CompositeErrorHandler {
        error_handlers: Vec<ErrorHandler>,
    }

    /// A test of an answer, and what it means if it holds. Codes, text and predicate are alternatives.
    HttpResponseFilter {
        action: Option<Action>,
        failure_type: Option<FailureType>,
        error_message: Option<Text>,
        error_message_contains: Option<String>,
        http_codes: Vec<u16>,
        predicate: Option<Text>,
    }

    /// Always the same, in seconds.
    ConstantBackoff {
        backoff_time_in_seconds: Text,
        jitter_range_in_seconds: Option<f64>,
    }

    /// `factor` times two to the number of tries, in seconds.
    ExponentialBackoff {
        factor: Option<Text>,
        jitter_range_in_seconds: Option<f64>,
    }

    /// Seconds in a header.
    WaitTimeFromHeader {
        header: Text,
        regex: Option<Text>,
        max_waiting_time_in_seconds: Option<Text>,
    }

    /// An instant in a header, in seconds since 1970.
    WaitUntilTimeFromHeader {
        header: Text,
        min_wait: Option<Text>,
        regex: Option<Text>,
        max_waiting_time_in_seconds: Option<Text>,
    }

    /// Seconds by a template over the answer.
    WaitTimeFromResponse {
        wait_time_in_seconds: Text,
        max_waiting_time_in_seconds: Option<Text>,
    }
}

words! {
    /// What to do with an answer.
    Action {
        /// Take it as it is.
        Success = "SUCCESS",
        /// Give the slice up.
        Fail = "FAIL",
        /// Ask again.
        Retry = "RETRY",
        /// Take it as an empty page.
        Ignore = "IGNORE",
        /// Begin the pages anew.
        ResetPagination = "RESET_PAGINATION",
        /// Ask again, however often.
        RateLimited = "RATE_LIMITED",
        /// Renew the token, then ask again.
        RefreshToken = "REFRESH_TOKEN_THEN_RETRY",
    }

    /// Whose fault a failure is.
    FailureType {
        /// The connector's.
        System = "system_error",
        /// The configuration's.
        Config = "config_error",
        /// Nobody's: it may pass.
        Transient = "transient_error",
    }
}
