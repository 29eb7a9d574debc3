"""A server on a real socket that speaks ComfyUI's documented HTTP and WebSocket interface, and misbehaves on demand.

It draws: SVD's picture n is the uploaded one moved by n, so that a test can see what came from where. Loaded by file
path from the tests that need it, since tests are no package.
"""

from __future__ import annotations

import base64
import contextlib
import email.parser
import email.policy
import hashlib
import io
import json
import struct
import threading
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from PIL import Image

INT, FLOAT, STRING = ["INT", {}], ["FLOAT", {}], ["STRING", {}]
NODES: dict[str, dict[str, Any]] = {
    "ImageOnlyCheckpointLoader": {"ckpt_name": [["svd.safetensors", "svd_xt.safetensors"]]},
    "CheckpointLoaderSimple": {"ckpt_name": ["COMBO", {"options": ["sd_xl_turbo_1.0_fp16.safetensors"]}]},
    "LoadImage": {"image": [["example.png"], {"image_upload": True}]},
    "SVD_img2vid_Conditioning": {
        "clip_vision": ["CLIP_VISION"], "init_image": ["IMAGE"], "vae": ["VAE"], "width": INT, "height": INT,
        "video_frames": INT, "motion_bucket_id": INT, "fps": INT, "augmentation_level": FLOAT,
    },
    "VideoLinearCFGGuidance": {"model": ["MODEL"], "min_cfg": FLOAT},
    "CLIPTextEncode": {"text": STRING, "clip": ["CLIP"]},
    "EmptyLatentImage": {"width": INT, "height": INT, "batch_size": INT},
    "KSampler": {
        "model": ["MODEL"], "seed": INT, "steps": INT, "cfg": FLOAT, "sampler_name": [["euler", "euler_ancestral"]],
        "scheduler": [["normal", "karras"]], "positive": ["CONDITIONING"], "negative": ["CONDITIONING"],
        "latent_image": ["LATENT"], "denoise": FLOAT,
    },
    "VAEDecode": {"samples": ["LATENT"], "vae": ["VAE"]},
    "SaveImage": {"images": ["IMAGE"], "filename_prefix": STRING},
}  # fmt: skip

OUTPUTS = {
    "ImageOnlyCheckpointLoader": ["MODEL", "CLIP_VISION", "VAE"],
    "CheckpointLoaderSimple": ["MODEL", "CLIP", "VAE"],
    "LoadImage": ["IMAGE", "MASK"],
    "SVD_img2vid_Conditioning": ["CONDITIONING", "CONDITIONING", "LATENT"],
    "VideoLinearCFGGuidance": ["MODEL"],
    "CLIPTextEncode": ["CONDITIONING"],
    "EmptyLatentImage": ["LATENT"],
    "KSampler": ["LATENT"],
    "VAEDecode": ["IMAGE"],
}


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return data.getvalue()


@dataclass
class LocalComfy:
    """One server.

    Attributes:
        faults: names of what is to go wrong, each once per entry: ``oom``, ``error``, ``interrupted``, ``refuse``,
            ``500``, ``cut`` (a download breaks off), ``garbage`` (text under a picture's name), ``web page``,
            ``wrong file``, ``empty``, ``one``, ``size``, ``drop socket``, ``forget``, ``hold`` (until :attr:`let_go`).
        nodes: classes it has.
        uploads: what was sent, by name.
        prompts: every workflow queued.
        asked: every request as ``METHOD path``.
    """

    faults: list[str] = field(default_factory=list)
    nodes: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(NODES))
    uploads: dict[str, bytes] = field(default_factory=dict)
    prompts: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        server = self
        self.history: dict[str, Any] = {}
        self.running: list[list[Any]] = []
        self.files: dict[str, bytes] = {}
        self.sockets: dict[str, Any] = {}
        self.workers: list[threading.Thread] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                server.answer(self, b"")

            def do_POST(self) -> None:
                server.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.let_go.set()
        self.stopped.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(10)
        for worker in self.workers:  # what one of them still does, or fails at, must not fall into the next test
            worker.join(10)

    def fault(self, name: str) -> bool:
        if name in self.faults:
            self.faults.remove(name)
            return True
        return False

    def answer(self, call: BaseHTTPRequestHandler, body: bytes) -> None:
        parts = urlsplit(call.path)
        self.asked.append(f"{call.command} {parts.path}")
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if parts.path == "/ws":
                self.socket(call, query.get("clientId", ""))
            elif self.fault("500"):
                self.send(call, 500, b"500 Internal Server Error\n\nServer got itself in trouble")
            elif parts.path == "/view":
                self.view(call, query["filename"])
            else:
                status, data = self.route(call, parts.path, body)
                self.send(call, status, json.dumps(data).encode() if data is not None else b"")

    def route(self, call: BaseHTTPRequestHandler, path: str, body: bytes) -> tuple[int, Any]:
        where = (call.command, path)
        if where == ("GET", "/system_stats"):
            return 200, {"system": {"comfyui_version": "0.3.0"}, "devices": [{"name": "cpu", "vram_free": 1 << 30}]}
        if where == ("GET", "/object_info"):
            return 200, {kind: self.describe(kind) for kind in self.nodes}
        if path.startswith("/object_info/"):
            kind = unquote(path.rpartition("/")[2])
            return 200, {kind: self.describe(kind)} if kind in self.nodes else {}
        if where == ("GET", "/history"):
            return 200, self.history
        if where == ("POST", "/upload/image"):
            head = f"Content-Type: {call.headers['Content-Type']}\r\n\r\n".encode()
            form = email.parser.BytesParser(policy=email.policy.default).parsebytes(head + body)
            for part in form.iter_parts():
                if name := part.get_filename():
                    self.uploads[name] = part.get_payload(decode=True)
                    return 200, {"name": name, "subfolder": "", "type": "input"}
            return 400, None
        if where == ("POST", "/prompt"):
            return self.queue(json.loads(body))
        if path.startswith("/history/"):
            number = path.rpartition("/")[2]
            return 200, {number: self.history[number]} if number in self.history else {}
        if where == ("GET", "/queue"):
            return 200, {"queue_running": self.running, "queue_pending": []}
        if where == ("POST", "/interrupt"):
            self.stopped.set()
            return 200, None
        if where in (("POST", "/queue"), ("POST", "/free")):
            return 200, None
        return 404, {"error": "not found"}

    def describe(self, kind: str) -> dict[str, Any]:
        given = {"required": self.nodes[kind]}
        return {"input": given, "output": OUTPUTS.get(kind, []), "output_node": kind.startswith("Save"), "name": kind}

    def queue(self, job: dict[str, Any]) -> tuple[int, Any]:
        if self.fault("refuse"):
            fault = {"message": "Value not in list", "details": "ckpt_name: 'x' not in ['y']"}
            node = {"errors": [fault], "class_type": "ImageOnlyCheckpointLoader"}
            return 400, {"error": {"message": "Prompt outputs failed validation"}, "node_errors": {"1": node}}
        number = str(uuid.uuid4())
        self.prompts.append(job["prompt"])
        if not self.fault("forget"):
            self.running = [[0, number, job["prompt"], {}, []]]
            work = threading.Thread(target=self.work, args=(number, job), daemon=True)
            self.workers.append(work)
            work.start()
        return 200, {"prompt_id": number, "number": 0, "node_errors": {}}

    def work(self, number: str, job: dict[str, Any]) -> None:
        say = lambda kind, **data: self.say(job.get("client_id"), kind, {"prompt_id": number, **data})  # noqa: E731
        say("execution_start")
        say("executing", node="5")
        say("progress", value=1, max=2, node="5")
        if self.fault("hold"):
            self.held.set()
            while not self.let_go.wait(0.02):
                if self.stopped.is_set():
                    return self.fail(number, job, "execution_interrupted", {"node_id": "5", "node_type": "KSampler"})
        if self.fault("drop socket"):
            for line in list(self.sockets.values()):
                with contextlib.suppress(OSError):  # it may have left by itself
                    line.shutdown(2)
        if self.fault("interrupted"):
            return self.fail(number, job, "execution_interrupted", {"node_id": "5", "node_type": "KSampler"})
        for name, kind, words in (
            ("oom", "torch.OutOfMemoryError", "Allocation on device "),
            ("error", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied"),
        ):
            if self.fault(name):
                data = {"node_id": "5", "node_type": "KSampler", "exception_type": kind, "exception_message": words}
                return self.fail(number, job, "execution_error", data)
        files = self.draw(number, job["prompt"])
        status = {"status_str": "success", "completed": True, "messages": [["execution_success", {}]]}
        self.history[number] = {"outputs": {"7": {"images": files}} if files else {}, "status": status}
        self.running = []
        say("executed", node="7", display_node="7", output={"images": files})
        say("executing", node=None)
        return None

    def fail(self, number: str, job: dict[str, Any], kind: str, data: dict[str, Any]) -> None:
        data = {"prompt_id": number, **data}
        status = {"status_str": "error", "completed": False, "messages": [[kind, data]]}
        self.history[number] = {"outputs": {}, "status": status}
        self.running = []
        self.say(job.get("client_id"), kind, data)

    def draw(self, number: str, workflow: dict[str, Any]) -> list[dict[str, str]]:
        kinds = {node["class_type"]: node["inputs"] for node in workflow.values()}
        if "LoadImage" in kinds:
            shape = kinds["SVD_img2vid_Conditioning"]
            first = np.asarray(Image.open(io.BytesIO(self.uploads[kinds["LoadImage"]["image"]])).convert("RGB"))
            count = shape["video_frames"]
        else:
            shape, count = kinds["EmptyLatentImage"], 1
            noise = np.random.default_rng(kinds["KSampler"]["seed"])
            first = noise.integers(0, 256, (shape["height"], shape["width"], 3), np.uint8)
        count = 0 if self.fault("empty") else 1 if self.fault("one") else count
        if self.fault("size"):
            first = first[:-8]
        pictures = [png(np.roll(first, step, 1)) for step in range(count)]
        ending = "txt" if self.fault("wrong file") else "png"
        names = [f"chunk_{number[:8]}_{step:05}_.{ending}" for step in range(count)]
        self.files.update(zip(names, pictures, strict=True))
        return [{"filename": name, "subfolder": "vjengine", "type": "output"} for name in names]

    def view(self, call: BaseHTTPRequestHandler, name: str) -> None:
        data = self.files[name]
        if self.fault("garbage"):
            data = data[: len(data) // 2]
        if self.fault("web page"):
            data = b"<!DOCTYPE html><html>Sign in to the venue's network</html>"
        self.send(call, 200, data, "image/png", cut=self.fault("cut"))

    def send(
        self, call: BaseHTTPRequestHandler, status: int, data: bytes, kind: str = "application/json", cut: bool = False
    ) -> None:
        call.send_response(status)
        call.send_header("Content-Type", kind)
        call.send_header("Content-Length", str(len(data)))
        call.end_headers()
        call.wfile.write(data[: len(data) // 2] if cut else data)
        call.close_connection = call.close_connection or cut

    # ---------------------------------------------------------------- the WebSocket (RFC 6455, server to client)

    def socket(self, call: BaseHTTPRequestHandler, client: str) -> None:
        key = call.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        call.send_response(101)
        call.send_header("Upgrade", "websocket")
        call.send_header("Connection", "Upgrade")
        call.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        call.end_headers()
        self.sockets[client] = call.connection
        self.say(client, "status", {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client})
        self.frame(client, 2, struct.pack(">II", 1, 2) + b"a preview")
        call.close_connection = True
        with contextlib.suppress(OSError):
            while (head := call.rfile.read(2)) and head[0] & 15 != 8:
                call.rfile.read(4 + (head[1] & 127))
        self.sockets.pop(client, None)

    def say(self, client: str | None, kind: str, data: dict[str, Any]) -> None:
        self.frame(client or "", 1, json.dumps({"type": kind, "data": data}).encode())

    def frame(self, client: str, opcode: int, data: bytes) -> None:
        line = self.sockets.get(client)
        length = struct.pack(">B", len(data)) if len(data) < 126 else struct.pack(">BH", 126, min(len(data), 65535))
        length = length if len(data) < 65536 else struct.pack(">BQ", 127, len(data))
        with contextlib.suppress(OSError):
            if line is not None:
                line.sendall(bytes([0x80 | opcode]) + length + data)
