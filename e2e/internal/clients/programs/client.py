"""py-oidc-auth-client as its users have it, against our routes."""

import asyncio
import tempfile
from pathlib import Path

import httpx
from py_oidc_auth.schema import UserInfo
from py_oidc_auth_client import AuthError, BaseFlow, CodeFlow, DeviceFlow, TokenStore, authenticate
from steps import free_port, person, target, step

HOST, USER = target["api"], target["user"]
store = TokenStore(Path(tempfile.mkdtemp()) / "tokens.json")


def flow(kind):
    BaseFlow.reset_instances()
    return kind(HOST, store=store, redirect_ports=[free_port()], timeout=60)


def sign_in():
    return asyncio.run(flow(CodeFlow).authenticate(force=True))


def whoami(token):
    return httpx.get(f"{HOST}/me", headers=token["headers"]).json()["username"]


@step
def _():
    """signs in by code in a browser"""
    token = sign_in()
    assert token["token_type"] == "Bearer" and token["refresh_token"], token.keys()
    assert whoami(token) == USER["preferred_username"]


@step
def _():
    """refreshes a token that has expired, without a browser"""
    before = sign_in()
    store.put(HOST, {**before, "expires": 0})
    after = asyncio.run(flow(CodeFlow).authenticate())
    assert after["access_token"] != before["access_token"]
    assert after["expires"] > 0 and after["refresh_expires"] > 0
    assert whoami(after) == USER["preferred_username"]


@step
def _():
    """reads userinfo in the Python server's form"""
    answer = httpx.get(f"{HOST}/auth/v2/userinfo", headers=sign_in()["headers"])
    user = UserInfo(**answer.json())
    assert (user.username, user.last_name, user.first_name) == (USER["preferred_username"], USER["family_name"], USER["given_name"]), user
    assert user.email == USER["email"]


@step
def _():
    """logs a device in"""

    async def log_in():
        device = flow(DeviceFlow)
        code = await device.get_device_code()
        person("device", uri=code["uri"], decision="approve")
        return await device.poll(code["device_code"], code["interval"])

    assert whoami(asyncio.run(log_in())) == USER["preferred_username"]


@step
def _():
    """stops to poll when the person refuses the device"""

    async def log_in():
        device = flow(DeviceFlow)
        code = await device.get_device_code()
        person("device", uri=code["uri"], decision="refuse")
        return await device.poll(code["device_code"], code["interval"])

    try:
        asyncio.run(log_in())
    except AuthError as error:
        assert "access_denied" in str(error), error
    else:
        raise AssertionError("the device has logged in")


@step
def _():
    """logs in by the one function that chooses the flow itself"""
    BaseFlow.reset_instances()
    token = authenticate(HOST, store=store, redirect_ports=[free_port()], force=True, timeout=60)
    assert whoami(token) == USER["preferred_username"]


@step
def _():
    """reads the reason of a refusal"""
    try:
        asyncio.run(flow(CodeFlow).refresh("made up"))
    except AuthError as error:
        assert error.status_code == 400 and error.detail["error"] == "invalid_grant", error.detail
    else:
        raise AssertionError("a made-up token was refreshed")
