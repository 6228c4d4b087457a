//! Ways to prove who calls.

use std::collections::BTreeMap;

use crate::components::{HttpRequester, RequestOption, TokenDecoder};
use crate::read::{component, one_of, words};
use crate::text::{Text, Tree};

one_of! {
    /// Any way to prove who calls.
    Authenticator {
        /// Nothing is proven.
        NoAuth(NoAuth),
        /// A key in a header, parameter or body.
        ApiKey as "ApiKeyAuthenticator" (ApiKeyAuthenticator),
        /// `Authorization: Bearer`.
        Bearer as "BearerAuthenticator" (BearerAuthenticator),
        /// `Authorization: Basic`.
        Basic as "BasicHttpAuthenticator" (BasicHttpAuthenticator),
        /// OAuth 2, any of four grants.
        OAuth as "OAuthAuthenticator" (Box<OAuthAuthenticator>),
        /// OAuth 1.0a: our extension.
        OAuth1 as "OAuth1Authenticator" (Box<OAuth1Authenticator>),
        /// A signed token of our own making.
        Jwt as "JwtAuthenticator" (Box<JwtAuthenticator>),
        /// A token that a login request answers with.
        Session as "SessionTokenAuthenticator" (Box<SessionTokenAuthenticator>),
        /// An older form of the same, with fixed paths.
        LegacySession as "LegacySessionTokenAuthenticator" (Box<LegacySessionTokenAuthenticator>),
        /// One of several, chosen by the configuration.
        Selective as "SelectiveAuthenticator" (SelectiveAuthenticator),
    }

    /// How a session's token is put into requests.
    SessionTokenUse {
        /// As a bearer token.
        Bearer(SessionBearer),
        /// As a key.
        ApiKey(SessionApiKey),
    }
}

component! {
    /// Nothing is proven.
    NoAuth {}

    /// A key in a header, parameter or body.
    ApiKeyAuthenticator {
        api_token: Option<Text>,
        header: Option<Text>,
        inject_into: Option<RequestOption>,
    }

    /// `Authorization: Bearer`.
    BearerAuthenticator {
        api_token: Text,
    }

    /// `Authorization: Basic`.
    BasicHttpAuthenticator {
        username: Text,
        password: Option<Text>,
    }

    /// One of several, chosen by the configuration.
    SelectiveAuthenticator {
        authenticator_selection_path: Vec<String>,
        authenticators: BTreeMap<String, Authenticator>,
    }

    /// OAuth 2. Without `grant_type` it is `refresh_token`.
    OAuthAuthenticator {
        client_id_name: Option<Text>,
        client_id: Option<Text>,
        client_secret_name: Option<Text>,
        client_secret: Option<Text>,
        refresh_token_name: Option<Text>,
        refresh_token: Option<Text>,
        token_refresh_endpoint: Option<Text>,
        access_token_name: Option<Text>,
        access_token_value: Option<Text>,
        expires_in_name: Option<Text>,
        grant_type_name: Option<Text>,
        grant_type: Option<Text>,
        refresh_request_body: Option<Tree>,
        refresh_request_headers: Option<Tree>,
        send_refresh_request_as_query_params: bool = false,
        scopes: Vec<String>,
        token_expiry_date: Option<Text>,
        token_expiry_date_format: Option<String>,
        refresh_token_updater: Option<RefreshTokenUpdater>,
        profile_assertion: Option<Box<JwtAuthenticator>>,
        use_profile_assertion: Option<Text>,
    }

    /// Where a refresh token that is good for one use is kept in the configuration.
    RefreshTokenUpdater {
        refresh_token_name: String = "refresh_token".to_owned(),
        access_token_config_path: Vec<String>,
        refresh_token_config_path: Vec<String>,
        token_expiry_date_config_path: Vec<String>,
    }

    /// OAuth 1.0a (RFC 5849), our extension of the format. `realm` goes into the header alone.
    OAuth1Authenticator {
        consumer_key: Text,
        consumer_secret: Option<Text>,
        token: Option<Text>,
        token_secret: Option<Text>,
        signature_method: SignatureMethod = SignatureMethod::HmacSha1,
        private_key: Option<Text>,
        realm: Option<Text>,
    }

    /// A signed token of our own making.
    JwtAuthenticator {
        secret_key: Text,
        algorithm: String,
        base64_encode_secret_key: Option<Text>,
        token_duration: i64 = 1_200,
        header_prefix: Option<Text>,
        jwt_headers: Option<JwtHeaders>,
        additional_jwt_headers: Option<Tree>,
        jwt_payload: Option<JwtPayload>,
        additional_jwt_payload: Option<Tree>,
        passphrase: Option<Text>,
        request_option: Option<RequestOption>,
    }

    /// The header's own entries.
    JwtHeaders {
        kid: Option<Text>,
        typ: Option<Text>,
        cty: Option<Text>,
    }

    /// The payload's own entries.
    JwtPayload {
        iss: Option<Text>,
        sub: Option<Text>,
        aud: Option<Text>,
    }

    /// A token that a login request answers with.
    SessionTokenAuthenticator {
        login_requester: HttpRequester,
        session_token_path: Vec<String>,
        expiration_duration: Option<String>,
        request_authentication: SessionTokenUse,
        decoder: Option<TokenDecoder>,
    }

    /// As a bearer token.
    SessionBearer {}

    /// As a key.
    SessionApiKey {
        inject_into: RequestOption,
        api_token: Option<Text>,
    }

    /// An older form of the same, with fixed paths.
    LegacySessionTokenAuthenticator {
        header: Text,
        login_url: Text,
        session_token: Option<Text>,
        session_token_response_key: Text,
        username: Option<Text>,
        password: Option<Text>,
        validate_session_url: Text,
    }
}

words! {
    /// How an OAuth 1.0a request is signed.
    SignatureMethod {
        /// HMAC with SHA-1, the usual one.
        HmacSha1 = "HMAC-SHA1",
        /// HMAC with SHA-256.
        HmacSha256 = "HMAC-SHA256",
        /// RSA with SHA-1.
        RsaSha1 = "RSA-SHA1",
    }
}
