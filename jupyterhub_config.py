"""JupyterHub's wiring: authenticator, spawner, proxy, services, roles. What each of them decides is decided elsewhere."""

import sys

from installation.settings import CHECKOUT, load
from policy_engine import opa_process
from provisioning.sandbox.spawner import SandboxSpawner
from workbench.runtime import hub_process, hub_voice
from workbench.setup import opa, programs

c = get_config()  # noqa: F821 - given by traitlets
settings = load()


def secret(name):
    return (settings.secrets / name).read_text("utf-8").strip()


secure = settings.url.startswith("https://")

# ---- the hub and its proxy ------------------------------------------------------------------------------------------
c.JupyterHub.bind_url = f"{'https' if settings.tls_cert else 'http'}://{settings.host}:{settings.ports.public}"
c.JupyterHub.ssl_cert = settings.tls_cert
c.JupyterHub.ssl_key = settings.tls_key
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings.ports.hub}"
c.JupyterHub.db_url = f"sqlite:///{settings.home / 'hub.sqlite'}"
c.JupyterHub.upgrade_db = True  # with a copy of the database beside it
c.JupyterHub.cookie_secret_file = str(settings.secrets / "hub.cookie")
c.JupyterHub.tornado_settings = {"cookie_options": {"SameSite": "Lax", "Secure": secure}}
c.JupyterHub.cleanup_servers = False  # a restart of the hub leaves sandboxes running; it finds them again
c.JupyterHub.cleanup_proxy = True
c.JupyterHub.allow_named_servers = False
c.JupyterHub.template_paths = [str(CHECKOUT / "workbench" / "templates")]
c.JupyterHub.template_vars = dict(hub_voice.VARIABLES)
c.JupyterHub.authenticate_prometheus = True
c.ConfigurableHTTPProxy.command = [str(programs.proxy_command(settings))]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.ports.proxy_api}"
c.ConfigurableHTTPProxy.auth_token = secret("proxy.token")
c.ConfigurableHTTPProxy.pid_file = str(settings.run / "proxy.pid")

# ---- people ---------------------------------------------------------------------------------------------------------
if settings.authenticator == "oidc":
    c.JupyterHub.authenticator_class = "generic-oauth"
    c.GenericOAuthenticator.update(dict(settings.oidc))
    c.GenericOAuthenticator.manage_groups = True
else:
    c.JupyterHub.authenticator_class = "workbench.runtime.authenticator.LocalAuthenticator"
    c.NativeAuthenticator.enable_signup = False
    c.NativeAuthenticator.open_signup = False
    c.NativeAuthenticator.minimum_password_length = 12
    c.NativeAuthenticator.check_common_password = True
    c.NativeAuthenticator.allowed_failed_logins = 5
    c.NativeAuthenticator.seconds_before_next_try = 60
    c.NativeAuthenticator.allow_all = True  # of the accounts that an operator made; nobody can make their own
    c.JupyterHub.load_groups = {group: {} for group in ("analysts", "stewards", "admins", "auditors")}


def after_sign_in(handler):
    """Analysts start at the hub's home, where their workbench is; everybody else at the desk."""
    user = handler.current_user
    if user is None:
        return ""  # to the login page, without a page to come back to
    names = {group.name for group in user.groups}
    return handler.hub.base_url + "home" if "analysts" in names or not names else "/services/gate/"


c.JupyterHub.default_url = after_sign_in

# ---- sandboxes ------------------------------------------------------------------------------------------------------
c.JupyterHub.spawner_class = SandboxSpawner
c.Spawner.default_url = "/lab"
c.Spawner.poll_interval = 5  # seconds until a sandbox whose grant was revoked, or that was asked to stop, is gone

# ---- services: the policy engine, the doors, the gate ---------------------------------------------------------------
mark = {hub_process.MARK: str(settings.home)}
here = {
    **mark,
    "GLOVEBOX_HOME": str(settings.home),
    "PYTHONPATH": str(CHECKOUT),
    "PYTHONUNBUFFERED": "1",
    "PYTHONFAULTHANDLER": "1",  # a crash in a native library says where
}
own = ["read:users:name!user", "read:users:groups!user"]
services = []
if settings.policy_engine == "opa":  # first: the others ask it
    engine = [str(opa.binary(settings)), *opa_process.prepare(settings)]
    services.append({"name": "policy-engine", "command": engine, "environment": mark, "display": False})
services += [
    {
        "name": "session-door",
        "url": f"http://127.0.0.1:{settings.ports.doors}",
        "command": [sys.executable, "-m", "egress_gate.doors"],
        "environment": here,
        "api_token": secret("door.token"),
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": own,
        "display": False,
    },
    {
        "name": "gate",
        "url": f"http://127.0.0.1:{settings.ports.gate}",
        "command": [sys.executable, "-m", "workbench.runtime.gate"],
        "environment": here,
        "api_token": secret("gate.token"),
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": own,
    },
    {"name": "operator", "api_token": secret("operator.token")},
]
c.JupyterHub.services = services

c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=gate", "access:services!service=session-door"]},
    {"name": "session-door", "services": ["session-door"], "scopes": ["users:activity"]},
    {
        "name": "operator",
        "services": ["operator"],
        "scopes": [
            "admin:users",
            "admin:groups",
            "delete:servers",
            "read:hub",
            "list:users",
            "list:services",
            "read:services",
        ],
    },
    # Admins see who is there and stop servers. Nobody, hub admins included, may open another person's server: the door asks policy.
    {
        "name": "workbench-admin",
        "groups": ["admins"],
        "scopes": [
            "admin-ui",
            "list:users",
            "list:groups",
            "read:users:activity",
            "read:servers",
            "delete:servers",
            "read:hub",
        ],
    },
]
