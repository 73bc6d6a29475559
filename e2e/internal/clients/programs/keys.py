"""PyJWT as a resource server, while the broker's signing keys change."""

import httpx
import jwt
from steps import step, target


def resource_server(issuer, audience):
    """Gives what checks an access token, and gives its claims."""
    found = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    keys = jwt.PyJWKClient(found["jwks_uri"])
    algorithms = found["id_token_signing_alg_values_supported"]

    def verify(token):
        key = keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, algorithms=algorithms, audience=audience, issuer=issuer)

    return verify


verify = resource_server(target["api"], target["audience"])


def check(name, token, valid):
    def run():
        try:
            verify(token)
        except jwt.PyJWKClientError:
            assert not valid
        else:
            assert valid

    run.__doc__ = f"{'verifies' if valid else 'refuses'} a token {name}"
    step(run)


for issued in target["tokens"]:
    check(**issued)
