"""Hot users: load, refresh, evict by bytes; who waits for a user to move."""

from memsvc.users.users import LATEST, Consistency, HotUser, Users, now_micros

__all__ = ["LATEST", "Consistency", "HotUser", "Users", "now_micros"]
