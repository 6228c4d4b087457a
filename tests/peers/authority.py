#!/usr/bin/env python3
"""An OAuth 2 authorization server by Authlib, with an endpoint that takes what its tokens let in.

usage: authority.py     (run it with target/peers/venv/bin/python; it ends when its standard input does)

Its first line on standard output is its port on 127.0.0.1.
  POST /token    client credentials (client `hub`, secret `s3cret-of-the-hub`), by Basic or in the body
  POST /hook     204 with a living token of scope `deliver`, else 401
  GET  /people   two records, for the same tokens
  POST /revoke   lets all tokens die
  POST /seen     {"issued", "taken", "refused", "scopes"}
"""
import os
import sys
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, list_to_scope, scope_to_list
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask, jsonify
from werkzeug.serving import make_server

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on the loopback address alone
tokens = {}
seen = {"issued": 0, "taken": 0, "refused": 0, "scopes": []}


class Client(ClientMixin):
    client_id = "hub"

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return list_to_scope([word for word in scope_to_list(scope or "") if word == "deliver"])

    def check_client_secret(self, client_secret):
        return client_secret == "s3cret-of-the-hub"

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_basic", "client_secret_post")

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Token(TokenMixin):
    def __init__(self, made):
        self.scope, self.good_until, self.is_dead = made["scope"], time.time() + made["expires_in"], False

    def check_client(self, client):
        return True

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return self.good_until - time.time()

    def is_expired(self):
        return time.time() > self.good_until

    def is_revoked(self):
        return self.is_dead


class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string):
        return tokens.get(token_string)


class Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


def keep(made, _request):
    tokens[made["access_token"]] = Token(made)
    seen["issued"] += 1
    seen["scopes"].append(made["scope"])


app = Flask(__name__)
server = AuthorizationServer(app, query_client=lambda client_id: Client() if client_id == "hub" else None, save_token=keep)
server.register_grant(Grant)
protector = ResourceProtector()
protector.register_token_validator(Validator())


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/hook")
@protector("deliver")
def hook():
    seen["taken"] += 1
    return "", 204


@app.get("/people")
@protector("deliver")
def people():
    seen["taken"] += 1
    return jsonify([{"id": 1}, {"id": 2}])


@app.after_request
def count(response):
    seen["refused"] += response.status_code == 401
    return response


@app.post("/revoke")
def revoke():
    for one in tokens.values():
        one.is_dead = True
    return jsonify({})


@app.post("/seen")
def tell():
    return jsonify(seen)


if __name__ == "__main__":
    http = make_server("127.0.0.1", 0, app, threaded=True)
    print(http.server_port, flush=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    sys.stdin.read()
