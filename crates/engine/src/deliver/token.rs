//! Tokens: fetched by the client credentials grant of OAuth 2, kept for most of their life.
//!
//! One fetch at a time: whoever needs a token while one is being fetched waits for it, and shares what comes of it,
//! a failure too. The token endpoint is called through the same transport as every delivery, so under the same
//! policy for addresses, and redirects are not followed. What it answers is never repeated in a failure but for an
//! error code of the few letters that the specification knows: an answer may hold what it was asked with.

use super::credential::secret;
use crate::World;
use bytes::Bytes;
use http::HeaderValue;
use lockstep_core::auth::{Auth, ClientAuth};
use lockstep_core::clock::Timestamp;
use lockstep_core::limits;
use lockstep_egress::{Request, SendError, Transport};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicTokenResponse};
use oauth2::{
    AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, RequestTokenError, Scope,
    TokenResponse, TokenUrl,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

type Client = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Fetches tokens of one subscription and keeps the newest.
pub(super) struct TokenDesk {
    client: Client,
    scope: Option<String>,
    audience: Option<String>,
    last: Mutex<Option<Last>>,
}

/// What the last fetch brought.
struct Last {
    at: Timestamp,
    outcome: Result<Token, String>,
}

struct Token {
    header: HeaderValue,
    good_until: Timestamp,
}

impl fmt::Debug for TokenDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDesk")
    }
}

impl TokenDesk {
    /// The desk of a way to fetch tokens, with its secret opened.
    pub(super) fn of(auth: &Auth, client_secret: String) -> Option<Self> {
        let Auth::OAuth2 { token_url, client_id, scope, audience, client_auth, .. } = auth else { return None };
        let client = BasicClient::new(ClientId::new(client_id.clone()))
            .set_client_secret(ClientSecret::new(client_secret))
            .set_token_uri(TokenUrl::new(token_url.clone()).ok()?)
            .set_auth_type(match client_auth {
                ClientAuth::Basic => AuthType::BasicAuth,
                ClientAuth::Body => AuthType::RequestBody,
            });
        Some(Self { client, scope: scope.clone(), audience: audience.clone(), last: Mutex::new(None) })
    }

    /// The value of `Authorization`: the token there is, or a new one.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn token(&self, world: &World) -> Result<HeaderValue, String> {
        let asked_at = world.clock.now();
        let mut last = self.last.lock().await;
        match last.as_ref() {
            Some(Last { outcome: Ok(token), .. }) if token.good_until > world.clock.now() => {
                return Ok(token.header.clone());
            }
            // It failed while this one waited: asking again at once would only wait longer.
            Some(Last { outcome: Err(why), at }) if *at > asked_at => return Err(why.clone()),
            _ => {}
        }
        let outcome = self.fetch(world).await;
        let answer = outcome.as_ref().map(|token| token.header.clone()).map_err(Clone::clone);
        *last = Some(Last { at: world.clock.now(), outcome });
        answer
    }

    /// Lets go of a token that was refused, unless another has come in its place.
    pub(super) async fn forget(&self, refused: HeaderValue) {
        let mut last = self.last.lock().await;
        let is_it = matches!(&*last, Some(Last { outcome: Ok(token), .. }) if token.header == refused);
        if is_it {
            *last = None;
        }
    }

    async fn fetch(&self, world: &World) -> Result<Token, String> {
        let mut asked = self.client.exchange_client_credentials();
        for scope in self.scope.iter().flat_map(|scopes| scopes.split_whitespace()) {
            asked = asked.add_scope(Scope::new(scope.to_owned()));
        }
        if let Some(audience) = &self.audience {
            asked = asked.add_extra_param("audience", audience);
        }
        let transport = Arc::clone(&world.transport);
        let send = move |request: HttpRequest| post(Arc::clone(&transport), request);
        let answer: BasicTokenResponse = asked.request_async(&send).await.map_err(|error| explain(&error))?;
        let life = answer
            .expires_in()
            .map_or(limits::TOKEN_LIFE_MS, |life| u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
        let used_for = life.min(limits::TOKEN_LIFE_MS_MAX) / 5 * 4;
        let header = secret(&format!("Bearer {}", answer.access_token().secret()));
        let header = header.ok_or("the token endpoint gives a token that no header can hold: see to its settings")?;
        let good_until = world.clock.now().plus_ms(i64::try_from(used_for).unwrap_or(i64::MAX));
        Ok(Token { header, good_until })
    }
}

/// The client library's request, through the one door to the outside.
async fn post(transport: Arc<dyn Transport>, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let (head, body) = request.into_parts();
    let request = Request {
        method: head.method,
        url: Url::parse(&head.uri.to_string()).map_err(|_malformed| Failure::Address)?,
        headers: head.headers,
        body: Bytes::from(body),
        identity: None,
        timeout: Duration::from_millis(limits::TOKEN_TIMEOUT_MS),
        response_bytes_max: limits::TOKEN_ANSWER_BYTES_MAX,
    };
    let response = transport.send(request).await?;
    if response.status.is_redirection() || response.is_cut {
        return Err(Failure::NoToken(response.status.as_u16()));
    }
    let mut answer = HttpResponse::new(response.body.to_vec());
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    Ok(answer)
}

/// Why there is no answer from the token endpoint.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("its address does not read")]
    Address,
    #[error(transparent)]
    Unreached(#[from] SendError),
    #[error("HTTP {0} with something that is no token")]
    NoToken(u16),
}

fn explain(error: &RequestTokenError<Failure, BasicErrorResponse>) -> String {
    let why = match error {
        RequestTokenError::ServerResponse(answer) => {
            let code = answer.error().to_string();
            let is_code = code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if is_code { format!("it refuses with {code}") } else { "it refuses".to_owned() }
        }
        RequestTokenError::Request(failure) => failure.to_string(),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => "it answers what is no token".to_owned(),
    };
    format!("no token could be fetched, so nothing was sent: {why}; see to auth of the subscription")
}
