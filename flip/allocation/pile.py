"""Who takes the data points that wait around the ring of servers."""

from __future__ import annotations


def walk(waiting: list[list[int]], room: list[int]) -> list[list[int]]:
    """The items that each place takes.

    Twice around the ring with a pile: whoever waits at a place goes on top, and
    a place with room takes from the top. That is "everybody steps right, the
    nearest first" in one pass: what lies on top came the shortest way.

    :param waiting: the items that wait at each place, in the order of the data.
    :param room: how many items each place can take.
    """
    taken: list[list[int]] = [[] for _ in waiting]
    pile: list[int] = []
    for lap in range(2):
        for place, newcomers in enumerate(waiting):
            if lap == 0:
                pile += reversed(newcomers)
            count = min(room[place] - len(taken[place]), len(pile))
            if count:
                taken[place] += pile[-count:]
                del pile[-count:]
    return taken
