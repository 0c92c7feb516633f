"""The group writer: decide, append in groups, on conflict catch up and decide again."""
