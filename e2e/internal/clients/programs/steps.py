"""What the Python programs share: what they are told, a person, and the report of a step."""

import json
import os
import socket
import urllib.parse
import urllib.request
import webbrowser
from pathlib import Path

from py_oidc_auth_client import TokenStore

# The application, its peer, and who signs in there.
target = json.loads(os.environ["E2E_TARGET"])

# Where the library keeps tokens: in the suite's folder.
store = TokenStore(Path(__file__).with_name("tokens.json"))


def person(does, **query):
    """Has a person sign in or decide about a device, and gives where that led."""
    with urllib.request.urlopen(f"{target['person']}/{does}?{urllib.parse.urlencode(query)}") as answer:
        return answer.read().decode()


class Browser(webbrowser.BaseBrowser):
    """The browser that the library opens: a person uses it at once."""

    def open(self, url, new=0, autoraise=True):
        if "/auth/v2/login" in url:
            urllib.request.urlopen(person("sign-in", url=url)).close()
        else:
            person("device", uri=url, decision="approve")
        return True


def free_port():
    """A port for the redirect URI, on which nothing listens yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


webbrowser.register("person", None, Browser(), preferred=True)


def step(run):
    """Runs a step, whose docstring is its name, and reports how it went."""
    outcome = {"name": run.__doc__}
    try:
        run()
    except Exception as error:  # whatever it is, the next step runs
        outcome["error"] = repr(error)
    print(json.dumps(outcome), flush=True)
