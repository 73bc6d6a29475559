"""A py-oidc-auth broker and ours as peers: each takes the other's tokens."""

import asyncio
import base64
import json

import httpx
from py_oidc_auth_client import BaseFlow, CodeFlow
from steps import free_port, step, store, target

OURS, THEIRS, USER = target["api"], target["peer"]["url"], target["user"]


def sign_in(host):
    BaseFlow.reset_instances()
    return asyncio.run(CodeFlow(host, store=store, redirect_ports=[free_port()], timeout=60).authenticate(force=True))


def get(host, path, token):
    answer = httpx.get(host + path, headers=token["headers"])
    assert answer.status_code == 200, answer.text
    return answer.json()


@step
def _():
    """its users call us with its tokens, and have the roles that we give them"""
    assert get(OURS, "/admin", sign_in(THEIRS))["username"] == USER["preferred_username"]


@step
def _():
    """our users call it with our tokens"""
    assert get(THEIRS, "/me", sign_in(OURS))["username"] == USER["preferred_username"]


@step
def _():
    """our userinfo knows its users"""
    info = get(OURS, "/auth/v2/userinfo", sign_in(THEIRS))
    assert (info["username"], info["email"]) == (USER["preferred_username"], USER["email"]), info


@step
def _():
    """its userinfo knows our users"""
    info = get(THEIRS, "/auth/v2/userinfo", sign_in(OURS))
    assert (info["username"], info["email"]) == (USER["preferred_username"], USER["email"]), info


def changed(token, **claims):
    """The token with other claims, and its old signature."""
    header, payload, signature = token["access_token"].split(".")
    payload = json.loads(base64.urlsafe_b64decode(payload + "=="))
    payload = base64.urlsafe_b64encode(json.dumps({**payload, **claims}).encode()).decode().rstrip("=")
    return f"{header}.{payload}.{signature}"


@step
def _():
    """a token whose claims were changed is good at neither"""
    for token in sign_in(THEIRS), sign_in(OURS):
        for host in OURS, THEIRS:
            answer = httpx.get(f"{host}/me", headers={"Authorization": f"Bearer {changed(token, sub='mallory')}"})
            assert answer.status_code == 401, answer.text
