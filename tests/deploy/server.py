"""A server that acknowledges every beat: server.py PORT."""

import http.server
import sys


class Beats(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self):
        # An agent that is killed hangs up without a word.
        try:
            super().handle()
        except ConnectionError:
            pass

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Beats).serve_forever()
