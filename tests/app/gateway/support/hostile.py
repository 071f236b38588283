"""Servers that misbehave, each in its own way: `python -I -S hostile.py <manner> [number]`.

All but a few echo each line of their input, so that a test can tell that they run.
"""

# Without pathlib, these start in half the time.
# ruff: noqa: PTH101, PTH103, PTH109, PTH123
import os
import signal
import sys
import time

LONGEST = 900.0
LONGEST_BREED = 60.0


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def complain(text: str) -> None:
    os.write(2, text.encode() + b"\n")


def echo() -> None:
    for line in sys.stdin.buffer:
        os.write(1, line)


def for_ever() -> None:
    """As good as: nothing of a test may stay on a machine for longer than that."""
    time.sleep(LONGEST)
    os._exit(1)


def ignore_end_of_input() -> None:
    say('{"ready":true}')
    echo()
    for_ever()


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ignore_end_of_input()


def daemonise(forget: bool) -> None:
    """Twice forked, in a session of its own; `forget` drops the environment as well."""
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        environment = {} if forget else dict(os.environ)
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"], environment)
    os.wait()


def daemon() -> None:
    daemonise(forget=False)
    daemonise(forget=True)
    say('{"ready":true}')
    echo()


def tree() -> None:
    """A chain of children as `npx` makes, each of which ignores what it can."""
    for _ in range(3):
        if os.fork():
            break
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        say('{"ready":true}')
    for_ever()


def breeder() -> None:
    """Daemons that leave a successor behind when they are old; the whole line dies out after a minute."""
    say('{"ready":true}')
    end = time.monotonic() + LONGEST_BREED
    while time.monotonic() < end:
        if os.fork():
            time.sleep(0.005)
            os._exit(0)
        os.setsid()


def litter() -> None:
    """Lives on while daemons of its own end, one after the other; says when there were a hundred."""
    say('{"ready":true}')
    for number in range(60 * 200):
        if number == 100:
            say('{"hundred":true}')
        if os.fork() == 0:
            if os.fork():
                os._exit(0)
            os._exit(0)
        os.wait()
        time.sleep(0.005)


def flood_output() -> None:
    say('{"ready":true}')
    garbage = b"garbage\n" * 8000
    while True:
        os.write(1, garbage)


def flood_messages() -> None:
    message = b'{"flood":"' + b"x" * 1000 + b'"}\n'
    while True:
        os.write(1, message * 60)


def flood_errors() -> None:
    say('{"ready":true}')
    if os.fork() == 0:
        while True:
            os.write(2, b"an error\n" * 7000)
    echo()


def half_lines() -> None:
    for line in sys.stdin.buffer:
        for part in (line[:7], line[7:-1], line[-1:]):
            os.write(1, part)
            time.sleep(0.02)


def long_line(megabytes: int) -> None:
    say('{"ready":true}')
    sys.stdin.buffer.readline()
    os.write(1, b'{"jsonrpc":"2.0","id":7,"result":{"text":"')
    chunk = b"x" * (1 << 20)
    for _ in range(megabytes):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
    os.write(1, b'"}}\n')
    echo()


def mutter() -> None:
    os.write(1, b'Listening for requests\r\n\n\xff\xfe\n{"bad":"\xff"}\n' + '{"text":"grün"}'.encode() + b"\r\n[1]\n")
    echo()
    os.write(1, b'{"last":"without an end"}')


def crash(status: int) -> None:
    complain("cannot find the flux capacitor")
    sys.exit(status)


def die(number: int) -> None:
    say('{"ready":true}')
    os.kill(os.getpid(), number)


def close_output() -> None:
    say('{"ready":true}')
    os.close(1)
    for_ever()


def stop_itself() -> None:
    say('{"ready":true}')
    os.kill(os.getpid(), signal.SIGSTOP)
    for_ever()


def deaf() -> None:
    """Never reads its input."""
    say('{"ready":true}')
    for_ever()


def kill_parent(number: int) -> None:
    """Turns against the process that watches it."""
    daemonise(forget=True)
    say('{"ready":true}')
    os.kill(os.getppid(), number)
    for_ever()


def hog(megabytes: int) -> None:
    say('{"ready":true}')
    held = [bytearray(b"x" * (1 << 20)) for _ in range(megabytes)]
    echo()
    del held


def tell_environment() -> None:
    pairs = ",".join(f'"{name}":"{value}"' for name, value in os.environ.items() if '"' not in value)
    say(f'{{"cwd":"{os.getcwd()}","pid":{os.getpid()},"environment":{{{pairs}}}}}')
    os.makedirs(os.environ["HOME"] + "/made/by/it")
    with open(os.environ["HOME"] + "/made/by/it/file", "w") as file:
        file.write("x")
    os.chmod(os.environ["HOME"] + "/made/by", 0o000)
    echo()


def tell_secret() -> None:
    complain("connecting with " + os.environ["API_TOKEN"])
    say("debug: token=" + os.environ["API_TOKEN"])
    say('{"ready":true}')
    echo()


def grumble() -> None:
    """Has nothing to say before it is spoken to."""
    for line in sys.stdin.buffer:
        complain("heard " + line.decode().rstrip())


def listen() -> None:
    import socket

    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    say("listening")
    while True:
        listener.accept()[0].close()


MANNERS = {
    "echo": lambda _: echo(),
    "ignore-end-of-input": lambda _: ignore_end_of_input(),
    "ignore-sigterm": lambda _: ignore_sigterm(),
    "daemon": lambda _: daemon(),
    "tree": lambda _: tree(),
    "breeder": lambda _: breeder(),
    "litter": lambda _: litter(),
    "flood-output": lambda _: flood_output(),
    "flood-messages": lambda _: flood_messages(),
    "flood-errors": lambda _: flood_errors(),
    "half-lines": lambda _: half_lines(),
    "long-line": long_line,
    "mutter": lambda _: mutter(),
    "crash": crash,
    "die": die,
    "close-output": lambda _: close_output(),
    "stop-itself": lambda _: stop_itself(),
    "deaf": lambda _: deaf(),
    "kill-parent": kill_parent,
    "hog": hog,
    "tell-environment": lambda _: tell_environment(),
    "tell-secret": lambda _: tell_secret(),
    "grumble": lambda _: grumble(),
    "listen": lambda _: listen(),
}

if __name__ == "__main__":
    MANNERS[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 0)
