"""Who may come in: each way of proving oneself, checked by a library where there is one (joserfc, Authlib's own for
tokens, and oauthlib for OAuth 1.0a).

`check` gives None, or why the door stays shut. `issue` gives the status and body of a token request.
"""
import base64
import functools
import time
from collections import defaultdict

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry
from oauthlib.oauth1 import RequestValidator, ResourceEndpoint

NAME, SECRET = "tester", "pass:word é"
KEY = "key-1"
SHARED = "a shared secret of thirty-two chars"
ISSUER = "lockstep"
USES = 2  # after so many requests a `worn` token is refused
now = time.time


class Keys:
    """What was handed out to one client."""

    def __init__(self):
        self.given = {}  # access token -> uses left
        self.refresh = "refresh-0"
        self.counts = defaultdict(int)
        self.nonces = set()
        self.sessions = set()

    def access(self, kind, uses=1_000_000):
        self.counts[kind] += 1
        token = f"{kind}-token-{self.counts[kind]}"
        self.given[token] = uses
        return token

    def session(self):
        self.sessions.add(f"session-{len(self.sessions)}")
        return f"session-{len(self.sessions) - 1}"


@functools.cache
def private_key():
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def private_pem():
    plain = serialization.NoEncryption()
    return private_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def public_pem():
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key().public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def bearer(request):
    kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
    return token if kind == "Bearer" else None


def key_in(given):
    return None if given == KEY else f"the key is {given!r}"


def basic(request):
    expected = base64.b64encode(f"{NAME}:{SECRET}".encode()).decode()
    return None if request.headers.get("Authorization") == f"Basic {expected}" else "not by Basic"


def token_of(kind):
    def check(request):
        token = bearer(request) or ""
        with request.client.lock:
            keys = request.client.keys
            if not token.startswith(f"{kind}-") or keys.given.get(token, 0) <= 0:
                return f"{token!r} does not let in"
            keys.given[token] -= 1
        return None

    return check


def claims_of(token, algorithm, secret=SHARED):
    """The claims of a token that is signed rightly and is good now."""
    key = jwk.OctKey.import_key(secret) if algorithm.startswith("HS") else jwk.RSAKey.import_key(public_pem())
    # A header may say more than the registered names.
    read = jwt.decode(token, key, registry=JWSRegistry(algorithms=[algorithm], strict_check_header=False))
    rules = {"iss": {"essential": True, "value": ISSUER}, "exp": {"essential": True}, "nbf": {"essential": True}}
    jwt.JWTClaimsRegistry(leeway=5, **rules).validate(read.claims)
    return read


def signed(algorithm, find, secret=SHARED):
    def check(request):
        try:
            read = claims_of(find(request) or "", algorithm, secret)
        except Exception as error:  # each library has its own
            return f"{type(error).__name__}: {error}"
        return None if read.header.get("kid") in (None, "key-a") else f"odd header {read.header}"

    return check


def session(find):
    def check(request):
        return None if find(request) in request.client.keys.sessions else f"no session {find(request)!r}"

    return check


class Provider(RequestValidator):
    """What oauthlib asks of a provider; it does the rest. A nonce is good for one request."""

    client_key_length = access_token_length = (3, 60)
    nonce_length = (8, 200)
    enforce_ssl = False
    allowed_signature_methods = ["HMAC-SHA1", "HMAC-SHA256", "RSA-SHA1"]
    dummy_client = dummy_access_token = "dummy"
    check_client_key = check_access_token = staticmethod(lambda key: key.replace("-", "").isalnum())

    def __init__(self, nonces):
        super().__init__()
        self.nonces = nonces

    def validate_client_key(self, client_key, request):
        return client_key == "consumer-1"

    def validate_access_token(self, client_key, token, request):
        return token == "access-1"

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, request_token=None, access_token=None):
        is_new = nonce not in self.nonces and abs(now() - int(timestamp)) < 60
        self.nonces.add(nonce)
        return is_new

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def get_client_secret(self, client_key, request):
        return "consumer secret é&"

    def get_access_token_secret(self, client_key, token, request):
        return "token secret"

    def get_rsa_key(self, client_key, request):
        return public_pem()


def oauth1(request):
    endpoint = ResourceEndpoint(Provider(request.client.keys.nonces))
    headers = dict(request.headers.items())
    with request.client.lock:
        good, _ = endpoint.validate_protected_resource_request(request.here_exactly, request.method, request.body.decode(), headers)
    return None if good else "oauthlib refuses the signature"


DOORS = {
    "open": lambda request: None,
    "header": lambda request: key_in(request.headers.get("X-Api-Key")),
    "query": lambda request: key_in(request.get("api_key")),
    "json": lambda request: key_in(request.json().get("auth", {}).get("key")),
    "form": lambda request: key_in(request.form().get("key")),
    "bearer": lambda request: key_in(bearer(request)),
    "basic": basic,
    "client": token_of("client"),
    "refresh": token_of("refresh"),
    "rotate": token_of("rotate"),
    "worn": token_of("worn"),
    "short": token_of("short"),
    "password": token_of("password"),
    "assertion": token_of("assertion"),
    "hs256": signed("HS256", bearer),
    "hs256coded": signed("HS256", bearer, base64.b64encode(SHARED.encode()).decode()),
    "rs256": signed("RS256", bearer),
    "jwt_header": signed("HS256", lambda request: request.headers.get("X-Token")),
    "session": session(bearer),
    "session_header": session(lambda request: request.headers.get("X-Session")),
    "session_query": session(lambda request: request.get("session")),
    "oauth1": oauth1,
}


def check(kind, request):
    return DOORS[kind](request)


def knows(told, request):
    """Whether a client of OAuth 2 says who it is, in the body or by Basic."""
    expected = "Basic " + base64.b64encode(b"the-client:the-secret").decode()
    return request.headers.get("Authorization") == expected or (told.get("client_id"), told.get("client_secret")) == ("the-client", "the-secret")


def issue(kind, request):
    keys = request.client.keys
    told = request.json() if "json" in (request.headers.get("Content-Type") or "") else request.form()
    told = {**{name: values[0] for name, values in request.query.items()}, **told}
    with request.client.lock:
        return TOKENS[kind](keys, told, request)


def client_token(keys, told, request):
    if not knows(told, request) or told.get("grant_type") != "client_credentials":
        return 401, {"error": "invalid_client"}
    return 200, {"access_token": keys.access("client"), "expires_in": 3_600, "scopes": told.get("scopes")}


def refreshed(kind, uses=1_000_000, expires_in=3_600, names=("access_token", "expires_in")):
    def give(keys, told, request):
        if not knows(told, request) or (told.get("refresh_token"), told.get("grant_type")) != ("refresh-fixed", "refresh_token"):
            return 400, {"error": "invalid_grant"}
        return 200, {names[0]: keys.access(kind, uses), names[1]: expires_in}

    return give


def rotated(keys, told, request):
    """A refresh token is good once; the answer has the next."""
    if not knows(told, request) or told.get("refresh_token") != keys.refresh:
        return 400, {"error": "invalid_grant"}
    keys.refresh = f"refresh-{keys.counts['rotate'] + 1}"
    return 200, {"access_token": keys.access("rotate"), "refresh_token": keys.refresh, "expires_in": 3_600}


def renamed(keys, told, request):
    """Nothing has its usual name, and the expiry is an instant."""
    if (told.get("app"), told.get("app_secret"), told.get("renew"), told.get("kind")) != ("the-client", "the-secret", "refresh-fixed", "renewal"):
        return 400, {"error": f"odd request {sorted(told)}"}
    if told.get("extra") != "more" or request.headers.get("X-Extra") != "head":
        return 400, {"error": "something is missing"}
    return 200, {"token": keys.access("refresh"), "until": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now() + 3_600))}


def by_password(keys, told, request):
    if not knows(told, request) or (told.get("username"), told.get("password"), told.get("grant_type")) != (NAME, SECRET, "password"):
        return 400, {"error": "invalid_grant"}
    return 200, {"access_token": keys.access("password"), "expires_in": 3_600}


def by_assertion(keys, told, request):
    if told.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
        return 400, {"error": "unsupported_grant_type"}
    try:
        claims_of(told.get("assertion") or "", "RS256")
    except Exception as error:  # each library has its own
        return 400, {"error": f"{type(error).__name__}: {error}"}
    return 200, {"access_token": keys.access("assertion"), "expires_in": 3_600}


def login(keys, told, request):
    if (told.get("username"), told.get("password")) != (NAME, SECRET):
        return 401, {"error": "wrong password"}
    return 200, {"session": {"id": keys.session()}, "id": keys.session()}


def login_xml(keys, told, request):
    status, body = login(keys, told, request)
    return status, f"<answer><session><id>{body['session']['id']}</id></session></answer>".encode() if status == 200 else body


def login_text(keys, told, request):
    status, body = login(keys, told, request)
    return status, f"{body['id']}\n".encode() if status == 200 else body


def session_state(keys, told, request):
    return (200, {}) if request.headers.get("X-Session") in keys.sessions else (401, {})


TOKENS = {
    "client": client_token,
    "refresh": refreshed("refresh"),
    "worn": refreshed("worn", uses=USES),
    "short": refreshed("short", expires_in=0),
    "rotate": rotated,
    "renamed": renamed,
    "password": by_password,
    "assertion": by_assertion,
    "login": login,
    "login_xml": login_xml,
    "login_text": login_text,
    "session_state": session_state,
}
