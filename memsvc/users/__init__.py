"""Hot users: load, refresh, evict by bytes; who waits for a user to move."""

from memsvc.users.hot import HotUser
from memsvc.users.users import LATEST, Consistency, Users

__all__ = ["LATEST", "Consistency", "HotUser", "Users"]
