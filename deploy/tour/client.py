#!/usr/bin/env python3
"""The tour's client: asks the server (port in argv) ten times a second and logs how long it took."""
import http.client
import sys
import time

port = int(sys.argv[1])
connection = None
while True:
    begin = time.monotonic()
    try:
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/work")
        connection.getresponse().read()
        print(f"level=info duration_ms={(time.monotonic() - begin) * 1e3:.2f}", flush=True)
    except OSError as error:
        connection = None
        print(f"level=error error={type(error).__name__}", flush=True)
    time.sleep(max(0.0, 0.1 - (time.monotonic() - begin)))
