/**
 * Sends calls again that were not answered: unary ones, on UNAVAILABLE only. A repeat has the request id of the first
 * try, so that a write takes effect once. (Streams resume by themselves: see streams.ts.)
 */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { errorFrom, serverIsGone, Unavailable } from "./errors.js";
import { sleep } from "./time.js";

const ATTEMPTS = 5;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 1000;

/**
 * Return an interceptor that tries five times, within the call's deadline. With `waitForReady` a server that is gone is
 * looked for until the deadline: a restart is waited for.
 */
export function retrying(waitForReady: boolean): Interceptor {
  return (next) => async (request) => {
    if (request.stream) return next(request);
    let attempts = 0;
    for (let tries = 0; ; tries++) {
      try {
        return await next(request);
      } catch (thrown) {
        const failure = errorFrom(thrown);
        if (!(failure instanceof Unavailable) || request.signal.aborted) throw thrown;
        if (!(waitForReady && serverIsGone(failure)) && ++attempts >= ATTEMPTS) throw thrown;
      }
      const delay = Math.min(FIRST_DELAY_MS * 2 ** tries, MAX_DELAY_MS);
      await sleep(delay * (0.8 + 0.4 * Math.random()), request.signal);
      if (request.signal.aborted) throw ConnectError.from(request.signal.reason, Code.Canceled);
    }
  };
}
