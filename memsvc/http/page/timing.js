/** When things are done. */

/** Returns a function that does it a while after it was called: many calls in a row are one. `rests`: after the last of them. */
export function soon(action, milliseconds, signal, rests = false) {
	let planned = null;
	return () => {
		if (rests) clearTimeout(planned);
		else if (planned !== null) return;
		planned = setTimeout(() => {
			planned = null;
			if (!signal.aborted) action();
		}, milliseconds);
	};
}

export function pause(milliseconds, signal) {
	return new Promise((resolve) => {
		setTimeout(resolve, milliseconds);
		signal?.addEventListener("abort", resolve);
	});
}
