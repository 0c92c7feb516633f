package dev.memsvc.client;

import java.time.Duration;

/** How long a client's calls last, and what becomes of those that find no server. */
record Defaults(
    Duration timeout, Duration contextTimeout, boolean contextOrEmpty, boolean waitForReady) {}
