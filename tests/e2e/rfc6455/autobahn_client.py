"""Debian's python3-autobahn, the library of the suite's authors: connect, ping, close; says what went well, a line each."""
import asyncio
import json
import sys
from urllib.parse import urlparse

from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol


class Client(WebSocketClientProtocol):
    def onOpen(self):
        print("open")
        self.sendMessage(json.dumps({"id": 1, "connect": {"token": self.factory.token, "name": "κόσμε"}}).encode(), fragmentSize=16)

    def onMessage(self, payload, isBinary):
        assert not isBinary and json.loads(payload)["id"] == 1
        print("connected")
        self.sendPing(b"still there?")

    def onPong(self, payload):
        assert payload == b"still there?"
        print("pong")
        self.sendClose(1000, "done")

    def onClose(self, wasClean, code, reason):
        print(code if wasClean else f"unclean: {code} {reason}")
        asyncio.get_running_loop().stop()


url, token = sys.argv[1:]
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
factory = WebSocketClientFactory(url, loop=loop)
factory.protocol = Client
factory.token = token
factory.setProtocolOptions(failByDrop=False)
address = urlparse(url)
loop.run_until_complete(loop.create_connection(factory, address.hostname, address.port))
loop.run_forever()
