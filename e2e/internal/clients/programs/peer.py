"""A py-oidc-auth broker, as a peer of ours: FastAPI under uvicorn."""

import uvicorn
from fastapi import FastAPI
from py_oidc_auth import FastApiOIDCAuth
from py_oidc_auth.schema import IDToken
from steps import target

auth = FastApiOIDCAuth(
    client_id=target["client_id"],
    client_secret=target["client_secret"],
    discovery_url=target["provider"] + "/.well-known/openid-configuration",
    scopes="profile email",
    broker_mode=True,
    broker_store_url="memory://",
    broker_audience=target["audience"],
    proxy=target["peer"]["url"],  # its issuer
    trusted_issuers=[target["api"]],
)
app = FastAPI()
app.include_router(auth.create_auth_router(prefix="/api"))


@app.get("/api/me")
async def me(token: IDToken = auth.required()) -> dict[str, str]:
    return {"username": token.preferred_username}


uvicorn.run(app, host="127.0.0.1", port=target["peer"]["port"], log_level="warning")
