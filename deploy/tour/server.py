#!/usr/bin/env python3
"""The tour's victim: a small HTTP server whose every answer costs a little CPU. Prints its port, logs a line a request."""
import hashlib
import http.server
import sys
import time


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        begin = time.monotonic()
        digest = b"tour"
        for _ in range(2000):
            digest = hashlib.sha256(digest).digest()
        body = digest.hex().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(f"level=info path={self.path} status=200 duration_ms={(time.monotonic() - begin) * 1e3:.2f}",
              file=sys.stderr, flush=True)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Answer)
print(server.server_address[1], flush=True)
server.serve_forever()
