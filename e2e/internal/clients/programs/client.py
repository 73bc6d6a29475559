"""py-oidc-auth-client as its users have it, against our routes."""

import asyncio

import httpx
from py_oidc_auth.schema import UserInfo
from py_oidc_auth_client import AuthError, BaseFlow, CodeFlow, DeviceFlow, authenticate
from steps import free_port, person, step, store, target

HOST, USER = target["api"], target["user"]


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
    assert (user.username, user.email) == (USER["preferred_username"], USER["email"]), user
    assert (user.first_name, user.last_name) == (USER["given_name"], USER["family_name"]), user


async def log_in(decision):
    device = flow(DeviceFlow)
    code = await device.get_device_code()
    person("device", uri=code["uri"], decision=decision)
    return await device.poll(code["device_code"], code["interval"])


@step
def _():
    """logs a device in"""
    assert whoami(asyncio.run(log_in("approve"))) == USER["preferred_username"]


@step
def _():
    """stops to poll when the person refuses the device"""
    try:
        asyncio.run(log_in("refuse"))
    except AuthError as error:
        assert "access_denied" in str(error), error
    else:
        raise AssertionError("the device has logged in")


@step
def _():
    """logs in by the one function that chooses the flow itself"""
    BaseFlow.reset_instances()
    token = authenticate(HOST, timeout=60)
    answer = httpx.get(f"{HOST}/me", headers=token["headers"])
    assert answer.json()["username"] == USER["preferred_username"]


@step
def _():
    """reads the reason of a refusal"""
    try:
        asyncio.run(flow(CodeFlow).refresh("made up"))
    except AuthError as error:
        assert error.status_code == 400 and error.detail["error"] == "invalid_grant", error.detail
    else:
        raise AssertionError("a made-up token was refreshed")
