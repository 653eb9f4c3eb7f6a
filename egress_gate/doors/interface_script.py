"""What runs inside the sandbox image to give its interface: a tar on standard output, in base64 because an engine's log is text."""

MARK = "/user/glovebox-reference/"

SCRIPT = """
import base64, http.client, io, json, os, pathlib, socket, subprocess, sys, sysconfig, tarfile, time

PREFIX = "/user/glovebox-reference/"
PLACE = "/tmp/reference.sock"
share = pathlib.Path(sys.prefix) / "share" / "jupyter"
packages = pathlib.Path(sysconfig.get_path("purelib"))
TREES = [
    ("static/lab", share / "lab" / "static"), ("static", packages / "jupyter_server" / "static"),
    ("lab/extensions", share / "labextensions"), ("lab/api/themes", share / "lab" / "themes"),
    ("kernelspecs", share / "kernels"),
]
ASKED = [
    "lab", "lab/api/settings", "lab/api/translations", "lab/api/plugins", "lab/api/build", "api/kernelspecs",
    "lab/api/listings/@jupyterlab/extensionmanager-extension/listings.json",
]

class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(PLACE)

def ask(path):
    connection = Connection("localhost")
    connection.request("GET", PREFIX + path, headers={"Authorization": "token reference"})
    answer = connection.getresponse()
    body = answer.read()
    return body.decode() if answer.status == 200 else None

server = subprocess.Popen(
    ["jupyter-lab", "--no-browser", "--ServerApp.sock=" + PLACE, "--ServerApp.base_url=" + PREFIX,
     "--ServerApp.root_dir=/tmp", "--KernelManager.transport=ipc", "--ServerApp.ip=127.0.0.1"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for _ in range(600):
    try:
        if ask("api/status"):
            break
    except OSError:
        time.sleep(0.1)
answers = {path: text for path in ASKED if (text := ask(path)) is not None}
server.kill()
answers["lab"] = answers["lab"].replace('"token": "reference"', '"token": ""')
bundle = io.BytesIO()
with tarfile.open(fileobj=bundle, mode="w:gz") as archive:
    seen = set()
    for prefix, root in TREES:
        for file in sorted(root.rglob("*")) if root.is_dir() else []:
            name = prefix + "/" + file.relative_to(root).as_posix()
            if file.is_file() and name not in seen:
                seen.add(name)
                archive.add(file, name, recursive=False)
    data = json.dumps(answers).encode()
    info = tarfile.TarInfo("answers.json")
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
print(base64.b64encode(bundle.getvalue()).decode())
"""
