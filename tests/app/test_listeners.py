"""Who is told, and until when."""

from app.listeners import Listeners


def test_each_is_told_until_it_leaves_and_leaving_twice_takes_nobody_else_away():
    heard = []
    listeners = Listeners[str]()
    leave = listeners.add(heard.append)
    listeners.add(heard.append)
    listeners.tell("a")
    leave()
    leave()
    listeners.tell("b")
    assert heard == ["a", "a", "b"]


def test_one_may_leave_while_all_are_told():
    heard = []
    listeners = Listeners[str]()

    def once(news):
        heard.append(f"once {news}")
        leave()

    leave = listeners.add(once)
    listeners.add(heard.append)
    listeners.tell("a")
    listeners.tell("b")
    assert heard == ["once a", "a", "b"]
