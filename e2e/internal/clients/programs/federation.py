"""A py-oidc-auth broker and ours as peers: each takes the other's tokens."""

import asyncio
import tempfile
from pathlib import Path

import httpx
from py_oidc_auth_client import BaseFlow, CodeFlow, TokenStore
from steps import free_port, target, step

OURS, THEIRS, USER = target["api"], target["peer"]["url"], target["user"]
store = TokenStore(Path(tempfile.mkdtemp()) / "tokens.json")


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


@step
def _():
    """a token whose claims were changed is good at neither"""
    for token in sign_in(THEIRS), sign_in(OURS):
        header, payload, signature = token["access_token"].split(".")
        forged = {"Authorization": f"Bearer {header}.{payload[:-2]}.{signature}"}
        for host in OURS, THEIRS:
            assert httpx.get(f"{host}/me", headers=forged).status_code == 401
