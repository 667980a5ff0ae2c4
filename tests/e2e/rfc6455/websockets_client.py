"""Debian's python3-websockets: connect, ping, a message in fragments, close; says what went well, a line each."""
import asyncio
import json
import sys

import websockets


async def main(url, token):
    async with websockets.connect(url, compression=None) as socket:
        print("open")
        await socket.send(json.dumps({"id": 1, "connect": {"token": token, "name": "κόσμε"}}))
        assert json.loads(await socket.recv())["id"] == 1
        print("connected")
        await asyncio.wait_for(await socket.ping(b"still there?"), 10)
        print("pong")
        command = json.dumps({"id": 2, "subscribe": {"channel": "nothing"}})
        await socket.send([command[i : i + 7] for i in range(0, len(command), 7)])
        assert json.loads(await socket.recv())["id"] == 2
        print("fragments")
        await socket.close(1000, "done")
        print(socket.close_code)


asyncio.run(main(*sys.argv[1:]))
